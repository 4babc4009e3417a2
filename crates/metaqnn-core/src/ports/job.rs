//! What is trained, how far it is, and what comes of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::lossless_path;
use crate::early_stopping::StopRule;
use crate::space::Architecture;
use crate::study::{CurvePoint, Evaluation, TrialNumber};

/// Something to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Train and validate.
    Trial(TrialJob),
    /// Train as finally, but shorter, and validate.
    Candidate(CandidateJob),
    /// Train on everything and measure on the test data.
    Final(FinalJob),
}

impl Job {
    /// The trial that it belongs to.
    pub fn trial(&self) -> TrialNumber {
        match self {
            Job::Trial(job) => job.trial,
            Job::Candidate(job) => job.trial,
            Job::Final(job) => job.trial,
        }
    }

    /// What is trained.
    pub fn architecture(&self) -> &Architecture {
        match self {
            Job::Trial(job) => &job.architecture,
            Job::Candidate(job) => &job.architecture,
            Job::Final(job) => &job.architecture,
        }
    }
}

/// A network to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialJob {
    /// The trial that it belongs to.
    pub trial: TrialNumber,
    /// What to train.
    pub architecture: Architecture,
    /// Seed of initial weights, order of images, dropout and augmentation.
    pub seed: u64,
    /// What is asked after each epoch whether to stop; `None`: the training goes to its end.
    pub stop: Option<StopRule>,
    /// Seconds after which the training ends at the latest, where the search has a budget; the learning rate schedule then hurries to its end.
    #[serde(default)]
    pub time_limit_seconds: Option<f64>,
}

/// A candidate for the final training: trained with its settings, but shorter and on the training images alone, and
/// validated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateJob {
    /// The trial whose architecture it is.
    pub trial: TrialNumber,
    /// What to train.
    pub architecture: Architecture,
    /// Seed, as in [`TrialJob`].
    pub seed: u64,
    /// How long.
    pub length: CandidateLength,
    /// File of the state after each epoch, from which a training that was killed goes on; `None`: it begins anew.
    #[serde(with = "lossless_path::optional")]
    pub checkpoint: Option<PathBuf>,
}

/// How long a candidate is trained.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CandidateLength {
    /// So many seconds, over which the learning rate schedule is stretched.
    Seconds(f64),
    /// This share of the final training's epochs, at least one.
    ShareOfEpochs(f64),
    /// So many epochs, over which the learning rate schedule is stretched.
    Epochs(u32),
}

/// The final training of a network on training and validation data, measured once on the test data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinalJob {
    /// The trial whose architecture it is.
    pub trial: TrialNumber,
    /// What to train.
    pub architecture: Architecture,
    /// Seed, as in [`TrialJob`].
    pub seed: u64,
    /// Seconds to train for; the learning rate schedule is stretched over them. `None`: the epochs of the settings.
    pub time_limit_seconds: Option<f64>,
    /// Epochs to train for, over which the learning rate schedule is stretched; `None`: those of the settings. A time limit goes before.
    pub epochs: Option<u32>,
    /// What the same network showed as a candidate, see [`CandidateEvaluation`]; asked where nothing is known of the data.
    pub mirror_is_safe: Option<bool>,
    /// Whether the same network recognized turned images, likewise.
    #[serde(default)]
    pub turning_is_safe: Option<bool>,
    /// File of the state after each epoch, as in [`CandidateJob`].
    #[serde(with = "lossless_path::optional")]
    pub checkpoint: Option<PathBuf>,
}

/// What is known of a training while it runs.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum TrainingProgress {
    /// Some steps were done; sent a few times a second at most.
    Step {
        /// Share of the training that is over, in [0, 1].
        progress: f64,
        /// Running mean of the training loss.
        train_loss: f64,
    },
    /// An epoch ended.
    Epoch {
        /// The new point of the curve; in the final training the validation accuracy is not measured and is NaN-free 0.
        point: CurvePoint,
    },
    /// No better than chance: begun again with a smaller learning rate.
    Restart {
        /// Number of the new try, from 2.
        attempt: u32,
        /// Its learning rate.
        learning_rate: f64,
    },
}

/// What the training of a candidate gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateEvaluation {
    /// What came of it; a network that did not learn is a failure in it.
    pub evaluation: Evaluation,
    /// Whether mirrored validation images are recognized as well, by [`mirror_is_safe`](crate::study::mirror_is_safe); `None` where that is
    /// known of the data, the settings do not ask for what fits the data, or the network did not learn.
    pub mirror_is_safe: Option<bool>,
    /// The same of validation images turned by 90 degrees, or by 180 where they are not square.
    #[serde(default)]
    pub turning_is_safe: Option<bool>,
    /// Class probabilities of the validation images after the last step, images × classes; empty where it did not learn.
    #[serde(skip)]
    pub probabilities: Vec<f32>,
}

/// Why a job of the final phase has no result, though its network may be a good one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum JobError {
    /// This network gives none; others may. For example the loss was not finite, or the memory of the device did not suffice.
    #[error("{0}")]
    Network(String),
    /// Nothing can be kept here, a full disk for example: every other job would end the same way.
    #[error("{0}")]
    Storage(String),
}

/// What a final training gives.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinalEvaluation {
    /// Share of the test images classified right.
    pub test_accuracy: f64,
    /// The mean of that share over the classes.
    pub test_balanced_accuracy: f64,
    /// Number of test images.
    pub test_images: u64,
    /// Training loss of each epoch, from the first.
    pub train_losses: Vec<f64>,
    /// Epochs, whole and begun, that were trained.
    pub epochs: u32,
    /// Wall time of the training in seconds.
    pub train_seconds: f64,
    /// The weights in safetensors format, named as [`Graph`](crate::graph::Graph) names its nodes.
    #[serde(skip)]
    pub weights: Vec<u8>,
}
