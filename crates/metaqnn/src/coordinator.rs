//! `metaqnn search` and `metaqnn resume`: from arguments to a run.

use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use metaqnn_core::graph::MapShape;
use metaqnn_core::ports::Storage;
use metaqnn_core::settings::{self, AugmentationChoice, Settings};
use metaqnn_core::space::SearchSpace;
use metaqnn_core::study::{DataReading, RaisedLimits, Study, StudyHeader, TrialStopping};
use metaqnn_data::{DataSet, LoadedData};
use metaqnn_store::{Detail, StudyFile, StudyReader};
use metaqnn_train::{ComputeDevice, map_shape};
use toml_edit::DocumentMut;

use crate::arguments::{ResumeArguments, RunArguments, SearchArguments};
use crate::interrupt::Interrupt;
use crate::run::{Run, RunClock};
use crate::search_plan::{Planning, suit_few_images};
use crate::setup::StudyData;
use crate::study_path::{create_default, now};
use crate::{display, setup};

/// Seconds that starting a process takes, beside reading the data.
const PROCESS_SECONDS: f64 = 0.1;

/// Begins a study.
pub(crate) fn search(arguments: &SearchArguments) -> Result<i32> {
    let begin = Instant::now();
    let mut document = setup::document(&arguments.settings, &arguments.data, arguments.agent.as_deref())?;
    if arguments.run.models.is_some() || arguments.run.budget.is_some() {
        // What is asked for takes the place of what would end the preset's search.
        lay(&mut document, "models", Some("0"))?;
        lay(&mut document, "budget_seconds", Some("0.0"))?;
    }
    lay_run(&mut document, &arguments.run)?;
    lay(&mut document, "seed", arguments.seed)?;
    let settings = setup::checked(&document)?;
    setup::check_threads(setup::workers(&settings), settings.search.threads)?;
    let device = metaqnn_train::parse_device(&settings.search.device)?;
    let data_dir = arguments.data_dir.data_dir.as_deref();
    let data_argument = setup::lasting(&arguments.data)?;
    let begin_reading = Instant::now();
    let mut reading = setup::reading(&arguments.reading);
    let (loaded, data_dir) = setup::data_set(&data_argument, data_dir, arguments.size.size, &reading)?;
    let start_seconds = begin_reading.elapsed().as_secs_f64() + PROCESS_SECONDS;
    setup::tell(&loaded);
    let LoadedData { mut data, splits, .. } = loaded;
    suit_few_images(&mut document, &data, &arguments.settings)?;
    let mut settings = setup::checked(&document)?;
    if device == ComputeDevice::Cpu && settings.budget_limits_networks() {
        let planning = Planning::new(&settings, begin)?;
        let may_shrink = arguments.size.size.is_none() && data.source.is_none();
        if may_shrink {
            let of_size = |size| Ok(setup::data_set(&data_argument, Some(&data_dir), Some(size), &reading)?.0.data);
            let all = Arc::new(data);
            let size = planning.size_by_trial(&settings, &all, of_size)?;
            let size = if size.is_some() { size } else { planning.smaller_size(&settings, &all)? };
            data = match size {
                Some(size) => of_size(size)?,
                None => Arc::unwrap_or_clone(all),
            };
        }
        settings = planning.lay_over(&mut document, &settings, &data, &arguments.settings)?;
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
    let validated_images = data.valid.len();
    let asks_of_symmetry = asks_of_symmetry(&settings, &data);
    let guessing = guessing(&data);
    drop(data);
    Run {
        interrupted: Interrupt::watch(file.path())?,
        file,
        study: Study::new(settings.clone(), space, seed),
        stopping: TrialStopping::new(&settings),
        clock: RunClock {
            seconds_before: 0.0,
            begin,
            budget_seconds: settings.search.budget_seconds,
            budget_before: 0.0,
        },
        settings,
        settings_text: document.to_string(),
        data: data_argument,
        data_dir,
        reading,
        data_fingerprint: header.data_fingerprint,
        image_size: setup::image_size(input)?,
        start_seconds,
        validated_images,
        asks_of_symmetry,
        guessing,
        shortest_trial_seconds: f64::INFINITY,
        json: arguments.run.json,
        failures: Vec::new(),
    }
    .execute()
}

/// Goes on with a study.
pub(crate) fn resume(arguments: &ResumeArguments) -> Result<i32> {
    let begin = Instant::now();
    let mut file = StudyFile::open(&arguments.study)?;
    let header = file.header()?;
    let mut document = setup::document_of_study(&arguments.study, &header)?;
    let first_budget = setup::checked(&document)?.search.budget_seconds;
    let raised = file.raised_limits()?;
    if let Some(limits) = raised {
        lay(&mut document, "models", Some(limits.models))?;
        lay(&mut document, "budget_seconds", Some(format!("{:?}", limits.budget_seconds)))?;
    }
    let stored = setup::checked(&document)?;
    check_raised(&arguments.run, &stored).with_context(|| arguments.study.display().to_string())?;
    lay_run(&mut document, &arguments.run)?;
    let settings = setup::checked(&document)?;
    setup::check_threads(setup::workers(&settings), settings.search.threads)?;
    metaqnn_train::parse_device(&settings.search.device)?;
    let begin_reading = Instant::now();
    let reading = setup::reading_of_study(file.reader())?;
    let StudyData { data, argument, data_dir } =
        setup::data_of_study(&arguments.study, &header, &reading, &arguments.place)?;
    let start_seconds = begin_reading.elapsed().as_secs_f64() + PROCESS_SECONDS;
    let (_, space) = space_of(&settings, &data)?;
    let validated_images = data.valid.len();
    let asks_of_symmetry = asks_of_symmetry(&settings, &data);
    let guessing = guessing(&data);
    drop(data);
    let mut study = Study::new(settings.clone(), space, header.seed);
    replay(file.reader(), &mut study)?;
    let budget_before = if settings.search.budget_seconds > stored.search.budget_seconds {
        stored.search.budget_seconds
    } else {
        // Raised by an earlier run, or never.
        let before = file.reader().raised_limits_before()?.map_or(first_budget, |limits| limits.budget_seconds);
        raised.map_or(0.0, |_| before)
    };
    // Last, so that a resume that is refused changes nothing.
    file.begin_writing()?;
    let limits = |settings: &Settings| RaisedLimits {
        models: settings.search.models,
        budget_seconds: settings.search.budget_seconds,
    };
    if limits(&settings) != limits(&stored) {
        file.raise_limits(limits(&settings))?;
    }
    let mut stopping = TrialStopping::new(&settings);
    file.reader().visit_trials(Detail::Full, &mut |trial| {
        stopping.note(&trial.record);
        true
    })?;
    let seconds_before = file.run_seconds()?;
    eprintln!("{}: {} so far", arguments.study.display(), display::count(study.models(), "model"));
    Run {
        interrupted: Interrupt::watch(file.path())?,
        file,
        study,
        stopping,
        clock: RunClock { seconds_before, begin, budget_seconds: settings.search.budget_seconds, budget_before },
        settings,
        settings_text: document.to_string(),
        data: argument,
        data_dir,
        reading,
        data_fingerprint: header.data_fingerprint,
        image_size: setup::image_size(header.input)?,
        start_seconds,
        validated_images,
        asks_of_symmetry,
        guessing,
        shortest_trial_seconds: f64::INFINITY,
        json: arguments.run.json,
        failures: Vec::new(),
    }
    .execute()
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

/// Rebuilds the agent from the stored log.
pub(crate) fn replay(reader: &StudyReader, study: &mut Study) -> Result<()> {
    let mut broken = None;
    reader.visit_events(&mut |event| {
        broken = study.replay(&event).err();
        broken.is_none()
    })?;
    broken.map_or(Ok(()), |error| bail!("{}: {error}", reader.path().display()))
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
