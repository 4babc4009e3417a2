//! Global average pooling.

use super::{Describe, Misfit, TensorSpec, map_of};
use crate::shape::Shape;

/// Mean over H and W: NCHW to NC.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct GlobalAverage;

impl Describe for GlobalAverage {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, Misfit> {
        Ok(Shape::Vector(map_of(inputs)?.channels))
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
