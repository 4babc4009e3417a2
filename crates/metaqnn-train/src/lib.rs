//! Builds metaqnn's networks, trains and evaluates them: on the CPU of kernels of our own, on a GPU of [Burn](https://burn.dev)'s tensors. No
//! other crate trains.
//!
//! The rooms, in reading order:
//!
//! - [`NetworkEvaluator`] (`evaluator`): the [`Evaluator`](metaqnn_core::ports::Evaluator) of a study: a data set and settings in,
//!   evaluations out.
//! - [`train`] (`trainer`): one training from the first weights to the last epoch: schedule, restart rule, early stopping, time limit.
//! - `checkpoint`: a training between two epochs, kept in a file to go on from after a kill.
//! - [`Learner`] (`learner`): a network with its optimizer, one step at a time.
//! - `cpu`: its engine on the CPU; `burn_engine`: its engine on Burn's devices, which a feature brings.
//! - `weights`: the tensors of a network by name.
//! - [`logits`] (`predictions`): class probabilities of images and the accuracy they make; logits under stored weights.
//! - `kept_preparation`: the preparation of images, kept with the weights.
//! - [`parse_device`], [`available_devices`] (`device`): devices by name.
//!
//! On the CPU the number of threads is that of rayon's global pool: set `RAYON_NUM_THREADS` before the process starts.
//!
//! # Features
//!
//! `cuda`, `vulkan`, `metal` and `rocm` compile in devices of these kinds beside the CPU. Each brings `burn`, which alone adds the device `flex`, Burn's backend
//! for the CPU: an oracle for the kernels, and slower.

#[cfg(feature = "burn")]
mod burn_engine;
#[cfg(not(feature = "burn"))]
#[path = "no_burn_engine.rs"]
mod burn_engine;
mod checkpoint;
mod cpu;
mod device;
mod evaluator;
mod kept_preparation;
mod learner;
mod predictions;
mod trainer;
mod weights;
mod whitening;

#[cfg(feature = "burn")]
pub use burn_engine::Network;
pub use burn_engine::{BurnDevice, PendingLoss};
pub use checkpoint::{CheckpointError, remove_checkpoint};
pub use device::{ComputeDevice, DeviceError, available_devices, parse_device};
pub use evaluator::{EvaluatorError, NetworkEvaluator, Shown, augmentation, map_shape, normalizer};
pub use learner::{Learner, StepLoss};
pub use predictions::{Predictions, logits};
pub use trainer::{EarlyStop, TimeLimit, TrainError, Training, TrainingEnd, TrainingTask, train};
pub use weights::WeightsError;
