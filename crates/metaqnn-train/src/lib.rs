//! Builds metaqnn's networks in [Burn](https://burn.dev), trains and evaluates them. No other crate knows of tensors.
//!
//! The rooms, in reading order:
//!
//! - [`NetworkEvaluator`] (`evaluator`): the [`Evaluator`](metaqnn_core::ports::Evaluator) of a study: a data set and settings in,
//!   evaluations out.
//! - [`train`] (`trainer`): one training from the first weights to the last epoch: schedule, restart rule, early stopping, time limit.
//! - `checkpoint`: a training between two epochs, kept in a file to go on from after a kill.
//! - [`Learner`] (`learner`): a network with its optimizer, one step at a time.
//! - `cpu`: its engine on the CPU; `burn_learner`: its engine on Burn's devices.
//! - [`Network`] (`network`): a [`Graph`](metaqnn_core::graph::Graph) as layers of tensors, and its weights by name.
//! - [`predict`], [`logits`] (`predictions`): class probabilities of images and the accuracy they make; logits under stored weights.
//! - [`parse_device`], [`available_devices`] (`device`): devices by name.
//!
//! On the CPU the number of threads is that of rayon's global pool: set `RAYON_NUM_THREADS` before the process starts.
//!
//! # Features
//!
//! `cuda`, `vulkan`, `metal` and `rocm` compile in devices of these kinds beside the CPU.

mod burn_learner;
mod checkpoint;
mod cpu;
mod device;
mod evaluator;
mod initial_weights;
mod learner;
mod network;
mod predictions;
mod trainer;

pub use checkpoint::{CheckpointError, remove_checkpoint};
pub use device::{ComputeDevice, DeviceError, available_devices, parse_device};
pub use evaluator::{EvaluatorError, NetworkEvaluator, augmentation, map_shape, normalizer};
pub use learner::{Learner, StepLoss};
pub use network::{Network, WeightsError};
pub use predictions::{Predictions, logits, predict};
pub use trainer::{EarlyStop, TimeLimit, TrainError, Training, TrainingEnd, TrainingTask, train};
