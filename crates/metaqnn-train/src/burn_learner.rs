//! A network in training on a device of Burn's.

use burn::module::Module;
use burn::nn::loss::{CrossEntropyLoss, CrossEntropyLossConfig};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, SgdConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_core::settings::{Optimizer, TrainingSettings};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::device::is_cpu;
use crate::network::Network;

/// A network with its optimizer and loss.
pub(crate) struct BurnLearner {
    network: Network,
    optimizer: ModuleOptimizer,
    loss: CrossEntropyLoss,
    device: Device,
    input: MapShape,
    dropout: ChaCha8Rng,
}

impl BurnLearner {
    /// A network that was made on the autodiff device of `device`, with the optimizer and loss of `settings`.
    pub(crate) fn new(
        network: Network,
        graph: &Graph,
        settings: &TrainingSettings,
        device: &Device,
        dropout: u64,
    ) -> Self {
        let device = device.clone().autodiff();
        if !is_cpu(&device) {
            device.seed(dropout);
        }
        let smoothing = (settings.label_smoothing > 0.0).then_some(settings.label_smoothing as f32);
        let loss = CrossEntropyLossConfig::new().with_smoothing(smoothing).init(&device);
        BurnLearner {
            network,
            optimizer: optimizer(settings),
            loss,
            device,
            input: graph.input(),
            dropout: ChaCha8Rng::seed_from_u64(dropout),
        }
    }

    /// One step of the optimizer on a batch: `images` NCHW, `labels` N. Gives the loss before the step, the mean
    /// cross-entropy in nats, of shape 1 and without gradients; reading it waits for the device.
    pub(crate) fn step(&mut self, images: &[f32], labels: &[i32], learning_rate: f64) -> Tensor<1> {
        let (images, labels) = self.batch(images, labels);
        let loss = self.loss.forward(self.network.forward_in_training(images, &mut self.dropout), labels);
        let gradients = GradientsParams::from_grads(loss.backward(), &self.network);
        // Taken out and put back: the optimizer changes in place what nobody else holds.
        let network = std::mem::replace(&mut self.network, Network::empty());
        self.network = self.optimizer.step(learning_rate, network, gradients);
        loss.without_autodiff()
    }

    /// The network as it is now, without gradients, for evaluation.
    pub(crate) fn network(&self) -> Network {
        self.network.valid()
    }

    fn batch(&self, images: &[f32], labels: &[i32]) -> (Tensor<4>, Tensor<1, Int>) {
        let MapShape { channels, height, width } = self.input;
        let shape = [labels.len(), channels as usize, height as usize, width as usize];
        (
            Tensor::from_data(TensorData::new(images.to_vec(), shape), &self.device),
            Tensor::from_data(TensorData::new(labels.to_vec(), [labels.len()]), &self.device),
        )
    }
}

/// Burn's defaults (ε of Adam 1e-5, dampening 0.1) are not what the settings mean, so each is named here.
fn optimizer(settings: &TrainingSettings) -> ModuleOptimizer {
    match settings.optimizer {
        Optimizer::Adam { beta_1, beta_2, epsilon } => AdamWConfig::new()
            .with_beta_1(beta_1 as f32)
            .with_beta_2(beta_2 as f32)
            .with_epsilon(epsilon as f32)
            .with_weight_decay(settings.weight_decay as f32)
            .init(),
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
