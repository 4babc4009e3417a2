//! The [`Evaluator`] that trains real networks.

use std::any::Any;
use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use metaqnn_core::early_stopping::NetworkFeatures;
use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_core::ports::{
    CandidateEvaluation, CandidateJob, CandidateLength, Evaluator, FinalEvaluation, FinalJob, JobError,
    TrainingProgress, TrialJob,
};
use metaqnn_core::settings::{AugmentationChoice, PreprocessingChoice, TrainingSettings};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{Evaluation, Failure, balanced_accuracy, mirror_is_safe};
use metaqnn_data::{Augmentation, DataSet, ImageShape, LabelledImages, Normalizer, Preprocessing};

use crate::burn_engine;
use crate::device::{ComputeDevice, DeviceError, parse_device};
use crate::kept_preparation::with_preparation;
use crate::predictions::Predictions;
use crate::trainer::{EarlyStop, TimeLimit, TrainError, Training, TrainingEnd, TrainingTask, fixed_part, train};

/// Why there is no evaluator.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluatorError {
    /// No such device.
    #[error(transparent)]
    Device(#[from] DeviceError),
    /// A split that is needed is empty.
    #[error("data set {data}: it has no {split} images")]
    Empty {
        /// Name of the data set.
        data: String,
        /// `training`, `validation`.
        split: &'static str,
    },
}

/// Trains networks in this process, on one device, one after another.
#[derive(Debug)]
pub struct NetworkEvaluator {
    device: ComputeDevice,
    data: Arc<DataSet>,
    search: TrainingSettings,
    final_training: TrainingSettings,
    /// The parts that the trials train and validate on; `None` for all training and all validation images.
    train: Option<LabelledImages>,
    valid: Option<LabelledImages>,
    normalizer: Normalizer,
}

impl NetworkEvaluator {
    /// An evaluator on the device named `device`, with `search` for trials and `final_training` for the final phase.
    ///
    /// Trials use stratified parts of the images, the same for all trials, where the settings ask for fewer than there are.
    ///
    /// # Errors
    ///
    /// [`EvaluatorError`] where there is no such device or nothing to train or validate on.
    pub fn new(
        device: &str,
        data: Arc<DataSet>,
        search: TrainingSettings,
        final_training: TrainingSettings,
    ) -> Result<Self, EvaluatorError> {
        let device = parse_device(device)?;
        for (split, images) in [("training", &data.train), ("validation", &data.valid)] {
            if images.is_empty() {
                return Err(EvaluatorError::Empty { data: data.name.clone(), split });
            }
        }
        let classes = data.classes();
        let part = |images, n: u32| match fixed_part(images, classes, n as usize) {
            Cow::Borrowed(_) => None,
            Cow::Owned(part) => Some(part),
        };
        let train = part(&data.train, search.train_images);
        let valid = part(&data.valid, search.valid_images);
        let normalizer = normalizer(&data, &search);
        Ok(NetworkEvaluator { device, data, search, final_training, train, valid, normalizer })
    }

    fn graph(&self, architecture: &Architecture, settings: &TrainingSettings) -> Result<Graph, String> {
        let (found, expected) = (architecture.classes() as usize, self.data.classes());
        if found != expected {
            return Err(format!("data set {}: it has {expected} classes, {architecture} has {found}", self.data.name));
        }
        Graph::new(architecture, map_shape(self.data.shape()), settings.network_options())
            .map_err(|error| error.to_string())
    }

    /// Trains `task` and takes from it what is wanted.
    fn trained<T>(
        &self,
        task: &TrainingTask<'_>,
        report: &mut dyn FnMut(TrainingProgress),
        take: impl FnOnce(Training) -> T,
    ) -> Result<T, JobError> {
        let taken = match catch_unwind(AssertUnwindSafe(|| train(task, report))) {
            Ok(training) => training.map(take).map_err(job_error),
            Err(panic) => Err(JobError::Network(panic_message(panic.as_ref()))),
        };
        // The next network has other shapes; what this one leaves in the pools of a GPU would be in its way.
        if let ComputeDevice::Burn(device) = &self.device {
            burn_engine::clean_up(device);
        }
        taken
    }

    fn train_finally(
        &self,
        job: &FinalJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<FinalEvaluation, JobError> {
        let settings = &self.final_training;
        let data = &self.data;
        if data.test.is_empty() {
            return Err(JobError::Network(format!("data set {}: it has no test images", data.name)));
        }
        let graph = self.graph(&job.architecture, settings).map_err(JobError::Network)?;
        let all = data.train_and_valid();
        let images = fixed_part(&all, data.classes(), settings.train_images as usize);
        let normalizer = normalizer(data, settings);
        let mut training = train(
            &TrainingTask {
                graph: &graph,
                settings,
                train: &images,
                valid: None,
                normalizer: &normalizer,
                augmentation: augmentation(
                    data,
                    settings,
                    Shown { mirror: job.mirror_is_safe, turning: job.turning_is_safe },
                ),
                seed: job.seed,
                stop: None,
                time_limit: job.time_limit_seconds.map(|seconds| TimeLimit::FromNow(duration(seconds))),
                epochs: job.epochs,
                checkpoint: job.checkpoint.as_deref(),
                device: &self.device,
            },
            report,
        )
        .map_err(job_error)?;
        if let TrainingEnd::Failed(failure) = &training.end {
            return Err(JobError::Network(failure.to_string()));
        }
        let test = training.learner.predict(&data.test, &normalizer);
        let weights = training.learner.to_safetensors().and_then(|weights| with_preparation(&weights, &normalizer));
        Ok(FinalEvaluation {
            test_accuracy: test.accuracy(&data.test.labels).value(),
            test_balanced_accuracy: balanced_accuracy(test.predicted_classes(), &data.test.labels),
            test_images: data.test.len() as u64,
            train_losses: training.curve.iter().map(|point| point.train_loss).collect(),
            epochs: training.epochs,
            train_seconds: training.elapsed.as_secs_f64(),
            weights: weights.map_err(|error| JobError::Network(error.to_string()))?,
        })
    }
}

impl Evaluator for NetworkEvaluator {
    fn evaluate(&mut self, job: &TrialJob, report: &mut dyn FnMut(TrainingProgress)) -> Evaluation {
        let graph = match self.graph(&job.architecture, &self.search) {
            Ok(graph) => graph,
            Err(message) => return Evaluation::failed(Failure::Worker { message }),
        };
        let task = TrainingTask {
            graph: &graph,
            settings: &self.search,
            train: self.train.as_ref().unwrap_or(&self.data.train),
            valid: Some(self.valid.as_ref().unwrap_or(&self.data.valid)),
            normalizer: &self.normalizer,
            augmentation: augmentation(&self.data, &self.search, Shown::default()),
            seed: job.seed,
            stop: job.stop.as_ref().map(|rule| EarlyStop {
                rule,
                network: NetworkFeatures::of(&job.architecture, graph.params(), self.search.learning_rate),
            }),
            time_limit: job.time_limit_seconds.map(|seconds| TimeLimit::AtMost(duration(seconds))),
            epochs: None,
            checkpoint: None,
            device: &self.device,
        };
        // Whatever goes wrong is a failure of the trial.
        self.trained(&task, report, |training| training.to_evaluation())
            .unwrap_or_else(|error| Evaluation::failed(Failure::Worker { message: error.to_string() }))
    }

    fn evaluate_candidate(
        &mut self,
        job: &CandidateJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<CandidateEvaluation, JobError> {
        let mut settings = self.final_training.clone();
        let graph = self.graph(&job.architecture, &settings).map_err(JobError::Network)?;
        let data = &self.data;
        let images = fixed_part(&data.train, data.classes(), settings.train_images as usize);
        let normalizer = normalizer(data, &settings);
        let (time_limit, epochs) = match job.length {
            CandidateLength::Seconds(seconds) => (Some(TimeLimit::InAll(duration(seconds))), None),
            CandidateLength::Epochs(epochs) => (None, Some(epochs)),
            CandidateLength::ShareOfEpochs(share) => {
                let part = |n: u32| (f64::from(n) * share).ceil() as u32;
                (settings.epochs, settings.min_steps) = (part(settings.epochs), part(settings.min_steps));
                (None, None)
            }
        };
        let task = TrainingTask {
            graph: &graph,
            settings: &settings,
            train: &images,
            valid: Some(&data.valid),
            normalizer: &normalizer,
            augmentation: augmentation(data, &settings, Shown::default()),
            seed: job.seed,
            stop: None,
            time_limit,
            epochs,
            checkpoint: job.checkpoint.as_deref(),
            device: &self.device,
        };
        let is_asked = data.mirror_is_safe.is_none() && settings.augmentation == AugmentationChoice::Auto;
        self.trained(&task, report, |mut training| {
            let evaluation = training.to_evaluation();
            let learned = evaluation.outcome.valid_accuracy().is_some();
            let predictions = training.valid_predictions.filter(|_| learned);
            let asked = predictions.as_ref().filter(|_| is_asked);
            let mut recognizes = |changed: &LabelledImages| {
                let changed = training.learner.predict(changed, &normalizer);
                asked.map(|plain| {
                    mirror_is_safe(plain.predicted_classes(), changed.predicted_classes(), &data.valid.labels)
                })
            };
            let mirror_is_safe = asked.and_then(|_| recognizes(&data.valid.mirrored()));
            let turning_is_safe = asked.and_then(|_| recognizes(&data.valid.turned()));
            let probabilities = predictions.map(Predictions::into_probabilities).unwrap_or_default();
            CandidateEvaluation { evaluation, mirror_is_safe, turning_is_safe, probabilities }
        })
    }

    fn evaluate_final(
        &mut self,
        job: &FinalJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<FinalEvaluation, JobError> {
        catch_unwind(AssertUnwindSafe(|| self.train_finally(job, report)))
            .unwrap_or_else(|panic| Err(JobError::Network(panic_message(panic.as_ref()))))
    }
}

/// Whose fault it is that a training came to no end.
fn job_error(error: TrainError) -> JobError {
    match error {
        TrainError::Checkpoint(_) => JobError::Storage(error.to_string()),
        TrainError::Weights(_) => JobError::Network(error.to_string()),
    }
}

/// None where `seconds` is none or negative.
fn duration(seconds: f64) -> Duration {
    Duration::try_from_secs_f64(seconds).unwrap_or_default()
}

/// The preprocessing that `settings` mean for `data`, fitted to all of its training images and to no other.
pub fn normalizer(data: &DataSet, settings: &TrainingSettings) -> Normalizer {
    let kind = match settings.preprocessing {
        PreprocessingChoice::Standardize => Preprocessing::Standardize,
        PreprocessingChoice::Paper => data.source.as_ref().map_or(Preprocessing::Standardize, Preprocessing::of_paper),
    };
    Normalizer::fit(kind, &data.train, data.max_value)
}

/// What a network has shown of own data by recognizing changed images; `None`: nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shown {
    /// Of mirrored ones.
    pub mirror: Option<bool>,
    /// Of turned ones.
    pub turning: Option<bool>,
}

/// The augmentation that `settings` mean for `data`: mirrored only where that is safe (of own data, where it is asked for, or a network has
/// `shown` that it is), turned only where it has been shown, and shifted by as much as the settings say or fits the side.
pub fn augmentation(data: &DataSet, settings: &TrainingSettings, shown: Shown) -> Option<Augmentation> {
    let side = data.shape().height.min(data.shape().width);
    let shift = |divisor: usize| match settings.max_shift as usize {
        0 => (side / divisor).max(1),
        pixels => pixels,
    };
    let mirror_is_safe = data.mirror_is_safe.or(shown.mirror) == Some(true);
    // Of own data nobody has said whether it is; who asks for it by name means it.
    let mirror_if_asked = data.mirror_is_safe != Some(false);
    let choice = match settings.augmentation {
        AugmentationChoice::Auto if mirror_is_safe => AugmentationChoice::MirrorAndShift,
        AugmentationChoice::Auto => AugmentationChoice::Warp,
        choice => choice,
    };
    let augmentation = match choice {
        AugmentationChoice::None => Augmentation::default(),
        AugmentationChoice::Mirror => Augmentation { mirror: mirror_if_asked, ..Augmentation::default() },
        AugmentationChoice::MirrorAndShift => {
            Augmentation { mirror: mirror_if_asked, shift: shift(10), ..Augmentation::default() }
        }
        AugmentationChoice::Warp | AugmentationChoice::Auto => {
            Augmentation { mirror: mirror_is_safe, shift: shift(8), rotation: 15, scale: 15, ..Augmentation::default() }
        }
    };
    // Of the known data sets none may be turned; nobody has to show that.
    let turn = data.mirror_is_safe.is_none()
        && shown.turning == Some(true)
        && settings.augmentation == AugmentationChoice::Auto;
    let alternate = augmentation.mirror && settings.alternate_mirror;
    let augmentation = Augmentation { turn, alternate, ..augmentation };
    (!augmentation.is_none()).then_some(augmentation)
}

/// The same shape as the graph has it.
pub fn map_shape(shape: ImageShape) -> MapShape {
    // A side that large has no image in memory.
    let side = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
    MapShape::new(side(shape.channels), side(shape.height), side(shape.width))
}

/// What a panic said. Burn panics where a device cannot do what it is asked to, for example for lack of memory.
fn panic_message(panic: &(dyn Any + Send)) -> String {
    let message =
        panic.downcast_ref::<&str>().map(ToString::to_string).or_else(|| panic.downcast_ref::<String>().cloned());
    format!("training panicked: {}", message.unwrap_or_else(|| "no message".to_owned()))
}
