//! Convolutions and linear layers, which are convolutions of one position.

use std::ops::Range;

use metaqnn_kernels::convolution::{Finish, Packed, Placement, Windows, add_weight_gradient, convolve};
use metaqnn_kernels::elementwise::{MapSize, add_sums};
use metaqnn_kernels::winograd::{self, Winograd, WinogradWeights, WinogradWorkspace};

use super::signal::{Maps, Signal, Statistics};
use super::slot::Slot;

/// A convolution, or a linear layer over maps taken as one position.
#[derive(Debug)]
pub(super) struct Convolution {
    pub(super) weights: Range<usize>,
    pub(super) bias: Option<Range<usize>>,
    /// Whether ReLU comes at once.
    pub(super) relu: bool,
    inputs: usize,
    outputs: usize,
    /// Images of a chunk.
    pub(super) chunk: usize,
    /// Where its input is placed.
    input: Placement,
    /// Where the gradient of its output is placed.
    output: Placement,
    forward: Sweep,
    /// The gradient of the input, a sweep over that of the output.
    turned: Option<Sweep>,
    /// Whether the gradient of the weights is computed first and then that of the input, so that they share room.
    in_turn: bool,
}

/// What a pass over the images computes on the way back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Pass {
    /// The gradient of weights and biases.
    Weights,
    /// The gradient of the input, which may take the place of the input.
    Input,
    /// Both, while a chunk is in the cache.
    Both,
}

impl Pass {
    fn has_weights(self) -> bool {
        self != Pass::Input
    }

    pub(super) fn has_input(self) -> bool {
        self != Pass::Weights
    }
}

/// A convolution of either kind.
#[derive(Debug)]
enum Sweep {
    Direct(Windows),
    Winograd(Winograd),
}

/// The weights of one convolution, made ready for a sweep; they are made anew for each, in the same place.
#[derive(Clone, Debug, Default)]
pub(super) struct ReadyWeights {
    packed: Packed,
    transformed: WinogradWeights,
}

impl Sweep {
    fn run(
        &self,
        input: &[f32],
        images: usize,
        weights: &ReadyWeights,
        finish: Finish<'_>,
        output: &mut [f32],
        workspace: &mut WinogradWorkspace,
    ) {
        match self {
            Sweep::Direct(windows) => convolve(input, windows, images, &weights.packed, finish, output),
            Sweep::Winograd(winograd) => {
                let weights = &weights.transformed;
                winograd::convolve(winograd, input, images, weights, finish, output, workspace);
            }
        }
    }
}

/// What one thread needs to work on one chunk of one layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    /// The input as the layer wants it.
    pub(super) input: Vec<f32>,
    /// The gradient of the output, likewise.
    pub(super) output_gradient: Vec<f32>,
    /// The gradient of the input, before it takes the place of the input.
    pub(super) input_gradient: Vec<f32>,
    /// For copies of both while the gradient of the weights is computed.
    room: Vec<f32>,
    workspace: WinogradWorkspace,
}

/// Positions that a chunk should have at least, so that its tiles are full.
const CHUNK_POSITIONS: usize = 192;

/// Images of a chunk of maps with so many positions, of at most `images`.
pub(super) fn chunk_images(positions: usize, images: usize) -> usize {
    CHUNK_POSITIONS.div_ceil(positions).clamp(1, images.max(1))
}

/// Images of a chunk of a linear layer. The gradient of its input is as large as the whole maps before it, so that where outputs are few it would
/// outweigh the weights, and reading those again for each chunk costs less.
fn chunk_of_linear(outputs: usize, images: usize) -> usize {
    chunk_images(1, images).min(outputs.next_multiple_of(ROWS_OF_A_TILE))
}

/// Rows that the products of matrices compute at a time.
const ROWS_OF_A_TILE: usize = 6;

/// Where the maps of a batch, of input and output together, are fewer than this times the numbers that Winograd's matrices have,
/// the matrices of weights and of their gradient share one room. It costs a second transform of the output's gradient.
const MAPS_OVER_MATRICES: usize = 2;

/// What makes up a convolution.
#[derive(Clone, Copy, Debug)]
pub(super) struct Geometry {
    /// What comes in.
    pub(super) source: MapSize,
    /// The same as the convolution sees it: a linear layer takes whole maps as the channels of one position.
    pub(super) input: MapSize,
    pub(super) output: MapSize,
    pub(super) kernel_size: usize,
    pub(super) stride: usize,
}

impl Convolution {
    pub(super) fn new(
        geometry: Geometry,
        images: usize,
        weights: Range<usize>,
        bias: Option<Range<usize>>,
        needs_input_gradient: bool,
    ) -> Self {
        let Geometry { source, input, output, kernel_size, stride } = geometry;
        let chunk = match output.positions() {
            1 => chunk_of_linear(output.channels, images),
            positions => chunk_images(positions, images),
        };
        let mut convolution = Convolution {
            weights,
            bias,
            relu: false,
            inputs: input.channels,
            outputs: output.channels,
            chunk,
            input: Placement::dense(0, 0),
            output: Placement::dense(0, 0),
            forward: Sweep::Direct(Windows::default()),
            turned: None,
            in_turn: false,
        };
        if stride == 1 && needs_input_gradient && matches!(kernel_size, 3 | 5) {
            let winograd = Winograd::new(kernel_size, input.height, input.width, input.channels, output.channels);
            if winograd.is_faster() {
                convolution.chunk = convolution.chunk.max(winograd.least_images()).min(images.max(1));
                convolution.input = winograd.placement();
                convolution.output = winograd.placement();
                convolution.turned = Some(Sweep::Winograd(winograd.turned()));
                let maps = images * (input.values() + output.values());
                convolution.in_turn = winograd.matrices() > maps / MAPS_OVER_MATRICES;
                convolution.forward = Sweep::Winograd(winograd);
                return convolution;
            }
        }
        let margin = (kernel_size - 1) / 2;
        let placed = |size: MapSize| Placement::padded(size.height, size.width, margin);
        let windows_over = |placement: Placement, channels: usize, stride: usize, out: MapSize| {
            let Placement { height, width, .. } = placement;
            Windows::new(convolution.chunk, height, width, channels, kernel_size, stride, out.height, out.width)
        };
        let forward = Sweep::Direct(windows_over(placed(input), input.channels, stride, output));
        // Windows over the gradient of the output have its positions as far apart as the stride and are turned.
        let turned_placement = Placement { step: stride, ..placed(input) };
        let turned =
            needs_input_gradient.then(|| Sweep::Direct(windows_over(turned_placement, output.channels, 1, input)));
        let output =
            if needs_input_gradient { turned_placement } else { Placement::dense(output.height, output.width) };
        // A window of one position leaves maps as they are.
        Convolution { input: placed(source), output, forward, turned, ..convolution }
    }

    /// Makes the weights ready for the forward pass.
    pub(super) fn prepare(&self, parameters: &[f32], ready: &mut ReadyWeights) {
        let weights = &parameters[self.weights.clone()];
        match &self.forward {
            Sweep::Direct(_) => ready.packed.pack(weights, self.outputs),
            Sweep::Winograd(winograd) => ready.transformed.transform(winograd, weights),
        }
    }

    /// The passes of the way back, in order.
    pub(super) fn passes(&self) -> &'static [Pass] {
        if self.in_turn { &[Pass::Weights, Pass::Input] } else { &[Pass::Both] }
    }

    /// Before and after [`Pass::Weights`]: lets the thread of `scratch` have the room of the ready weights.
    pub(super) fn exchange_room(ready: &mut ReadyWeights, scratch: &mut Scratch) {
        ready.transformed.exchange_room(&mut scratch.workspace);
    }

    /// Makes the weights ready for the gradient of the input.
    pub(super) fn prepare_turned(&self, parameters: &[f32], ready: &mut ReadyWeights) {
        let weights = &parameters[self.weights.clone()];
        match (&self.forward, &self.turned) {
            (_, None) => {}
            (Sweep::Winograd(winograd), Some(_)) => ready.transformed.transform_turned(winograd, weights),
            (Sweep::Direct(_), Some(_)) => ready.packed.pack_turned(weights, self.inputs, self.outputs),
        }
    }

    /// Forward for `images`; `output` is theirs.
    #[expect(clippy::too_many_arguments, reason = "each is another tensor")]
    pub(super) fn forward(
        &self,
        parameters: &[f32],
        ready: &ReadyWeights,
        input: &Signal,
        images: Range<usize>,
        output: &mut [f32],
        scratch: &mut Scratch,
        mut statistics: Option<&mut Statistics>,
    ) {
        let bias = self.bias.as_ref().map(|range| &parameters[range.clone()]);
        let values = output.len() / images.len().max(1);
        let Scratch { input: placed, workspace, .. } = scratch;
        for (chunk, output) in chunks(&images, self.chunk).zip(output.chunks_mut(self.chunk * values)) {
            let input = input.maps.read(&input.values[input.maps.range(&chunk)], chunk.len(), self.input, placed);
            self.forward.run(input, chunk.len(), ready, Finish { bias, relu: self.relu }, output, workspace);
            if let Some(statistics) = &mut statistics {
                if chunk.start == images.start {
                    statistics.begin(output);
                }
                statistics.add_values(output);
            }
        }
    }

    /// One of the [`passes`](Convolution::passes) for `images` images: from the gradient of their output to that of the
    /// parameters, which is added to, and of their input. Of a normalized output the values are needed too.
    #[expect(clippy::too_many_arguments, reason = "each is another tensor")]
    pub(super) fn backward(
        &self,
        pass: Pass,
        ready: &ReadyWeights,
        (input, slot): (&Maps, &mut Slot<'_>),
        (output, output_values, output_gradient): (&Maps, &[f32], &[f32]),
        images: usize,
        gradient: &mut [f32],
        scratch: &mut Scratch,
        statistics: &mut Statistics,
    ) {
        let Scratch { input: placed, output_gradient: placed_gradient, input_gradient, room, workspace } = scratch;
        if let Sweep::Winograd(winograd) = &self.forward
            && pass.has_weights()
        {
            workspace.clear_sums(winograd);
        }
        for chunk in chunks(&(0..images), self.chunk) {
            let (count, range) = (chunk.len(), output.range(&chunk));
            let (from, values) = (&output_gradient[range.clone()], &output_values[range]);
            let output_gradient = output.gradient_of_values(from, values, count, self.output, placed_gradient);
            if let Some(bias) = &self.bias
                && pass.has_weights()
            {
                // Where it is placed, zeros are between.
                let of_values = if output.is_normalized() { output_gradient } else { from };
                add_sums(of_values, &mut gradient[bias.clone()]);
            }
            let slot = slot.part(input.range(&chunk));
            if pass.has_weights() {
                let placed = input.read(slot.values(), count, self.input, placed);
                match &self.forward {
                    Sweep::Direct(windows) => {
                        let gradient = &mut gradient[self.weights.clone()];
                        add_weight_gradient(placed, windows, count, output_gradient, self.output, gradient, room);
                    }
                    Sweep::Winograd(winograd) => {
                        winograd::add_weight_gradient(winograd, placed, count, output_gradient, workspace);
                    }
                }
            }
            if let Some(turned) = &self.turned
                && pass.has_input()
            {
                slot.take_gradient(input, input_gradient, statistics, |to| {
                    turned.run(output_gradient, count, ready, Finish::default(), to, workspace);
                });
            }
        }
        if let Sweep::Winograd(winograd) = &self.forward
            && pass.has_weights()
        {
            winograd::finish_weight_gradient(winograd, workspace, &mut gradient[self.weights.clone()]);
        }
    }
}

/// `images` in chunks of `size`.
pub(super) fn chunks(images: &Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let end = images.end;
    images.clone().step_by(size).map(move |start| start..(start + size).min(end))
}
