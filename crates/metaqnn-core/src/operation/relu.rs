//! The rectifier.

use super::{Describe, Misfit, TensorSpec, only};
use crate::shape::Shape;

/// max(0, x).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Relu;

impl Describe for Relu {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, Misfit> {
        only(inputs)
    }

    fn tensors(&self) -> Vec<TensorSpec> {
        Vec::new()
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
