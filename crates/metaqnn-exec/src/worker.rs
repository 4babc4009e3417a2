//! The worker's side.

use std::io::{self, BufRead, Write};
use std::sync::{Arc, Mutex, mpsc};
use std::time::Duration;

use metaqnn_core::ports::{Evaluator, Job, JobError, TrainingProgress};
use serde::de::DeserializeOwned;

use crate::protocol::{Greeting, MARK, PROTOCOL, Report, ReportChannel, WorkerSetup};
use crate::result_file::{result_path, write_result};

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// A worker process, once it has heard from its coordinator.
pub struct Worker {
    setup: WorkerSetup,
    reports: Reports,
}

impl Worker {
    /// Reads on standard input what the coordinator says first, and says from now on every few seconds that this process runs. A coordinator
    /// kills a worker of which it hears nothing for long, so this must be called before the data are loaded.
    ///
    /// # Errors
    ///
    /// When there is no coordinator, or one of another version: a worker is started by a search, not by people.
    pub fn connect() -> io::Result<Self> {
        let greeting: Greeting = read_line()?;
        let reports = Reports::open(greeting.reports)?;
        reports.say(&Report::Hello(PROTOCOL))?;
        if greeting.protocol != PROTOCOL {
            let (theirs, ours) = (greeting.protocol, PROTOCOL);
            return Err(io::Error::other(format!(
                "its coordinator speaks version {theirs} of the workers' protocol, this program {ours}"
            )));
        }
        let setup = read_line()?;
        let life = reports.clone();
        std::thread::spawn(move || {
            while life.say(&Report::Alive).is_ok() {
                std::thread::sleep(HEARTBEAT);
            }
        });
        Ok(Worker { setup, reports })
    }

    /// What it needs to make its evaluator.
    pub fn setup(&self) -> &WorkerSetup {
        &self.setup
    }

    /// Works on jobs from standard input until it ends. The process exits at once when the coordinator is gone, even in the
    /// middle of a training.
    ///
    /// # Errors
    ///
    /// When nothing can be said to the coordinator.
    pub fn serve(self, evaluator: Result<&mut dyn Evaluator, String>) -> io::Result<()> {
        let evaluator = match evaluator {
            Ok(evaluator) => evaluator,
            Err(reason) => return self.reports.say(&Report::Unable(reason)),
        };
        let (sender, jobs) = mpsc::channel();
        std::thread::spawn(move || {
            while let Ok(job) = read_line::<Job>() {
                if sender.send(job).is_err() {
                    break;
                }
            }
            // The coordinator is gone: nobody waits for what is in training.
            std::process::exit(0);
        });
        self.reports.say(&Report::Ready)?;
        for job in jobs {
            let report = self.work(evaluator, &job);
            self.reports.say(&report)?;
        }
        Ok(())
    }

    /// Trains, puts a large result into its file, and gives what is to be said.
    fn work(&self, evaluator: &mut dyn Evaluator, job: &Job) -> Report {
        let mut report = |progress: TrainingProgress| {
            // A coordinator that is gone is noticed on standard input.
            let _ = self.reports.say(&Report::Progress(progress));
        };
        let path = result_path(&self.setup.results, job);
        let handed_over = |bytes: Vec<u8>| write_result(path.as_deref(), &bytes).map(|()| bytes.len() as u64);
        let done: Result<Report, JobError> = match job {
            Job::Trial(job) => Ok(Report::Evaluated(evaluator.evaluate(job, &mut report))),
            Job::Candidate(job) => evaluator.evaluate_candidate(job, &mut report).and_then(|mut result| {
                let probabilities = std::mem::take(&mut result.probabilities);
                let bytes = probabilities.iter().flat_map(|p| p.to_le_bytes()).collect();
                Ok(Report::Candidate(result, handed_over(bytes)?))
            }),
            Job::Final(job) => evaluator.evaluate_final(job, &mut report).and_then(|mut result| {
                let weights = std::mem::take(&mut result.weights);
                Ok(Report::Final(result, handed_over(weights)?))
            }),
        };
        done.unwrap_or_else(Report::JobFailed)
    }
}

/// The next line of standard input.
fn read_line<T: DeserializeOwned>() -> io::Result<T> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    serde_json::from_str(&line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Where reports go, whole ones of any thread.
#[derive(Clone)]
struct Reports {
    channel: ReportChannel,
    output: Arc<Mutex<dyn Write + Send>>,
}

impl Reports {
    fn open(channel: ReportChannel) -> io::Result<Self> {
        let output: Arc<Mutex<dyn Write + Send>> = match channel {
            #[cfg(unix)]
            ReportChannel::Socket => {
                use std::os::fd::AsFd;
                use std::os::unix::net::UnixStream;
                // A copy, so that it is closed by itself.
                Arc::new(Mutex::new(UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?)))
            }
            ReportChannel::StandardOutput => Arc::new(Mutex::new(io::stdout())),
        };
        Ok(Reports { channel, output })
    }

    fn say(&self, report: &Report) -> io::Result<()> {
        let json = serde_json::to_string(report)?;
        let line = match self.channel {
            #[cfg(unix)]
            ReportChannel::Socket => json + "\n",
            // Somebody may have printed the beginning of a line.
            ReportChannel::StandardOutput => format!("\n{MARK}{json}\n"),
        };
        // In one piece, so that nothing that is printed comes between. A thread that panics while it writes has left a broken line.
        let mut output = self.output.lock().map_err(|_| io::Error::other("a report broke off"))?;
        output.write_all(line.as_bytes())?;
        output.flush()
    }
}
