//! Training in this process.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use metaqnn_core::ports::{Evaluator, Executor, ExecutorEvent, Job, TrainingProgress};

use crate::worker_pool::{ATTEMPTS, died};

/// Why nothing can be trained in this process.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct UnableError(String);

/// Trains one job at a time in a thread of this process: for programs that have their data in memory and need no protection from a crash.
///
/// Where the evaluator panics it is made anew and the job begun again, three times in all. Dropped, the executor does not wait: the
/// training ends at its next report.
pub struct InProcess {
    jobs: Sender<Job>,
    events: Receiver<Result<ExecutorEvent, UnableError>>,
    is_idle: bool,
}

/// What unwinds a training whose executor was dropped.
struct Dropped;

impl InProcess {
    /// Trains with what `make` makes, in the thread that trains.
    pub fn start<E: Evaluator>(make: impl FnMut() -> Result<E, String> + Send + 'static) -> Self {
        let (job_sender, jobs) = mpsc::channel();
        let (sender, events) = mpsc::channel();
        std::thread::spawn(move || train(make, &jobs, &sender));
        InProcess { jobs: job_sender, events, is_idle: true }
    }
}

impl Executor for InProcess {
    type Error = UnableError;

    fn places(&self) -> usize {
        1
    }

    fn idle(&self) -> usize {
        usize::from(self.is_idle)
    }

    fn submit(&mut self, job: Job) -> Result<(), Box<Job>> {
        if !self.is_idle {
            return Err(Box::new(job));
        }
        self.is_idle = false;
        // A thread that has ended says why in its last event.
        let _ = self.jobs.send(job);
        Ok(())
    }

    fn next(&mut self, timeout: Duration) -> Result<Option<ExecutorEvent>, UnableError> {
        match self.events.recv_timeout(timeout) {
            Ok(event) => {
                let event = event?;
                self.is_idle |= event.ended().is_some();
                Ok(Some(event))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => Err(UnableError("the thread that trains has ended".into())),
        }
    }
}

/// Trains jobs until there are no more or nobody wants to know.
fn train<E: Evaluator>(
    mut make: impl FnMut() -> Result<E, String>,
    jobs: &Receiver<Job>,
    events: &Sender<Result<ExecutorEvent, UnableError>>,
) {
    let mut evaluator = None;
    for job in jobs {
        let mut report = |progress| {
            if events.send(Ok(ExecutorEvent::Progress(0, job.trial(), progress))).is_err() {
                resume_unwind(Box::new(Dropped));
            }
        };
        let event = evaluated(&mut evaluator, &mut make, &job, &mut report);
        if events.send(event).is_err() {
            return;
        }
    }
}

/// What comes of `job`, with a new evaluator after each panic.
pub(crate) fn evaluated<E: Evaluator>(
    evaluator: &mut Option<E>,
    make: &mut dyn FnMut() -> Result<E, String>,
    job: &Job,
    report: &mut dyn FnMut(TrainingProgress),
) -> Result<ExecutorEvent, UnableError> {
    let mut how = String::new();
    for _ in 0..ATTEMPTS {
        let ready = match evaluator.take() {
            Some(ready) => evaluator.insert(ready),
            None => evaluator.insert(make().map_err(UnableError)?),
        };
        match catch_unwind(AssertUnwindSafe(|| evaluate(ready, job, report))) {
            Ok(event) => return Ok(event),
            Err(panic) => {
                // What it has left is not to be relied on.
                *evaluator = None;
                if panic.is::<Dropped>() {
                    return Err(UnableError("nobody waits for the training".into()));
                }
                how = format!("it panicked: {}", message(panic.as_ref()));
            }
        }
    }
    Ok(died(job, ATTEMPTS, how))
}

fn evaluate(evaluator: &mut dyn Evaluator, job: &Job, report: &mut dyn FnMut(TrainingProgress)) -> ExecutorEvent {
    match job {
        Job::Trial(job) => ExecutorEvent::Evaluated(job.trial, evaluator.evaluate(job, report)),
        Job::Candidate(job) => ExecutorEvent::Candidate(job.trial, evaluator.evaluate_candidate(job, report)),
        Job::Final(job) => ExecutorEvent::Final(job.trial, evaluator.evaluate_final(job, report)),
    }
}

fn message(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or("no message")
}
