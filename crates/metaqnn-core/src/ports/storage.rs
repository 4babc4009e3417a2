//! Where a study is kept.

use crate::study::{
    CandidateRecord, Detail, EnsembleRecord, EventRecord, FinalRecord, PlannedTraining, RaisedLimits, StoredTrial,
    StudyHeader, TrialNumber,
};

/// Keeps a study.
///
/// Contract: what a method has stored when it returns survives the death of the process and of the machine; a method
/// that fails has stored nothing. Events are numbered from 0 without gaps, and [`append`](Storage::append) refuses any other
/// number, a trial number that is there, and an architecture that is there.
pub trait Storage {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The study's header.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn header(&self) -> Result<StudyHeader, Self::Error>;

    /// Stores an event, and with it the trial where it is one, in one durable transaction.
    ///
    /// # Errors
    ///
    /// When it could not be stored; nothing of it is then there.
    fn append(&mut self, event: &EventRecord) -> Result<(), Self::Error>;

    /// Calls `visit` with every event in order, until it returns false.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn visit_events(&self, visit: &mut dyn FnMut(EventRecord) -> bool) -> Result<(), Self::Error>;

    /// Calls `visit` with every finished trial in the order in which the agent learned of them, until it returns false.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn visit_trials(&self, detail: Detail, visit: &mut dyn FnMut(StoredTrial) -> bool) -> Result<(), Self::Error>;

    /// A finished trial, in full; `None` where there is none of that number.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn trial(&self, trial: TrialNumber) -> Result<Option<StoredTrial>, Self::Error>;

    /// The `n` trials of the best validation accuracy, the best first, at equal accuracy the earlier trial first; summaries.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn top(&self, n: usize) -> Result<Vec<StoredTrial>, Self::Error>;

    /// Whether the study is still where it was when this storage was opened. To be asked now and then by whoever does not write.
    ///
    /// # Errors
    ///
    /// When it was moved, deleted or replaced: the run must end.
    fn check_in_place(&self) -> Result<(), Self::Error>;

    /// Stores what came of a candidate for the final training; replaces an earlier one of the same trial.
    ///
    /// # Errors
    ///
    /// When it could not be stored, or the trial is not there.
    fn store_candidate(&mut self, record: &CandidateRecord) -> Result<(), Self::Error>;

    /// The candidates, best validation accuracy first, those that failed last, without their probabilities.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn candidates(&self) -> Result<Vec<CandidateRecord>, Self::Error>;

    /// The class probabilities of the validation images that were stored with a candidate; `None` where there are none.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn validation_probabilities(&self, trial: TrialNumber) -> Result<Option<Vec<f32>>, Self::Error>;

    /// Stores the result and weights of a final training in one durable transaction; replaces an earlier one of the same trial, and
    /// with it goes the ensemble that had that one as a member.
    ///
    /// # Errors
    ///
    /// When it could not be stored, or the trial is not there.
    fn store_final(&mut self, record: &FinalRecord) -> Result<(), Self::Error>;

    /// The final trainings, best test accuracy first, without their weights.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn finals(&self) -> Result<Vec<FinalRecord>, Self::Error>;

    /// Stores the ensemble in one durable transaction, in place of an earlier one; `None`: there is none any more.
    ///
    /// # Errors
    ///
    /// When it could not be stored, or a member has no final training.
    fn store_ensemble(&mut self, ensemble: Option<&EnsembleRecord>) -> Result<(), Self::Error>;

    /// The ensemble, where there is one.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn ensemble(&self) -> Result<Option<EnsembleRecord>, Self::Error>;

    /// Adds trainings to the plan of what is trained fully, behind those that are there, in one durable transaction.
    ///
    /// # Errors
    ///
    /// When it could not be stored, a trial is not there, or is planned already.
    fn extend_final_plan(&mut self, plan: &[PlannedTraining]) -> Result<(), Self::Error>;

    /// The plan of what is trained fully, in the order in which it was made.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn final_plan(&self) -> Result<Vec<PlannedTraining>, Self::Error>;

    /// Stores what ends the study from now on; what was stored before stays.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    fn raise_limits(&mut self, limits: RaisedLimits) -> Result<(), Self::Error>;

    /// What ends the study as last raised; `None` where the settings hold.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn raised_limits(&self) -> Result<Option<RaisedLimits>, Self::Error>;

    /// What ended the study before it was last raised, where that was raised itself; `None` where its settings held.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn raised_limits_before(&self) -> Result<Option<RaisedLimits>, Self::Error>;

    /// Notes how long the study has run, over all its runs; less than what is noted changes nothing.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    fn note_run_seconds(&mut self, seconds: f64) -> Result<(), Self::Error>;

    /// Seconds that the study has run, over all its runs.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn run_seconds(&self) -> Result<f64, Self::Error>;
}
