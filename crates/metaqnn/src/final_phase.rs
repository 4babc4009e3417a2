//! After the search: a network is chosen among candidates, trained on all training data and measured once on the test data.

use anyhow::Result;
use metaqnn_core::ports::{CandidateLength, Job, Storage};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{Failure, FinishedNetwork, Outcome, TrialNumber, best_candidate, choose_candidates};
use metaqnn_exec::WorkerPool;
use metaqnn_store::{Detail, StoredTrial};

use crate::final_jobs::{FinalJobs, candidate_job, final_job};
use crate::run::Run;
use crate::setup;

/// Of the networks that learned, so many of the best are looked at as candidates.
const RANKED: usize = 1_000;

/// A candidate that was trained for this share of the time counts as trained for as long.
const SAME_TIME: f64 = 0.9;

/// A network is trained fully once more where there is so many times the time of before.
const LONGER: f64 = 1.2;

/// Share of the final phase in which a single candidate shows whether images may be mirrored or turned.
const SHARE_TO_SHOW: f64 = 0.2;

/// Share of the time of the final training that measuring on the test data may take.
const MEASURING: f64 = 0.03;

impl Run {
    /// Chooses a network, trains it finally and returns it with its accuracy on the test data; `None` where no network learned,
    /// the final training failed, or after an interruption.
    pub(crate) fn final_phase(&mut self) -> Result<Option<StoredTrial>> {
        // From here on the search is over, also for a run after a kill.
        let seconds = self.seconds();
        self.file.note_run_seconds(seconds)?;
        let ranked = self.file.reader().top(RANKED)?;
        let networks: Vec<FinishedNetwork> = ranked.iter().filter_map(network).collect();
        let known = self.best_known(&ranked);
        let chosen = choose_candidates(&networks, self.settings.final_phase.candidates as usize, known);
        let unlearned;
        let mut candidates: Vec<&StoredTrial> =
            chosen.iter().filter_map(|trial| ranked.iter().find(|stored| stored.record.trial == *trial)).collect();
        if candidates.is_empty() {
            unlearned = self.known_that_did_not_learn()?;
            candidates.extend(&unlearned);
        }
        let Some(chosen) = self.best_candidate(&candidates)? else { return Ok(None) };
        if chosen.test_accuracy.is_some() && !self.has_time_to_train_longer(chosen)? {
            return Ok(Some(chosen.clone()));
        }
        self.final_training(chosen)
    }

    /// Whether a network that was trained fully can now be trained for so much longer that it is worth beginning anew.
    fn has_time_to_train_longer(&self, chosen: &StoredTrial) -> Result<bool> {
        let finals = self.file.finals()?;
        let trained = finals.iter().find(|record| record.trial == chosen.record.trial);
        Ok(trained.zip(self.clock.seconds_left()).is_some_and(|(record, left)| left > LONGER * record.train_seconds))
    }

    /// The first of the networks known to be good that has learned: what is worse than it in a short trial need not be in the end.
    fn best_known(&self, ranked: &[StoredTrial]) -> Option<TrialNumber> {
        let trial_of = |network: &Architecture| {
            ranked.iter().find(|stored| stored.record.architecture == *network).map(|stored| stored.record.trial)
        };
        self.study.first_networks().iter().find_map(trial_of)
    }

    /// A network known to be good, tried for too short a time to learn. Where none has learned it has the best prospects.
    fn known_that_did_not_learn(&self) -> Result<Option<StoredTrial>> {
        let mut tried = Vec::new();
        self.file.reader().visit_trials(Detail::Summary, &mut |trial| {
            tried.push(trial);
            true
        })?;
        let is_fit = |stored: &StoredTrial| {
            let outcome = &stored.record.evaluation.outcome;
            matches!(
                outcome,
                Outcome::Failed { failure: Failure::FailedToLearn { .. } | Failure::LossOfGuessing { .. } }
            )
        };
        let known = self.study.first_networks().iter().find_map(|network| {
            tried.iter().find(|stored| stored.record.architecture == *network && is_fit(stored)).cloned()
        });
        if let Some(known) = &known {
            let trial = known.record.trial;
            eprintln!(
                "no network has learned in the time of a trial; trial {trial}, known to be good, has the rest of the time"
            );
        }
        Ok(known)
    }

    /// The candidate that [`best_candidate`] takes once all are trained for the same time; the first one where all fail.
    fn best_candidate<'a>(&mut self, candidates: &[&'a StoredTrial]) -> Result<Option<&'a StoredTrial>> {
        let is_asked = candidates.len() > 1 || self.asks_of_symmetry;
        if is_asked
            && !candidates.is_empty()
            && !self.have_been_trained(candidates)?
            && !self.train_candidates(candidates)?
        {
            return Ok(None);
        }
        let of = |trial| candidates.iter().find(|stored| stored.record.trial == trial).copied();
        let compared = self.file.candidates()?.into_iter().filter(|record| of(record.trial).is_some());
        let compared: Vec<(TrialNumber, f64)> =
            compared.filter_map(|record| Some((record.trial, record.valid_accuracy?))).collect();
        let known = self.best_known(&candidates.iter().map(|stored| (*stored).clone()).collect::<Vec<_>>());
        let best = best_candidate(&compared, known, self.validated_images);
        Ok(best.and_then(of).or(candidates.first().copied()))
    }

    /// Share of the final phase for the training of so many candidates. Where there is one alone it is to show what may be done to the
    /// images.
    fn share_of_candidates(&self, candidates: usize) -> f64 {
        if candidates > 1 { self.settings.final_phase.candidates_share } else { SHARE_TO_SHOW }
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
        let share = self.share_of_candidates(candidates.len());
        let workers = setup::workers(&self.settings).min(candidates.len());
        let length = match self.clock.seconds_left() {
            Some(left) => {
                CandidateLength::Seconds(self.candidate_seconds(left, share, candidates.len().div_ceil(workers)))
            }
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
        match candidates.len() {
            1 => eprintln!("looking at whether images may be mirrored or turned"),
            many => eprintln!("choosing among {many} candidates, each trained for longer"),
        }
        let job = |candidate: &&StoredTrial| Job::Candidate(candidate_job(&self.file, candidate, length));
        let jobs = candidates.iter().filter(|candidate| !was_trained(candidate)).map(job).collect();
        let pool = self.pool(workers, self.settings.search.threads)?;
        Ok(self.work(jobs, pool, "choosing a network")?.is_some())
    }

    /// Seconds for which each candidate is trained, one after another in so many `rounds`, when so many seconds are `left`: the same
    /// whether the phase begins or goes on after a kill. Where the search took too long, no more than half of what is left.
    fn candidate_seconds(&self, left: f64, share: f64, rounds: usize) -> f64 {
        let final_phase = &self.settings.final_phase;
        let phase = left.max(self.settings.search.budget_seconds * final_phase.budget_share);
        let all = (phase * share).min(0.5 * left);
        ((all - self.start_seconds) / rounds as f64).max(0.0)
    }

    /// Trains a network on all training data and measures it once on the test data; gives it with what was measured.
    fn final_training(&mut self, chosen: &StoredTrial) -> Result<Option<StoredTrial>> {
        let record = &chosen.record;
        let left = |left: f64| ((1.0 - MEASURING) * left - self.start_seconds).max(0.0);
        let time_limit_seconds = self.clock.seconds_left().map(left);
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
