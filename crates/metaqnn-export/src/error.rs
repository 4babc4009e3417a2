//! What can go wrong.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

/// Why a model was not written, read or found equal. Each is one line that names the file or the format.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A file or folder could not be written or read.
    #[error("{}: cannot {action}: {source}", path.display())]
    Io {
        /// Which.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// Why not.
        source: std::io::Error,
    },
    /// There is no room left for a file.
    #[error("{}: no space left to write it ({source}); free some and run the same command again: nothing was left behind", path.display())]
    DiskFull {
        /// Which.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// There is something where the folder is to be.
    #[error("{}: there is something already; choose another folder, or remove it first", path.display())]
    Exists {
        /// Where.
        path: PathBuf,
    },
    /// The folder holds no model.
    #[error("{}: this is no model folder: {reason}", path.display())]
    NotAModel {
        /// The folder.
        path: PathBuf,
        /// What is missing.
        reason: String,
    },
    /// A file of a model folder is not what was written.
    #[error("{}: {reason}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What was found, and what was expected.
        reason: String,
    },
    /// Tensors are not those of the network.
    #[error("the weights are not those of {architecture}: {reason}")]
    Weights {
        /// The architecture of the network.
        architecture: String,
        /// The first tensor that does not fit.
        reason: String,
    },
    /// The parts of a model do not fit together.
    #[error("this is no model: {reason}")]
    Model {
        /// Which parts.
        reason: String,
    },
    /// What was written could not be loaded or run again.
    #[error("{format}: what was written does not run: {reason}")]
    Runtime {
        /// The format.
        format: &'static str,
        /// What the runtime said.
        reason: String,
    },
    /// What was written answers differently from the model that was scored.
    #[error(
        "{format}: what was written is not the model that was scored: logits differ by up to {difference:e}, at most {tolerance:e} is allowed"
    )]
    Difference {
        /// The format.
        format: &'static str,
        /// The largest difference of two logits.
        difference: f64,
        /// The largest that is allowed.
        tolerance: f64,
    },
}

impl ExportError {
    pub(crate) fn io(path: &Path, action: &'static str) -> impl FnOnce(std::io::Error) -> Self {
        move |source| match source.kind() {
            // A quota or a limit on the size of files looks no different to who runs into it.
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded | ErrorKind::FileTooLarge => {
                ExportError::DiskFull { path: path.into(), source }
            }
            _ => ExportError::Io { path: path.into(), action, source },
        }
    }

    pub(crate) fn damaged(path: &Path, reason: impl ToString) -> Self {
        ExportError::Damaged { path: path.into(), reason: reason.to_string() }
    }

    pub(crate) fn model(reason: impl ToString) -> Self {
        ExportError::Model { reason: reason.to_string() }
    }
}
