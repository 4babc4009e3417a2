//! What is known of a training: its network and its accuracies so far.

use serde::{Deserialize, Serialize};

use crate::space::Architecture;
use crate::study::CurvePoint;

/// What is known of a network before it is trained; `None` where it is not known.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct NetworkFeatures {
    /// Trainable values.
    pub params: Option<f64>,
    /// Layers.
    pub layers: Option<f64>,
    /// Learning rate at the start of the training.
    pub learning_rate: Option<f64>,
}

/// Number of values that [`NetworkFeatures::values`] has.
pub(super) const NETWORK_FEATURES: usize = 3;

impl NetworkFeatures {
    /// What is known of a network of a study, with `params` trainable values.
    pub fn of(architecture: &Architecture, params: u64, learning_rate: f64) -> Self {
        NetworkFeatures {
            params: Some(params as f64),
            layers: Some(architecture.layers().len() as f64),
            learning_rate: Some(learning_rate),
        }
    }

    /// The features of the regression: logarithms of parameters and learning rate, and the number of layers.
    pub(super) fn values(&self) -> [Option<f64>; NETWORK_FEATURES] {
        let ln = |value: f64| value.max(f64::MIN_POSITIVE).ln();
        [self.params.map(ln), self.layers, self.learning_rate.map(ln)]
    }
}

/// The accuracies of a training after its epochs.
#[derive(Clone, Debug, PartialEq)]
pub struct LearningCurve {
    /// Its network.
    pub network: NetworkFeatures,
    /// Validation accuracy after each epoch from the first, in [0, 1]; `None` where it was not measured.
    pub accuracies: Vec<Option<f64>>,
}

impl LearningCurve {
    /// The curve of a trial.
    pub fn of(network: NetworkFeatures, points: &[CurvePoint]) -> Self {
        let epochs = points.iter().map(|point| point.epoch as usize).max().unwrap_or(0);
        let mut accuracies = vec![None; epochs];
        for point in points {
            let at = (point.epoch as usize).checked_sub(1).and_then(|index| accuracies.get_mut(index));
            if let Some(accuracy) = at {
                *accuracy = Some(point.valid_accuracy).filter(|accuracy| accuracy.is_finite());
            }
        }
        LearningCurve { network, accuracies }
    }

    /// Epochs to its end, whether measured or not.
    pub fn epochs(&self) -> usize {
        self.accuracies.len()
    }

    /// The highest accuracy in the first `epochs` epochs; `None` where none was measured.
    pub fn best_until(&self, epochs: usize) -> Option<f64> {
        self.accuracies.iter().take(epochs).flatten().copied().reduce(f64::max)
    }

    /// The highest accuracy, a trial's reward; `None` where none was measured.
    pub fn best(&self) -> Option<f64> {
        self.best_until(self.epochs())
    }

    /// The accuracies at `epochs`, counted from 1 and rising, knowing nothing of what comes after the last of them: an epoch that was not measured
    /// has the accuracy before it, or else the first one there is. `None` where none was measured.
    pub(super) fn known_at(&self, epochs: &[usize]) -> Option<Vec<f64>> {
        let known = &self.accuracies[..epochs.last().map_or(0, |&last| last.min(self.epochs()))];
        let first = known.iter().flatten().next().copied()?;
        let at = |&epoch: &usize| known[..epoch.min(known.len())].iter().rev().flatten().next().copied();
        Some(epochs.iter().map(|epoch| at(epoch).unwrap_or(first)).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gaps_are_filled_with_what_was_known() {
        let accuracies = vec![None, Some(0.2), None, Some(0.5), Some(0.4)];
        let curve = LearningCurve { network: NetworkFeatures::default(), accuracies };
        assert_eq!(curve.known_at(&[1]), None);
        assert_eq!(curve.known_at(&[1, 2, 3]), Some(vec![0.2; 3]));
        assert_eq!(curve.known_at(&[3, 4]), Some(vec![0.2, 0.5]));
        // Beyond its end: as it ended.
        assert_eq!(curve.known_at(&[4, 9]), Some(vec![0.5, 0.4]));
        assert_eq!((curve.best_until(3), curve.best()), (Some(0.2), Some(0.5)));
    }
}
