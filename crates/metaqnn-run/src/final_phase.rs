//! After the search: a network is chosen among candidates, trained on all training data and measured once on the test data.

use metaqnn_core::ports::{CandidateLength, Job, Storage};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{
    Detail, Failure, FinishedNetwork, Outcome, StoredTrial, TrialNumber, best_candidate, choose_candidates,
};

use crate::error::RunError;
use crate::final_jobs::{FinalJobs, candidate_job, final_job};
use crate::observer::{Notice, Observer, Phase};
use crate::run::Run;
use crate::surroundings::StartExecutor;

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

impl<S: Storage, X: StartExecutor> Run<'_, S, X> {
    /// Chooses a network, trains it finally and returns it with its accuracy on the test data; `None` where no network learned,
    /// the final training failed, or after an interruption.
    pub(crate) fn final_phase(&mut self, observer: &mut dyn Observer) -> Result<Option<StoredTrial>, RunError> {
        // From here on the search is over, also for a run after a kill.
        let seconds = self.clock.seconds();
        self.surroundings.storage.note_run_seconds(seconds).map_err(RunError::storage)?;
        let ranked = self.surroundings.storage.top(RANKED).map_err(RunError::storage)?;
        let networks: Vec<FinishedNetwork> = ranked.iter().filter_map(network).collect();
        let known = self.best_known(&ranked);
        let chosen = choose_candidates(&networks, self.plan.settings.final_phase.candidates as usize, known);
        let unlearned;
        let mut candidates: Vec<&StoredTrial> =
            chosen.iter().filter_map(|trial| ranked.iter().find(|stored| stored.record.trial == *trial)).collect();
        if candidates.is_empty() {
            unlearned = self.known_that_did_not_learn()?;
            if let Some(known) = &unlearned {
                observer.notice(Notice::KnownHasTheRest(known.record.trial));
            }
            candidates.extend(&unlearned);
        }
        let Some(chosen) = self.best_candidate(&candidates, observer)? else { return Ok(None) };
        if chosen.test_accuracy.is_some() && !self.has_time_to_train_longer(chosen)? {
            return Ok(Some(chosen.clone()));
        }
        self.final_training(chosen, observer)
    }

    /// Whether a network that was trained fully can now be trained for so much longer that it is worth beginning anew.
    fn has_time_to_train_longer(&self, chosen: &StoredTrial) -> Result<bool, RunError> {
        let finals = self.surroundings.storage.finals().map_err(RunError::storage)?;
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
    fn known_that_did_not_learn(&self) -> Result<Option<StoredTrial>, RunError> {
        let mut tried = Vec::new();
        self.surroundings
            .storage
            .visit_trials(Detail::Summary, &mut |trial| {
                tried.push(trial);
                true
            })
            .map_err(RunError::storage)?;
        let is_fit = |stored: &StoredTrial| {
            let outcome = &stored.record.evaluation.outcome;
            matches!(
                outcome,
                Outcome::Failed { failure: Failure::FailedToLearn { .. } | Failure::LossOfGuessing { .. } }
            )
        };
        Ok(self.study.first_networks().iter().find_map(|network| {
            tried.iter().find(|stored| stored.record.architecture == *network && is_fit(stored)).cloned()
        }))
    }

    /// The candidate that [`best_candidate`] takes once all are trained for as many passes; the first one where all fail.
    fn best_candidate<'c>(
        &mut self,
        candidates: &[&'c StoredTrial],
        observer: &mut dyn Observer,
    ) -> Result<Option<&'c StoredTrial>, RunError> {
        let is_asked = candidates.len() > 1 || self.plan.asks_of_symmetry;
        if is_asked
            && !candidates.is_empty()
            && !self.have_been_trained(candidates)?
            && !self.train_candidates(candidates, observer)?
        {
            return Ok(None);
        }
        let of = |trial| candidates.iter().find(|stored| stored.record.trial == trial).copied();
        let compared = self.surroundings.storage.candidates().map_err(RunError::storage)?;
        let compared: Vec<(TrialNumber, f64)> = compared
            .into_iter()
            .filter(|record| of(record.trial).is_some())
            .filter_map(|record| Some((record.trial, record.valid_accuracy?)))
            .collect();
        let known = self.best_known(&candidates.iter().map(|stored| (*stored).clone()).collect::<Vec<_>>());
        let best = best_candidate(&compared, known, self.plan.validated_images);
        Ok(best.and_then(of).or(candidates.first().copied()))
    }

    /// Share of the final phase for the training of so many candidates. Where there is one alone it is to show what may be done to the
    /// images.
    fn share_of_candidates(&self, candidates: usize) -> f64 {
        if candidates > 1 { self.plan.settings.final_phase.candidates_share } else { SHARE_TO_SHOW }
    }

    /// Whether each of the candidates is stored as one: then the same ones were compared in an earlier run.
    fn have_been_trained(&self, candidates: &[&StoredTrial]) -> Result<bool, RunError> {
        let stored = self.surroundings.storage.candidates().map_err(RunError::storage)?;
        let is_stored = |trial| stored.iter().any(|record| record.trial == trial);
        Ok(candidates.iter().all(|candidate| is_stored(candidate.record.trial)))
    }

    /// Trains all candidates for as many passes, one a place; false after an interruption. Those that an earlier run has trained for
    /// as long are not trained again.
    ///
    /// The final training makes so many passes with each that what tells is what a network gains from a pass, not how soon it makes one: for the
    /// same time the smallest would be the best here and not there.
    fn train_candidates(&mut self, candidates: &[&StoredTrial], observer: &mut dyn Observer) -> Result<bool, RunError> {
        let share = self.share_of_candidates(candidates.len());
        let places = self.plan.places.min(candidates.len());
        let seconds = self.clock.seconds_left().map(|left| {
            let pass_seconds: Vec<f64> = candidates.iter().map(|candidate| pass_seconds(candidate)).collect();
            let rounds = candidates.len().div_ceil(places);
            shared_seconds(&pass_seconds, places, self.candidate_seconds(left, share, rounds) * rounds as f64)
        });
        let length_of = |trial: TrialNumber| match &seconds {
            Some(seconds) => {
                let place = candidates.iter().position(|candidate| candidate.record.trial == trial);
                CandidateLength::Seconds(place.map_or(0.0, |place| seconds[place]))
            }
            None => CandidateLength::ShareOfEpochs(share),
        };
        let stored = self.surroundings.storage.candidates().map_err(RunError::storage)?;
        let was_trained = |candidate: &&&StoredTrial| {
            let record = stored.iter().find(|record| record.trial == candidate.record.trial);
            record.is_some_and(|record| match length_of(record.trial) {
                CandidateLength::Seconds(seconds) => {
                    record.valid_accuracy.is_none() || record.train_seconds >= SAME_TIME * seconds
                }
                _ => true,
            })
        };
        observer.notice(match candidates.len() {
            1 => Notice::LookingAtSymmetry,
            many => Notice::ChoosingAmong(many),
        });
        let checkpoints = self.surroundings.checkpoints;
        let job = |candidate: &&StoredTrial| {
            Job::Candidate(candidate_job(checkpoints, candidate, length_of(candidate.record.trial)))
        };
        let jobs = candidates.iter().filter(|candidate| !was_trained(candidate)).map(job).collect();
        let executor = self.surroundings.start(places, self.plan.settings.search.threads)?;
        Ok(self.work(jobs, executor, Phase::Choosing, observer)?.is_some())
    }

    /// Seconds for which a candidate is trained in the mean, one after another in so many `rounds`, when so many seconds are `left`: the same
    /// whether the phase begins or goes on after a kill. Where the search took too long, no more than half of what is left.
    fn candidate_seconds(&self, left: f64, share: f64, rounds: usize) -> f64 {
        let settings = &self.plan.settings;
        let phase = left.max(settings.search.budget_seconds * settings.final_phase.budget_share);
        let all = (phase * share).min(0.5 * left);
        ((all - self.plan.start_seconds) / rounds as f64).max(0.0)
    }

    /// Trains a network on all training data and measures it once on the test data; gives it with what was measured.
    fn final_training(
        &mut self,
        chosen: &StoredTrial,
        observer: &mut dyn Observer,
    ) -> Result<Option<StoredTrial>, RunError> {
        let record = &chosen.record;
        let left = |left: f64| ((1.0 - MEASURING) * left - self.plan.start_seconds).max(0.0);
        let time_limit_seconds = self.clock.seconds_left().map(left);
        observer.notice(Notice::TrainingFinally(record.trial, &record.architecture));
        let (storage, checkpoints) = (&self.surroundings.storage, self.surroundings.checkpoints);
        let job = final_job(storage, checkpoints, chosen, None, time_limit_seconds)?;
        // On the threads of all places.
        let places = u32::try_from(self.plan.places).unwrap_or(u32::MAX);
        let executor = self.surroundings.start(1, places.saturating_mul(self.plan.settings.search.threads))?;
        self.work(vec![Job::Final(job)], executor, Phase::FinalTraining, observer)?;
        let trained = self.surroundings.storage.trial(record.trial).map_err(RunError::storage)?;
        Ok(trained.filter(|trial| trial.test_accuracy.is_some()))
    }

    fn work(
        &mut self,
        jobs: Vec<Job>,
        mut executor: X::Executor,
        phase: Phase,
        observer: &mut dyn Observer,
    ) -> Result<Option<Vec<String>>, RunError> {
        let (surroundings, clock) = (&mut self.surroundings, Some(self.clock));
        let failures = FinalJobs { surroundings, executor: &mut executor, phase, clock }.run(jobs, observer)?;
        self.failures.extend(failures.iter().flatten().cloned());
        Ok(failures)
    }
}

/// Seconds that a pass over the images took in a trial.
fn pass_seconds(stored: &StoredTrial) -> f64 {
    let evaluation = &stored.record.evaluation;
    evaluation.train_seconds / f64::from(evaluation.epochs.max(1))
}

/// The seconds of each of several trainings that are as many passes long, begun in this order on so many places, so that all are over after
/// `all` seconds. Where nothing is known of a pass, they are the same.
fn shared_seconds(pass_seconds: &[f64], places: usize, all: f64) -> Vec<f64> {
    let known = pass_seconds.iter().all(|seconds| seconds.is_finite() && *seconds > 0.0);
    let weights = if known { pass_seconds.to_vec() } else { vec![1.0; pass_seconds.len()] };
    let mut busy_until = vec![0.0_f64; places.max(1)];
    for weight in &weights {
        if let Some(next) = busy_until.iter_mut().min_by(|a, b| a.total_cmp(b)) {
            *next += weight;
        }
    }
    let end = busy_until.into_iter().fold(0.0, f64::max);
    weights.into_iter().map(|weight| if end > 0.0 { all * weight / end } else { 0.0 }).collect()
}

/// What decides whether a stored trial becomes a candidate; `None` where it did not learn.
fn network(stored: &StoredTrial) -> Option<FinishedNetwork> {
    let record = &stored.record;
    let valid_accuracy = record.evaluation.outcome.valid_accuracy()?.value();
    Some(FinishedNetwork { trial: record.trial, valid_accuracy, flops: record.flops })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn candidates_share_the_time_by_what_a_pass_takes() {
        assert_eq!(shared_seconds(&[1.0, 3.0, 1.0], 1, 50.0), [10.0, 30.0, 10.0]);
        // On two places the second is busy from the begin to the end.
        assert_eq!(shared_seconds(&[1.0, 4.0, 1.0, 1.0], 2, 40.0), [10.0, 40.0, 10.0, 10.0]);
        assert_eq!(shared_seconds(&[2.0], 3, 9.0), [9.0]);
        assert_eq!(shared_seconds(&[0.0, 5.0], 1, 8.0), [4.0, 4.0], "of one no pass is known");
        assert_eq!(shared_seconds(&[], 2, 8.0), [] as [f64; 0]);
    }
}
