//! After the search: a network is chosen among candidates, trained on all training data and measured once on the test data.

use std::sync::atomic::Ordering;
use std::time::Duration;

use anyhow::Result;
use metaqnn_core::ports::{CandidateJob, CandidateLength, FinalJob, Storage};
use metaqnn_core::study::{CandidateRecord, FinalRecord, FinishedNetwork, TrialNumber, choose_candidates};
use metaqnn_exec::PoolEvent;
use metaqnn_exec::protocol::Job;
use metaqnn_store::StoredTrial;

use crate::progress::Progress;
use crate::run::Run;
use crate::{display, setup};

/// Of the networks that learned, so many of the best are looked at as candidates.
const RANKED: usize = 1_000;

/// What a person is told that a run is about.
const CHOOSING: &str = "choosing a network";
const FINAL_TRAINING: &str = "final training";

/// Seconds that starting workers, which load the data, takes.
const START_SECONDS: f64 = 2.0;

impl Run {
    /// Chooses a network, trains it finally and returns it with its accuracy on the test data; `None` where no network learned,
    /// the final training failed, or after an interruption.
    pub(crate) fn final_phase(&mut self) -> Result<Option<StoredTrial>> {
        let ranked = self.file.reader().top(RANKED)?;
        let networks: Vec<FinishedNetwork> = ranked.iter().filter_map(network).collect();
        let chosen = choose_candidates(&networks, self.settings.final_phase.candidates as usize);
        let candidates: Vec<&StoredTrial> =
            chosen.iter().filter_map(|trial| ranked.iter().find(|stored| stored.record.trial == *trial)).collect();
        let Some(chosen) = self.best_candidate(&candidates)? else { return Ok(None) };
        if chosen.test_accuracy.is_some() {
            return Ok(Some(chosen.clone()));
        }
        let test_accuracy = self.final_training(chosen)?;
        Ok(test_accuracy.map(|accuracy| StoredTrial { test_accuracy: Some(accuracy), ..chosen.clone() }))
    }

    /// Seconds of the budget that are left; `None` without a budget.
    fn seconds_left(&self) -> Option<f64> {
        let budget = self.settings.search.budget_seconds;
        (budget > 0.0).then(|| (budget - self.seconds()).max(0.0))
    }

    /// The candidate with the best validation accuracy once all are trained for the same time; the first one where all fail.
    fn best_candidate<'a>(&mut self, candidates: &[&'a StoredTrial]) -> Result<Option<&'a StoredTrial>> {
        if candidates.len() > 1 && !self.have_been_trained(candidates)? && !self.train_candidates(candidates)? {
            return Ok(None);
        }
        let best = self
            .file
            .candidates()?
            .into_iter()
            .filter(|record| record.valid_accuracy.is_some())
            .find_map(|record| candidates.iter().find(|stored| stored.record.trial == record.trial));
        Ok(best.or(candidates.first()).copied())
    }

    /// Whether each of the candidates is stored as one: then the same ones were compared in an earlier run.
    fn have_been_trained(&self, candidates: &[&StoredTrial]) -> Result<bool> {
        let stored = self.file.candidates()?;
        let is_stored = |trial| stored.iter().any(|record| record.trial == trial);
        Ok(candidates.iter().all(|candidate| is_stored(candidate.record.trial)))
    }

    /// Trains all candidates for the same time, one a worker; false after an interruption.
    fn train_candidates(&mut self, candidates: &[&StoredTrial]) -> Result<bool> {
        let share = self.settings.final_phase.share_of_candidates();
        let workers = setup::workers(&self.settings).min(candidates.len());
        let length = match self.seconds_left() {
            Some(left) => {
                let rounds = candidates.len().div_ceil(workers) as f64;
                CandidateLength::Seconds(((left * share - START_SECONDS) / rounds).max(1.0))
            }
            None => CandidateLength::ShareOfEpochs(share),
        };
        eprintln!("choosing among {}, each trained for longer", display::count(candidates.len() as u64, "candidate"));
        let mut pool = self.pool(workers, self.settings.search.threads)?;
        let mut progress = Progress::new(pool.len(), self.file.path(), CHOOSING);
        let mut waiting = candidates.iter();
        let mut in_training = candidates.len();
        while in_training > 0 {
            if self.interrupted.load(Ordering::SeqCst) {
                return Ok(false);
            }
            while pool.idle() > 0
                && let Some(candidate) = waiting.next()
            {
                let record = &candidate.record;
                let (trial, architecture, seed) = (record.trial, record.architecture.clone(), record.seed);
                // There is an idle worker, so the job is taken.
                let _ =
                    pool.submit(Job::Candidate(CandidateJob { trial, architecture, seed, length, checkpoint: None }));
            }
            match pool.next(Duration::from_millis(200))? {
                Some(PoolEvent::Evaluated(trial, evaluation)) => {
                    in_training -= 1;
                    progress.ended(trial);
                    let record = CandidateRecord::new(trial, &evaluation);
                    self.file.store_candidate(&record)?;
                    progress.say(&candidate_line(trial, record.valid_accuracy));
                }
                Some(PoolEvent::Progress(worker, trial, step)) => {
                    if let Some(candidate) = candidates.iter().find(|candidate| candidate.record.trial == trial) {
                        progress.worker(worker, trial, &candidate.record.architecture, &step);
                    }
                }
                Some(PoolEvent::Final(..)) | None => {}
            }
            progress.final_status(CHOOSING, self.seconds_left());
        }
        Ok(true)
    }

    /// Trains a network on all training data and measures it once on the test data.
    fn final_training(&mut self, chosen: &StoredTrial) -> Result<Option<f64>> {
        let record = &chosen.record;
        let mut pool = self.pool(1, setup::all_threads(&self.settings))?;
        // Measuring on the test data takes its part, too.
        let time_limit_seconds = self.seconds_left().map(|left| (0.97 * left - START_SECONDS).max(5.0));
        eprintln!("training trial {} on all training data: {}", record.trial, record.architecture);
        let job = FinalJob {
            trial: record.trial,
            architecture: record.architecture.clone(),
            seed: record.seed,
            time_limit_seconds,
            epochs: None,
            checkpoint: None,
        };
        let _ = pool.submit(Job::Final(job));
        let mut progress = Progress::new(1, self.file.path(), FINAL_TRAINING);
        loop {
            if self.interrupted.load(Ordering::SeqCst) {
                return Ok(None);
            }
            match pool.next(Duration::from_millis(200))? {
                Some(PoolEvent::Final(trial, Ok(result))) => {
                    let record = FinalRecord::new(trial, result);
                    self.file.store_final(&record)?;
                    return Ok(Some(record.test_accuracy));
                }
                Some(PoolEvent::Final(trial, Err(reason))) => {
                    progress.say(&format!("the final training of trial {trial} failed: {reason}"));
                    return Ok(None);
                }
                Some(PoolEvent::Progress(worker, trial, step)) => {
                    progress.worker(worker, trial, &record.architecture, &step);
                }
                Some(PoolEvent::Evaluated(..)) | None => {}
            }
            progress.final_status(FINAL_TRAINING, self.seconds_left());
        }
    }
}

/// What decides whether a stored trial becomes a candidate; `None` where it did not learn.
fn network(stored: &StoredTrial) -> Option<FinishedNetwork> {
    let record = &stored.record;
    let valid_accuracy = record.evaluation.outcome.valid_accuracy()?.value();
    Some(FinishedNetwork { trial: record.trial, valid_accuracy, flops: record.flops })
}

fn candidate_line(trial: TrialNumber, valid_accuracy: Option<f64>) -> String {
    match valid_accuracy {
        Some(accuracy) => format!("candidate {trial:>4}: {:.2} % validation accuracy", 100.0 * accuracy),
        None => format!("candidate {trial:>4}: failed to learn"),
    }
}
