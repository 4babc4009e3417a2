//! Batch normalization.

use super::{Describe, Init, Misfit, TensorSpec, check_channels, only};
use crate::shape::Shape;

/// Batch normalization over N (and H, W), with scale and shift of each channel.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BatchNorm {
    /// Channels C.
    pub channels: u32,
}

impl BatchNorm {
    /// What is added to the variance.
    pub const EPSILON: f64 = 1e-5;
}

impl Describe for BatchNorm {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, Misfit> {
        let input = only(inputs)?;
        check_channels(self.channels, input.channels())?;
        Ok(input)
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        let trained = |field, init| TensorSpec::each_channel(field, self.channels, init);
        let statistic = |field, init| TensorSpec { trainable: false, ..trained(field, init) };
        vec![
            trained("weight", Init::Ones),
            trained("bias", Init::Zeros),
            statistic("running_mean", Init::Zeros),
            statistic("running_var", Init::Ones),
        ]
    }

    fn flops(&self, _: Shape) -> u64 {
        0
    }

    fn training_picoseconds(&self, _: Shape) -> u64 {
        0
    }

    fn activations(&self, output: Shape) -> u64 {
        output.values()
    }

    fn unrolled(&self, _: Shape) -> u64 {
        0
    }
}
