//! Jobs of the final phase at work: handed out, what comes of them stored.

use std::collections::HashMap;
use std::time::Duration;

use metaqnn_core::ports::{
    CandidateEvaluation, CandidateJob, CandidateLength, Executor, ExecutorEvent, FinalEvaluation, FinalJob, Job,
    JobError, Storage,
};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{CandidateRecord, FinalRecord, StoredTrial, TrialNumber};

use crate::error::RunError;
use crate::observer::{InPhase, Notice, Observer, Phase};
use crate::run_clock::RunClock;
use crate::surroundings::{Checkpoints, Stage, Surroundings};

/// How long to wait for something to happen before looking at clock and interrupts again.
const PATIENCE: Duration = Duration::from_millis(200);

/// Time between two notes of how long the study has run, so that a kill makes it forget no more.
const NOTE_INTERVAL: Duration = Duration::from_secs(2);

/// Removes what a stored result has made useless.
pub(crate) fn remove_checkpoints(checkpoints: &dyn Checkpoints, trial: TrialNumber) {
    for stage in [Stage::Candidate, Stage::Final] {
        checkpoints.remove(stage, trial);
    }
}

/// The training of `trial` on the training images alone, to be validated.
pub(crate) fn candidate_job(
    checkpoints: &dyn Checkpoints,
    trial: &StoredTrial,
    length: CandidateLength,
) -> CandidateJob {
    let record = &trial.record;
    CandidateJob {
        trial: record.trial,
        architecture: record.architecture.clone(),
        seed: record.seed,
        length,
        checkpoint: checkpoints.path(Stage::Candidate, record.trial),
    }
}

/// The training of `trial` on all of them, for the epochs of the settings where neither a number of epochs nor a time is given. Images
/// are mirrored if it showed as a candidate that they may be.
pub(crate) fn final_job<S: Storage>(
    storage: &S,
    checkpoints: &dyn Checkpoints,
    trial: &StoredTrial,
    epochs: Option<u32>,
    time_limit_seconds: Option<f64>,
) -> Result<FinalJob, RunError> {
    let record = &trial.record;
    let candidates = storage.candidates().map_err(RunError::storage)?;
    let candidate = candidates.into_iter().find(|candidate| candidate.trial == record.trial);
    Ok(FinalJob {
        trial: record.trial,
        architecture: record.architecture.clone(),
        seed: record.seed,
        time_limit_seconds,
        epochs,
        mirror_is_safe: candidate.as_ref().and_then(|candidate| candidate.mirror_is_safe),
        turning_is_safe: candidate.and_then(|candidate| candidate.turning_is_safe),
        checkpoint: checkpoints.path(Stage::Final, record.trial),
    })
}

/// An executor with a study to store its results in.
pub(crate) struct FinalJobs<'a, 'b, S, X, E> {
    pub(crate) surroundings: &'a mut Surroundings<'b, S, X>,
    pub(crate) executor: &'a mut E,
    /// What is done.
    pub(crate) phase: Phase,
    /// The clock of the run that this is part of, where the study counts its time.
    pub(crate) clock: Option<RunClock<'b>>,
}

/// What has come of jobs so far.
struct Progress {
    architectures: HashMap<TrialNumber, Architecture>,
    open: usize,
    /// Why some have no result.
    failures: Vec<String>,
}

impl<S: Storage, X, E: Executor> FinalJobs<'_, '_, S, X, E> {
    /// Works on `jobs` until each has ended; gives why some have no result, and `None` after an interruption.
    ///
    /// # Errors
    ///
    /// Where a result cannot be stored or nothing can be kept; what was stored before stays.
    pub(crate) fn run(mut self, jobs: Vec<Job>, observer: &mut dyn Observer) -> Result<Option<Vec<String>>, RunError> {
        let mut shown = InPhase::begin(observer, self.phase, self.executor.places());
        let architectures = jobs.iter().map(|job| (job.trial(), job.architecture().clone())).collect();
        let mut progress = Progress { architectures, open: jobs.len(), failures: Vec::new() };
        let mut waiting = jobs.into_iter();
        let mut noted: Option<Duration> = None;
        while progress.open > 0 {
            if (self.surroundings.is_interrupted)() {
                return Ok(None);
            }
            self.surroundings.storage.check_in_place().map_err(RunError::storage)?;
            let now = self.surroundings.clock.now();
            if let Some(clock) = self.clock.filter(|_| noted.is_none_or(|last| now - last >= NOTE_INTERVAL)) {
                self.surroundings.storage.note_run_seconds(clock.seconds()).map_err(RunError::storage)?;
                noted = Some(now);
            }
            while self.executor.idle() > 0
                && let Some(job) = waiting.next()
            {
                // There is an idle place, so the job is taken.
                let _ = self.executor.submit(job);
            }
            if let Some(event) = self.executor.next(PATIENCE).map_err(RunError::executor)? {
                self.take(event, &mut progress, &mut shown)?;
            }
            shown.final_status(self.phase, self.clock.and_then(|clock| clock.seconds_left()));
        }
        Ok(Some(progress.failures))
    }

    fn take(&mut self, event: ExecutorEvent, progress: &mut Progress, shown: &mut InPhase<'_>) -> Result<(), RunError> {
        let (trial, failed) = match event {
            ExecutorEvent::Progress(place, trial, step) => {
                if let Some(architecture) = progress.architectures.get(&trial) {
                    shown.training(place, trial, architecture, &step);
                }
                return Ok(());
            }
            ExecutorEvent::Evaluated(..) => return Ok(()),
            ExecutorEvent::Candidate(trial, Ok(result)) => return self.store_candidate(trial, result, progress, shown),
            ExecutorEvent::Final(trial, Ok(result)) => return self.store_final(trial, result, progress, shown),
            ExecutorEvent::Candidate(trial, Err(error)) | ExecutorEvent::Final(trial, Err(error)) => (trial, error),
        };
        if let JobError::Storage(reason) = failed {
            return Err(RunError::NothingIsKept(reason));
        }
        // Not recorded as a network that failed: another time it may not.
        progress.open -= 1;
        shown.training_ended(trial);
        shown.notice(Notice::JobFailed(trial, self.phase, &failed));
        progress.failures.push(format!("trial {trial}: {failed}"));
        Ok(())
    }

    fn store_candidate(
        &mut self,
        trial: TrialNumber,
        result: CandidateEvaluation,
        progress: &mut Progress,
        shown: &mut InPhase<'_>,
    ) -> Result<(), RunError> {
        progress.open -= 1;
        shown.training_ended(trial);
        let record = CandidateRecord::new(trial, result);
        self.surroundings.storage.store_candidate(&record).map_err(RunError::storage)?;
        self.surroundings.checkpoints.remove(Stage::Candidate, trial);
        shown.notice(Notice::Candidate(&record));
        Ok(())
    }

    fn store_final(
        &mut self,
        trial: TrialNumber,
        result: FinalEvaluation,
        progress: &mut Progress,
        shown: &mut InPhase<'_>,
    ) -> Result<(), RunError> {
        progress.open -= 1;
        shown.training_ended(trial);
        self.surroundings.storage.store_final(&FinalRecord::new(trial, result)).map_err(RunError::storage)?;
        remove_checkpoints(self.surroundings.checkpoints, trial);
        Ok(())
    }
}
