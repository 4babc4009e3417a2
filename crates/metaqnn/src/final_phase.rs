//! After the search: a network is chosen among candidates, trained on all training data and measured once on the test data.

use anyhow::Result;
use metaqnn_core::ports::{CandidateLength, Storage};
use metaqnn_core::study::{FinishedNetwork, choose_candidates};
use metaqnn_exec::WorkerPool;
use metaqnn_exec::protocol::Job;
use metaqnn_store::StoredTrial;

use crate::final_jobs::{FinalJobs, candidate_job, final_job};
use crate::run::Run;
use crate::{display, setup};

/// Of the networks that learned, so many of the best are looked at as candidates.
const RANKED: usize = 1_000;

/// A candidate that was trained for this share of the time counts as trained for as long.
const SAME_TIME: f64 = 0.9;

/// Seconds that starting workers, which load the data, takes.
const START_SECONDS: f64 = 2.0;

impl Run {
    /// Chooses a network, trains it finally and returns it with its accuracy on the test data; `None` where no network learned,
    /// the final training failed, or after an interruption.
    pub(crate) fn final_phase(&mut self) -> Result<Option<StoredTrial>> {
        // From here on the search is over, also for a run after a kill.
        let seconds = self.seconds();
        self.file.note_run_seconds(seconds)?;
        let ranked = self.file.reader().top(RANKED)?;
        let networks: Vec<FinishedNetwork> = ranked.iter().filter_map(network).collect();
        let chosen = choose_candidates(&networks, self.settings.final_phase.candidates as usize);
        let candidates: Vec<&StoredTrial> =
            chosen.iter().filter_map(|trial| ranked.iter().find(|stored| stored.record.trial == *trial)).collect();
        let Some(chosen) = self.best_candidate(&candidates)? else { return Ok(None) };
        if chosen.test_accuracy.is_some() {
            return Ok(Some(chosen.clone()));
        }
        self.final_training(chosen)
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

    /// Trains all candidates for the same time, one a worker; false after an interruption. Those that an earlier run has trained for
    /// as long are not trained again.
    fn train_candidates(&mut self, candidates: &[&StoredTrial]) -> Result<bool> {
        let share = self.settings.final_phase.share_of_candidates();
        let workers = setup::workers(&self.settings).min(candidates.len());
        let length = match self.clock.seconds_left() {
            Some(left) => CandidateLength::Seconds(self.candidate_seconds(left, candidates.len().div_ceil(workers))),
            None => CandidateLength::ShareOfEpochs(share),
        };
        let stored = self.file.candidates()?;
        let was_trained = |candidate: &&&StoredTrial| {
            let record = stored.iter().find(|record| record.trial == candidate.record.trial);
            record.is_some_and(|record| match length {
                CandidateLength::Seconds(seconds) => {
                    record.valid_accuracy.is_none() || record.train_seconds >= SAME_TIME * seconds
                }
                _ => true,
            })
        };
        eprintln!("choosing among {}, each trained for longer", display::count(candidates.len() as u64, "candidate"));
        let job = |candidate: &&StoredTrial| Job::Candidate(candidate_job(&self.file, candidate, length));
        let jobs = candidates.iter().filter(|candidate| !was_trained(candidate)).map(job).collect();
        let pool = self.pool(workers, self.settings.search.threads)?;
        Ok(self.work(jobs, pool, "choosing a network")?.is_some())
    }

    /// Seconds for which each candidate is trained, one after another in so many `rounds`, when so many seconds are `left`: the same
    /// whether the phase begins or goes on after a kill. Where the search took too long, no more than half of what is left.
    fn candidate_seconds(&self, left: f64, rounds: usize) -> f64 {
        let final_phase = &self.settings.final_phase;
        let phase = left.max(self.settings.search.budget_seconds * final_phase.budget_share);
        let all = (phase * final_phase.share_of_candidates()).min(0.5 * left);
        ((all - START_SECONDS) / rounds as f64).max(1.0)
    }

    /// Trains a network on all training data and measures it once on the test data; gives it with what was measured.
    fn final_training(&mut self, chosen: &StoredTrial) -> Result<Option<StoredTrial>> {
        let record = &chosen.record;
        // Measuring on the test data takes its part, too.
        let time_limit_seconds = self.clock.seconds_left().map(|left| (0.97 * left - START_SECONDS).max(5.0));
        eprintln!("training trial {} on all training data: {}", record.trial, record.architecture);
        let job = final_job(&self.file, chosen, None, time_limit_seconds)?;
        let pool = self.pool(1, setup::all_threads(&self.settings))?;
        self.work(vec![Job::Final(job)], pool, "final training")?;
        Ok(self.file.reader().trial(record.trial)?.filter(|trial| trial.test_accuracy.is_some()))
    }

    fn work(&mut self, jobs: Vec<Job>, mut pool: WorkerPool, what: &str) -> Result<Option<Vec<String>>> {
        let (file, clock) = (&mut self.file, Some(self.clock));
        let failures = FinalJobs { file, pool: &mut pool, interrupted: &self.interrupted, what, clock }.run(jobs)?;
        self.failures.extend(failures.iter().flatten().cloned());
        Ok(failures)
    }
}

/// What decides whether a stored trial becomes a candidate; `None` where it did not learn.
fn network(stored: &StoredTrial) -> Option<FinishedNetwork> {
    let record = &stored.record;
    let valid_accuracy = record.evaluation.outcome.valid_accuracy()?.value();
    Some(FinishedNetwork { trial: record.trial, valid_accuracy, flops: record.flops })
}
