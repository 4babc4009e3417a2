//! Which trials are stopped early: those that after some epochs are behind most of the others.

use crate::ports::PruneRule;
use crate::settings::PruningSettings;
use crate::study::Evaluation;

/// The accuracies that earlier trials had at the epoch at which trials are looked at.
///
/// The rule for a trial follows from the trials that the agent had been told of when it was asked for, so that one worker trains
/// the same way each time.
#[derive(Clone, Debug)]
pub struct Pruning {
    settings: PruningSettings,
    accuracies: Vec<f64>,
}

impl Pruning {
    /// Without any trial.
    pub fn new(settings: PruningSettings) -> Self {
        Pruning { settings, accuracies: Vec::new() }
    }

    /// Takes note of a trial that has ended; of one that failed nothing is learned.
    pub fn note(&mut self, evaluation: &Evaluation) {
        if evaluation.outcome.valid_accuracy().is_none() {
            return;
        }
        if let Some(point) = evaluation.curve.iter().find(|point| point.epoch == self.settings.epoch) {
            let at = self.accuracies.partition_point(|accuracy| *accuracy < point.valid_accuracy);
            self.accuracies.insert(at, point.valid_accuracy);
        }
    }

    /// The rule for the next trial: the accuracy that the settings' share of the earlier ones did not reach. `None` while
    /// there are too few of them or nothing is to be pruned.
    pub fn rule(&self) -> Option<PruneRule> {
        let PruningSettings { share, epoch, startup_trials } = self.settings;
        let n = self.accuracies.len();
        let behind = (share * n as f64) as usize;
        if behind == 0 || n < startup_trials as usize {
            return None;
        }
        Some(PruneRule { epoch, valid_accuracy: *self.accuracies.get(behind)? })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::study::{Accuracy, CurvePoint, Failure, Outcome};

    fn evaluation(accuracies: &[f64]) -> Evaluation {
        let curve: Vec<CurvePoint> = (1..)
            .zip(accuracies)
            .map(|(epoch, &valid_accuracy)| CurvePoint { epoch, train_loss: 1.0, valid_accuracy })
            .collect();
        let outcome = Outcome::Complete { valid_accuracy: Accuracy::new(*accuracies.last().unwrap()).unwrap() };
        Evaluation { outcome, curve, epochs: 1, tries: 1, train_seconds: 0.0 }
    }

    #[test]
    fn the_rule_is_the_quantile_of_the_trials_before() {
        let mut pruning = Pruning::new(PruningSettings { share: 0.4, epoch: 1, startup_trials: 5 });
        for accuracy in [0.5, 0.1, 0.4, 0.3] {
            pruning.note(&evaluation(&[accuracy, 0.9]));
            assert_eq!(pruning.rule(), None);
        }
        pruning.note(&Evaluation::failed(Failure::LossNotFinite { epoch: 1 }));
        assert_eq!(pruning.rule(), None);
        pruning.note(&evaluation(&[0.2]));
        assert_eq!(pruning.rule(), Some(PruneRule { epoch: 1, valid_accuracy: 0.3 }));
    }

    #[test]
    fn without_a_share_nothing_is_pruned() {
        let mut pruning = Pruning::new(PruningSettings { share: 0.0, epoch: 1, startup_trials: 1 });
        pruning.note(&evaluation(&[0.5]));
        assert_eq!(pruning.rule(), None);
    }
}
