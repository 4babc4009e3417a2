//! The worker's side.

use std::io::{self, BufRead, Write};
use std::sync::mpsc;
use std::time::Duration;

use metaqnn_core::ports::{Evaluator, TrainingProgress};
use serde::Serialize;

use crate::protocol::{Job, Report, WorkerSetup};

/// Between two signs of life.
const HEARTBEAT: Duration = Duration::from_secs(2);

/// Says from now on every few seconds that this process runs. A coordinator kills a worker of which it hears nothing for long, so this must
/// begin before the data are loaded.
pub fn show_life() {
    std::thread::spawn(|| {
        while say(&Report::Alive, &[]).is_ok() {
            std::thread::sleep(HEARTBEAT);
        }
    });
}

/// Reads the set-up, the first line of standard input.
///
/// # Errors
///
/// When there is none: a worker is started by a search, not by people.
pub fn read_setup() -> io::Result<WorkerSetup> {
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line)?;
    serde_json::from_str(&line).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

/// Works on jobs from standard input until it ends. The process exits at once when the coordinator is gone, even in the
/// middle of a training.
///
/// # Errors
///
/// When standard output cannot be written.
pub fn serve(evaluator: Result<&mut dyn Evaluator, String>) -> io::Result<()> {
    let evaluator = match evaluator {
        Ok(evaluator) => evaluator,
        Err(reason) => return say(&Report::Unable(reason), &[]),
    };
    let (sender, jobs) = mpsc::channel();
    std::thread::spawn(move || {
        for line in io::stdin().lock().lines() {
            let Some(job) = line.ok().and_then(|line| serde_json::from_str::<Job>(&line).ok()) else { break };
            if sender.send(job).is_err() {
                break;
            }
        }
        // The coordinator is gone: nobody waits for what is in training.
        std::process::exit(0);
    });
    say(&Report::Ready, &[])?;
    for job in jobs {
        let mut report = |progress: TrainingProgress| {
            // A coordinator that is gone is noticed on standard input.
            let _ = say(&Report::Progress(progress), &[]);
        };
        match job {
            Job::Trial(job) => {
                let evaluation = evaluator.evaluate(&job, &mut report);
                say(&Report::Evaluated(evaluation), &[])?;
            }
            Job::Candidate(job) => match evaluator.evaluate_candidate(&job, &mut report) {
                Ok(mut result) => {
                    let probabilities = std::mem::take(&mut result.probabilities);
                    let bytes: Vec<u8> = probabilities.iter().flat_map(|p| p.to_le_bytes()).collect();
                    say(&Report::Candidate(result, bytes.len() as u64), &bytes)?;
                }
                Err(error) => say(&Report::JobFailed(error), &[])?,
            },
            Job::Final(job) => match evaluator.evaluate_final(&job, &mut report) {
                Ok(mut result) => {
                    let weights = std::mem::take(&mut result.weights);
                    say(&Report::Final(result, weights.len() as u64), &weights)?;
                }
                Err(error) => say(&Report::JobFailed(error), &[])?,
            },
        }
    }
    Ok(())
}

fn say(report: &impl Serialize, bytes: &[u8]) -> io::Result<()> {
    let mut output = io::stdout().lock();
    serde_json::to_writer(&mut output, report)?;
    output.write_all(b"\n")?;
    output.write_all(bytes)?;
    output.flush()
}
