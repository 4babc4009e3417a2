//! Validation accuracy over the search.

use metaqnn_core::settings::StoppedReward;
use metaqnn_core::study::TrialNumber;
use metaqnn_store::StoredTrial;

/// Bins of a histogram of accuracies over [0, 1].
pub const BINS: usize = 20;

/// A model with its accuracy.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Model {
    /// Its trial.
    pub trial: TrialNumber,
    /// ε at which it was sampled.
    pub epsilon: f64,
    /// Validation accuracy, of a trial that was stopped what it reached; of a network that failed 1/classes, the reward of a failure.
    pub accuracy: f64,
}

/// Every model that the agent learned of, in that order. Networks over a limit are none, and of a network whose worker died
/// the agent was told nothing.
pub fn models(trials: &[StoredTrial], classes: u32) -> Vec<Model> {
    let outcomes = trials.iter().map(|trial| (trial, &trial.record.evaluation.outcome));
    outcomes
        .filter(|(_, outcome)| outcome.counts_as_model())
        .filter_map(|(trial, outcome)| {
            let accuracy = outcome.reward(classes, StoppedReward::Reached)?;
            Some(Model { trial: trial.record.trial, epsilon: trial.epsilon, accuracy })
        })
        .collect()
}

/// Models of a rolling mean: the paper's 100, in a short study a fifth of it, at least 5.
pub fn window(models: usize) -> usize {
    (models / 5).clamp(5, 100)
}

/// The mean of the last `window` accuracies at each model from the `window`th on: pairs of number of models and mean.
pub fn rolling_mean(models: &[Model], window: usize) -> Vec<(usize, f64)> {
    let ends = window.max(1)..=models.len();
    let mean = |end: usize| models[end - window.max(1)..end].iter().map(|model| model.accuracy).sum::<f64>();
    ends.map(|end| (end, mean(end) / window.max(1) as f64)).collect()
}

/// The models sampled at one ε.
#[derive(Clone, Debug, PartialEq)]
pub struct EpsilonGroup {
    /// ε.
    pub epsilon: f64,
    /// How many.
    pub models: usize,
    /// Mean of their accuracies.
    pub mean: f64,
    /// How many of them have an accuracy in each of [`BINS`] equal bins of [0, 1]; a bin holds its lower edge, the last
    /// one also 1.
    pub histogram: [usize; BINS],
}

/// The models by ε, the highest first.
pub fn by_epsilon(models: &[Model]) -> Vec<EpsilonGroup> {
    let mut epsilons: Vec<f64> = models.iter().map(|model| model.epsilon).collect();
    epsilons.sort_by(|a, b| b.total_cmp(a));
    epsilons.dedup();
    let group = |epsilon: f64| {
        let accuracies: Vec<f64> = models.iter().filter(|m| m.epsilon == epsilon).map(|m| m.accuracy).collect();
        let mut histogram = [0; BINS];
        for accuracy in &accuracies {
            histogram[bin(*accuracy)] += 1;
        }
        let mean = accuracies.iter().sum::<f64>() / accuracies.len() as f64;
        EpsilonGroup { epsilon, models: accuracies.len(), mean, histogram }
    };
    epsilons.into_iter().map(group).collect()
}

fn bin(accuracy: f64) -> usize {
    // Guards against an accuracy such as 0.15 that is stored a little below the edge which it names.
    ((accuracy * BINS as f64 + 1e-9) as usize).min(BINS - 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(trial: u64, epsilon: f64, accuracy: f64) -> Model {
        Model { trial: TrialNumber(trial), epsilon, accuracy }
    }

    #[test]
    fn the_rolling_mean_is_of_the_last_ones() {
        let models: Vec<Model> = (1..=4).map(|n| model(n, 1.0, n as f64 / 10.0)).collect();
        let means = rolling_mean(&models, 2);
        assert_eq!(means.iter().map(|(end, _)| *end).collect::<Vec<_>>(), [2, 3, 4]);
        assert!(means.iter().zip([0.15, 0.25, 0.35]).all(|((_, mean), expected)| (mean - expected).abs() < 1e-12));
        assert_eq!(rolling_mean(&models, 5), []);
        assert_eq!((window(10), window(300), window(2700)), (5, 60, 100));
    }

    #[test]
    fn groups_are_by_epsilon_whatever_the_order() {
        let models = [model(1, 1.0, 0.1), model(2, 0.5, 0.15), model(3, 1.0, 1.0), model(4, 0.5, 0.2499)];
        let groups = by_epsilon(&models);
        assert_eq!((groups[0].epsilon, groups[0].models, groups[0].mean), (1.0, 2, 0.55));
        assert_eq!((groups[0].histogram[2], groups[0].histogram[19]), (1, 1));
        assert_eq!((groups[1].histogram[3], groups[1].histogram[4]), (1, 1));
        assert_eq!(by_epsilon(&[]), []);
    }
}
