//! What stands for `burn_engine` where the program is built without the feature `burn`: types without a value, so that
//! no match on a device needs an attribute and no code for them remains.

use std::convert::Infallible;

use metaqnn_core::graph::Graph;
use metaqnn_core::settings::TrainingSettings;
use metaqnn_data::{LabelledImages, Normalizer};
use rand::Rng;

use crate::device::DeviceKind;
use crate::predictions::Predictions;
use crate::weights::{Drawn, WeightsError};

/// A device of Burn's: there is none.
#[derive(Clone, Debug, PartialEq)]
pub struct BurnDevice(Infallible);

/// A loss that a device of Burn's computes: there is none.
#[derive(Clone, Debug)]
pub struct PendingLoss(Infallible);

/// A learner on a device of Burn's: there is none.
pub(crate) struct BurnLearner(Infallible);

pub(crate) fn devices(_: DeviceKind) -> Vec<BurnDevice> {
    Vec::new()
}

pub(crate) fn clean_up(device: &BurnDevice) {
    match device.0 {}
}

pub(crate) fn logits(
    _: &Graph,
    _: &[u8],
    _: &LabelledImages,
    _: &Normalizer,
    device: &BurnDevice,
) -> Result<Vec<f32>, WeightsError> {
    match device.0 {}
}

impl PendingLoss {
    /// The loss.
    pub fn value(self) -> f32 {
        match self.0 {}
    }

    pub(crate) fn times(self, _: f64) -> Self {
        match self.0 {}
    }

    pub(crate) fn plus(self, _: Self) -> Self {
        match self.0 {}
    }
}

impl BurnLearner {
    pub(crate) fn new<R: Rng + ?Sized>(
        _: &Graph,
        _: &TrainingSettings,
        device: &BurnDevice,
        _: Drawn<'_, R>,
        _: u64,
    ) -> Self {
        match device.0 {}
    }

    pub(crate) fn with_weights(
        _: &Graph,
        _: &TrainingSettings,
        device: &BurnDevice,
        _: &[u8],
        _: u64,
    ) -> Result<Self, WeightsError> {
        match device.0 {}
    }

    pub(crate) fn weight_classes(&mut self, _: Option<&[f32]>) {
        match self.0 {}
    }

    pub(crate) fn step(&mut self, _: &[f32], _: &[i32], _: f64) -> PendingLoss {
        match self.0 {}
    }

    pub(crate) fn is_synchronous(&self) -> bool {
        match self.0 {}
    }

    pub(crate) fn predict(&self, _: &LabelledImages, _: &Normalizer) -> Predictions {
        match self.0 {}
    }

    pub(crate) fn logits(&self, _: &[f32]) -> Vec<f32> {
        match self.0 {}
    }

    pub(crate) fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        match self.0 {}
    }
}
