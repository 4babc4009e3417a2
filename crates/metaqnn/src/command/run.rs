//! What `metaqnn search` and `metaqnn resume` share: a run, from its set-up to its exit status.

use std::path::Path;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::{self, AugmentationChoice, Settings};
use metaqnn_core::space::SearchSpace;
use metaqnn_core::study::Study;
use metaqnn_data::DataSet;
use metaqnn_run::{Fruitless, Resumed, Run, RunPlan, Surroundings, SystemClock};
use metaqnn_store::StudyFile;
use metaqnn_train::map_shape;
use toml_edit::DocumentMut;

use super::summary::Summary;
use crate::setup::{self, BesideStudy, INTERRUPTED, Interrupt, Workers, parse_seconds, workers};
use crate::show::{self, RunDisplay};

/// Seconds that starting a process takes, beside reading the data.
pub(super) const PROCESS_SECONDS: f64 = 0.1;

/// How long a run goes on and with what: what `search` and `resume` share.
#[derive(Args)]
pub(crate) struct RunArguments {
    /// Stop after so many unique models; `resume` can raise it.
    #[arg(long, value_name = "N")]
    pub(crate) models: Option<u64>,
    /// Stop when the time of all runs is up, final training included: 90s, 30m, 1h30m; a number alone is seconds; `resume` can raise it.
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    pub(crate) budget: Option<f64>,
    /// Worker processes [default: one a core].
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<u32>,
    /// Threads of each worker.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<u32>,
    /// cpu, cuda:0, vulkan:0, metal:0, rocm:0.
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The result as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A run that is about to begin.
pub(super) struct Begun {
    pub(super) file: StudyFile,
    pub(super) clock: SystemClock,
    pub(super) workers: Workers,
    pub(super) study: Study,
    pub(super) resumed: Resumed,
    pub(super) plan: RunPlan,
    /// The share of the test images that one has right who always answers the most frequent class.
    pub(super) guessing: f64,
    /// The DATA argument.
    pub(super) data: String,
    pub(super) json: bool,
}

impl Begun {
    /// Searches, chooses a network and trains it finally, sums up and closes the study; returns the exit status. The images in this process are
    /// needed no more.
    pub(super) fn execute(self, images: DataSet) -> Result<i32> {
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
            let networks = show::count(models, "network");
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
pub(super) fn plan(settings: Settings, data: &DataSet, start_seconds: f64) -> RunPlan {
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
pub(super) fn guessing(data: &DataSet) -> f64 {
    let most = data.test.class_counts(data.classes()).into_iter().max().unwrap_or(0);
    most as f64 / data.test.len().max(1) as f64
}

/// Lays the flags that every run has over the settings.
pub(super) fn lay_run(document: &mut DocumentMut, arguments: &RunArguments) -> Result<()> {
    lay(document, "models", arguments.models)?;
    lay(document, "budget_seconds", arguments.budget.map(|budget| format!("{budget:?}")))?;
    lay(document, "workers", arguments.workers)?;
    lay(document, "threads", arguments.threads)?;
    lay(document, "device", arguments.device.as_ref().map(|device| format!("{device:?}")))
}

/// Lays one value, spelled as TOML, over a key of `[search]`.
pub(super) fn lay(document: &mut DocumentMut, key: &str, value: Option<impl std::fmt::Display>) -> Result<()> {
    if let Some(value) = value {
        settings::set(document, &format!("search.{key}={value}"))?;
    }
    Ok(())
}

/// The shape of the images of `data`, and the search space for them.
pub(super) fn space_of(settings: &Settings, data: &DataSet) -> Result<(MapShape, SearchSpace)> {
    let input = map_shape(data.shape());
    let space = setup::space(settings, input, data.classes() as u32)?;
    Ok((input, space))
}
