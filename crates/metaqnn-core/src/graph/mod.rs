//! A network as shape-checked operations: the one home of parameters, FLOPs and memory.

mod builder;

pub use self::builder::GraphBuilder;
use crate::operation::{Costs, Misfit, Operation};
pub use crate::shape::{MapShape, Shape};

/// What the layers of an architecture mean beyond the notation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkOptions {
    /// Batch normalization between each convolution or fully connected layer and its ReLU.
    pub batch_norm: bool,
    /// Probability of the last dropout layer; the i-th of n has i/n of it. The paper has 0.5, 0 leaves dropout out.
    pub max_dropout: f64,
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The images.
    Images,
    /// The node of this index.
    Node(usize),
}

impl Source {
    /// Number among all values: 0 for the images, from 1 on for the nodes in their order.
    pub fn value(self) -> usize {
        match self {
            Source::Images => 0,
            Source::Node(index) => index + 1,
        }
    }
}

/// An operation with its name, its inputs and what it costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique in the graph and stable: kind and ordinal, for example `conv2`, `norm2`, `fc1`, `softmax`. Names of
    /// parameters start with it (`conv2.weight`).
    pub name: String,
    /// Position of the architecture's layer that it belongs to, from 0; the softmax comes after the last.
    pub layer: usize,
    /// The operation.
    pub operation: Operation,
    /// Its inputs, in order: the images, or nodes before it.
    pub inputs: Vec<Source>,
    /// Shape of its output.
    pub output: Shape,
    /// What it costs for one image.
    pub costs: Costs,
}

/// A network for images of one shape: operations, each after those whose outputs it takes; the last gives the logits.
///
/// [`Graph::new`] makes the graph of an architecture, a [`GraphBuilder`] any.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    input: MapShape,
    classes: u32,
    nodes: Vec<Node>,
}

/// Why an architecture does not fit its input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("layer {position}, {layer}: {misfit}")]
pub struct GraphError {
    /// Position of the layer, 1 for the first.
    pub position: usize,
    /// The layer in the notation.
    pub layer: String,
    /// What does not fit.
    pub misfit: Misfit,
}

impl Graph {
    /// Shape of the images, CHW.
    pub fn input(&self) -> MapShape {
        self.input
    }

    /// Number of logits.
    pub fn classes(&self) -> u32 {
        self.classes
    }

    /// The operations from the input to the logits; softmax belongs to the loss.
    pub fn nodes(&self) -> &[Node] {
        &self.nodes
    }

    /// Shape of a value.
    pub fn shape(&self, source: Source) -> Shape {
        shape_of(self.input, &self.nodes, source)
    }

    /// How often each value is taken, by [`Source::value`]; the logits, once, by the loss.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = vec![0; self.nodes.len() + 1];
        for source in self.nodes.iter().flat_map(|node| &node.inputs) {
            readers[source.value()] += 1;
        }
        readers[self.nodes.len()] += 1;
        readers
    }

    /// Number of trainable values, biases included.
    pub fn params(&self) -> u64 {
        self.total(|costs| costs.params)
    }

    /// Number of weights, biases and batch normalization not counted.
    pub fn weights(&self) -> u64 {
        self.total(|costs| costs.weights)
    }

    /// 2 × multiply-adds of convolutions and linear layers, forward, for one image.
    pub fn flops(&self) -> u64 {
        self.total(|costs| costs.flops)
    }

    /// Estimated microseconds that training (forward, backward, optimizer) takes for one image on one thread of a common CPU: its FLOPs, fewer
    /// where Winograd's algorithm serves, and the values of its feature maps.
    ///
    /// The weights of both were fitted to 141 trainings on CIFAR-10, of which 80 % were within 15 % of the estimate once it was scaled
    /// to the machine (docs/quick-preset.md). It says which networks take longer, and the order of size.
    pub fn training_microseconds(&self) -> u64 {
        self.total(|costs| costs.training_picoseconds).div_ceil(1_000_000)
    }

    /// Predicted bytes that training holds at its peak with a batch of `batch_size` images in 32-bit floats: parameters
    /// with gradient and the two moments of Adam, and for every operation its output and the gradient of it.
    ///
    /// The largest convolution counts once more, unrolled to columns for its matrix product, for one image in flight.
    pub fn training_memory(&self, batch_size: u32) -> u64 {
        let activations = self.total(|costs| costs.activations).saturating_add(self.input.values());
        let unrolled = self.nodes.iter().map(|node| node.costs.unrolled).max().unwrap_or(0);
        let state = self.params().saturating_mul(4);
        let maps = activations.saturating_mul(2 * u64::from(batch_size));
        state.saturating_add(maps).saturating_add(unrolled).saturating_mul(4)
    }

    fn total(&self, cost: impl Fn(&Costs) -> u64) -> u64 {
        self.nodes.iter().map(|node| cost(&node.costs)).fold(0, u64::saturating_add)
    }
}

fn shape_of(input: MapShape, nodes: &[Node], source: Source) -> Shape {
    match source {
        Source::Images => Shape::Map(input),
        Source::Node(index) => nodes[index].output,
    }
}
