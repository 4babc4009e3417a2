//! Max pooling.

use super::{Describe, Misfit, PICOSECONDS_OF_A_VALUE, TensorSpec, pooled};
use crate::shape::Shape;

/// Max pooling without padding.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct MaxPool {
    /// Side of the window.
    pub kernel_size: u32,
    /// Step between windows.
    pub stride: u32,
}

impl Describe for MaxPool {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, Misfit> {
        pooled(inputs, self.kernel_size, self.stride)
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        Vec::new()
    }

    fn flops(&self, _: Shape) -> u64 {
        0
    }

    fn training_picoseconds(&self, output: Shape) -> u64 {
        output.values().saturating_mul(PICOSECONDS_OF_A_VALUE)
    }

    fn activations(&self, output: Shape) -> u64 {
        output.values()
    }

    fn unrolled(&self, _: Shape) -> u64 {
        0
    }
}
