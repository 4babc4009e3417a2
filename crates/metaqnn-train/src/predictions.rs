//! A trained network applied to labelled images.

use metaqnn_core::graph::Graph;
use metaqnn_core::study::{Accuracy, predicted_class};
use metaqnn_data::{Batches, LabelledImages, Normalizer};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::burn_engine;
use crate::cpu::CpuNetwork;
use crate::device::ComputeDevice;
use crate::weights::{Stored, WeightsError};

/// Class probabilities of images.
#[derive(Clone, Debug, PartialEq)]
pub struct Predictions {
    classes: usize,
    /// Images × classes.
    probabilities: Vec<f32>,
}

impl Predictions {
    /// Number of images.
    pub fn len(&self) -> usize {
        self.probabilities.len() / self.classes.max(1)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.probabilities.is_empty()
    }

    /// Number of classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    /// The probabilities of each image in turn, one a class, summing to 1.
    pub fn probabilities(&self) -> impl ExactSizeIterator<Item = &[f32]> {
        self.probabilities.chunks_exact(self.classes.max(1))
    }

    /// All probabilities, images × classes.
    pub fn into_probabilities(self) -> Vec<f32> {
        self.probabilities
    }

    /// The most probable class of each image, of equally probable ones the first.
    pub fn predicted_classes(&self) -> impl ExactSizeIterator<Item = usize> {
        self.probabilities().map(predicted_class)
    }

    /// The share of images whose most probable class is the one of `labels`.
    pub fn accuracy(&self, labels: &[u16]) -> Accuracy {
        let correct = self.predicted_classes().zip(labels).filter(|(class, label)| *class == usize::from(**label));
        Accuracy::of(correct.count(), labels.len())
    }
}

/// The logits of `images`, images × classes, under the trained network of `graph` whose weights are in `weights`, as
/// [`Learner::to_safetensors`](crate::Learner::to_safetensors) writes them.
///
/// Nothing is dropped out, and batch normalization uses its running statistics.
///
/// # Errors
///
/// [`WeightsError`] names the tensor that is missing, of another shape or type, or not of this network.
pub fn logits(
    graph: &Graph,
    weights: &[u8],
    images: &LabelledImages,
    normalizer: &Normalizer,
    device: &ComputeDevice,
) -> Result<Vec<f32>, WeightsError> {
    Ok(match device {
        ComputeDevice::Cpu => {
            let batch_size = batch_size(graph);
            let threads = rayon::current_num_threads();
            let mut network = CpuNetwork::new(graph, batch_size, threads, Stored::new(weights)?)?;
            each_batch(images, normalizer, batch_size, |batch, _, to| {
                network.forward(batch, None);
                network.logits(to);
            })
        }
        ComputeDevice::Burn(device) => burn_engine::logits(graph, weights, images, normalizer, device)?,
    })
}

/// Images of an evaluation batch of `graph`, so many that its largest feature maps take near 16 MiB. The answers do not depend on it
/// beyond rounding.
pub(crate) fn batch_size(graph: &Graph) -> usize {
    let largest = graph.nodes().iter().map(|node| node.output.values()).max().unwrap_or(0);
    let largest = usize::try_from(largest).unwrap_or(usize::MAX);
    (EVALUATION_VALUES / largest.max(1)).clamp(16, 512)
}

/// Class probabilities of `images`: `add` gets normalized images, NCHW, and their number, and adds a row for each.
pub(crate) fn predict_batches(
    images: &LabelledImages,
    normalizer: &Normalizer,
    batch_size: usize,
    add: impl FnMut(&[f32], usize, &mut Vec<f32>),
) -> Predictions {
    let probabilities = each_batch(images, normalizer, batch_size, add);
    Predictions { classes: probabilities.len() / images.len().max(1), probabilities }
}

/// What `add` adds for each batch, in the order of the images.
pub(crate) fn each_batch(
    images: &LabelledImages,
    normalizer: &Normalizer,
    batch_size: usize,
    mut add: impl FnMut(&[f32], usize, &mut Vec<f32>),
) -> Vec<f32> {
    let mut batches = Batches::new(images, normalizer, None, batch_size);
    // Nothing is drawn without augmentation.
    let mut unused = ChaCha8Rng::seed_from_u64(0);
    let mut rows = Vec::new();
    while let Some(batch) = batches.next_batch(&mut unused) {
        add(batch.images, batch.labels.len(), &mut rows);
    }
    rows
}

/// Values of the largest feature maps of one evaluation batch.
const EVALUATION_VALUES: usize = 1 << 22;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_counts_the_most_probable_class() {
        let predictions = Predictions { classes: 2, probabilities: vec![0.4, 0.6, 0.5, 0.5, 0.9, 0.1] };
        assert_eq!(predictions.predicted_classes().collect::<Vec<_>>(), [1, 0, 0]);
        assert_eq!(predictions.accuracy(&[1, 0, 1]), Accuracy::of(2, 3));
        assert_eq!((predictions.len(), predictions.classes()), (3, 2));
    }

    #[test]
    fn what_is_not_a_number_is_not_a_class() {
        let predictions = Predictions { classes: 3, probabilities: vec![f32::NAN; 3] };
        assert_eq!(predictions.predicted_classes().collect::<Vec<_>>(), [0]);
    }
}
