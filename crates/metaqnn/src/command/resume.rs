//! `metaqnn resume`.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use clap::Args;
use metaqnn_core::ports::Storage;
use metaqnn_core::settings::Settings;
use metaqnn_core::study::Study;
use metaqnn_run::{Resumed, SystemClock, limits_before};
use metaqnn_store::StudyFile;

use super::run::{Begun, PROCESS_SECONDS, RunArguments, guessing, lay, lay_run, plan, space_of};
use crate::setup::{self, StudyData, StudyDataArguments, Workers, check_threads, workers};
use crate::show;

#[derive(Args)]
pub(crate) struct ResumeArguments {
    /// The study's file.
    pub(crate) study: PathBuf,
    #[command(flatten)]
    pub(crate) place: StudyDataArguments,
    #[command(flatten)]
    pub(crate) run: RunArguments,
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
    eprintln!("{}: {} so far", arguments.study.display(), show::count(study.models(), "model"));
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
