//! `metaqnn search` and `metaqnn resume`: from arguments to a run.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use metaqnn_core::graph::MapShape;
use metaqnn_core::ports::Storage;
use metaqnn_core::settings::{self, AugmentationChoice, Settings};
use metaqnn_core::space::SearchSpace;
use metaqnn_core::study::{DataReading, Study, StudyHeader};
use metaqnn_data::{DataSet, ImageSize, LoadedData};
use metaqnn_run::{Fruitless, Resumed, Run, RunPlan, Surroundings, SystemClock, limits_before};
use metaqnn_store::StudyFile;
use metaqnn_train::{ComputeDevice, map_shape};
use toml_edit::DocumentMut;

use crate::arguments::{ResumeArguments, RunArguments, SearchArguments};
use crate::interrupt::{INTERRUPTED, Interrupt};
use crate::run_display::RunDisplay;
use crate::search_plan::{lay_for_few_images, settle};
use crate::setup::StudyData;
use crate::study_path::{create_default, now};
use crate::summary::Summary;
use crate::workers::{BesideStudy, Workers, check_threads, workers};
use crate::{display, setup};

/// Seconds that starting a process takes, beside reading the data.
const PROCESS_SECONDS: f64 = 0.1;

/// Begins a study.
pub(crate) fn search(arguments: &SearchArguments) -> Result<i32> {
    let clock = SystemClock::start();
    let mut document = setup::document(&arguments.settings, &arguments.data, arguments.agent.as_deref())?;
    if arguments.run.models.is_some() || arguments.run.budget.is_some() {
        // What is asked for takes the place of what would end the preset's search.
        lay(&mut document, "models", Some("0"))?;
        lay(&mut document, "budget_seconds", Some("0.0"))?;
    }
    lay_run(&mut document, &arguments.run)?;
    lay(&mut document, "seed", arguments.seed)?;
    let settings = setup::checked(&document)?;
    check_threads(workers(&settings), settings.search.threads)?;
    let device = metaqnn_train::parse_device(&settings.search.device)?;
    let data_dir = arguments.data_dir.data_dir.as_deref();
    let data_argument = setup::lasting(&arguments.data)?;
    let begin_reading = Instant::now();
    let mut reading = setup::reading(&arguments.reading);
    let (loaded, data_dir) = setup::data_set(&data_argument, data_dir, arguments.size.size, &reading)?;
    let start_seconds = begin_reading.elapsed().as_secs_f64() + PROCESS_SECONDS;
    setup::tell(&loaded);
    let LoadedData { mut data, splits, .. } = loaded;
    let mut settings = lay_for_few_images(&mut document, &data, &arguments.settings)?;
    if device == ComputeDevice::Cpu && settings.budget_limits_networks() {
        let of_size = |size| Ok(setup::data_set(&data_argument, Some(&data_dir), Some(size), &reading)?.0.data);
        let may_shrink = arguments.size.size.is_none() && data.source.is_none();
        let smaller: Option<&dyn Fn(ImageSize) -> Result<DataSet>> = if may_shrink { Some(&of_size) } else { None };
        (settings, data) = settle(&mut document, &settings, data, &clock, &arguments.settings, smaller)?;
    }
    // What each image is for does not depend on the size.
    let data_reading = DataReading { reading: serde_json::to_string(&reading)?, image_splits: splits.to_bytes() };
    reading.splits = (!splits.images.is_empty()).then_some(splits);
    let (input, space) = space_of(&settings, &data)?;
    let seed = settings.search.seed;
    let header = StudyHeader {
        version: env!("CARGO_PKG_VERSION").into(),
        created_at: now(),
        settings: document.to_string(),
        seed,
        data: data_argument.clone(),
        data_fingerprint: data.fingerprint.clone(),
        input,
        class_names: data.class_names.clone(),
    };
    let file = match &arguments.study {
        Some(path) => StudyFile::create_of_data(path, &header, Some(&data_reading))?,
        None => create_default(&data.name, &header, &data_reading)?,
    };
    let path = setup::seen_from_here(file.path());
    eprintln!("study {}: {} images of {input}, {} classes", path.display(), data.train.len(), data.classes());
    eprintln!("to watch it in a browser: metaqnn serve {}", path.display());
    let place = (data_argument.clone(), data_dir);
    Begun {
        clock,
        workers: Workers::new(file.path(), &header, place, &reading, document.to_string())?,
        study: Study::new(settings.clone(), space, seed),
        resumed: Resumed::nothing(&settings),
        plan: plan(settings, &data, start_seconds),
        guessing: guessing(&data),
        data: data_argument,
        json: arguments.run.json,
        file,
    }
    .execute(data)
}

/// Goes on with a study.
pub(crate) fn resume(arguments: &ResumeArguments) -> Result<i32> {
    let clock = SystemClock::start();
    let mut file = StudyFile::open(&arguments.study)?;
    let header = file.header()?;
    let mut document = setup::document_of_study(&arguments.study, &header)?;
    let [at_first, before] = limits_before(&file, &setup::checked(&document)?)?;
    if before != at_first {
        lay(&mut document, "models", Some(before.models))?;
        lay(&mut document, "budget_seconds", Some(format!("{:?}", before.budget_seconds)))?;
    }
    let stored = setup::checked(&document)?;
    check_raised(&arguments.run, &stored).with_context(|| arguments.study.display().to_string())?;
    lay_run(&mut document, &arguments.run)?;
    let settings = setup::checked(&document)?;
    check_threads(workers(&settings), settings.search.threads)?;
    metaqnn_train::parse_device(&settings.search.device)?;
    let begin_reading = Instant::now();
    let reading = setup::reading_of_study(file.reader())?;
    let StudyData { data, argument, data_dir } =
        setup::data_of_study(&arguments.study, &header, &reading, &arguments.place)?;
    let start_seconds = begin_reading.elapsed().as_secs_f64() + PROCESS_SECONDS;
    let (_, space) = space_of(&settings, &data)?;
    let mut study = Study::new(settings.clone(), space, header.seed);
    setup::replay(file.reader(), &mut study)?;
    // Last, so that a resume that is refused changes nothing.
    file.begin_writing()?;
    let resumed = Resumed::of(&mut file, &settings, before, at_first)?;
    eprintln!("{}: {} so far", arguments.study.display(), display::count(study.models(), "model"));
    let place = (argument.clone(), data_dir);
    Begun {
        clock,
        workers: Workers::new(file.path(), &header, place, &reading, document.to_string())?,
        study,
        resumed,
        plan: plan(settings, &data, start_seconds),
        guessing: guessing(&data),
        data: argument,
        json: arguments.run.json,
        file,
    }
    .execute(data)
}

/// A run that is about to begin.
struct Begun {
    file: StudyFile,
    clock: SystemClock,
    workers: Workers,
    study: Study,
    resumed: Resumed,
    plan: RunPlan,
    /// The share of the test images that one has right who always answers the most frequent class.
    guessing: f64,
    /// The DATA argument.
    data: String,
    json: bool,
}

impl Begun {
    /// Searches, chooses a network and trains it finally, sums up and closes the study; returns the exit status. The images in this process are
    /// needed no more.
    fn execute(self, images: DataSet) -> Result<i32> {
        drop(images);
        let path = self.file.path().to_path_buf();
        let interrupt = Interrupt::watch(&path)?;
        let settings = self.plan.settings.clone();
        let surroundings = Surroundings {
            storage: self.file,
            executors: self.workers,
            clock: &self.clock,
            checkpoints: &BesideStudy(path.clone()),
            is_interrupted: &|| interrupt.is_set(),
        };
        let run = Run::new(surroundings, self.plan, self.study, self.resumed);
        let finished = run.execute(&mut RunDisplay::new(path.clone()))?;
        let (guessing, json) = (self.guessing, self.json);
        Summary { finished: &finished, settings: &settings, data: &self.data, guessing, json }.print()?;
        let (fruitless, interrupted) = (finished.fruitless, finished.interrupted);
        finished.storage.close()?;
        match fruitless {
            Some(fruitless) => bail!(in_words(fruitless, &path)),
            None => Ok(if interrupted { INTERRUPTED } else { 0 }),
        }
    }
}

/// Why a run has not given what it is for.
fn in_words(fruitless: Fruitless, study: &Path) -> String {
    match fruitless {
        Fruitless::NothingTrained => "no network was trained".into(),
        Fruitless::NoneLearned(models) => {
            let networks = display::count(models, "network");
            format!("{networks} trained, none has learned; `metaqnn log` says why each failed")
        }
        Fruitless::NoFinalTraining(failures) => {
            let reasons: Vec<String> = failures.iter().map(|reason| format!("\n  {reason}")).collect();
            format!(
                "the final training has no result; `metaqnn resume {}` tries it again{}",
                study.display(),
                reasons.concat()
            )
        }
    }
}

/// What is settled before a run on `data` begins.
fn plan(settings: Settings, data: &DataSet, start_seconds: f64) -> RunPlan {
    RunPlan {
        begin: Duration::ZERO,
        places: workers(&settings),
        start_seconds,
        validated_images: data.valid.len(),
        asks_of_symmetry: asks_of_symmetry(&settings, data),
        settings,
    }
}

/// Whether a candidate is to show if images may be mirrored or turned: nobody has said so of own data.
fn asks_of_symmetry(settings: &Settings, data: &DataSet) -> bool {
    data.mirror_is_safe.is_none() && settings.final_phase.training.augmentation == AugmentationChoice::Auto
}

/// The share of the test images that are of the most frequent class.
fn guessing(data: &DataSet) -> f64 {
    let most = data.test.class_counts(data.classes()).into_iter().max().unwrap_or(0);
    most as f64 / data.test.len().max(1) as f64
}

/// Lays the flags that every run has over the settings.
fn lay_run(document: &mut DocumentMut, arguments: &RunArguments) -> Result<()> {
    lay(document, "models", arguments.models)?;
    lay(document, "budget_seconds", arguments.budget.map(|budget| format!("{budget:?}")))?;
    lay(document, "workers", arguments.workers)?;
    lay(document, "threads", arguments.threads)?;
    lay(document, "device", arguments.device.as_ref().map(|device| format!("{device:?}")))
}

/// Lays one value, spelled as TOML, over a key of `[search]`.
fn lay(document: &mut DocumentMut, key: &str, value: Option<impl std::fmt::Display>) -> Result<()> {
    if let Some(value) = value {
        settings::set(document, &format!("search.{key}={value}"))?;
    }
    Ok(())
}

/// Refuses limits below those of the study; one that it does not have can be set.
fn check_raised(arguments: &RunArguments, stored: &Settings) -> Result<()> {
    let search = &stored.search;
    if arguments.models.is_some_and(|models| models < search.models) {
        bail!("--models can only be raised; the study has {}", search.models);
    }
    if arguments.budget.is_some_and(|budget| budget < search.budget_seconds) {
        bail!("--budget can only be raised; the study has {} s", search.budget_seconds);
    }
    Ok(())
}

fn space_of(settings: &Settings, data: &DataSet) -> Result<(MapShape, SearchSpace)> {
    let input = map_shape(data.shape());
    let space = setup::space(settings, input, data.classes() as u32)?;
    Ok((input, space))
}
