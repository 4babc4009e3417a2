//! A process that works, as the coordinator sees it.

use std::ffi::OsString;
use std::io::{self, BufRead, BufReader, Write};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use metaqnn_core::ports::Job;
use serde::Serialize;

use crate::protocol::{Greeting, MARK, PROTOCOL, Report, ReportChannel, WorkerSetup};

/// How long a process whose output ended may take to end itself.
const PATIENCE_AT_END: Duration = Duration::from_secs(2);

/// How worker processes are started.
#[derive(Clone, Debug)]
pub struct WorkerCommand {
    /// The program.
    pub program: PathBuf,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// What is added to the environment.
    pub environment: Vec<(OsString, OsString)>,
    /// Where its reports go.
    pub reports: ReportChannel,
}

impl WorkerCommand {
    /// `program worker`, which is to call [`Worker::connect`](crate::Worker::connect).
    pub fn new(program: impl Into<PathBuf>) -> Self {
        WorkerCommand {
            program: program.into(),
            arguments: vec!["worker".into()],
            environment: Vec::new(),
            reports: ReportChannel::default(),
        }
    }
}

/// What a process says.
#[derive(Debug)]
pub(crate) enum Word {
    /// A report.
    Report(Box<Report>),
    /// It says nothing any more: it has ended, or has said what is no report.
    Ended,
}

/// A worker process. Dropping it ends it.
pub(crate) struct WorkerProcess {
    child: Child,
    input: Box<dyn Write + Send>,
}

impl WorkerProcess {
    /// Starts a process with `threads` threads; `hear` is called, in a thread of its own, with all that it says, the end included, until
    /// it gives false.
    pub(crate) fn start(
        command: &WorkerCommand,
        setup: &WorkerSetup,
        threads: u32,
        hear: impl FnMut(Word) -> bool + Send + 'static,
    ) -> io::Result<Self> {
        let WorkerCommand { program, arguments, environment, reports } = command;
        let mut command = Command::new(program);
        command
            .args(arguments)
            .envs(environment.iter().map(|(key, value)| (key, value)))
            .env("RAYON_NUM_THREADS", threads.to_string());
        // In a group of its own: Ctrl-C at the terminal is for the coordinator, which ends its workers itself.
        #[cfg(unix)]
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let (child, input) = match reports {
            #[cfg(unix)]
            ReportChannel::Socket => {
                use std::os::fd::OwnedFd;
                use std::os::unix::net::UnixStream;
                let (ours, theirs) = UnixStream::pair()?;
                command.stdin(OwnedFd::from(theirs)).stdout(io::stderr());
                let (child, output) = (command.spawn()?, ours.try_clone()?);
                std::thread::spawn(move || listen(BufReader::new(output), "", hear));
                (child, Box::new(ours) as Box<dyn Write + Send>)
            }
            ReportChannel::StandardOutput => {
                let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
                let piped = || io::Error::other("the process has no standard input or output");
                let input = child.stdin.take().ok_or_else(piped)?;
                let output = child.stdout.take().ok_or_else(piped)?;
                std::thread::spawn(move || listen(BufReader::new(output), MARK, hear));
                (child, Box::new(input) as Box<dyn Write + Send>)
            }
        };
        // Only the process itself may hold the other end, or its death would go unnoticed.
        drop(command);
        let mut process = WorkerProcess { child, input };
        // One that cannot be written to has died, which its silence tells.
        let _ = process.say(&Greeting { protocol: PROTOCOL, reports: *reports });
        let _ = process.say(setup);
        Ok(process)
    }

    /// Hands over a job. One that cannot be written to has died, which it tells itself.
    pub(crate) fn begin(&mut self, job: &Job) {
        let _ = self.say(job);
    }

    fn say(&mut self, value: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(value)?;
        line.push(b'\n');
        self.input.write_all(&line)?;
        self.input.flush()
    }

    /// Ends it; whether it had not ended by itself.
    pub(crate) fn kill(&mut self) -> bool {
        self.child.kill().is_ok()
    }

    /// Waits for a process that has said its last word, and says how it ended. One that goes on all the same is of no more use.
    pub(crate) fn end(&mut self) -> String {
        let begin = Instant::now();
        while begin.elapsed() < PATIENCE_AT_END {
            match self.child.try_wait() {
                Ok(Some(status)) => return status.to_string(),
                Ok(None) => std::thread::sleep(Duration::from_millis(10)),
                Err(error) => return error.to_string(),
            }
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
        "it closed its output or wrote what is no report, and was ended".into()
    }
}

impl Drop for WorkerProcess {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Hears reports, each on a line that begins with `mark`, until the end or what is none. Other lines are passed on to people.
fn listen(mut output: impl BufRead, mark: &str, mut hear: impl FnMut(Word) -> bool) {
    let mut line = Vec::new();
    loop {
        line.clear();
        match output.read_until(b'\n', &mut line) {
            Ok(1..) => {}
            _ => break,
        }
        let Some(json) = line.strip_prefix(mark.as_bytes()) else {
            if line != b"\n" {
                let _ = io::stderr().lock().write_all(&line);
            }
            continue;
        };
        let Ok(report) = serde_json::from_slice(json) else { break };
        if !hear(Word::Report(report)) {
            return;
        }
    }
    hear(Word::Ended);
}
