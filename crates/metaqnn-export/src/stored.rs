//! A network as studies keep it: weights, and with them the preparation of the images that it was trained on.

use metaqnn_core::graph::MapShape;
use safetensors::SafeTensors;
use serde::Deserialize;

use crate::preparation::{Normalization, Preparation};
use crate::weights::{Weights, in_words};

/// The weights of a network and, where the program that trained it kept that too, what is done to images.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredNetwork {
    /// Its tensors.
    pub weights: Weights,
    /// The preparation; `None` where an earlier version trained the network.
    pub preparation: Option<Preparation>,
}

/// What the metadata say of the preparation.
#[derive(Deserialize)]
struct Kept {
    normalization: String,
    max_value: u8,
}

impl StoredNetwork {
    /// What is in `bytes` of the format safetensors, of a network for images of shape `input`.
    ///
    /// # Errors
    ///
    /// Says in words what is wrong with the bytes, or which constant of the preparation is missing.
    pub fn from_safetensors(bytes: &[u8], input: MapShape) -> Result<Self, String> {
        let mut weights = Weights::from_safetensors(bytes)?;
        let constants = weights.split_off("preparation.");
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| in_words(&error))?;
        let Some(text) = header.metadata().as_ref().and_then(|metadata| metadata.get("preparation")) else {
            return Ok(StoredNetwork { weights, preparation: None });
        };
        let kept: Kept = serde_json::from_str(text).map_err(|error| format!("its preparation {text}: {error}"))?;
        let normalization = Normalization::of(&kept.normalization, &constants)?;
        let preparation = Preparation { input, max_value: kept.max_value, normalization };
        preparation.check().map_err(|error| error.to_string())?;
        Ok(StoredNetwork { weights, preparation: Some(preparation) })
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use safetensors::tensor::{Dtype, TensorView};

    use super::*;

    const INPUT: MapShape = MapShape { channels: 1, height: 8, width: 8 };

    fn stored(metadata: Option<&str>) -> Vec<u8> {
        let one = 1.5_f32.to_le_bytes();
        let names = ["preparation.deviation", "preparation.mean", "softmax.weight"];
        let views = names.map(|name| (name, TensorView::new(Dtype::F32, vec![1], &one).unwrap()));
        let metadata = metadata.map(|text| HashMap::from([("preparation".to_owned(), text.to_owned())]));
        safetensors::serialize(views, metadata).unwrap()
    }

    #[test]
    fn the_preparation_is_taken_from_among_the_weights() {
        let bytes = stored(Some(r#"{"normalization":"standardize","max_value":16}"#));
        let network = StoredNetwork::from_safetensors(&bytes, INPUT).unwrap();
        assert_eq!(network.weights.iter().map(|(name, _)| name).collect::<Vec<_>>(), ["softmax.weight"]);
        let preparation = network.preparation.unwrap();
        assert_eq!(preparation.max_value, 16);
        assert_eq!(preparation.normalization, Normalization::Standardize { mean: vec![1.5], deviation: vec![1.5] });
        assert_eq!(StoredNetwork::from_safetensors(&stored(None), INPUT).unwrap().preparation, None);
        for wrong in
            ["{", r#"{"normalization":"whiten","max_value":16}"#, r#"{"normalization":"mean-image","max_value":16}"#]
        {
            assert!(StoredNetwork::from_safetensors(&stored(Some(wrong)), INPUT).is_err(), "{wrong}");
        }
    }
}
