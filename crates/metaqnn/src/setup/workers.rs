//! Who trains for a run of this program: workers, processes of the program itself, that keep the state of long trainings beside the study.

use std::error::Error;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use metaqnn_core::settings::Settings;
use metaqnn_core::study::{StudyHeader, TrialNumber};
use metaqnn_data::Reading;
use metaqnn_exec::protocol::WorkerSetup;
use metaqnn_exec::{WorkerCommand, WorkerPool};
use metaqnn_run::{Checkpoints, Stage, StartExecutor};
use metaqnn_store::beside;

use super::data::image_size;

/// Threads of workers that a core bears; with more the machine only swaps.
const THREADS_A_CORE: usize = 32;

/// Starts the workers of a study.
pub(crate) struct Workers(WorkerSetup);

impl Workers {
    /// Those of the study at `path`, its canonical path, with this header: its data are found by `argument` in `data_dir` and read as `reading`
    /// says.
    pub(crate) fn new(
        path: &Path,
        header: &StudyHeader,
        (argument, data_dir): (String, PathBuf),
        reading: &Reading,
        settings: String,
    ) -> Result<Self> {
        Ok(Workers(WorkerSetup {
            data: argument,
            data_dir,
            reading: serde_json::to_string(reading)?,
            data_fingerprint: header.data_fingerprint.clone(),
            image_size: image_size(header.input)?.to_string(),
            settings,
            results: path.into(),
        }))
    }
}

impl StartExecutor for Workers {
    type Executor = WorkerPool;

    fn start(&self, places: usize, threads: u32) -> Result<WorkerPool, Box<dyn Error + Send + Sync>> {
        check_threads(places, threads)?;
        let program = std::env::current_exe().context("the program's own file is not found")?;
        Ok(WorkerPool::start(WorkerCommand::new(program), self.0.clone(), places, threads)?)
    }
}

/// Refuses more threads than the machine bears.
pub(crate) fn check_threads(workers: usize, threads: u32) -> Result<()> {
    let (cores, all) = (cores(), workers.saturating_mul(threads as usize));
    let most = THREADS_A_CORE * cores;
    if all > most {
        bail!(
            "{workers} workers of {threads} threads are {all} threads; on {cores} cores {most} are allowed: lower --workers or --threads"
        );
    }
    Ok(())
}

/// Worker processes of a search.
pub(crate) fn workers(settings: &Settings) -> usize {
    match settings.search.workers {
        0 => cores(),
        workers => workers as usize,
    }
}

/// Threads of all workers of a search together.
pub(crate) fn all_threads(settings: &Settings) -> u32 {
    u32::try_from(workers(settings)).unwrap_or(u32::MAX).saturating_mul(settings.search.threads)
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// The states of trainings, in files beside the study at this canonical path.
pub(crate) struct BesideStudy(pub(crate) PathBuf);

impl BesideStudy {
    fn file(&self, stage: Stage, trial: TrialNumber) -> PathBuf {
        let stage = match stage {
            Stage::Candidate => "candidate",
            Stage::Final => "final",
        };
        beside(&self.0, &format!(".{stage}-{trial}.checkpoint"))
    }
}

impl Checkpoints for BesideStudy {
    fn path(&self, stage: Stage, trial: TrialNumber) -> Option<PathBuf> {
        Some(self.file(stage, trial))
    }

    fn is_there(&self, stage: Stage, trial: TrialNumber) -> bool {
        self.file(stage, trial).exists()
    }

    fn remove(&self, stage: Stage, trial: TrialNumber) {
        metaqnn_train::remove_checkpoint(&self.file(stage, trial));
    }
}
