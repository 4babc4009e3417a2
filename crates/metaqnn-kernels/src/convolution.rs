//! Convolution as products of matrices that are never written down.
//!
//! In NHWC a row of a window is one run of `kernel_size` · C numbers, so an output position is the sum over `kernel_size` runs of input
//! times weights. A tile of positions × output channels is kept in registers over all of them. The gradient of the input is the
//! same sweep over the gradient of the output with turned weights ([`Packed::pack_turned`]), the gradient of the weights the
//! product the other way round ([`add_weight_gradient`]).

use crate::lanes::{LANES, Lanes, vectorized};
use crate::tiles::{GradientTiles, Segment, Sweep, blocks};

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
#[derive(Clone, Debug, Default)]
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
        self.values.clear();
        self.values.reserve_exact(weights.len());
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

/// What is done to a sum before it is stored.
#[derive(Clone, Copy, Debug, Default)]
pub struct Finish<'a> {
    /// Added, one number for each output channel.
    pub bias: Option<&'a [f32]>,
    /// Whether what is below 0 becomes 0.
    pub relu: bool,
}

vectorized! {
    /// The convolution of the first `images` images of a chunk.
    ///
    /// `input` is placed as `windows` say, `weights` have windows × O; `output` becomes N × H × W × O, dense.
    ///
    /// # Panics
    ///
    /// Where the sizes do not agree.
    pub fn convolve(
        input: &[f32], windows: &Windows, images: usize, weights: &Packed, finish: Finish<'_>, output: &mut [f32],
    ) = convolve_with;

    /// Adds the gradient of the weights, (`kernel_size`² · I) × O, over the first `images` images of a chunk to `gradient`.
    ///
    /// `input` is placed as `windows` say; `output_gradient` holds the gradient of the output, with O numbers a position, placed as
    /// `placement` says. `room` is for copies and grows as it is asked to.
    ///
    /// # Panics
    ///
    /// Where the sizes do not agree.
    pub fn add_weight_gradient(
        input: &[f32], windows: &Windows, images: usize, output_gradient: &[f32], placement: Placement,
        gradient: &mut [f32], room: &mut Vec<f32>,
    ) = add_weight_gradient_with;
}

#[inline(always)]
fn convolve_with<L: Lanes>(
    input: &[f32],
    windows: &Windows,
    images: usize,
    weights: &Packed,
    finish: Finish<'_>,
    output: &mut [f32],
) {
    let Finish { bias, relu } = finish;
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
        // SAFETY: `blocks` gives widths of one or two vectors within the columns; each offset is the begin of a window within
        // `input` (`Windows::new`); the sizes were compared above.
        unsafe { sweep.all::<L>(width, offsets, output.as_mut_ptr().add(begin)) };
    }
}

/// A tile of the gradient stays in registers over about so many positions, whose input and output gradient stay in the first cache.
const SEGMENT: usize = 64;

/// From so many output channels on input and output gradient are copied together first.
const PACKED_FROM: usize = 128;

#[inline(always)]
fn add_weight_gradient_with<L: Lanes>(
    input: &[f32],
    windows: &Windows,
    images: usize,
    output_gradient: &[f32],
    placement: Placement,
    gradient: &mut [f32],
    room: &mut Vec<f32>,
) {
    let outputs = gradient.len() / windows.window();
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
                runs: windows.kernel_size,
                run: windows.run(),
                run_stride: windows.run_stride(),
                output_gradient: output_gradient.as_ptr(),
                input_step,
                gradient_step,
                sums: gradient.as_mut_ptr(),
                outputs,
            };
            // SAFETY: the segments lie in both buffers, whose sizes were compared above.
            unsafe {
                if outputs >= PACKED_FROM {
                    tiles.add_all_packed::<L>(&segments[..gathered], room);
                } else {
                    tiles.add_all::<L>(&segments[..gathered]);
                }
            }
            (gathered, positions) = (0, 0);
        }
    }
}
