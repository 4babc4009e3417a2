//! Trained networks as models: of a folder or a study, alone or together, and the engine that answers with them.

mod engine;
pub(crate) mod ensemble;
mod study_models;
mod trained_model;

pub(crate) use engine::{image_shape, logits, preparation, unlabelled};
pub(crate) use trained_model::{ModelArguments, TrainedModel, inputs, open, open_scored};
