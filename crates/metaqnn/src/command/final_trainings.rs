//! `metaqnn final`: the best networks of a study trained fully, measured once on the test data, and the best of them together.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use metaqnn_core::ports::Storage;
use metaqnn_core::settings::{self, Settings};
use metaqnn_run::{FinalPlan, FinalTrainings, RunError, Surroundings, SystemClock};
use metaqnn_store::StudyFile;
use metaqnn_train::ComputeDevice;

use crate::models::ensemble::{self, Measuring};
use crate::setup::{
    self, BesideStudy, INTERRUPTED, Interrupt, StudyData, StudyDataArguments, Workers, all_threads, parse_seconds,
};
use crate::show::{self, FinalTable, RunDisplay};

#[derive(Args)]
pub(crate) struct FinalArguments {
    /// The study's file.
    pub(crate) study: PathBuf,
    /// Plan for this time, 90s, 30m or 1h30m, a number alone being seconds: so many networks, best first, and so many epochs as it allows, going by the speed of the
    /// trials and of the first steps; a network for which no time is left is not begun [default: the epochs of the settings].
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    pub(crate) budget: Option<f64>,
    /// How many of the best networks [default: 10].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) models: Option<u64>,
    #[command(flatten)]
    pub(crate) place: StudyDataArguments,
    /// Threads [default: as many as the workers of the search had together].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// cpu, cuda:0, vulkan:0, metal:0, rocm:0 [default: that of the study].
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The table as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What is settled before networks are trained.
struct Opened {
    file: StudyFile,
    device: ComputeDevice,
    workers: Workers,
    plan: FinalPlan,
}

/// Trains the best networks of a study fully, or goes on with it, and prints the table.
pub(crate) fn train_finally(arguments: &FinalArguments) -> Result<i32> {
    let clock = SystemClock::start();
    let Opened { file, device, workers, plan } = open(arguments)?;
    let settings = plan.settings.clone();
    let path = file.path().to_path_buf();
    let interrupt = Interrupt::watch(&path)?;
    let surroundings = Surroundings {
        storage: file,
        executors: workers,
        clock: &clock,
        checkpoints: &BesideStudy(path.clone()),
        is_interrupted: &|| interrupt.is_set(),
    };
    let mut trainings = FinalTrainings::new(surroundings, plan);
    let mut display = RunDisplay::new(path);
    let models = arguments.models.map(|models| models as usize);
    match trainings.extend_plan(models, &mut display) {
        Err(error @ RunError::NoneLearned) => bail!("{}: {error}", arguments.study.display()),
        planned => planned?,
    }
    let Some(failures) = trainings.train(&mut display)? else {
        trainings.into_storage().close()?;
        let study = arguments.study.display();
        eprintln!("stopped; nothing but the epoch in training is lost. To go on:\n  metaqnn final {study}");
        return Ok(INTERRUPTED);
    };
    let mut file = trainings.into_storage();
    settle_ensemble(&mut file, &settings, &device, arguments)?;
    let table = FinalTable::read(file.reader())?;
    file.close()?;
    if arguments.json {
        println!("{}", table.json(&arguments.study));
    } else {
        print!("{}", table.text());
    }
    if !failures.is_empty() {
        bail!("{} could not be trained:\n{}", show::count(failures.len() as u64, "network"), failures.join("\n"));
    }
    Ok(0)
}

/// Opens the study and reads its data.
fn open(arguments: &FinalArguments) -> Result<Opened> {
    let file = StudyFile::open(&arguments.study)?;
    let header = file.header()?;
    let mut document = setup::document_of_study(&arguments.study, &header)?;
    let trial_threads = setup::checked(&document)?.search.threads;
    let threads = arguments.threads.map(|threads| format!("threads={threads}"));
    let device = arguments.device.as_ref().map(|device| format!("device={device:?}"));
    for assignment in threads.into_iter().chain(device) {
        settings::set(&mut document, &format!("search.{assignment}"))?;
    }
    let mut settings = setup::checked(&document)?;
    let device = metaqnn_train::parse_device(&settings.search.device)?;
    if arguments.threads.is_none() {
        settings.search.threads = all_threads(&settings);
    }
    let reading = setup::reading_of_study(file.reader())?;
    let StudyData { data, argument, data_dir } =
        setup::data_of_study(&arguments.study, &header, &reading, &arguments.place)?;
    if data.test.is_empty() {
        bail!("data set {}: it has no test images, so nothing can be measured", data.name);
    }
    let slower = match device {
        ComputeDevice::Cpu => f64::from(trial_threads) / f64::from(settings.search.threads),
        ComputeDevice::Burn(_) => 1.0,
    };
    let plan = FinalPlan {
        slower,
        images: [data.train.len() + data.valid.len(), data.train.len()],
        begin: Duration::ZERO,
        budget_seconds: arguments.budget,
        settings,
    };
    let workers = Workers::new(file.path(), &header, (argument, data_dir), &reading, document.to_string())?;
    Ok(Opened { file, device, workers, plan })
}

/// Chooses the ensemble of what was trained, on as many threads as the trainings had.
fn settle_ensemble(
    file: &mut StudyFile,
    settings: &Settings,
    device: &ComputeDevice,
    arguments: &FinalArguments,
) -> Result<()> {
    let threads = settings.search.threads as usize;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("threads cannot be started")?;
    let measuring = Measuring { study: &arguments.study, place: &arguments.place, device };
    threads.install(|| ensemble::settle(file, settings, &measuring))
}
