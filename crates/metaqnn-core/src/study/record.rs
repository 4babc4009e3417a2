//! What is stored of a study: who wrote it, and every event in order.

use serde::{Deserialize, Serialize};

use super::trial::{Evaluation, TrialNumber};
use crate::graph::MapShape;
use crate::ports::{CandidateEvaluation, FinalEvaluation};
use crate::space::Architecture;

/// What a study says of itself; written once, when it begins.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct StudyHeader {
    /// Version of the program that began it.
    pub version: String,
    /// Seconds since 1970-01-01 UTC at its beginning.
    pub created_at: u64,
    /// Every setting, as TOML.
    pub settings: String,
    /// Seed from which every generator is derived.
    pub seed: u64,
    /// The DATA argument.
    pub data: String,
    /// Fingerprint of shape, labels and pixels of the data's splits.
    pub data_fingerprint: String,
    /// Shape of the images, CHW.
    pub input: MapShape,
    /// Names of the classes, in label order.
    pub class_names: Vec<String>,
}

/// How the data of a study are read, and what each of their images is for; written once, when it begins. Studies of schema 9 and before have
/// none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DataReading {
    /// How they are read, as JSON of who reads them.
    pub reading: String,
    /// What each image is for, as bytes of who reads them; empty where that needs not be kept.
    pub image_splits: Vec<u8>,
}

/// What ends a study, raised above what its settings say by a later run. The last one stored holds.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct RaisedLimits {
    /// Unique models to train; 0 where the budget ends the search.
    pub models: u64,
    /// Seconds for all runs, final training included; 0 where the models end it.
    pub budget_seconds: f64,
}

/// One step of a trajectory as stored: state, action, reward, next state.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Transition {
    /// Text of the agent's state.
    pub state: String,
    /// Text of the action.
    pub action: String,
    /// Reward of this step: 0 until the last.
    pub reward: f64,
    /// Text of the state it leads to; empty at the end.
    pub next_state: String,
}

/// A finished trial. It never changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrialRecord {
    /// Its number, unique in the study.
    pub trial: TrialNumber,
    /// Its architecture, unique in the study.
    pub architecture: Architecture,
    /// Seed of its training.
    pub seed: u64,
    /// Trainable values, biases included.
    pub params: u64,
    /// 2 × multiply-adds, forward, for one image.
    pub flops: u64,
    /// What came of it.
    pub evaluation: Evaluation,
    /// The trajectory that spells it.
    pub transitions: Vec<Transition>,
}

/// What the agent learned of in an event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum EventKind {
    /// A trial ended.
    Trial(Box<TrialRecord>),
    /// An architecture was sampled that had been trained before.
    Repeat {
        /// The trial that trained it.
        trial: TrialNumber,
    },
}

/// An event of the log. The log holds them in the order in which the agent learned of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EventRecord {
    /// Its number, from 0 without gaps.
    pub number: u64,
    /// ε at which the architecture was sampled.
    pub epsilon: f64,
    /// What happened.
    pub kind: EventKind,
    /// Hash of the Q-table after the event, 16 hexadecimal digits.
    pub q_table_hash: String,
    /// Seconds that the study had run, over all its runs, when the event was stored.
    pub run_seconds: f64,
}

/// A candidate for the final training, trained longer than its trial was and validated.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct CandidateRecord {
    /// The trial.
    pub trial: TrialNumber,
    /// Share of the validation images classified right; `None` where the training failed.
    pub valid_accuracy: Option<f64>,
    /// Epochs trained, the last one possibly in part.
    pub epochs: u32,
    /// Seconds trained.
    pub train_seconds: f64,
    /// As in [`CandidateEvaluation`].
    pub mirror_is_safe: Option<bool>,
    /// The same of turned ones. Studies of earlier versions do not have it.
    pub turning_is_safe: Option<bool>,
    /// Class probabilities of the validation images after the last step, images × classes; empty where they were not kept.
    #[serde(skip)]
    pub probabilities: Vec<f32>,
}

impl CandidateRecord {
    /// What is kept of the evaluation of a candidate.
    pub fn new(trial: TrialNumber, result: CandidateEvaluation) -> Self {
        let CandidateEvaluation { evaluation, mirror_is_safe, turning_is_safe, probabilities } = result;
        CandidateRecord {
            trial,
            valid_accuracy: evaluation.outcome.valid_accuracy().map(|accuracy| accuracy.value()),
            epochs: evaluation.epochs,
            train_seconds: evaluation.train_seconds,
            mirror_is_safe,
            turning_is_safe,
            probabilities,
        }
    }
}

/// The final training of a trial's architecture, measured on test data, with the weights that were measured.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FinalRecord {
    /// The trial.
    pub trial: TrialNumber,
    /// Share of the test images classified right.
    pub test_accuracy: f64,
    /// The mean of that share over the classes; `None` where an earlier version measured.
    pub test_balanced_accuracy: Option<f64>,
    /// Number of test images.
    pub test_images: u64,
    /// Epochs trained, the last one possibly in part.
    pub epochs: u32,
    /// Seconds trained.
    pub train_seconds: f64,
    /// Training loss of each epoch.
    pub train_losses: Vec<f64>,
    /// The weights in safetensors format.
    #[serde(skip)]
    pub weights: Vec<u8>,
}

impl FinalRecord {
    /// What is kept of a final training of the trial's architecture.
    pub fn new(trial: TrialNumber, result: FinalEvaluation) -> Self {
        FinalRecord {
            trial,
            test_accuracy: result.test_accuracy,
            test_balanced_accuracy: Some(result.test_balanced_accuracy),
            test_images: result.test_images,
            epochs: result.epochs,
            train_seconds: result.train_seconds,
            train_losses: result.train_losses,
            weights: result.weights,
        }
    }
}

/// An ensemble of networks that were trained finally: the mean of their probabilities, measured on test data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct EnsembleRecord {
    /// The trials of its members, two or more, best validation accuracy first.
    pub members: Vec<TrialNumber>,
    /// Share of the validation images that the members classified right together, when they had been trained on the training images
    /// alone. `None` where no validation chose them (the paper's best five).
    pub valid_accuracy: Option<f64>,
    /// Share of the test images classified right.
    pub test_accuracy: f64,
    /// The mean of that share over the classes; `None` where an earlier version measured.
    pub test_balanced_accuracy: Option<f64>,
    /// Number of test images.
    pub test_images: u64,
}
