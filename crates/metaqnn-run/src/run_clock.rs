//! The time of a run, and of a study over all its runs.

use std::time::{Duration, Instant};

use metaqnn_core::ports::Clock;

/// The clock of this machine.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl SystemClock {
    /// Begins to count now.
    pub fn start() -> Self {
        SystemClock(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }
}

/// The time of a study over all its runs.
#[derive(Clone, Copy)]
pub(crate) struct RunClock<'a> {
    pub(crate) clock: &'a dyn Clock,
    /// When this run began.
    pub(crate) begin: Duration,
    /// Seconds of the runs before.
    pub(crate) seconds_before: f64,
    /// Seconds that all may take; 0: no such limit.
    pub(crate) budget_seconds: f64,
}

impl RunClock<'_> {
    /// Seconds of all runs.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds_before + seconds_since(self.clock, self.begin)
    }

    /// Seconds of the budget that are left; `None` without a budget.
    pub(crate) fn seconds_left(&self) -> Option<f64> {
        (self.budget_seconds > 0.0).then(|| (self.budget_seconds - self.seconds()).max(0.0))
    }
}

/// Seconds that have passed since `begin`.
pub(crate) fn seconds_since(clock: &dyn Clock, begin: Duration) -> f64 {
    clock.now().saturating_sub(begin).as_secs_f64()
}
