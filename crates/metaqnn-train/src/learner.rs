//! A network in training: one step at a time.

use metaqnn_core::graph::Graph;
use metaqnn_core::settings::TrainingSettings;
use metaqnn_data::{LabelledImages, Normalizer};
use rand::Rng;

use crate::burn_engine::{BurnLearner, PendingLoss};
use crate::cpu::{CpuLearner, CpuState};
use crate::device::ComputeDevice;
use crate::predictions::{Predictions, predict_batches};
use crate::weights::{Drawn, Stored, WeightsError, WeightsStart};

/// A network with its optimizer and loss, on any device.
pub struct Learner {
    engine: Engine,
}

enum Engine {
    Cpu(Box<CpuLearner>),
    Burn(Box<BurnLearner>),
}

/// The loss of a step, the mean cross-entropy in nats, weighted where classes have weights.
#[derive(Clone, Debug)]
pub enum StepLoss {
    /// It is known.
    Known(f32),
    /// The device still computes it.
    Pending(PendingLoss),
}

impl StepLoss {
    /// The loss, waited for.
    pub fn value(self) -> f32 {
        match self {
            StepLoss::Known(loss) => loss,
            StepLoss::Pending(loss) => loss.value(),
        }
    }
}

impl Learner {
    /// A fresh network of `graph` on `device`, its weights drawn from `weights`, with the optimizer and loss of `settings`.
    /// Dropout is drawn from a generator with the seed `dropout`.
    pub fn new<R: Rng + ?Sized>(
        graph: &Graph,
        settings: &TrainingSettings,
        device: &ComputeDevice,
        weights: &mut R,
        dropout: u64,
    ) -> Self {
        Self::starting(graph, settings, device, weights, &WeightsStart::default(), dropout)
    }

    /// The same, with weights that are not all drawn.
    pub(crate) fn starting<R: Rng + ?Sized>(
        graph: &Graph,
        settings: &TrainingSettings,
        device: &ComputeDevice,
        weights: &mut R,
        start: &WeightsStart,
        dropout: u64,
    ) -> Self {
        match device {
            ComputeDevice::Cpu => {
                let Ok(learner) = CpuLearner::new(graph, settings, Drawn { rng: weights, start }, dropout);
                Self::on_the_cpu(learner)
            }
            ComputeDevice::Burn(device) => {
                Self::on_burn(BurnLearner::new(graph, settings, device, Drawn { rng: weights, start }, dropout))
            }
        }
    }

    /// The same for weights that are there, as [`Learner::to_safetensors`] writes them.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] where they are not of such a network.
    pub fn with_weights(
        graph: &Graph,
        settings: &TrainingSettings,
        device: &ComputeDevice,
        weights: &[u8],
        dropout: u64,
    ) -> Result<Self, WeightsError> {
        Ok(match device {
            ComputeDevice::Cpu => Self::on_the_cpu(CpuLearner::new(graph, settings, Stored::new(weights)?, dropout)?),
            ComputeDevice::Burn(device) => {
                Self::on_burn(BurnLearner::with_weights(graph, settings, device, weights, dropout)?)
            }
        })
    }

    /// The learner on the CPU that `state` is of.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] where it is of another network.
    pub(crate) fn resumed(
        graph: &Graph,
        settings: &TrainingSettings,
        state: CpuState,
    ) -> Result<Option<Self>, WeightsError> {
        let mut learner = CpuLearner::new(graph, settings, Stored::new(&state.weights)?, 0)?;
        let fits = learner.take_state(state);
        Ok(fits.then(|| Self::on_the_cpu(learner)))
    }

    /// The state from which [`Learner::resumed`] goes on; `None` on a device of Burn's.
    pub(crate) fn state(&self) -> Result<Option<CpuState>, WeightsError> {
        match &self.engine {
            Engine::Cpu(learner) => learner.state().map(Some),
            Engine::Burn(..) => Ok(None),
        }
    }

    fn on_the_cpu(learner: CpuLearner) -> Self {
        Learner { engine: Engine::Cpu(Box::new(learner)) }
    }

    fn on_burn(learner: BurnLearner) -> Self {
        Learner { engine: Engine::Burn(Box::new(learner)) }
    }

    /// From now on an image counts in the loss by the weight of its class: of a batch the loss is Σ w·loss / Σ w over its images.
    /// `None`: all the same.
    ///
    /// That is PyTorch's `CrossEntropyLoss(weight, reduction="mean")`. With label smoothing it differs: here the weight is the image's,
    /// whatever its target is spread over, so that heavy classes do not draw the probabilities of all images to them.
    pub fn weight_classes(&mut self, weights: Option<Vec<f32>>) {
        match &mut self.engine {
            Engine::Cpu(learner) => learner.weight_classes(weights),
            Engine::Burn(learner) => learner.weight_classes(weights.as_deref()),
        }
    }

    /// One step of the optimizer on a batch: `images` NCHW, `labels` N. Gives the loss before the step.
    pub fn step(&mut self, images: &[f32], labels: &[i32], learning_rate: f64) -> StepLoss {
        match &mut self.engine {
            Engine::Cpu(learner) => StepLoss::Known(learner.step(images, labels, learning_rate)),
            Engine::Burn(learner) => StepLoss::Pending(learner.step(images, labels, learning_rate)),
        }
    }

    /// Whether a step is over when [`Learner::step`] returns, so that reading its loss waits for nothing.
    pub(crate) fn is_synchronous(&self) -> bool {
        match &self.engine {
            Engine::Cpu(_) => true,
            Engine::Burn(learner) => learner.is_synchronous(),
        }
    }

    /// Class probabilities of `images` under the network as it is now.
    pub fn predict(&mut self, images: &LabelledImages, normalizer: &Normalizer) -> Predictions {
        match &mut self.engine {
            Engine::Cpu(learner) => predict_batches(images, normalizer, learner.batch_size(), |batch, _, to| {
                learner.probabilities(batch, to);
            }),
            Engine::Burn(learner) => learner.predict(images, normalizer),
        }
    }

    /// Logits, images × classes, of at most a batch of normalized images, NCHW, under the network as it is now.
    pub fn logits(&mut self, images: &[f32]) -> Vec<f32> {
        match &mut self.engine {
            Engine::Cpu(learner) => {
                let mut logits = Vec::new();
                learner.logits(images, &mut logits);
                logits
            }
            Engine::Burn(learner) => learner.logits(images),
        }
    }

    /// All weights and statistics as safetensors bytes, 32-bit floats.
    ///
    /// Names start with those of the graph's nodes: `conv1.weight` (OIHW), `conv1.bias`,
    /// `norm1.weight|bias|running_mean|running_var`, `fc1.weight` (outputs × inputs, as PyTorch has it), `gap.weight`, `softmax.weight`.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] where the format cannot hold them.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        match &self.engine {
            Engine::Cpu(learner) => learner.to_safetensors(),
            Engine::Burn(learner) => learner.to_safetensors(),
        }
    }
}

impl std::fmt::Debug for Learner {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.engine {
            Engine::Cpu(_) => "Learner on the CPU",
            Engine::Burn(..) => "Learner on Burn",
        })
    }
}
