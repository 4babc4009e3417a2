//! The budget of `metaqnn final`: how fast the networks really train, and which of them there is still time for.
//!
//! The plan is made in epochs, from the speed of the trials. So that a wrong estimate does not become a wrong plan, the best network
//! is trained for a moment first, and the plan goes by what that shows. And so that an estimate that is wrong for another network
//! does not cost much more than the budget, no network is begun for which, at the speed seen so far, there is no time left.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use metaqnn_core::ports::{CandidateJob, CandidateLength, TrainingProgress};
use metaqnn_exec::protocol::Job;
use metaqnn_exec::{PoolEvent, WorkerPool};

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
    interrupted: &AtomicBool,
) -> Result<Option<f64>> {
    let job = CandidateJob { length: CandidateLength::Epochs(EPOCHS), checkpoint: None, ..job };
    // The one worker is idle, so the job is taken.
    let _ = pool.submit(Job::Candidate(job));
    let most = Duration::from_secs_f64((SHARE * budget_seconds).max(LEAST_SECONDS));
    // Between two reports, since the first step waits for the data.
    let mut first: Option<(Instant, f64)> = None;
    while !interrupted.load(Ordering::SeqCst) {
        match pool.next(Duration::from_millis(100))? {
            Some(PoolEvent::Progress(_, _, TrainingProgress::Step { progress, .. })) => match first {
                None => first = Some((Instant::now(), progress)),
                Some((begin, before)) if begin.elapsed() >= most => {
                    let epochs = f64::from(EPOCHS) * (progress - before);
                    return Ok((epochs > 0.0).then(|| begin.elapsed().as_secs_f64() / epochs));
                }
                Some(_) => {}
            },
            Some(PoolEvent::Progress(_, _, TrainingProgress::Restart { .. })) => return Ok(None),
            Some(PoolEvent::Candidate(_, result)) => {
                let evaluation = result.ok().map(|result| result.evaluation);
                let whole = evaluation.filter(|evaluation| evaluation.tries == 1 && evaluation.epochs > 0);
                return Ok(whole.map(|evaluation| evaluation.train_seconds / f64::from(evaluation.epochs)));
            }
            _ => {}
        }
    }
    Ok(None)
}

/// The time of a run that has a budget.
#[derive(Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) begin: Instant,
    pub(crate) seconds: f64,
    /// Whether this run has trained a network.
    has_trained: bool,
    /// Predicted seconds of the networks that it has trained from the beginning, and what they took.
    predicted: f64,
    taken: f64,
}

impl Budget {
    pub(crate) fn new(begin: Instant, seconds: f64) -> Self {
        Budget { begin, seconds, has_trained: false, predicted: 0.0, taken: 0.0 }
    }

    /// A network for which so many seconds were `predicted` took so many; `None` where an earlier run had begun it.
    pub(crate) fn note(&mut self, predicted: f64, taken: Option<f64>) {
        self.has_trained = true;
        if let Some(taken) = taken {
            self.predicted += predicted;
            self.taken += taken;
        }
    }

    /// Whether a network for which so many seconds are predicted still fits, going by those that were trained; the first one always
    /// does.
    pub(crate) fn has_time_for(&self, predicted: f64) -> bool {
        self.fits(predicted, self.begin.elapsed().as_secs_f64())
    }

    fn fits(&self, predicted: f64, elapsed: f64) -> bool {
        let slower = if self.predicted > 0.0 { self.taken / self.predicted } else { 1.0 };
        !self.has_trained || elapsed + predicted * slower <= TOLERANCE * self.seconds
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_takes_longer_than_predicted_leaves_time_for_fewer() {
        let mut budget = Budget::new(Instant::now(), 100.0);
        assert!(budget.fits(1_000.0, 0.0), "the first one always");
        budget.note(500.0, None);
        assert!(budget.fits(70.0, 30.0) && !budget.fits(81.0, 30.0), "as predicted");
        budget.note(30.0, Some(30.0));
        assert!(budget.fits(70.0, 30.0));
        assert!(!budget.fits(81.0, 30.0));
        // Twice as long as predicted.
        budget.note(10.0, Some(50.0));
        assert!(budget.fits(14.0, 80.0));
        assert!(!budget.fits(16.0, 80.0));
    }
}
