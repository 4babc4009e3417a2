//! The coordinator's side.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use metaqnn_core::ports::{CandidateEvaluation, FinalEvaluation, JobError, TrainingProgress};
use metaqnn_core::study::{Evaluation, Failure, TrialNumber};

use crate::protocol::{Job, Report, WorkerSetup};

/// Times that a trial is begun before a dying worker counts as its failure.
const ATTEMPTS: u32 = 3;

/// Times in a row that the process at one place may die before or between jobs; after that it would go on for ever.
const DEATHS_WITHOUT_A_RESULT: u32 = 5;

/// How long a worker may be silent before it counts as frozen. It says every two seconds that it runs; a machine that swaps may keep it from
/// that for a while.
const PATIENCE_WITH_SILENCE: Duration = Duration::from_secs(60);

/// The most that is counted of the time between two looks: a coordinator that was stopped, or whose machine slept, has not listened.
const LONGEST_LOOK: Duration = Duration::from_secs(1);

/// How long a process whose output ended may take to end itself.
const PATIENCE_AT_END: Duration = Duration::from_secs(2);

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

/// What happened to a job.
#[derive(Debug)]
pub enum PoolEvent {
    /// A training goes on.
    Progress(usize, TrialNumber, TrainingProgress),
    /// The training of a trial ended, or its worker died too often.
    Evaluated(TrialNumber, Evaluation),
    /// The training of a candidate ended.
    Candidate(TrialNumber, Result<CandidateEvaluation, JobError>),
    /// A final training ended.
    Final(TrialNumber, Result<FinalEvaluation, JobError>),
}

/// Worker processes of this binary. Dropping it ends them.
pub struct WorkerPool {
    setup: WorkerSetup,
    program: PathBuf,
    threads: u32,
    workers: Vec<Worker>,
    patience: Duration,
    last_look: Instant,
    sender: Sender<(usize, u64, Message)>,
    receiver: Receiver<(usize, u64, Message)>,
}

struct Worker {
    child: Child,
    input: Option<ChildStdin>,
    /// Counts the processes that had this place, so that a late word of a dead one is not taken for its successor's.
    generation: u64,
    /// Whether this process has said that it is ready.
    ready: bool,
    /// How long nothing was heard of it.
    silence: Duration,
    /// Whether it was killed because of that.
    was_frozen: bool,
    /// Processes at this place that died, since the last result, while they had begun no job.
    deaths_without_a_result: u32,
    /// The job and how often it was begun.
    job: Option<(Job, u32)>,
}

enum Message {
    Said(Box<Report>, Vec<u8>),
    Ended,
}

impl WorkerPool {
    /// Starts `count` workers of `program` with `threads` threads each.
    ///
    /// # Errors
    ///
    /// [`PoolError::Start`] where a process cannot be started.
    pub fn start(program: PathBuf, setup: WorkerSetup, count: usize, threads: u32) -> Result<Self, PoolError> {
        let (sender, receiver) = mpsc::channel();
        let (patience, last_look) = (PATIENCE_WITH_SILENCE, Instant::now());
        let mut pool =
            WorkerPool { setup, program, threads, workers: Vec::new(), patience, last_look, sender, receiver };
        for index in 0..count.max(1) {
            let worker = pool.spawn(index, 0)?;
            pool.workers.push(worker);
        }
        Ok(pool)
    }

    /// The same with other patience: a worker that is silent for longer is killed and replaced.
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Number of workers.
    pub fn len(&self) -> usize {
        self.workers.len()
    }

    /// Whether there is no worker; there always is one.
    pub fn is_empty(&self) -> bool {
        self.workers.is_empty()
    }

    /// Number of workers without a job.
    pub fn idle(&self) -> usize {
        self.workers.iter().filter(|worker| worker.job.is_none()).count()
    }

    /// Hands `job` to a worker without one; gives it back where there is none.
    ///
    /// # Errors
    ///
    /// The job, where every worker has one.
    pub fn submit(&mut self, job: Job) -> Result<(), Box<Job>> {
        match self.workers.iter().position(|worker| worker.job.is_none()) {
            Some(index) => {
                self.workers[index].job = Some((job, 1));
                self.send(index);
                Ok(())
            }
            None => Err(Box::new(job)),
        }
    }

    /// Waits at most `timeout` for the next event. A worker that died is replaced, one that is silent for too long is killed and replaced; the
    /// trial that it had in training is begun again with the same seed, three times in all.
    ///
    /// # Errors
    ///
    /// [`PoolError`] where a worker cannot work at all: it says so, or dies again and again without a job in training.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<PoolEvent>, PoolError> {
        let received = self.receiver.recv_timeout(timeout);
        let looked = self.last_look.elapsed().min(LONGEST_LOOK);
        self.last_look = Instant::now();
        self.workers.iter_mut().for_each(|worker| worker.silence += looked);
        let (index, generation, message) = match received {
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
        let job = self.workers[index].job.as_ref().map(|(job, _)| job);
        let (trial, is_candidate) = (job.map(job_trial), matches!(job, Some(Job::Candidate(_))));
        match (message, trial) {
            (Message::Said(report, bytes), _) => match (*report, trial) {
                (Report::Unable(reason), _) => Err(PoolError::Unable { worker: index, reason }),
                (Report::Ready, _) => {
                    self.workers[index].ready = true;
                    Ok(None)
                }
                (Report::Progress(progress), Some(trial)) => Ok(Some(PoolEvent::Progress(index, trial, progress))),
                (Report::Evaluated(evaluation), Some(trial)) => {
                    self.workers[index].done();
                    Ok(Some(PoolEvent::Evaluated(trial, evaluation)))
                }
                (Report::Candidate(mut result, _), Some(trial)) => {
                    self.workers[index].done();
                    let (values, _) = bytes.as_chunks::<4>();
                    result.probabilities = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
                    Ok(Some(PoolEvent::Candidate(trial, Ok(result))))
                }
                (Report::Final(mut result, _), Some(trial)) => {
                    self.workers[index].done();
                    result.weights = bytes;
                    Ok(Some(PoolEvent::Final(trial, Ok(result))))
                }
                (Report::JobFailed(error), Some(trial)) => {
                    self.workers[index].done();
                    Ok(Some(match is_candidate {
                        true => PoolEvent::Candidate(trial, Err(error)),
                        false => PoolEvent::Final(trial, Err(error)),
                    }))
                }
                _ => Ok(None),
            },
            (Message::Ended, _) => self.replace(index),
        }
    }

    /// Kills the workers of which nothing was heard for too long. Their output ends then, and they are replaced as others that died.
    fn kill_the_frozen(&mut self) {
        for worker in self.workers.iter_mut().filter(|worker| worker.silence > self.patience) {
            worker.silence = Duration::ZERO;
            // It may have ended by itself just now.
            worker.was_frozen = worker.child.kill().is_ok();
        }
    }

    /// Starts a new process in the place of one that died, with its job where it was not begun too often.
    fn replace(&mut self, index: usize) -> Result<Option<PoolEvent>, PoolError> {
        let mut how = end(&mut self.workers[index].child);
        if self.workers[index].was_frozen {
            how = format!("it was frozen, silent for {} s, and was killed", self.patience.as_secs());
        }
        let job = self.workers[index].job.take();
        let had_begun = self.workers[index].ready && job.is_some();
        let deaths = self.workers[index].deaths_without_a_result + u32::from(!had_begun);
        if deaths >= DEATHS_WITHOUT_A_RESULT {
            let reason = format!("it ended {deaths} times without a job in training: {how}");
            return Err(PoolError::Unable { worker: index, reason });
        }
        let generation = self.workers[index].generation + 1;
        self.workers[index] = Worker { deaths_without_a_result: deaths, ..self.spawn(index, generation)? };
        let Some((job, attempts)) = job else { return Ok(None) };
        if !had_begun || attempts < ATTEMPTS {
            self.workers[index].job = Some((job, attempts + u32::from(had_begun)));
            self.send(index);
            return Ok(None);
        }
        let trial = job_trial(&job);
        let failure = Failure::WorkerDied { attempts, how };
        let died = || JobError::Network(failure.to_string());
        Ok(Some(match job {
            Job::Candidate(_) => PoolEvent::Candidate(trial, Err(died())),
            Job::Final(_) => PoolEvent::Final(trial, Err(died())),
            Job::Trial(_) => PoolEvent::Evaluated(trial, Evaluation::failed(failure)),
        }))
    }

    fn send(&mut self, index: usize) {
        let worker = &mut self.workers[index];
        if let (Some(input), Some((job, _))) = (worker.input.as_mut(), worker.job.as_ref()) {
            // A worker that cannot be written to has died, which its output tells.
            let _ = write_line(input, job);
        }
    }

    fn spawn(&self, index: usize, generation: u64) -> Result<Worker, PoolError> {
        let failed = |source| PoolError::Start { worker: index, source };
        let mut command = Command::new(&self.program);
        command
            .arg("worker")
            .env("RAYON_NUM_THREADS", self.threads.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        // In a group of its own: Ctrl-C at the terminal is for the coordinator, which ends its workers itself.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().map_err(failed)?;
        let mut input = child.stdin.take();
        if let Some(input) = input.as_mut() {
            let _ = write_line(input, &self.setup);
        }
        if let Some(output) = child.stdout.take() {
            let sender = self.sender.clone();
            std::thread::spawn(move || listen(BufReader::new(output), &sender, index, generation));
        }
        Ok(Worker {
            child,
            input,
            generation,
            ready: false,
            silence: Duration::ZERO,
            was_frozen: false,
            deaths_without_a_result: 0,
            job: None,
        })
    }
}

impl Worker {
    /// Its job has a result.
    fn done(&mut self) {
        self.job = None;
        self.deaths_without_a_result = 0;
    }
}

/// Waits for a process whose output has ended, and says how it ended. One that goes on all the same is of no more use.
fn end(child: &mut Child) -> String {
    let begin = Instant::now();
    while begin.elapsed() < PATIENCE_AT_END {
        match child.try_wait() {
            Ok(Some(status)) => return status.to_string(),
            Ok(None) => std::thread::sleep(Duration::from_millis(10)),
            Err(error) => return error.to_string(),
        }
    }
    let _ = child.kill();
    let _ = child.wait();
    "it closed its output or wrote what is no report, and was ended".into()
}

impl Drop for WorkerPool {
    fn drop(&mut self) {
        for worker in &mut self.workers {
            worker.input = None;
            let _ = worker.child.kill();
            let _ = worker.child.wait();
        }
    }
}

fn job_trial(job: &Job) -> TrialNumber {
    match job {
        Job::Trial(job) => job.trial,
        Job::Candidate(job) => job.trial,
        Job::Final(job) => job.trial,
    }
}

fn write_line(input: &mut ChildStdin, value: &impl serde::Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    input.write_all(&line)?;
    input.flush()
}

fn listen(mut output: impl BufRead, sender: &Sender<(usize, u64, Message)>, index: usize, generation: u64) {
    let mut line = String::new();
    loop {
        line.clear();
        let report = match output.read_line(&mut line) {
            Ok(1..) => serde_json::from_str::<Report>(&line).ok(),
            _ => None,
        };
        let Some(report) = report else { break };
        let mut bytes = Vec::new();
        if let Report::Candidate(_, length) | Report::Final(_, length) = &report
            && output.by_ref().take(*length).read_to_end(&mut bytes).ok() != Some(*length as usize)
        {
            break;
        }
        if sender.send((index, generation, Message::Said(Box::new(report), bytes))).is_err() {
            return;
        }
    }
    // The pool may be gone.
    let _ = sender.send((index, generation, Message::Ended));
}
