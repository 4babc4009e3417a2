//! Convolutions of 3×3 and 5×5 at stride 1 with fewer multiplications (Winograd, 1980; Lavin and Gray, 2016).
//!
//! A tile of 6 × 6 input positions gives 4 × 4 output positions of a 3×3 convolution, or 2 × 2 of a 5×5. Input and weights
//! are seen as polynomials and multiplied by their values at six points: 36 products for each pair of channels in place of
//! 144 or 100. For all tiles and channels together these are 36 products of matrices.
//!
//! With y the output, d the input and g the weights of one row:
//!
//! y = Aᵀ (G g ⊙ Bᵀ d), and for the gradients: ∂g = Gᵀ (A ∂y ⊙ Bᵀ d); that of the input is a convolution with turned weights.
//!
//! The points are 0, ±3/4, ±3/2 and ∞. They and their powers are exact in 32 bits and of like magnitude, which makes the error about that of
//! the plain sum; with the usual 0, ±1, ±2 it is three times as large.

mod images;
mod points;
mod weights;

use self::images::{transform_input, transform_output, transform_output_gradient};
use self::points::SIDE;
use self::weights::{finish_3x3_with, finish_5x5_with, transform_turned_weights_with, transform_weights_with};
use crate::convolution::{Finish, Placement};
use crate::lanes::{LANES, Lanes, vectorized};
use crate::tiles::{BLOCK, GradientTiles, Segment, Sweep, blocks};

/// Products for a tile.
const PRODUCTS: usize = SIDE * SIDE;

/// Tiles that are worked on at a time: enough to read 36 matrices of weights for, few enough that theirs stay in a cache.
const GROUP: usize = 48;

/// From how many times fewer multiplications on the transforms are worth the while.
const LEAST_GAIN: f64 = 1.5;

/// With fewer channels than these the transforms cost more than they save.
const LEAST_CHANNELS: usize = 16;

/// The shape of such a convolution, with a margin of (`kernel_size` − 1) / 2: output maps are as large as input maps.
#[derive(Clone, Debug)]
pub struct Winograd {
    kernel_size: usize,
    height: usize,
    width: usize,
    inputs: usize,
    outputs: usize,
    /// Rows and columns of tiles of an image.
    rows: usize,
    columns: usize,
}

/// Weights at all pairs of points: 36 matrices of inputs × outputs, each in blocks as [`Packed`](crate::convolution::Packed). It can be used for
/// one convolution after the other.
#[derive(Clone, Debug, Default)]
pub struct WinogradWeights {
    values: Vec<f32>,
}

/// What a thread needs for any of these convolutions; it grows as it is asked to.
#[derive(Clone, Debug, Default)]
pub struct WinogradWorkspace {
    /// Input tiles at the points: 36 matrices of tiles × inputs.
    inputs: Vec<f32>,
    /// Output tiles: 36 matrices of tiles × outputs.
    outputs: Vec<f32>,
    /// Gradients of the weights at the points: 36 matrices of inputs × outputs.
    sums: Vec<f32>,
}

impl Winograd {
    /// A convolution of `height` × `width` × `inputs` to as many positions × `outputs`.
    ///
    /// # Panics
    ///
    /// Where `kernel_size` is neither 3 nor 5, or channels are no multiples of [`LANES`].
    pub fn new(kernel_size: usize, height: usize, width: usize, inputs: usize, outputs: usize) -> Self {
        assert!(matches!(kernel_size, 3 | 5), "no such tile");
        assert!(inputs.is_multiple_of(LANES) && outputs.is_multiple_of(LANES), "channels are stored in whole vectors");
        let step = SIDE + 1 - kernel_size;
        let (rows, columns) = (height.div_ceil(step), width.div_ceil(step));
        Winograd { kernel_size, height, width, inputs, outputs, rows, columns }
    }

    /// Whether it is faster than direct convolution, as examples/convolutions.rs measures it.
    pub fn is_faster(&self) -> bool {
        let direct = self.height * self.width * self.kernel_size * self.kernel_size;
        let products = self.rows * self.columns * PRODUCTS;
        direct as f64 >= LEAST_GAIN * products as f64 && self.inputs.min(self.outputs) >= LEAST_CHANNELS
    }

    /// The same with inputs and outputs changed over: the gradient of the input, a sweep over the gradient of the output.
    #[must_use]
    pub fn turned(&self) -> Self {
        Self::new(self.kernel_size, self.height, self.width, self.outputs, self.inputs)
    }

    /// Where its input is placed; the gradient of the output likewise.
    pub fn placement(&self) -> Placement {
        Placement {
            height: self.rows * self.step() + self.kernel_size - 1,
            width: self.columns * self.step() + self.kernel_size - 1,
            margin: (self.kernel_size - 1) / 2,
            step: 1,
        }
    }

    /// Images of a chunk that make it worth the while.
    pub fn least_images(&self) -> usize {
        GROUP.div_ceil(self.rows * self.columns)
    }

    /// Side of an output tile.
    fn step(&self) -> usize {
        SIDE + 1 - self.kernel_size
    }

    /// Tiles of so many images, a group at a time: the first and their number.
    fn groups(&self, images: usize) -> impl Iterator<Item = (usize, usize)> + use<> {
        let tiles = images * self.rows * self.columns;
        (0..tiles).step_by(GROUP).map(move |first| (first, GROUP.min(tiles - first)))
    }

    /// Image, first row and first column of a tile's output.
    fn corner(&self, tile: usize) -> (usize, usize, usize) {
        let (row, column) = (tile / self.columns, tile % self.columns);
        (row / self.rows, row % self.rows * self.step(), column * self.step())
    }

    /// From one of the 36 matrices of a group to the next.
    fn plane(&self, channels: usize) -> usize {
        // An odd number of cache lines, so that the 36 do not fall on the same places of a cache.
        (GROUP * row_stride(channels)).next_multiple_of(2 * BLOCK) + BLOCK
    }

    /// Numbers of the 36 matrices of inputs × outputs, which weights at the points take, and sums of their gradient.
    pub fn matrices(&self) -> usize {
        PRODUCTS * self.inputs * self.outputs
    }

    fn weights(&self) -> usize {
        self.kernel_size * self.kernel_size * self.inputs * self.outputs
    }
}

/// Numbers of a row of so many channels: an odd number of cache lines, so that the rows of a matrix spread over a cache.
fn row_stride(channels: usize) -> usize {
    if (channels / BLOCK).is_multiple_of(2) { channels + BLOCK } else { channels }
}

/// The first `length` numbers of `buffer`, which grows no further than that.
fn with_room(buffer: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if buffer.len() < length {
        // Given back before, so that there are never two.
        *buffer = Vec::new();
        *buffer = vec![0.0; length];
    }
    &mut buffer[..length]
}

impl WinogradWeights {
    /// Takes `weights`, of dimensions (`kernel_size`² · I) × O, for a sweep over the input.
    ///
    /// # Panics
    ///
    /// Where they are of another shape.
    pub fn transform(&mut self, winograd: &Winograd, weights: &[f32]) {
        assert_eq!(weights.len(), winograd.weights(), "other weights");
        transform_weights(winograd, weights, with_room(&mut self.values, winograd.matrices()));
    }

    /// Changes its room over with that of the sums of `workspace`: where weights and sums are not needed at once, one room
    /// serves both.
    pub fn exchange_room(&mut self, workspace: &mut WinogradWorkspace) {
        std::mem::swap(&mut self.values, &mut workspace.sums);
    }

    /// Takes the same weights for a sweep over the gradient of the output. `winograd` is that of the forward convolution.
    ///
    /// # Panics
    ///
    /// Where they are of another shape.
    pub fn transform_turned(&mut self, winograd: &Winograd, weights: &[f32]) {
        assert_eq!(weights.len(), winograd.weights(), "other weights");
        transform_turned_weights(winograd, weights, with_room(&mut self.values, winograd.matrices()));
    }
}

impl WinogradWorkspace {
    /// Makes room and sets the sums of [`Winograd`]'s weight gradient to 0.
    pub fn clear_sums(&mut self, winograd: &Winograd) {
        with_room(&mut self.sums, winograd.matrices()).fill(0.0);
    }

    fn make_room(&mut self, winograd: &Winograd) {
        for (buffer, channels) in [(&mut self.inputs, winograd.inputs), (&mut self.outputs, winograd.outputs)] {
            with_room(buffer, PRODUCTS * winograd.plane(channels));
        }
    }
}

/// The convolution of the first `images` images of a chunk, placed as [`Winograd::placement`] says; `output` becomes
/// N × H × W × O, dense.
///
/// # Panics
///
/// Where the sizes do not agree.
pub fn convolve(
    winograd: &Winograd,
    input: &[f32],
    images: usize,
    weights: &WinogradWeights,
    finish: Finish<'_>,
    output: &mut [f32],
    workspace: &mut WinogradWorkspace,
) {
    let Winograd { height, width, inputs, outputs, .. } = *winograd;
    assert!(input.len() >= winograd.placement().positions(images) * inputs, "the input is smaller than its tiles");
    assert!(output.len() >= images * height * width * outputs, "no room for the output");
    assert!(weights.values.len() >= winograd.matrices(), "other weights");
    assert!(finish.bias.is_none_or(|bias| bias.len() == outputs), "another bias");
    workspace.make_room(winograd);
    match winograd.kernel_size {
        3 => convolve_3x3(winograd, input, images, weights, finish, output, workspace),
        _ => convolve_5x5(winograd, input, images, weights, finish, output, workspace),
    }
}

/// Adds what the first `images` images of a chunk give to the gradient of the weights to the sums of `workspace`.
///
/// `input` and `output_gradient` are placed as [`Winograd::placement`] says. The sums are set to 0 before with
/// [`WinogradWorkspace::clear_sums`] and taken after with [`finish_weight_gradient`].
///
/// # Panics
///
/// Where the sizes do not agree.
pub fn add_weight_gradient(
    winograd: &Winograd,
    input: &[f32],
    images: usize,
    output_gradient: &[f32],
    workspace: &mut WinogradWorkspace,
) {
    let Winograd { inputs, outputs, .. } = *winograd;
    let positions = winograd.placement().positions(images);
    assert!(input.len() >= positions * inputs, "the input is smaller than its tiles");
    assert!(output_gradient.len() >= positions * outputs, "the output gradient is smaller than its tiles");
    assert!(workspace.sums.len() >= winograd.matrices(), "no room for the sums");
    workspace.make_room(winograd);
    match winograd.kernel_size {
        3 => add_weight_gradient_3x3(winograd, input, images, output_gradient, workspace),
        _ => add_weight_gradient_5x5(winograd, input, images, output_gradient, workspace),
    }
}

/// Adds to `gradient`, (`kernel_size`² · I) × O, what the sums of `workspace` make.
///
/// # Panics
///
/// Where the sizes do not agree.
pub fn finish_weight_gradient(winograd: &Winograd, workspace: &WinogradWorkspace, gradient: &mut [f32]) {
    assert_eq!(gradient.len(), winograd.weights(), "another gradient");
    assert!(workspace.sums.len() >= winograd.matrices(), "other sums");
    match winograd.kernel_size {
        3 => finish_3x3(winograd, &workspace.sums, gradient),
        _ => finish_5x5(winograd, &workspace.sums, gradient),
    }
}

vectorized! {
    fn transform_weights(winograd: &Winograd, weights: &[f32], to: &mut [f32]) = transform_weights_with;

    fn transform_turned_weights(winograd: &Winograd, weights: &[f32], to: &mut [f32]) = transform_turned_weights_with;

    fn convolve_3x3(
        winograd: &Winograd, input: &[f32], images: usize, weights: &WinogradWeights, finish: Finish<'_>,
        output: &mut [f32], workspace: &mut WinogradWorkspace,
    ) = convolve_3x3_with;

    fn convolve_5x5(
        winograd: &Winograd, input: &[f32], images: usize, weights: &WinogradWeights, finish: Finish<'_>,
        output: &mut [f32], workspace: &mut WinogradWorkspace,
    ) = convolve_5x5_with;

    fn add_weight_gradient_3x3(
        winograd: &Winograd, input: &[f32], images: usize, output_gradient: &[f32], workspace: &mut WinogradWorkspace,
    ) = add_weight_gradient_3x3_with;

    fn add_weight_gradient_5x5(
        winograd: &Winograd, input: &[f32], images: usize, output_gradient: &[f32], workspace: &mut WinogradWorkspace,
    ) = add_weight_gradient_5x5_with;

    fn finish_3x3(winograd: &Winograd, sums: &[f32], gradient: &mut [f32]) = finish_3x3_with;

    fn finish_5x5(winograd: &Winograd, sums: &[f32], gradient: &mut [f32]) = finish_5x5_with;
}

#[inline(always)]
fn convolve_3x3_with<L: Lanes>(
    winograd: &Winograd,
    input: &[f32],
    images: usize,
    weights: &WinogradWeights,
    finish: Finish<'_>,
    output: &mut [f32],
    workspace: &mut WinogradWorkspace,
) {
    // SAFETY: the sizes were compared.
    unsafe { convolve_with::<L, 4>(winograd, input, images, weights, finish, output, workspace) };
}

#[inline(always)]
fn convolve_5x5_with<L: Lanes>(
    winograd: &Winograd,
    input: &[f32],
    images: usize,
    weights: &WinogradWeights,
    finish: Finish<'_>,
    output: &mut [f32],
    workspace: &mut WinogradWorkspace,
) {
    // SAFETY: the sizes were compared.
    unsafe { convolve_with::<L, 2>(winograd, input, images, weights, finish, output, workspace) };
}

/// # Safety
///
/// All sizes are those of `winograd`, whose output tiles are of side `M`.
#[inline(always)]
unsafe fn convolve_with<L: Lanes, const M: usize>(
    winograd: &Winograd,
    input: &[f32],
    images: usize,
    weights: &WinogradWeights,
    finish: Finish<'_>,
    output: &mut [f32],
    workspace: &mut WinogradWorkspace,
) {
    let Winograd { inputs, outputs, .. } = *winograd;
    let (input_row, output_row) = (row_stride(inputs), row_stride(outputs));
    let mut offsets = [0; GROUP];
    offsets.iter_mut().enumerate().for_each(|(tile, offset)| *offset = tile * input_row);
    for (first, tiles) in winograd.groups(images) {
        // SAFETY: the workspace has room for a group; tiles lie in the placement and their inner part in the images.
        unsafe {
            transform_input::<L>(winograd, input, inputs, first, tiles, workspace.inputs.as_mut_ptr());
            for product in 0..PRODUCTS {
                for (begin, width) in blocks(outputs) {
                    let sweep = Sweep {
                        input: workspace.inputs.as_ptr().add(product * winograd.plane(inputs)),
                        runs: 1,
                        run: inputs,
                        run_stride: 0,
                        weights: weights.values.as_ptr().add((product * outputs + begin) * inputs),
                        bias: None,
                        relu: false,
                        columns: output_row,
                    };
                    let to = workspace.outputs.as_mut_ptr().add(product * winograd.plane(outputs) + begin);
                    sweep.all::<L>(width, &offsets[..tiles], to);
                }
            }
            transform_output::<L, M>(winograd, workspace.outputs.as_ptr(), first, tiles, finish, output);
        }
    }
}

#[inline(always)]
fn add_weight_gradient_3x3_with<L: Lanes>(
    winograd: &Winograd,
    input: &[f32],
    images: usize,
    output_gradient: &[f32],
    workspace: &mut WinogradWorkspace,
) {
    // SAFETY: the sizes were compared.
    unsafe { add_weight_gradient_with::<L, 4>(winograd, input, images, output_gradient, workspace) };
}

#[inline(always)]
fn add_weight_gradient_5x5_with<L: Lanes>(
    winograd: &Winograd,
    input: &[f32],
    images: usize,
    output_gradient: &[f32],
    workspace: &mut WinogradWorkspace,
) {
    // SAFETY: the sizes were compared.
    unsafe { add_weight_gradient_with::<L, 2>(winograd, input, images, output_gradient, workspace) };
}

/// # Safety
///
/// All sizes are those of `winograd`, whose output tiles are of side `M`.
#[inline(always)]
unsafe fn add_weight_gradient_with<L: Lanes, const M: usize>(
    winograd: &Winograd,
    input: &[f32],
    images: usize,
    output_gradient: &[f32],
    workspace: &mut WinogradWorkspace,
) {
    let Winograd { inputs, outputs, .. } = *winograd;
    for (first, tiles) in winograd.groups(images) {
        // SAFETY: the workspace has room for a group and all sums; tiles lie in the placement.
        unsafe {
            transform_input::<L>(winograd, input, inputs, first, tiles, workspace.inputs.as_mut_ptr());
            let to = workspace.outputs.as_mut_ptr();
            transform_output_gradient::<L, M>(winograd, output_gradient, first, tiles, to);
            for product in 0..PRODUCTS {
                let matrices = GradientTiles {
                    input: workspace.inputs.as_ptr().add(product * winograd.plane(inputs)),
                    runs: 1,
                    run: inputs,
                    run_stride: 0,
                    output_gradient: workspace.outputs.as_ptr().add(product * winograd.plane(outputs)),
                    input_step: row_stride(inputs),
                    gradient_step: row_stride(outputs),
                    sums: workspace.sums.as_mut_ptr().add(product * inputs * outputs),
                    outputs,
                };
                matrices.add_all::<L>(&[Segment { input: 0, gradient: 0, positions: tiles }]);
            }
        }
    }
}
