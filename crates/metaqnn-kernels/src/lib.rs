//! The arithmetic of training small convolutional networks on a CPU: each operation forward and backward.
//!
//! All tensors are 32-bit floats with dimensions NHWC, channels innermost. Channels are stored in multiples of
//! [`LANES`], the rest being zeros; only the images themselves keep their 1 or 3. A function works on a *chunk*, a few whole images that stay
//! in a cache together; who calls it decides how a batch is cut into chunks and which thread takes which.
//!
//! The rooms, in reading order:
//!
//! - [`convolution`]: windows over zero-padded images as matrix products, and the gradient of the weights.
//! - [`winograd`]: the same for 3×3 and 5×5 windows at stride 1 with fewer multiplications.
//! - [`pooling`]: maxima over windows, means over maps.
//! - [`elementwise`]: padding, batch normalization's affine maps and statistics, ReLU.
//! - [`addition`]: sums of maps and of gradients.
//! - [`optimizer`]: steps of Adam and of gradient descent with momentum; [`muon`]: those of Muon, of one matrix at a time.
//!
//! On x86-64 with AVX-512, or with AVX2 and FMA, asked for at run time, vector instructions are used; elsewhere the same code runs on
//! arrays of eight numbers. The same machine gives the same bits.

#![allow(clippy::needless_range_loop, reason = "loops over registers are written as in the formulas")]
#![allow(clippy::too_many_arguments, reason = "a kernel has as many tensors and sizes as it has")]

mod lanes;
mod tiles;

pub mod addition;
pub mod convolution;
pub mod elementwise;
pub mod muon;
pub mod optimizer;
pub mod pooling;
pub mod winograd;

pub use lanes::LANES;
#[doc(hidden)]
pub use lanes::{Instructions, with_instructions};

/// `channels` rounded up to a multiple of [`LANES`].
pub const fn stored_channels(channels: usize) -> usize {
    channels.div_ceil(LANES) * LANES
}
