//! What a search settles before it begins, from the data, the budget and the speed of the machine: the size of own images, how its time is
//! divided, and how large networks may be.

use std::error::Error;
use std::time::Duration;

use metaqnn_core::graph::MapShape;
use metaqnn_core::ports::Clock;
use metaqnn_core::settings::Settings;
use metaqnn_core::space::{Architecture, SearchSpace};
use metaqnn_core::study::{BudgetPlan, Means, fast_training_microseconds, fastest_known, images_seen};

use crate::error::RunError;
use crate::observer::{Notice, Observer};
use crate::run_clock::seconds_since;

/// Of fewer own images a trial trains on changed ones as well, else it tells which network learns them by heart.
const FEW_IMAGES: usize = 5_000;

/// Longer sides of the images to which own images are made smaller where there is no time for larger ones, best first.
const SMALLER_SIDES: [u32; 3] = [48, 32, 24];

/// No side is made smaller than this.
const LEAST_SIDE: u32 = 8;

/// Of fewer own images a smaller copy of each is tried as well.
const FEW_TO_COMPARE: usize = 2_000;

/// The longer side of the smaller copies.
const SMALL_SIDE: u32 = 32;

/// Share of the budget for the training on each size; where that is less than so many seconds, it tells nothing.
const SHARE_TO_COMPARE: f64 = 0.05;
const LEAST_TO_COMPARE: f64 = 1.5;

/// Passes, of those that are needed, with which a size is still taken, and below which there is a warning.
const ENOUGH: f64 = 0.6;
const SHORT: f64 = 0.5;

/// Smaller batches for few images: more steps, whose noise keeps a network from learning the images by heart (docs/own-images.md).
const SMALL_BATCHES: [(&str, &str); 4] = [
    ("training.batch_size", "32"),
    ("training.learning_rate", "0.006"),
    ("final.training.batch_size", "32"),
    ("final.training.learning_rate", "0.006"),
];

/// A key of the settings and the value that it is to have, spelled as TOML.
pub type Assignment = (&'static str, String);

/// Trains a network on images of a shape for so many seconds, and gives its validation accuracy.
pub type TryOut<'a> = dyn FnMut(MapShape, &Architecture, f64) -> Result<f64, Box<dyn Error + Send + Sync>> + 'a;

/// What is known of the images of a search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Images {
    /// To train on.
    pub train: usize,
    /// To validate on.
    pub valid: usize,
    /// Their shape.
    pub shape: MapShape,
    /// Their classes.
    pub classes: u32,
    /// Whether they are a user's own, not those of a known data set.
    pub are_own: bool,
}

impl Images {
    /// All that the final training trains on.
    fn all(&self) -> usize {
        self.train + self.valid
    }

    /// The same in another shape.
    fn shaped(self, shape: MapShape) -> Self {
        Images { shape, ..self }
    }
}

/// The search space of `settings` for images of this shape.
///
/// # Errors
///
/// [`RunError::Space`] with all that is wrong with it.
pub fn search_space(settings: &Settings, input: MapShape, classes: u32) -> Result<SearchSpace, RunError> {
    SearchSpace::new(settings.space.clone(), input, classes).map_err(|violations| {
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        RunError::Space(lines.join("\n"))
    })
}

/// What few own images need, but for what `is_asked` for: trials change them at random as the final training does, and batches are smaller.
pub fn suit_few_images(settings: &Settings, images: &Images, is_asked: &dyn Fn(&str) -> bool) -> Vec<Assignment> {
    if !images.are_own || images.train >= FEW_IMAGES || settings.limits.final_epochs == 0 {
        return Vec::new();
    }
    let all = [("training.augmentation", "auto")].into_iter().chain(SMALL_BATCHES);
    all.filter(|(key, _)| !is_asked(key)).map(|(key, value)| (key, value.to_owned())).collect()
}

/// Passes of the final training over `images` that are needed.
fn needed_passes(settings: &Settings, images: &Images) -> f64 {
    let all = images.all().max(1);
    images_seen(all, settings.limits.final_epochs) / all as f64
}

/// The size of images of this shape whose longer side is made `side` pixels.
fn shrunk(shape: MapShape, side: u32) -> MapShape {
    let longest = shape.height.max(shape.width);
    let shrunk = |length: u32| (length * side).div_ceil(longest).max(LEAST_SIDE);
    MapShape::new(shape.channels, shrunk(shape.height), shrunk(shape.width))
}

/// The means that a search has for its plan.
pub struct SearchPlanning<'a> {
    /// What time it is.
    pub clock: &'a dyn Clock,
    /// When the search began, by that clock.
    pub begin: Duration,
    /// How long reading the data took: each worker reads them once more.
    pub reading_seconds: f64,
    /// Threads of all workers together.
    pub threads: u32,
    /// Measured over estimated time of a training on this machine.
    pub slowness: f64,
}

impl SearchPlanning<'_> {
    fn plan(&self, settings: &Settings, images: &Images) -> Result<BudgetPlan, RunError> {
        let space = search_space(settings, images.shape, images.classes)?;
        let least = fast_training_microseconds(&space, settings.training.network_options());
        let budget = settings.search.budget_seconds;
        let means = Means {
            images: images.all(),
            validated: images.valid,
            seconds: budget - seconds_since(self.clock, self.begin) - self.reading_seconds,
            threads: self.threads,
            slowness: self.slowness,
        };
        Ok(BudgetPlan::new(settings, &space, least, means))
    }

    /// A smaller shape for `images` where there is no time to train well on them as they are; the one with which there is, or
    /// the smallest.
    ///
    /// # Errors
    ///
    /// Where the space is none for them.
    pub fn smaller_shape(
        &self,
        settings: &Settings,
        images: &Images,
        observer: &mut dyn Observer,
    ) -> Result<Option<MapShape>, RunError> {
        let needed = needed_passes(settings, images);
        let is_enough = |plan: &BudgetPlan| plan.reference_passes >= ENOUGH * needed;
        if is_enough(&self.plan(settings, images)?) {
            return Ok(None);
        }
        let longest = images.shape.height.max(images.shape.width);
        let mut smallest = None;
        for side in SMALLER_SIDES.into_iter().filter(|&side| side < longest) {
            let shape = shrunk(images.shape, side);
            smallest = Some(shape);
            if is_enough(&self.plan(settings, &images.shaped(shape))?) {
                break;
            }
        }
        if let Some(shape) = smallest {
            observer.notice(Notice::ImagesAreMadeSmaller(shape));
        }
        Ok(smallest)
    }

    /// The smaller shape of the two that few images are looked at in, where networks do better with it: of few images, and more so of noisy ones, small
    /// copies are often learned better than large ones, and always faster. `accuracy` trains one network known to be good on images of a shape,
    /// for as many seconds on both. `None` where the images stay as they are.
    ///
    /// # Errors
    ///
    /// Where the space is none for them, and those of `accuracy`.
    pub fn shape_by_trial(
        &self,
        settings: &Settings,
        images: &Images,
        accuracy: &mut TryOut<'_>,
        observer: &mut dyn Observer,
    ) -> Result<Option<MapShape>, RunError> {
        let longest = images.shape.height.max(images.shape.width);
        let seconds = SHARE_TO_COMPARE * settings.search.budget_seconds;
        if images.train >= FEW_TO_COMPARE || longest <= SMALL_SIDE || seconds < LEAST_TO_COMPARE {
            return Ok(None);
        }
        let shapes = [shrunk(images.shape, SMALL_SIDE), images.shape];
        let known = |shape| {
            let space = search_space(settings, shape, images.classes).ok()?;
            fastest_known(settings, &space).map(|(network, _)| network)
        };
        let [Some(of_small), Some(of_large)] = shapes.map(known) else { return Ok(None) };
        let accuracies = [
            accuracy(shapes[0], &of_small, seconds).map_err(RunError::Executor)?,
            accuracy(shapes[1], &of_large, seconds).map_err(RunError::Executor)?,
        ];
        let variance = |accuracy: f64| accuracy * (1.0 - accuracy) / images.valid.max(1) as f64;
        let error = (variance(accuracies[0]) + variance(accuracies[1])).sqrt();
        // Where they are as good the larger ones are taken, if there is time for them.
        let has_time = self.plan(settings, images)?.reference_passes >= needed_passes(settings, images);
        let smaller_is_taken = accuracies[0] - accuracies[1] > if has_time { error } else { -error };
        observer.notice(Notice::ShapesAreCompared { shapes, seconds, accuracies, smaller_is_taken });
        Ok(smaller_is_taken.then_some(shapes[0]))
    }

    /// How the time is divided and how large networks may be, but for what `is_asked` for. Says what the plan is and where the budget is too
    /// short.
    ///
    /// # Errors
    ///
    /// Where the space is none for them.
    pub fn divide(
        &self,
        settings: &Settings,
        images: &Images,
        is_asked: &dyn Fn(&str) -> bool,
        observer: &mut dyn Observer,
    ) -> Result<Vec<Assignment>, RunError> {
        let plan = self.plan(settings, images)?;
        let asked_limit = settings.limits.train_microseconds;
        let limit = if is_asked("limits.train_microseconds") && asked_limit > 0 {
            plan.train_microseconds.min(asked_limit)
        } else {
            plan.train_microseconds
        };
        let mut assignments = vec![("limits.train_microseconds", limit.to_string())];
        let mut final_share = settings.final_phase.budget_share;
        if !is_asked("final.") {
            let share = format!("{:.3}", plan.final_share);
            final_share = share.parse().unwrap_or(plan.final_share);
            assignments.push(("final.budget_share", share));
            assignments.push(("final.candidates", plan.candidates.to_string()));
        }
        observer.notice(Notice::TimeIsDivided {
            search_share: 1.0 - final_share,
            microseconds: limit as f64 * self.slowness,
        });
        let needed = needed_passes(settings, images);
        let passes = plan.reference_passes;
        if passes < SHORT * needed {
            let budget_seconds = settings.search.budget_seconds;
            let enough_seconds = (budget_seconds * needed / passes.max(1e-3) / 60.0).ceil() * 60.0;
            let (shape, images) = (images.shape, images.all());
            observer.notice(Notice::TimeIsShort { budget_seconds, images, shape, passes, needed, enough_seconds });
        }
        Ok(assignments)
    }
}
