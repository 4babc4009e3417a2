//! From a graph to layers, with the room that they need for a batch.

use std::ops::Range;

use metaqnn_core::graph::{Graph, MapShape, Node};
use metaqnn_core::operation::{Convolution as ConvolutionOf, Dropout, MaxPool, Operation};
use metaqnn_kernels::elementwise::MapSize;
use metaqnn_kernels::pooling::Pool;
use metaqnn_kernels::stored_channels;

use super::Layer;
use crate::cpu::convolution::{Convolution, Geometry};
use crate::cpu::parameters::{Layout, Parameters};
use crate::cpu::signal::{Activation, Normalization, Signal};

/// Turns the operations of a graph into layers.
pub(super) struct Builder {
    pub(super) layers: Vec<Layer>,
    pub(super) signals: Vec<Signal>,
    pub(super) parameters: Parameters,
    batch_size: usize,
    /// Channels of the last signal that are not only stored.
    channels: usize,
}

impl Builder {
    pub(super) fn new(graph: &Graph, batch_size: usize) -> Self {
        let MapShape { channels, height, width } = graph.input();
        let channels = channels as usize;
        // Windows over images need no whole vectors, since the gradient of images is not asked for.
        let weights_first = matches!(
            graph.nodes().first().map(|node| node.operation),
            Some(Operation::Convolution(_) | Operation::Flatten(_))
        );
        let stored = if weights_first { channels } else { stored_channels(channels) };
        let size = MapSize { height: height as usize, width: width as usize, channels: stored };
        Builder {
            layers: Vec::new(),
            signals: vec![Signal::new(size, batch_size)],
            parameters: Parameters::default(),
            batch_size,
            channels,
        }
    }

    fn last(&mut self) -> &mut Signal {
        let last = self.signals.len() - 1;
        &mut self.signals[last]
    }

    fn push(&mut self, layer: Layer, size: MapSize, channels: usize) {
        self.layers.push(layer);
        self.signals.push(Signal::new(size, self.batch_size));
        self.channels = channels;
    }

    pub(super) fn add(&mut self, node: &Node) {
        let MapShape { channels, height, width } = node.output.map();
        let channels = channels as usize;
        let size = MapSize { height: height as usize, width: width as usize, channels: stored_channels(channels) };
        match node.operation {
            Operation::Convolution(ConvolutionOf { kernel_size, stride, .. }) => {
                let kernel_size = kernel_size as usize;
                let source = self.last().maps.size;
                let layout = Layout::Convolution {
                    kernel_size,
                    inputs: self.channels,
                    stored_inputs: source.channels,
                    outputs: channels,
                    stored_outputs: size.channels,
                };
                let geometry = Geometry { source, input: source, output: size, kernel_size, stride: stride as usize };
                self.weights(node, geometry, layout, channels);
            }
            Operation::Linear(_) => {
                let source = self.last().maps.size;
                let layout = Layout::Linear {
                    channels: self.channels,
                    input: source,
                    outputs: channels,
                    stored_outputs: size.channels,
                };
                let input = MapSize { height: 1, width: 1, channels: source.values() };
                let geometry = Geometry { source, input, output: size, kernel_size: 1, stride: 1 };
                self.weights(node, geometry, layout, channels);
            }
            Operation::BatchNorm(_) => {
                let stored = self.last().maps.size.channels;
                let layout = Layout::Vector { channels, stored };
                let [gamma, beta] = self.parameters(node, [layout; 2]).map(Option::unwrap_or_default);
                let statistics = node.operation.tensors().into_iter().filter(|tensor| !tensor.trainable).collect();
                let normalization = Normalization::new(node.name.clone(), statistics, stored, gamma, beta);
                self.last().maps.activation = Activation::Normalization(Box::new(normalization));
            }
            Operation::Relu(_) => {
                if let Activation::Normalization(normalization) = &mut self.last().maps.activation {
                    normalization.relu = true;
                } else {
                    self.last().maps.activation = Activation::Relu;
                    if let Some(Layer::Convolution(convolution)) = self.layers.last_mut() {
                        convolution.relu = true;
                    }
                }
            }
            Operation::MaxPool(MaxPool { kernel_size, stride }) => {
                let pool = Pool { kernel_size: kernel_size as usize, stride: stride as usize };
                let positions = vec![0; self.batch_size * size.values()];
                self.push(Layer::Pool { pool, positions }, size, channels);
            }
            Operation::Dropout(Dropout { probability }) => {
                let size = self.last().maps.size;
                let kept = vec![0; self.batch_size * size.values()];
                self.push(Layer::Dropout { probability, kept }, size, self.channels);
            }
            // A linear layer takes maps as they are.
            Operation::Flatten(_) => {}
            Operation::GlobalAverage(_) => self.push(Layer::Mean, size, channels),
        }
    }

    /// Makes room for the tensors of a node that are trained, which lie like this, and says where; there may be fewer.
    fn parameters<const N: usize>(&mut self, node: &Node, layouts: [Layout; N]) -> [Option<Range<usize>>; N] {
        let mut tensors = node.operation.tensors().into_iter().filter(|tensor| tensor.trainable);
        layouts.map(|layout| tensors.next().map(|tensor| self.parameters.add(&node.name, tensor, layout)))
    }

    fn weights(&mut self, node: &Node, geometry: Geometry, layout: Layout, channels: usize) {
        let stored = geometry.output.channels;
        let [weights, bias] = self.parameters(node, [layout, Layout::Vector { channels, stored }]);
        let weights = weights.unwrap_or_default();
        let first = !self.layers.iter().any(|layer| matches!(layer, Layer::Convolution(_)));
        let convolution = Convolution::new(geometry, self.batch_size, weights, bias, !first);
        self.push(Layer::Convolution(Box::new(convolution)), geometry.output, channels);
    }
}
