//! `metaqnn search` and `metaqnn resume`: asks, hands out, stores, tells.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use metaqnn_core::graph::MapShape;
use metaqnn_core::ports::{FinalJob, Storage, TrialJob};
use metaqnn_core::settings::{self, Settings};
use metaqnn_core::space::SearchSpace;
use metaqnn_core::study::{Ask, EventKind, EventRecord, FinalRecord, Study, StudyHeader};
use metaqnn_data::DataSet;
use metaqnn_exec::protocol::{Job, WorkerSetup};
use metaqnn_exec::{PoolEvent, WorkerPool};
use metaqnn_store::{StoredTrial, StudyFile, StudyReader};
use serde_json::json;
use toml_edit::DocumentMut;

use crate::arguments::{ResumeArguments, SearchArguments};
use crate::progress::Progress;
use crate::{display, setup};

/// Exit status after Ctrl-C.
const INTERRUPTED: i32 = 130;

/// What a run needs, whether it begins a study or goes on with one.
struct Run {
    file: StudyFile,
    study: Study,
    settings: Settings,
    settings_text: String,
    data: String,
    data_dir: PathBuf,
    /// Seconds of the runs before.
    seconds_before: f64,
    begin: Instant,
    interrupted: Arc<AtomicBool>,
    json: bool,
}

/// Begins a study.
pub(crate) fn search(arguments: &SearchArguments) -> Result<i32> {
    let begin = Instant::now();
    let mut document = setup::document(&arguments.settings, &arguments.data)?;
    lay_flags(&mut document, arguments)?;
    let settings = setup::checked(&document)?;
    let (data, data_dir) = setup::data_set(&arguments.data, arguments.data_dir.data_dir.as_deref())?;
    metaqnn_train::parse_device(&settings.search.device)?;
    let (input, space) = space_of(&settings, &data)?;
    let seed = settings.search.seed;
    let header = StudyHeader {
        version: env!("CARGO_PKG_VERSION").into(),
        created_at: now(),
        settings: document.to_string(),
        seed,
        data: arguments.data.clone(),
        data_fingerprint: data.fingerprint.clone(),
        input,
        class_names: data.class_names.clone(),
    };
    let path = match &arguments.study {
        Some(path) => path.clone(),
        None => default_path(&data.name)?,
    };
    let file = StudyFile::create(&path, &header)?;
    eprintln!("study {}: {} images of {input}, {} classes", path.display(), data.train.len(), data.classes());
    drop(data);
    let study = Study::new(settings.clone(), space, seed);
    run(Run {
        file,
        study,
        settings,
        settings_text: document.to_string(),
        data: arguments.data.clone(),
        data_dir,
        seconds_before: 0.0,
        begin,
        interrupted: watch_for_interrupt()?,
        json: arguments.json,
    })
}

/// Goes on with a study.
pub(crate) fn resume(arguments: &ResumeArguments) -> Result<i32> {
    let begin = Instant::now();
    let file = StudyFile::open(&arguments.study)?;
    let header = file.header()?;
    let mut document = header.settings.parse::<DocumentMut>().context("the study's settings cannot be read")?;
    let stored = setup::checked(&document)?;
    let mut lay = |key: &str, value: Option<String>| -> Result<()> {
        if let Some(value) = value {
            settings::set(&mut document, &format!("search.{key}={value}"))?;
        }
        Ok(())
    };
    if arguments.models.is_some_and(|models| models < stored.search.models) {
        bail!("--models can only be raised; the study has {}", stored.search.models);
    }
    if arguments.budget.is_some_and(|budget| budget < stored.search.budget_seconds) {
        bail!("--budget can only be raised; the study has {} s", stored.search.budget_seconds);
    }
    lay("models", arguments.models.map(|models| models.to_string()))?;
    lay("budget_seconds", arguments.budget.map(|budget| format!("{budget:?}")))?;
    lay("workers", arguments.workers.map(|workers| workers.to_string()))?;
    lay("threads", arguments.threads.map(|threads| threads.to_string()))?;
    lay("device", arguments.device.as_ref().map(|device| format!("{device:?}")))?;
    let settings = setup::checked(&document)?;
    let (data, data_dir) = setup::data_set(&header.data, arguments.data_dir.data_dir.as_deref())?;
    if data.fingerprint != header.data_fingerprint {
        bail!("{}: the data set {} is not the one that the study began with", arguments.study.display(), header.data);
    }
    metaqnn_train::parse_device(&settings.search.device)?;
    let (_, space) = space_of(&settings, &data)?;
    drop(data);
    let mut study = Study::new(settings.clone(), space, header.seed);
    replay(file.reader(), &mut study)?;
    let seconds_before = file.run_seconds()?;
    eprintln!("{}: {} models so far", arguments.study.display(), study.models());
    run(Run {
        file,
        study,
        settings,
        settings_text: document.to_string(),
        data: header.data,
        data_dir,
        seconds_before,
        begin,
        interrupted: watch_for_interrupt()?,
        json: arguments.json,
    })
}

/// Rebuilds the agent from the stored log.
pub(crate) fn replay(reader: &StudyReader, study: &mut Study) -> Result<()> {
    let mut broken = None;
    reader.visit_events(&mut |event| {
        broken = study.replay(&event).err();
        broken.is_none()
    })?;
    broken.map_or(Ok(()), |error| bail!("{}: {error}", reader.path().display()))
}

fn run(mut run: Run) -> Result<i32> {
    let ended_by_itself = run.search()?;
    let mut test_accuracy = None;
    if ended_by_itself && run.settings.final_phase.enabled {
        test_accuracy = run.final_training()?;
    }
    let seconds = run.seconds();
    run.file.note_run_seconds(seconds)?;
    let interrupted = run.interrupted.load(Ordering::SeqCst);
    run.summarize(test_accuracy, interrupted)?;
    run.file.close()?;
    Ok(if interrupted { INTERRUPTED } else { 0 })
}

impl Run {
    /// Seconds of all runs.
    fn seconds(&self) -> f64 {
        self.seconds_before + self.begin.elapsed().as_secs_f64()
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

    fn workers(&self) -> usize {
        match self.settings.search.workers {
            0 => std::thread::available_parallelism().map_or(1, usize::from),
            workers => workers as usize,
        }
    }

    fn pool(&self, workers: usize, threads: u32) -> Result<WorkerPool> {
        let setup = WorkerSetup {
            data: self.data.clone(),
            data_dir: self.data_dir.display().to_string(),
            settings: self.settings_text.clone(),
        };
        let program = std::env::current_exe().context("the program's own file is not found")?;
        Ok(WorkerPool::start(program, setup, workers, threads)?)
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
        let workers = self.workers();
        let mut pool = self.pool(workers, self.settings.search.threads)?;
        let mut progress = Progress::new(pool.len());
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
                        let job = TrialJob { trial, architecture, seed, prune: None };
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
                    let seconds = self.seconds();
                    if let Some(event) = self.study.tell(trial, evaluation, seconds) {
                        self.file.append(&event)?;
                        show_event(&mut progress, &event);
                    }
                }
                Some(PoolEvent::Progress(worker, trial, step)) => {
                    if let Some(asked) = self.study.pending().find(|asked| asked.trial == trial) {
                        progress.worker(worker, trial, &asked.architecture, &step);
                    }
                }
                Some(PoolEvent::Final(..)) | None => {}
            }
            let left = self.search_seconds().map(|limit| limit - self.seconds());
            progress.status(
                self.study.epsilon(self.progress()),
                self.study.models(),
                self.settings.search.models,
                left,
            );
        }
    }

    /// Trains the best network on all training data and measures it once on the test data.
    fn final_training(&mut self) -> Result<Option<f64>> {
        let Some(best) = self.file.reader().top(1)?.into_iter().next() else { return Ok(None) };
        if let Some(accuracy) = best.test_accuracy {
            return Ok(Some(accuracy));
        }
        let budget = self.settings.search.budget_seconds;
        let threads = self.workers() as u32 * self.settings.search.threads;
        let mut pool = self.pool(1, threads)?;
        // Loading the data and measuring on the test data take their part.
        let left = budget - self.seconds();
        let time_limit_seconds = (budget > 0.0).then_some((left - 2.0 - 0.03 * left).max(5.0));
        eprintln!(
            "training the best network, trial {}, on all training data: {}",
            best.record.trial, best.record.architecture
        );
        let job = FinalJob {
            trial: best.record.trial,
            architecture: best.record.architecture.clone(),
            seed: best.record.seed,
            time_limit_seconds,
        };
        let _ = pool.submit(Job::Final(job));
        let progress = Progress::new(1);
        loop {
            if self.interrupted.load(Ordering::SeqCst) {
                return Ok(None);
            }
            match pool.next(Duration::from_millis(200))? {
                Some(PoolEvent::Final(trial, Ok(result))) => {
                    self.file.store_final(&FinalRecord {
                        trial,
                        test_accuracy: result.test_accuracy,
                        test_images: result.test_images,
                        epochs: result.epochs,
                        train_seconds: result.train_seconds,
                        train_losses: result.train_losses,
                        weights: result.weights,
                    })?;
                    return Ok(Some(result.test_accuracy));
                }
                Some(PoolEvent::Final(trial, Err(reason))) => {
                    progress.say(&format!("the final training of trial {trial} failed: {reason}"));
                    return Ok(None);
                }
                Some(PoolEvent::Progress(worker, trial, step)) => {
                    progress.worker(worker, trial, &best.record.architecture, &step);
                }
                Some(PoolEvent::Evaluated(..)) | None => {}
            }
        }
    }

    fn summarize(&self, test_accuracy: Option<f64>, interrupted: bool) -> Result<()> {
        let reader = self.file.reader();
        let best = reader.top(10)?;
        let study = self.file.path().display().to_string();
        if self.json {
            let mut line = json!({
                "study": study,
                "data": self.data,
                "seed": self.settings.search.seed,
                "models": self.study.models(),
                "failed": self.study.failed(),
                "best": best.first().map(display::trial_json),
                "wall_seconds": self.seconds(),
            });
            if self.settings.final_phase.enabled {
                line["test_accuracy"] = json!(test_accuracy);
            }
            println!("{line}");
        } else {
            println!("{}", display::table(&best));
            println!("{}", self.in_words(best.first(), test_accuracy));
        }
        if interrupted {
            eprintln!("stopped. To go on: metaqnn resume {study}");
        } else if !self.json {
            println!(
                "next: metaqnn top {study}; metaqnn show {study} TRIAL; metaqnn resume {study} --budget or --models to go on"
            );
        }
        Ok(())
    }

    fn in_words(&self, best: Option<&StoredTrial>, test_accuracy: Option<f64>) -> String {
        let (models, failed) = (self.study.models(), self.study.failed());
        let mut text =
            format!("{models} networks trained in {}, {failed} of them failed.", display::duration(self.seconds()));
        if let Some(best) = best {
            text += &format!(" The best, trial {}, has {} parameters.", best.record.trial, best.record.params);
        }
        if let Some(accuracy) = test_accuracy {
            text += &format!(
                " Trained on all training data it classifies {:.2} % of the test images right (error {:.2} %).",
                100.0 * accuracy,
                100.0 * (1.0 - accuracy)
            );
        }
        text
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

fn lay_flags(document: &mut DocumentMut, arguments: &SearchArguments) -> Result<()> {
    let mut lay = |key: &str, value: String| settings::set(document, &format!("search.{key}={value}"));
    if arguments.models.is_some() || arguments.budget.is_some() {
        lay("models", arguments.models.unwrap_or(0).to_string())?;
        lay("budget_seconds", format!("{:?}", arguments.budget.unwrap_or(0.0)))?;
    }
    if let Some(workers) = arguments.workers {
        lay("workers", workers.to_string())?;
    }
    if let Some(threads) = arguments.threads {
        lay("threads", threads.to_string())?;
    }
    if let Some(device) = &arguments.device {
        lay("device", format!("{device:?}"))?;
    }
    if let Some(seed) = arguments.seed {
        lay("seed", seed.to_string())?;
    }
    if let Some(agent) = &arguments.agent {
        lay("agent", format!("{agent:?}"))?;
    }
    Ok(())
}

fn space_of(settings: &Settings, data: &DataSet) -> Result<(MapShape, SearchSpace)> {
    let shape = data.shape();
    let input = MapShape::new(shape.channels as u32, shape.height as u32, shape.width as u32);
    let space = setup::space(settings, input, data.classes() as u32)?;
    Ok((input, space))
}

/// Ctrl-C stops the search cleanly; pressed again it ends the program at once.
fn watch_for_interrupt() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    let flag = interrupted.clone();
    ctrlc::set_handler(move || {
        if flag.swap(true, Ordering::SeqCst) {
            std::process::exit(INTERRUPTED);
        }
    })?;
    Ok(interrupted)
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

/// `studies/<data>-<date>-<n>.study`, the first n that is free.
fn default_path(data: &str) -> Result<PathBuf> {
    let folder = Path::new("studies");
    std::fs::create_dir_all(folder).context("the folder studies cannot be made; name another with --study")?;
    let (year, month, day) = date(now() / 86_400);
    let mut n = 1;
    loop {
        let path = folder.join(format!("{data}-{year:04}-{month:02}-{day:02}-{n}.study"));
        if !path.exists() {
            return Ok(path);
        }
        n += 1;
    }
}

/// Year, month and day (UTC) of a number of days since 1970-01-01 (Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn date(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let of_era = shifted % 146_097;
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let day_of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    (era * 400 + year_of_era + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::date;

    #[test]
    fn dates_follow_the_calendar() {
        assert_eq!(date(0), (1970, 1, 1));
        assert_eq!(date(11_016), (2000, 2, 29));
        assert_eq!(date(20_454), (2026, 1, 1));
    }
}
