//! Random changes to training images that keep their class.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::data_set::ImageShape;
use crate::split::below;

/// What may be done to a training image, after it was normalized. The default is nothing.
///
/// What comes in from beyond the border and what is erased is 0, which after normalization is the mean.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Mirror left and right, with probability ½.
    pub mirror: bool,
    /// Move by up to so many pixels, drawn uniformly, along each axis.
    pub shift: usize,
    /// Side, in pixels, of a square that is erased around a point drawn uniformly, so it may lie partly outside
    /// (DeVries and Taylor, 2017, "Improved Regularization of Convolutional Neural Networks with Cutout"); 0 for none.
    pub erase: usize,
}

impl Augmentation {
    /// Whether it leaves every image as it is.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Writes a randomly changed copy of `src` to `dst`. How much is drawn from `rng` depends on the settings alone,
    /// not on the image.
    ///
    /// # Shapes
    /// `src` and `dst` have dimensions CHW, those of `shape`.
    ///
    /// # Panics
    /// If `src` or `dst` has another length.
    pub fn apply<R: Rng + ?Sized>(&self, shape: ImageShape, src: &[f32], dst: &mut [f32], rng: &mut R) {
        let ImageShape { height, width, .. } = shape;
        assert!(
            src.len() == shape.pixels() && dst.len() == shape.pixels(),
            "an image of {shape} needs {} values (CHW), found {} in and {} out",
            shape.pixels(),
            src.len(),
            dst.len()
        );
        if dst.is_empty() {
            return;
        }
        let mirrored = self.mirror && below(2, rng) == 1;
        // dst[y][x] = src[y + down][x + right], 0 where that is outside.
        let (down, right) = if self.shift > 0 { (self.draw_shift(rng), self.draw_shift(rng)) } else { (0, 0) };
        let planes = src.chunks_exact(height * width).zip(dst.chunks_exact_mut(height * width));
        for (src, dst) in planes {
            for (y, row) in dst.chunks_exact_mut(width).enumerate() {
                match y.checked_add_signed(down).filter(|&y| y < height) {
                    Some(y) => shift_row(&src[y * width..(y + 1) * width], right, mirrored, row),
                    None => row.fill(0.0),
                }
            }
        }
        if self.erase > 0 {
            let (y, x) = (below(height, rng), below(width, rng));
            let rows = reach(y, self.erase, height);
            let columns = reach(x, self.erase, width);
            for plane in dst.chunks_exact_mut(height * width) {
                for y in rows.clone() {
                    plane[y * width..][columns.clone()].fill(0.0);
                }
            }
        }
    }

    fn draw_shift<R: Rng + ?Sized>(&self, rng: &mut R) -> isize {
        below(2 * self.shift + 1, rng) as isize - self.shift as isize
    }
}

/// The part of a square of the given side around `middle` that lies in `0..size`.
fn reach(middle: usize, side: usize, size: usize) -> std::ops::Range<usize> {
    let start = middle.saturating_sub(side / 2);
    // Counted from where the square would start, even outside.
    let end = (middle + side).saturating_sub(side / 2).min(size);
    start..end
}

/// dst[x] = src[x + right] where that exists, else 0; with `mirrored`, of the mirrored row.
fn shift_row(src: &[f32], right: isize, mirrored: bool, dst: &mut [f32]) {
    let width = src.len();
    if mirrored {
        for (x, value) in dst.iter_mut().enumerate() {
            *value = x.checked_add_signed(right).filter(|&x| x < width).map_or(0.0, |x| src[width - 1 - x]);
        }
        return;
    }
    let distance = right.unsigned_abs().min(width);
    if right >= 0 {
        dst[..width - distance].copy_from_slice(&src[distance..]);
        dst[width - distance..].fill(0.0);
    } else {
        dst[distance..].copy_from_slice(&src[..width - distance]);
        dst[..distance].fill(0.0);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    const SHAPE: ImageShape = ImageShape { channels: 2, height: 3, width: 4 };

    fn image() -> Vec<f32> {
        (1..=SHAPE.pixels()).map(|value| value as f32).collect()
    }

    fn at(image: &[f32], channel: usize, y: isize, x: isize) -> f32 {
        if y < 0 || x < 0 || y >= SHAPE.height as isize || x >= SHAPE.width as isize {
            return 0.0;
        }
        image[(channel * SHAPE.height + y as usize) * SHAPE.width + x as usize]
    }

    /// Every result that the definition allows, pixel by pixel.
    fn allowed(augmentation: Augmentation) -> Vec<Vec<f32>> {
        let (shift, erase) = (augmentation.shift as isize, augmentation.erase as isize);
        let image = image();
        let mut results = Vec::new();
        for mirrored in if augmentation.mirror { vec![false, true] } else { vec![false] } {
            for down in -shift..=shift {
                for right in -shift..=shift {
                    for (my, mx) in
                        (0..SHAPE.height as isize).flat_map(|y| (0..SHAPE.width as isize).map(move |x| (y, x)))
                    {
                        let mut result = Vec::new();
                        for channel in 0..SHAPE.channels {
                            for y in 0..SHAPE.height as isize {
                                for x in 0..SHAPE.width as isize {
                                    let erased = (my - erase / 2..my - erase / 2 + erase).contains(&y)
                                        && (mx - erase / 2..mx - erase / 2 + erase).contains(&x);
                                    let inside = (0..SHAPE.width as isize).contains(&(x + right));
                                    let from =
                                        if mirrored { SHAPE.width as isize - 1 - (x + right) } else { x + right };
                                    let value = if inside { at(&image, channel, y + down, from) } else { 0.0 };
                                    result.push(if erased { 0.0 } else { value });
                                }
                            }
                        }
                        results.push(result);
                    }
                }
            }
        }
        results
    }

    #[test]
    fn every_allowed_result_occurs_and_no_other() {
        let key = |image: &[f32]| image.iter().map(|value| *value as u32).collect::<Vec<u32>>();
        for augmentation in [
            Augmentation::default(),
            Augmentation { mirror: true, ..Augmentation::default() },
            Augmentation { shift: 1, ..Augmentation::default() },
            Augmentation { shift: 5, mirror: true, ..Augmentation::default() },
            Augmentation { erase: 2, ..Augmentation::default() },
            Augmentation { erase: 3, shift: 1, mirror: true },
        ] {
            let allowed: HashSet<Vec<u32>> = allowed(augmentation).iter().map(|image| key(image)).collect();
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut seen = HashSet::new();
            for _ in 0..8_000 {
                let mut out = vec![f32::NAN; SHAPE.pixels()];
                augmentation.apply(SHAPE, &image(), &mut out, &mut rng);
                let out = key(&out);
                assert!(allowed.contains(&out), "{augmentation:?}: {out:?}");
                seen.insert(out);
            }
            assert_eq!(seen.len(), allowed.len(), "{augmentation:?}");
        }
    }

    proptest! {
        #[test]
        fn any_setting_fills_the_whole_image(mirror: bool, shift in 0_usize..40, erase in 0_usize..40, seed: u64) {
            let mut out = vec![f32::NAN; SHAPE.pixels()];
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            Augmentation { mirror, shift, erase }.apply(SHAPE, &image(), &mut out, &mut rng);
            prop_assert!(out.iter().all(|value| value.is_finite()));
        }
    }
}
