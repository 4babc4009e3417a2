//! The traits through which the outer crates train, execute and store trials.
//!
//! - [`Job`] and what comes of one: [`Evaluation`](crate::study::Evaluation), [`CandidateEvaluation`], [`FinalEvaluation`].
//! - [`Evaluator`]: trains one job, here and now.
//! - [`Executor`]: has jobs trained, several at a time, elsewhere.
//! - [`Storage`]: keeps a study.
//! - [`Clock`]: tells the time.

mod clock;
mod evaluator;
mod executor;
mod job;
pub mod lossless_path;
mod storage;

pub use clock::Clock;
pub use evaluator::Evaluator;
pub use executor::{Executor, ExecutorEvent};
pub use job::{
    CandidateEvaluation, CandidateJob, CandidateLength, FinalEvaluation, FinalJob, Job, JobError, TrainingProgress,
    TrialJob,
};
pub use storage::Storage;
