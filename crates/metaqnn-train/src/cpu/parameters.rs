//! All parameters of a network in one vector, and their names.

use std::ops::Range;

use metaqnn_core::operation::TensorSpec;
use metaqnn_kernels::elementwise::MapSize;

use crate::weights::{HostTensor, InitialWeights, glorot_norm};

/// Where in the vector the values of a named tensor are, and in which order.
#[derive(Clone, Debug)]
struct Entry {
    node: String,
    tensor: TensorSpec,
    range: Range<usize>,
    layout: Layout,
}

/// How a tensor lies in the vector; channels in between that are only stored are zero.
#[derive(Clone, Copy, Debug)]
pub(super) enum Layout {
    /// OIHW as `kernel_size` × `kernel_size` × I × O, I and O as stored.
    Convolution { kernel_size: usize, inputs: usize, stored_inputs: usize, outputs: usize, stored_outputs: usize },
    /// Outputs × (C·H·W) as (H·W·C) × outputs, C and outputs as stored.
    Linear { channels: usize, input: MapSize, outputs: usize, stored_outputs: usize },
    /// One value a channel.
    Vector { channels: usize, stored: usize },
}

impl Layout {
    /// Numbers in the vector.
    fn len(self) -> usize {
        match self {
            Layout::Convolution { kernel_size, stored_inputs, stored_outputs, .. } => {
                kernel_size * kernel_size * stored_inputs * stored_outputs
            }
            Layout::Linear { input, stored_outputs, .. } => input.values() * stored_outputs,
            Layout::Vector { stored, .. } => stored,
        }
    }

    /// Index in the vector of every value of the tensor, in the tensor's order.
    fn indices(self) -> Box<dyn Iterator<Item = usize>> {
        match self {
            Layout::Convolution { kernel_size, inputs, stored_inputs, outputs, stored_outputs } => {
                let taps = kernel_size * kernel_size;
                let index = move |o, i, tap| (tap * stored_inputs + i) * stored_outputs + o;
                let of_output = move |o| (0..inputs).flat_map(move |i| (0..taps).map(move |tap| index(o, i, tap)));
                Box::new((0..outputs).flat_map(of_output))
            }
            Layout::Linear { channels, input, outputs, stored_outputs } => {
                let positions = input.positions();
                let index = move |o, c, position| (position * input.channels + c) * stored_outputs + o;
                let of_output = move |o| (0..channels).flat_map(move |c| (0..positions).map(move |p| index(o, c, p)));
                Box::new((0..outputs).flat_map(of_output))
            }
            Layout::Vector { channels, .. } => Box::new(0..channels),
        }
    }
}

/// Weights as a matrix of inputs × outputs.
#[derive(Clone, Debug)]
pub(super) struct Matrix {
    /// Where they are in the vector.
    pub(super) range: Range<usize>,
    /// Outputs as stored.
    pub(super) columns: usize,
    /// The expected Frobenius norm of fresh weights (Glorot and Bengio, 2010).
    pub(super) norm: f32,
    /// The lesser of inputs and outputs, without those that are only stored.
    pub(super) rank: usize,
}

/// The parameters, in the order of the layers.
#[derive(Clone, Debug, Default)]
pub(super) struct Parameters {
    /// None before [`Parameters::begin`].
    pub(super) values: Vec<f32>,
    entries: Vec<Entry>,
}

impl Parameters {
    /// Makes room for this tensor of the node of that name.
    pub(super) fn add(&mut self, node: &str, tensor: TensorSpec, layout: Layout) -> Range<usize> {
        let begin = self.entries.last().map_or(0, |entry| entry.range.end);
        let range = begin..begin + layout.len();
        self.entries.push(Entry { node: node.to_owned(), tensor, range: range.clone(), layout });
        range
    }

    /// Takes the values; no tensor can be added after that.
    pub(super) fn begin<W: InitialWeights>(&mut self, weights: &mut W) -> Result<(), W::Error> {
        self.values = vec![0.0; self.entries.last().map_or(0, |entry| entry.range.end)];
        for Entry { node, tensor, range, layout } in &self.entries {
            let values = weights.tensor(node, tensor)?;
            let stored = &mut self.values[range.clone()];
            for (index, value) in layout.indices().zip(values) {
                stored[index] = value;
            }
        }
        Ok(())
    }

    /// The weights of all convolutions and linear layers but the last.
    pub(super) fn matrices(&self) -> Vec<Matrix> {
        let matrix = |entry: &Entry| {
            let (columns, inputs, window, outputs) = match entry.layout {
                Layout::Convolution { kernel_size, inputs, outputs, stored_outputs, .. } => {
                    (stored_outputs, inputs, kernel_size * kernel_size * inputs, outputs)
                }
                Layout::Linear { channels, input, outputs, stored_outputs } => {
                    let inputs = channels * input.positions();
                    (stored_outputs, inputs, inputs, outputs)
                }
                Layout::Vector { .. } => return None,
            };
            let (norm, rank) = (glorot_norm(inputs, outputs), outputs.min(window));
            Some(Matrix { range: entry.range.clone(), columns, norm, rank })
        };
        let mut matrices: Vec<Matrix> = self.entries.iter().filter_map(matrix).collect();
        matrices.pop();
        matrices
    }

    /// The tensors by name, as [`Learner::to_safetensors`](crate::Learner::to_safetensors) has them.
    pub(super) fn host_tensors(&self) -> impl Iterator<Item = HostTensor> {
        self.host_tensors_of(&self.values)
    }

    /// The same of another vector with one number for each parameter.
    pub(super) fn host_tensors_of(&self, vector: &[f32]) -> impl Iterator<Item = HostTensor> {
        self.entries.iter().map(|Entry { node, tensor, range, layout }| {
            let stored = &vector[range.clone()];
            let values = layout.indices().map(|index| stored[index]);
            HostTensor::new(tensor.name(node), tensor.shape.clone(), values)
        })
    }
}
