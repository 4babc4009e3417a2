//! The traits through which the outer crates train, store and execute trials.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::early_stopping::StopRule;
use crate::space::Architecture;
use crate::study::{
    CandidateRecord, CurvePoint, EnsembleRecord, Evaluation, EventRecord, FinalRecord, PlannedTraining, RaisedLimits,
    StudyHeader, TrialNumber,
};

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

/// Trains networks, in the process and on the device that it was made for.
///
/// Contract: the same job gives the same evaluation (times aside) from the same evaluator on one thread of the same CPU.
/// A network that does not learn is an [`Evaluation`] with a failure, not an error.
pub trait Evaluator {
    /// Trains and validates; `report` is called as the training goes on.
    fn evaluate(&mut self, job: &TrialJob, report: &mut dyn FnMut(TrainingProgress)) -> Evaluation;

    /// Trains and validates a candidate for the final training.
    ///
    /// # Errors
    ///
    /// [`JobError`] where that could not be done; a network that did not learn is no error.
    fn evaluate_candidate(
        &mut self,
        job: &CandidateJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<CandidateEvaluation, JobError>;

    /// Trains on training and validation data and measures once on the test data.
    ///
    /// # Errors
    ///
    /// [`JobError`] says in words why there is no trained network, for example that the loss was not finite.
    fn evaluate_final(
        &mut self,
        job: &FinalJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<FinalEvaluation, JobError>;
}

/// Keeps a study.
///
/// Contract: what a method has stored when it returns survives the death of the process and of the machine; a method
/// that fails has stored nothing. Events are numbered from 0 without gaps, and [`append`](Storage::append) refuses any other
/// number, a trial number that is there, and an architecture that is there.
pub trait Storage {
    /// What can go wrong.
    type Error: std::error::Error + Send + Sync + 'static;

    /// The study's header.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn header(&self) -> Result<StudyHeader, Self::Error>;

    /// Stores an event, and with it the trial where it is one, in one durable transaction.
    ///
    /// # Errors
    ///
    /// When it could not be stored; nothing of it is then there.
    fn append(&mut self, event: &EventRecord) -> Result<(), Self::Error>;

    /// Calls `visit` with every event in order, until it returns false.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn visit_events(&self, visit: &mut dyn FnMut(EventRecord) -> bool) -> Result<(), Self::Error>;

    /// Stores what came of a candidate for the final training; replaces an earlier one of the same trial.
    ///
    /// # Errors
    ///
    /// When it could not be stored, or the trial is not there.
    fn store_candidate(&mut self, record: &CandidateRecord) -> Result<(), Self::Error>;

    /// The candidates, best validation accuracy first, those that failed last, without their probabilities.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn candidates(&self) -> Result<Vec<CandidateRecord>, Self::Error>;

    /// Stores the result and weights of a final training in one durable transaction; replaces an earlier one of the same trial, and
    /// with it goes the ensemble that had that one as a member.
    ///
    /// # Errors
    ///
    /// When it could not be stored, or the trial is not there.
    fn store_final(&mut self, record: &FinalRecord) -> Result<(), Self::Error>;

    /// The final trainings, best test accuracy first, without their weights.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn finals(&self) -> Result<Vec<FinalRecord>, Self::Error>;

    /// Stores the ensemble in one durable transaction, in place of an earlier one; `None`: there is none any more.
    ///
    /// # Errors
    ///
    /// When it could not be stored, or a member has no final training.
    fn store_ensemble(&mut self, ensemble: Option<&EnsembleRecord>) -> Result<(), Self::Error>;

    /// The ensemble, where there is one.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn ensemble(&self) -> Result<Option<EnsembleRecord>, Self::Error>;

    /// Adds trainings to the plan of what is trained fully, behind those that are there, in one durable transaction.
    ///
    /// # Errors
    ///
    /// When it could not be stored, a trial is not there, or is planned already.
    fn extend_final_plan(&mut self, plan: &[PlannedTraining]) -> Result<(), Self::Error>;

    /// The plan of what is trained fully, in the order in which it was made.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn final_plan(&self) -> Result<Vec<PlannedTraining>, Self::Error>;

    /// Stores what ends the study from now on; what was stored before stays.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    fn raise_limits(&mut self, limits: RaisedLimits) -> Result<(), Self::Error>;

    /// What ends the study as last raised; `None` where the settings hold.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn raised_limits(&self) -> Result<Option<RaisedLimits>, Self::Error>;

    /// Notes how long the study has run, over all its runs; less than what is noted changes nothing.
    ///
    /// # Errors
    ///
    /// When it could not be stored.
    fn note_run_seconds(&mut self, seconds: f64) -> Result<(), Self::Error>;

    /// Seconds that the study has run, over all its runs.
    ///
    /// # Errors
    ///
    /// When the storage cannot be read.
    fn run_seconds(&self) -> Result<f64, Self::Error>;
}
