//! The time of `metaqnn final`: how fast the networks really train, how long the rest is likely to take, and which of them a budget leaves
//! time for.
//!
//! The plan is made in epochs, from the speed of the trials. So that a wrong estimate does not become a wrong plan, the best network
//! is trained for a moment first, and the plan goes by what that shows. And so that an estimate that is wrong for another network
//! does not cost much more than the budget, no network is begun for which, at the speed seen so far, there is no time left.

use std::time::{Duration, Instant};

use anyhow::Result;
use metaqnn_core::ports::{CandidateJob, CandidateLength, Executor, ExecutorEvent, Job, TrainingProgress};
use metaqnn_exec::WorkerPool;

use crate::interrupt::Interrupt;

/// Epochs that the moment is long at most.
const EPOCHS: u32 = 2;

/// Share of the budget that it may take, and the seconds that it takes at least where the epochs are so long.
const SHARE: f64 = 0.05;
const LEAST_SECONDS: f64 = 1.0;

/// How much longer than planned the networks may take before those for which there is no time are left out.
const TOLERANCE: f64 = 1.1;

/// Seconds of an epoch on the training images, measured on the first steps of a network; `None` where it trains too badly to tell, or
/// after an interruption.
pub(crate) fn measure_epoch(
    pool: &mut WorkerPool,
    job: CandidateJob,
    budget_seconds: f64,
    interrupted: &Interrupt,
) -> Result<Option<f64>> {
    let job = CandidateJob { length: CandidateLength::Epochs(EPOCHS), checkpoint: None, ..job };
    // The one worker is idle, so the job is taken.
    let _ = pool.submit(Job::Candidate(job));
    let most = Duration::from_secs_f64((SHARE * budget_seconds).max(LEAST_SECONDS));
    // Between two reports, since the first step waits for the data.
    let mut first: Option<(Instant, f64)> = None;
    while !interrupted.is_set() {
        match pool.next(Duration::from_millis(100))? {
            Some(ExecutorEvent::Progress(_, _, TrainingProgress::Step { progress, .. })) => match first {
                None => first = Some((Instant::now(), progress)),
                Some((begin, before)) if begin.elapsed() >= most => {
                    let epochs = f64::from(EPOCHS) * (progress - before);
                    return Ok((epochs > 0.0).then(|| begin.elapsed().as_secs_f64() / epochs));
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

/// The time of a run that has a budget.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) begin: Instant,
    pub(crate) seconds: f64,
}

impl Budget {
    /// Whether a network that is likely to take so many seconds still fits.
    pub(crate) fn has_time_for(&self, likely: f64) -> bool {
        self.fits(likely, self.begin.elapsed().as_secs_f64())
    }

    fn fits(&self, likely: f64, elapsed: f64) -> bool {
        elapsed + likely <= TOLERANCE * self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longer_than_predicted_leaves_time_for_fewer() {
        let budget = Budget { begin: Instant::now(), seconds: 100.0 };
        let mut pace = Pace::default();
        let fits = |pace: &Pace, predicted: f64, elapsed: f64| budget.fits(pace.likely(predicted), elapsed);
        assert!(fits(&pace, 70.0, 30.0) && !fits(&pace, 81.0, 30.0), "as predicted");
        pace.note(30.0, 30.0);
        assert!(fits(&pace, 70.0, 30.0) && !fits(&pace, 81.0, 30.0));
        // Twice as long as predicted.
        pace.note(10.0, 50.0);
        assert!(fits(&pace, 14.0, 80.0) && !fits(&pace, 16.0, 80.0));
    }
}
