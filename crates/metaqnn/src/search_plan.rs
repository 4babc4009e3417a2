//! What a search settles before it begins, from the data, the budget and the speed of this machine: the size of own images, how its time is
//! divided, and how large networks may be.

use std::sync::Arc;
use std::time::Instant;

use anyhow::Result;
use metaqnn_core::graph::MapShape;
use metaqnn_core::ports::{CandidateJob, CandidateLength, Evaluator};
use metaqnn_core::settings::{self, Settings};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{BudgetPlan, Means, TrialNumber, fast_training_microseconds, fastest_known, images_seen};
use metaqnn_data::{DataSet, ImageSize};
use metaqnn_train::{NetworkEvaluator, map_shape};
use toml_edit::DocumentMut;

use crate::arguments::SettingsArguments;
use crate::workers::all_threads;
use crate::{cpu_speed, display, setup};

/// Of fewer own images a trial trains on changed ones as well, else it tells which network learns them by heart.
const FEW_IMAGES: usize = 5_000;

/// Longer sides of the images to which own images are made smaller where there is no time for larger ones, best first.
const SMALLER_SIDES: [usize; 3] = [48, 32, 24];

/// Of fewer own images a smaller copy of each is tried as well.
const FEW_TO_COMPARE: usize = 2_000;

/// The longer side of the smaller copies.
const SMALL_SIDE: usize = 32;

/// Share of the budget for the training on each size; where that is less than so many seconds, it tells nothing.
const SHARE_TO_COMPARE: f64 = 0.05;
const LEAST_TO_COMPARE: f64 = 1.5;

/// Passes, of those that are needed, with which a size is still taken.
const ENOUGH: f64 = 0.6;

/// Smaller batches for few images: more steps, whose noise keeps a network from learning the images by heart (docs/own-images.md).
const SMALL_BATCHES: [(&str, &str); 4] = [
    ("training.batch_size", "32"),
    ("training.learning_rate", "0.003"),
    ("final.training.batch_size", "32"),
    ("final.training.learning_rate", "0.003"),
];

/// Lays over the settings what few own images need, but for what was `asked` for: trials change them at random as the final training
/// does, and batches are smaller.
pub(crate) fn suit_few_images(document: &mut DocumentMut, data: &DataSet, asked: &SettingsArguments) -> Result<()> {
    let settings = setup::checked(document)?;
    let is_suited = settings.limits.final_epochs > 0;
    if data.source.is_some() || data.train.len() >= FEW_IMAGES || !is_suited {
        return Ok(());
    }
    for (key, value) in [("training.augmentation", "auto")].into_iter().chain(SMALL_BATCHES) {
        if !is_asked(asked, key) {
            settings::set(document, &format!("{key}={value}"))?;
        }
    }
    Ok(())
}

/// Whether one of the arguments may have set `key`.
fn is_asked(asked: &SettingsArguments, key: &str) -> bool {
    asked.config.is_some() || asked.set.iter().any(|assignment| assignment.trim_start().starts_with(key))
}

/// Passes of the final training over the images of `data` that are needed.
fn needed_passes(settings: &Settings, data: &DataSet) -> f64 {
    let images = (data.train.len() + data.valid.len()).max(1);
    images_seen(images, settings.limits.final_epochs) / images as f64
}

/// The means that a search has for its plan.
pub(crate) struct Planning {
    begin: Instant,
    /// How long reading the data took: each worker reads them once more.
    reading_seconds: f64,
    slowness: f64,
}

impl Planning {
    /// Measures this machine. `begin` is when the search began; the data have been read since.
    pub(crate) fn new(settings: &Settings, begin: Instant) -> Result<Self> {
        let reading_seconds = begin.elapsed().as_secs_f64();
        Ok(Planning {
            begin,
            reading_seconds,
            slowness: cpu_speed::slowness(&settings.final_phase.training, settings.search.budget_seconds)?,
        })
    }

    fn plan(&self, settings: &Settings, data: &DataSet, input: MapShape) -> Result<BudgetPlan> {
        let space = setup::space(settings, input, data.classes() as u32)?;
        let least = fast_training_microseconds(&space, settings.training.network_options());
        let budget = settings.search.budget_seconds;
        let means = Means {
            images: data.train.len() + data.valid.len(),
            validated: data.valid.len(),
            seconds: budget - self.begin.elapsed().as_secs_f64() - self.reading_seconds,
            threads: all_threads(settings),
            slowness: self.slowness,
        };
        Ok(BudgetPlan::new(settings, &space, least, means))
    }

    /// A smaller size for the images of `data` where there is no time to train well on them as they are; the one with which there is, or
    /// the smallest.
    pub(crate) fn smaller_size(&self, settings: &Settings, data: &DataSet) -> Result<Option<ImageSize>> {
        let input = map_shape(data.shape());
        let needed = needed_passes(settings, data);
        let is_enough = |plan: &BudgetPlan| plan.reference_passes >= ENOUGH * needed;
        if is_enough(&self.plan(settings, data, input)?) {
            return Ok(None);
        }
        let (height, width) = (input.height as usize, input.width as usize);
        let longest = height.max(width);
        let mut smallest = None;
        for side in SMALLER_SIDES.into_iter().filter(|&side| side < longest) {
            let shrunk = |length: usize| (length * side).div_ceil(longest).max(ImageSize::LEAST);
            let size = ImageSize::new(shrunk(height), shrunk(width))?;
            smallest = Some(size);
            let input = MapShape::new(input.channels, size.height() as u32, size.width() as u32);
            if is_enough(&self.plan(settings, data, input)?) {
                break;
            }
        }
        if let Some(size) = smallest {
            eprintln!(
                "images are made {size}, since in this time networks would see larger ones too seldom; --size says otherwise"
            );
        }
        Ok(smallest)
    }

    /// The smaller size of the two that few images are looked at in, where networks do better with it: of few images, and more so of noisy ones, small
    /// copies are often learned better than large ones, and always faster. One network known to be good is trained on both for the same
    /// short time. `None` where the images stay as they are.
    pub(crate) fn size_by_trial(
        &self,
        settings: &Settings,
        data: &Arc<DataSet>,
        smaller: impl FnOnce(ImageSize) -> Result<DataSet>,
    ) -> Result<Option<ImageSize>> {
        let shape = data.shape();
        let longest = shape.height.max(shape.width);
        let seconds = SHARE_TO_COMPARE * settings.search.budget_seconds;
        if data.train.len() >= FEW_TO_COMPARE || longest <= SMALL_SIDE || seconds < LEAST_TO_COMPARE {
            return Ok(None);
        }
        let shrunk = |length: usize| (length * SMALL_SIDE).div_ceil(longest).max(ImageSize::LEAST);
        let size = ImageSize::new(shrunk(shape.height), shrunk(shape.width))?;
        let small = Arc::new(smaller(size)?);
        let Some(network) =
            [&small, data].map(|data| self.fastest_known(settings, data)).into_iter().collect::<Option<Vec<_>>>()
        else {
            return Ok(None);
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(all_threads(settings) as usize).build()?;
        let accuracy = |data: &Arc<DataSet>, architecture: &Architecture| -> Result<f64> {
            let (search, last) = (settings.training.clone(), settings.final_phase.training.clone());
            let mut evaluator = NetworkEvaluator::new("cpu", data.clone(), search, last)?;
            let length = CandidateLength::Seconds(seconds);
            let (trial, seed) = (TrialNumber(1), settings.search.seed);
            let job = CandidateJob { trial, architecture: architecture.clone(), seed, length, checkpoint: None };
            let evaluation = pool.install(|| evaluator.evaluate_candidate(&job, &mut |_| {}))?.evaluation;
            Ok(evaluation.outcome.valid_accuracy().map_or(0.0, |accuracy| accuracy.value()))
        };
        let [small_accuracy, large_accuracy] = [accuracy(&small, &network[0])?, accuracy(data, &network[1])?];
        let variance = |accuracy: f64| accuracy * (1.0 - accuracy) / data.valid.len().max(1) as f64;
        let error = (variance(small_accuracy) + variance(large_accuracy)).sqrt();
        // Where they are as good the larger ones are taken, if there is time for them.
        let has_time = self.plan(settings, data, map_shape(shape))?.reference_passes >= needed_passes(settings, data);
        let is_better = small_accuracy - large_accuracy > if has_time { error } else { -error };
        eprintln!(
            "images of {size} and {}x{}, {} each: {:.1} and {:.1} % validation accuracy, so {} are taken; --size says otherwise",
            shape.height,
            shape.width,
            display::duration(seconds),
            100.0 * small_accuracy,
            100.0 * large_accuracy,
            if is_better { "the smaller" } else { "the larger" }
        );
        Ok(is_better.then_some(size))
    }

    /// The fastest of the networks known to be good for the images of `data`.
    fn fastest_known(&self, settings: &Settings, data: &DataSet) -> Option<Architecture> {
        let space = setup::space(settings, map_shape(data.shape()), data.classes() as u32).ok()?;
        fastest_known(settings, &space).map(|(network, _)| network)
    }

    /// Lays the plan over the settings, and says what it is and where the budget is too short.
    pub(crate) fn lay_over(
        &self,
        document: &mut DocumentMut,
        settings: &Settings,
        data: &DataSet,
        asked: &SettingsArguments,
    ) -> Result<Settings> {
        let plan = self.plan(settings, data, map_shape(data.shape()))?;
        let asked_limit = settings.limits.train_microseconds;
        let limit = if is_asked(asked, "limits.train_microseconds") && asked_limit > 0 {
            plan.train_microseconds.min(asked_limit)
        } else {
            plan.train_microseconds
        };
        settings::set(document, &format!("limits.train_microseconds={limit}"))?;
        if !is_asked(asked, "final.") {
            settings::set(document, &format!("final.budget_share={:.3}", plan.final_share))?;
            settings::set(document, &format!("final.candidates={}", plan.candidates))?;
        }
        let settings = setup::checked(document)?;
        let on_this_machine = limit as f64 * self.slowness;
        eprintln!(
            "{:.0} % of the time to search, among networks that train on an image in up to {on_this_machine:.0} µs here; the rest to train the best",
            100.0 * (1.0 - settings.final_phase.budget_share)
        );
        self.warn(&settings, data, &plan);
        Ok(settings)
    }

    /// Says before the start where the time will not do.
    fn warn(&self, settings: &Settings, data: &DataSet, plan: &BudgetPlan) {
        let images = data.train.len() + data.valid.len();
        let needed = needed_passes(settings, data);
        if plan.reference_passes >= 0.5 * needed {
            return;
        }
        let budget = settings.search.budget_seconds;
        let enough = (budget * needed / plan.reference_passes.max(1e-3) / 60.0).ceil() * 60.0;
        let shape = data.shape();
        eprintln!(
            "warning: {} is short for {} of {}x{}: the final training sees each about {:.0} times, where {needed:.0} would do; give it --budget {}{}",
            display::duration(budget),
            display::count(images as u64, "image"),
            shape.height,
            shape.width,
            plan.reference_passes,
            display::budget(enough),
            if shape.height.max(shape.width) > 32 { ", or make the images smaller with --size 32" } else { "" }
        );
    }
}
