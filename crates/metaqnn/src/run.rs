//! A run of a study: asks, hands out, stores, tells; then comes the final phase.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use metaqnn_core::ports::{Executor, ExecutorEvent, Job, Storage, TrialJob};
use metaqnn_core::settings::Settings;
use metaqnn_core::study::{Ask, EventKind, EventRecord, Study, TrialStopping};
use metaqnn_data::{ImageSize, Reading};
use metaqnn_exec::WorkerPool;
use metaqnn_exec::protocol::WorkerSetup;
use metaqnn_store::{StoredTrial, StudyFile};

use crate::interrupt::{INTERRUPTED, Interrupt};
use crate::progress::{Progress, SearchStatus};
use crate::{display, setup};

/// Share of the rest of the budget that the first trial may take where the search is over before it has begun.
const LEAST_SEARCH: f64 = 0.15;

/// Share of the time of a trial that validating it may take.
const VALIDATING: f64 = 0.05;

/// The time of a study over all its runs.
#[derive(Clone, Copy)]
pub(crate) struct RunClock {
    /// Seconds of the runs before.
    pub(crate) seconds_before: f64,
    /// When this one began.
    pub(crate) begin: Instant,
    /// Seconds that it may take; 0: no such limit.
    pub(crate) budget_seconds: f64,
    /// What that was before it was last raised; 0: it was not.
    pub(crate) budget_before: f64,
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
    /// How own data are read.
    pub(crate) reading: Reading,
    pub(crate) data_fingerprint: String,
    /// Size of the images that networks see.
    pub(crate) image_size: ImageSize,
    /// Seconds that starting workers takes: about as long as this process took to read the data.
    pub(crate) start_seconds: f64,
    /// Whether nobody knows if images may be mirrored or turned, and a candidate is to show it.
    pub(crate) asks_of_symmetry: bool,
    /// The share of the test images that one has right who always answers the most frequent class.
    pub(crate) guessing: f64,
    /// Images that candidates are validated on.
    pub(crate) validated_images: usize,
    pub(crate) clock: RunClock,
    /// The shortest training of a trial in this run; infinite before there was one.
    pub(crate) shortest_trial_seconds: f64,
    pub(crate) interrupted: Interrupt,
    pub(crate) json: bool,
    /// Why jobs of the final phase have no result.
    pub(crate) failures: Vec<String>,
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
        let interrupted = self.interrupted.is_set();
        let fruitless = if interrupted { None } else { self.why_fruitless(trained_finally.as_ref())? };
        self.summarize(trained_finally, interrupted)?;
        self.file.close()?;
        match fruitless {
            Some(reason) => bail!(reason),
            None => Ok(if interrupted { INTERRUPTED } else { 0 }),
        }
    }

    /// Why a run that came to its end has not given what it is for: a network, trained finally where the settings say so.
    fn why_fruitless(&self, trained_finally: Option<&StoredTrial>) -> Result<Option<String>> {
        let has_learned = !self.file.reader().top(1)?.is_empty();
        Ok(match (self.study.models(), has_learned) {
            (0, _) => Some("no network was trained".into()),
            (models, false) => {
                let networks = display::count(models, "network");
                Some(format!("{networks} trained, none has learned; `metaqnn log` says why each failed"))
            }
            (_, true) if trained_finally.is_none() && self.settings.final_phase.enabled => {
                let study = self.file.path().display();
                let reasons: Vec<String> = self.failures.iter().map(|reason| format!("\n  {reason}")).collect();
                Some(format!(
                    "the final training has no result; `metaqnn resume {study}` tries it again{}",
                    reasons.concat()
                ))
            }
            _ => None,
        })
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
        let before = self.clock.budget_before;
        // Raised after the search had ended: of what was added the search has its share, or more time would be none for it.
        let had_ended = before > 0.0 && self.clock.seconds_before >= before * (1.0 - share);
        let from = if had_ended { before } else { 0.0 };
        (budget > 0.0).then_some(from + (budget - from).max(0.0) * (1.0 - share))
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
            data_dir: self.data_dir.clone(),
            reading: serde_json::to_string(&self.reading)?,
            data_fingerprint: self.data_fingerprint.clone(),
            image_size: self.image_size.to_string(),
            settings: self.settings_text.clone(),
            results: self.file.path().into(),
        };
        setup::start_workers(worker, workers, threads)
    }

    /// Whether another trial is to be begun.
    fn wants_more(&self) -> bool {
        let models = self.settings.search.models;
        let begun = self.begun();
        (models == 0 || begun < models) && self.search_limit().is_none_or(|limit| self.seconds() < limit)
    }

    /// Seconds after which no trial is begun any more: those of the search, but however short the budget one is tried.
    fn search_limit(&self) -> Option<f64> {
        let limit = self.search_seconds()?;
        let left = self.clock.seconds_left().unwrap_or(0.0);
        Some(if self.begun() == 0 { limit.max(self.seconds() + LEAST_SEARCH * left) } else { limit })
    }

    /// What to train next; asked again later where it takes until the end of the search or an interrupt.
    fn ask(&mut self) -> Ask {
        let (progress, seconds, limit, clock) = (self.progress(), self.seconds(), self.search_limit(), self.clock);
        let interrupted = self.interrupted.clone();
        let goes_on = || !interrupted.is_set() && limit.is_none_or(|limit| clock.seconds() < limit);
        self.study.ask_while(progress, seconds, &goes_on)
    }

    fn why_exhausted(&self) -> &'static str {
        if self.study.models() == 0 {
            "no network that the agent proposes is within the limits: raise those of the table [limits]"
        } else {
            "every architecture that the agent proposes was trained or is over a limit: the space is exhausted"
        }
    }

    /// Seconds that workers still take to start.
    fn start_seconds_left(&self) -> f64 {
        if self.study.models() == 0 { self.start_seconds } else { 0.0 }
    }

    /// Whether a trial that is begun now can come to its end before the search does, as far as the trials of this run tell. The time
    /// that is left where it cannot goes to the final phase.
    fn has_time_for_another(&self) -> bool {
        let is_first = self.study.models() == 0 || self.shortest_trial_seconds == f64::INFINITY;
        is_first || self.search_seconds().is_none_or(|limit| self.seconds() + self.shortest_trial_seconds < limit)
    }

    /// Trains trials until the models or the time are reached; false after an interruption.
    fn search(&mut self) -> Result<bool> {
        if !self.wants_more() {
            return Ok(true);
        }
        let workers = setup::workers(&self.settings);
        let mut pool = self.pool(workers, self.settings.search.threads)?;
        let mut progress = Progress::new(pool.places(), self.file.path(), "search");
        if let Some(best) = self.file.reader().top(1)?.first() {
            progress.best(best.record.evaluation.outcome.valid_accuracy().map_or(0.0, |a| a.value()), &best.record);
        }
        let mut exhausted = false;
        loop {
            if self.interrupted.is_set() {
                return Ok(false);
            }
            self.file.check_in_place()?;
            // One that is no trial at a time, so that a long row of them leaves time for everything else.
            let mut is_busy = false;
            while pool.idle() > 0 && !exhausted && self.wants_more() && self.has_time_for_another() {
                let limit = self.search_limit();
                match self.ask() {
                    Ask::Trial(asked) => {
                        let (trial, architecture, seed) = (asked.trial, asked.architecture, asked.seed);
                        let left = |limit: f64| {
                            ((1.0 - VALIDATING) * (limit - self.seconds()) - self.start_seconds_left()).max(0.0)
                        };
                        let time_limit_seconds = limit.map(left);
                        let stop = self.stopping.rule();
                        let job = TrialJob { trial, architecture, seed, stop, time_limit_seconds };
                        // There is an idle worker, so the job is taken.
                        let _ = pool.submit(Job::Trial(job));
                    }
                    Ask::Event(event) => {
                        self.file.append(&event)?;
                        is_busy = true;
                        break;
                    }
                    Ask::Busy => break,
                    Ask::Exhausted => {
                        exhausted = true;
                        progress.say(self.why_exhausted());
                    }
                }
            }
            let in_training = self.study.pending().count();
            let time_is_up = self.search_seconds().is_some_and(|limit| self.seconds() >= limit);
            let is_done = exhausted || !self.wants_more() || !self.has_time_for_another();
            if in_training == 0 && is_done || time_is_up && self.study.models() > 0 {
                return Ok(true);
            }
            let patience = if is_busy { Duration::ZERO } else { Duration::from_millis(200) };
            match pool.next(patience)? {
                Some(ExecutorEvent::Evaluated(trial, evaluation)) => {
                    progress.ended(trial);
                    let seconds = self.seconds();
                    self.shortest_trial_seconds = self.shortest_trial_seconds.min(evaluation.train_seconds);
                    if let Some(event) = self.study.tell(trial, evaluation, seconds) {
                        if let EventKind::Trial(record) = &event.kind {
                            self.stopping.note(record);
                        }
                        self.file.append(&event)?;
                        show_event(&mut progress, &event);
                    }
                }
                Some(ExecutorEvent::Progress(worker, trial, step)) => {
                    if let Some(asked) = self.study.pending().find(|asked| asked.trial == trial) {
                        progress.worker(worker, trial, &asked.architecture, &step);
                    }
                }
                Some(ExecutorEvent::Candidate(..) | ExecutorEvent::Final(..)) | None => {}
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
