//! From a graph to steps, with the room that they need for a batch.

use std::ops::Range;

use metaqnn_core::graph::{Graph, MapShape, Node, Shape, Source};
use metaqnn_core::operation::{AveragePool, Convolution as ConvolutionOf, Dropout, MaxPool, Operation};
use metaqnn_kernels::elementwise::MapSize;
use metaqnn_kernels::pooling::Pool;
use metaqnn_kernels::stored_channels;

use super::rooms::{Gradient, Rooms};
use super::step::{Operand, Step, Work};
use crate::cpu::convolution::{Convolution, Geometry};
use crate::cpu::parameters::{Layout, Parameters};
use crate::cpu::signal::{Activation, Normalization, Signal};
use crate::cpu::slot::Turn;

/// Turns the operations of a graph into steps.
pub(super) struct Builder<'a> {
    graph: &'a Graph,
    /// How often each value is read.
    readers: Vec<usize>,
    /// The signal of each value so far.
    values: Vec<usize>,
    pub(super) steps: Vec<Step>,
    pub(super) signals: Vec<Signal>,
    /// Channels of each signal that are not only stored.
    channels: Vec<usize>,
    pub(super) parameters: Parameters,
    batch_size: usize,
}

impl<'a> Builder<'a> {
    /// All steps of `graph`, and which rooms their gradients have.
    pub(super) fn build(graph: &'a Graph, batch_size: usize) -> (Self, Rooms) {
        let MapShape { channels, height, width } = graph.input();
        let channels = channels as usize;
        let mut builder = Builder {
            graph,
            readers: graph.readers(),
            values: vec![0],
            steps: Vec::new(),
            signals: Vec::new(),
            channels: vec![channels],
            parameters: Parameters::default(),
            batch_size,
        };
        // Windows over images need no whole vectors, since the gradient of images is not asked for.
        let only_windows = builder.readers_of(Source::Images).all(|(index, node)| match node.operation {
            Operation::Convolution(_) => true,
            Operation::Flatten(_) => builder.is_read_by_linear_layers_alone(index),
            _ => false,
        });
        let stored = if only_windows { channels } else { stored_channels(channels) };
        let size = MapSize { height: height as usize, width: width as usize, channels: stored };
        builder.signals.push(Signal::new(size, batch_size));
        for (index, node) in graph.nodes().iter().enumerate() {
            let signal = builder.add(index, node);
            builder.values.push(signal);
        }
        // The loss takes the logits as they are, and puts their gradient in their place.
        let logits = builder.values.last().copied().unwrap_or_default();
        if !matches!(builder.signals[logits].maps.activation, Activation::None) {
            builder.copy(logits);
        }
        let rooms = builder.plan_gradients();
        (builder, rooms)
    }

    fn readers_of(&self, value: Source) -> impl Iterator<Item = (usize, &'a Node)> {
        self.graph.nodes().iter().enumerate().filter(move |(_, node)| node.inputs.contains(&value))
    }

    fn is_read_by_linear_layers_alone(&self, node: usize) -> bool {
        let mut readers = self.readers_of(Source::Node(node)).peekable();
        readers.peek().is_some() && readers.all(|(_, node)| matches!(node.operation, Operation::Linear(_)))
    }

    /// Adds a step that reads these signals and makes maps of this size; gives the signal that it makes.
    fn push(&mut self, work: Work, inputs: &[usize], size: MapSize, channels: usize, keeps: bool) -> usize {
        let trains = matches!(work, Work::Convolution(_));
        let needs_gradient = trains || inputs.iter().any(|&input| self.signals[input].needs_gradient);
        let signal = Signal { needs_gradient, ..Signal::new(size, self.batch_size) };
        let kept = vec![0; if keeps { signal.values.len() } else { 0 }];
        // Turns are known when all steps are.
        let turn = Turn { first: true, last: true };
        let operands = inputs.iter().map(|&signal| Operand { signal, turn }).collect();
        self.steps.push(Step { work, operands, kept });
        self.signals.push(signal);
        self.channels.push(channels);
        self.signals.len() - 1
    }

    fn copy(&mut self, signal: usize) -> usize {
        let (size, channels) = (self.signals[signal].maps.size, self.channels[signal]);
        self.push(Work::Copy { relu: false }, &[signal], size, channels, false)
    }

    /// The signal that batch normalization or ReLU of `source` belongs to: that of `source` where nobody else reads it and its step can do
    /// what is asked for, else a copy.
    fn activated(&mut self, source: Source, normalizes: bool) -> usize {
        let signal = self.values[source.value()];
        let is_made_here = signal.checked_sub(1).is_some_and(|step| self.steps[step].work.relu().is_some());
        let is_open = match &self.signals[signal].maps.activation {
            Activation::None => is_made_here,
            Activation::Normalization(normalization) => !normalizes && !normalization.relu,
            Activation::Relu => false,
        };
        let mut same = self.values.iter().zip(&self.readers).filter(|(of, _)| **of == signal);
        if is_open && same.all(|(_, readers)| *readers == 1) { signal } else { self.copy(signal) }
    }

    /// Adds what a node does; gives the signal of its value.
    fn add(&mut self, index: usize, node: &Node) -> usize {
        let MapShape { channels, height, width } = node.output.map();
        let channels = channels as usize;
        let size = MapSize { height: height as usize, width: width as usize, channels: stored_channels(channels) };
        let inputs: Vec<usize> = node.inputs.iter().map(|input| self.values[input.value()]).collect();
        let source = self.signals[inputs[0]].maps.size;
        match node.operation {
            Operation::Convolution(ConvolutionOf { kernel_size, stride, .. }) => {
                let kernel_size = kernel_size as usize;
                let layout = Layout::Convolution {
                    kernel_size,
                    inputs: self.channels[inputs[0]],
                    stored_inputs: source.channels,
                    outputs: channels,
                    stored_outputs: size.channels,
                };
                let geometry = Geometry { source, input: source, output: size, kernel_size, stride: stride as usize };
                self.weights(node, &inputs, geometry, layout, channels)
            }
            Operation::Linear(_) => {
                let layout = Layout::Linear {
                    channels: self.channels[inputs[0]],
                    input: source,
                    outputs: channels,
                    stored_outputs: size.channels,
                };
                let input = MapSize { height: 1, width: 1, channels: source.values() };
                let geometry = Geometry { source, input, output: size, kernel_size: 1, stride: 1 };
                self.weights(node, &inputs, geometry, layout, channels)
            }
            Operation::BatchNorm(_) => {
                let signal = self.activated(node.inputs[0], true);
                let stored = self.signals[signal].maps.size.channels;
                let layout = Layout::Vector { channels, stored };
                let [gamma, beta] = self.parameters(node, [layout; 2]).map(Option::unwrap_or_default);
                let statistics = node.operation.tensors().into_iter().filter(|tensor| !tensor.trainable).collect();
                let normalization = Normalization::new(node.name.clone(), statistics, stored, gamma, beta);
                self.signals[signal].maps.activation = Activation::Normalization(Box::new(normalization));
                self.signals[signal].needs_gradient = true;
                signal
            }
            Operation::Relu(_) => {
                let signal = self.activated(node.inputs[0], false);
                if let Activation::Normalization(normalization) = &mut self.signals[signal].maps.activation {
                    normalization.relu = true;
                    return signal;
                }
                self.signals[signal].maps.activation = Activation::Relu;
                if let Some(relu) = self.steps[signal - 1].work.relu() {
                    *relu = true;
                }
                signal
            }
            Operation::MaxPool(MaxPool { kernel_size, stride }) => {
                let pool = Pool { kernel_size: kernel_size as usize, stride: stride as usize };
                self.push(Work::MaxPool(pool), &inputs, size, channels, true)
            }
            Operation::AveragePool(AveragePool { kernel_size, stride }) => {
                let pool = Pool { kernel_size: kernel_size as usize, stride: stride as usize };
                self.push(Work::AveragePool(pool), &inputs, size, channels, false)
            }
            Operation::Dropout(Dropout { probability }) => {
                self.push(Work::Dropout { probability }, &inputs, source, self.channels[inputs[0]], true)
            }
            Operation::Flatten(_) => match self.graph.shape(node.inputs[0]) {
                // A linear layer takes maps as they are.
                Shape::Map(_) if !self.is_read_by_linear_layers_alone(index) => {
                    let channels_of_maps = self.channels[inputs[0]];
                    self.push(Work::Flatten { channels: channels_of_maps }, &inputs, size, channels, false)
                }
                Shape::Map(_) | Shape::Vector(_) => inputs[0],
            },
            Operation::GlobalAverage(_) => self.push(Work::Mean, &inputs, size, channels, false),
            Operation::Add(_) => self.push(Work::Add { relu: false }, &inputs, size, channels, false),
        }
    }

    /// Makes room for the tensors of a node that are trained, which lie like this, and says where; there may be fewer.
    fn parameters<const N: usize>(&mut self, node: &Node, layouts: [Layout; N]) -> [Option<Range<usize>>; N] {
        let mut tensors = node.operation.tensors().into_iter().filter(|tensor| tensor.trainable);
        layouts.map(|layout| tensors.next().map(|tensor| self.parameters.add(&node.name, tensor, layout)))
    }

    fn weights(&mut self, node: &Node, inputs: &[usize], geometry: Geometry, layout: Layout, channels: usize) -> usize {
        let stored = geometry.output.channels;
        let [weights, bias] = self.parameters(node, [layout, Layout::Vector { channels, stored }]);
        let weights = weights.unwrap_or_default();
        let needs_input_gradient = self.signals[inputs[0]].needs_gradient;
        let convolution = Convolution::new(geometry, self.batch_size, weights, bias, needs_input_gradient);
        self.push(Work::Convolution(Box::new(convolution)), inputs, geometry.output, channels, false)
    }

    /// Sets whose turn it is with each gradient, and which room it has where it cannot take the place of its values.
    fn plan_gradients(&mut self) -> Rooms {
        let mut readers = vec![0; self.signals.len()];
        let mut begun = vec![0; self.signals.len()];
        // On the way back the last step that reads a signal comes first.
        for (index, step) in self.steps.iter_mut().enumerate().rev() {
            for operand in &mut step.operands {
                operand.turn.first = readers[operand.signal] == 0;
                readers[operand.signal] += 1;
                begun[operand.signal] = begun[operand.signal].max(index);
            }
        }
        let mut left = readers.clone();
        for operand in self.steps.iter_mut().rev().flat_map(|step| &mut step.operands) {
            left[operand.signal] -= 1;
            operand.turn.last = left[operand.signal] == 0;
        }
        let beside = |signal: &Signal, readers: usize| {
            signal.needs_gradient && readers > 0 && (signal.maps.is_normalized() || readers > 1)
        };
        let gradients: Vec<Gradient> = self
            .signals
            .iter()
            .enumerate()
            .filter(|&(index, signal)| beside(signal, readers[index]))
            .map(|(signal, Signal { values, .. })| {
                // Of the images, which no step makes, nobody asks for a gradient.
                Gradient { signal, size: values.len(), taken: signal.saturating_sub(1), begun: begun[signal] }
            })
            .collect();
        let rooms = Rooms::plan(&gradients);
        for (gradient, &room) in gradients.iter().zip(&rooms.of) {
            self.signals[gradient.signal].room = Some(room);
        }
        rooms
    }
}
