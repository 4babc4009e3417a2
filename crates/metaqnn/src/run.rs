//! A run of a study: asks, hands out, stores, tells; then comes the final phase.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Result;
use metaqnn_core::ports::{Storage, TrialJob};
use metaqnn_core::settings::Settings;
use metaqnn_core::study::{Ask, EventKind, EventRecord, Study, TrialStopping};
use metaqnn_data::ImageSize;
use metaqnn_exec::protocol::{Job, WorkerSetup};
use metaqnn_exec::{PoolEvent, WorkerPool};
use metaqnn_store::StudyFile;

use crate::progress::{Progress, SearchStatus};
use crate::{display, setup};

/// Exit status after Ctrl-C.
pub(crate) const INTERRUPTED: i32 = 130;

/// The time of a study over all its runs.
#[derive(Clone, Copy)]
pub(crate) struct RunClock {
    /// Seconds of the runs before.
    pub(crate) seconds_before: f64,
    /// When this one began.
    pub(crate) begin: Instant,
    /// Seconds that it may take; 0: no such limit.
    pub(crate) budget_seconds: f64,
}

impl RunClock {
    /// Seconds of all runs.
    pub(crate) fn seconds(&self) -> f64 {
        self.seconds_before + self.begin.elapsed().as_secs_f64()
    }

    /// Seconds of the budget that are left; `None` without a budget.
    pub(crate) fn seconds_left(&self) -> Option<f64> {
        (self.budget_seconds > 0.0).then(|| (self.budget_seconds - self.seconds()).max(0.0))
    }
}

/// What a run needs, whether it begins a study or goes on with one.
pub(crate) struct Run {
    pub(crate) file: StudyFile,
    pub(crate) study: Study,
    pub(crate) stopping: TrialStopping,
    pub(crate) settings: Settings,
    pub(crate) settings_text: String,
    pub(crate) data: String,
    pub(crate) data_dir: PathBuf,
    /// Size of the images that networks see.
    pub(crate) image_size: ImageSize,
    pub(crate) clock: RunClock,
    pub(crate) interrupted: Arc<AtomicBool>,
    pub(crate) json: bool,
}

impl Run {
    /// Searches, chooses a network and trains it finally, sums up and closes the study; returns the exit status.
    pub(crate) fn execute(mut self) -> Result<i32> {
        if !self.wants_more() {
            self.say_why_nothing_is_searched();
        }
        let ended_by_itself = self.search()?;
        let mut trained_finally = None;
        if ended_by_itself && self.settings.final_phase.enabled {
            trained_finally = self.final_phase()?;
        }
        let seconds = self.seconds();
        self.file.note_run_seconds(seconds)?;
        let interrupted = self.interrupted.load(Ordering::SeqCst);
        self.summarize(trained_finally, interrupted)?;
        self.file.close()?;
        Ok(if interrupted { INTERRUPTED } else { 0 })
    }

    fn say_why_nothing_is_searched(&self) {
        let search = &self.settings.search;
        let (reached, flag) = if search.models > 0 && self.begun() >= search.models {
            (format!("{} models", search.models), "--models")
        } else {
            (format!("budget of {}", display::duration(search.budget_seconds)), "--budget")
        };
        eprintln!("the search has reached its {reached}; to search on, raise it with {flag}");
    }

    /// Seconds of all runs.
    pub(crate) fn seconds(&self) -> f64 {
        self.clock.seconds()
    }

    /// Seconds after which the search ends, where there is a budget.
    fn search_seconds(&self) -> Option<f64> {
        let budget = self.settings.search.budget_seconds;
        let share = if self.settings.final_phase.enabled { self.settings.final_phase.budget_share } else { 0.0 };
        (budget > 0.0).then_some(budget * (1.0 - share))
    }

    /// Models trained and in training.
    fn begun(&self) -> u64 {
        self.study.models() + self.study.pending().count() as u64
    }

    /// Share of the search that is over.
    fn progress(&self) -> f64 {
        let in_time = self.search_seconds().map_or(0.0, |limit| self.seconds() / limit);
        let models = self.settings.search.models;
        let begun = self.begun();
        let in_models = if models > 0 { begun as f64 / models as f64 } else { 0.0 };
        in_time.max(in_models).min(1.0)
    }

    pub(crate) fn pool(&self, workers: usize, threads: u32) -> Result<WorkerPool> {
        let worker = WorkerSetup {
            data: self.data.clone(),
            data_dir: self.data_dir.display().to_string(),
            image_size: self.image_size.to_string(),
            settings: self.settings_text.clone(),
        };
        setup::start_workers(worker, workers, threads)
    }

    /// Whether another trial is to be begun.
    fn wants_more(&self) -> bool {
        let models = self.settings.search.models;
        let begun = self.begun();
        (models == 0 || begun < models) && self.search_seconds().is_none_or(|limit| self.seconds() < limit)
    }

    /// Trains trials until the models or the time are reached; false after an interruption.
    fn search(&mut self) -> Result<bool> {
        if !self.wants_more() {
            return Ok(true);
        }
        let workers = setup::workers(&self.settings);
        let mut pool = self.pool(workers, self.settings.search.threads)?;
        let mut progress = Progress::new(pool.len(), self.file.path(), "search");
        if let Some(best) = self.file.reader().top(1)?.first() {
            progress.best(best.record.evaluation.outcome.valid_accuracy().map_or(0.0, |a| a.value()), &best.record);
        }
        let mut exhausted = false;
        loop {
            if self.interrupted.load(Ordering::SeqCst) {
                return Ok(false);
            }
            while pool.idle() > 0 && !exhausted && self.wants_more() {
                match self.study.ask(self.progress(), self.seconds()) {
                    Ask::Trial(asked) => {
                        let (trial, architecture, seed) = (asked.trial, asked.architecture, asked.seed);
                        let job = TrialJob { trial, architecture, seed, stop: self.stopping.rule() };
                        // There is an idle worker, so the job is taken.
                        let _ = pool.submit(Job::Trial(job));
                    }
                    Ask::Event(event) => self.file.append(&event)?,
                    Ask::Busy => break,
                    Ask::Exhausted => {
                        exhausted = true;
                        progress
                            .say("every architecture that the agent proposes has been trained: the space is exhausted");
                    }
                }
            }
            let in_training = self.study.pending().count();
            let time_is_up = self.search_seconds().is_some_and(|limit| self.seconds() >= limit);
            if in_training == 0 && (exhausted || !self.wants_more()) || time_is_up && self.study.models() > 0 {
                return Ok(true);
            }
            match pool.next(Duration::from_millis(200))? {
                Some(PoolEvent::Evaluated(trial, evaluation)) => {
                    progress.ended(trial);
                    let seconds = self.seconds();
                    if let Some(event) = self.study.tell(trial, evaluation, seconds) {
                        if let EventKind::Trial(record) = &event.kind {
                            self.stopping.note(record);
                        }
                        self.file.append(&event)?;
                        show_event(&mut progress, &event);
                    }
                }
                Some(PoolEvent::Progress(worker, trial, step)) => {
                    if let Some(asked) = self.study.pending().find(|asked| asked.trial == trial) {
                        progress.worker(worker, trial, &asked.architecture, &step);
                    }
                }
                Some(PoolEvent::Candidate(..) | PoolEvent::Final(..)) | None => {}
            }
            progress.status(&SearchStatus {
                epsilon: self.study.epsilon(self.progress()),
                models: self.study.models(),
                of: self.settings.search.models,
                run_seconds: self.seconds(),
                seconds_left: self.search_seconds().map(|limit| limit - self.seconds()),
            });
        }
    }
}

fn show_event(progress: &mut Progress, event: &EventRecord) {
    if let EventKind::Trial(record) = &event.kind {
        match record.evaluation.outcome.valid_accuracy() {
            Some(accuracy) => progress.best(accuracy.value(), record),
            None => progress.failed(record),
        }
    }
}

/// Ctrl-C stops the search cleanly; pressed again it ends the program at once.
pub(crate) fn watch_for_interrupt() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
    })?;
    Ok(interrupted)
}
