//! Trained networks made to be taken away: a model folder, and in it ONNX, safetensors and PyTorch code, each checked against
//! the model that was scored.
//!
//! This crate trains nothing and runs no network of its own: it is handed weights and the answers of the model that was scored.
//! In reading order:
//!
//! - [`Model`] (`model`): networks with weights, preparation, classes, provenance; [`Preparation`] (`preparation`): what is done to an
//!   image; [`Weights`] (`weights`): named tensors; [`StoredNetwork`] (`stored`): a network as studies keep it.
//! - [`Export`], [`read`] (`folder`): the model folder, written whole or not at all, and read with every check; `description`: its
//!   `model.json`; `card`: its README.md; `scratch`: where it is made.
//! - [`check_folder`] (`check`): such a folder compared with its reference batch again.
//! - `onnx`, `pytorch`: the formats ([`Format`]).
//! - [`ScoredImages`] (`answers`), [`OnnxRuntime`], [`Verification`]: what is compared, with what, and how it came out.
//! - [`ExportError`] (`error`).

mod answers;
mod card;
mod check;
mod description;
mod error;
mod folder;
mod format;
mod model;
mod onnx;
mod onnx_runtime;
mod preparation;
mod pytorch;
mod scratch;
mod steps;
mod stored;
mod verification;
mod weights;

pub use answers::{Logits, ScoredImages, accuracy, predicted_classes, probabilities};
pub use check::{FolderCheck, check_folder};
pub use error::ExportError;
pub use folder::{Engine, Export, read};
pub use format::Format;
pub use model::{Measured, Model, Provenance, TrainedNetwork};
pub use onnx::encode as encode_onnx;
pub use onnx_runtime::{OnnxAnswers, OnnxRuntime};
pub use preparation::{Normalization, Preparation};
pub use pytorch::source as pytorch_source;
pub use scratch::remove_unfinished;
pub use stored::StoredNetwork;
pub use verification::Verification;
pub use weights::{Tensor, Weights, weight_shapes};
