//! Who trains.

use super::job::{CandidateEvaluation, CandidateJob, FinalEvaluation, FinalJob, JobError, TrainingProgress, TrialJob};
use crate::study::Evaluation;

/// Trains networks, in the process and on the device that it was made for.
///
/// Contract: the same job gives the same evaluation (times aside) from the same evaluator on one thread of the same CPU.
/// A network that does not learn is an [`Evaluation`] with a failure, not an error.
pub trait Evaluator {
    /// Trains and validates; `report` is called as the training goes on.
    fn evaluate(&mut self, job: &TrialJob, report: &mut dyn FnMut(TrainingProgress)) -> Evaluation;

    /// Trains and validates a candidate for the final training.
    ///
    /// # Errors
    ///
    /// [`JobError`] where that could not be done; a network that did not learn is no error.
    fn evaluate_candidate(
        &mut self,
        job: &CandidateJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<CandidateEvaluation, JobError>;

    /// Trains on training and validation data and measures once on the test data.
    ///
    /// # Errors
    ///
    /// [`JobError`] says in words why there is no trained network, for example that the loss was not finite.
    fn evaluate_final(
        &mut self,
        job: &FinalJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<FinalEvaluation, JobError>;
}
