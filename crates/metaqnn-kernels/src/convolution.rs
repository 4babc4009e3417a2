//! Convolution as products of matrices that are never written down.
//!
//! In NHWC a row of a window is one run of `kernel_size` · C numbers, so an output position is the sum over `kernel_size` runs of input
//! times weights. A tile of positions × output channels is kept in registers over all of them. The gradient of the input is the
//! same sweep over the gradient of the output with turned weights ([`Packed::of_turned`]), the gradient of the weights the
//! product the other way round ([`add_weight_gradient`]).

use crate::lanes::{LANES, Lanes, vectorized};

/// Where images of H × W positions lie in a buffer of dimensions N × `height` × `width` × C: position (n, y, x) at
/// (n, `margin` + y · `step`, `margin` + x · `step`). What lies between and around is zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placement {
    /// Rows of the buffer for one image.
    pub height: usize,
    /// Columns of the buffer.
    pub width: usize,
    /// Rows and columns of zeros before the first position.
    pub margin: usize,
    /// Distance of neighbours.
    pub step: usize,
}

impl Placement {
    /// Without zeros.
    pub const fn dense(height: usize, width: usize) -> Self {
        Placement { height, width, margin: 0, step: 1 }
    }

    /// With `margin` rows and columns of zeros on every side.
    pub const fn padded(height: usize, width: usize, margin: usize) -> Self {
        Placement { height: height + 2 * margin, width: width + 2 * margin, margin, step: 1 }
    }

    /// Whether there are no zeros.
    pub const fn is_dense(&self) -> bool {
        self.margin == 0 && self.step == 1
    }

    /// Positions of the buffer that `images` images take.
    pub const fn positions(&self, images: usize) -> usize {
        images * self.height * self.width
    }

    /// Index of the position (n, y, x).
    pub(crate) const fn index(&self, n: usize, y: usize, x: usize) -> usize {
        (n * self.height + self.margin + y * self.step) * self.width + self.margin + x * self.step
    }
}

/// The windows of a convolution over the images of a chunk.
#[derive(Clone, Debug)]
pub struct Windows {
    /// Rows of the padded input, per image.
    padded_height: usize,
    /// Columns of the padded input.
    padded_width: usize,
    /// Channels of the input, as stored.
    channels: usize,
    kernel_size: usize,
    stride: usize,
    out_height: usize,
    out_width: usize,
    /// For every output position the index of the first number of its window; of the most images that a chunk has.
    offsets: Vec<usize>,
}

impl Windows {
    /// Windows of `kernel_size`² positions, `stride` apart, over images placed with a margin in a buffer of
    /// `padded_height` × `padded_width` × `channels`; `out_height` × `out_width` of them an image, for chunks of at most `images`.
    ///
    /// # Panics
    ///
    /// Where a window leaves the buffer.
    #[expect(clippy::too_many_arguments, reason = "a geometry has that many numbers")]
    pub fn new(
        images: usize,
        padded_height: usize,
        padded_width: usize,
        channels: usize,
        kernel_size: usize,
        stride: usize,
        out_height: usize,
        out_width: usize,
    ) -> Self {
        assert!(out_height > 0 && (out_height - 1) * stride + kernel_size <= padded_height, "windows leave the rows");
        assert!(out_width > 0 && (out_width - 1) * stride + kernel_size <= padded_width, "windows leave the columns");
        let mut offsets = Vec::with_capacity(images * out_height * out_width);
        for n in 0..images {
            for y in 0..out_height {
                for x in 0..out_width {
                    offsets.push(((n * padded_height + y * stride) * padded_width + x * stride) * channels);
                }
            }
        }
        Windows { padded_height, padded_width, channels, kernel_size, stride, out_height, out_width, offsets }
    }

    /// Output positions of an image.
    pub fn positions(&self) -> usize {
        self.out_height * self.out_width
    }

    /// Numbers in a window: `kernel_size`² · C, in the order (row, column, channel).
    pub fn window(&self) -> usize {
        self.kernel_size * self.run()
    }

    /// Numbers of one row of a window.
    fn run(&self) -> usize {
        self.kernel_size * self.channels
    }

    /// From the first number of a row of a window to that of the next.
    fn run_stride(&self) -> usize {
        self.padded_width * self.channels
    }

    fn input_values(&self, images: usize) -> usize {
        images * self.padded_height * self.padded_width * self.channels
    }
}

/// A matrix in blocks of 16 columns, the last of 8 where their number asks for it; rows follow each other in a block.
#[derive(Clone, Debug, Default)]
pub struct Packed {
    rows: usize,
    columns: usize,
    values: Vec<f32>,
}

/// Columns of a block.
const BLOCK: usize = 2 * LANES;

impl Packed {
    /// Packs `weights`, of dimensions (`kernel_size`² · I) × O, for a sweep over the input.
    ///
    /// # Panics
    ///
    /// Where `outputs` is not a multiple of [`LANES`] or does not divide the weights.
    pub fn pack(&mut self, weights: &[f32], outputs: usize) {
        assert!(outputs.is_multiple_of(LANES) && weights.len().is_multiple_of(outputs));
        self.rows = weights.len() / outputs;
        self.columns = outputs;
        self.values.clear();
        self.values.reserve_exact(weights.len());
        for (begin, width) in blocks(outputs) {
            for row in weights.chunks_exact(outputs) {
                self.values.extend_from_slice(&row[begin..begin + width]);
            }
        }
    }

    /// Packs the same weights for a sweep over the gradient of the output that gives the gradient of the input: windows
    /// turned by 180°, inputs and outputs changed over.
    ///
    /// # Panics
    ///
    /// Where `inputs` or `outputs` are no multiples of [`LANES`] or do not divide the weights.
    pub fn pack_turned(&mut self, weights: &[f32], inputs: usize, outputs: usize) {
        assert!(inputs.is_multiple_of(LANES) && outputs.is_multiple_of(LANES));
        assert!(weights.len().is_multiple_of(inputs * outputs));
        let taps = weights.len() / (inputs * outputs);
        self.rows = taps * outputs;
        self.columns = inputs;
        self.values.resize(weights.len(), 0.0);
        let mut to = self.values.iter_mut();
        for (begin, width) in blocks(inputs) {
            for tap in (0..taps).rev() {
                let matrix = &weights[tap * inputs * outputs..(tap + 1) * inputs * outputs];
                for output in 0..outputs {
                    for (input, value) in (begin..begin + width).zip(&mut to) {
                        *value = matrix[input * outputs + output];
                    }
                }
            }
        }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }
}

/// First column and width of the blocks of a row.
fn blocks(columns: usize) -> impl Iterator<Item = (usize, usize)> {
    (0..columns).step_by(BLOCK).map(move |begin| (begin, BLOCK.min(columns - begin)))
}

vectorized! {
    /// The convolution of the first `images` images of a chunk.
    ///
    /// `input` is placed as `windows` say, `weights` have windows × O, `bias` has O; `output` becomes N × H × W × O, dense. With
    /// `relu` what is below 0 becomes 0.
    ///
    /// # Panics
    ///
    /// Where the sizes do not agree.
    pub fn convolve(
        input: &[f32], windows: &Windows, images: usize, weights: &Packed, bias: Option<&[f32]>, relu: bool, output: &mut [f32],
    ) = convolve_with;

    /// Adds the gradient of the weights, (`kernel_size`² · I) × O, over the first `images` images of a chunk to `gradient`.
    ///
    /// `input` is placed as `windows` say; `output_gradient` holds the gradient of the output, with O numbers a position, placed as
    /// `placement` says.
    ///
    /// # Panics
    ///
    /// Where the sizes do not agree.
    pub fn add_weight_gradient(
        input: &[f32], windows: &Windows, images: usize, output_gradient: &[f32], placement: Placement, outputs: usize,
        gradient: &mut [f32],
    ) = add_weight_gradient_with;
}

#[inline(always)]
fn convolve_with<L: Lanes>(
    input: &[f32],
    windows: &Windows,
    images: usize,
    weights: &Packed,
    bias: Option<&[f32]>,
    relu: bool,
    output: &mut [f32],
) {
    let columns = weights.columns;
    let positions = images * windows.positions();
    assert!(input.len() >= windows.input_values(images), "the input is smaller than its windows");
    assert!(positions <= windows.offsets.len(), "more images than the windows are for");
    assert!(output.len() >= positions * columns, "no room for the output");
    assert!(weights.rows == windows.window() && weights.values.len() == weights.rows * columns, "other weights");
    assert!(bias.is_none_or(|bias| bias.len() == columns), "another bias");
    let offsets = &windows.offsets[..positions];
    for (begin, width) in blocks(columns) {
        let sweep = Sweep {
            input: input.as_ptr(),
            runs: windows.kernel_size,
            run: windows.run(),
            run_stride: windows.run_stride(),
            weights: weights.values[begin * weights.rows..].as_ptr(),
            bias: bias.map(|bias| bias[begin..].as_ptr()),
            relu,
            columns,
        };
        let tile = if width == BLOCK { 6 } else { 8 };
        let mut at = 0;
        while at < positions {
            let size = tile.min(positions - at);
            let offsets = offsets[at..].as_ptr();
            // SAFETY: `blocks` gives widths of one or two vectors within the columns; `offsets` has `size` more entries, each the
            // begin of a window within `input` (`Windows::new`); the sizes were compared above.
            unsafe {
                let output = output.as_mut_ptr().add(at * columns + begin);
                match (width / LANES, size) {
                    (2, 6) => sweep.tile::<L, 6, 2>(offsets, output),
                    (2, 5) => sweep.tile::<L, 5, 2>(offsets, output),
                    (2, 4) => sweep.tile::<L, 4, 2>(offsets, output),
                    (2, 3) => sweep.tile::<L, 3, 2>(offsets, output),
                    (2, 2) => sweep.tile::<L, 2, 2>(offsets, output),
                    (2, _) => sweep.tile::<L, 1, 2>(offsets, output),
                    (_, 8) => sweep.tile::<L, 8, 1>(offsets, output),
                    (_, 7) => sweep.tile::<L, 7, 1>(offsets, output),
                    (_, 6) => sweep.tile::<L, 6, 1>(offsets, output),
                    (_, 5) => sweep.tile::<L, 5, 1>(offsets, output),
                    (_, 4) => sweep.tile::<L, 4, 1>(offsets, output),
                    (_, 3) => sweep.tile::<L, 3, 1>(offsets, output),
                    (_, 2) => sweep.tile::<L, 2, 1>(offsets, output),
                    _ => sweep.tile::<L, 1, 1>(offsets, output),
                }
            }
            at += size;
        }
    }
}

/// One block of output channels over all positions.
struct Sweep {
    input: *const f32,
    runs: usize,
    run: usize,
    run_stride: usize,
    weights: *const f32,
    bias: Option<*const f32>,
    relu: bool,
    columns: usize,
}

impl Sweep {
    /// `P` positions × `V` vectors of output channels.
    ///
    /// # Safety
    ///
    /// `offsets` has `P` entries, `output` room for `P` positions; every window lies in the input, weights and bias have `V` vectors.
    #[inline(always)]
    unsafe fn tile<L: Lanes, const P: usize, const V: usize>(&self, offsets: *const usize, output: *mut f32) {
        // SAFETY: as said above.
        unsafe {
            let start: [L; V] = std::array::from_fn(|v| match self.bias {
                Some(bias) => L::load(bias.add(v * LANES)),
                None => L::splat(0.0),
            });
            let mut sums = [start; P];
            let windows: [*const f32; P] = std::array::from_fn(|p| self.input.add(*offsets.add(p)));
            let mut weights = self.weights;
            for run in 0..self.runs {
                let rows: [*const f32; P] = std::array::from_fn(|p| windows[p].add(run * self.run_stride));
                for i in 0..self.run {
                    let factors: [L; V] = std::array::from_fn(|v| L::load(weights.add(v * LANES)));
                    for p in 0..P {
                        let value = L::splat(*rows[p].add(i));
                        for v in 0..V {
                            sums[p][v] = value.mul_add(factors[v], sums[p][v]);
                        }
                    }
                    weights = weights.add(V * LANES);
                }
            }
            for (p, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    let sum = if self.relu { sum.relu() } else { sum };
                    sum.store(output.add(p * self.columns + v * LANES));
                }
            }
        }
    }
}

/// Positions in a row of an image, and where input and output gradient of the first are.
#[derive(Clone, Copy)]
struct Segment {
    input: usize,
    gradient: usize,
    positions: usize,
}

/// A tile of the gradient stays in registers over about so many positions, whose input and output gradient stay in the first cache.
const SEGMENT: usize = 64;

#[inline(always)]
fn add_weight_gradient_with<L: Lanes>(
    input: &[f32],
    windows: &Windows,
    images: usize,
    output_gradient: &[f32],
    placement: Placement,
    outputs: usize,
    gradient: &mut [f32],
) {
    assert!(outputs.is_multiple_of(LANES) && gradient.len() == windows.window() * outputs, "another gradient");
    assert!(input.len() >= windows.input_values(images), "the input is smaller than its windows");
    assert!(output_gradient.len() >= placement.positions(images) * outputs, "the output gradient is too small");
    let last = placement.index(0, windows.out_height - 1, windows.out_width - 1);
    assert!(last < placement.height * placement.width, "the output is not placed in its buffer");
    let input_step = windows.stride * windows.channels;
    let gradient_step = placement.step * outputs;
    let pointwise = windows.kernel_size == 1
        && windows.stride == 1
        && windows.padded_height == windows.out_height
        && windows.padded_width == windows.out_width
        && placement.is_dense();
    // With windows of one position all rows of all images are one.
    let (rows, length) =
        if pointwise { (1, images * windows.positions()) } else { (images * windows.out_height, windows.out_width) };
    // Long rows are cut, short ones gathered.
    let pieces = (length / SEGMENT).max(1);
    let mut segments = [Segment { input: 0, gradient: 0, positions: 0 }; SEGMENT];
    let mut gathered = 0;
    let mut positions = 0;
    for piece in 0..rows * pieces {
        let (row, part) = (piece / pieces, piece % pieces);
        let (first, end) = (part * length / pieces, (part + 1) * length / pieces);
        let (input_row, gradient_row) = if pointwise {
            (0, 0)
        } else {
            let (n, y) = (row / windows.out_height, row % windows.out_height);
            (windows.offsets[row * windows.out_width], placement.index(n, y, 0) * outputs)
        };
        segments[gathered] = Segment {
            input: input_row + first * input_step,
            gradient: gradient_row + first * gradient_step,
            positions: end - first,
        };
        gathered += 1;
        positions += end - first;
        if positions >= SEGMENT || gathered == SEGMENT || piece + 1 == rows * pieces {
            let tiles = GradientTiles {
                input: input.as_ptr(),
                output_gradient: output_gradient.as_ptr(),
                input_step,
                gradient_step,
                sums: gradient.as_mut_ptr(),
                outputs,
            };
            // SAFETY: the segments lie in both buffers, whose sizes were compared above.
            unsafe { tiles.add_all::<L>(windows, &segments[..gathered]) };
            (gathered, positions) = (0, 0);
        }
    }
}

/// The gradient of the weights: rows of a window × output channels.
struct GradientTiles {
    input: *const f32,
    output_gradient: *const f32,
    input_step: usize,
    gradient_step: usize,
    sums: *mut f32,
    outputs: usize,
}

impl GradientTiles {
    /// Adds what comes of the segments, tile by tile.
    ///
    /// # Safety
    ///
    /// Input, output gradient and sums have what the windows and segments ask for.
    #[inline(always)]
    unsafe fn add_all<L: Lanes>(&self, windows: &Windows, segments: &[Segment]) {
        let run = windows.run();
        for (begin, width) in blocks(self.outputs) {
            for row in 0..windows.kernel_size {
                let mut at = 0;
                while at < run {
                    let size = 6.min(run - at);
                    let input = row * windows.run_stride() + at;
                    let sums = (row * run + at) * self.outputs + begin;
                    // SAFETY: `blocks` gives widths of one or two vectors; row, `at` and `begin` lie in the gradient.
                    unsafe {
                        match (width / LANES, size) {
                            (2, 6) => self.add::<L, 6, 2>(input, begin, sums, segments),
                            (2, 5) => self.add::<L, 5, 2>(input, begin, sums, segments),
                            (2, 4) => self.add::<L, 4, 2>(input, begin, sums, segments),
                            (2, 3) => self.add::<L, 3, 2>(input, begin, sums, segments),
                            (2, 2) => self.add::<L, 2, 2>(input, begin, sums, segments),
                            (2, _) => self.add::<L, 1, 2>(input, begin, sums, segments),
                            (_, 6) => self.add::<L, 6, 1>(input, begin, sums, segments),
                            (_, 5) => self.add::<L, 5, 1>(input, begin, sums, segments),
                            (_, 4) => self.add::<L, 4, 1>(input, begin, sums, segments),
                            (_, 3) => self.add::<L, 3, 1>(input, begin, sums, segments),
                            (_, 2) => self.add::<L, 2, 1>(input, begin, sums, segments),
                            _ => self.add::<L, 1, 1>(input, begin, sums, segments),
                        }
                    }
                    at += size;
                }
            }
        }
    }

    /// Adds `R` rows × `V` vectors of output channels over the segments.
    ///
    /// # Safety
    ///
    /// Input, output gradient and sums have what the segments, `R` and `V` ask for.
    #[inline(always)]
    unsafe fn add<L: Lanes, const R: usize, const V: usize>(
        &self,
        input: usize,
        output: usize,
        sums: usize,
        segments: &[Segment],
    ) {
        // SAFETY: as said above.
        unsafe {
            let to = self.sums.add(sums);
            let at = |r: usize, v: usize| to.add(r * self.outputs + v * LANES);
            let mut sums = [[L::splat(0.0); V]; R];
            for segment in segments {
                let mut input = self.input.add(input + segment.input);
                let mut output_gradient = self.output_gradient.add(output + segment.gradient);
                for _ in 0..segment.positions {
                    let factors: [L; V] = std::array::from_fn(|v| L::load(output_gradient.add(v * LANES)));
                    for r in 0..R {
                        let value = L::splat(*input.add(r));
                        for v in 0..V {
                            sums[r][v] = value.mul_add(factors[v], sums[r][v]);
                        }
                    }
                    // The pointer after the last position may lie beyond the buffer, so it is not offset with `add`.
                    input = input.wrapping_add(self.input_step);
                    output_gradient = output_gradient.wrapping_add(self.gradient_step);
                }
            }
            for (r, sums) in sums.into_iter().enumerate() {
                for (v, sum) in sums.into_iter().enumerate() {
                    L::load(at(r, v)).add(sum).store(at(r, v));
                }
            }
        }
    }
}
