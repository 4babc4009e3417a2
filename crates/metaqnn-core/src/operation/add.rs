//! Sum of two values.

use super::{Describe, Misfit, PICOSECONDS_OF_A_VALUE, TensorSpec};
use crate::shape::Shape;

/// The sum of two values of the same shape.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Add;

impl Describe for Add {
    fn output(&self, inputs: &[Shape]) -> Result<Shape, Misfit> {
        match *inputs {
            [one, other] if one == other => Ok(one),
            [one, other] => Err(Misfit::Differ { one, other }),
            _ => Err(Misfit::Inputs { expected: 2, found: inputs.len() }),
        }
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
