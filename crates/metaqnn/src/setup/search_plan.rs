//! What a search settles before it begins, tried out on this machine and its data.

use std::sync::Arc;

use anyhow::{Context, Result};
use metaqnn_core::graph::MapShape;
use metaqnn_core::ports::{CandidateJob, CandidateLength, Clock, Evaluator};
use metaqnn_core::settings::{self, Settings};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::TrialNumber;
use metaqnn_data::{DataSet, ImageSize};
use metaqnn_run::{Assignment, Images, SearchPlanning, SystemClock, suit_few_images};
use metaqnn_train::{NetworkEvaluator, map_shape};
use toml_edit::DocumentMut;

use super::arguments::SettingsArguments;
use super::cpu_speed;
use super::settings::checked;
use super::workers::all_threads;
use crate::show::RunDisplay;

/// Lays over the settings what few own images need, but for what was `asked` for.
pub(crate) fn lay_for_few_images(
    document: &mut DocumentMut,
    data: &DataSet,
    asked: &SettingsArguments,
) -> Result<Settings> {
    let settings = checked(document)?;
    lay(document, suit_few_images(&settings, &images(data), &|key| is_asked(asked, key)))
}

/// Settles the size of the images, which may be made smaller where `smaller` reads them so, and how the time of a search that began with `clock` is
/// divided; gives the settings with that, and the data.
pub(crate) fn settle(
    document: &mut DocumentMut,
    settings: &Settings,
    data: DataSet,
    clock: &SystemClock,
    asked: &SettingsArguments,
    smaller: Option<&dyn Fn(ImageSize) -> Result<DataSet>>,
) -> Result<(Settings, DataSet)> {
    let reading_seconds = clock.now().as_secs_f64();
    let planning = SearchPlanning {
        clock,
        begin: std::time::Duration::ZERO,
        reading_seconds,
        threads: all_threads(settings),
        slowness: cpu_speed::slowness(&settings.final_phase.training, settings.search.budget_seconds)?,
    };
    let data = match smaller {
        Some(smaller) => shrunk(&planning, settings, Arc::new(data), smaller)?,
        None => data,
    };
    let mut display = RunDisplay::before_a_study();
    let divided = planning.divide(settings, &images(&data), &|key| is_asked(asked, key), &mut display)?;
    Ok((lay(document, divided)?, data))
}

/// The data with smaller images where those are learned better, or where there is no time for larger ones.
fn shrunk(
    planning: &SearchPlanning<'_>,
    settings: &Settings,
    data: Arc<DataSet>,
    smaller: &dyn Fn(ImageSize) -> Result<DataSet>,
) -> Result<DataSet> {
    let (images, mut display) = (images(&data), RunDisplay::before_a_study());
    let size = |shape: MapShape| ImageSize::new(shape.height as usize, shape.width as usize);
    let mut accuracy = |shape: MapShape, architecture: &Architecture, seconds: f64| {
        let data = if shape == images.shape { data.clone() } else { Arc::new(smaller(size(shape)?)?) };
        Ok(accuracy_after(seconds, settings, data, architecture)?)
    };
    let by_trial = planning.shape_by_trial(settings, &images, &mut accuracy, &mut display)?;
    let shape = match by_trial {
        Some(shape) => Some(shape),
        None => planning.smaller_shape(settings, &images, &mut display)?,
    };
    match shape {
        Some(shape) => smaller(size(shape)?),
        None => Ok(Arc::unwrap_or_clone(data)),
    }
}

/// The validation accuracy of a network after so many seconds of training on all threads.
fn accuracy_after(seconds: f64, settings: &Settings, data: Arc<DataSet>, architecture: &Architecture) -> Result<f64> {
    let (search, last) = (settings.training.clone(), settings.final_phase.training.clone());
    let mut evaluator = NetworkEvaluator::new("cpu", data, search, last)?;
    let length = CandidateLength::Seconds(seconds);
    let (trial, seed) = (TrialNumber(1), settings.search.seed);
    let job = CandidateJob { trial, architecture: architecture.clone(), seed, length, checkpoint: None };
    let threads = rayon::ThreadPoolBuilder::new().num_threads(all_threads(settings) as usize);
    let threads = threads.build().context("threads cannot be started")?;
    let evaluation = threads.install(|| evaluator.evaluate_candidate(&job, &mut |_| {}))?.evaluation;
    Ok(evaluation.outcome.valid_accuracy().map_or(0.0, |accuracy| accuracy.value()))
}

fn images(data: &DataSet) -> Images {
    Images {
        train: data.train.len(),
        valid: data.valid.len(),
        shape: map_shape(data.shape()),
        classes: data.classes() as u32,
        are_own: data.source.is_none(),
    }
}

/// Lays assignments over the settings; gives them as they are then.
fn lay(document: &mut DocumentMut, assignments: Vec<Assignment>) -> Result<Settings> {
    for (key, value) in assignments {
        settings::set(document, &format!("{key}={value}"))?;
    }
    checked(document)
}

/// Whether one of the arguments may have set `key`.
fn is_asked(asked: &SettingsArguments, key: &str) -> bool {
    asked.config.is_some() || asked.set.iter().any(|assignment| assignment.trim_start().starts_with(key))
}
