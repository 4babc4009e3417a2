//! Where a gradient goes on the way back.

use std::ops::Range;

use metaqnn_kernels::addition::{add, mask_by_relu};
use metaqnn_kernels::elementwise::replace_by_relu_gradient;

use super::signal::{Activation, Maps, Statistics, with_room};

/// Values of some images in the backward pass, and where their gradient goes.
#[derive(Debug)]
pub(super) enum Slot<'a> {
    /// In their place: one step alone reads them.
    Instead(&'a mut [f32]),
    /// Beside them: values and gradient.
    Beside(&'a [f32], &'a mut [f32], Turn),
}

/// Which of the parts of a gradient it is that a step hands back: one for each time that the values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Turn {
    /// Nothing is there yet.
    pub(super) first: bool,
    /// Nothing comes after it.
    pub(super) last: bool,
}

impl Slot<'_> {
    pub(super) fn values(&self) -> &[f32] {
        match self {
            Slot::Instead(values) => values,
            Slot::Beside(values, ..) => values,
        }
    }

    /// A part of them.
    pub(super) fn part(&mut self, range: Range<usize>) -> Slot<'_> {
        match self {
            Slot::Instead(values) => Slot::Instead(&mut values[range]),
            Slot::Beside(values, gradient, turn) => Slot::Beside(&values[range.clone()], &mut gradient[range], *turn),
        }
    }

    /// Has the gradient of what [`Maps::read`] gave written. As soon as it is whole it is turned into that of what was there before
    /// ReLU, and the sums that normalization asks for are gathered. The values are not needed by `write` any more.
    pub(super) fn take_gradient(
        self,
        maps: &Maps,
        scratch: &mut Vec<f32>,
        statistics: &mut Statistics,
        write: impl FnOnce(&mut [f32]),
    ) {
        match self {
            Slot::Instead(values) => match &maps.activation {
                Activation::Relu => {
                    let gradient = with_room(scratch, values.len());
                    write(gradient);
                    replace_by_relu_gradient(values, gradient);
                }
                // The gradient of what is normalized is beside it.
                Activation::None | Activation::Normalization(_) => write(values),
            },
            Slot::Beside(values, gradient, turn) => {
                if turn.first {
                    write(gradient);
                } else {
                    let part = with_room(scratch, values.len());
                    write(part);
                    add(gradient, part, false);
                }
                match &maps.activation {
                    _ if !turn.last => {}
                    Activation::None => {}
                    Activation::Relu => mask_by_relu(gradient, values),
                    Activation::Normalization(normalization) => {
                        statistics.mask_and_add(gradient, values, normalization);
                    }
                }
            }
        }
    }
}
