//! What rewards to expect of trajectories never tried.

use std::borrow::Cow;
use std::collections::HashMap;

use super::decision_process::Reward;
use super::features::Feature;
use super::gaussian_process::{GaussianProcess, Prediction};

/// The least share of wrong answers that is told from none.
const LEAST_ERROR: f64 = 1e-3;

/// Share of the designs that learned with which a failure counts as equal.
const FAILURE_QUANTILE: f64 = 0.1;

/// What the model predicts of an accuracy a: −ln(1 − a), in which halving the error is the same step everywhere.
fn target(accuracy: f64) -> f64 {
    -(1.0 - accuracy).max(LEAST_ERROR).ln()
}

/// Trajectories with what they earned: what a reward model is fitted to.
#[derive(Clone, Debug)]
pub struct Observations<A> {
    columns: HashMap<Cow<'static, str>, usize>,
    observations: Vec<Observation<A>>,
    most: usize,
}

#[derive(Clone, Debug)]
struct Observation<A> {
    actions: Vec<A>,
    /// The features by column; what is not there is 0.
    row: Vec<f64>,
    reward: Reward,
}

impl<A> Observations<A> {
    /// None yet, and never more than `most`.
    pub fn new(most: usize) -> Self {
        Observations { columns: HashMap::new(), observations: Vec::new(), most }
    }

    /// Adds what a trajectory earned. Where they become too many the oldest is forgotten that is not of the better half.
    pub fn add(&mut self, actions: Vec<A>, features: Vec<Feature>, reward: Reward) {
        let mut row = vec![0.0; self.columns.len()];
        for (name, value) in features {
            let next = self.columns.len();
            let column = *self.columns.entry(name).or_insert(next);
            row.resize(row.len().max(column + 1), 0.0);
            row[column] = value;
        }
        self.observations.push(Observation { actions, row, reward });
        if self.observations.len() > self.most {
            let mut rewards: Vec<f64> = self.observations.iter().map(|it| it.reward.value()).collect();
            rewards.sort_by(f64::total_cmp);
            let median = rewards[rewards.len() / 2];
            let oldest = self.observations.iter().position(|it| it.reward.value() < median).unwrap_or(0);
            self.observations.remove(oldest);
        }
    }

    /// Number of trajectories.
    pub fn len(&self) -> usize {
        self.observations.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.observations.is_empty()
    }

    fn row(&self, features: &[Feature]) -> Vec<f64> {
        let mut row = vec![0.0; self.columns.len()];
        for (name, value) in features {
            if let Some(&column) = self.columns.get(name) {
                row[column] = *value;
            }
        }
        row
    }

    /// −ln(1 − accuracy) of each; failures, and what is no better, as the tenth part of the designs that learned.
    fn targets(&self) -> Vec<f64> {
        let learned = |reward: Reward| match reward {
            Reward::Learned(accuracy) => Some(target(accuracy)),
            Reward::Failed(_) => None,
        };
        let mut sorted: Vec<f64> = self.observations.iter().filter_map(|it| learned(it.reward)).collect();
        sorted.sort_by(f64::total_cmp);
        let floor = sorted.get((FAILURE_QUANTILE * sorted.len() as f64) as usize).copied().unwrap_or(0.0);
        self.observations.iter().map(|it| learned(it.reward).unwrap_or(floor).max(floor)).collect()
    }
}

/// A Gaussian process over the features of trajectories that predicts −ln(1 − accuracy).
pub struct RewardModel<'a, A> {
    observations: &'a Observations<A>,
    targets: Vec<f64>,
    process: GaussianProcess,
}

impl<'a, A> RewardModel<'a, A> {
    /// Fits the model; `None` without observations.
    pub fn fit(observations: &'a Observations<A>) -> Option<Self> {
        if observations.is_empty() {
            return None;
        }
        let rows: Vec<&[f64]> = observations.observations.iter().map(|it| it.row.as_slice()).collect();
        let targets = observations.targets();
        let process = GaussianProcess::fit(&rows, &targets);
        Some(RewardModel { observations, targets, process })
    }

    /// Takes up a trajectory in training as if it had the reward that is predicted.
    pub fn expect(&mut self, features: &[Feature]) {
        self.process.expect(&self.observations.row(features));
    }

    /// What is predicted of a trajectory.
    pub fn predict(&self, features: &[Feature]) -> Prediction {
        self.process.predict(&self.observations.row(features))
    }

    /// The `n` best trajectories observed, best first, by the mean of what they earned and what the model makes of it: a reward
    /// is noisy, and a model of few numbers misses much.
    pub fn best(&self, n: usize) -> Vec<&'a [A]> {
        let worth = self.process.fitted().zip(&self.targets).map(|(fitted, target)| (fitted + target) / 2.0);
        let mut order: Vec<(usize, f64)> = worth.enumerate().collect();
        order.sort_by(|a, b| b.1.total_cmp(&a.1));
        order.iter().take(n).map(|(index, _)| self.observations.observations[*index].actions.as_slice()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn features(x: f64, y: f64) -> Vec<Feature> {
        vec![("x".into(), x), ("y".into(), y)]
    }

    #[test]
    fn the_better_design_is_told_from_the_worse() {
        let mut observations = Observations::new(100);
        for i in 0..20 {
            let x = f64::from(i) / 20.0;
            observations.add(vec![i], features(x, f64::from(i % 3)), Reward::Learned(0.5 + 0.4 * x));
        }
        let model = RewardModel::fit(&observations).unwrap();
        let mean = |x: f64| model.predict(&features(x, 1.0)).mean;
        assert!(mean(0.9) > mean(0.5) && mean(0.5) > mean(0.1));
        assert_eq!(model.best(2), [[19], [18]]);
        // Names in another order, one of them new.
        let other = [("new".into(), 1.0), ("y".into(), 1.0), ("x".into(), 0.5)];
        assert_eq!(model.predict(&other).mean, mean(0.5));
    }

    #[test]
    fn failures_count_as_the_worst_tenth() {
        let mut observations = Observations::new(100);
        for i in 0..10 {
            observations.add(vec![i], features(f64::from(i), 0.0), Reward::Learned(0.1 * f64::from(i)));
        }
        observations.add(vec![10], features(0.0, 1.0), Reward::Failed(0.1));
        let targets = observations.targets();
        assert_eq!(targets[10], target(0.1));
        assert_eq!(targets[0], targets[10], "no better than a failure");
        assert_eq!(target(1.0), target(0.9995), "no error is told from none below a thousandth");
    }

    #[test]
    fn the_oldest_of_the_worse_half_is_forgotten() {
        let mut observations = Observations::new(4);
        for (i, accuracy) in [0.9, 0.1, 0.2, 0.8, 0.85, 0.3, 0.95].into_iter().enumerate() {
            observations.add(vec![i], Vec::new(), Reward::Learned(accuracy));
        }
        let kept: Vec<usize> = observations.observations.iter().map(|it| it.actions[0]).collect();
        assert_eq!((observations.len(), kept), (4, vec![0, 4, 5, 6]));
    }
}
