//! Padding, the affine maps and statistics of batch normalization, ReLU and its mask.
//!
//! Everything per channel has C entries, C as stored.

use crate::convolution::Placement;
use crate::lanes::{LANES, Lanes, each_vector, vectorized};

/// Calls a function, generic over [`Lanes`] and a number of vectors, with the first channel of each strip of all channels: strips of four of the
/// widest vectors, of two and of one, then of narrow ones. As far as possible a strip is of whole cache lines, so that each is read once.
macro_rules! in_strips {
    ($lanes:ident, $channels:expr, |$c:ident| $function:ident($($argument:expr),*)) => {{
        let block = <$lanes::Block as Lanes>::COUNT;
        let mut $c = 0;
        while $c + 4 * block <= $channels {
            $function::<$lanes::Block, 4>($($argument),*);
            $c += 4 * block;
        }
        while $c + 2 * block <= $channels {
            $function::<$lanes::Block, 2>($($argument),*);
            $c += 2 * block;
        }
        while $c + block <= $channels {
            $function::<$lanes::Block, 1>($($argument),*);
            $c += block;
        }
        while $c < $channels {
            $function::<$lanes, 1>($($argument),*);
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
                let (from, to) = (input.as_ptr().add(from), output.as_mut_ptr().add(to));
                each_vector!(L, channels, |c| normalize_vector::<_>(from.add(c), affine, relu, c, to.add(c)));
            }
        }
    }
}

/// # Safety
///
/// As of [`Lanes`], for both pointers and the factors from `c` on.
#[inline(always)]
unsafe fn normalize_vector<L: Lanes>(from: *const f32, affine: Affine<'_>, relu: bool, c: usize, to: *mut f32) {
    // SAFETY: as said above.
    unsafe {
        let scale = L::load(affine.scale.as_ptr().add(c));
        let value = L::load(from).mul_add(scale, L::load(affine.shift.as_ptr().add(c)));
        let value = if relu { value.relu() } else { value };
        value.store(to);
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
                let (gradient, value) = (gradient.as_ptr().add(from), value.as_ptr().add(from));
                let to = output.as_mut_ptr().add(to);
                each_vector!(L, channels, |c| normalization_gradient_vector::<_>(
                    gradient.add(c),
                    value.add(c),
                    factors,
                    c,
                    to.add(c)
                ));
            }
        }
    }
}

/// # Safety
///
/// As of [`Lanes`], for all pointers and the factors from `c` on.
#[inline(always)]
unsafe fn normalization_gradient_vector<L: Lanes>(
    gradient: *const f32,
    value: *const f32,
    factors: NormalizationGradient<'_>,
    c: usize,
    to: *mut f32,
) {
    // SAFETY: as said above.
    unsafe {
        let of = |factors: &[f32]| L::load(factors.as_ptr().add(c));
        let sum = L::load(value).mul_add(of(factors.of_value), of(factors.constant));
        L::load(gradient).mul_add(of(factors.of_gradient), sum).store(to);
    }
}

#[inline(always)]
fn replace_by_relu_gradient_with<L: Lanes>(value: &mut [f32], gradient: &[f32]) {
    assert!(gradient.len() == value.len() && value.len().is_multiple_of(LANES), "lengths differ");
    let (from, to, length) = (gradient.as_ptr(), value.as_mut_ptr(), value.len());
    // SAFETY: whole vectors, of both.
    unsafe {
        each_vector!(L, length, |at| replace_vector::<_>(from.add(at), to.add(at)));
    }
}

/// # Safety
///
/// As of [`Lanes`], for both pointers.
#[inline(always)]
unsafe fn replace_vector<L: Lanes>(gradient: *const f32, value: *mut f32) {
    // SAFETY: as said above.
    unsafe { L::load(gradient).where_positive(L::load(value)).store(value) }
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
        in_strips!(L, channels, |c| mask_strip(&mut work, c));
    }
}

/// What [`mask_normalized`] is given, handed from strip to strip.
struct MaskNormalized<'a> {
    gradient: &'a mut [f32],
    value: &'a [f32],
    affine: Affine<'a>,
    relu: bool,
    mean: &'a [f32],
    sums: &'a mut [f32],
    products: &'a mut [f32],
}

/// # Safety
///
/// There are `V` vectors of channels from `c` on.
#[inline(always)]
unsafe fn mask_strip<L: Lanes, const V: usize>(work: &mut MaskNormalized<'_>, c: usize) {
    // SAFETY: as said above; positions within both buffers.
    unsafe {
        let scale = load_strip::<L, V>(work.affine.scale, c);
        let shift = load_strip::<L, V>(work.affine.shift, c);
        let mean = load_strip::<L, V>(work.mean, c);
        let mut sum = load_strip::<L, V>(work.sums, c);
        let mut product = load_strip::<L, V>(work.products, c);
        for at in (c..work.value.len()).step_by(work.mean.len()) {
            for v in 0..V {
                let value = L::load(work.value.as_ptr().add(at + v * L::COUNT));
                let to = work.gradient.as_mut_ptr().add(at + v * L::COUNT);
                let mut gradient = L::load(to);
                if work.relu {
                    gradient = gradient.where_positive(value.mul_add(scale[v], shift[v]));
                    gradient.store(to);
                }
                sum[v] = sum[v].add(gradient);
                product[v] = gradient.mul_add(value.sub(mean[v]), product[v]);
            }
        }
        store_strip(sum, work.sums, c);
        store_strip(product, work.products, c);
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
            *vector = L::load(from.as_ptr().add(c + v * L::COUNT));
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
            vector.store(to.as_mut_ptr().add(c + v * L::COUNT));
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
        in_strips!(L, channels, |c| add_statistics_strip(input, origin, sums, squares, c));
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
                let difference = L::load(input.as_ptr().add(at + v * L::COUNT)).sub(from[v]);
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
        in_strips!(L, channels, |c| add_sums_strip(input, sums, c));
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
            for (v, sum) in sum.iter_mut().enumerate() {
                *sum = sum.add(L::load(input.as_ptr().add(at + v * L::COUNT)));
            }
        }
        store_strip(sum, sums, c);
    }
}
