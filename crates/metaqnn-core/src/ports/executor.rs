//! Who has networks trained.

use std::time::Duration;

use super::job::{CandidateEvaluation, FinalEvaluation, Job, JobError, TrainingProgress};
use crate::study::{Evaluation, TrialNumber};

/// What happened to a job.
#[derive(Clone, Debug, PartialEq)]
pub enum ExecutorEvent {
    /// The training of this trial goes on, at this place.
    Progress(usize, TrialNumber, TrainingProgress),
    /// A [`Job::Trial`] ended.
    Evaluated(TrialNumber, Evaluation),
    /// A [`Job::Candidate`] ended.
    Candidate(TrialNumber, Result<CandidateEvaluation, JobError>),
    /// A [`Job::Final`] ended.
    Final(TrialNumber, Result<FinalEvaluation, JobError>),
}

impl ExecutorEvent {
    /// The trial of the job that ended; `None` where it goes on.
    pub fn ended(&self) -> Option<TrialNumber> {
        match self {
            ExecutorEvent::Progress(..) => None,
            ExecutorEvent::Evaluated(trial, _)
            | ExecutorEvent::Candidate(trial, _)
            | ExecutorEvent::Final(trial, _) => Some(*trial),
        }
    }
}

/// Has networks trained: by this process, by workers, on a cluster.
///
/// # Contract
///
/// - **Places.** It works on as many jobs at a time as it has places. [`submit`](Executor::submit) takes a job where a place is
///   [`idle`](Executor::idle), and the place is taken until [`next`](Executor::next) has given the job's end. Of one trial there is
///   one job at a time.
/// - **One end.** Every job that was taken ends once, with the event of its kind, in any order. Only where the executor is dropped or fails
///   does it have none.
/// - **The same result.** What comes of a job depends on the job alone, times aside: not on the place, on what was trained before, or on
///   how often it was begun.
/// - **Deaths.** Who trains may die. The job is then begun again with the same seed, as often as the executor sees fit. After that it ends:
///   a trial with [`Failure::WorkerDied`](crate::study::Failure::WorkerDied), the others with [`JobError::Network`]. What dies before it
///   has begun a job costs the job nothing.
/// - **Time.** `submit` returns at once: the job may wait for a worker that starts, or in the queue of a cluster, and an executor may
///   gather jobs until `next` is called. `next` returns no later than about its timeout, earlier where something has happened.
/// - **Progress** is a courtesy: it may be rare, late or none. After a job was begun again it starts anew. None comes after the end of its job.
/// - **Errors** are of the executor, never of a network: nothing can be trained with it any more.
/// - **Dropped**, it ends what is in training and keeps nothing of it but checkpoints; it waits no longer than an end takes. What may outlive
///   this process, on a cluster, must be recognized by the executor that takes its place: the same job submitted again is then not trained twice
///   at a time.
pub trait Executor {
    /// Why nothing can be trained.
    type Error: std::error::Error + Send + Sync + 'static;

    /// Number of places, at least one.
    fn places(&self) -> usize;

    /// Number of places without a job.
    fn idle(&self) -> usize;

    /// Takes a job to train.
    ///
    /// # Errors
    ///
    /// The job, where no place is idle.
    fn submit(&mut self, job: Job) -> Result<(), Box<Job>>;

    /// Waits at most about `timeout` for the next event.
    ///
    /// # Errors
    ///
    /// Where nothing can be trained at all, and trying again is of no use.
    fn next(&mut self, timeout: Duration) -> Result<Option<ExecutorEvent>, Self::Error>;
}
