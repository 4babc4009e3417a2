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

use crate::convolution::{Finish, Placement};
use crate::lanes::{LANES, Lanes, each_vector, vectorized};
use crate::tiles::{BLOCK, GradientTiles, Segment, Sweep, blocks};

/// Side of an input tile, and number of points.
const SIDE: usize = 6;
/// Products for a tile.
const PRODUCTS: usize = SIDE * SIDE;

/// The points ±α and ±β.
const ALPHA: f64 = 0.75;
const BETA: f64 = 1.5;
/// Their powers, as constants, for `powi` is a call.
const POWERS_OF_ALPHA: [f64; 5] = powers(ALPHA);
const POWERS_OF_BETA: [f64; 5] = powers(BETA);
/// Π (p − q) over the other points q, of p = 0, ±α and ±β.
const NORM_0: f64 = ALPHA * ALPHA * BETA * BETA;
const NORM_ALPHA: f64 = 2.0 * ALPHA * ALPHA * (ALPHA * ALPHA - BETA * BETA);
const NORM_BETA: f64 = 2.0 * BETA * BETA * (BETA * BETA - ALPHA * ALPHA);

const fn powers(point: f64) -> [f64; 5] {
    [1.0, point, point * point, point * point * point, point * point * point * point]
}

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

/// Bᵀ d B of each tile, to the planes of `to`.
///
/// # Safety
///
/// `input` is placed for `winograd` with `channels` a position; `to` has room for a group.
#[inline(always)]
unsafe fn transform_input<L: Lanes>(
    winograd: &Winograd,
    input: &[f32],
    channels: usize,
    first: usize,
    tiles: usize,
    to: *mut f32,
) {
    let placement = winograd.placement();
    let (plane, row) = (winograd.plane(channels), row_stride(channels));
    for tile in 0..tiles {
        let (n, y, x) = winograd.corner(first + tile);
        let corner = ((n * placement.height + y) * placement.width + x) * channels;
        // SAFETY: the tile lies in the placement, the plane's row in `to`.
        unsafe {
            let (from, to) = (input.as_ptr().add(corner), to.add(tile * row));
            let image_row = placement.width * channels;
            each_vector!(L, channels, |c| transform_input_vector::<_>(
                from.add(c),
                channels,
                image_row,
                to.add(c),
                plane
            ));
        }
    }
}

/// The same of one tile's one vector of channels; positions are `position` after each other, rows of the image `image_row`.
///
/// # Safety
///
/// As of [`Lanes`], for each of the tile's positions and each plane.
#[inline(always)]
unsafe fn transform_input_vector<L: Lanes>(
    from: *const f32,
    position: usize,
    image_row: usize,
    to: *mut f32,
    plane: usize,
) {
    // SAFETY: as said above.
    unsafe {
        let mut rows = [[L::splat(0.0); SIDE]; SIDE];
        for (i, values) in rows.iter_mut().enumerate() {
            *values = input_at_points(load_each::<L, SIDE>(from.add(i * image_row), position));
        }
        for j in 0..SIDE {
            let column = input_at_points(column_of(&rows, j));
            for (i, value) in column.into_iter().enumerate() {
                value.store(to.add((i * SIDE + j) * plane));
            }
        }
    }
}

/// A ∂y Aᵀ of each tile, to the planes of `to`.
///
/// # Safety
///
/// `gradient` is placed for `winograd` with its outputs at a position; `to` has room for a group.
#[inline(always)]
unsafe fn transform_output_gradient<L: Lanes, const M: usize>(
    winograd: &Winograd,
    gradient: &[f32],
    first: usize,
    tiles: usize,
    to: *mut f32,
) {
    let placement = winograd.placement();
    let channels = winograd.outputs;
    let (plane, row) = (winograd.plane(channels), row_stride(channels));
    for tile in 0..tiles {
        let (n, y, x) = winograd.corner(first + tile);
        let corner = placement.index(n, y, x) * channels;
        // SAFETY: the tile lies in the placement, the plane's row in `to`.
        unsafe {
            let (from, to) = (gradient.as_ptr().add(corner), to.add(tile * row));
            let image_row = placement.width * channels;
            each_vector!(L, channels, |c| transform_gradient_vector::<_, M>(
                from.add(c),
                channels,
                image_row,
                to.add(c),
                plane
            ));
        }
    }
}

/// The same of one tile's one vector of channels; positions are `position` after each other, rows of the image `image_row`.
///
/// # Safety
///
/// As of [`Lanes`], for each of the tile's positions and each plane.
#[inline(always)]
unsafe fn transform_gradient_vector<L: Lanes, const M: usize>(
    from: *const f32,
    position: usize,
    image_row: usize,
    to: *mut f32,
    plane: usize,
) {
    // SAFETY: as said above.
    unsafe {
        let mut rows = [[L::splat(0.0); SIDE]; M];
        for (i, values) in rows.iter_mut().enumerate() {
            *values = gradient_at_points::<L, M>(load_each(from.add(i * image_row), position));
        }
        for j in 0..SIDE {
            let column = gradient_at_points::<L, M>(column_of(&rows, j));
            for (i, value) in column.into_iter().enumerate() {
                value.store(to.add((i * SIDE + j) * plane));
            }
        }
    }
}

/// Aᵀ m A of each tile of the planes of `from`, with bias and ReLU, to the images of `output`.
///
/// # Safety
///
/// `from` has the tiles, `output` the images of the tiles, the bias an entry for each output.
#[inline(always)]
unsafe fn transform_output<L: Lanes, const M: usize>(
    winograd: &Winograd,
    from: *const f32,
    first: usize,
    tiles: usize,
    finish: Finish<'_>,
    output: &mut [f32],
) {
    let Winograd { height, width, outputs: channels, .. } = *winograd;
    let (plane, row) = (winograd.plane(channels), row_stride(channels));
    for tile in 0..tiles {
        let (n, y, x) = winograd.corner(first + tile);
        let corner = ((n * height + y) * width + x) * channels;
        // At the lower and right edge tiles are cut.
        let (rows, columns) = (M.min(height - y), M.min(width - x));
        // SAFETY: the tile lies in `from`, what is left after the cut in the image.
        unsafe {
            let from = from.add(tile * row);
            let to = output.as_mut_ptr().add(corner);
            let bias = |c| finish.bias.map(|bias| bias.as_ptr().add(c));
            let cut = Cut { rows, columns, position: channels, image_row: width * channels };
            each_vector!(L, channels, |c| transform_output_vector::<_, M>(
                from.add(c),
                plane,
                bias(c),
                finish.relu,
                to.add(c),
                cut
            ));
        }
    }
}

/// Where an output tile is written.
#[derive(Clone, Copy)]
struct Cut {
    /// How much of the tile there is room for.
    rows: usize,
    columns: usize,
    /// From a position to the next.
    position: usize,
    /// From a row of the image to the next.
    image_row: usize,
}

/// The same of one tile's one vector of channels.
///
/// # Safety
///
/// As of [`Lanes`], for each plane, the bias and the positions of the cut.
#[inline(always)]
unsafe fn transform_output_vector<L: Lanes, const M: usize>(
    from: *const f32,
    plane: usize,
    bias: Option<*const f32>,
    relu: bool,
    to: *mut f32,
    cut: Cut,
) {
    // SAFETY: as said above.
    unsafe {
        let bias = match bias {
            Some(bias) => L::load(bias),
            None => L::splat(0.0),
        };
        let mut halves = [[L::splat(0.0); SIDE]; M];
        for j in 0..SIDE {
            let column = load_each(from.add(j * plane), SIDE * plane);
            for (half, value) in halves.iter_mut().zip(output_of_points::<L, M>(column)) {
                half[j] = value;
            }
        }
        for (i, half) in halves.into_iter().enumerate().take(cut.rows) {
            let values = output_of_points::<L, M>(half);
            for (j, value) in values.into_iter().enumerate().take(cut.columns) {
                let value = value.add(bias);
                let value = if relu { value.relu() } else { value };
                value.store(to.add(i * cut.image_row + j * cut.position));
            }
        }
    }
}

#[inline(always)]
fn transform_weights_with<L: Lanes>(winograd: &Winograd, weights: &[f32], to: &mut [f32]) {
    let Winograd { inputs, outputs, .. } = *winograd;
    for (begin, width) in blocks(outputs) {
        for i in 0..inputs {
            // SAFETY: the taps lie in the weights, the products in the matrices, whose sizes were compared.
            unsafe {
                let from = weights.as_ptr().add(i * outputs + begin);
                let to = to.as_mut_ptr().add(begin * inputs + i * width);
                let (kernel_size, matrix) = (winograd.kernel_size, inputs * outputs);
                each_vector!(L, width, |o| store_weights_at_points::<_>(
                    kernel_size,
                    from.add(o),
                    matrix,
                    to.add(o),
                    matrix
                ));
            }
        }
    }
}

#[inline(always)]
fn transform_turned_weights_with<L: Lanes>(winograd: &Winograd, weights: &[f32], to: &mut [f32]) {
    let Winograd { kernel_size, inputs, outputs, .. } = *winograd;
    let taps = kernel_size * kernel_size;
    // Of eight inputs and eight outputs, with the outputs in front.
    let mut turned = [[[0.0_f32; LANES]; LANES]; 25];
    for (begin, width) in blocks(inputs) {
        for i in (0..width).step_by(LANES) {
            for o in (0..outputs).step_by(LANES) {
                for (tap, turned) in turned[..taps].iter_mut().enumerate() {
                    let matrix = &weights[(taps - 1 - tap) * inputs * outputs..][..inputs * outputs];
                    for lane in 0..LANES {
                        let row = &matrix[(begin + i + lane) * outputs + o..][..LANES];
                        for (column, value) in turned.iter_mut().zip(row) {
                            column[lane] = *value;
                        }
                    }
                }
                for lane in 0..LANES {
                    // SAFETY: the products lie in the matrices, whose sizes were compared.
                    unsafe {
                        let taps = turned.as_ptr().cast::<f32>().add(lane * LANES);
                        let to = to.as_mut_ptr().add(begin * outputs + (o + lane) * width + i);
                        store_weights_at_points::<L>(kernel_size, taps, LANES * LANES, to, inputs * outputs);
                    }
                }
            }
        }
    }
}

/// G g Gᵀ of eight kernels, whose taps are `tap` after each other, to the 36 matrices, `matrix` after each other.
///
/// # Safety
///
/// As of [`Lanes`], for each tap and matrix.
#[inline(always)]
unsafe fn store_weights_at_points<L: Lanes>(
    kernel_size: usize,
    taps: *const f32,
    tap: usize,
    to: *mut f32,
    matrix: usize,
) {
    // SAFETY: as said above.
    unsafe {
        match kernel_size {
            3 => weights_at_points_2d::<L, 3>(taps, tap, to, matrix),
            _ => weights_at_points_2d::<L, 5>(taps, tap, to, matrix),
        }
    }
}

/// # Safety
///
/// As of [`Lanes`], for each tap and matrix.
#[inline(always)]
unsafe fn weights_at_points_2d<L: Lanes, const K: usize>(taps: *const f32, tap: usize, to: *mut f32, matrix: usize) {
    // SAFETY: as said above.
    unsafe {
        let mut rows = [[L::splat(0.0); SIDE]; K];
        for (row, values) in rows.iter_mut().enumerate() {
            *values = weights_at_points::<L, K>(load_each(taps.add(row * K * tap), tap));
        }
        for j in 0..SIDE {
            let column = weights_at_points::<L, K>(column_of(&rows, j));
            for (i, value) in column.into_iter().enumerate() {
                value.store(to.add((i * SIDE + j) * matrix));
            }
        }
    }
}

#[inline(always)]
fn finish_3x3_with<L: Lanes>(winograd: &Winograd, sums: &[f32], gradient: &mut [f32]) {
    finish_with::<L, 3>(winograd, sums, gradient);
}

#[inline(always)]
fn finish_5x5_with<L: Lanes>(winograd: &Winograd, sums: &[f32], gradient: &mut [f32]) {
    finish_with::<L, 5>(winograd, sums, gradient);
}

/// Gᵀ u G of all pairs of channels.
#[inline(always)]
fn finish_with<L: Lanes, const K: usize>(winograd: &Winograd, sums: &[f32], gradient: &mut [f32]) {
    let matrix = winograd.inputs * winograd.outputs;
    let (from, to) = (sums.as_ptr(), gradient.as_mut_ptr());
    // SAFETY: matrices lie in the sums, taps in the gradient, whose sizes were compared.
    unsafe {
        each_vector!(L, matrix, |pair| finish_vector::<_, K>(from.add(pair), to.add(pair), matrix));
    }
}

/// The same of one vector of pairs; sums and taps are `matrix` after each other.
///
/// # Safety
///
/// As of [`Lanes`], for each sum and tap.
#[inline(always)]
unsafe fn finish_vector<L: Lanes, const K: usize>(from: *const f32, to: *mut f32, matrix: usize) {
    // SAFETY: as said above.
    unsafe {
        let mut halves = [[L::splat(0.0); SIDE]; K];
        for j in 0..SIDE {
            let column = load_each(from.add(j * matrix), SIDE * matrix);
            for (half, value) in halves.iter_mut().zip(weights_of_points::<L, K>(column)) {
                half[j] = value;
            }
        }
        for (row, half) in halves.into_iter().enumerate() {
            for (column, value) in weights_of_points::<L, K>(half).into_iter().enumerate() {
                let to = to.add((row * K + column) * matrix);
                L::load(to).add(value).store(to);
            }
        }
    }
}

/// Vectors that are `step` after each other.
///
/// # Safety
///
/// As of [`Lanes`], for each.
#[inline(always)]
unsafe fn load_each<L: Lanes, const N: usize>(from: *const f32, step: usize) -> [L; N] {
    // SAFETY: as said above.
    unsafe {
        let mut values = [L::splat(0.0); N];
        for (index, value) in values.iter_mut().enumerate() {
            *value = L::load(from.add(index * step));
        }
        values
    }
}

/// The `column`-th of each row.
#[inline(always)]
fn column_of<L: Lanes, const N: usize>(rows: &[[L; SIDE]; N], column: usize) -> [L; N] {
    let mut values = [rows[0][column]; N];
    for (value, row) in values.iter_mut().zip(rows) {
        *value = row[column];
    }
    values
}

/// Bᵀ d. Of ±p the even part of the polynomial is the same and the odd one changes its sign.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
unsafe fn input_at_points<L: Lanes>(d: [L; SIDE]) -> [L; SIDE] {
    // SAFETY: as said above.
    unsafe {
        let (alpha, beta) = (L::splat(ALPHA as f32), L::splat(BETA as f32));
        let minus_squares = L::splat(-(ALPHA * ALPHA + BETA * BETA) as f32);
        let (minus_alpha_2, minus_beta_2) = (L::splat(-(ALPHA * ALPHA) as f32), L::splat(-(BETA * BETA) as f32));
        let product = L::splat(NORM_0 as f32);
        let zero = L::splat(0.0);
        let even_alpha = d[2].mul_add(minus_beta_2, d[4]);
        let odd_alpha = alpha.mul_add(d[1].mul_add(minus_beta_2, d[3]), zero);
        let even_beta = d[2].mul_add(minus_alpha_2, d[4]);
        let odd_beta = beta.mul_add(d[1].mul_add(minus_alpha_2, d[3]), zero);
        [
            d[0].mul_add(product, d[2].mul_add(minus_squares, d[4])),
            even_alpha.add(odd_alpha),
            even_alpha.sub(odd_alpha),
            even_beta.add(odd_beta),
            even_beta.sub(odd_beta),
            d[1].mul_add(product, d[3].mul_add(minus_squares, d[5])),
        ]
    }
}

/// Aᵀ m.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
unsafe fn output_of_points<L: Lanes, const M: usize>(m: [L; SIDE]) -> [L; M] {
    // SAFETY: as said above.
    unsafe {
        let even = [m[1].add(m[2]), m[3].add(m[4])];
        let odd = [m[1].sub(m[2]), m[3].sub(m[4])];
        let mut output = [even[0].add(even[1]).add(m[0]); M];
        // A loop, for closures are not always inlined, and then know nothing of the instructions.
        for power in 1..M {
            let [at_alpha, at_beta] = if power % 2 == 0 { even } else { odd };
            let alpha = L::splat(POWERS_OF_ALPHA[power] as f32);
            let beta = L::splat(POWERS_OF_BETA[power] as f32);
            let rest = if power == M - 1 { m[5] } else { L::splat(0.0) };
            output[power] = at_alpha.mul_add(alpha, at_beta.mul_add(beta, rest));
        }
        output
    }
}

/// A ∂y.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
unsafe fn gradient_at_points<L: Lanes, const M: usize>(y: [L; M]) -> [L; SIDE] {
    // SAFETY: as said above.
    unsafe {
        let ([even_alpha, odd_alpha], [even_beta, odd_beta]) =
            (halves_at(POWERS_OF_ALPHA, y), halves_at(POWERS_OF_BETA, y));
        [
            y[0],
            even_alpha.add(odd_alpha),
            even_alpha.sub(odd_alpha),
            even_beta.add(odd_beta),
            even_beta.sub(odd_beta),
            y[M - 1],
        ]
    }
}

/// G g.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
unsafe fn weights_at_points<L: Lanes, const K: usize>(g: [L; K]) -> [L; SIDE] {
    // SAFETY: as said above.
    unsafe {
        let zero = L::splat(0.0);
        let part_0 = L::splat((1.0 / NORM_0) as f32);
        let part_alpha = L::splat((1.0 / NORM_ALPHA) as f32);
        let part_beta = L::splat((1.0 / NORM_BETA) as f32);
        let ([even_alpha, odd_alpha], [even_beta, odd_beta]) =
            (halves_at(POWERS_OF_ALPHA, g), halves_at(POWERS_OF_BETA, g));
        let (even_alpha, odd_alpha) = (even_alpha.mul_add(part_alpha, zero), odd_alpha.mul_add(part_alpha, zero));
        let (even_beta, odd_beta) = (even_beta.mul_add(part_beta, zero), odd_beta.mul_add(part_beta, zero));
        [
            g[0].mul_add(part_0, zero),
            even_alpha.add(odd_alpha),
            even_alpha.sub(odd_alpha),
            even_beta.add(odd_beta),
            even_beta.sub(odd_beta),
            g[K - 1],
        ]
    }
}

/// Gᵀ u.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
unsafe fn weights_of_points<L: Lanes, const K: usize>(u: [L; SIDE]) -> [L; K] {
    // SAFETY: as said above.
    unsafe {
        let even = [u[1].add(u[2]), u[3].add(u[4])];
        let odd = [u[1].sub(u[2]), u[3].sub(u[4])];
        let mut weights = [L::splat(0.0); K];
        for power in 0..K {
            let [at_alpha, at_beta] = if power % 2 == 0 { even } else { odd };
            let alpha = L::splat((POWERS_OF_ALPHA[power] / NORM_ALPHA) as f32);
            let beta = L::splat((POWERS_OF_BETA[power] / NORM_BETA) as f32);
            let rest = if power == 0 {
                u[0].mul_add(L::splat((1.0 / NORM_0) as f32), L::splat(0.0))
            } else if power == K - 1 {
                u[5]
            } else {
                L::splat(0.0)
            };
            weights[power] = at_alpha.mul_add(alpha, at_beta.mul_add(beta, rest));
        }
        weights
    }
}

/// The even and the odd part of the polynomial with these coefficients at the point with these powers.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
unsafe fn halves_at<L: Lanes, const N: usize>(powers: [f64; 5], coefficients: [L; N]) -> [L; 2] {
    // SAFETY: as said above.
    unsafe {
        let mut even = coefficients[0];
        let mut odd = coefficients[1].mul_add(L::splat(powers[1] as f32), L::splat(0.0));
        for exponent in 2..N {
            let power = L::splat(powers[exponent] as f32);
            if exponent % 2 == 0 {
                even = coefficients[exponent].mul_add(power, even);
            } else {
                odd = coefficients[exponent].mul_add(power, odd);
            }
        }
        [even, odd]
    }
}
