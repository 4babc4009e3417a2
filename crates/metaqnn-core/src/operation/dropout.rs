//! Dropout.

use super::{Describe, Misfit, TensorSpec, only};
use crate::shape::Shape;

/// Dropout, in training only.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Dropout {
    /// Probability that a value is set to zero.
    pub probability: f64,
}

impl Describe for Dropout {
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
