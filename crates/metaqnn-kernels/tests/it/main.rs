//! Every kernel against a naive loop in 64 bits over random shapes, with every set of instructions that the processor has.
//!
//! Tolerances of sums of products are relative to the sum of the products' magnitudes, which is what rounding in 32 bits is
//! relative to.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod addition;
mod convolution;
mod elementwise;
mod optimizer;
mod pooling;

use metaqnn_kernels::elementwise::MapSize;
use metaqnn_kernels::{Instructions, with_instructions};
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Runs `check` with each set of instructions that the processor has, from the portable code on.
fn with_each_instruction_set(check: impl Fn()) {
    for instructions in Instructions::available() {
        with_instructions(instructions, &check);
    }
}

/// Numbers in [-1, 1).
fn random(seed: u64, stream: u64, count: usize) -> Vec<f32> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    (0..count).map(|_| rng.random_range(-1.0..1.0)).collect()
}

/// An exact sum, and the sum of the magnitudes of its terms.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    value: f64,
    magnitude: f64,
}

impl Sum {
    fn add(&mut self, term: f64) {
        self.value += term;
        self.magnitude += term.abs();
    }

    fn add_product(&mut self, a: f32, b: f32) {
        self.add(f64::from(a) * f64::from(b));
    }
}

/// Compares numbers with sums; they may differ by `tolerance` times the sum of magnitudes.
fn assert_close(actual: &[f32], expected: &[Sum], tolerance: f64) {
    assert_eq!(actual.len(), expected.len());
    for (index, (actual, expected)) in actual.iter().zip(expected).enumerate() {
        let error = (f64::from(*actual) - expected.value).abs();
        let allowed = tolerance * expected.magnitude + 1e-30;
        assert!(
            error <= allowed,
            "{actual} at {index} instead of {}: off by {error:e}, {allowed:e} allowed",
            expected.value
        );
    }
}

/// The greatest difference of numbers from sums, over the greatest sum of magnitudes.
fn error(actual: &[f32], expected: &[Sum]) -> f64 {
    assert_eq!(actual.len(), expected.len());
    let scale = expected.iter().fold(0.0_f64, |most, sum| most.max(sum.magnitude));
    actual.iter().zip(expected).fold(0.0, |most, (actual, expected)| {
        let error = (f64::from(*actual) - expected.value).abs() / scale;
        // Not `max`, which leaves out what is not a number.
        if error <= most { most } else { error }
    })
}

/// Stored channels, few or many.
fn stored_channels() -> impl Strategy<Value = usize> {
    prop_oneof![4 => 1_usize..=6, 2 => 7_usize..=24, 1 => 25_usize..=64].prop_map(|vectors| vectors * 8)
}

/// Maps of so many channels.
fn map_size(channels: impl Strategy<Value = usize>) -> impl Strategy<Value = MapSize> {
    (1_usize..=17, 1_usize..=17, channels).prop_map(|(height, width, channels)| MapSize { height, width, channels })
}

/// Halves `images` until no more than about `limit` numbers are made of them.
fn fewer_images(images: usize, numbers_each: usize, limit: usize) -> usize {
    images.min(limit / numbers_each.max(1)).max(1)
}
