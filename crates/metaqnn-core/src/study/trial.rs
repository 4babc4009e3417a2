//! Trials and what came of them.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::early_stopping::StopReason;
use crate::settings::StoppedReward;

/// Number of a trial in its study, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub struct TrialNumber(pub u64);

impl fmt::Display for TrialNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Share of images classified right, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Accuracy(f64);

impl Accuracy {
    /// The accuracy `share`.
    ///
    /// # Errors
    ///
    /// The value itself, where it is not in [0, 1].
    pub fn new(share: f64) -> Result<Self, f64> {
        if (0.0..=1.0).contains(&share) { Ok(Accuracy(share)) } else { Err(share) }
    }

    /// `correct` of `images`; 0 of no images.
    pub fn of(correct: usize, images: usize) -> Self {
        if images == 0 { Accuracy(0.0) } else { Accuracy(correct.min(images) as f64 / images as f64) }
    }

    /// The share.
    pub fn value(self) -> f64 {
        self.0
    }
}

/// Where a trial stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum TrialState {
    /// Asked for, not yet with a worker.
    Waiting,
    /// In training.
    Running,
    /// Trained to the end.
    Complete,
    /// Stopped early, as it would not have been among the best.
    Pruned,
    /// Ended without a network that learned.
    Failed,
}

impl fmt::Display for TrialState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            TrialState::Waiting => "waiting",
            TrialState::Running => "running",
            TrialState::Complete => "complete",
            TrialState::Pruned => "pruned",
            TrialState::Failed => "failed",
        })
    }
}

/// One point of a learning curve. `[epoch, train_loss, valid_accuracy]` in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "(u32, f64, f64)", into = "(u32, f64, f64)")]
pub struct CurvePoint {
    /// Epochs done, from 1.
    pub epoch: u32,
    /// Mean training loss (cross-entropy, nats) over the epoch.
    pub train_loss: f64,
    /// Validation accuracy after the epoch.
    pub valid_accuracy: f64,
}

impl From<(u32, f64, f64)> for CurvePoint {
    fn from((epoch, train_loss, valid_accuracy): (u32, f64, f64)) -> Self {
        CurvePoint { epoch, train_loss, valid_accuracy }
    }
}

impl From<CurvePoint> for (u32, f64, f64) {
    fn from(point: CurvePoint) -> Self {
        (point.epoch, point.train_loss, point.valid_accuracy)
    }
}

fn tries_in_words(tries: u32) -> String {
    format!("{tries} {}", if tries == 1 { "try" } else { "tries" })
}

/// Why a trial failed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Failure {
    /// No try got the validation accuracy above chance.
    #[error("failed to learn: validation accuracy {valid_accuracy:.4} is no better than chance after {}", tries_in_words(*.tries))]
    FailedToLearn {
        /// The best validation accuracy of all tries.
        valid_accuracy: f64,
        /// Tries made.
        tries: u32,
    },
    /// The training loss of the first steps of the last try was still that of guessing.
    #[error(
        "failed to learn: training loss {loss:.4} after {steps} steps is that of guessing, {guessing:.4}, after {}", tries_in_words(*.tries)
    )]
    LossOfGuessing {
        /// Mean training loss of the second half of the steps, in nats.
        loss: f64,
        /// Loss of the best guess that knows nothing of the images, in nats.
        guessing: f64,
        /// Steps of each try.
        steps: u32,
        /// Tries made.
        tries: u32,
    },
    /// The loss became infinite or not a number.
    #[error("the training loss was not finite in epoch {epoch}")]
    LossNotFinite {
        /// The epoch, from 1.
        epoch: u32,
    },
    /// A limit of the settings would be passed; found from the graph, nothing was trained.
    #[error("over the limit: {predicted} {what}, {limit} allowed")]
    OverLimit {
        /// What is limited: `parameters`, `bytes of memory`, `FLOPs an image`.
        what: String,
        /// The prediction.
        predicted: u64,
        /// The limit.
        limit: u64,
    },
    /// The worker process died, each time it was tried.
    #[error("the worker died {attempts} times: {how}")]
    WorkerDied {
        /// Times that the trial was begun.
        attempts: u32,
        /// How it ended the last time.
        how: String,
    },
    /// The worker refused or could not train, for example for lack of memory on the device.
    #[error("the worker reported: {message}")]
    Worker {
        /// What it said.
        message: String,
    },
}

/// Why a trial was stopped early.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum PruneReason {
    /// What the rule saw.
    Rule(StopReason),
    /// In words alone, as older studies have it.
    Words(String),
}

impl PruneReason {
    /// The predicted final accuracy; `None` where none was predicted.
    pub fn predicted(&self) -> Option<Accuracy> {
        match self {
            PruneReason::Rule(reason) => reason.predicted().and_then(|share| Accuracy::new(share).ok()),
            PruneReason::Words(_) => None,
        }
    }
}

impl fmt::Display for PruneReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PruneReason::Rule(reason) => reason.fmt(f),
            PruneReason::Words(words) => write!(f, "stopped: {words}"),
        }
    }
}

impl From<StopReason> for PruneReason {
    fn from(reason: StopReason) -> Self {
        PruneReason::Rule(reason)
    }
}

/// What came of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Outcome {
    /// Trained to the end.
    Complete {
        /// Best validation accuracy over the epochs.
        valid_accuracy: Accuracy,
    },
    /// Stopped early.
    Pruned {
        /// Best validation accuracy until then.
        valid_accuracy: Accuracy,
        /// Why.
        reason: PruneReason,
    },
    /// Failed.
    Failed {
        /// Why.
        failure: Failure,
    },
}

impl Outcome {
    /// The state of a trial with this outcome.
    pub fn state(&self) -> TrialState {
        match self {
            Outcome::Complete { .. } => TrialState::Complete,
            Outcome::Pruned { .. } => TrialState::Pruned,
            Outcome::Failed { .. } => TrialState::Failed,
        }
    }

    /// Validation accuracy of a network that learned.
    pub fn valid_accuracy(&self) -> Option<Accuracy> {
        match self {
            Outcome::Complete { valid_accuracy } | Outcome::Pruned { valid_accuracy, .. } => Some(*valid_accuracy),
            Outcome::Failed { .. } => None,
        }
    }

    /// The reward: validation accuracy, of a trial that was stopped `of_stopped`, 1/classes after a failure, `None` where the agent is
    /// not told (the worker died).
    pub fn reward(&self, classes: u32, of_stopped: StoppedReward) -> Option<f64> {
        match self {
            Outcome::Complete { valid_accuracy } => Some(valid_accuracy.value()),
            Outcome::Pruned { valid_accuracy, reason } => {
                let predicted = reason.predicted().filter(|_| of_stopped == StoppedReward::Predicted);
                Some(predicted.unwrap_or(*valid_accuracy).value())
            }
            Outcome::Failed { failure: Failure::WorkerDied { .. } | Failure::Worker { .. } } => None,
            Outcome::Failed { .. } => Some(1.0 / f64::from(classes)),
        }
    }

    /// Whether the trial counts towards the models asked for and the ε schedule: it was trained, or its worker died
    /// on it. Networks over a limit do not.
    pub fn counts_as_model(&self) -> bool {
        !matches!(self, Outcome::Failed { failure: Failure::OverLimit { .. } })
    }
}

/// What a worker reports of a trial.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// What came of it.
    pub outcome: Outcome,
    /// The learning curve of the last try.
    pub curve: Vec<CurvePoint>,
    /// Epochs trained over all tries.
    pub epochs: u32,
    /// Tries made, 1 where the first one learned.
    pub tries: u32,
    /// Wall time of the training in seconds.
    pub train_seconds: f64,
}

impl Evaluation {
    /// A failure before anything was trained.
    pub fn failed(failure: Failure) -> Self {
        Evaluation { outcome: Outcome::Failed { failure }, curve: Vec::new(), epochs: 0, tries: 0, train_seconds: 0.0 }
    }
}
