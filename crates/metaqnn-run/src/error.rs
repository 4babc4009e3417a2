//! Why a run cannot go on.

use std::error::Error;

use metaqnn_core::study::ReplayError;

/// Why a run cannot go on. What was stored before is kept.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RunError {
    /// The study cannot be read or written.
    #[error(transparent)]
    Storage(Box<dyn Error + Send + Sync>),
    /// Nothing can be trained.
    #[error(transparent)]
    Executor(Box<dyn Error + Send + Sync>),
    /// The stored log is not one of this program.
    #[error(transparent)]
    Replay(ReplayError),
    /// What comes of trainings can be kept nowhere.
    #[error("{0}")]
    NothingIsKept(String),
    /// The search space is none; all that is wrong with it, a line each.
    #[error("the search space is not valid: {0}")]
    Space(String),
    /// There is no network to train fully.
    #[error("no network of it has learned yet")]
    NoneLearned,
    /// A trial that the study speaks of is not in it.
    #[error("a planned trial is not in the study")]
    NoSuchTrial,
}

impl RunError {
    /// An error of the storage.
    pub(crate) fn storage(error: impl Error + Send + Sync + 'static) -> Self {
        RunError::Storage(Box::new(error))
    }

    /// An error of the executor.
    pub(crate) fn executor(error: impl Error + Send + Sync + 'static) -> Self {
        RunError::Executor(Box::new(error))
    }
}
