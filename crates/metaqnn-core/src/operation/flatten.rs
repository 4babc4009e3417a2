//! A map as a vector.

use super::{Describe, Misfit, TensorSpec, only};
use crate::shape::Shape;

/// NCHW to N×(C·H·W), in this order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Flatten;

impl Describe for Flatten {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, Misfit> {
        let values = only(inputs)?.values();
        Ok(Shape::Vector(u32::try_from(values).unwrap_or(u32::MAX)))
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
