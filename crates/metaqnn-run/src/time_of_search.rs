//! When a search is over, and how far it is.

use metaqnn_core::ports::Storage;

use crate::run::Run;
use crate::surroundings::StartExecutor;

/// Share of the rest of the budget that the first trial may take where the search is over before it has begun.
const LEAST_SEARCH: f64 = 0.15;

/// Share of the time of a trial that validating it may take.
const VALIDATING: f64 = 0.05;

impl<S: Storage, X: StartExecutor> Run<'_, S, X> {
    /// Seconds after which the search ends, where there is a budget.
    pub(crate) fn search_seconds(&self) -> Option<f64> {
        let settings = &self.plan.settings;
        let budget = settings.search.budget_seconds;
        let share = if settings.final_phase.enabled { settings.final_phase.budget_share } else { 0.0 };
        let before = self.budget_before;
        // Raised after the search had ended: of what was added the search has its share, or more time would be none for it.
        let had_ended = before > 0.0 && self.clock.seconds_before >= before * (1.0 - share);
        let from = if had_ended { before } else { 0.0 };
        (budget > 0.0).then_some(from + (budget - from).max(0.0) * (1.0 - share))
    }

    /// Seconds after which no trial is begun any more: those of the search, but however short the budget one is tried.
    pub(crate) fn search_limit(&self) -> Option<f64> {
        let limit = self.search_seconds()?;
        let left = self.clock.seconds_left().unwrap_or(0.0);
        Some(if self.begun() == 0 { limit.max(self.clock.seconds() + LEAST_SEARCH * left) } else { limit })
    }

    /// Share of the search that is over.
    pub(crate) fn progress(&self) -> f64 {
        let in_time = self.search_seconds().map_or(0.0, |limit| self.clock.seconds() / limit);
        let models = self.plan.settings.search.models;
        let begun = self.begun();
        let in_models = if models > 0 { begun as f64 / models as f64 } else { 0.0 };
        in_time.max(in_models).min(1.0)
    }

    /// Whether another trial is to be begun.
    pub(crate) fn wants_more(&self) -> bool {
        let models = self.plan.settings.search.models;
        let begun = self.begun();
        (models == 0 || begun < models) && self.search_limit().is_none_or(|limit| self.clock.seconds() < limit)
    }

    /// Whether the time of the search is up, whatever is in training.
    pub(crate) fn is_time_up(&self) -> bool {
        self.search_seconds().is_some_and(|limit| self.clock.seconds() >= limit)
    }

    /// Whether a trial that is begun now can come to its end before the search does, as far as the trials of this run tell. The time
    /// that is left where it cannot goes to the final phase.
    pub(crate) fn has_time_for_another(&self) -> bool {
        let is_first = self.study.models() == 0 || self.shortest_trial_seconds == f64::INFINITY;
        let limit = self.search_seconds();
        is_first || limit.is_none_or(|limit| self.clock.seconds() + self.shortest_trial_seconds < limit)
    }

    /// Seconds that a trial which is begun now may train.
    pub(crate) fn seconds_of_trial(&self, limit: f64) -> f64 {
        // Workers still have to start.
        let start_seconds = if self.study.models() == 0 { self.plan.start_seconds } else { 0.0 };
        ((1.0 - VALIDATING) * (limit - self.clock.seconds()) - start_seconds).max(0.0)
    }
}
