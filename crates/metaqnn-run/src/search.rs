//! The search: asks, hands out, stores, tells.

use std::time::Duration;

use metaqnn_core::ports::{Executor, ExecutorEvent, Job, Storage, TrialJob};
use metaqnn_core::study::{Ask, Evaluation, EventKind, TrialNumber};

use crate::error::RunError;
use crate::observer::{InPhase, Notice, Observer, Phase, SearchStatus};
use crate::run::Run;
use crate::surroundings::StartExecutor;

/// How long to wait for something to happen before looking at clock and interrupts again.
const PATIENCE: Duration = Duration::from_millis(200);

impl<S: Storage, X: StartExecutor> Run<'_, S, X> {
    /// Trains trials until the models or the time are reached; false after an interruption.
    pub(crate) fn search(&mut self, observer: &mut dyn Observer) -> Result<bool, RunError> {
        if !self.wants_more() {
            return Ok(true);
        }
        let mut executor = self.surroundings.start(self.plan.places, self.plan.settings.search.threads)?;
        let mut shown = InPhase::begin(observer, Phase::Search, executor.places());
        if let Some(best) = self.surroundings.storage.top(1).map_err(RunError::storage)?.first() {
            shown.notice(Notice::Learned(&best.record));
        }
        let mut exhausted = false;
        loop {
            if (self.surroundings.is_interrupted)() {
                return Ok(false);
            }
            self.surroundings.storage.check_in_place().map_err(RunError::storage)?;
            // One that is no trial at a time, so that a long row of them leaves time for everything else.
            let mut is_busy = false;
            while executor.idle() > 0 && !exhausted && self.wants_more() && self.has_time_for_another() {
                let limit = self.search_limit();
                match self.ask() {
                    Ask::Trial(asked) => {
                        let (trial, architecture, seed) = (asked.trial, asked.architecture, asked.seed);
                        let time_limit_seconds = limit.map(|limit| self.seconds_of_trial(limit));
                        let stop = self.stopping.rule();
                        let job = TrialJob { trial, architecture, seed, stop, time_limit_seconds };
                        // There is an idle place, so the job is taken.
                        let _ = executor.submit(Job::Trial(job));
                    }
                    Ask::Event(event) => {
                        self.surroundings.storage.append(&event).map_err(RunError::storage)?;
                        is_busy = true;
                        break;
                    }
                    Ask::Busy => break,
                    Ask::Exhausted => {
                        exhausted = true;
                        shown.notice(Notice::Exhausted { models: self.study.models() });
                    }
                }
            }
            let in_training = self.study.pending().count();
            let is_done = exhausted || !self.wants_more() || !self.has_time_for_another();
            if in_training == 0 && is_done || self.is_time_up() && self.study.models() > 0 {
                return Ok(true);
            }
            let patience = if is_busy { Duration::ZERO } else { PATIENCE };
            match executor.next(patience).map_err(RunError::executor)? {
                Some(ExecutorEvent::Evaluated(trial, evaluation)) => self.take(trial, evaluation, &mut shown)?,
                Some(ExecutorEvent::Progress(place, trial, step)) => {
                    if let Some(asked) = self.study.pending().find(|asked| asked.trial == trial) {
                        shown.training(place, trial, &asked.architecture, &step);
                    }
                }
                Some(ExecutorEvent::Candidate(..) | ExecutorEvent::Final(..)) | None => {}
            }
            shown.search_status(&SearchStatus {
                epsilon: self.study.epsilon(self.progress()),
                models: self.study.models(),
                of: self.plan.settings.search.models,
                run_seconds: self.clock.seconds(),
                seconds_left: self.search_seconds().map(|limit| limit - self.clock.seconds()),
            });
        }
    }

    /// What to train next; asked again later where it takes until the end of the search or an interrupt.
    fn ask(&mut self) -> Ask {
        let (progress, seconds, limit) = (self.progress(), self.clock.seconds(), self.search_limit());
        let (clock, is_interrupted) = (self.clock, self.surroundings.is_interrupted);
        let goes_on = || !is_interrupted() && limit.is_none_or(|limit| clock.seconds() < limit);
        self.study.ask_while(progress, seconds, &goes_on)
    }

    /// The agent learns what came of a trial, and it is stored and shown.
    fn take(&mut self, trial: TrialNumber, evaluation: Evaluation, shown: &mut InPhase<'_>) -> Result<(), RunError> {
        shown.training_ended(trial);
        let seconds = self.clock.seconds();
        self.shortest_trial_seconds = self.shortest_trial_seconds.min(evaluation.train_seconds);
        let Some(event) = self.study.tell(trial, evaluation, seconds) else { return Ok(()) };
        if let EventKind::Trial(record) = &event.kind {
            self.stopping.note(record);
        }
        self.surroundings.storage.append(&event).map_err(RunError::storage)?;
        if let EventKind::Trial(record) = &event.kind {
            shown.notice(match record.evaluation.outcome.valid_accuracy() {
                Some(_) => Notice::Learned(record),
                None => Notice::Failed(record),
            });
        }
        Ok(())
    }
}
