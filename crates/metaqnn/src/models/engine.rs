//! The engine that answers with a model's weights.

use anyhow::{Result, bail};
use metaqnn_core::graph::MapShape;
use metaqnn_data::{ImageShape, LabelledImages, Normalizer, Preprocessing};
use metaqnn_export::{Logits, Model, Normalization, Preparation, ScoredImages, TrainedNetwork};
use metaqnn_train::ComputeDevice;

/// The logits of each network of a model.
///
/// # Errors
///
/// Where an answer is not finite: the weights may be, and yet be none that training gives.
pub(crate) fn logits(model: &Model, images: &LabelledImages, device: &ComputeDevice) -> Result<Logits> {
    let normalizer = normalizer_of(model.preparation())?;
    let of_network = |network: &TrainedNetwork| -> Result<Vec<f32>> {
        let weights = network.weights().to_safetensors().map_err(anyhow::Error::msg)?;
        let logits = metaqnn_train::logits(network.graph(), &weights, images, &normalizer, device)?;
        if let Some(logit) = logits.iter().find(|logit| !logit.is_finite()) {
            let architecture = network.architecture();
            bail!(
                "the network {architecture} answers with {logit}: its weights are damaged, or are not those that were trained"
            );
        }
        Ok(logits)
    };
    model.networks().iter().map(of_network).collect()
}

/// Unlabelled images of the model's shape.
pub(crate) fn unlabelled(model: &Model, pixels: Vec<u8>) -> LabelledImages {
    let labels = vec![0; pixels.len() / model.preparation().pixels().max(1)];
    LabelledImages { shape: image_shape(model.preparation().input), pixels, labels }
}

/// The same shape as the data have it.
pub(crate) fn image_shape(input: MapShape) -> ImageShape {
    let [channels, height, width] = [input.channels, input.height, input.width].map(|n| n as usize);
    ImageShape { channels, height, width }
}

/// The same preparation as plain values.
pub(crate) fn preparation(normalizer: &Normalizer) -> Preparation {
    let normalization = match normalizer.kind() {
        Preprocessing::MeanImage => Normalization::MeanImage { mean: normalizer.mean().to_vec() },
        Preprocessing::GlobalContrast => Normalization::GlobalContrast,
        Preprocessing::LocalContrast => Normalization::LocalContrast,
        // Standardize; what is to come has to be added here, or the check of the export fails.
        _ => {
            Normalization::Standardize { mean: normalizer.mean().to_vec(), deviation: normalizer.deviation().to_vec() }
        }
    };
    let input = metaqnn_train::map_shape(normalizer.shape());
    Preparation { input, max_value: normalizer.max_value(), normalization }
}

/// The preparation as the engines apply it.
fn normalizer_of(preparation: &Preparation) -> Result<Normalizer> {
    let (kind, mean, deviation): (_, &[f32], &[f32]) = match &preparation.normalization {
        Normalization::Standardize { mean, deviation } => (Preprocessing::Standardize, mean, deviation),
        Normalization::MeanImage { mean } => (Preprocessing::MeanImage, mean, &[]),
        Normalization::GlobalContrast => (Preprocessing::GlobalContrast, &[], &[]),
        Normalization::LocalContrast => (Preprocessing::LocalContrast, &[], &[]),
    };
    let shape = image_shape(preparation.input);
    Normalizer::with_constants(kind, shape, preparation.max_value, mean, deviation).map_err(anyhow::Error::msg)
}

/// The images with the answers of `model` on `device`.
pub(crate) fn scored(model: &Model, images: &LabelledImages, device: &ComputeDevice) -> Result<ScoredImages> {
    let logits = logits(model, images, device)?;
    Ok(ScoredImages { are_made: false, pixels: images.pixels.clone(), labels: images.labels.clone(), logits })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparations_and_normalizers_are_the_same() {
        let shape = ImageShape { channels: 2, height: 3, width: 4 };
        let pixels = (0..48).map(|i| i * 5).collect();
        let images = LabelledImages { shape, pixels, labels: vec![0, 1] };
        for kind in [
            Preprocessing::Standardize,
            Preprocessing::MeanImage,
            Preprocessing::GlobalContrast,
            Preprocessing::LocalContrast,
        ] {
            let normalizer = Normalizer::fit(kind, &images, 250);
            assert_eq!(normalizer_of(&preparation(&normalizer)).unwrap(), normalizer);
        }
    }
}
