//! Training a network from its first weights to its last epoch (spec 3).

use std::borrow::Cow;
use std::path::Path;
use std::time::{Duration, Instant};

use burn::tensor::Tensor;
use metaqnn_core::early_stopping::{LearningCurve, NetworkFeatures, StopReason, StopRule};
use metaqnn_core::graph::Graph;
use metaqnn_core::ports::TrainingProgress;
use metaqnn_core::settings::TrainingSettings;
use metaqnn_core::study::{Accuracy, CurvePoint, Evaluation, Failure, Outcome};
use metaqnn_data::{Augmentation, Batches, LabelledImages, Normalizer, stratified_subset};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::checkpoint::{Checkpoint, CheckpointError, identity};
use crate::device::ComputeDevice;
use crate::learner::{Learner, StepLoss};
use crate::network::WeightsError;

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
    /// How long to train, all tries together; the learning rate schedule is stretched over it. `None`: the epochs of the
    /// settings.
    pub time_limit: Option<Duration>,
    /// So many epochs instead of those of the settings; the learning rate schedule is stretched over them. A time limit goes before.
    pub epochs: Option<u32>,
    /// The file in which the state after each epoch is kept, and from which a training that was killed goes on; of use on the CPU
    /// alone, and not together with a time limit.
    pub checkpoint: Option<&'a Path>,
    /// Where.
    pub device: &'a ComputeDevice,
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

/// Least time between two reports of steps.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// Steps between two looks at the loss where reading it waits for another device.
const STEPS_BETWEEN_READS: usize = 16;

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
    let kept = match (task.checkpoint, task.time_limit, task.device) {
        (Some(path), None, ComputeDevice::Cpu) => Checkpoint::load(path, identity),
        _ => None,
    };
    let begin = Instant::now();
    let deadline = task.time_limit.and_then(|limit| begin.checked_add(limit));
    let watched = match task.valid {
        Some(valid) => Cow::Borrowed(valid),
        None => fixed_part(task.train, task.graph.classes() as usize, RESTART_IMAGES),
    };
    let tries = task.settings.restart.tries.max(1);
    let mut history = History { identity, elapsed: Duration::ZERO, epochs: 0, best: 0.0 };
    let mut attempt = 0;
    let mut resumed = None;
    if let Some(kept) = kept {
        let before = History { identity, elapsed: kept.elapsed, epochs: kept.epochs_before, best: kept.best_before };
        if let Some(goes_on) = Try::resumed(task, kept, &watched)? {
            (history, attempt, resumed) = (before, goes_on.attempt, Some(goes_on));
        }
    }
    loop {
        if attempt > 0 && resumed.is_none() {
            let learning_rate = task.settings.learning_rate_of_try(attempt);
            report(TrainingProgress::Restart { attempt: attempt + 1, learning_rate });
        }
        let mut this_try = match resumed.take() {
            Some(resumed) => resumed,
            None => Try::new(task, attempt, &watched, deadline)?,
        };
        let end = this_try.run(&history, begin, report)?;
        history.epochs += this_try.epochs;
        history.best = history.best.max(this_try.best_seen);
        attempt += 1;
        let another = attempt < tries && deadline.is_none_or(|deadline| Instant::now() < deadline);
        let end = match end {
            TryEnd::NoBetterThanChance | TryEnd::LossOfGuessing { .. } | TryEnd::NotFinite { early: true, .. }
                if another =>
            {
                continue;
            }
            TryEnd::NoBetterThanChance => {
                TrainingEnd::Failed(Failure::FailedToLearn { valid_accuracy: history.best, tries: attempt })
            }
            TryEnd::LossOfGuessing { loss, guessing } => {
                let steps = task.settings.restart.loss_steps;
                TrainingEnd::Failed(Failure::LossOfGuessing { loss, guessing, steps, tries: attempt })
            }
            TryEnd::NotFinite { epoch, .. } => TrainingEnd::Failed(Failure::LossNotFinite { epoch }),
            TryEnd::Complete => TrainingEnd::Complete,
            TryEnd::Stopped { reason } => TrainingEnd::Stopped { reason },
        };
        return Ok(Training {
            learner: this_try.learner,
            end,
            best_valid_accuracy: task.valid.and_then(|_| Accuracy::new(this_try.best).ok()),
            curve: this_try.curve,
            epochs: history.epochs,
            tries: attempt,
            elapsed: history.elapsed + begin.elapsed(),
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
            "{:?} {:?} {:?} {:?} {:?} {} {:?} {:?} {}",
            self.graph,
            self.settings,
            images(self.train),
            self.valid.map(images),
            self.augmentation,
            self.seed,
            self.stop,
            self.epochs,
            env!("CARGO_PKG_VERSION"),
        ))
    }
}

/// What the tries before this one have left.
struct History {
    identity: u64,
    /// Time of the runs that were killed.
    elapsed: Duration,
    /// Epochs over all tries that ended.
    epochs: u32,
    /// Best accuracy of all of them.
    best: f64,
}

/// A stratified part of `images` that is always the same; all where `n` is 0 or not fewer.
pub(crate) fn fixed_part(images: &LabelledImages, classes: usize, n: usize) -> Cow<'_, LabelledImages> {
    if n == 0 || n >= images.len() {
        return Cow::Borrowed(images);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(PART_SEED);
    Cow::Owned(images.select(&stratified_subset(&images.labels, classes, n, &mut rng)))
}

/// Seed of the parts of the images that trials use, the same for every trial of every study.
const PART_SEED: u64 = 0x7061_7274;

/// The purposes that one try draws random numbers for.
#[derive(Clone, Copy)]
enum Purpose {
    Weights,
    Order,
    Dropout,
}

/// The generator for a purpose in a try: one stream of ChaCha each.
fn generator(seed: u64, attempt: u32, purpose: Purpose) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(u64::from(attempt) * 3 + purpose as u64);
    rng
}

enum TryEnd {
    Complete,
    Stopped { reason: StopReason },
    NoBetterThanChance,
    LossOfGuessing { loss: f64, guessing: f64 },
    NotFinite { epoch: u32, early: bool },
}

/// One try: a fresh network and its training.
struct Try<'a> {
    task: &'a TrainingTask<'a>,
    attempt: u32,
    learner: Learner,
    watched: &'a LabelledImages,
    /// The accuracy that one must be above, for as long as it has not been.
    threshold: Option<f64>,
    factor: f64,
    begin: Instant,
    deadline: Option<Instant>,
    order: ChaCha8Rng,
    curve: Vec<CurvePoint>,
    /// Best accuracy at the end of an epoch.
    best: f64,
    /// Best accuracy at any look.
    best_seen: f64,
    epochs: u32,
    /// Steps made.
    steps: usize,
}

impl<'a> Try<'a> {
    fn new(
        task: &'a TrainingTask<'a>,
        attempt: u32,
        watched: &'a LabelledImages,
        deadline: Option<Instant>,
    ) -> Result<Self, WeightsError> {
        let dropout = generator(task.seed, attempt, Purpose::Dropout).next_u64();
        let mut weights = generator(task.seed, attempt, Purpose::Weights);
        Ok(Try {
            task,
            attempt,
            learner: Learner::new(task.graph, task.settings, task.device, &mut weights, dropout)?,
            watched,
            threshold: Some(threshold(task, watched)),
            factor: task.settings.restart.rate_factor(attempt),
            begin: Instant::now(),
            deadline,
            order: generator(task.seed, attempt, Purpose::Order),
            curve: Vec::new(),
            best: 0.0,
            best_seen: 0.0,
            epochs: 0,
            steps: 0,
        })
    }

    /// The try of which `kept` is the state after an epoch; `None` where it is of another network.
    fn resumed(
        task: &'a TrainingTask<'a>,
        kept: Checkpoint,
        watched: &'a LabelledImages,
    ) -> Result<Option<Self>, WeightsError> {
        let learner = Learner::resumed(task.graph, task.settings, kept.learner)?;
        Ok(learner.map(|learner| Try {
            task,
            attempt: kept.attempt,
            learner,
            watched,
            threshold: kept.threshold,
            factor: task.settings.restart.rate_factor(kept.attempt),
            begin: Instant::now(),
            deadline: None,
            order: kept.order,
            epochs: kept.curve.len() as u32,
            curve: kept.curve,
            best: kept.best,
            best_seen: kept.best_seen,
            steps: kept.steps as usize,
        }))
    }

    /// Keeps the state after an epoch, where the task asks for it and the device can.
    fn keep(&self, history: &History, begin: Instant) -> Result<(), TrainError> {
        let (Some(path), None) = (self.task.checkpoint, self.deadline) else { return Ok(()) };
        let Some(learner) = self.learner.state()? else { return Ok(()) };
        let checkpoint = Checkpoint {
            identity: history.identity,
            attempt: self.attempt,
            steps: self.steps as u64,
            epochs_before: history.epochs,
            best_before: history.best,
            threshold: self.threshold,
            best: self.best,
            best_seen: self.best_seen,
            elapsed: history.elapsed + begin.elapsed(),
            curve: self.curve.clone(),
            order: self.order.clone(),
            learner,
        };
        Ok(checkpoint.store(path)?)
    }

    fn run(
        &mut self,
        history: &History,
        begin: Instant,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<TryEnd, TrainError> {
        let task = self.task;
        let batch_size = task.settings.batch_size.max(1) as usize;
        let mut batches = Batches::new(task.train, task.normalizer, task.augmentation, batch_size);
        let steps_in_epoch = batches.in_a_pass();
        let nominal_epochs = task.settings.epochs_of(steps_in_epoch);
        let epochs = task.epochs(steps_in_epoch);
        let total_steps = steps_in_epoch * epochs as usize;
        let look_after = steps_in_epoch.max(task.settings.restart.min_steps as usize);
        let read_every = if self.learner.is_synchronous() { 1 } else { STEPS_BETWEEN_READS };
        let restart = &task.settings.restart;
        // Of a shorter epoch the accuracy tells more, and as soon.
        let loss_steps = Some(restart.loss_steps as usize).filter(|&steps| steps < steps_in_epoch).unwrap_or(0);
        let mut first_losses = LossMeter::default();
        let mut last_report = Instant::now();
        for epoch in self.epochs.. {
            self.epochs = epoch + 1;
            let mut loss = LossMeter::default();
            let mut order = std::mem::replace(&mut self.order, ChaCha8Rng::seed_from_u64(0));
            batches.start_shuffled(&mut order);
            let mut out_of_time = false;
            while let Some(batch) = batches.next_batch(&mut order) {
                let progress = self.progress(self.steps, total_steps);
                // The settings' epochs are stretched over the time or over another number of passes.
                let is_stretched = self.deadline.is_some() || epochs != nominal_epochs;
                let schedule_epoch = if is_stretched { (progress * f64::from(nominal_epochs)) as u32 } else { epoch };
                let rate = task.settings.schedule.learning_rate(task.settings.learning_rate, schedule_epoch, progress);
                let step_loss = self.learner.step(batch.images, batch.labels, rate * self.factor);
                self.steps += 1;
                // The first half of the steps also has the losses before anything was learned.
                if self.steps <= loss_steps && 2 * self.steps > loss_steps {
                    first_losses.add(step_loss.clone(), batch.labels.len());
                }
                loss.add(step_loss, batch.labels.len());
                if self.steps.is_multiple_of(read_every) && !loss.read().is_finite() {
                    return Ok(self.not_finite(epoch));
                }
                if last_report.elapsed() >= REPORT_INTERVAL {
                    last_report = Instant::now();
                    let progress = self.progress(self.steps, total_steps);
                    report(TrainingProgress::Step { progress, train_loss: loss.read() });
                }
                if self.steps == loss_steps {
                    let class_counts = task.train.class_counts(task.graph.classes() as usize);
                    let guessing = task.settings.loss_of_guessing(&class_counts);
                    let loss = first_losses.read();
                    if loss > guessing - restart.loss_margin {
                        return Ok(TryEnd::LossOfGuessing { loss, guessing });
                    }
                }
                // At an epoch's end its own accuracy is looked at, below.
                if self.steps == look_after && !self.steps.is_multiple_of(steps_in_epoch) && self.threshold.is_some() {
                    self.look();
                    if self.threshold.is_some() {
                        return Ok(TryEnd::NoBetterThanChance);
                    }
                }
                if self.is_over(self.steps) {
                    out_of_time = true;
                    break;
                }
            }
            self.order = order;
            let train_loss = loss.read();
            if !train_loss.is_finite() {
                return Ok(self.not_finite(epoch));
            }
            let last = out_of_time || (self.deadline.is_none() && epoch + 1 >= epochs);
            let mut valid_accuracy = 0.0;
            if task.valid.is_some() {
                valid_accuracy = self.look();
                self.best = self.best.max(valid_accuracy);
            } else if self.threshold.is_some() && self.steps >= look_after {
                self.look();
            }
            let point = CurvePoint { epoch: epoch + 1, train_loss, valid_accuracy };
            self.curve.push(point);
            report(TrainingProgress::Epoch { point });
            // A final training that is too short for a look is taken as it is; a trial has been looked at.
            if self.threshold.is_some() && (self.steps >= look_after || (last && task.valid.is_some())) {
                return Ok(TryEnd::NoBetterThanChance);
            }
            if last {
                break;
            }
            let learning_rate = task.settings.learning_rate_of_try(self.attempt);
            if let Some(reason) = task.stop.and_then(|stop| stop.decide(learning_rate, &self.curve)) {
                return Ok(TryEnd::Stopped { reason });
            }
            self.keep(history, begin)?;
        }
        Ok(TryEnd::Complete)
    }

    /// Accuracy now. Notes whether it is above the threshold.
    fn look(&mut self) -> f64 {
        let predictions = self.learner.predict(self.watched, self.task.normalizer);
        let accuracy = predictions.accuracy(&self.watched.labels).value();
        self.best_seen = self.best_seen.max(accuracy);
        if self.threshold.is_some_and(|threshold| accuracy > threshold) {
            self.threshold = None;
        }
        accuracy
    }

    fn not_finite(&self, epoch: u32) -> TryEnd {
        TryEnd::NotFinite { epoch: epoch + 1, early: self.threshold.is_some() }
    }

    /// Share of this try that is over, in [0, 1].
    fn progress(&self, steps: usize, total_steps: usize) -> f64 {
        match self.deadline {
            None => steps as f64 / total_steps.max(1) as f64,
            Some(deadline) => {
                let all = deadline.saturating_duration_since(self.begin).as_secs_f64();
                if all > 0.0 { (self.begin.elapsed().as_secs_f64() / all).min(1.0) } else { 1.0 }
            }
        }
    }

    /// Whether the next step would end beyond the deadline, going by the mean of those done.
    fn is_over(&self, steps: usize) -> bool {
        self.deadline.is_some_and(|deadline| {
            let step = self.begin.elapsed().div_f64(steps.max(1) as f64);
            Instant::now() + step > deadline
        })
    }
}

/// The accuracy that counts as no better than chance on `images`.
fn threshold(task: &TrainingTask<'_>, images: &LabelledImages) -> f64 {
    let classes = task.graph.classes();
    let most = images.class_counts(classes as usize).into_iter().max().unwrap_or(0);
    let share = if images.is_empty() { 0.0 } else { most as f64 / images.len() as f64 };
    task.settings.restart.threshold(share, classes)
}

/// The mean loss of an epoch, summed up on the device and read from it as seldom as may be.
#[derive(Default)]
struct LossMeter {
    pending: Option<Tensor<1>>,
    sum: f64,
    images: usize,
}

impl LossMeter {
    fn add(&mut self, loss: StepLoss, images: usize) {
        match loss {
            StepLoss::Known(loss) => self.sum += f64::from(loss) * images as f64,
            StepLoss::Pending(loss) => {
                let loss = *loss * images as f64;
                self.pending = Some(match self.pending.take() {
                    Some(pending) => pending + loss,
                    None => loss,
                });
            }
        }
        self.images += images;
    }

    /// The mean until now; not finite where any loss was not.
    fn read(&mut self) -> f64 {
        if let Some(pending) = self.pending.take() {
            self.sum += f64::from(pending.into_scalar::<f32>());
        }
        self.sum / self.images.max(1) as f64
    }
}
