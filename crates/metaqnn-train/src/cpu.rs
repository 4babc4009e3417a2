//! Training on the CPU with this project's own kernels (docs/decisions/0001-own-kernels-on-the-cpu.md).
//!
//! - [`CpuLearner`]: a network with its optimizer, the counterpart of the learner on Burn's devices.
//! - `network`: a graph as steps, forward and backward over a batch, on as many threads as rayon's pool has.
//! - `convolution`: convolutions and linear layers, in chunks of a few images that stay in a cache.
//! - `signal`: what flows between steps, batch normalization included; `slot`: where its gradient goes.
//! - `optimizer`: what an optimizer keeps, and its steps.
//! - `parameters`: all parameters in one vector, and their names.

mod convolution;
mod network;
mod optimizer;
mod parameters;
mod signal;
mod slot;

use metaqnn_core::graph::Graph;
use metaqnn_core::settings::TrainingSettings;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub(crate) use self::network::CpuNetwork;
use self::optimizer::CpuOptimizer;
use crate::weights::{InitialWeights, WeightsError};

/// All that changes in a [`CpuLearner`] from step to step.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CpuState {
    /// Steps made.
    pub(crate) steps: u32,
    /// Weights and statistics as safetensors.
    pub(crate) weights: Vec<u8>,
    /// Of Adam the mean of the gradient; else the velocity.
    pub(crate) means: Vec<f32>,
    /// Of Adam the mean of its square; else empty.
    pub(crate) squares: Vec<f32>,
    /// The generator of dropout.
    pub(crate) dropout: ChaCha8Rng,
}

/// A network on the CPU with its optimizer and loss.
pub(crate) struct CpuLearner {
    network: CpuNetwork,
    optimizer: CpuOptimizer,
    label_smoothing: f32,
    class_weights: Option<Vec<f32>>,
    dropout: ChaCha8Rng,
}

impl CpuLearner {
    /// A network of `graph` for batches as the settings have them, with these weights.
    pub(crate) fn new<W: InitialWeights>(
        graph: &Graph,
        settings: &TrainingSettings,
        weights: W,
        dropout: u64,
    ) -> Result<Self, W::Error> {
        let network =
            CpuNetwork::new(graph, settings.batch_size.max(1) as usize, rayon::current_num_threads(), weights)?;
        let optimizer = CpuOptimizer::new(settings, network.parameters().len(), network.matrices());
        Ok(CpuLearner {
            network,
            optimizer,
            label_smoothing: settings.label_smoothing as f32,
            class_weights: None,
            dropout: ChaCha8Rng::seed_from_u64(dropout),
        })
    }

    /// The weight of each class in the loss.
    pub(crate) fn weight_classes(&mut self, weights: Option<Vec<f32>>) {
        self.class_weights = weights;
    }

    /// The state now.
    pub(crate) fn state(&self) -> Result<CpuState, WeightsError> {
        Ok(CpuState {
            steps: self.optimizer.steps,
            weights: self.to_safetensors()?,
            means: self.optimizer.means.clone(),
            squares: self.optimizer.squares.clone(),
            dropout: self.dropout.clone(),
        })
    }

    /// The learner in another state of the same graph and settings; false where it is of others, and nothing has changed then.
    pub(crate) fn take_state(&mut self, state: CpuState) -> bool {
        let optimizer = &mut self.optimizer;
        let fits = state.means.len() == optimizer.means.len() && state.squares.len() == optimizer.squares.len();
        if fits {
            (optimizer.steps, self.dropout) = (state.steps, state.dropout);
            (optimizer.means, optimizer.squares) = (state.means, state.squares);
        }
        fits
    }

    /// One step of the optimizer on a batch, `images` NCHW; gives the loss before it.
    pub(crate) fn step(&mut self, images: &[f32], labels: &[i32], learning_rate: f64) -> f32 {
        self.network.forward(images, Some(self.dropout.next_u64()));
        let loss = self.network.loss_and_gradient(labels, self.label_smoothing, self.class_weights.as_deref());
        self.network.backward(labels.len());
        let (parameters, gradient) = self.network.parameters_and_gradient();
        self.optimizer.step(learning_rate, parameters, gradient);
        loss
    }

    /// Most images of a batch.
    pub(crate) fn batch_size(&self) -> usize {
        self.network.batch_size()
    }

    /// Class probabilities of at most [`CpuLearner::batch_size`] images, NCHW, are added to `to`, one row an image.
    pub(crate) fn probabilities(&mut self, images: &[f32], to: &mut Vec<f32>) {
        self.network.forward(images, None);
        self.network.probabilities(to);
    }

    /// The same for logits.
    pub(crate) fn logits(&mut self, images: &[f32], to: &mut Vec<f32>) {
        self.network.forward(images, None);
        self.network.logits(to);
    }

    /// Weights and statistics as safetensors.
    pub(crate) fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        self.network.to_safetensors()
    }
}
