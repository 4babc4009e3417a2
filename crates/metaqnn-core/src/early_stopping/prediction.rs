//! The rule by prediction: stop when P(final ≤ the accuracy to beat) ≥ Δ (Baker et al., arXiv 1705.10823, section 3.2).

use serde::{Deserialize, Serialize};

use super::curve::{LearningCurve, NETWORK_FEATURES};
use super::ridge::Ridge;
use super::rule::{StopReason, rounded};

/// Most epochs at which a training is looked at; of longer ones the early epochs are looked at more densely.
const MOST_LOOKS: usize = 20;

/// The least deviation of a prediction, so that a fit without any error still gives probabilities.
const LEAST_DEVIATION: f64 = 1e-6;

/// By how much the full curves must have grown for another fit: one more changes little.
const GROWTH: f64 = 0.05;

/// How the rule by prediction is set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionSettings {
    /// Δ in (0, 1): the probability of not beating the others from which a training is stopped.
    pub probability: f64,
    /// Trainings that go to their end before any is stopped, at least 2.
    pub full_curves: usize,
    /// The best trainings so far, so many of them: a training goes on while it may get among them. 1: it must beat the best, as published.
    pub best: usize,
    /// The epoch, from 1, before whose end none is stopped.
    pub first_epoch: usize,
}

impl Default for PredictionSettings {
    /// What kept all of the ten best in each of 160 replays on recorded curves and on disturbed ones (docs/early-stopping.md).
    fn default() -> Self {
        PredictionSettings { probability: 0.99, full_curves: 30, best: 10, first_epoch: 1 }
    }
}

/// What is predicted after an epoch, as a linear function of the accuracies so far and of the network.
///
/// First and second differences of the accuracies, which the authors add to them, are linear in them and would change nothing but the
/// penalty.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Look {
    /// The epoch, from 1.
    pub epoch: usize,
    /// The function's value where everything is 0.
    pub intercept: f64,
    /// Weights of the accuracies at this and the earlier looks, then of ln(parameters), layers and ln(learning rate).
    pub weights: Vec<f64>,
    /// σ: root mean square of the residuals of leaving one out.
    pub deviation: f64,
}

/// The rule by prediction for one training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PredictionRule {
    /// In the order of their epochs.
    pub looks: Vec<Look>,
    /// Means over the full curves of what [`Look::weights`] holds of the network; they stand for what is not known.
    pub network_means: [f64; NETWORK_FEATURES],
    /// The accuracy to beat.
    pub to_beat: f64,
    /// Δ.
    pub probability: f64,
    /// The epoch, from 1, before whose end the training is not stopped.
    pub first_epoch: usize,
}

impl PredictionRule {
    /// The predicted final accuracy after `epoch` and its deviation: at least the best so far, at most 1. `None` where that epoch is not looked
    /// at or was not measured.
    pub fn predict(&self, curve: &LearningCurve, epoch: usize) -> Option<(f64, f64)> {
        let look = self.looks.iter().find(|look| look.epoch == epoch)?;
        curve.accuracies.get(epoch.checked_sub(1)?)?.as_ref()?;
        let epochs: Vec<usize> = self.looks.iter().map(|look| look.epoch).take_while(|&it| it <= epoch).collect();
        let mut row = curve.known_at(&epochs)?;
        let network = curve.network.values().into_iter().zip(self.network_means);
        row.extend(network.map(|(value, mean)| value.unwrap_or(mean)));
        let linear: f64 = row.iter().zip(&look.weights).map(|(value, weight)| value * weight).sum();
        let best_so_far = curve.best_until(epoch)?;
        Some(((look.intercept + linear).min(1.0).max(best_so_far), look.deviation.max(LEAST_DEVIATION)))
    }

    /// Why the training is to be stopped after `epoch`; `None` where it is to go on.
    pub fn decide(&self, curve: &LearningCurve, epoch: usize) -> Option<StopReason> {
        let (predicted, deviation) = self.predict(curve, epoch)?;
        let accuracy = curve.best_until(epoch)?;
        if epoch < self.first_epoch || accuracy > self.to_beat {
            return None;
        }
        let probability = normal_distribution((self.to_beat - predicted) / deviation);
        (probability >= self.probability).then_some(StopReason::Predicted {
            epoch,
            accuracy: rounded(accuracy),
            predicted: rounded(predicted),
            deviation: rounded(deviation),
            to_beat: rounded(self.to_beat),
            // Never certain.
            probability: ((probability * 1e4).floor() / 1e4).min(0.9999),
        })
    }
}

/// Φ(z), the probability that a standard normal variable is at most `z`.
fn normal_distribution(z: f64) -> f64 {
    0.5 * libm::erfc(-z / std::f64::consts::SQRT_2)
}

/// Makes rules from full curves.
#[derive(Clone, Debug)]
pub(super) struct Predictor {
    settings: PredictionSettings,
    full: Vec<LearningCurve>,
    /// The accuracies of `full`, best first.
    finals: Vec<f64>,
    /// The last fit, and on how many of `full`.
    fit: Option<(usize, PredictionRule)>,
}

impl Predictor {
    pub(super) fn new(settings: PredictionSettings) -> Self {
        Predictor { settings, full: Vec::new(), finals: Vec::new(), fit: None }
    }

    /// Takes note of a training that went to its end; one without any accuracy tells nothing.
    pub(super) fn note_full(&mut self, curve: LearningCurve) {
        if let Some(best) = curve.best() {
            let at = self.finals.partition_point(|other| *other >= best);
            self.finals.insert(at, best);
            self.full.push(curve);
        }
    }

    /// The rule for the next training, `None` while there are too few full curves.
    pub(super) fn rule(&mut self) -> Option<PredictionRule> {
        let least = self.settings.full_curves.max(2);
        if self.full.len() < least {
            return None;
        }
        let mut fitted = least;
        // The same steps however often a rule was asked for, so that a study that goes on fits on the same curves.
        loop {
            let next = (fitted + 1).max((fitted as f64 * (1.0 + GROWTH)).ceil() as usize);
            if next > self.full.len() {
                break;
            }
            fitted = next;
        }
        if self.fit.as_ref().is_none_or(|(n, _)| *n != fitted) {
            self.fit = Some((fitted, fit(&self.full[..fitted], &self.settings)));
        }
        let (_, rule) = self.fit.as_ref()?;
        let to_beat = *self.finals.get(self.settings.best.clamp(1, self.finals.len()) - 1)?;
        Some(PredictionRule { to_beat, ..rule.clone() })
    }
}

/// Fits a look for each of the epochs before the last one.
fn fit(full: &[LearningCurve], settings: &PredictionSettings) -> PredictionRule {
    let epochs = full.iter().map(LearningCurve::epochs).max().unwrap_or(0);
    let network: Vec<_> = full.iter().map(|curve| curve.network.values()).collect();
    let network_means = std::array::from_fn(|i| {
        let known: Vec<f64> = network.iter().filter_map(|values| values[i]).collect();
        known.iter().sum::<f64>() / known.len().max(1) as f64
    });
    let targets: Vec<f64> = full.iter().filter_map(LearningCurve::best).collect();
    let all = look_epochs(epochs);
    let look = |n: usize| {
        let row = |(curve, values): (&LearningCurve, &[Option<f64>; NETWORK_FEATURES])| -> Vec<f64> {
            // What a full curve begins with is known by now, even where its first epochs were not measured.
            let until = curve
                .known_at(&all[..=n])
                .or_else(|| Some(vec![curve.accuracies.iter().flatten().next().copied()?; n + 1]));
            let mut row = until.unwrap_or_default();
            row.extend(
                values.iter().zip(network_means).map(|(value, mean): (&Option<f64>, f64)| value.unwrap_or(mean)),
            );
            row
        };
        let rows: Vec<Vec<f64>> = full.iter().zip(&network).map(row).collect();
        let Ridge { intercept, weights, residual_deviation } = Ridge::fit(&rows, &targets);
        Look { epoch: all[n], intercept, weights, deviation: residual_deviation }
    };
    let PredictionSettings { probability, first_epoch, .. } = *settings;
    PredictionRule { looks: (0..all.len()).map(look).collect(), network_means, to_beat: 1.0, probability, first_epoch }
}

/// The epochs, from 1, after which a training of so many is looked at: all but the last, or of many some, in growing steps.
fn look_epochs(epochs: usize) -> Vec<usize> {
    let last = epochs.saturating_sub(1);
    if last <= MOST_LOOKS {
        return (1..=last).collect();
    }
    let at = |i: usize| (last as f64).powf(i as f64 / (MOST_LOOKS - 1) as f64).round() as usize;
    let mut looks: Vec<usize> = (0..MOST_LOOKS).map(at).collect();
    looks.dedup();
    looks
}

#[cfg(test)]
mod tests {
    use super::super::curve::NetworkFeatures;
    use super::*;

    fn curve(accuracies: &[f64]) -> LearningCurve {
        let accuracies = accuracies.iter().copied().map(Some).collect();
        LearningCurve { network: NetworkFeatures::default(), accuracies }
    }

    /// Final accuracy f, first f/2 with a little of its own, second ¾·f.
    fn full_curves() -> Vec<LearningCurve> {
        let at = |i: u32| {
            let end = 0.3 + 0.01 * f64::from(i);
            let own = 0.005 * f64::from(i % 3) - 0.005;
            curve(&[end / 2.0 + own, 0.75 * end + own / 4.0, end])
        };
        (0..40).map(at).collect()
    }

    fn rule(settings: PredictionSettings) -> PredictionRule {
        let mut predictor = Predictor::new(settings);
        for curve in full_curves() {
            predictor.note_full(curve);
        }
        predictor.rule().unwrap()
    }

    #[test]
    fn the_normal_distribution_is_that_of_the_tables() {
        for (z, probability) in [(0.0, 0.5), (1.0, 0.841_344_7), (-1.96, 0.024_997_9), (2.326_348, 0.99)] {
            assert!((normal_distribution(z) - probability).abs() < 1e-6, "{z}");
        }
    }

    #[test]
    fn the_tenth_best_is_to_be_beaten_and_later_looks_are_surer() {
        let rule = rule(PredictionSettings::default());
        assert!((rule.to_beat - 0.60).abs() < 1e-9, "{}", rule.to_beat);
        assert_eq!(rule.looks.iter().map(|look| look.epoch).collect::<Vec<_>>(), [1, 2]);
        assert!(rule.looks[1].deviation < rule.looks[0].deviation);
        let (predicted, _) = rule.predict(&curve(&[0.25, 0.375]), 2).unwrap();
        assert!((predicted - 0.5).abs() < 0.01, "{predicted}");
    }

    #[test]
    fn what_is_stopped_is_stopped_with_less_confidence_and_a_lower_start_too() {
        let loose = rule(PredictionSettings { probability: 0.8, ..Default::default() });
        let strict = rule(PredictionSettings { probability: 0.999, ..Default::default() });
        let mut stopped_higher = true;
        let mut counts = (0, 0);
        for step in 0..60 {
            let training = curve(&[0.1 + 0.005 * f64::from(step)]);
            let (by_loose, by_strict) = (loose.decide(&training, 1).is_some(), strict.decide(&training, 1).is_some());
            assert!(by_loose || !by_strict, "{training:?}");
            assert!(stopped_higher || !by_loose, "{training:?}");
            stopped_higher = by_loose;
            counts = (counts.0 + u32::from(by_loose), counts.1 + u32::from(by_strict));
        }
        assert!(counts.1 > 0 && counts.1 < counts.0 && counts.0 < 60, "{counts:?}");
    }

    #[test]
    fn who_has_beaten_them_already_goes_on() {
        let rule = rule(PredictionSettings { probability: 0.01, ..Default::default() });
        assert_eq!(rule.decide(&curve(&[0.61, 0.2]), 2), None);
        assert!(rule.decide(&curve(&[0.2, 0.2]), 2).is_some());
    }

    #[test]
    fn too_few_curves_give_no_rule() {
        let mut predictor = Predictor::new(PredictionSettings::default());
        for curve in full_curves().into_iter().take(29) {
            predictor.note_full(curve);
        }
        assert_eq!(predictor.rule(), None);
    }

    #[test]
    fn long_trainings_are_looked_at_in_growing_steps() {
        assert_eq!(look_epochs(1), [] as [usize; 0]);
        assert_eq!(look_epochs(4), [1, 2, 3]);
        let looks = look_epochs(300);
        assert!(looks.len() <= MOST_LOOKS && looks.starts_with(&[1, 2]) && looks.ends_with(&[299]), "{looks:?}");
        assert!(looks.is_sorted_by(|a, b| a < b), "{looks:?}");
    }
}
