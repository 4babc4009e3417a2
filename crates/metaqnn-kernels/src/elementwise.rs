//! Padding, the affine maps and statistics of batch normalization, ReLU and its mask.
//!
//! Everything per channel has C entries, C as stored.

use crate::convolution::Placement;
use crate::lanes::{LANES, Lanes, vectorized};

/// Runs a block, given the first channel and the number of vectors V, for all channels: strips of four vectors, then of one. A strip is of whole
/// cache lines, so that each is read once.
macro_rules! in_strips {
    ($channels:expr, |$c:ident, $vectors:ident| $body:expr) => {{
        let mut $c = 0;
        while $c + 4 * LANES <= $channels {
            const $vectors: usize = 4;
            $body;
            $c += 4 * LANES;
        }
        while $c < $channels {
            const $vectors: usize = 1;
            $body;
            $c += LANES;
        }
    }};
}

/// Height, width and stored channels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MapSize {
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
    /// Channels as stored.
    pub channels: usize,
}

impl MapSize {
    /// Numbers of one image.
    pub const fn values(&self) -> usize {
        self.height * self.width * self.channels
    }

    /// Positions of one image.
    pub const fn positions(&self) -> usize {
        self.height * self.width
    }
}

/// Per channel factor and summand.
#[derive(Clone, Copy, Debug)]
pub struct Affine<'a> {
    /// Factors, C.
    pub scale: &'a [f32],
    /// Summands, C.
    pub shift: &'a [f32],
}

/// The gradient of what was normalized, from the gradient g of what came out and its value z: per channel
/// `of_gradient` · g + `of_value` · z + `constant`.
#[derive(Clone, Copy, Debug)]
pub struct NormalizationGradient<'a> {
    /// Factors of the gradient, C.
    pub of_gradient: &'a [f32],
    /// Factors of the value, C.
    pub of_value: &'a [f32],
    /// Summands, C.
    pub constant: &'a [f32],
}

vectorized! {
    /// Puts max(0, scale · x + shift) of `images` dense images of `size` where `placement` says.
    ///
    /// # Panics
    ///
    /// Where the sizes do not agree or channels are no multiple of [`LANES`].
    pub fn place_normalized(
        input: &[f32], size: MapSize, images: usize, affine: Affine<'_>, relu: bool, placement: Placement, output: &mut [f32],
    ) = place_normalized_with;

    /// Puts the gradient of what was normalized, of `images` dense images of `size`, where `placement` says.
    ///
    /// # Panics
    ///
    /// Where the sizes do not agree or channels are no multiple of [`LANES`].
    pub fn place_normalization_gradient(
        gradient: &[f32], value: &[f32], size: MapSize, images: usize, factors: NormalizationGradient<'_>, placement: Placement,
        output: &mut [f32],
    ) = place_normalization_gradient_with;

    /// Puts `gradient` in the place of `value`, what came out of a ReLU, and 0 where that is not above 0.
    ///
    /// # Panics
    ///
    /// Where the lengths differ or are no multiple of [`LANES`].
    pub fn replace_by_relu_gradient(value: &mut [f32], gradient: &[f32]) = replace_by_relu_gradient_with;

    /// The same where ReLU came after a normalization of `value`, and the sums over positions that its gradient asks for: of the
    /// gradient g to `sums`, of g · (value − mean) to `products`.
    ///
    /// # Panics
    ///
    /// Where the lengths do not agree or channels are no multiple of [`LANES`].
    pub fn mask_normalized(
        gradient: &mut [f32], value: &[f32], affine: Affine<'_>, relu: bool, mean: &[f32], sums: &mut [f32], products: &mut [f32],
    ) = mask_normalized_with;

    /// Adds to `sums` and `squares` of each channel x − origin and (x − origin)² over all positions of `input`.
    ///
    /// # Panics
    ///
    /// Where the lengths do not agree or channels are no multiple of [`LANES`].
    pub fn add_statistics(input: &[f32], origin: &[f32], sums: &mut [f32], squares: &mut [f32]) = add_statistics_with;

    /// Adds to `sums` x over all positions of `input`.
    ///
    /// # Panics
    ///
    /// Where the lengths do not agree or channels are no multiple of [`LANES`].
    pub fn add_sums(input: &[f32], sums: &mut [f32]) = add_sums_with;
}

/// Puts `images` dense images of `size` where `placement` says. Any number of channels.
///
/// # Panics
///
/// Where the sizes do not agree.
pub fn place(input: &[f32], size: MapSize, images: usize, placement: Placement, output: &mut [f32]) {
    let MapSize { height, width, channels } = size;
    if placement.step == 1 {
        for (row, input) in input[..images * size.values()].chunks_exact(width * channels).enumerate() {
            let at = placement.index(row / height, row % height, 0) * channels;
            output[at..at + width * channels].copy_from_slice(input);
        }
    } else {
        for (position, input) in input[..images * size.values()].chunks_exact(channels).enumerate() {
            let (row, x) = (position / width, position % width);
            let at = placement.index(row / height, row % height, x) * channels;
            output[at..at + channels].copy_from_slice(input);
        }
    }
}

/// Compares what every function here asks for.
fn check(size: MapSize, images: usize, placement: Placement, inputs: &[&[f32]], channels: &[&[f32]], output: &[f32]) {
    assert!(size.channels.is_multiple_of(LANES), "channels are stored in whole vectors");
    assert!(inputs.iter().all(|input| input.len() >= images * size.values()), "the input is too small");
    assert!(channels.iter().all(|channel| channel.len() == size.channels), "another number of channels");
    let last = placement.index(0, size.height - 1, size.width - 1);
    assert!(last < placement.height * placement.width, "the images are not placed in their buffer");
    assert!(output.len() >= placement.positions(images) * size.channels, "no room for the output");
}

#[inline(always)]
fn place_normalized_with<L: Lanes>(
    input: &[f32],
    size: MapSize,
    images: usize,
    affine: Affine<'_>,
    relu: bool,
    placement: Placement,
    output: &mut [f32],
) {
    check(size, images, placement, &[input], &[affine.scale, affine.shift], output);
    let MapSize { height, width, channels } = size;
    for row in 0..images * height {
        let from = row * width * channels;
        let to = placement.index(row / height, row % height, 0) * channels;
        for x in 0..width {
            let (from, to) = (from + x * channels, to + x * placement.step * channels);
            // SAFETY: `check` compared all sizes.
            unsafe {
                for c in (0..channels).step_by(LANES) {
                    let value = L::load(input.as_ptr().add(from + c));
                    let scale = L::load(affine.scale.as_ptr().add(c));
                    let value = value.mul_add(scale, L::load(affine.shift.as_ptr().add(c)));
                    let value = if relu { value.relu() } else { value };
                    value.store(output.as_mut_ptr().add(to + c));
                }
            }
        }
    }
}

#[inline(always)]
fn place_normalization_gradient_with<L: Lanes>(
    gradient: &[f32],
    value: &[f32],
    size: MapSize,
    images: usize,
    factors: NormalizationGradient<'_>,
    placement: Placement,
    output: &mut [f32],
) {
    let NormalizationGradient { of_gradient, of_value, constant } = factors;
    check(size, images, placement, &[gradient, value], &[of_gradient, of_value, constant], output);
    let MapSize { height, width, channels } = size;
    for row in 0..images * height {
        let from = row * width * channels;
        let to = placement.index(row / height, row % height, 0) * channels;
        for x in 0..width {
            let (from, to) = (from + x * channels, to + x * placement.step * channels);
            // SAFETY: `check` compared all sizes.
            unsafe {
                for c in (0..channels).step_by(LANES) {
                    let sum = L::load(value.as_ptr().add(from + c))
                        .mul_add(L::load(of_value.as_ptr().add(c)), L::load(constant.as_ptr().add(c)));
                    let sum =
                        L::load(gradient.as_ptr().add(from + c)).mul_add(L::load(of_gradient.as_ptr().add(c)), sum);
                    sum.store(output.as_mut_ptr().add(to + c));
                }
            }
        }
    }
}

#[inline(always)]
fn replace_by_relu_gradient_with<L: Lanes>(value: &mut [f32], gradient: &[f32]) {
    assert!(gradient.len() == value.len() && value.len().is_multiple_of(LANES), "lengths differ");
    for at in (0..value.len()).step_by(LANES) {
        // SAFETY: whole vectors, of both.
        unsafe {
            let to = value.as_mut_ptr().add(at);
            L::load(gradient.as_ptr().add(at)).where_positive(L::load(to)).store(to);
        }
    }
}

#[inline(always)]
fn mask_normalized_with<L: Lanes>(
    gradient: &mut [f32],
    value: &[f32],
    affine: Affine<'_>,
    relu: bool,
    mean: &[f32],
    sums: &mut [f32],
    products: &mut [f32],
) {
    let channels = mean.len();
    assert!(channels.is_multiple_of(LANES) && gradient.len() == value.len() && value.len().is_multiple_of(channels));
    assert!([affine.scale, affine.shift, sums, products].iter().all(|entries| entries.len() == channels));
    let mut work = MaskNormalized { gradient, value, affine, relu, mean, sums, products };
    // SAFETY: whole vectors of entries per channel; positions within both buffers.
    unsafe {
        in_strips!(channels, |c, V| work.strip::<L, V>(c));
    }
}

/// What [`mask_normalized`] is given.
struct MaskNormalized<'a> {
    gradient: &'a mut [f32],
    value: &'a [f32],
    affine: Affine<'a>,
    relu: bool,
    mean: &'a [f32],
    sums: &'a mut [f32],
    products: &'a mut [f32],
}

impl MaskNormalized<'_> {
    /// # Safety
    ///
    /// There are `V` vectors of channels from `c` on.
    #[inline(always)]
    unsafe fn strip<L: Lanes, const V: usize>(&mut self, c: usize) {
        // SAFETY: as said above; positions within both buffers.
        unsafe {
            let scale = load_strip::<L, V>(self.affine.scale, c);
            let shift = load_strip::<L, V>(self.affine.shift, c);
            let mean = load_strip::<L, V>(self.mean, c);
            let mut sum = load_strip::<L, V>(self.sums, c);
            let mut product = load_strip::<L, V>(self.products, c);
            for at in (c..self.value.len()).step_by(self.mean.len()) {
                for v in 0..V {
                    let value = L::load(self.value.as_ptr().add(at + v * LANES));
                    let to = self.gradient.as_mut_ptr().add(at + v * LANES);
                    let mut gradient = L::load(to);
                    if self.relu {
                        gradient = gradient.where_positive(value.mul_add(scale[v], shift[v]));
                        gradient.store(to);
                    }
                    sum[v] = sum[v].add(gradient);
                    product[v] = gradient.mul_add(value.sub(mean[v]), product[v]);
                }
            }
            store_strip(sum, self.sums, c);
            store_strip(product, self.products, c);
        }
    }
}

/// # Safety
///
/// There are `V` vectors from `c` on.
#[inline(always)]
unsafe fn load_strip<L: Lanes, const V: usize>(from: &[f32], c: usize) -> [L; V] {
    // SAFETY: as said above.
    unsafe {
        let mut strip = [L::splat(0.0); V];
        for (v, vector) in strip.iter_mut().enumerate() {
            *vector = L::load(from.as_ptr().add(c + v * LANES));
        }
        strip
    }
}

/// # Safety
///
/// There are `V` vectors from `c` on.
#[inline(always)]
unsafe fn store_strip<L: Lanes, const V: usize>(strip: [L; V], to: &mut [f32], c: usize) {
    // SAFETY: as said above.
    unsafe {
        for (v, vector) in strip.into_iter().enumerate() {
            vector.store(to.as_mut_ptr().add(c + v * LANES));
        }
    }
}

#[inline(always)]
fn add_statistics_with<L: Lanes>(input: &[f32], origin: &[f32], sums: &mut [f32], squares: &mut [f32]) {
    let channels = origin.len();
    assert!(channels.is_multiple_of(LANES) && input.len().is_multiple_of(channels));
    assert!(sums.len() == channels && squares.len() == channels);
    // SAFETY: whole vectors of entries per channel.
    unsafe {
        in_strips!(channels, |c, V| add_statistics_strip::<L, V>(input, origin, sums, squares, c));
    }
}

/// # Safety
///
/// There are `V` vectors of channels from `c` on.
#[inline(always)]
unsafe fn add_statistics_strip<L: Lanes, const V: usize>(
    input: &[f32],
    origin: &[f32],
    sums: &mut [f32],
    squares: &mut [f32],
    c: usize,
) {
    // SAFETY: as said above; positions within the input.
    unsafe {
        let from = load_strip::<L, V>(origin, c);
        let mut sum = load_strip::<L, V>(sums, c);
        let mut square = load_strip::<L, V>(squares, c);
        for at in (c..input.len()).step_by(origin.len()) {
            for v in 0..V {
                let difference = L::load(input.as_ptr().add(at + v * LANES)).sub(from[v]);
                sum[v] = sum[v].add(difference);
                square[v] = difference.mul_add(difference, square[v]);
            }
        }
        store_strip(sum, sums, c);
        store_strip(square, squares, c);
    }
}

#[inline(always)]
fn add_sums_with<L: Lanes>(input: &[f32], sums: &mut [f32]) {
    let channels = sums.len();
    assert!(channels.is_multiple_of(LANES) && input.len().is_multiple_of(channels));
    // SAFETY: whole vectors of entries per channel.
    unsafe {
        in_strips!(channels, |c, V| add_sums_strip::<L, V>(input, sums, c));
    }
}

/// # Safety
///
/// There are `V` vectors of channels from `c` on.
#[inline(always)]
unsafe fn add_sums_strip<L: Lanes, const V: usize>(input: &[f32], sums: &mut [f32], c: usize) {
    // SAFETY: as said above; positions within the input.
    unsafe {
        let mut sum = load_strip::<L, V>(sums, c);
        for at in (c..input.len()).step_by(sums.len()) {
            for v in 0..V {
                sum[v] = sum[v].add(L::load(input.as_ptr().add(at + v * LANES)));
            }
        }
        store_strip(sum, sums, c);
    }
}
