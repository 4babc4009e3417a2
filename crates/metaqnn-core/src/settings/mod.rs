//! The configuration of a study: presets, overlays, and the check that names every violation.

mod early_stopping;
mod preset;
mod study_settings;
mod training;

pub use crate::agent::AgentName;
pub use crate::violation::Violation;
pub use early_stopping::{EarlyStoppingSettings, StoppedReward, StoppingRule};
pub use preset::{Preset, SettingsError, merge, parse, set};
pub use study_settings::{FinalSettings, LimitSettings, SearchSettings, Settings};
pub use training::{
    AugmentationChoice, ClassWeights, Optimizer, PreprocessingChoice, RestartSettings, Schedule, TrainingSettings,
};
