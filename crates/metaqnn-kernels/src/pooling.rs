//! Max and average pooling without padding, and the mean over a map.

use crate::elementwise::MapSize;
use crate::lanes::{LANES, Lanes, each_vector, vectorized};

/// Windows of pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Side of a window; of max pooling at most 15.
    pub kernel_size: usize,
    /// Step between windows.
    pub stride: usize,
}

impl Pool {
    /// Size of what comes out for images of `input`.
    pub const fn output(&self, input: MapSize) -> MapSize {
        MapSize {
            height: (input.height - self.kernel_size) / self.stride + 1,
            width: (input.width - self.kernel_size) / self.stride + 1,
            channels: input.channels,
        }
    }
}

vectorized! {
    /// The greatest number of each window and channel of `images` dense images of `size`, and in `positions` which of the window it is,
    /// counted row by row; of equal ones the first. What is not a
    /// number counts as greater than all that are.
    ///
    /// # Panics
    ///
    /// Where the sizes do not agree or channels are no multiple of [`LANES`].
    pub fn max_pool(
        input: &[f32], size: MapSize, images: usize, pool: Pool, output: &mut [f32], positions: &mut [u8],
    ) = max_pool_with;

    /// Gives each number of `output_gradient` to where [`max_pool`] found the greatest; `input_gradient` is overwritten.
    ///
    /// # Panics
    ///
    /// Where the sizes do not agree or channels are no multiple of [`LANES`].
    pub fn max_pool_gradient(
        output_gradient: &[f32], positions: &[u8], size: MapSize, images: usize, pool: Pool, input_gradient: &mut [f32],
    ) = max_pool_gradient_with;

    /// The mean of each window of `images` dense images of `size`.
    ///
    /// # Panics
    ///
    /// Where the sizes do not agree or channels are no multiple of [`LANES`].
    pub fn average_pool(input: &[f32], size: MapSize, images: usize, pool: Pool, output: &mut [f32]) = average_pool_with;

    /// Gives each number of `output_gradient` in equal parts to the positions of its window; `input_gradient` is overwritten.
    ///
    /// # Panics
    ///
    /// Where the sizes do not agree or channels are no multiple of [`LANES`].
    pub fn average_pool_gradient(
        output_gradient: &[f32], size: MapSize, images: usize, pool: Pool, input_gradient: &mut [f32],
    ) = average_pool_gradient_with;
}

/// Compares the sizes; gives that of the output.
fn check(size: MapSize, images: usize, pool: Pool, inputs: usize, outputs: usize, positions: usize) -> MapSize {
    assert!(pool.kernel_size <= 15, "positions of larger windows are no bytes");
    let output = check_windows(size, images, pool, inputs, outputs);
    assert!(positions >= images * output.values(), "the output is too small");
    output
}

/// The same where no positions are kept.
fn check_windows(size: MapSize, images: usize, pool: Pool, inputs: usize, outputs: usize) -> MapSize {
    assert!(size.channels.is_multiple_of(LANES), "channels are stored in whole vectors");
    assert!(pool.kernel_size > 0 && pool.stride > 0, "no such window");
    assert!(pool.kernel_size <= size.height.min(size.width), "the window is larger than the map");
    let output = pool.output(size);
    assert!(inputs >= images * size.values(), "the input is too small");
    assert!(outputs >= images * output.values(), "the output is too small");
    output
}

#[inline(always)]
fn max_pool_with<L: Lanes>(
    input: &[f32],
    size: MapSize,
    images: usize,
    pool: Pool,
    output: &mut [f32],
    positions: &mut [u8],
) {
    let out = check(size, images, pool, input.len(), output.len(), positions.len());
    let channels = size.channels;
    let mut to = 0;
    for n in 0..images {
        for y in 0..out.height {
            for x in 0..out.width {
                let first = ((n * size.height + y * pool.stride) * size.width + x * pool.stride) * channels;
                // SAFETY: the window lies in the image and the position in the output, as `check` found.
                unsafe {
                    let window = input.as_ptr().add(first);
                    let (output, positions) = (output.as_mut_ptr().add(to), positions.as_mut_ptr().add(to));
                    each_vector!(L, channels, |c| max_vector::<_>(
                        window.add(c),
                        size,
                        pool.kernel_size,
                        output.add(c),
                        positions.add(c)
                    ));
                }
                to += channels;
            }
        }
    }
}

/// The maxima of one vector of channels over one window, and their positions.
///
/// # Safety
///
/// As of [`Lanes`], for each position of the window, `output` and `positions`.
#[inline(always)]
unsafe fn max_vector<L: Lanes>(
    window: *const f32,
    size: MapSize,
    kernel_size: usize,
    output: *mut f32,
    positions: *mut u8,
) {
    // SAFETY: as said above.
    unsafe {
        let mut greatest = L::load(window);
        let mut position = L::splat(0.0);
        for row in 0..kernel_size {
            for column in 0..kernel_size {
                let value = L::load(window.add((row * size.width + column) * size.channels));
                let here = L::splat((row * kernel_size + column) as f32);
                position = position.replace_where_greater(here, value, greatest);
                greatest = greatest.replace_where_greater(value, value, greatest);
            }
        }
        greatest.store(output);
        position.store_bytes(positions);
    }
}

#[inline(always)]
fn max_pool_gradient_with<L: Lanes>(
    output_gradient: &[f32],
    positions: &[u8],
    size: MapSize,
    images: usize,
    pool: Pool,
    input_gradient: &mut [f32],
) {
    let out = check(size, images, pool, input_gradient.len(), output_gradient.len(), positions.len());
    let channels = size.channels;
    let scatter = Scatter { positions, output_gradient, size, pool, overlapping: pool.kernel_size > pool.stride };
    input_gradient[..images * size.values()].fill(0.0);
    let mut from = 0;
    for n in 0..images {
        for y in 0..out.height {
            for x in 0..out.width {
                let first = ((n * size.height + y * pool.stride) * size.width + x * pool.stride) * channels;
                // SAFETY: the window lies in the image and the position in the output, as `check` found.
                unsafe {
                    let window = input_gradient.as_mut_ptr().add(first);
                    if pool.kernel_size > MOST_COMPARED {
                        scatter.one_by_one(from, window);
                    } else {
                        scatter.by_comparison::<L>(from, window);
                    }
                }
                from += channels;
            }
        }
    }
}

/// Up to this side of a window its positions are compared, a vector of channels at a time, with the one found; with larger ones each channel's number
/// is added by itself.
const MOST_COMPARED: usize = 3;

/// What [`max_pool_gradient`] is given.
struct Scatter<'a> {
    positions: &'a [u8],
    output_gradient: &'a [f32],
    size: MapSize,
    pool: Pool,
    /// Whether windows overlap.
    overlapping: bool,
}

impl Scatter<'_> {
    /// # Safety
    ///
    /// The output has the channels from `from` on, `window` is the first position of a window in the image.
    #[inline(always)]
    unsafe fn by_comparison<L: Lanes>(&self, from: usize, window: *mut f32) {
        let channels = self.size.channels;
        // SAFETY: as said above.
        unsafe {
            each_vector!(L, channels, |c| scatter_vector::<_>(self, from + c, window.add(c)));
        }
    }

    /// # Safety
    ///
    /// As of [`Scatter::by_comparison`]; positions are of a window.
    #[inline(always)]
    unsafe fn one_by_one(&self, from: usize, window: *mut f32) {
        let MapSize { width, channels, .. } = self.size;
        let taps = self.pool.kernel_size * self.pool.kernel_size;
        // Of each position of a window; there are at most 15².
        let mut offsets = [0; 256];
        for (tap, offset) in offsets[..taps].iter_mut().enumerate() {
            *offset = (tap / self.pool.kernel_size * width + tap % self.pool.kernel_size) * channels;
        }
        for c in 0..channels {
            // SAFETY: as said above; what is no position of a window is taken for the first.
            unsafe {
                let offset = offsets[usize::from(*self.positions.get_unchecked(from + c))];
                *window.add(offset + c) += *self.output_gradient.get_unchecked(from + c);
            }
        }
    }
}

/// # Safety
///
/// As of [`Scatter::by_comparison`], for the channels of one vector.
#[inline(always)]
unsafe fn scatter_vector<L: Lanes>(scatter: &Scatter<'_>, from: usize, window: *mut f32) {
    let (MapSize { width, channels, .. }, kernel_size) = (scatter.size, scatter.pool.kernel_size);
    // SAFETY: as said above.
    unsafe {
        let gradient = L::load(scatter.output_gradient.as_ptr().add(from));
        let position = L::load_bytes(scatter.positions.as_ptr().add(from));
        for row in 0..kernel_size {
            for column in 0..kernel_size {
                let to = window.add((row * width + column) * channels);
                let here = L::splat((row * kernel_size + column) as f32);
                let part = position.where_equal(here, gradient);
                if scatter.overlapping { L::load(to).add(part).store(to) } else { part.store(to) }
            }
        }
    }
}

#[inline(always)]
fn average_pool_with<L: Lanes>(input: &[f32], size: MapSize, images: usize, pool: Pool, output: &mut [f32]) {
    let out = check_windows(size, images, pool, input.len(), output.len());
    let part = 1.0 / (pool.kernel_size * pool.kernel_size) as f32;
    for position in 0..images * out.positions() {
        let (first, to) = (window_of(position, size, pool, out), position * size.channels);
        // SAFETY: the window lies in the image and the position in the output, as `check_windows` found.
        unsafe {
            let (window, output) = (input.as_ptr().add(first), output.as_mut_ptr().add(to));
            each_vector!(L, size.channels, |c| average_vector::<_>(
                window.add(c),
                size,
                pool.kernel_size,
                part,
                output.add(c)
            ));
        }
    }
}

/// The mean of one vector of channels over one window, whose share `part` each position has.
///
/// # Safety
///
/// As of [`Lanes`], for each position of the window and `output`.
#[inline(always)]
unsafe fn average_vector<L: Lanes>(window: *const f32, size: MapSize, kernel_size: usize, part: f32, output: *mut f32) {
    // SAFETY: as said above.
    unsafe {
        let mut sum = L::splat(0.0);
        for row in 0..kernel_size {
            for column in 0..kernel_size {
                sum = sum.add(L::load(window.add((row * size.width + column) * size.channels)));
            }
        }
        sum.mul_add(L::splat(part), L::splat(0.0)).store(output);
    }
}

#[inline(always)]
fn average_pool_gradient_with<L: Lanes>(
    output_gradient: &[f32],
    size: MapSize,
    images: usize,
    pool: Pool,
    input_gradient: &mut [f32],
) {
    let out = check_windows(size, images, pool, input_gradient.len(), output_gradient.len());
    let part = 1.0 / (pool.kernel_size * pool.kernel_size) as f32;
    input_gradient[..images * size.values()].fill(0.0);
    for position in 0..images * out.positions() {
        let (first, from) = (window_of(position, size, pool, out), position * size.channels);
        // SAFETY: the window lies in the image and the position in the output, as `check_windows` found.
        unsafe {
            let (window, gradient) = (input_gradient.as_mut_ptr().add(first), output_gradient.as_ptr().add(from));
            each_vector!(L, size.channels, |c| spread_vector::<_>(
                gradient.add(c),
                size,
                pool.kernel_size,
                part,
                window.add(c)
            ));
        }
    }
}

/// Adds the share `part` of one vector of channels to each position of one window.
///
/// # Safety
///
/// As of [`Lanes`], for each position of the window and `gradient`.
#[inline(always)]
unsafe fn spread_vector<L: Lanes>(
    gradient: *const f32,
    size: MapSize,
    kernel_size: usize,
    part: f32,
    window: *mut f32,
) {
    // SAFETY: as said above.
    unsafe {
        let gradient = L::load(gradient);
        for row in 0..kernel_size {
            for column in 0..kernel_size {
                let to = window.add((row * size.width + column) * size.channels);
                gradient.mul_add(L::splat(part), L::load(to)).store(to);
            }
        }
    }
}

/// Index of the first number of the window of a position, counted over all images, of the output of size `out`.
#[inline(always)]
fn window_of(position: usize, size: MapSize, pool: Pool, out: MapSize) -> usize {
    let (row, x) = (position / out.width, position % out.width);
    let (n, y) = (row / out.height, row % out.height);
    ((n * size.height + y * pool.stride) * size.width + x * pool.stride) * size.channels
}

/// The mean over the positions of each channel of `images` dense images of `size`: N × C.
///
/// # Panics
///
/// Where the sizes do not agree.
pub fn mean(input: &[f32], size: MapSize, images: usize, output: &mut [f32]) {
    let part = 1.0 / size.positions() as f32;
    let images = input[..images * size.values()].chunks_exact(size.values());
    for (image, output) in images.zip(output.chunks_exact_mut(size.channels)) {
        output.fill(0.0);
        for position in image.chunks_exact(size.channels) {
            for (sum, value) in output.iter_mut().zip(position) {
                *sum += value;
            }
        }
        output.iter_mut().for_each(|sum| *sum *= part);
    }
}

/// Gives each number of `output_gradient` in equal parts to all positions; `input_gradient` is overwritten.
///
/// # Panics
///
/// Where the sizes do not agree.
pub fn mean_gradient(output_gradient: &[f32], size: MapSize, images: usize, input_gradient: &mut [f32]) {
    let part = 1.0 / size.positions() as f32;
    let images = input_gradient[..images * size.values()].chunks_exact_mut(size.values());
    for (image, gradient) in images.zip(output_gradient.chunks_exact(size.channels)) {
        for position in image.chunks_exact_mut(size.channels) {
            for (to, value) in position.iter_mut().zip(gradient) {
                *to = value * part;
            }
        }
    }
}
