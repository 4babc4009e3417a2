//! Worker processes: started, given jobs, and replaced when they die.

use std::io;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use metaqnn_core::ports::{Executor, ExecutorEvent, Job, JobError};
use metaqnn_core::study::{Evaluation, Failure};

use crate::protocol::{PROTOCOL, Report, WorkerSetup};
use crate::result_file::{remove_result, result_path, take_result};
use crate::worker_process::{Word, WorkerCommand, WorkerProcess};

/// Times that a job is begun before a dying worker counts as its failure.
pub(crate) const ATTEMPTS: u32 = 3;

/// Times in a row that the process at one place may die before or between jobs; after that it would go on for ever.
const DEATHS_WITHOUT_A_RESULT: u32 = 5;

/// How long a worker may be silent before it counts as frozen. It says every two seconds that it runs; a machine that swaps may keep it from
/// that for a while.
const PATIENCE_WITH_SILENCE: Duration = Duration::from_secs(60);

/// The most that is counted of the time between two looks: a coordinator that was stopped, or whose machine slept, has not listened.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// Why there is no worker.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PoolError {
    /// The process could not be started or spoken to.
    #[error("worker {worker} could not be started: {source}")]
    Start {
        /// Its number, from 0.
        worker: usize,
        /// Why.
        source: io::Error,
    },
    /// It said that it cannot work.
    #[error("worker {worker}: {reason}")]
    Unable {
        /// Its number, from 0.
        worker: usize,
        /// What it said.
        reason: String,
    },
}

/// Worker processes of this binary. Dropping it ends them.
///
/// A worker that died is replaced; one that is silent for too long is killed and replaced. The job that it had is begun again with the same
/// seed, three times in all.
pub struct WorkerPool {
    setup: WorkerSetup,
    command: WorkerCommand,
    threads: u32,
    workers: Vec<Place>,
    patience: Duration,
    last_look: Instant,
    sender: Sender<(usize, u64, Word)>,
    receiver: Receiver<(usize, u64, Word)>,
}

/// A worker and its successors.
struct Place {
    process: WorkerProcess,
    /// Counts the processes that had this place, so that a late word of a dead one is not taken for its successor's.
    generation: u64,
    /// How far it has come.
    stage: Stage,
    /// How long nothing was heard of it.
    silence: Duration,
    /// Whether it was killed because of that.
    was_frozen: bool,
    /// Processes at this place that died, since the last result, while they had begun no job.
    deaths_without_a_result: u32,
    /// The job and how often it was begun.
    job: Option<(Job, u32)>,
}

/// How far a process has come.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It has said nothing yet.
    Started,
    /// It speaks the same version of the protocol.
    Greeted,
    /// It has its data.
    Ready,
}

impl WorkerPool {
    /// Starts `count` workers with `threads` threads each.
    ///
    /// # Errors
    ///
    /// [`PoolError::Start`] where a process cannot be started.
    pub fn start(command: WorkerCommand, setup: WorkerSetup, count: usize, threads: u32) -> Result<Self, PoolError> {
        let (sender, receiver) = mpsc::channel();
        let (patience, last_look) = (PATIENCE_WITH_SILENCE, Instant::now());
        let mut pool =
            WorkerPool { setup, command, threads, workers: Vec::new(), patience, last_look, sender, receiver };
        for index in 0..count.max(1) {
            let worker = pool.start_worker(index, 0, 0)?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// The same with other patience: a worker that is silent for longer is killed and replaced.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    fn start_worker(&self, index: usize, generation: u64, deaths: u32) -> Result<Place, PoolError> {
        let sender = self.sender.clone();
        // The pool may be gone.
        let hear = move |word| sender.send((index, generation, word)).is_ok();
        let process = WorkerProcess::start(&self.command, &self.setup, self.threads, hear)
            .map_err(|source| PoolError::Start { worker: index, source })?;
        Ok(Place {
            process,
            generation,
            stage: Stage::Started,
            silence: Duration::ZERO,
            was_frozen: false,
            deaths_without_a_result: deaths,
            job: None,
        })
    }

    /// Kills the workers of which nothing was heard for too long. They have said their last word then, and are replaced as others that died.
    fn kill_the_frozen(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| worker.silence > self.patience) {
            worker.silence = Duration::ZERO;
            // It may have ended by itself just now.
            worker.was_frozen = worker.process.kill();
        }
    }

    /// Takes up what a worker says.
    fn heard(&mut self, index: usize, report: Report) -> Result<Option<ExecutorEvent>, PoolError> {
        let worker = &mut self.workers[index];
        let unable = |reason| PoolError::Unable { worker: index, reason };
        match (worker.stage, &report) {
            (Stage::Started, Report::Hello(PROTOCOL)) => {
                worker.stage = Stage::Greeted;
                return Ok(None);
            }
            (Stage::Started, Report::Hello(version)) => {
                return Err(unable(format!(
                    "it is of another version of this program: it speaks version {version} of the workers' protocol, not \
                     {PROTOCOL}; was the program replaced while it ran? Then go on with `metaqnn resume`"
                )));
            }
            (Stage::Started, _) => {
                worker.process.kill();
                return Ok(None);
            }
            (Stage::Greeted | Stage::Ready, _) => {}
        }
        let job = worker.job.as_ref().map(|(job, _)| job);
        let take = |job: &Job, length| take_result(result_path(&self.setup.results, job).as_deref(), length);
        let event = match (report, job) {
            (Report::Unable(reason), _) => return Err(unable(reason)),
            (Report::Ready, _) => {
                worker.stage = Stage::Ready;
                return Ok(None);
            }
            (Report::Progress(progress), Some(job)) => {
                return Ok(Some(ExecutorEvent::Progress(index, job.trial(), progress)));
            }
            (Report::Evaluated(evaluation), Some(Job::Trial(job))) => ExecutorEvent::Evaluated(job.trial, evaluation),
            (Report::Candidate(mut result, length), Some(job @ Job::Candidate(_))) => {
                let result = take(job, length).map(|bytes| {
                    let (values, _) = bytes.as_chunks::<4>();
                    result.probabilities = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
                    result
                });
                ExecutorEvent::Candidate(job.trial(), result)
            }
            (Report::Final(mut result, length), Some(job @ Job::Final(_))) => {
                let result = take(job, length).map(|bytes| {
                    result.weights = bytes;
                    result
                });
                ExecutorEvent::Final(job.trial(), result)
            }
            (Report::JobFailed(error), Some(Job::Candidate(job))) => ExecutorEvent::Candidate(job.trial, Err(error)),
            (Report::JobFailed(error), Some(Job::Final(job))) => ExecutorEvent::Final(job.trial, Err(error)),
            (Report::Hello(_) | Report::Alive | Report::Progress(_), _) => return Ok(None),
            // The result of something else than its job: it is confused.
            (Report::Evaluated(_) | Report::Candidate(..) | Report::Final(..) | Report::JobFailed(_), _) => {
                worker.process.kill();
                return Ok(None);
            }
        };
        worker.job = None;
        worker.deaths_without_a_result = 0;
        Ok(Some(event))
    }

    /// Starts a new process in the place of one that died, with its job where it was not begun too often.
    fn replace(&mut self, index: usize) -> Result<Option<ExecutorEvent>, PoolError> {
        let worker = &mut self.workers[index];
        let mut how = worker.process.end();
        if worker.was_frozen {
            how = format!("it was frozen, silent for {} s, and was killed", self.patience.as_secs());
        }
        let job = worker.job.take();
        let had_begun = worker.stage == Stage::Ready && job.is_some();
        let deaths = worker.deaths_without_a_result + u32::from(!had_begun);
        let generation = worker.generation + 1;
        if deaths >= DEATHS_WITHOUT_A_RESULT {
            let reason = format!("it ended {deaths} times without a job in training: {how}");
            return Err(PoolError::Unable { worker: index, reason });
        }
        self.workers[index] = self.start_worker(index, generation, deaths)?;
        let Some((job, attempts)) = job else { return Ok(None) };
        if !had_begun || attempts < ATTEMPTS {
            self.begin(index, job, attempts + u32::from(had_begun));
            return Ok(None);
        }
        if let Some(path) = result_path(&self.setup.results, &job) {
            remove_result(&path);
        }
        Ok(Some(died(&job, attempts, how)))
    }

    fn begin(&mut self, index: usize, job: Job, attempts: u32) {
        let worker = &mut self.workers[index];
        worker.process.begin(&job);
        worker.job = Some((job, attempts));
    }
}

impl Executor for WorkerPool {
    type Error = PoolError;

    fn places(&self) -> usize {
        self.workers.len()
    }

    fn idle(&self) -> usize {
        self.workers.iter().filter(|worker| worker.job.is_none()).count()
    }

    fn submit(&mut self, job: Job) -> Result<(), Box<Job>> {
        match self.workers.iter().position(|worker| worker.job.is_none()) {
            Some(index) => {
                self.begin(index, job, 1);
                Ok(())
            }
            None => Err(Box::new(job)),
        }
    }

    fn next(&mut self, timeout: Duration) -> Result<Option<ExecutorEvent>, PoolError> {
        let received = self.receiver.recv_timeout(timeout);
        let looked = self.last_look.elapsed().min(LONGEST_LOOK);
        self.last_look = Instant::now();
        self.workers.iter_mut().for_each(|worker| worker.silence += looked);
        let (index, generation, word) = match received {
            Ok(message) => message,
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => {
                self.kill_the_frozen();
                return Ok(None);
            }
        };
        if generation != self.workers[index].generation {
            return Ok(None);
        }
        self.workers[index].silence = Duration::ZERO;
        match word {
            Word::Report(report) => self.heard(index, *report),
            Word::Ended => self.replace(index),
        }
    }
}

/// The end of a job that was begun so many times, and each time who trained died.
pub(crate) fn died(job: &Job, attempts: u32, how: String) -> ExecutorEvent {
    let failure = Failure::WorkerDied { attempts, how };
    match job {
        Job::Trial(job) => ExecutorEvent::Evaluated(job.trial, Evaluation::failed(failure)),
        Job::Candidate(job) => ExecutorEvent::Candidate(job.trial, Err(JobError::Network(failure.to_string()))),
        Job::Final(job) => ExecutorEvent::Final(job.trial, Err(JobError::Network(failure.to_string()))),
    }
}
