//! Convolutions and linear layers, which are convolutions of one position.

use std::ops::Range;

use metaqnn_kernels::convolution::{Packed, Placement, Windows, add_weight_gradient, convolve};
use metaqnn_kernels::elementwise::{MapSize, add_sums, place, place_normalization_gradient};

use super::signal::{Activation, Signal, Statistics};

/// A convolution, or a linear layer over maps taken as one position.
#[derive(Debug)]
pub(super) struct Convolution {
    pub(super) weights: Range<usize>,
    pub(super) bias: Option<Range<usize>>,
    /// Whether ReLU comes at once.
    pub(super) relu: bool,
    /// Whether the gradient of its input is asked for.
    needs_input_gradient: bool,
    inputs: usize,
    outputs: usize,
    /// Images of a chunk.
    pub(super) chunk: usize,
    /// Where its input is placed.
    input: Placement,
    windows: Windows,
    packed: Packed,
    /// Where the gradient of its output is placed.
    output: Placement,
    turned_windows: Option<Windows>,
    turned: Packed,
}

/// What one thread needs to work on one layer.
#[derive(Clone, Debug, Default)]
pub(super) struct Scratch {
    pub(super) input: Vec<f32>,
    pub(super) output_gradient: Vec<f32>,
}

/// Positions that a chunk should have at least, so that its tiles are full.
const CHUNK_POSITIONS: usize = 192;

/// Images of a chunk of maps with so many positions, of at most `images`.
pub(super) fn chunk_images(positions: usize, images: usize) -> usize {
    CHUNK_POSITIONS.div_ceil(positions).clamp(1, images.max(1))
}

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
        let margin = (kernel_size - 1) / 2;
        let chunk = chunk_images(output.positions(), images);
        let placed = |size: MapSize| Placement::padded(size.height, size.width, margin);
        let windows_over = |placement: Placement, channels: usize, stride: usize, out: MapSize| {
            let Placement { height, width, .. } = placement;
            Windows::new(chunk, height, width, channels, kernel_size, stride, out.height, out.width)
        };
        let windows = windows_over(placed(input), input.channels, stride, output);
        // Windows over the gradient of the output have its positions as far apart as the stride and are turned.
        let turned_placement = Placement { step: stride, ..placed(input) };
        let turned_windows = needs_input_gradient.then(|| windows_over(turned_placement, output.channels, 1, input));
        let output_placement =
            if needs_input_gradient { turned_placement } else { Placement::dense(output.height, output.width) };
        Convolution {
            weights,
            bias,
            relu: false,
            needs_input_gradient,
            inputs: input.channels,
            outputs: output.channels,
            chunk,
            // A window of one position leaves maps as they are.
            input: placed(source),
            windows,
            packed: Packed::default(),
            output: output_placement,
            turned_windows,
            turned: Packed::default(),
        }
    }

    /// What a thread needs for it.
    pub(super) fn scratch(&self, input: &Signal, normalized: bool) -> Scratch {
        let zeros = |needed: bool, placement: Placement, channels: usize| {
            vec![0.0; if needed { placement.positions(self.chunk) * channels } else { 0 }]
        };
        Scratch {
            input: zeros(input.is_copied(self.input), self.input, input.size.channels),
            output_gradient: zeros(normalized || !self.output.is_dense(), self.output, self.outputs),
        }
    }

    /// Takes over the weights of this step.
    pub(super) fn pack(&mut self, parameters: &[f32], training: bool) {
        let weights = &parameters[self.weights.clone()];
        self.packed.pack(weights, self.outputs);
        if training && self.needs_input_gradient {
            self.turned.pack_turned(weights, self.inputs, self.outputs);
        }
    }

    /// Forward for `images`; `output` is theirs.
    pub(super) fn forward(
        &self,
        parameters: &[f32],
        input: &Signal,
        images: Range<usize>,
        output: &mut [f32],
        scratch: &mut Scratch,
        mut statistics: Option<&mut Statistics>,
    ) {
        let bias = self.bias.as_ref().map(|range| &parameters[range.clone()]);
        let values = self.windows.positions() * self.outputs;
        for (chunk, output) in chunks(&images, self.chunk).zip(output.chunks_mut(self.chunk * values)) {
            let placed = input.read(&chunk, self.input, &mut scratch.input);
            convolve(placed, &self.windows, chunk.len(), &self.packed, bias, self.relu, output);
            if let Some(statistics) = &mut statistics {
                if chunk.start == images.start {
                    statistics.begin(output);
                }
                statistics.add_values(output);
            }
        }
    }

    /// Backward for `images`: from the gradient of their output to that of the parameters, which is added to, and of their
    /// input, which is overwritten.
    #[expect(clippy::too_many_arguments, reason = "each is another tensor")]
    pub(super) fn backward(
        &self,
        input: &Signal,
        output: &Signal,
        images: Range<usize>,
        output_gradient: &[f32],
        input_gradient: &mut [f32],
        gradient: &mut [f32],
        scratch: &mut Scratch,
        statistics: &mut Statistics,
    ) {
        let output_chunks = output_gradient.chunks(self.chunk * output.size.values());
        let mut input_chunks = input_gradient.chunks_mut(self.chunk * input.size.values());
        for (chunk, output_gradient) in chunks(&images, self.chunk).zip(output_chunks) {
            if let Some(bias) = &self.bias {
                add_sums(output_gradient, &mut gradient[bias.clone()]);
            }
            let output_gradient = match &output.activation {
                Activation::Normalization(normalization) => {
                    place_normalization_gradient(
                        output_gradient,
                        output.images(&chunk),
                        output.size,
                        chunk.len(),
                        normalization.gradient(),
                        self.output,
                        &mut scratch.output_gradient,
                    );
                    &scratch.output_gradient
                }
                _ if self.output.is_dense() => output_gradient,
                _ => {
                    place(output_gradient, output.size, chunk.len(), self.output, &mut scratch.output_gradient);
                    &scratch.output_gradient
                }
            };
            let placed = input.read(&chunk, self.input, &mut scratch.input);
            add_weight_gradient(
                placed,
                &self.windows,
                chunk.len(),
                output_gradient,
                self.output,
                self.outputs,
                &mut gradient[self.weights.clone()],
            );
            if let (Some(windows), Some(input_gradient)) = (&self.turned_windows, input_chunks.next()) {
                convolve(output_gradient, windows, chunk.len(), &self.turned, None, false, input_gradient);
                input.undo_activation(&chunk, input_gradient, statistics);
            }
        }
    }
}

/// `images` in chunks of `size`.
pub(super) fn chunks(images: &Range<usize>, size: usize) -> impl Iterator<Item = Range<usize>> + use<> {
    let end = images.end;
    images.clone().step_by(size).map(move |start| start..(start + size).min(end))
}
