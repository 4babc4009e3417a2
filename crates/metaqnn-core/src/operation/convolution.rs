//! Convolution.

use super::{
    Describe, Init, Misfit, PICOSECONDS_OF_A_FLOP, PICOSECONDS_OF_A_VALUE, TensorSpec, check_channels, map_of,
};
use crate::shape::{MapShape, Shape, product};

/// Convolution of maps with padding (kernel_size − 1) / 2.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Convolution {
    /// Input channels I.
    pub in_channels: u32,
    /// Output channels O.
    pub out_channels: u32,
    /// Side of the kernel, H = W.
    pub kernel_size: u32,
    /// Step between positions.
    pub stride: u32,
    /// Whether a bias of shape O is added.
    pub bias: bool,
}

impl Convolution {
    /// Rows and columns added at each side.
    pub fn padding(&self) -> u32 {
        (self.kernel_size - 1) / 2
    }

    fn weights(&self) -> u64 {
        product([self.in_channels, self.out_channels, self.kernel_size, self.kernel_size])
    }
}

impl Describe for Convolution {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, Misfit> {
        let MapShape { channels, height, width } = map_of(inputs)?;
        check_channels(self.in_channels, channels)?;
        let [height, width] = [height, width].map(|side| side.div_ceil(self.stride));
        Ok(Shape::Map(MapShape::new(self.out_channels, height, width)))
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        let [inputs, outputs, side] = [self.in_channels, self.out_channels, self.kernel_size].map(|n| n as usize);
        let taps = side.saturating_mul(side);
        let init = Init::Glorot { fan_in: inputs.saturating_mul(taps), fan_out: outputs.saturating_mul(taps) };
        let weight = TensorSpec { field: "weight", shape: vec![outputs, inputs, side, side], init, trainable: true };
        let bias = self.bias.then(|| TensorSpec::each_channel("bias", self.out_channels, Init::Zeros));
        std::iter::once(weight).chain(bias).collect()
    }

    fn flops(&self, output: Shape) -> u64 {
        let MapShape { height, width, .. } = output.map();
        self.weights().saturating_mul(product([2, height, width]))
    }

    fn training_picoseconds(&self, output: Shape) -> u64 {
        // Winograd's algorithm saves multiplications.
        let of_a_flop = match (self.kernel_size, self.stride) {
            (3, 1) => 8,
            (5, 1) => 11,
            _ => PICOSECONDS_OF_A_FLOP,
        };
        let maps = output.values().saturating_mul(PICOSECONDS_OF_A_VALUE);
        self.flops(output).saturating_mul(of_a_flop).saturating_add(maps)
    }

    fn activations(&self, output: Shape) -> u64 {
        output.values()
    }

    fn unrolled(&self, output: Shape) -> u64 {
        let MapShape { height, width, .. } = output.map();
        product([self.in_channels, self.kernel_size, self.kernel_size, height, width])
    }
}
