//! What a person sees while a search runs: a status line and a line a worker in a terminal, else plain lines; the same for
//! `serve` in a file beside the study.

use std::io::IsTerminal;
use std::path::Path;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use metaqnn_core::ports::TrainingProgress;
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{TrialNumber, TrialRecord};
use metaqnn_run::SearchStatus;
use metaqnn_store::RunningFile;

use super::words;

/// Time between two plain lines.
const PLAIN_INTERVAL: Duration = Duration::from_secs(10);

/// The view.
pub(crate) struct Progress {
    lines: Option<Lines>,
    running: RunningFile,
    best: Option<(f64, TrialNumber)>,
    last_plain: Option<Instant>,
    /// What the last report of a worker said.
    last_step: Option<String>,
}

struct Lines {
    _all: MultiProgress,
    status: ProgressBar,
    workers: Vec<ProgressBar>,
}

impl Progress {
    /// A view of `workers` workers, that train for the study at `study` (its canonical path) in `phase`.
    pub(crate) fn new(workers: usize, study: &Path, phase: &str) -> Self {
        let lines = std::io::stderr().is_terminal().then(|| {
            let all = MultiProgress::new();
            // Cut to the terminal: a line that wraps would leave its parts behind when it is drawn anew.
            let style = ProgressStyle::with_template("{wide_msg}").unwrap_or_else(|_| ProgressStyle::default_spinner());
            let line = || all.add(ProgressBar::new_spinner().with_style(style.clone()));
            let status = line();
            let workers = (0..workers).map(|_| line()).collect();
            Lines { status, workers, _all: all }
        });
        Progress { lines, running: RunningFile::new(study, phase), best: None, last_plain: None, last_step: None }
    }

    /// A message that stays.
    pub(crate) fn say(&self, text: &str) {
        match &self.lines {
            Some(lines) => lines.status.println(text),
            None => eprintln!("{text}"),
        }
    }

    /// Whether a network that learned is the best so far.
    pub(crate) fn is_best(&mut self, record: &TrialRecord) -> bool {
        let accuracy = record.evaluation.outcome.valid_accuracy().map_or(0.0, |accuracy| accuracy.value());
        let is_best = self.best.is_none_or(|(best, _)| accuracy > best);
        if is_best {
            self.best = Some((accuracy, record.trial));
        }
        is_best
    }

    /// What a worker does.
    pub(crate) fn worker(
        &mut self,
        worker: usize,
        trial: TrialNumber,
        architecture: &Architecture,
        step: &TrainingProgress,
    ) {
        self.running.note(worker, trial, architecture, step);
        let text = match step {
            TrainingProgress::Step { progress, train_loss } => {
                format!("{:>3.0} %, loss {train_loss:.3}", 100.0 * progress)
            }
            // The final training does not measure it.
            TrainingProgress::Epoch { point } if point.valid_accuracy == 0.0 => {
                format!("epoch {}, loss {:.3}", point.epoch, point.train_loss)
            }
            TrainingProgress::Epoch { point } => {
                format!("epoch {}, {:.2} %", point.epoch, 100.0 * point.valid_accuracy)
            }
            TrainingProgress::Restart { attempt, .. } => format!("try {attempt}"),
        };
        if let Some(line) = self.lines.as_ref().and_then(|lines| lines.workers.get(worker)) {
            line.set_message(format!("  worker {worker}: trial {trial}, {text}: {architecture}"));
        }
        self.last_step = Some(text);
    }

    /// A training has ended.
    pub(crate) fn ended(&mut self, trial: TrialNumber) {
        self.running.ended(trial);
    }

    /// ε, models done, best so far, time left.
    pub(crate) fn status(&mut self, status: &SearchStatus) {
        let SearchStatus { epsilon, models, of, run_seconds, seconds_left } = *status;
        self.running.tick(Some(epsilon), Some(run_seconds), seconds_left);
        let mut text = format!("epsilon {epsilon:.1}, ");
        text += &match of {
            0 => words::count(models, "model"),
            _ => format!("{models} of {}", words::count(of, "model")),
        };
        if let Some((accuracy, trial)) = self.best {
            text += &format!(", best {:.2} % (trial {trial})", 100.0 * accuracy);
        }
        if let Some(seconds) = seconds_left {
            text += &format!(", {} left to search", words::duration(seconds));
        }
        self.set_status(text);
    }

    /// What is done after the search, time left and, where there are no lines of workers, how far it is.
    pub(crate) fn final_status(&mut self, what: &str, seconds_left: Option<f64>) {
        self.running.tick(None, None, seconds_left);
        let mut text = what.to_owned();
        if let Some(step) = self.last_step.as_ref().filter(|_| self.lines.is_none()) {
            text += &format!(", {step}");
        }
        if let Some(seconds) = seconds_left {
            text += &format!(", {} left", words::duration(seconds.max(0.0)));
        }
        self.set_status(text);
    }

    fn set_status(&mut self, text: String) {
        match &self.lines {
            Some(lines) => lines.status.set_message(text),
            None if self.last_plain.is_none_or(|last| last.elapsed() >= PLAIN_INTERVAL) => {
                self.last_plain = Some(Instant::now());
                eprintln!("{text}");
            }
            None => {}
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(lines) = &self.lines {
            lines.workers.iter().for_each(ProgressBar::finish_and_clear);
            lines.status.finish_and_clear();
        }
    }
}
