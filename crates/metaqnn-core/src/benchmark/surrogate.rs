//! A reward model of the real search space, fitted to published trainings and read from a file.

use serde::Deserialize;
use sha2::{Digest, Sha256};

use super::surrogate_features::features;
use crate::agent::Reward;
use crate::space::Architecture;

/// Trees that predict accuracy and failure of the networks of the paper's space for 3×32×32 images and ten classes.
#[derive(Clone, Debug, Deserialize)]
pub struct Surrogate {
    /// Its name.
    pub name: String,
    /// The space's limit on layers.
    pub limit: u32,
    features: Vec<String>,
    failure_reward: f64,
    empty_accuracy: f64,
    accuracy: Ensemble,
    failure: FailureModel,
    noise: Noise,
}

/// What a surrogate says of an architecture.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expectation {
    /// Probability that it fails to learn.
    pub failure: f64,
    /// Its accuracy where it learns.
    pub accuracy: f64,
}

/// Why a surrogate file cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SurrogateError {
    /// Not JSON of this form.
    #[error("not a surrogate: {0}")]
    Json(#[from] serde_json::Error),
    /// A tree with a node that is not there.
    #[error("not a surrogate: tree {tree} of {part} is broken at node {node}")]
    Tree {
        /// `accuracy` or `failure`.
        part: &'static str,
        /// The tree, from 0.
        tree: usize,
        /// The node, from 0.
        node: usize,
    },
    /// Quantiles of the noise that are not as many as their levels, or none.
    #[error("not a surrogate: noise has {levels} levels and {errors} quantiles")]
    Noise {
        /// Levels.
        levels: usize,
        /// Quantiles.
        errors: usize,
    },
}

#[derive(Clone, Debug, Deserialize)]
struct Ensemble {
    base: f64,
    trees: Vec<Tree>,
}

#[derive(Clone, Debug, Deserialize)]
struct FailureModel {
    #[serde(flatten)]
    ensemble: Ensemble,
    a: f64,
    b: f64,
}

/// One entry a node, the root first: feature (−1 at a leaf), threshold, children, value at a leaf.
#[derive(Clone, Debug, Deserialize)]
struct Tree {
    f: Vec<i64>,
    t: Vec<f64>,
    l: Vec<i64>,
    r: Vec<i64>,
    v: Vec<f64>,
}

/// Quantiles of the residual of log(1 − accuracy).
#[derive(Clone, Debug, Deserialize)]
struct Noise {
    level: Vec<f64>,
    log_error: Vec<f64>,
}

impl Surrogate {
    /// Reads the text of a surrogate file.
    ///
    /// # Errors
    ///
    /// [`SurrogateError`] where the text has another form or its trees are broken.
    pub fn from_json(text: &str) -> Result<Self, SurrogateError> {
        let surrogate: Surrogate = serde_json::from_str(text)?;
        for (part, ensemble) in [("accuracy", &surrogate.accuracy), ("failure", &surrogate.failure.ensemble)] {
            for (tree, nodes) in ensemble.trees.iter().enumerate() {
                if let Some(node) = nodes.broken_node(surrogate.features.len()) {
                    return Err(SurrogateError::Tree { part, tree, node });
                }
            }
        }
        let (levels, errors) = (surrogate.noise.level.len(), surrogate.noise.log_error.len());
        if levels != errors || levels == 0 {
            return Err(SurrogateError::Noise { levels, errors });
        }
        Ok(surrogate)
    }

    /// Probability of failure, and accuracy where it learns.
    pub fn expect(&self, architecture: &Architecture) -> Expectation {
        if architecture.layers().is_empty() {
            return Expectation { failure: 1.0, accuracy: self.empty_accuracy };
        }
        let known = features(architecture);
        let row: Vec<f64> = self.features.iter().map(|name| known.get(name).copied().unwrap_or(0.0)).collect();
        let logit = self.failure.a + self.failure.b * self.failure.ensemble.sum(&row);
        Expectation { failure: 1.0 / (1.0 + (-logit).exp()), accuracy: 1.0 - self.accuracy.sum(&row).exp() }
    }

    /// What a search sees in the world of `seed`, `noise` times the residuals (0: none) added to the accuracy. An architecture
    /// always has the same reward in one world.
    pub fn reward(&self, architecture: &Architecture, seed: u64, noise: f64) -> Reward {
        let Expectation { failure, accuracy } = self.expect(architecture);
        let hash: [u8; 32] = Sha256::digest(format!("{seed}:{architecture}")).into();
        let uniform = |from: usize| {
            let bytes: [u8; 8] = std::array::from_fn(|i| hash[from + i]);
            u64::from_be_bytes(bytes) as f64 / 2f64.powi(64)
        };
        if uniform(0) < failure {
            return Reward::Failed(self.failure_reward);
        }
        let log_error = noise * self.noise.log_error(uniform(8));
        let seen = 1.0 - (1.0 - accuracy) * log_error.exp();
        Reward::Learned(seen.max(self.failure_reward + 0.05))
    }
}

impl Ensemble {
    fn sum(&self, row: &[f64]) -> f64 {
        self.base + self.trees.iter().map(|tree| tree.value(row)).sum::<f64>()
    }
}

impl Tree {
    fn value(&self, row: &[f64]) -> f64 {
        let mut node = 0;
        // A leaf's feature is negative.
        while let Ok(feature) = usize::try_from(self.f[node]) {
            node = (if row[feature] <= self.t[node] { self.l[node] } else { self.r[node] }) as usize;
        }
        self.v[node]
    }

    /// The first node that a walk would stumble at. Children come after their parent, so every walk ends.
    fn broken_node(&self, features: usize) -> Option<usize> {
        let n = self.f.len();
        if n == 0 || [self.t.len(), self.l.len(), self.r.len(), self.v.len()].iter().any(|&length| length != n) {
            return Some(0);
        }
        let is_child = |node: usize, child: i64| usize::try_from(child).is_ok_and(|child| child > node && child < n);
        (0..n).find(|&node| match usize::try_from(self.f[node]) {
            Ok(feature) => feature >= features || !is_child(node, self.l[node]) || !is_child(node, self.r[node]),
            Err(_) => false,
        })
    }
}

impl Noise {
    /// The quantile at `u`, linear between the levels and flat beyond them.
    fn log_error(&self, u: f64) -> f64 {
        let above = self.level.partition_point(|&level| level <= u);
        if above == 0 {
            return self.log_error[0];
        }
        let below = above - 1;
        match self.level.get(above) {
            Some(level) => {
                let share = (u - self.level[below]) / (level - self.level[below]);
                self.log_error[below] + (self.log_error[above] - self.log_error[below]) * share
            }
            None => self.log_error[below],
        }
    }
}
