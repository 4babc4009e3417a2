//! Parts of the images that are always the same.

use std::borrow::Cow;

use metaqnn_data::{LabelledImages, stratified_subset};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// A stratified part of `images` that is always the same; all where `n` is 0 or not fewer.
pub(crate) fn fixed_part(images: &LabelledImages, classes: usize, n: usize) -> Cow<'_, LabelledImages> {
    if n == 0 || n >= images.len() {
        return Cow::Borrowed(images);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(PART_SEED);
    Cow::Owned(images.select(&stratified_subset(&images.labels, classes, n, &mut rng)))
}

/// Seed of the parts of the images that trials use, the same for every trial of every study.
const PART_SEED: u64 = 0x7061_7274;
