//! What rewards to expect of trajectories never tried.

use std::borrow::Cow;
use std::collections::HashMap;

use super::decision_process::Reward;
use super::features::Feature;
use super::gaussian_process::{GaussianProcess, Prediction};

/// The least share of wrong answers that is told from none.
const LEAST_ERROR: f64 = 1e-3;

/// Share of the designs that learned below which a failure counts.
const FAILURE_QUANTILE: f64 = 0.1;

/// What the model predicts of an accuracy a: −ln(1 − a), in which halving the error is the same step everywhere.
pub fn target(accuracy: f64) -> f64 {
    -(1.0 - accuracy).max(LEAST_ERROR).ln()
}

/// The trajectories that a reward model is fitted to.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    columns: HashMap<Cow<'static, str>, usize>,
    rows: Vec<(Vec<f64>, Reward)>,
}

impl Observations {
    /// Adds what a trajectory earned.
    pub fn add(&mut self, features: Vec<Feature>, reward: Reward) {
        let mut row = vec![0.0; self.columns.len()];
        for (name, value) in features {
            let next = self.columns.len();
            let column = *self.columns.entry(name).or_insert(next);
            if column >= row.len() {
                row.resize(column + 1, 0.0);
            }
            row[column] = value;
        }
        self.rows.push((row, reward));
    }

    /// Forgets the one at `index`.
    pub fn forget(&mut self, index: usize) {
        self.rows.remove(index);
    }

    /// Number of trajectories.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }

    /// The reward of each.
    pub fn rewards(&self) -> impl Iterator<Item = f64> {
        self.rows.iter().map(|(_, reward)| reward.value())
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

    /// −ln(1 − accuracy) of each; a failure counts as a design that learned, but worse than nine of ten.
    fn targets(&self) -> Vec<f64> {
        let learned = |reward: &Reward| match reward {
            Reward::Learned(accuracy) => Some(target(*accuracy)),
            Reward::Failed(_) => None,
        };
        let mut sorted: Vec<f64> = self.rows.iter().filter_map(|(_, reward)| learned(reward)).collect();
        sorted.sort_by(f64::total_cmp);
        let floor = sorted.get((FAILURE_QUANTILE * sorted.len() as f64) as usize).copied().unwrap_or(0.0);
        self.rows.iter().map(|(_, reward)| { let v = learned(reward).unwrap_or(floor); if std::env::var("NOLEARNFLOOR").is_ok() { v } else { v.max(floor) } }).collect()
    }
}

/// A Gaussian process over the features of trajectories that predicts −ln(1 − accuracy).
pub struct RewardModel<'a> {
    observations: &'a Observations,
    process: GaussianProcess,
}

impl<'a> RewardModel<'a> {
    /// Fits the model; `None` without observations.
    pub fn fit(observations: &'a Observations) -> Option<Self> {
        if observations.is_empty() {
            return None;
        }
        if std::env::var("NOFAIL").is_ok() {
            let targets = observations.targets();
            let keep: Vec<usize> = (0..targets.len()).filter(|&i| matches!(observations.rows[i].1, Reward::Learned(_))).collect();
            if keep.len() > 1 {
                let rows: Vec<&[f64]> = keep.iter().map(|&i| observations.rows[i].0.as_slice()).collect();
                let process = GaussianProcess::fit(&rows, &keep.iter().map(|&i| targets[i]).collect::<Vec<_>>());
                return Some(RewardModel { observations, process });
            }
        }
        let rows: Vec<&[f64]> = observations.rows.iter().map(|(row, _)| row.as_slice()).collect();
        let process = GaussianProcess::fit(&rows, &observations.targets());
        Some(RewardModel { observations, process })
    }

    /// Takes up a trajectory in training as if it had the reward that is predicted.
    pub fn expect(&mut self, features: &[Feature]) {
        self.process.expect(&self.observations.row(features));
    }

    /// What is predicted of a trajectory.
    pub fn predict(&self, features: &[Feature]) -> Prediction {
        self.process.predict(&self.observations.row(features))
    }

    /// x
    pub fn targets(&self) -> Vec<f64> { self.observations.targets() }

    /// What is predicted of each observation.
    pub fn fitted(&self) -> Vec<f64> {
        self.process.fitted()
    }
}
