//! The ports of a run.

use std::error::Error;
use std::path::PathBuf;

use metaqnn_core::ports::{Clock, Executor};
use metaqnn_core::study::TrialNumber;

use crate::error::RunError;

/// Everything outside that a run deals with, but for what shows it.
pub struct Surroundings<'a, S, X> {
    /// Where the study is kept.
    pub storage: S,
    /// Who trains.
    pub executors: X,
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// Where trainings of the final phase keep their state.
    pub checkpoints: &'a dyn Checkpoints,
    /// Whether the run is to end soon, with nothing lost but what is in training.
    pub is_interrupted: &'a dyn Fn() -> bool,
}

/// Starts executors: each phase of a run has its own.
pub trait StartExecutor {
    /// What it starts.
    type Executor: Executor;

    /// Starts one with so many places of so many threads each.
    ///
    /// # Errors
    ///
    /// When it cannot be started.
    fn start(&self, places: usize, threads: u32) -> Result<Self::Executor, Box<dyn Error + Send + Sync>>;
}

/// The two trainings of a network in the final phase.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// On the training images alone, to be validated.
    Candidate,
    /// On all of them.
    Final,
}

/// Where the state of a training is kept while it goes on.
pub trait Checkpoints {
    /// The file; `None` where none is kept.
    fn path(&self, stage: Stage, trial: TrialNumber) -> Option<PathBuf>;

    /// Whether there is one.
    fn is_there(&self, stage: Stage, trial: TrialNumber) -> bool;

    /// Removes what a stored result has made useless.
    fn remove(&self, stage: Stage, trial: TrialNumber);
}

/// Keeps no state: a training that is interrupted begins anew.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoCheckpoints;

impl Checkpoints for NoCheckpoints {
    fn path(&self, _: Stage, _: TrialNumber) -> Option<PathBuf> {
        None
    }

    fn is_there(&self, _: Stage, _: TrialNumber) -> bool {
        false
    }

    fn remove(&self, _: Stage, _: TrialNumber) {}
}

impl<S, X: StartExecutor> Surroundings<'_, S, X> {
    pub(crate) fn start(&self, places: usize, threads: u32) -> Result<X::Executor, RunError> {
        self.executors.start(places, threads).map_err(RunError::Executor)
    }
}
