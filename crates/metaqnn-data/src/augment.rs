//! Random changes to training images that keep their class.

use rand::Rng;
use serde::{Deserialize, Serialize};

use crate::data_set::ImageShape;
use crate::split::below;

/// What may be done to a training image, after it was normalized. The default is nothing.
///
/// What comes in from beyond the border is the median of the image's border pixels in each channel, which keeps a plain background
/// plain; what is erased is 0, which after normalization is the mean of all images.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Augmentation {
    /// Mirror left and right, with probability ½.
    pub mirror: bool,
    /// Mirror an image in every second pass, in place of at random: half of the images in passes of an even number, the others in passes of an
    /// odd one (Jordan, 2024, arXiv 2404.00498, section 3.6). Of use with `mirror` alone.
    pub alternate: bool,
    /// Turn by 0, 90, 180 or 270 degrees with the same probability, images that are not square by 0 or 180; before anything else.
    pub turn: bool,
    /// Move by up to so many pixels, drawn uniformly, along each axis.
    pub shift: usize,
    /// Turn around the middle by up to so many degrees, drawn uniformly, either way.
    pub rotation: u32,
    /// Stretch or shrink each axis by up to so many per cent, drawn uniformly. With this or `rotation` images move by parts of pixels; of
    /// half of them pixels are interpolated linearly, of the others the nearest ones are taken: a network that has only seen what
    /// interpolation has smoothed does badly on images with noise.
    pub scale: u32,
    /// Side, in pixels, of a square that is erased around a point drawn uniformly, so it may lie partly outside
    /// (DeVries and Taylor, 2017, "Improved Regularization of Convolutional Neural Networks with Cutout"); 0 for none.
    pub erase: usize,
}

/// Which image is shown in which pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Showing {
    /// Index of the image among the training images.
    pub image: usize,
    /// Number of the pass, from 0.
    pub pass: u32,
}

impl Showing {
    /// Whether alternate mirroring mirrors it: every image in every second pass.
    fn is_mirrored(self) -> bool {
        // The finalizer of SplitMix64: neighbours have nothing in common.
        let mut bits = (self.image as u64).wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits >> 63) != u64::from(self.pass % 2)
    }
}

impl Augmentation {
    /// Whether it leaves every image as it is.
    #[must_use]
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }

    /// Writes a randomly changed copy of `src`, shown as `showing` says, to `dst`. How much is drawn from `rng` depends on the settings alone,
    /// not on the image.
    ///
    /// # Shapes
    /// `src` and `dst` have dimensions CHW, those of `shape`.
    ///
    /// # Panics
    /// If `src` or `dst` has another length.
    pub fn apply<R: Rng + ?Sized>(
        &self,
        shape: ImageShape,
        src: &[f32],
        dst: &mut [f32],
        showing: Showing,
        rng: &mut R,
    ) {
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
        let turned;
        let src = if self.turn {
            turned = turned_by(src, height, width, draw_turns(height == width, rng));
            &turned
        } else {
            src
        };
        let mirrored = self.mirror && if self.alternate { showing.is_mirrored() } else { below(2, rng) == 1 };
        if self.rotation > 0 || self.scale > 0 {
            let map = self.draw_map(height, width, mirrored, rng);
            let planes = src.chunks_exact(height * width).zip(dst.chunks_exact_mut(height * width));
            for (src, dst) in planes {
                map.apply(src, height, width, dst);
            }
        } else {
            // dst[y][x] = src[y + down][x + right], the border's median where that is outside.
            let (down, right) = if self.shift > 0 { (self.draw_shift(rng), self.draw_shift(rng)) } else { (0, 0) };
            let planes = src.chunks_exact(height * width).zip(dst.chunks_exact_mut(height * width));
            for (src, dst) in planes {
                let outside = if (down, right) == (0, 0) { 0.0 } else { border_median(src, height, width) };
                for (y, row) in dst.chunks_exact_mut(width).enumerate() {
                    match y.checked_add_signed(down).filter(|&y| y < height) {
                        Some(y) => shift_row(&src[y * width..(y + 1) * width], right, mirrored, outside, row),
                        None => row.fill(outside),
                    }
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

    fn draw_map<R: Rng + ?Sized>(&self, height: usize, width: usize, mirrored: bool, rng: &mut R) -> AffineMap {
        // Uniform in [-most, most], in steps of 2⁻²³ of it.
        let mut draw = |most: f32| most * ((rng.next_u32() >> 8) as f32 / (1 << 23) as f32 - 1.0);
        let (sin, cos) = draw((self.rotation as f32).to_radians()).sin_cos();
        let most = self.scale as f32 / 100.0;
        // A factor and its inverse are equally likely.
        let [rows, columns] =
            [draw(most), draw(most)].map(|part| if part < 0.0 { 1.0 - part } else { 1.0 / (1.0 + part) });
        let [down, right] = [draw(self.shift as f32), draw(self.shift as f32)];
        let [middle_y, middle_x] = [height, width].map(|side| (side as f32 - 1.0) / 2.0);
        let is_smooth = rng.next_u32() >> 31 == 1;
        let mirror = if mirrored { -1.0 } else { 1.0 };
        let row = [cos * rows, sin * columns * mirror];
        let column = [-sin * rows, cos * columns * mirror];
        let offset =
            |[by_y, by_x]: [f32; 2], middle: f32, moved: f32| middle + moved - by_y * middle_y - by_x * middle_x;
        AffineMap {
            is_smooth,
            row,
            column,
            row_offset: offset(row, middle_y, down),
            column_offset: offset(column, middle_x, right),
        }
    }
}

/// Quarter turns: as many as leave the shape as it is.
fn draw_turns<R: Rng + ?Sized>(is_square: bool, rng: &mut R) -> usize {
    if is_square { below(4, rng) } else { 2 * below(2, rng) }
}

/// The planes of one image turned clockwise by so many quarters, an even number where it is not square.
pub(crate) fn turned_by<T: Copy>(planes: &[T], height: usize, width: usize, quarters: usize) -> Vec<T> {
    let pixel = |y: usize, x: usize| match quarters % 4 {
        0 => (y, x),
        1 => (height - 1 - x, y),
        2 => (height - 1 - y, width - 1 - x),
        _ => (x, width - 1 - y),
    };
    let turn = |plane: &[T]| -> Vec<T> {
        let places = (0..height).flat_map(|y| (0..width).map(move |x| (y, x)));
        places.map(|(y, x)| pixel(y, x)).map(|(y, x)| plane[y * width + x]).collect()
    };
    planes.chunks_exact((height * width).max(1)).flat_map(turn).collect()
}

/// From a position of the result to one of the source: row = `row`[0] · y + `row`[1] · x + `row_offset`, column likewise.
struct AffineMap {
    /// Whether pixels are interpolated.
    is_smooth: bool,
    row: [f32; 2],
    row_offset: f32,
    column: [f32; 2],
    column_offset: f32,
}

impl AffineMap {
    /// Samples one channel.
    fn apply(&self, src: &[f32], height: usize, width: usize, dst: &mut [f32]) {
        let outside = border_median(src, height, width);
        let pixel = |y: isize, x: isize| {
            let inside = (0..height as isize).contains(&y) && (0..width as isize).contains(&x);
            if inside { src[y as usize * width + x as usize] } else { outside }
        };
        for (y, row) in dst.chunks_exact_mut(width).enumerate() {
            for (x, value) in row.iter_mut().enumerate() {
                let from_y = self.row[0] * y as f32 + self.row[1] * x as f32 + self.row_offset;
                let from_x = self.column[0] * y as f32 + self.column[1] * x as f32 + self.column_offset;
                if !self.is_smooth {
                    *value = pixel(from_y.round() as isize, from_x.round() as isize);
                    continue;
                }
                let (top, left) = (from_y.floor(), from_x.floor());
                let (part_y, part_x) = (from_y - top, from_x - left);
                let (top, left) = (top as isize, left as isize);
                let blend = |a: f32, b: f32, part: f32| a + (b - a) * part;
                *value = blend(
                    blend(pixel(top, left), pixel(top, left + 1), part_x),
                    blend(pixel(top + 1, left), pixel(top + 1, left + 1), part_x),
                    part_y,
                );
            }
        }
    }
}

/// The median of the outermost pixels of one channel: the background, even where a stroke reaches the border.
fn border_median(plane: &[f32], height: usize, width: usize) -> f32 {
    let mut border = Vec::with_capacity(2 * (height + width));
    border.extend_from_slice(&plane[..width]);
    border.extend_from_slice(&plane[(height - 1) * width..]);
    border.extend(plane.chunks_exact(width).flat_map(|row| [row[0], row[width - 1]]));
    let middle = border.len() / 2;
    *border.select_nth_unstable_by(middle, f32::total_cmp).1
}

/// The part of a square of the given side around `middle` that lies in `0..size`.
fn reach(middle: usize, side: usize, size: usize) -> std::ops::Range<usize> {
    let start = middle.saturating_sub(side / 2);
    // Counted from where the square would start, even outside.
    let end = (middle + side).saturating_sub(side / 2).min(size);
    start..end
}

/// dst[x] = src[x + right] where that exists, else `outside`; with `mirrored`, of the mirrored row.
fn shift_row(src: &[f32], right: isize, mirrored: bool, outside: f32, dst: &mut [f32]) {
    let width = src.len();
    if mirrored {
        for (x, value) in dst.iter_mut().enumerate() {
            *value = x.checked_add_signed(right).filter(|&x| x < width).map_or(outside, |x| src[width - 1 - x]);
        }
        return;
    }
    let distance = right.unsigned_abs().min(width);
    if right >= 0 {
        dst[..width - distance].copy_from_slice(&src[distance..]);
        dst[width - distance..].fill(outside);
    } else {
        dst[distance..].copy_from_slice(&src[..width - distance]);
        dst[..distance].fill(outside);
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
    const FIRST: Showing = Showing { image: 0, pass: 0 };

    #[test]
    fn alternate_mirroring_shows_each_image_both_ways_in_two_passes() {
        let alternate = Augmentation { mirror: true, alternate: true, ..Augmentation::default() };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut shown = |image: usize, pass: u32| {
            let mut out = vec![0.0; 2];
            let shape = ImageShape { channels: 1, height: 1, width: 2 };
            alternate.apply(shape, &[1.0, 2.0], &mut out, Showing { image, pass }, &mut rng);
            out == [2.0, 1.0]
        };
        let mirrored_first = (0..1_000).filter(|&image| shown(image, 0)).count();
        assert!((440..560).contains(&mirrored_first), "{mirrored_first}");
        for image in 0..1_000 {
            assert_ne!(shown(image, 0), shown(image, 1));
            assert_eq!(shown(image, 0), shown(image, 2));
        }
    }

    #[test]
    fn images_are_turned_by_quarters() {
        let square = [1, 2, 3, 4];
        let turned: Vec<Vec<i32>> = (0..5).map(|quarters| turned_by(&square, 2, 2, quarters)).collect();
        assert_eq!(turned, [[1, 2, 3, 4], [3, 1, 4, 2], [4, 3, 2, 1], [2, 4, 1, 3], [1, 2, 3, 4]]);
        assert_eq!(turned_by(&[1, 2, 3, 4, 5, 6], 2, 3, 2), [6, 5, 4, 3, 2, 1]);
        let drawn = |is_square| -> HashSet<usize> {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            (0..100).map(|_| draw_turns(is_square, &mut rng)).collect()
        };
        assert_eq!(drawn(true), HashSet::from([0, 1, 2, 3]));
        assert_eq!(drawn(false), HashSet::from([0, 2]));
    }

    fn image() -> Vec<f32> {
        (1..=SHAPE.pixels()).map(|value| value as f32).collect()
    }

    fn at(image: &[f32], channel: usize, y: isize, x: isize) -> f32 {
        if y < 0 || x < 0 || y >= SHAPE.height as isize || x >= SHAPE.width as isize {
            return outside(image, channel);
        }
        image[(channel * SHAPE.height + y as usize) * SHAPE.width + x as usize]
    }

    fn outside(image: &[f32], channel: usize) -> f32 {
        border_median(
            &image[channel * SHAPE.height * SHAPE.width..][..SHAPE.height * SHAPE.width],
            SHAPE.height,
            SHAPE.width,
        )
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
                                    let beyond = outside(&image, channel);
                                    let value = if inside { at(&image, channel, y + down, from) } else { beyond };
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
        let key = |image: &[f32]| image.iter().map(|value| value.to_bits()).collect::<Vec<u32>>();
        for augmentation in [
            Augmentation::default(),
            Augmentation { mirror: true, ..Augmentation::default() },
            Augmentation { shift: 1, ..Augmentation::default() },
            Augmentation { shift: 5, mirror: true, ..Augmentation::default() },
            Augmentation { erase: 2, ..Augmentation::default() },
            Augmentation { erase: 3, shift: 1, mirror: true, ..Augmentation::default() },
        ] {
            let allowed: HashSet<Vec<u32>> = allowed(augmentation).iter().map(|image| key(image)).collect();
            let mut rng = ChaCha8Rng::seed_from_u64(3);
            let mut seen = HashSet::new();
            for _ in 0..8_000 {
                let mut out = vec![f32::NAN; SHAPE.pixels()];
                augmentation.apply(SHAPE, &image(), &mut out, FIRST, &mut rng);
                let out = key(&out);
                assert!(allowed.contains(&out), "{augmentation:?}: {out:?}");
                seen.insert(out);
            }
            assert_eq!(seen.len(), allowed.len(), "{augmentation:?}");
        }
    }

    #[test]
    fn a_quarter_turn_turns_and_a_plain_image_stays_plain() {
        let shape = ImageShape { channels: 1, height: 3, width: 3 };
        let src: Vec<f32> = (0..9).map(|value| value as f32).collect();
        let map =
            AffineMap { is_smooth: true, row: [0.0, 1.0], row_offset: 0.0, column: [-1.0, 0.0], column_offset: 2.0 };
        let mut out = vec![0.0; 9];
        map.apply(&src, 3, 3, &mut out);
        assert_eq!(out, [2.0, 5.0, 8.0, 1.0, 4.0, 7.0, 0.0, 3.0, 6.0]);

        let augmentation =
            Augmentation { mirror: true, alternate: false, turn: true, shift: 2, rotation: 30, scale: 30, erase: 0 };
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut different = HashSet::new();
        for _ in 0..50 {
            augmentation.apply(shape, &[7.0; 9], &mut out, FIRST, &mut rng);
            assert!(out.iter().all(|value| (value - 7.0).abs() < 1e-5), "{out:?}");
            augmentation.apply(shape, &src, &mut out, FIRST, &mut rng);
            different.insert(out.iter().map(|value| value.to_bits()).collect::<Vec<_>>());
        }
        assert!(different.len() > 45, "{}", different.len());
    }

    proptest! {
        #[test]
        fn any_setting_fills_the_whole_image(
            mirror: bool, shift in 0_usize..40, erase in 0_usize..40, rotation in 0_u32..180, scale in 0_u32..90, seed: u64,
        ) {
            let mut out = vec![f32::NAN; SHAPE.pixels()];
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            Augmentation { mirror, alternate: false, turn: false, shift, erase, rotation, scale }.apply(SHAPE, &image(), &mut out, FIRST, &mut rng);
            prop_assert!(out.iter().all(|value| value.is_finite()));
            // Linear interpolation stays between the least and the greatest pixel.
            prop_assert!(out.iter().all(|value| (0.0..=SHAPE.pixels() as f32 + 1e-3).contains(value)));
        }
    }
}
