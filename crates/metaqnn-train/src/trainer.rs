//! Training a network from its first weights to its last epoch (spec 3).

mod attempt;
mod image_part;
mod loss_meter;

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use metaqnn_core::early_stopping::{LearningCurve, NetworkFeatures, StopReason, StopRule};
use metaqnn_core::graph::Graph;
use metaqnn_core::ports::TrainingProgress;
use metaqnn_core::settings::TrainingSettings;
use metaqnn_core::study::{Accuracy, CurvePoint, Evaluation, Failure, Outcome};
use metaqnn_data::{Augmentation, LabelledImages, Normalizer};

use self::attempt::{Attempt, AttemptEnd, Clock, History};
pub(crate) use self::image_part::fixed_part;
use crate::checkpoint::{Checkpoint, CheckpointError, identity};
use crate::device::ComputeDevice;
use crate::learner::Learner;
use crate::predictions::Predictions;
use crate::weights::WeightsError;

/// What to train, on what, and for how long.
#[derive(Clone, Debug)]
pub struct TrainingTask<'a> {
    /// The network's operations.
    pub graph: &'a Graph,
    /// How to train it. Which images are used is not read from here but is what `train` and `valid` hold.
    pub settings: &'a TrainingSettings,
    /// Images to learn from.
    pub train: &'a LabelledImages,
    /// Images to validate on after every epoch; `None` in the final training, where nothing is held out.
    pub valid: Option<&'a LabelledImages>,
    /// What is done to pixels.
    pub normalizer: &'a Normalizer,
    /// Random changes to training images.
    pub augmentation: Option<Augmentation>,
    /// Seed of initial weights, order of images, dropout and augmentation.
    pub seed: u64,
    /// When to stop early.
    pub stop: Option<EarlyStop<'a>>,
    /// How long to train, all tries together. `None`: the epochs of the settings.
    pub time_limit: Option<TimeLimit>,
    /// So many epochs instead of those of the settings; the learning rate schedule is stretched over them. A time limit goes before.
    pub epochs: Option<u32>,
    /// The file in which the state after each epoch is kept, and from which a training that was killed goes on; of use on the CPU
    /// alone.
    pub checkpoint: Option<&'a Path>,
    /// Where.
    pub device: &'a ComputeDevice,
}

/// How long to train; the first two differ for a training that goes on after a kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// In all, before and after the kill, so that it makes no difference; the learning rate schedule is stretched over it.
    InAll(Duration),
    /// From now on, so that it is over in time; the schedule is stretched over it.
    FromNow(Duration),
    /// The epochs of the task, but no longer than this from now on: where time gets short the schedule hurries, so that it comes to its
    /// end even so.
    AtMost(Duration),
}

/// When a training is stopped before its end.
#[derive(Clone, Copy, Debug)]
pub struct EarlyStop<'a> {
    /// Asked after each epoch but the last.
    pub rule: &'a StopRule,
    /// What the rule knows of the network; the learning rate is that of the try.
    pub network: NetworkFeatures,
}

impl EarlyStop<'_> {
    /// Why the training with `curve` is to be stopped after its last epoch; `None` where it is to go on.
    fn decide(&self, learning_rate: f64, curve: &[CurvePoint]) -> Option<StopReason> {
        let network = NetworkFeatures { learning_rate: Some(learning_rate), ..self.network };
        let curve = LearningCurve::of(network, curve);
        self.rule.decide(&curve, curve.epochs())
    }
}

/// How a training ended.
#[derive(Clone, Debug, PartialEq)]
pub enum TrainingEnd {
    /// After its last epoch.
    Complete,
    /// By the rule of [`TrainingTask::stop`].
    Stopped {
        /// What the rule saw.
        reason: StopReason,
    },
    /// Without a network that learned.
    Failed(Failure),
}

/// Why a training came to no end.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// Weights cannot be handed to the device or taken from it.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The state between two epochs could not be kept.
    #[error(transparent)]
    Checkpoint(#[from] CheckpointError),
}

/// A training that is over.
#[derive(Debug)]
pub struct Training {
    /// The network of the last try, after its last step.
    pub learner: Learner,
    /// How it ended.
    pub end: TrainingEnd,
    /// Best validation accuracy over the epochs of the last try; `None` where nothing was validated.
    pub best_valid_accuracy: Option<Accuracy>,
    /// Class probabilities of the validation images after the last step; `None` where nothing was validated.
    pub valid_predictions: Option<Predictions>,
    /// The learning curve of the last try; where nothing was validated its accuracies are 0.
    pub curve: Vec<CurvePoint>,
    /// Epochs over all tries, whole and begun.
    pub epochs: u32,
    /// Tries made.
    pub tries: u32,
    /// Wall time; of a training that went on from a checkpoint, without what was lost.
    pub elapsed: Duration,
}

impl Training {
    /// What a study is told.
    pub fn to_evaluation(&self) -> Evaluation {
        let valid_accuracy = self.best_valid_accuracy.unwrap_or(Accuracy::of(0, 0));
        let outcome = match &self.end {
            TrainingEnd::Complete => Outcome::Complete { valid_accuracy },
            TrainingEnd::Stopped { reason } => Outcome::Pruned { valid_accuracy, reason: (*reason).into() },
            TrainingEnd::Failed(failure) => Outcome::Failed { failure: failure.clone() },
        };
        Evaluation {
            outcome,
            curve: self.curve.clone(),
            epochs: self.epochs,
            tries: self.tries,
            train_seconds: self.elapsed.as_secs_f64(),
        }
    }
}

/// Where nothing is held out, the restart rule looks at so many of the training images.
const RESTART_IMAGES: usize = 2_000;

/// Trains as `task` says, calling `report` as it goes on.
///
/// The restart rule (spec 3): after one epoch or `min_steps` steps, whichever is more, a network whose validation
/// accuracies are all at or below the threshold is begun again, with fresh weights and a smaller learning rate. A loss
/// that is not finite until then is the end of a try as well; later it is the end of the training. Where the settings say so, a
/// try ends already after its first `loss_steps` steps if its training loss is then that of guessing.
///
/// The same task gives the same training, bit for bit, on one thread of the same CPU, unless it has a time limit.
///
/// # Errors
///
/// [`TrainError`] where weights cannot be handed to the device, or the state after an epoch cannot be kept.
pub fn train(task: &TrainingTask<'_>, report: &mut dyn FnMut(TrainingProgress)) -> Result<Training, TrainError> {
    let identity = task.identity();
    let kept = match (task.checkpoint, task.device) {
        (Some(path), ComputeDevice::Cpu) => Checkpoint::load(path, identity),
        _ => None,
    };
    let watched = match task.valid {
        Some(valid) => Cow::Borrowed(valid),
        None => fixed_part(task.train, task.graph.classes() as usize, RESTART_IMAGES),
    };
    let tries = task.settings.restart.tries.max(1);
    let mut history = History { identity, clock: Clock::new(task.time_limit), epochs: 0, best: 0.0 };
    let mut attempt = 0;
    let mut resumed = None;
    if let Some(kept) = kept {
        let clock = Clock::going_on(task.time_limit, kept.elapsed);
        let before = History { identity, clock, epochs: kept.epochs_before, best: kept.best_before };
        if let Some(goes_on) = Attempt::resumed(task, kept, &watched)? {
            (history, attempt, resumed) = (before, goes_on.number, Some(goes_on));
        }
    }
    loop {
        if attempt > 0 && resumed.is_none() {
            let learning_rate = task.settings.learning_rate_of_try(attempt);
            report(TrainingProgress::Restart { attempt: attempt + 1, learning_rate });
        }
        let mut this_try = match resumed.take() {
            Some(resumed) => resumed,
            None => Attempt::new(task, attempt, &watched, history.clock.elapsed()),
        };
        let end = this_try.run(&history, report)?;
        history.epochs += this_try.epochs;
        history.best = history.best.max(this_try.best_seen);
        attempt += 1;
        let another = attempt < tries && !history.clock.is_over();
        let end = match end {
            AttemptEnd::NoBetterThanChance
            | AttemptEnd::LossOfGuessing { .. }
            | AttemptEnd::NotFinite { early: true, .. }
                if another =>
            {
                continue;
            }
            AttemptEnd::NoBetterThanChance => {
                TrainingEnd::Failed(Failure::FailedToLearn { valid_accuracy: history.best, tries: attempt })
            }
            AttemptEnd::LossOfGuessing { loss, guessing } => {
                let steps = task.settings.restart.loss_steps;
                TrainingEnd::Failed(Failure::LossOfGuessing { loss, guessing, steps, tries: attempt })
            }
            AttemptEnd::NotFinite { epoch, .. } => TrainingEnd::Failed(Failure::LossNotFinite { epoch }),
            AttemptEnd::Complete => TrainingEnd::Complete,
            AttemptEnd::Stopped { reason } => TrainingEnd::Stopped { reason },
        };
        return Ok(Training {
            learner: this_try.learner,
            end,
            best_valid_accuracy: task.valid.and_then(|_| Accuracy::new(this_try.best).ok()),
            valid_predictions: this_try.predictions.filter(|_| task.valid.is_some()),
            curve: this_try.curve,
            epochs: history.epochs,
            tries: attempt,
            elapsed: history.clock.elapsed(),
        });
    }
}

impl TrainingTask<'_> {
    /// Epochs that the training has without a time limit.
    fn epochs(&self, steps_in_epoch: usize) -> u32 {
        self.epochs.map_or_else(|| self.settings.epochs_of(steps_in_epoch), |epochs| epochs.max(1))
    }

    /// Hash of all that decides how the training goes.
    fn identity(&self) -> u64 {
        let images = |images: &LabelledImages| (images.len(), images.shape);
        identity(&format!(
            "{:?} {:?} {:?} {:?} {:?} {} {:?} {:?} {} {}",
            self.graph,
            self.settings,
            images(self.train),
            self.valid.map(images),
            self.augmentation,
            self.seed,
            self.stop,
            self.epochs,
            matches!(self.time_limit, Some(TimeLimit::InAll(_) | TimeLimit::FromNow(_))),
            env!("CARGO_PKG_VERSION"),
        ))
    }
}
