//! Linear layer.

use super::{Describe, Init, Misfit, PICOSECONDS_OF_A_FLOP, TensorSpec, check_channels, only};
use crate::shape::{Shape, product};

/// x·Wᵀ + b.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Linear {
    /// Values in.
    pub inputs: u32,
    /// Values out.
    pub outputs: u32,
    /// Whether a bias of shape outputs is added.
    pub bias: bool,
}

impl Describe for Linear {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, Misfit> {
        match only(inputs)? {
            Shape::Map(map) => Err(Misfit::Map(map)),
            Shape::Vector(values) => check_channels(self.inputs, values).map(|()| Shape::Vector(self.outputs)),
        }
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        let [inputs, outputs] = [self.inputs, self.outputs].map(|n| n as usize);
        let init = Init::Glorot { fan_in: inputs, fan_out: outputs };
        let weight = TensorSpec { field: "weight", shape: vec![outputs, inputs], init, trainable: true };
        let bias = self.bias.then(|| TensorSpec::each_channel("bias", self.outputs, Init::Zeros));
        std::iter::once(weight).chain(bias).collect()
    }

    fn flops(&self, _: Shape) -> u64 {
        product([2, self.inputs, self.outputs])
    }

    fn training_picoseconds(&self, output: Shape) -> u64 {
        self.flops(output).saturating_mul(PICOSECONDS_OF_A_FLOP)
    }

    fn activations(&self, output: Shape) -> u64 {
        output.values()
    }

    fn unrolled(&self, _: Shape) -> u64 {
        0
    }
}
