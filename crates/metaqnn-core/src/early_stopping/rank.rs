//! The rule by rank: successive halving (Jamieson and Talwalkar, 2016), each training judged by those that got there before it, as in
//! Li et al., "A System for Massively Parallel Hyperparameter Tuning", 2020, but without waiting: who is stopped stays so.

use serde::{Deserialize, Serialize};

use super::curve::LearningCurve;
use super::rule::{StopReason, rounded};

/// How the rule by rank is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RankSettings {
    /// Share in [0, 1) of those that got to a rung before it that a training must not be behind.
    pub share: f64,
    /// The epochs, from 1, after which trainings are compared, rising.
    pub epochs: Vec<usize>,
    /// Trainings that must have got to a rung before any is stopped there.
    pub startup: usize,
}

impl Default for RankSettings {
    /// Half of the trainings are stopped after 1, 2, 4, 8, … epochs each.
    fn default() -> Self {
        RankSettings { share: 0.5, epochs: (0..12).map(|i| 1 << i).collect(), startup: 10 }
    }
}

/// What a training must have reached after an epoch.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rung {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The least best accuracy so far to go on with.
    pub accuracy: f64,
}

/// The rule by rank for one training.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct RankRule {
    /// In the order of their epochs.
    pub rungs: Vec<Rung>,
}

impl RankRule {
    /// Why the training is to be stopped after `epoch`; `None` where it is to go on.
    pub fn decide(&self, curve: &LearningCurve, epoch: usize) -> Option<StopReason> {
        let rung = self.rungs.iter().find(|rung| rung.epoch == epoch)?;
        let accuracy = curve.best_until(epoch)?;
        (accuracy < rung.accuracy).then_some(StopReason::Behind {
            epoch,
            accuracy: rounded(accuracy),
            least: rounded(rung.accuracy),
        })
    }
}

/// The accuracies of the trainings that got to each rung.
#[derive(Clone, Debug)]
pub(super) struct Ranking {
    settings: RankSettings,
    /// By rung, lowest first.
    accuracies: Vec<Vec<f64>>,
}

impl Ranking {
    pub(super) fn new(settings: RankSettings) -> Self {
        Ranking { accuracies: vec![Vec::new(); settings.epochs.len()], settings }
    }

    /// Takes note of a training, stopped or not. After its last epoch nothing is left to be stopped, so that is no rung.
    pub(super) fn note(&mut self, curve: &LearningCurve) {
        for (&epoch, accuracies) in self.settings.epochs.iter().zip(&mut self.accuracies) {
            if epoch <= curve.epochs()
                && let Some(accuracy) = curve.best_until(epoch)
            {
                let at = accuracies.partition_point(|other| *other < accuracy);
                accuracies.insert(at, accuracy);
            }
        }
    }

    pub(super) fn rule(&self) -> RankRule {
        let rung = |(&epoch, accuracies): (&usize, &Vec<f64>)| {
            let behind = (self.settings.share * accuracies.len() as f64) as usize;
            let is_ready = behind > 0 && accuracies.len() >= self.settings.startup;
            is_ready.then(|| accuracies.get(behind).map(|&accuracy| Rung { epoch, accuracy })).flatten()
        };
        RankRule { rungs: self.settings.epochs.iter().zip(&self.accuracies).filter_map(rung).collect() }
    }
}

#[cfg(test)]
mod tests {
    use super::super::curve::NetworkFeatures;
    use super::*;

    fn curve(accuracies: &[f64]) -> LearningCurve {
        let accuracies = accuracies.iter().copied().map(Some).collect();
        LearningCurve { network: NetworkFeatures::default(), accuracies }
    }

    #[test]
    fn a_rung_is_the_quantile_of_those_that_got_there() {
        let mut ranking = Ranking::new(RankSettings { share: 0.5, epochs: vec![1, 2], startup: 4 });
        for accuracies in [&[0.1, 0.5][..], &[0.4], &[0.3, 0.2, 0.9]] {
            ranking.note(&curve(accuracies));
            assert_eq!(ranking.rule(), RankRule::default());
        }
        ranking.note(&curve(&[0.2]));
        assert_eq!(ranking.rule().rungs, [Rung { epoch: 1, accuracy: 0.3 }]);
        ranking.note(&curve(&[0.6, 0.6]));
        ranking.note(&curve(&[0.7, 0.4]));
        let rule = ranking.rule();
        assert_eq!(rule.rungs, [Rung { epoch: 1, accuracy: 0.4 }, Rung { epoch: 2, accuracy: 0.6 }]);
        assert!(rule.decide(&curve(&[0.39]), 1).is_some());
        assert_eq!(rule.decide(&curve(&[0.4]), 1), None);
        // The best so far counts, not the last.
        assert_eq!(rule.decide(&curve(&[0.6, 0.1]), 2), None);
    }
}
