//! The preparation of images, kept with the weights of the network that was trained on images so prepared: who has the weights needs
//! no data to use them.

use std::collections::HashMap;

use metaqnn_data::{Normalizer, Preprocessing};
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::WeightsError;

/// `weights` in safetensors format with what `normalizer` does: tensors `preparation.mean` and `preparation.deviation` where it has
/// them, and in the metadata `preparation`, JSON: `normalization`, as model folders call it, and `max_value`.
///
/// # Errors
///
/// [`WeightsError`] where the bytes are none of that format.
pub(crate) fn with_preparation(weights: &[u8], normalizer: &Normalizer) -> Result<Vec<u8>, WeightsError> {
    let network = SafeTensors::deserialize(weights)?;
    let bytes = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
    let (mean, deviation) = (bytes(normalizer.mean()), bytes(normalizer.deviation()));
    let shape = normalizer.shape();
    let of_mean = match normalizer.kind() {
        Preprocessing::MeanImage => vec![shape.channels, shape.height, shape.width],
        _ => vec![shape.channels],
    };
    let mut views: Vec<(&str, TensorView<'_>)> = network.iter().collect();
    for (name, shape, bytes) in
        [("preparation.mean", of_mean, mean.as_slice()), ("preparation.deviation", vec![shape.channels], &deviation)]
    {
        if !bytes.is_empty() {
            views.push((name, TensorView::new(Dtype::F32, shape, bytes)?));
        }
    }
    let (normalization, max_value) = (name(normalizer.kind()), normalizer.max_value());
    let preparation = format!(r#"{{"normalization":"{normalization}","max_value":{max_value}}}"#);
    // One key alone: of several the order, and so the bytes, would differ from one time to the next.
    let metadata = HashMap::from([("preparation".to_owned(), preparation)]);
    Ok(safetensors::serialize(views, Some(metadata))?)
}

fn name(kind: Preprocessing) -> &'static str {
    match kind {
        Preprocessing::MeanImage => "mean-image",
        Preprocessing::GlobalContrast => "global-contrast",
        Preprocessing::LocalContrast => "local-contrast",
        // What is to come needs a name here, or what is read back is not what was kept: a test holds that.
        _ => "standardize",
    }
}

#[cfg(test)]
mod tests {
    use metaqnn_data::{ImageShape, LabelledImages};

    use super::*;

    #[test]
    fn weights_keep_their_tensors_and_gain_the_constants() {
        let weights = vec![0_u8; 8];
        let view = TensorView::new(Dtype::F32, vec![2], &weights).unwrap();
        let weights = safetensors::serialize([("softmax.weight", view)], None).unwrap();
        let shape = ImageShape { channels: 2, height: 1, width: 3 };
        let images = LabelledImages { shape, pixels: (0..12).collect(), labels: vec![0, 1] };
        for (kind, name, shapes) in [
            (Preprocessing::Standardize, "standardize", vec![("deviation", vec![2]), ("mean", vec![2])]),
            (Preprocessing::MeanImage, "mean-image", vec![("mean", vec![2, 1, 3])]),
            (Preprocessing::GlobalContrast, "global-contrast", Vec::new()),
            (Preprocessing::LocalContrast, "local-contrast", Vec::new()),
        ] {
            let kept = with_preparation(&weights, &Normalizer::fit(kind, &images, 16)).unwrap();
            let (_, metadata) = SafeTensors::read_metadata(&kept).unwrap();
            let metadata = metadata.metadata().as_ref().unwrap();
            assert_eq!(metadata["preparation"], format!("{{\"normalization\":\"{name}\",\"max_value\":16}}"));
            let read = SafeTensors::deserialize(&kept).unwrap();
            assert_eq!(read.tensor("softmax.weight").unwrap().shape(), [2]);
            let mut found: Vec<_> = read
                .iter()
                .filter_map(|(name, view)| Some((name.strip_prefix("preparation.")?, view.shape().to_vec())))
                .collect();
            found.sort();
            assert_eq!(found, shapes);
        }
    }
}
