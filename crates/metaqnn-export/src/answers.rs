//! Images with the answers of the model that was scored: what every export is compared with.

use std::collections::HashMap;

use metaqnn_core::study::predicted_class;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};

use crate::folder::Engine;
use crate::model::Model;
use crate::weights::in_words;

/// What the metadata call images that were made.
const MADE: &str = "made";

/// The logits of each network of a model, in their order; each of shape images × classes.
pub type Logits = Vec<Vec<f32>>;

/// Labelled images and what the scored model says of them.
#[derive(Clone, Debug, PartialEq)]
pub struct ScoredImages {
    /// Whether nobody knows what they show: made where the data of a study are not at hand. Their labels are then what the scored
    /// model says of them, so that there is no accuracy on them.
    pub are_made: bool,
    /// Pixels as stored, NCHW.
    pub pixels: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<u16>,
    /// The logits of the scored model.
    pub logits: Logits,
}

impl ScoredImages {
    /// So many made images, each of noise over another grey, with the answers of `engine`: enough to tell whether two programs compute
    /// the same. Always the same images of a shape.
    ///
    /// # Errors
    ///
    /// What the engine says.
    pub fn made(model: &Model, images: usize, engine: &mut Engine<'_>) -> Result<Self, String> {
        let preparation = model.preparation();
        let (size, white) = (preparation.pixels(), u32::from(preparation.max_value));
        // A linear congruential generator (Knuth's MMIX): no more is asked of the noise than that it is not flat.
        let mut state = 1_u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as u32
        };
        let mut pixels = Vec::with_capacity(images * size);
        for image in 0..images as u32 {
            let grey = white * image / (images as u32).max(1);
            pixels.extend((0..size).map(|_| ((grey + noise() % (white + 1)) / 2) as u8));
        }
        let logits = engine(model, &pixels)?;
        let classes = model.class_names().len();
        let labels = predicted_classes(&probabilities(&logits, classes), classes).map(|class| class as u16).collect();
        Ok(ScoredImages { are_made: true, pixels, labels, logits })
    }

    /// The share of them that the scored model has right; `None` of made ones.
    pub fn accuracy(&self, model: &Model) -> Option<f64> {
        self.accuracy_of(&self.logits, model)
    }

    /// The share of them that is right by these logits; `None` of made ones.
    pub(crate) fn accuracy_of(&self, logits: &[Vec<f32>], model: &Model) -> Option<f64> {
        (!self.are_made).then(|| accuracy(logits, &self.labels, model.class_names().len()))
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// Whether pixels, labels and logits are those of `model`'s images, networks and classes.
    pub(crate) fn check(&self, model: &Model) -> Result<(), String> {
        let (images, classes) = (self.len(), model.class_names().len());
        let expected = images * model.preparation().pixels();
        if self.pixels.len() != expected {
            return Err(format!("{images} images: expected {expected} pixels, found {}", self.pixels.len()));
        }
        if self.logits.len() != model.networks().len() {
            let (found, networks) = (self.logits.len(), model.networks().len());
            return Err(format!("expected the logits of {networks} networks, found those of {found}"));
        }
        if let Some(logits) = self.logits.iter().find(|logits| logits.len() != images * classes) {
            return Err(format!("{images} images: expected {} logits, found {}", images * classes, logits.len()));
        }
        if let Some(logit) = self.logits.iter().flatten().find(|logit| !logit.is_finite()) {
            return Err(format!("the answers of the scored model hold {logit}"));
        }
        match self.labels.iter().find(|&&label| usize::from(label) >= classes) {
            Some(label) => Err(format!("a label {label}, there are {classes} classes")),
            None => Ok(()),
        }
    }

    /// At most `n` of the images, evenly spread over them.
    pub fn part(&self, n: usize) -> ScoredImages {
        let images = self.len();
        let n = n.min(images);
        let chosen: Vec<usize> = (0..n).map(|i| i * images / n).collect();
        let rows = |values: &[f32]| -> Vec<f32> {
            let row = values.len() / images.max(1);
            chosen.iter().flat_map(|i| &values[i * row..(i + 1) * row]).copied().collect()
        };
        let pixels = self.pixels.len() / images.max(1);
        ScoredImages {
            are_made: self.are_made,
            pixels: chosen.iter().flat_map(|i| &self.pixels[i * pixels..(i + 1) * pixels]).copied().collect(),
            labels: chosen.iter().map(|&i| self.labels[i]).collect(),
            logits: self.logits.iter().map(|logits| rows(logits)).collect(),
        }
    }

    /// As safetensors: `images` (U8, NCHW), `labels` (U16, N), `logits` (F32, networks × N × classes) and `probabilities`
    /// (F32, N × classes); the metadata say `images`: `made` of made ones.
    pub(crate) fn to_safetensors(&self, model: &Model) -> Result<Vec<u8>, String> {
        let input = model.preparation().input;
        let (images, classes) = (self.len(), model.class_names().len());
        let floats = |values: &[f32]| -> Vec<u8> { values.iter().flat_map(|value| value.to_le_bytes()).collect() };
        let labels: Vec<u8> = self.labels.iter().flat_map(|label| label.to_le_bytes()).collect();
        let logits: Vec<u8> = self.logits.iter().flat_map(|logits| floats(logits)).collect();
        let probabilities = floats(&probabilities(&self.logits, classes));
        let [channels, height, width] = [input.channels, input.height, input.width].map(|n| n as usize);
        let tensors = [
            ("images", Dtype::U8, vec![images, channels, height, width], self.pixels.as_slice()),
            ("labels", Dtype::U16, vec![images], &labels),
            ("logits", Dtype::F32, vec![self.logits.len(), images, classes], &logits),
            ("probabilities", Dtype::F32, vec![images, classes], &probabilities),
        ];
        let views = tensors
            .into_iter()
            .map(|(name, kind, shape, bytes)| Ok((name, TensorView::new(kind, shape, bytes)?)))
            .collect::<Result<Vec<_>, _>>();
        let metadata = self.are_made.then(|| HashMap::from([("images".to_owned(), MADE.to_owned())]));
        views.and_then(|views| safetensors::serialize(views, metadata)).map_err(|error| in_words(&error))
    }

    /// What [`ScoredImages::to_safetensors`] wrote.
    pub(crate) fn from_safetensors(bytes: &[u8], model: &Model) -> Result<Self, String> {
        let read = SafeTensors::deserialize(bytes).map_err(|error| in_words(&error))?;
        let tensor = |name: &str, kind: Dtype| match read.tensor(name) {
            Ok(view) if view.dtype() == kind => Ok(view.data().to_vec()),
            Ok(view) => Err(format!("tensor {name}: expected {kind:?}, found {:?}", view.dtype())),
            Err(error) => Err(in_words(&error)),
        };
        let labels = tensor("labels", Dtype::U16)?;
        let (labels, _) = labels.as_chunks::<2>();
        let labels: Vec<u16> = labels.iter().map(|&bytes| u16::from_le_bytes(bytes)).collect();
        let logits = tensor("logits", Dtype::F32)?;
        let (logits, _) = logits.as_chunks::<4>();
        let logits: Vec<f32> = logits.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
        let row = (labels.len() * model.class_names().len()).max(1);
        let logits = logits.chunks(row).map(<[f32]>::to_vec).collect();
        let (_, header) = SafeTensors::read_metadata(bytes).map_err(|error| in_words(&error))?;
        let images = header.metadata().as_ref().and_then(|metadata| metadata.get("images"));
        let are_made = images.is_some_and(|images| images == MADE);
        let scored = ScoredImages { are_made, pixels: tensor("images", Dtype::U8)?, labels, logits };
        scored.check(model)?;
        Ok(scored)
    }
}

/// The probabilities of an ensemble, images × classes: the mean of the networks' softmax outputs.
pub fn probabilities(logits: &[Vec<f32>], classes: usize) -> Vec<f32> {
    let values = logits.first().map_or(0, Vec::len);
    let mut sums = vec![0.0_f64; values];
    for logits in logits {
        for (sums, logits) in sums.chunks_mut(classes.max(1)).zip(logits.chunks(classes.max(1))) {
            let greatest = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let exponential = |logit: f32| f64::from(logit - greatest).exp();
            let total: f64 = logits.iter().map(|&logit| exponential(logit)).sum();
            for (sum, &logit) in sums.iter_mut().zip(logits) {
                *sum += exponential(logit) / total;
            }
        }
    }
    sums.into_iter().map(|sum| (sum / logits.len() as f64) as f32).collect()
}

/// The most probable class of each row, of equally probable ones the first.
pub fn predicted_classes(probabilities: &[f32], classes: usize) -> impl Iterator<Item = usize> {
    probabilities.chunks(classes.max(1)).map(predicted_class)
}

/// The share of images whose most probable class is their label.
pub fn accuracy(logits: &[Vec<f32>], labels: &[u16], classes: usize) -> f64 {
    let probabilities = probabilities(logits, classes);
    let predicted = predicted_classes(&probabilities, classes);
    let right = predicted.zip(labels).filter(|(class, label)| *class == usize::from(**label)).count();
    right as f64 / labels.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ensemble_answers_with_the_mean_of_probabilities() {
        let [a, b] = [vec![0.0, 3.0_f32.ln()], vec![3.0_f32.ln(), 0.0]];
        let answers = probabilities(&[a.clone(), b], 2);
        assert!(answers.iter().all(|p| (p - 0.5).abs() < 1e-6), "{answers:?}");
        let answers = probabilities(&[a], 2);
        assert!((answers[1] - 0.75).abs() < 1e-6, "{answers:?}");
        assert_eq!(predicted_classes(&answers, 2).collect::<Vec<_>>(), [1]);
        assert_eq!(probabilities(&[vec![1000.0, -1000.0]], 2), [1.0, 0.0]);
    }

    #[test]
    fn a_part_is_spread_over_the_images() {
        let scored = ScoredImages {
            are_made: false,
            pixels: (0..20).collect(),
            labels: (0..10).collect(),
            logits: vec![(0..10_u8).map(f32::from).collect()],
        };
        let part = scored.part(4);
        assert_eq!(part.labels, [0, 2, 5, 7]);
        assert_eq!(part.pixels, [0, 1, 4, 5, 10, 11, 14, 15]);
        assert_eq!(part.logits, [[0.0, 2.0, 5.0, 7.0]]);
        assert_eq!(scored.part(99).len(), 10);
    }
}
