//! Training on the CPU with this project's own kernels (docs/decisions/0001-own-kernels-on-the-cpu.md).
//!
//! - [`CpuLearner`]: a network with its optimizer, the counterpart of the learner on Burn's devices.
//! - `network`: a graph as layers, forward and backward over a batch, on as many threads as rayon's pool has.
//! - `convolution`: convolutions and linear layers, in chunks of a few images that stay in a cache.
//! - `signal`: what flows between layers, batch normalization included.
//! - `parameters`: all parameters in one vector, and their names.

mod convolution;
mod network;
mod parameters;
mod signal;

use metaqnn_core::graph::Graph;
use metaqnn_core::settings::{Optimizer, TrainingSettings};
use metaqnn_kernels::optimizer::{Adam, Momentum, adam_step, momentum_step};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

pub(crate) use self::network::CpuNetwork;
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
    optimizer: Optimizer,
    weight_decay: f64,
    label_smoothing: f32,
    class_weights: Option<Vec<f32>>,
    steps: u32,
    /// Of Adam the mean of the gradient; else the velocity.
    means: Vec<f32>,
    /// Of Adam the mean of its square.
    squares: Vec<f32>,
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
        let n = network.parameters().len();
        let squares = if matches!(settings.optimizer, Optimizer::Adam { .. }) { n } else { 0 };
        Ok(CpuLearner {
            network,
            optimizer: settings.optimizer,
            weight_decay: settings.weight_decay,
            label_smoothing: settings.label_smoothing as f32,
            class_weights: None,
            steps: 0,
            means: vec![0.0; n],
            squares: vec![0.0; squares],
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
            steps: self.steps,
            weights: self.to_safetensors()?,
            means: self.means.clone(),
            squares: self.squares.clone(),
            dropout: self.dropout.clone(),
        })
    }

    /// The learner in another state of the same graph and settings; false where it is of others, and nothing has changed then.
    pub(crate) fn take_state(&mut self, state: CpuState) -> bool {
        let fits = state.means.len() == self.means.len() && state.squares.len() == self.squares.len();
        if fits {
            self.steps = state.steps;
            (self.means, self.squares, self.dropout) = (state.means, state.squares, state.dropout);
        }
        fits
    }

    /// One step of the optimizer on a batch, `images` NCHW; gives the loss before it.
    pub(crate) fn step(&mut self, images: &[f32], labels: &[i32], learning_rate: f64) -> f32 {
        self.network.forward(images, Some(self.dropout.next_u64()));
        let loss = self.network.loss_and_gradient(labels, self.label_smoothing, self.class_weights.as_deref());
        self.network.backward(labels.len());
        self.steps += 1;
        let (parameters, gradient) = self.network.parameters_and_gradient();
        match self.optimizer {
            Optimizer::Adam { beta_1, beta_2, epsilon } => {
                let adam = Adam {
                    learning_rate: learning_rate as f32,
                    beta_1: beta_1 as f32,
                    beta_2: beta_2 as f32,
                    epsilon: epsilon as f32,
                    weight_decay: self.weight_decay as f32,
                    step: self.steps,
                };
                adam_step(adam, parameters, gradient, &mut self.means, &mut self.squares);
            }
            Optimizer::Sgd { momentum, nesterov } => {
                let settings = Momentum {
                    learning_rate: learning_rate as f32,
                    momentum: momentum as f32,
                    nesterov,
                    weight_decay: self.weight_decay as f32,
                };
                momentum_step(settings, parameters, gradient, &mut self.means);
            }
        }
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
