//! The best networks of a study trained fully, as planned, and measured once on the test data.

use std::time::Duration;

use metaqnn_core::ports::{CandidateLength, Executor, Job, Storage};
use metaqnn_core::settings::Settings;
use metaqnn_core::study::{Finalist, PlannedTraining, StoredTrial, TrialNumber, plan_final_trainings};

use crate::error::RunError;
use crate::final_budget::{Pace, fits, measure_epoch};
use crate::final_jobs::{FinalJobs, candidate_job, final_job, remove_checkpoints};
use crate::observer::{Notice, Observer, Phase};
use crate::run_clock::seconds_since;
use crate::surroundings::{Stage, StartExecutor, Surroundings};

/// Networks that are trained fully where nothing else is asked for (method: the top ten).
const FINALISTS: usize = 10;

/// FLOPs of a training step over those of the forward pass, by which the validation of a trial is counted.
const TRAINING_OVER_FORWARD: f64 = 3.0;

/// What is settled before the trainings begin.
#[derive(Clone, Debug)]
pub struct FinalPlan {
    /// The settings, checked; its threads are those of a training.
    pub settings: Settings,
    /// Time with the threads of a trial over time with those of a final training.
    pub slower: f64,
    /// Training and validation images, and training images alone.
    pub images: [usize; 2],
    /// When this began, by the clock of the surroundings.
    pub begin: Duration,
    /// Seconds that it may take, where there is a limit.
    pub budget_seconds: Option<f64>,
}

/// The final trainings of a study.
pub struct FinalTrainings<'a, S, X> {
    surroundings: Surroundings<'a, S, X>,
    plan: FinalPlan,
}

/// A training that is planned and not done.
struct Open {
    /// From 1.
    place: usize,
    predicted_seconds: f64,
    planned: PlannedTraining,
    trial: StoredTrial,
}

impl<'a, S: Storage, X: StartExecutor> FinalTrainings<'a, S, X> {
    /// Trainings of the study in the storage.
    pub fn new(surroundings: Surroundings<'a, S, X>, plan: FinalPlan) -> Self {
        FinalTrainings { surroundings, plan }
    }

    /// The storage, to be read from and written to.
    pub fn storage(&mut self) -> &mut S {
        &mut self.surroundings.storage
    }

    /// Gives the storage back.
    pub fn into_storage(self) -> S {
        self.surroundings.storage
    }

    /// Plans the training of so many of the best networks, as many as the stored plan has or ten where nothing is asked for, beyond that
    /// plan. One that is there is kept, so that a run after a kill does the same.
    ///
    /// # Errors
    ///
    /// [`RunError::NoneLearned`] where there is no network, and where the storage or the executor fails.
    pub fn extend_plan(&mut self, models: Option<usize>, observer: &mut dyn Observer) -> Result<(), RunError> {
        let plan = self.surroundings.storage.final_plan().map_err(RunError::storage)?;
        let count = models.unwrap_or(if plan.is_empty() { FINALISTS } else { plan.len() });
        let ranked = self.surroundings.storage.top(count).map_err(RunError::storage)?;
        if ranked.is_empty() {
            return Err(RunError::NoneLearned);
        }
        let is_new = |trial: &&StoredTrial| plan.iter().all(|planned| planned.trial != trial.record.trial);
        let finalists: Vec<Finalist> = ranked.iter().filter(is_new).map(|trial| self.finalist(trial)).collect();
        if finalists.is_empty() || (!plan.is_empty() && models.is_none()) {
            if self.plan.budget_seconds.is_some() {
                observer.notice(Notice::PlanIsMade);
            }
            return Ok(());
        }
        // The same command after a kill: the budget has been divided already.
        if self.plan.budget_seconds.is_some() && self.is_unfinished(&plan)? {
            observer.notice(Notice::PlanGoesOn);
            return Ok(());
        }
        let final_phase = &self.plan.settings.final_phase;
        let training = &final_phase.training;
        let epochs = training.epochs_of(self.plan.images[0].div_ceil(training.batch_size as usize));
        let share = final_phase.share_of_candidates();
        let (finalists, seconds) = match self.plan.budget_seconds {
            Some(budget) => {
                let finalists = self.with_measured_speed(finalists, &ranked, budget, observer)?;
                (finalists, Some((budget - self.elapsed()).max(0.0)))
            }
            None => (finalists, None),
        };
        if (self.surroundings.is_interrupted)() {
            return Ok(());
        }
        let finals = self.surroundings.storage.finals().map_err(RunError::storage)?;
        let planned = plan_final_trainings(&finalists, &finals, epochs, share, seconds);
        if let Some(first) = planned.first() {
            observer.notice(Notice::Planned { networks: planned.len(), epochs: first.final_epochs });
        }
        self.surroundings.storage.extend_final_plan(&planned).map_err(RunError::storage)
    }

    /// Seconds since this began.
    fn elapsed(&self) -> f64 {
        seconds_since(self.surroundings.clock, self.plan.begin)
    }

    /// The finalists with the seconds of an epoch that the first one shows in a moment of training, instead of those of the trials.
    fn with_measured_speed(
        &self,
        mut finalists: Vec<Finalist>,
        ranked: &[StoredTrial],
        budget: f64,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Finalist>, RunError> {
        let Some(first) = finalists.first() else { return Ok(finalists) };
        let Some(trial) = ranked.iter().find(|trial| trial.record.trial == first.trial) else { return Ok(finalists) };
        observer.notice(Notice::MeasuringSpeed(first.trial));
        let Surroundings { clock, checkpoints, is_interrupted, .. } = self.surroundings;
        let job = candidate_job(checkpoints, trial, CandidateLength::Epochs(1));
        let [all, train] = self.plan.images.map(|images| images as f64);
        if let Some(seconds) = measure_epoch(&mut self.executor()?, job, budget, clock, is_interrupted)? {
            let slower = seconds * all / train / first.seconds_an_epoch.max(1e-9);
            finalists.iter_mut().for_each(|finalist| finalist.seconds_an_epoch *= slower);
        }
        Ok(finalists)
    }

    fn is_unfinished(&self, plan: &[PlannedTraining]) -> Result<bool, RunError> {
        let finals = self.surroundings.storage.finals().map_err(RunError::storage)?;
        Ok(plan.iter().any(|planned| !planned.is_done(&finals)))
    }

    /// Predicts the time of an epoch from that of the trial, which was measured.
    fn finalist(&self, trial: &StoredTrial) -> Finalist {
        let evaluation = &trial.record.evaluation;
        let part = |asked: u32, all: usize| if asked == 0 { all } else { all.min(asked as usize) } as f64;
        let training = &self.plan.settings.training;
        let [all, train] = self.plan.images;
        let images =
            part(training.train_images, train) + part(training.valid_images, all - train) / TRAINING_OVER_FORWARD;
        let seconds_an_image = evaluation.train_seconds / (f64::from(evaluation.epochs.max(1)) * images.max(1.0));
        Finalist { trial: trial.record.trial, seconds_an_epoch: seconds_an_image * all as f64 * self.plan.slower }
    }

    /// Trains what is planned and not done yet; gives the reasons of those that failed, `None` after an interruption.
    ///
    /// # Errors
    ///
    /// Where the storage or the executor fails, or nothing can be kept.
    pub fn train(&mut self, observer: &mut dyn Observer) -> Result<Option<Vec<String>>, RunError> {
        if (self.surroundings.is_interrupted)() {
            return Ok(None);
        }
        let mut failures = Vec::new();
        let mut left_out: Vec<TrialNumber> = Vec::new();
        let (of, open) = self.open()?;
        let mut predicted_left: f64 = open.iter().map(|open| open.predicted_seconds).sum();
        let mut pace = Pace::default();
        let mut executor = None;
        for Open { place, predicted_seconds: predicted, planned, trial } in open {
            // The first one is always trained.
            let has_time = |budget| fits(budget, pace.likely(predicted), self.elapsed());
            let fits = executor.is_none() || self.plan.budget_seconds.is_none_or(has_time);
            if !left_out.is_empty() || !fits {
                left_out.push(planned.trial);
                continue;
            }
            let executor = match &mut executor {
                Some(executor) => executor,
                none => none.insert(self.executor()?),
            };
            observer.notice(Notice::TrainingPlanned {
                place,
                of,
                seconds_left: pace.likely(predicted_left),
                trial: planned.trial,
                architecture: &trial.record.architecture,
            });
            let goes_on = self.has_checkpoint(planned.trial);
            let begin = self.surroundings.clock.now();
            match self.train_one(&planned, &trial, executor, observer)? {
                Some(reasons) => failures.extend(reasons),
                None => return Ok(None),
            }
            predicted_left -= predicted;
            if !goes_on {
                pace.note(predicted, seconds_since(self.surroundings.clock, begin));
            }
        }
        if !left_out.is_empty() {
            observer.notice(Notice::LeftOut(&left_out));
        }
        Ok(Some(failures))
    }

    /// How many are planned, and which of them are not done. What those that are done have left behind is removed.
    fn open(&self) -> Result<(usize, Vec<Open>), RunError> {
        let storage = &self.surroundings.storage;
        let plan = storage.final_plan().map_err(RunError::storage)?;
        // A trial is planned once, so what was done before says whether it is open.
        let finals = storage.finals().map_err(RunError::storage)?;
        let (count, mut open) = (plan.len(), Vec::new());
        for (place, planned) in (1..).zip(plan) {
            if planned.is_done(&finals) {
                remove_checkpoints(self.surroundings.checkpoints, planned.trial);
                continue;
            }
            let trial = storage.trial(planned.trial).map_err(RunError::storage)?.ok_or(RunError::NoSuchTrial)?;
            open.push(Open { place, predicted_seconds: self.predicted_seconds(&planned, &trial), planned, trial });
        }
        Ok((count, open))
    }

    fn has_checkpoint(&self, trial: TrialNumber) -> bool {
        let checkpoints = self.surroundings.checkpoints;
        [Stage::Candidate, Stage::Final].into_iter().any(|stage| checkpoints.is_there(stage, trial))
    }

    /// Seconds that the trainings of a network are likely to take.
    fn predicted_seconds(&self, planned: &PlannedTraining, trial: &StoredTrial) -> f64 {
        let [all, train] = self.plan.images.map(|images| images as f64);
        let epochs = f64::from(planned.final_epochs) + f64::from(planned.candidate_epochs) * train / all;
        self.finalist(trial).seconds_an_epoch * epochs
    }

    fn executor(&self) -> Result<X::Executor, RunError> {
        self.surroundings.start(1, self.plan.settings.search.threads)
    }

    /// Trains a network on the training images and validates it, then on all, and measures it; gives why that failed, where it did,
    /// and `None` after an interruption.
    fn train_one<E: Executor>(
        &mut self,
        planned: &PlannedTraining,
        trial: &StoredTrial,
        executor: &mut E,
        observer: &mut dyn Observer,
    ) -> Result<Option<Vec<String>>, RunError> {
        let checkpoints = self.surroundings.checkpoints;
        if !self.was_validated(planned)? {
            let job = candidate_job(checkpoints, trial, CandidateLength::Epochs(planned.candidate_epochs));
            let failures = self.work(Job::Candidate(job), Phase::Validation, executor, observer)?;
            if failures.as_ref().is_none_or(|failures| !failures.is_empty()) {
                return Ok(failures);
            }
        }
        let job = final_job(&self.surroundings.storage, checkpoints, trial, Some(planned.final_epochs), None)?;
        self.work(Job::Final(job), Phase::FinalTraining, executor, observer)
    }

    /// Whether the validation that is planned is needed no more: it failed, or was as long and its probabilities are kept.
    fn was_validated(&self, planned: &PlannedTraining) -> Result<bool, RunError> {
        if planned.candidate_epochs == 0 {
            return Ok(true);
        }
        let storage = &self.surroundings.storage;
        let candidates = storage.candidates().map_err(RunError::storage)?;
        let validated = candidates.iter().find(|candidate| candidate.trial == planned.trial);
        let Some(validated) = validated else { return Ok(false) };
        let is_kept = || storage.validation_probabilities(planned.trial).map_err(RunError::storage);
        Ok(validated.valid_accuracy.is_none() || validated.epochs >= planned.candidate_epochs && is_kept()?.is_some())
    }

    fn work<E: Executor>(
        &mut self,
        job: Job,
        phase: Phase,
        executor: &mut E,
        observer: &mut dyn Observer,
    ) -> Result<Option<Vec<String>>, RunError> {
        let surroundings = &mut self.surroundings;
        FinalJobs { surroundings, executor, phase, clock: None }.run(vec![job], observer)
    }
}
