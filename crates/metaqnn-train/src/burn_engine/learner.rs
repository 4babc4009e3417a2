//! A network in training on a device of Burn's.

use burn::module::{Module, ParamGroup};
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};
use metaqnn_core::graph::Graph;
use metaqnn_core::settings::{Optimizer, TrainingSettings};
use metaqnn_data::{LabelledImages, Normalizer};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::muon::Muon;
use super::{Network, PendingLoss, is_cpu, maps, predict};
use crate::predictions::Predictions;
use crate::weights::{Drawn, WeightsError};

/// A network with its optimizer and loss.
pub(crate) struct BurnLearner {
    network: Network,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    label_smoothing: f64,
    /// Of each class, where they differ.
    class_weights: Option<Tensor<1>>,
    /// The autodiff device.
    device: Device,
    graph: Graph,
    dropout: ChaCha8Rng,
}

impl BurnLearner {
    /// A fresh network of `graph` on `device`, its weights drawn from `weights`, with the optimizer and loss of `settings`.
    pub(crate) fn new<R: Rng + ?Sized>(
        graph: &Graph,
        settings: &TrainingSettings,
        device: &Device,
        weights: Drawn<'_, R>,
        dropout: u64,
    ) -> Self {
        let device = device.clone().autodiff();
        Self::begin(Network::drawn(graph, &device, weights), graph, settings, device, dropout)
    }

    /// The same for weights that are there.
    pub(crate) fn with_weights(
        graph: &Graph,
        settings: &TrainingSettings,
        device: &Device,
        weights: &[u8],
        dropout: u64,
    ) -> Result<Self, WeightsError> {
        let device = device.clone().autodiff();
        Ok(Self::begin(Network::with_weights(graph, &device, weights)?, graph, settings, device, dropout))
    }

    fn begin(network: Network, graph: &Graph, settings: &TrainingSettings, device: Device, dropout: u64) -> Self {
        if !is_cpu(&device) {
            device.seed(dropout);
        }
        let smoothing = (settings.label_smoothing > 0.0).then_some(settings.label_smoothing as f32);
        let loss = CrossEntropyLossConfig::new().with_smoothing(smoothing).init(&device);
        let optimizer = optimizer(settings, &network);
        BurnLearner {
            network,
            optimizer,
            loss,
            label_smoothing: settings.label_smoothing,
            class_weights: None,
            device,
            graph: graph.clone(),
            dropout: ChaCha8Rng::seed_from_u64(dropout),
        }
    }

    /// The weight of each class in the loss.
    pub(crate) fn weight_classes(&mut self, weights: Option<&[f32]>) {
        self.class_weights = weights.map(|weights| Tensor::from_floats(weights, &self.device));
    }

    /// One step of the optimizer on a batch: `images` NCHW, `labels` N. Gives the loss before the step, the mean
    /// cross-entropy in nats.
    pub(crate) fn step(&mut self, images: &[f32], labels: &[i32], learning_rate: f64) -> PendingLoss {
        let (images, labels) = self.batch(images, labels);
        let logits = self.network.forward_in_training(images, &mut self.dropout);
        let loss = match &self.class_weights {
            None => self.loss.forward(logits, labels),
            Some(weights) => weighted_loss(logits, labels, weights.clone(), self.label_smoothing),
        };
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        // Taken out and put back: the optimizer changes in place what nobody else holds.
        let network = std::mem::replace(&mut self.network, Network::empty());
        self.network = self.optimizer.step(learning_rate, network, gradients);
        PendingLoss(Box::new(loss.without_autodiff()))
    }

    /// Whether a step is over when [`BurnLearner::step`] returns.
    pub(crate) fn is_synchronous(&self) -> bool {
        is_cpu(&self.device.clone().inner())
    }

    /// Class probabilities of `images` under the network as it is now.
    pub(crate) fn predict(&self, images: &LabelledImages, normalizer: &Normalizer) -> Predictions {
        predict(&self.network.valid(), &self.graph, images, normalizer, &self.device.clone().inner())
    }

    /// Logits of normalized images, NCHW, under the network as it is now.
    pub(crate) fn logits(&self, images: &[f32]) -> Vec<f32> {
        let input = self.graph.input();
        let count = images.len() / input.values() as usize;
        let device = self.device.clone().inner();
        let logits = self.network.valid().forward(maps(images, count, input, &device));
        logits.into_data_as::<f32>().iter::<f32>().collect()
    }

    /// All weights and statistics, as the learner on the CPU writes them.
    pub(crate) fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        self.network.valid().to_safetensors()
    }

    fn batch(&self, images: &[f32], labels: &[i32]) -> (Tensor<4>, Tensor<1, Int>) {
        (
            maps(images, labels.len(), self.graph.input(), &self.device),
            Tensor::from_data(TensorData::new(labels.to_vec(), [labels.len()]), &self.device),
        )
    }
}

/// The cross-entropy of `logits` (N × classes) against smoothed `labels` (N), each image weighted by its class. Burn's own loss weights
/// the classes of a smoothed target one by one.
fn weighted_loss(logits: Tensor<2>, labels: Tensor<1, Int>, weights: Tensor<1>, smoothing: f64) -> Tensor<1> {
    let [images, _] = logits.dims();
    let logarithms = log_softmax(logits, 1);
    let of_label = logarithms.clone().gather(1, labels.clone().reshape([images, 1])).reshape([images]);
    let of_all = logarithms.mean_dim(1).reshape([images]);
    let weights = weights.gather(0, labels);
    let losses = (of_label * (1.0 - smoothing) + of_all * smoothing).neg();
    (losses * weights.clone()).sum() / weights.sum()
}

/// Burn's defaults (ε of Adam 1e-5, dampening 0.1) are not what the settings mean, so each is named here.
fn optimizer(settings: &TrainingSettings, network: &Network) -> ModuleOptimizer {
    let adam = |beta_1: f64, beta_2: f64, epsilon: f64| {
        AdamWConfig::new()
            .with_beta_1(beta_1 as f32)
            .with_beta_2(beta_2 as f32)
            .with_epsilon(epsilon as f32)
            .with_weight_decay(settings.weight_decay as f32)
            .init()
    };
    match settings.optimizer {
        Optimizer::Adam { beta_1, beta_2, epsilon } => adam(beta_1, beta_2, epsilon),
        Optimizer::Muon { rate, momentum, iterations, beta_1, beta_2, epsilon } => {
            let matrices = ParamGroup::from_ids(network.matrices());
            adam(beta_1, beta_2, epsilon).with_group(matrices, Muon::new(rate, momentum, iterations), None)
        }
        Optimizer::Sgd { momentum, nesterov } => {
            let decay = settings.weight_decay as f32;
            SgdConfig::new()
                .with_weight_decay((decay > 0.0).then(|| WeightDecayConfig::new(decay)))
                .with_momentum(
                    (momentum > 0.0).then(|| {
                        MomentumConfig::new().with_momentum(momentum).with_dampening(0.0).with_nesterov(nesterov)
                    }),
                )
                .init()
        }
    }
}
