//! The configuration of a study.

mod training;
mod violation;

pub use training::{
    AugmentationChoice, Optimizer, PreprocessingChoice, RestartSettings, Schedule, TrainingSettings,
};
pub use violation::Violation;
