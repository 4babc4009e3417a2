//! An architecture as shape-checked operations: the one home of shapes, parameters, FLOPs and memory.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::space::{Architecture, Layer};

/// Shape of one image or feature map, without the batch: channels, height, width (CHW).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MapShape {
    /// Channels C.
    pub channels: u32,
    /// Height H in pixels.
    pub height: u32,
    /// Width W in pixels.
    pub width: u32,
}

impl MapShape {
    /// A shape of `channels` × `height` × `width`.
    pub const fn new(channels: u32, height: u32, width: u32) -> Self {
        MapShape { channels, height, width }
    }

    /// Number of values, C·H·W.
    pub fn values(&self) -> u64 {
        product([self.channels, self.height, self.width])
    }

    /// The representation size n: the smaller side.
    pub fn representation_size(&self) -> u32 {
        self.height.min(self.width)
    }
}

impl fmt::Display for MapShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

impl std::str::FromStr for MapShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Vec<u32> = text.split('x').map_while(|n| n.trim().parse().ok()).collect();
        match numbers.as_slice() {
            &[channels, height, width]
                if text.split('x').count() == 3 && numbers.iter().all(|&n| (1..=65_536).contains(&n)) =>
            {
                Ok(MapShape { channels, height, width })
            }
            _ => Err(format!("{text:?} is not a shape: expected CHANNELSxHEIGHTxWIDTH, for example 3x32x32")),
        }
    }
}

/// What the layers of an architecture mean beyond the notation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct NetworkOptions {
    /// Batch normalization between each convolution or fully connected layer and its ReLU.
    pub batch_norm: bool,
    /// Probability of the last dropout layer; the i-th of n has i/n of it. The paper has 0.5, 0 leaves dropout out.
    pub max_dropout: f64,
}

/// One operation of a network; every tensor has dimensions NCHW before [`Operation::Flatten`], NC after.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Operation {
    /// Convolution with padding (kernel_size − 1) / 2; weight OIHW.
    Convolution {
        /// Input channels I.
        in_channels: u32,
        /// Output channels O.
        out_channels: u32,
        /// Side of the kernel, H = W.
        kernel_size: u32,
        /// Step between positions.
        stride: u32,
        /// Whether a bias of shape O is added.
        bias: bool,
    },
    /// Batch normalization over N (and H, W), with scale and shift of shape C.
    BatchNorm {
        /// Channels C.
        channels: u32,
    },
    /// max(0, x).
    Relu,
    /// Max pooling without padding.
    MaxPool {
        /// Side of the window.
        kernel_size: u32,
        /// Step between windows.
        stride: u32,
    },
    /// Dropout, in training only.
    Dropout {
        /// Probability that a value is set to zero.
        probability: f64,
    },
    /// NCHW to N×(C·H·W), in this order.
    Flatten,
    /// x·Wᵀ + b; weight of shape outputs × inputs.
    Linear {
        /// Values in.
        inputs: u32,
        /// Values out.
        outputs: u32,
        /// Whether a bias of shape outputs is added.
        bias: bool,
    },
    /// Mean over H and W: NCHW to NC.
    GlobalAverage,
}

/// An operation with its name, shapes and costs.
#[derive(Clone, Debug, PartialEq)]
pub struct Node {
    /// Unique in the graph and stable: kind and ordinal, for example `conv2`, `norm2`, `fc1`, `softmax`. Names of
    /// parameters start with it (`conv2.weight`).
    pub name: String,
    /// Position of the architecture's layer that it belongs to, from 0; the softmax comes after the last.
    pub layer: usize,
    /// The operation.
    pub operation: Operation,
    /// Shape of its input. After flattening, height and width are 1.
    pub input: MapShape,
    /// Shape of its output.
    pub output: MapShape,
}

impl Node {
    /// Weights, biases not counted.
    pub fn weights(&self) -> u64 {
        match self.operation {
            Operation::Convolution { in_channels, out_channels, kernel_size, .. } => {
                product([in_channels, out_channels, kernel_size, kernel_size])
            }
            Operation::Linear { inputs, outputs, .. } => product([inputs, outputs]),
            _ => 0,
        }
    }

    /// Everything trainable: weights, biases, scale and shift of batch normalization.
    pub fn params(&self) -> u64 {
        self.weights().saturating_add(match self.operation {
            Operation::Convolution { out_channels, bias: true, .. } => u64::from(out_channels),
            Operation::Linear { outputs, bias: true, .. } => u64::from(outputs),
            Operation::BatchNorm { channels } => 2 * u64::from(channels),
            _ => 0,
        })
    }

    /// 2 × multiply-adds of convolutions and linear layers, forward, for one image.
    pub fn flops(&self) -> u64 {
        match self.operation {
            Operation::Convolution { .. } => {
                self.weights().saturating_mul(product([2, self.output.height, self.output.width]))
            }
            Operation::Linear { .. } => self.weights().saturating_mul(2),
            _ => 0,
        }
    }

    /// Estimated picoseconds of training on one image, see [`Graph::training_microseconds`].
    fn training_picoseconds(&self) -> u64 {
        // Of convolutions with a larger kernel Winograd's algorithm saves multiplications.
        let per_flop = match self.operation {
            Operation::Convolution { kernel_size: 3, stride: 1, .. } => 8,
            Operation::Convolution { kernel_size: 5, stride: 1, .. } => 11,
            _ => 16,
        };
        // Normalization, ReLU and the traffic to memory of a map count with the operation that makes it.
        let per_value = match self.operation {
            Operation::Convolution { .. } | Operation::MaxPool { .. } => 1_500,
            _ => 0,
        };
        let maps = self.output.values().saturating_mul(per_value);
        self.flops().saturating_mul(per_flop).saturating_add(maps)
    }
}

/// An architecture for a given input, as a chain of operations that ends in the logits.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    input: MapShape,
    classes: u32,
    nodes: Vec<Node>,
}

/// Why an architecture does not fit its input.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
#[error("layer {position}, {layer}: its window of {kernel_size} does not fit the feature map of {input} (CxHxW)")]
pub struct GraphError {
    /// Position of the layer, 1 for the first.
    pub position: usize,
    /// The layer in the notation.
    pub layer: String,
    /// Side of its window.
    pub kernel_size: u32,
    /// Shape of what comes in.
    pub input: MapShape,
}

impl Graph {
    /// The graph of `architecture` for images of shape `input`.
    ///
    /// Dropout stands after every second convolution or pooling layer, counted from the input, and after every FC
    /// layer. GAP is a 1×1 convolution without ReLU to one map a class and the mean of each. Without GAP the last
    /// operation is a linear layer to the classes.
    ///
    /// # Errors
    ///
    /// [`GraphError`] names the first layer that does not fit.
    pub fn new(architecture: &Architecture, input: MapShape, options: NetworkOptions) -> Result<Self, GraphError> {
        let mut builder = Builder {
            shape: input,
            options,
            nodes: Vec::new(),
            dropout: 0,
            dropouts: dropout_layers(architecture.layers()),
            counters: Counters::default(),
        };
        let mut flat = false;
        let mut averaged = false;
        let mut body_layers = 0;
        for (index, layer) in architecture.layers().iter().enumerate() {
            match *layer {
                Layer::Convolution { out_channels, kernel_size, stride } => {
                    builder.convolution(index, out_channels, kernel_size, stride);
                    body_layers += 1;
                    if body_layers % 2 == 0 {
                        builder.dropout(index);
                    }
                }
                Layer::MaxPool { kernel_size, stride } => {
                    if kernel_size > builder.shape.representation_size() {
                        let (position, layer, input) = (index + 1, layer.to_string(), builder.shape);
                        return Err(GraphError { position, layer, kernel_size, input });
                    }
                    builder.max_pool(index, kernel_size, stride);
                    body_layers += 1;
                    if body_layers % 2 == 0 {
                        builder.dropout(index);
                    }
                }
                Layer::FullyConnected { units } => {
                    if !flat {
                        builder.flatten(index);
                        flat = true;
                    }
                    builder.fully_connected(index, units);
                    builder.dropout(index);
                }
                Layer::GlobalAveragePool => {
                    builder.global_average_pool(index, architecture.classes());
                    averaged = true;
                }
            }
        }
        if !averaged {
            let index = architecture.layers().len();
            if !flat {
                builder.flatten(index);
            }
            builder.linear("softmax", index, architecture.classes(), true);
        }
        Ok(Graph { input, classes: architecture.classes(), nodes: builder.nodes })
    }

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

    /// Number of trainable values, biases included.
    pub fn params(&self) -> u64 {
        self.total(Node::params)
    }

    /// Number of weights, biases and batch normalization not counted.
    pub fn weights(&self) -> u64 {
        self.total(Node::weights)
    }

    /// 2 × multiply-adds of convolutions and linear layers, forward, for one image.
    pub fn flops(&self) -> u64 {
        self.total(Node::flops)
    }

    /// Estimated microseconds that training (forward, backward, optimizer) takes for one image on one thread of a common CPU: its FLOPs, fewer
    /// where Winograd's algorithm serves, and the values of its feature maps.
    ///
    /// The weights of both were fitted to 141 trainings on CIFAR-10, of which 80 % were within 15 % of the estimate once it was scaled
    /// to the machine (docs/quick-preset.md). It says which networks take longer, and the order of size.
    pub fn training_microseconds(&self) -> u64 {
        self.total(Node::training_picoseconds).div_ceil(1_000_000)
    }

    /// Predicted bytes that training holds at its peak with a batch of `batch_size` images in 32-bit floats: parameters
    /// with gradient and the two moments of Adam, and for every operation its output and the gradient of it.
    ///
    /// The largest convolution counts once more, unrolled to columns for its matrix product, for one image in flight.
    pub fn training_memory(&self, batch_size: u32) -> u64 {
        let activations = self.total(|node| node.output.values()).saturating_add(self.input.values());
        let unrolled = self
            .nodes
            .iter()
            .map(|node| match node.operation {
                Operation::Convolution { in_channels, kernel_size, .. } => {
                    product([in_channels, kernel_size, kernel_size, node.output.height, node.output.width])
                }
                _ => 0,
            })
            .max()
            .unwrap_or(0);
        let state = self.params().saturating_mul(4);
        let maps = activations.saturating_mul(2 * u64::from(batch_size));
        state.saturating_add(maps).saturating_add(unrolled).saturating_mul(4)
    }

    fn total(&self, cost: impl Fn(&Node) -> u64) -> u64 {
        self.nodes.iter().map(cost).fold(0, u64::saturating_add)
    }
}

/// The product in 64 bits, saturating: a network of absurd numbers stays over every limit instead of wrapping to a small one.
fn product<const N: usize>(factors: [u32; N]) -> u64 {
    factors.iter().fold(1, |product: u64, &factor| product.saturating_mul(u64::from(factor)))
}

/// Number of dropout layers that the graph of `layers` has (spec: floor(body layers / 2) + FC layers).
fn dropout_layers(layers: &[Layer]) -> usize {
    let body = layers.iter().filter(|l| matches!(l, Layer::Convolution { .. } | Layer::MaxPool { .. })).count();
    let fully_connected = layers.iter().filter(|l| matches!(l, Layer::FullyConnected { .. })).count();
    body / 2 + fully_connected
}

#[derive(Default)]
struct Counters {
    convolution: usize,
    pool: usize,
    fully_connected: usize,
}

struct Builder {
    shape: MapShape,
    options: NetworkOptions,
    nodes: Vec<Node>,
    dropout: usize,
    dropouts: usize,
    counters: Counters,
}

impl Builder {
    fn push(&mut self, name: String, layer: usize, operation: Operation, output: MapShape) {
        self.nodes.push(Node { name, layer, operation, input: self.shape, output });
        self.shape = output;
    }

    fn convolution(&mut self, layer: usize, out_channels: u32, kernel_size: u32, stride: u32) {
        self.counters.convolution += 1;
        let ordinal = self.counters.convolution;
        let operation = Operation::Convolution {
            in_channels: self.shape.channels,
            out_channels,
            kernel_size,
            stride,
            bias: !self.options.batch_norm,
        };
        let output = MapShape::new(out_channels, self.shape.height.div_ceil(stride), self.shape.width.div_ceil(stride));
        self.push(format!("conv{ordinal}"), layer, operation, output);
        self.norm_and_relu(layer, &ordinal.to_string());
    }

    fn norm_and_relu(&mut self, layer: usize, suffix: &str) {
        if self.options.batch_norm {
            let operation = Operation::BatchNorm { channels: self.shape.channels };
            self.push(format!("norm{suffix}"), layer, operation, self.shape);
        }
        self.push(format!("relu{suffix}"), layer, Operation::Relu, self.shape);
    }

    fn max_pool(&mut self, layer: usize, kernel_size: u32, stride: u32) {
        self.counters.pool += 1;
        let side = |n: u32| (n - kernel_size) / stride + 1;
        let output = MapShape::new(self.shape.channels, side(self.shape.height), side(self.shape.width));
        let name = format!("pool{}", self.counters.pool);
        self.push(name, layer, Operation::MaxPool { kernel_size, stride }, output);
    }

    fn dropout(&mut self, layer: usize) {
        self.dropout += 1;
        if self.options.max_dropout > 0.0 {
            let probability = self.options.max_dropout * self.dropout as f64 / self.dropouts as f64;
            let name = format!("drop{}", self.dropout);
            self.push(name, layer, Operation::Dropout { probability }, self.shape);
        }
    }

    fn flatten(&mut self, layer: usize) {
        let values = u32::try_from(self.shape.values()).unwrap_or(u32::MAX);
        self.push("flatten".into(), layer, Operation::Flatten, MapShape::new(values, 1, 1));
    }

    fn linear(&mut self, name: &str, layer: usize, outputs: u32, bias: bool) {
        let operation = Operation::Linear { inputs: self.shape.channels, outputs, bias };
        self.push(name.into(), layer, operation, MapShape::new(outputs, 1, 1));
    }

    fn fully_connected(&mut self, layer: usize, units: u32) {
        self.counters.fully_connected += 1;
        let ordinal = self.counters.fully_connected;
        self.linear(&format!("fc{ordinal}"), layer, units, !self.options.batch_norm);
        self.norm_and_relu(layer, &format!("_fc{ordinal}"));
    }

    fn global_average_pool(&mut self, layer: usize, classes: u32) {
        let in_channels = self.shape.channels;
        let operation =
            Operation::Convolution { in_channels, out_channels: classes, kernel_size: 1, stride: 1, bias: true };
        let output = MapShape::new(classes, self.shape.height, self.shape.width);
        self.push("gap".into(), layer, operation, output);
        self.push("average".into(), layer, Operation::GlobalAverage, MapShape::new(classes, 1, 1));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAPER: NetworkOptions = NetworkOptions { batch_norm: false, max_dropout: 0.5 };

    fn graph(text: &str, input: &str) -> Graph {
        Graph::new(&text.parse().unwrap(), input.parse().unwrap(), PAPER).unwrap()
    }

    #[test]
    fn follows_shapes_params_and_flops() {
        let graph = graph("[C(64,3,1), P(5,3), FC(128), SM(10)]", "3x32x32");
        let shapes: Vec<_> = graph.nodes().iter().map(|n| (n.name.as_str(), n.output.to_string())).collect();
        let expected = [
            ("conv1", "64x32x32"),
            ("relu1", "64x32x32"),
            ("pool1", "64x10x10"),
            ("drop1", "64x10x10"),
            ("flatten", "6400x1x1"),
            ("fc1", "128x1x1"),
            ("relu_fc1", "128x1x1"),
            ("drop2", "128x1x1"),
            ("softmax", "10x1x1"),
        ];
        assert_eq!(shapes, expected.map(|(a, b)| (a, b.to_string())));
        assert_eq!(graph.params(), (27 * 64 + 64) + (6400 * 128 + 128) + (128 * 10 + 10));
        assert_eq!(graph.flops(), 2 * (27 * 64 * 1024 + 6400 * 128 + 1280));
    }

    #[test]
    fn estimates_the_time_of_training() {
        let microseconds = |text: &str| graph(text, "3x32x32").training_microseconds();
        // Maps of 32x32x32 and 32x16x16 values at 1.5 ns; FLOPs at 8 ps in the 3x3 convolution, at 16 ps in the linear layer.
        let (values, convolution, linear) = (32 * 1024 + 32 * 256, 2 * 27 * 32 * 1024, 2 * 8192 * 10);
        let expected: u64 = (1_500 * values + 8 * convolution + 16 * linear) / 1_000_000 + 1;
        assert_eq!(microseconds("[C(32,3,1), P(2,2), SM(10)]"), expected);
        // Eight times the FLOPs in less time.
        let (pointwise, three) = ("[C(128,1,1), P(3,2), SM(10)]", "[C(32,3,1), P(2,2), C(64,3,1), SM(10)]");
        assert!(graph(three, "3x32x32").flops() > 8 * graph(pointwise, "3x32x32").flops());
        assert!(microseconds(three) < microseconds(pointwise));
    }

    #[test]
    fn dropout_rises_to_the_maximum_and_leaves_gap_alone() {
        let text = "[C(64,3,1), P(2,2), C(64,3,1), C(64,3,1), GAP(10), SM(10)]";
        let probabilities: Vec<f64> = graph(text, "3x32x32")
            .nodes()
            .iter()
            .filter_map(|n| match n.operation {
                Operation::Dropout { probability } => Some(probability),
                _ => None,
            })
            .collect();
        assert_eq!(probabilities, [0.25, 0.5]);
        assert_eq!(graph(text, "3x32x32").nodes().last().unwrap().operation, Operation::GlobalAverage);
    }

    #[test]
    fn batch_norm_replaces_biases() {
        let options = NetworkOptions { batch_norm: true, max_dropout: 0.0 };
        let text = "[C(16,3,1), FC(32), SM(10)]";
        let graph = Graph::new(&text.parse().unwrap(), MapShape::new(1, 4, 4), options).unwrap();
        assert_eq!(graph.params(), (9 * 16 + 32) + (256 * 32 + 64) + (32 * 10 + 10));
        assert_eq!(graph.weights(), 9 * 16 + 256 * 32 + 32 * 10);
    }

    #[test]
    fn refuses_a_window_larger_than_the_map() {
        let error = Graph::new(&"[C(8,3,1), P(5,3), SM(2)]".parse().unwrap(), MapShape::new(1, 4, 9), PAPER);
        assert_eq!(
            error.unwrap_err().to_string(),
            "layer 2, P(5,3): its window of 5 does not fit the feature map of 8x4x9 (CxHxW)"
        );
    }

    #[test]
    fn huge_networks_are_predicted_and_not_wrapped() {
        let text = "[C(1048575,3,1), FC(1048575), SM(10)]";
        let graph = graph(text, "3x224x224");
        assert!(graph.params() > 1 << 50);
        assert!(graph.training_memory(128) > 1 << 50);
    }
}
