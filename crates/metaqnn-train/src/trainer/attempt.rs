//! One try at a training: fresh weights, epochs, and the restart rule.

use std::time::{Duration, Instant};

use metaqnn_core::early_stopping::StopReason;
use metaqnn_core::ports::TrainingProgress;
use metaqnn_core::study::CurvePoint;
use metaqnn_data::{Batches, LabelledImages};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::loss_meter::LossMeter;
use super::{TimeLimit, TrainError, TrainingTask};
use crate::checkpoint::Checkpoint;
use crate::learner::Learner;
use crate::predictions::Predictions;
use crate::weights::{WeightsError, WeightsStart};
use crate::whitening::whitening_filters;

/// Least time between two reports of steps.
const REPORT_INTERVAL: Duration = Duration::from_millis(250);

/// Steps between two looks at the loss where reading it waits for another device.
const STEPS_BETWEEN_READS: usize = 16;

/// The time of a training, over all its tries and, where it goes on after a kill, over the processes that it had.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    begin: Instant,
    /// Time in the processes before.
    before: Duration,
    limit: Option<Duration>,
    /// Whether the training goes on until the limit, however many epochs that makes.
    is_stretched: bool,
}

impl Clock {
    /// Of a training that begins now.
    pub(super) fn new(limit: Option<TimeLimit>) -> Self {
        Self::going_on(limit, Duration::ZERO)
    }

    /// Of one that had gone on for the time `before`.
    pub(super) fn going_on(limit: Option<TimeLimit>, before: Duration) -> Self {
        let is_stretched = matches!(limit, Some(TimeLimit::InAll(_) | TimeLimit::FromNow(_)));
        let limit = limit.map(|limit| match limit {
            TimeLimit::InAll(limit) => limit,
            TimeLimit::FromNow(limit) | TimeLimit::AtMost(limit) => before.saturating_add(limit),
        });
        Clock { begin: Instant::now(), before, limit, is_stretched }
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.before + self.begin.elapsed()
    }

    /// Whether its time is up.
    pub(super) fn is_over(&self) -> bool {
        self.limit.is_some_and(|limit| self.elapsed() >= limit)
    }
}

/// What the tries before this one have left.
pub(super) struct History {
    pub(super) identity: u64,
    /// Time of the whole training.
    pub(super) clock: Clock,
    /// Epochs over all tries that ended.
    pub(super) epochs: u32,
    /// Best accuracy of all of them.
    pub(super) best: f64,
}

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

/// The weight of each class in the loss, by the images that are trained on.
fn class_weights(task: &TrainingTask<'_>) -> Option<Vec<f32>> {
    task.settings.class_weights.of(&task.train.class_counts(task.graph.classes() as usize))
}

/// How a try ended.
pub(super) enum AttemptEnd {
    Complete,
    Stopped { reason: StopReason },
    NoBetterThanChance,
    LossOfGuessing { loss: f64, guessing: f64 },
    NotFinite { epoch: u32, early: bool },
}

/// One try: a fresh network and its training.
pub(super) struct Attempt<'a> {
    task: &'a TrainingTask<'a>,
    /// From 0.
    pub(super) number: u32,
    pub(super) learner: Learner,
    watched: &'a LabelledImages,
    /// The accuracy that one must be above, for as long as it has not been.
    threshold: Option<f64>,
    factor: f64,
    /// Time of the training when the try began.
    begin: Duration,
    order: ChaCha8Rng,
    pub(super) curve: Vec<CurvePoint>,
    /// Best accuracy at the end of an epoch.
    pub(super) best: f64,
    /// Best accuracy at any look.
    pub(super) best_seen: f64,
    /// What the last look saw.
    pub(super) predictions: Option<Predictions>,
    pub(super) epochs: u32,
    /// Steps made.
    steps: usize,
}

impl<'a> Attempt<'a> {
    /// A fresh one, when the training has gone on for the time `begin`.
    pub(super) fn new(task: &'a TrainingTask<'a>, number: u32, watched: &'a LabelledImages, begin: Duration) -> Self {
        let dropout = generator(task.seed, number, Purpose::Dropout).next_u64();
        let mut weights = generator(task.seed, number, Purpose::Weights);
        let start = WeightsStart {
            identity: task.settings.identity_start,
            first_filters: if task.settings.whitening {
                whitening_filters(task.graph, task.train, task.normalizer)
            } else {
                Vec::new()
            },
        };
        let mut learner = Learner::starting(task.graph, task.settings, task.device, &mut weights, &start, dropout);
        learner.weight_classes(class_weights(task));
        Attempt {
            task,
            number,
            learner,
            watched,
            threshold: Some(threshold(task, watched)),
            factor: task.settings.restart.rate_factor(number),
            begin,
            order: generator(task.seed, number, Purpose::Order),
            curve: Vec::new(),
            best: 0.0,
            best_seen: 0.0,
            predictions: None,
            epochs: 0,
            steps: 0,
        }
    }

    /// The try of which `kept` is the state after an epoch; `None` where it is of another network.
    pub(super) fn resumed(
        task: &'a TrainingTask<'a>,
        kept: Checkpoint,
        watched: &'a LabelledImages,
    ) -> Result<Option<Self>, WeightsError> {
        let Some(mut learner) = Learner::resumed(task.graph, task.settings, kept.learner)? else { return Ok(None) };
        learner.weight_classes(class_weights(task));
        Ok(Some(Attempt {
            task,
            number: kept.attempt,
            learner,
            watched,
            threshold: kept.threshold,
            factor: task.settings.restart.rate_factor(kept.attempt),
            begin: kept.begin,
            order: kept.order,
            epochs: kept.curve.len() as u32,
            curve: kept.curve,
            best: kept.best,
            best_seen: kept.best_seen,
            predictions: None,
            steps: kept.steps as usize,
        }))
    }

    /// Keeps the state after an epoch, where the task asks for it and the device can.
    fn keep(&self, history: &History) -> Result<(), TrainError> {
        let Some(path) = self.task.checkpoint else { return Ok(()) };
        let Some(learner) = self.learner.state()? else { return Ok(()) };
        let checkpoint = Checkpoint {
            identity: history.identity,
            attempt: self.number,
            steps: self.steps as u64,
            epochs_before: history.epochs,
            best_before: history.best,
            threshold: self.threshold,
            best: self.best,
            best_seen: self.best_seen,
            elapsed: history.clock.elapsed(),
            begin: self.begin,
            curve: self.curve.clone(),
            order: self.order.clone(),
            learner,
        };
        Ok(checkpoint.store(path)?)
    }

    /// Trains until its end.
    pub(super) fn run(
        &mut self,
        history: &History,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<AttemptEnd, TrainError> {
        let (task, clock) = (self.task, history.clock);
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
            batches.start_shuffled(epoch, &mut order);
            let mut out_of_time = false;
            while let Some(batch) = batches.next_batch(&mut order) {
                let progress = self.progress(clock, total_steps);
                // The settings' epochs are stretched over the time or over another number of passes.
                let is_stretched = clock.limit.is_some() || epochs != nominal_epochs;
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
                    let progress = self.progress(clock, total_steps);
                    report(TrainingProgress::Step { progress, train_loss: loss.read() });
                }
                if self.steps == loss_steps {
                    let class_counts = task.train.class_counts(task.graph.classes() as usize);
                    let guessing = task.settings.loss_of_guessing(&class_counts);
                    let loss = first_losses.read();
                    if loss > guessing - restart.loss_margin {
                        return Ok(AttemptEnd::LossOfGuessing { loss, guessing });
                    }
                }
                // At an epoch's end its own accuracy is looked at, below.
                if self.steps == look_after && !self.steps.is_multiple_of(steps_in_epoch) && self.threshold.is_some() {
                    self.look();
                    if self.threshold.is_some() {
                        return Ok(AttemptEnd::NoBetterThanChance);
                    }
                }
                if self.is_over(clock) {
                    out_of_time = true;
                    break;
                }
            }
            self.order = order;
            let train_loss = loss.read();
            if !train_loss.is_finite() {
                return Ok(self.not_finite(epoch));
            }
            let last = out_of_time || (!clock.is_stretched && epoch + 1 >= epochs);
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
                return Ok(AttemptEnd::NoBetterThanChance);
            }
            if last {
                break;
            }
            let learning_rate = task.settings.learning_rate_of_try(self.number);
            if let Some(reason) = task.stop.and_then(|stop| stop.decide(learning_rate, &self.curve)) {
                return Ok(AttemptEnd::Stopped { reason });
            }
            self.keep(history)?;
        }
        Ok(AttemptEnd::Complete)
    }

    /// Accuracy now. Notes whether it is above the threshold.
    fn look(&mut self) -> f64 {
        let predictions = self.learner.predict(self.watched, self.task.normalizer);
        let accuracy = predictions.accuracy(&self.watched.labels).value();
        self.best_seen = self.best_seen.max(accuracy);
        if self.threshold.is_some_and(|threshold| accuracy > threshold) {
            self.threshold = None;
        }
        self.predictions = Some(predictions);
        accuracy
    }

    fn not_finite(&self, epoch: u32) -> AttemptEnd {
        AttemptEnd::NotFinite { epoch: epoch + 1, early: self.threshold.is_some() }
    }

    /// Share of this try that is over, in [0, 1].
    fn progress(&self, clock: Clock, total_steps: usize) -> f64 {
        let in_time = clock.limit.map(|limit| {
            let all = limit.saturating_sub(self.begin).as_secs_f64();
            if all > 0.0 { (self.elapsed(clock).as_secs_f64() / all).min(1.0) } else { 1.0 }
        });
        let in_steps = self.steps as f64 / total_steps.max(1) as f64;
        match in_time {
            None => in_steps,
            Some(in_time) if clock.is_stretched => in_time,
            Some(in_time) => in_steps.max(in_time).min(1.0),
        }
    }

    /// Time of this try.
    fn elapsed(&self, clock: Clock) -> Duration {
        clock.elapsed().saturating_sub(self.begin)
    }

    /// Whether the next step would end when the time is up, going by the mean of those done.
    fn is_over(&self, clock: Clock) -> bool {
        let step = self.elapsed(clock).div_f64(self.steps.max(1) as f64);
        clock.limit.is_some_and(|limit| clock.elapsed() + step > limit)
    }
}

/// The accuracy that counts as no better than chance on `images`.
fn threshold(task: &TrainingTask<'_>, images: &LabelledImages) -> f64 {
    let classes = task.graph.classes();
    let most = images.class_counts(classes as usize).into_iter().max().unwrap_or(0);
    let share = if images.is_empty() { 0.0 } else { most as f64 / images.len() as f64 };
    task.settings.restart.threshold(share, classes)
}
