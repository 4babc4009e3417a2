//! Training on devices of [Burn](https://burn.dev): GPUs, and `flex`, its backend for the CPU.
//!
//! - [`BurnLearner`] (`learner`): a network with its optimizer, the counterpart of the learner on the CPU.
//! - `muon`: an optimizer that Burn does not have in this form.
//! - [`Network`] (`network`): a [`Graph`] as layers of tensors.

mod learner;
mod muon;
mod network;

#[cfg(feature = "gpu")]
use burn::tensor::DeviceType;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_data::{LabelledImages, Normalizer};

pub(crate) use self::learner::BurnLearner;
pub use self::network::Network;
use crate::device::DeviceKind;
use crate::predictions::{Predictions, batch_size, each_batch, predict_batches};
use crate::weights::WeightsError;

/// A device of Burn's.
pub type BurnDevice = Device;

/// The loss of a step that the device still computes: a tensor of shape 1 without gradients.
#[derive(Clone, Debug)]
pub struct PendingLoss(Box<Tensor<1>>);

impl PendingLoss {
    /// The loss; reading it waits for the device.
    pub fn value(self) -> f32 {
        self.0.into_scalar::<f32>()
    }

    pub(crate) fn times(self, factor: f64) -> Self {
        PendingLoss(Box::new(*self.0 * factor))
    }

    pub(crate) fn plus(self, other: Self) -> Self {
        PendingLoss(Box::new(*self.0 + *other.0))
    }
}

/// The devices of this kind on this machine. Panics with some backends where a driver is not installed.
pub(crate) fn devices(kind: DeviceKind) -> Vec<Device> {
    match kind {
        DeviceKind::Flex => vec![Device::flex()],
        #[cfg(feature = "cuda")]
        DeviceKind::Cuda => Device::enumerate(DeviceType::Cuda).into_vec(),
        #[cfg(feature = "vulkan")]
        DeviceKind::Vulkan => Device::enumerate(DeviceType::Vulkan).into_vec(),
        #[cfg(feature = "metal")]
        DeviceKind::Metal => Device::enumerate(DeviceType::Metal).into_vec(),
        #[cfg(feature = "rocm")]
        DeviceKind::Rocm => Device::enumerate(DeviceType::Rocm).into_vec(),
        #[allow(unreachable_patterns, reason = "with all features on nothing is left")]
        _ => Vec::new(),
    }
}

/// Gives back the memory that the last network left in the pools of `device`.
pub(crate) fn clean_up(device: &Device) {
    device.memory_cleanup();
}

/// Whether `device` is the CPU, so that reading a tensor waits for nothing.
fn is_cpu(device: &Device) -> bool {
    *device == Device::flex()
}

/// Class probabilities of `images` under `network`, which is made ready for it with [`Network::valid`](burn::module::Module::valid).
pub(crate) fn predict(
    network: &Network,
    graph: &Graph,
    images: &LabelledImages,
    normalizer: &Normalizer,
    device: &Device,
) -> Predictions {
    predict_batches(images, normalizer, batch_size(graph), |batch, count, to| {
        let output = softmax(network.forward(maps(batch, count, graph.input(), device)), 1);
        to.extend(output.into_data_as::<f32>().iter::<f32>());
    })
}

/// The logits of `images`, images × classes.
pub(crate) fn logits(
    graph: &Graph,
    weights: &[u8],
    images: &LabelledImages,
    normalizer: &Normalizer,
    device: &Device,
) -> Result<Vec<f32>, WeightsError> {
    let network = Network::with_weights(graph, device, weights)?;
    Ok(each_batch(images, normalizer, batch_size(graph), |batch, count, to| {
        let output = network.forward(maps(batch, count, graph.input(), device));
        to.extend(output.into_data_as::<f32>().iter::<f32>());
    }))
}

/// Images NCHW on a device.
fn maps(images: &[f32], count: usize, shape: MapShape, device: &Device) -> Tensor<4> {
    let MapShape { channels, height, width } = shape;
    let shape = [count, channels as usize, height as usize, width as usize];
    Tensor::from_data(TensorData::new(images.to_vec(), shape), device)
}
