//! Training on a clock that is set by hand: a search of hours in milliseconds, each time the same.

use std::cell::Cell;
use std::collections::VecDeque;
use std::rc::Rc;
use std::time::Duration;

use metaqnn_core::ports::{CandidateEvaluation, Clock, Evaluator, Executor, ExecutorEvent, FinalEvaluation, Job};
use metaqnn_core::study::Evaluation;

use crate::in_process::{UnableError, evaluated};

/// A clock that stands still until it is told to go on. Clones show the same time.
#[derive(Clone, Debug, Default)]
pub struct MockClock(Rc<Cell<Duration>>);

impl MockClock {
    /// Lets time pass.
    pub fn advance(&self, time: Duration) {
        self.0.set(self.0.get() + time);
    }
}

impl Clock for MockClock {
    fn now(&self) -> Duration {
        self.0.get()
    }
}

/// Asks an evaluator at once, and gives what it said at the time at which it would have come: a training takes the `train_seconds`
/// of its result, its reports are spread evenly over them. Waiting moves the clock.
///
/// A training without such a result, as of a [`JobError`](metaqnn_core::ports::JobError), takes no time.
pub struct MockExecutor<E> {
    clock: MockClock,
    make: Box<dyn FnMut() -> Result<E, String>>,
    evaluator: Option<E>,
    places: Vec<VecDeque<Due>>,
    unable: Option<UnableError>,
}

/// What will be said, and when.
struct Due {
    at: Duration,
    event: ExecutorEvent,
}

impl<E: Evaluator> MockExecutor<E> {
    /// So many places on `clock`, that train with what `make` makes.
    pub fn start(clock: MockClock, places: usize, make: impl FnMut() -> Result<E, String> + 'static) -> Self {
        let places = (0..places.max(1)).map(|_| VecDeque::new()).collect();
        MockExecutor { clock, make: Box::new(make), evaluator: None, places, unable: None }
    }

    /// What will come of `job`, begun now at `place`.
    fn foresee(&mut self, place: usize, job: &Job) -> Result<VecDeque<Due>, UnableError> {
        let mut reports = Vec::new();
        let mut report = |progress| reports.push(ExecutorEvent::Progress(place, job.trial(), progress));
        let end = evaluated(&mut self.evaluator, &mut self.make, job, &mut report)?;
        let (begin, seconds, steps) = (self.clock.now(), train_seconds(&end), reports.len() as f64 + 1.0);
        let at = |step: usize| begin + Duration::from_secs_f64(seconds * step as f64 / steps);
        Ok(reports.into_iter().chain([end]).enumerate().map(|(step, event)| Due { at: at(step + 1), event }).collect())
    }
}

impl<E: Evaluator> Executor for MockExecutor<E> {
    type Error = UnableError;

    fn places(&self) -> usize {
        self.places.len()
    }

    fn idle(&self) -> usize {
        self.places.iter().filter(|place| place.is_empty()).count()
    }

    fn submit(&mut self, job: Job) -> Result<(), Box<Job>> {
        let Some(place) = self.places.iter().position(VecDeque::is_empty) else { return Err(Box::new(job)) };
        match self.foresee(place, &job) {
            Ok(due) => self.places[place] = due,
            Err(error) => self.unable = Some(error),
        }
        Ok(())
    }

    fn next(&mut self, timeout: Duration) -> Result<Option<ExecutorEvent>, UnableError> {
        if let Some(error) = &self.unable {
            return Err(error.clone());
        }
        let until = self.clock.now() + timeout;
        let dues = self.places.iter_mut().filter(|place| place.front().is_some_and(|due| due.at <= until));
        let next = dues.min_by_key(|place| place.front().map(|due| due.at)).and_then(VecDeque::pop_front);
        // An event may be late, where nobody asked for it in time.
        let now = next.as_ref().map_or(until, |due| due.at).max(self.clock.now());
        self.clock.0.set(now);
        Ok(next.map(|due| due.event))
    }
}

fn train_seconds(end: &ExecutorEvent) -> f64 {
    let seconds = match end {
        ExecutorEvent::Evaluated(_, Evaluation { train_seconds, .. })
        | ExecutorEvent::Candidate(_, Ok(CandidateEvaluation { evaluation: Evaluation { train_seconds, .. }, .. }))
        | ExecutorEvent::Final(_, Ok(FinalEvaluation { train_seconds, .. })) => *train_seconds,
        _ => 0.0,
    };
    if seconds.is_finite() { seconds.max(0.0) } else { 0.0 }
}
