//! The time of `metaqnn final`: how fast the networks really train, how long the rest is likely to take, and which of them a budget leaves
//! time for.
//!
//! The plan is made in epochs, from the speed of the trials. So that a wrong estimate does not become a wrong plan, the best network
//! is trained for a moment first, and the plan goes by what that shows. And so that an estimate that is wrong for another network
//! does not cost much more than the budget, no network is begun for which, at the speed seen so far, there is no time left.

use std::time::Duration;

use metaqnn_core::ports::{CandidateJob, CandidateLength, Clock, Executor, ExecutorEvent, Job, TrainingProgress};

use crate::error::RunError;
use crate::run_clock::seconds_since;

/// Epochs that the moment is long at most.
const EPOCHS: u32 = 2;

/// Share of the budget that it may take, and the seconds that it takes at least where the epochs are so long.
const SHARE: f64 = 0.05;
const LEAST_SECONDS: f64 = 1.0;

/// How much longer than planned the networks may take before those for which there is no time are left out.
const TOLERANCE: f64 = 1.1;

/// How long to wait for something to happen before looking at interrupts again.
const PATIENCE: Duration = Duration::from_millis(100);

/// Seconds of an epoch on the training images, measured on the first steps of a network; `None` where it trains too badly to tell, or
/// after an interruption.
pub(crate) fn measure_epoch<E: Executor>(
    executor: &mut E,
    job: CandidateJob,
    budget_seconds: f64,
    clock: &dyn Clock,
    is_interrupted: &dyn Fn() -> bool,
) -> Result<Option<f64>, RunError> {
    let job = CandidateJob { length: CandidateLength::Epochs(EPOCHS), checkpoint: None, ..job };
    // The one place is idle, so the job is taken.
    let _ = executor.submit(Job::Candidate(job));
    let most = (SHARE * budget_seconds).max(LEAST_SECONDS);
    // Between two reports, since the first step waits for the data.
    let mut first: Option<(Duration, f64)> = None;
    while !is_interrupted() {
        match executor.next(PATIENCE).map_err(RunError::executor)? {
            Some(ExecutorEvent::Progress(_, _, TrainingProgress::Step { progress, .. })) => match first {
                None => first = Some((clock.now(), progress)),
                Some((begin, before)) if seconds_since(clock, begin) >= most => {
                    let epochs = f64::from(EPOCHS) * (progress - before);
                    return Ok((epochs > 0.0).then(|| seconds_since(clock, begin) / epochs));
                }
                Some(_) => {}
            },
            Some(ExecutorEvent::Progress(_, _, TrainingProgress::Restart { .. })) => return Ok(None),
            Some(ExecutorEvent::Candidate(_, result)) => {
                let evaluation = result.ok().map(|result| result.evaluation);
                let whole = evaluation.filter(|evaluation| evaluation.tries == 1 && evaluation.epochs > 0);
                return Ok(whole.map(|evaluation| evaluation.train_seconds / f64::from(evaluation.epochs)));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// How the time that trainings take compares with what was predicted.
#[derive(Clone, Copy, Default)]
pub(crate) struct Pace {
    /// Predicted seconds of the networks that this run has trained from the beginning, and what they took.
    predicted: f64,
    taken: f64,
}

impl Pace {
    /// A network for which so many seconds were `predicted` took so many.
    pub(crate) fn note(&mut self, predicted: f64, taken: f64) {
        self.predicted += predicted;
        self.taken += taken;
    }

    /// Seconds that networks for which so many are `predicted` are likely to take, going by those that were trained.
    pub(crate) fn likely(&self, predicted: f64) -> f64 {
        let slower = if self.predicted > 0.0 { self.taken / self.predicted } else { 1.0 };
        predicted * slower
    }
}

/// Whether a network that is likely to take so many seconds still fits into a budget of which so many have passed.
pub(crate) fn fits(budget_seconds: f64, likely: f64, elapsed: f64) -> bool {
    elapsed + likely <= TOLERANCE * budget_seconds
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longer_than_predicted_leaves_time_for_fewer() {
        let mut pace = Pace::default();
        let fits = |pace: &Pace, predicted: f64, elapsed: f64| fits(100.0, pace.likely(predicted), elapsed);
        assert!(fits(&pace, 70.0, 30.0) && !fits(&pace, 81.0, 30.0), "as predicted");
        pace.note(30.0, 30.0);
        assert!(fits(&pace, 70.0, 30.0) && !fits(&pace, 81.0, 30.0));
        // Twice as long as predicted.
        pace.note(10.0, 50.0);
        assert!(fits(&pace, 14.0, 80.0) && !fits(&pace, 16.0, 80.0));
    }
}
