//! Jobs of the final phase at work: handed to workers, what comes of them stored, how far they are shown.

use std::collections::HashMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use metaqnn_core::ports::{
    CandidateJob, CandidateLength, Executor, ExecutorEvent, FinalJob, Job, JobError, Storage,
};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{CandidateRecord, FinalRecord, TrialNumber};
use metaqnn_exec::WorkerPool;
use metaqnn_store::{StoredTrial, StudyFile, beside};

use crate::interrupt::Interrupt;
use crate::progress::Progress;
use crate::run::RunClock;

/// Time between two notes of how long the study has run, so that a kill makes it forget no more.
const NOTE_INTERVAL: Duration = Duration::from_secs(2);

/// The two trainings of a network in the final phase.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Stage {
    /// On the training images alone, to be validated.
    Candidate,
    /// On all of them.
    Final,
}

/// Where the state of a training is kept while it goes on: beside the study.
pub(crate) fn checkpoint(file: &StudyFile, stage: Stage, trial: TrialNumber) -> PathBuf {
    let stage = match stage {
        Stage::Candidate => "candidate",
        Stage::Final => "final",
    };
    beside(file.path(), &format!(".{stage}-{trial}.checkpoint"))
}

/// Removes what a stored result has made useless.
pub(crate) fn remove_checkpoints(file: &StudyFile, trial: TrialNumber) {
    for stage in [Stage::Candidate, Stage::Final] {
        metaqnn_train::remove_checkpoint(&checkpoint(file, stage, trial));
    }
}

/// The training of `trial` on the training images alone, to be validated.
pub(crate) fn candidate_job(file: &StudyFile, trial: &StoredTrial, length: CandidateLength) -> CandidateJob {
    let record = &trial.record;
    CandidateJob {
        trial: record.trial,
        architecture: record.architecture.clone(),
        seed: record.seed,
        length,
        checkpoint: Some(checkpoint(file, Stage::Candidate, record.trial)),
    }
}

/// The training of `trial` on all of them, for the epochs of the settings where neither a number of epochs nor a time is given. Images
/// are mirrored if it showed as a candidate that they may be.
pub(crate) fn final_job(
    file: &StudyFile,
    trial: &StoredTrial,
    epochs: Option<u32>,
    time_limit_seconds: Option<f64>,
) -> Result<FinalJob> {
    let record = &trial.record;
    let candidate = file.candidates()?.into_iter().find(|candidate| candidate.trial == record.trial);
    Ok(FinalJob {
        trial: record.trial,
        architecture: record.architecture.clone(),
        seed: record.seed,
        time_limit_seconds,
        epochs,
        mirror_is_safe: candidate.as_ref().and_then(|candidate| candidate.mirror_is_safe),
        turning_is_safe: candidate.and_then(|candidate| candidate.turning_is_safe),
        checkpoint: Some(checkpoint(file, Stage::Final, record.trial)),
    })
}

/// Workers with a study to store their results in.
pub(crate) struct FinalJobs<'a> {
    pub(crate) file: &'a mut StudyFile,
    pub(crate) pool: &'a mut WorkerPool,
    pub(crate) interrupted: &'a Interrupt,
    /// What is done, for the status line.
    pub(crate) what: &'a str,
    /// The clock of the run that this is part of, where the study counts its time.
    pub(crate) clock: Option<RunClock>,
}

impl FinalJobs<'_> {
    /// Works on `jobs` until each has ended; gives why some have no result, and `None` after an interruption.
    ///
    /// # Errors
    ///
    /// Where a result cannot be stored or nothing can be kept; what was stored before stays.
    pub(crate) fn run(self, jobs: Vec<Job>) -> Result<Option<Vec<String>>> {
        let mut progress = Progress::new(self.pool.places(), self.file.path(), self.what);
        let architectures: HashMap<TrialNumber, Architecture> =
            jobs.iter().map(|job| (job.trial(), job.architecture().clone())).collect();
        let mut open = jobs.len();
        let mut waiting = jobs.into_iter();
        let mut failures = Vec::new();
        let mut noted: Option<Instant> = None;
        while open > 0 {
            if self.interrupted.is_set() {
                return Ok(None);
            }
            self.file.check_in_place()?;
            if let Some(clock) = self.clock.filter(|_| noted.is_none_or(|last| last.elapsed() >= NOTE_INTERVAL)) {
                self.file.note_run_seconds(clock.seconds())?;
                noted = Some(Instant::now());
            }
            while self.pool.idle() > 0
                && let Some(job) = waiting.next()
            {
                // There is an idle worker, so the job is taken.
                let _ = self.pool.submit(job);
            }
            let failed = match self.pool.next(Duration::from_millis(200))? {
                Some(ExecutorEvent::Candidate(trial, Ok(result))) => {
                    open -= 1;
                    progress.ended(trial);
                    let record = CandidateRecord::new(trial, result);
                    self.file.store_candidate(&record)?;
                    metaqnn_train::remove_checkpoint(&checkpoint(self.file, Stage::Candidate, trial));
                    progress.say(&candidate_line(&record));
                    None
                }
                Some(ExecutorEvent::Final(trial, Ok(result))) => {
                    open -= 1;
                    progress.ended(trial);
                    self.file.store_final(&FinalRecord::new(trial, result))?;
                    remove_checkpoints(self.file, trial);
                    None
                }
                Some(ExecutorEvent::Candidate(trial, Err(error))) => Some((trial, error)),
                Some(ExecutorEvent::Final(trial, Err(error))) => Some((trial, error)),
                Some(ExecutorEvent::Progress(worker, trial, step)) => {
                    if let Some(architecture) = architectures.get(&trial) {
                        progress.worker(worker, trial, architecture, &step);
                    }
                    None
                }
                Some(ExecutorEvent::Evaluated(..)) | None => None,
            };
            match failed {
                Some((_, JobError::Storage(reason))) => bail!(reason),
                // Not recorded as a network that failed: another time it may not.
                Some((trial, error)) => {
                    open -= 1;
                    progress.ended(trial);
                    progress.say(&format!("trial {trial}, {}: {error}", self.what));
                    failures.push(format!("trial {trial}: {error}"));
                }
                None => {}
            }
            progress.final_status(self.what, self.clock.and_then(|clock| clock.seconds_left()));
        }
        Ok(Some(failures))
    }
}

fn candidate_line(record: &CandidateRecord) -> String {
    let trial = record.trial;
    let mirrored = match record.mirror_is_safe {
        Some(true) => "; mirrored images are recognized as well and will be trained on",
        Some(false) => "; mirrored images are not recognized as well",
        None => "",
    };
    let turned = if record.turning_is_safe == Some(true) { "; so are turned ones" } else { "" };
    match record.valid_accuracy {
        Some(accuracy) => {
            format!("candidate {trial:>4}: {:.2} % validation accuracy{mirrored}{turned}", 100.0 * accuracy)
        }
        None => format!("candidate {trial:>4}: failed to learn"),
    }
}
