//! Early stopping: which trainings are not worth their remaining epochs.
//!
//! Two rules. By **prediction** (Baker et al., "Accelerating Neural Architecture Search using Performance Prediction",
//! arXiv 1705.10823): from the epochs so far a regression, fitted on the trainings that went to their end, predicts the final accuracy; a
//! training stops when it is probable enough that it will not beat the best ones. By **rank**: at a few epochs a training stops whose accuracy is
//! behind a share of those that got there before it (successive halving, one training after another).
//!
//! Everything here is pure. [`EarlyStopping`] takes note of trainings that are over and makes the [`StopRule`] for the next one: what a training is
//! measured by is settled when it begins.

mod curve;
mod prediction;
mod rank;
mod ridge;
mod rule;

pub use curve::{LearningCurve, NetworkFeatures};
pub use prediction::{Look, PredictionRule, PredictionSettings};
pub use rank::{RankRule, RankSettings, Rung};
pub use rule::{EarlyStopping, RuleSettings, StopReason, StopRule};
