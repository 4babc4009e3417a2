//! `metaqnn search`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::Args;
use metaqnn_core::settings::AgentName;
use metaqnn_core::study::{DataReading, Study, StudyHeader};
use metaqnn_data::{DataSet, ImageSize, LoadedData};
use metaqnn_run::{Resumed, SystemClock};
use metaqnn_store::StudyFile;
use metaqnn_train::ComputeDevice;

use super::run::{Begun, PROCESS_SECONDS, RunArguments, guessing, lay, lay_run, plan, space_of};
use crate::setup::{
    self, DataArguments, ReadingArguments, SettingsArguments, SizeArguments, Workers, check_threads, create_default,
    lay_for_few_images, now, settle, workers,
};

#[derive(Args)]
pub(crate) struct SearchArguments {
    /// digits, mnist, fashion-mnist, cifar10, cifar100, svhn, or the path of your own images: a folder of class folders, a .csv,
    /// .npy or .npz file.
    #[arg(default_value = "digits")]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    #[command(flatten)]
    pub(crate) data_dir: DataArguments,
    #[command(flatten)]
    pub(crate) reading: ReadingArguments,
    #[command(flatten)]
    pub(crate) size: SizeArguments,
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// The study's file [default: studies/DATA-DATE-N.study].
    #[arg(long, value_name = "FILE")]
    pub(crate) study: Option<PathBuf>,
    /// Seed of everything random.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    #[arg(long, value_name = "NAME", help = AgentName::all_names())]
    pub(crate) agent: Option<String>,
}

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
