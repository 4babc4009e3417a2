//! What a model of the reward sees of an architecture: numbers that follow from its graph.

use std::borrow::Cow;
use std::collections::BTreeMap;

use super::architecture::Architecture;
use crate::agent::Feature;
use crate::graph::{Graph, MapShape, NetworkOptions, Node};
use crate::layer::{Layer, Role};
use crate::operation::{AveragePool, Convolution, Linear, MaxPool, Operation};

/// Stages, parted by what shrinks the feature map, that are told apart; later ones count as the last.
const STAGES: usize = 3;

/// First convolutions that are told apart.
const FIRST: usize = 3;

/// The features of `architecture` for images of shape `input`. Sizes and costs are logarithms to base 2. Numbers of filters and receptive
/// fields are those that occur, so that every space has its own.
pub(super) fn features(architecture: &Architecture, input: MapShape) -> Vec<Feature> {
    let options = NetworkOptions { batch_norm: false, max_dropout: 0.0 };
    let mut features = Features::default();
    let Ok(graph) = Graph::new(architecture, input, options) else { return Vec::new() };
    features.of_layers(architecture.layers());
    features.of_costs(&graph);
    features.of_convolutions(&graph);
    features.numbers.into_iter().collect()
}

#[derive(Default)]
struct Features {
    numbers: BTreeMap<Cow<'static, str>, f64>,
}

impl Features {
    fn set(&mut self, name: impl Into<Cow<'static, str>>, value: f64) {
        self.numbers.insert(name.into(), value);
    }

    fn count(&mut self, name: impl Into<Cow<'static, str>>) {
        *self.numbers.entry(name.into()).or_insert(0.0) += 1.0;
    }

    /// Kinds and places of the layers.
    fn of_layers(&mut self, layers: &[Layer]) {
        self.set("depth", layers.len() as f64);
        let mut pools = 0;
        let mut after_pool = 0;
        for (index, layer) in layers.iter().enumerate() {
            match layer.role() {
                Role::Convolution => {
                    self.count("convolutions");
                    after_pool += 1;
                }
                Role::Pool => {
                    pools += 1;
                    after_pool = 0;
                    self.count("pools");
                    self.count(layer.to_string());
                    if pools <= FIRST {
                        self.set(format!("convolutions before pool {pools}"), (index + 1 - pools) as f64);
                    }
                }
                Role::FullyConnected(units) => {
                    self.count("fully connected");
                    self.set("units", f64::from(units).log2());
                }
                Role::GlobalAverage => self.count("global average"),
            }
        }
        self.set("convolutions after the last pool", f64::from(after_pool));
        if let Some(last) = layers.last() {
            self.set(format!("last {}", last.kind()), 1.0);
        }
    }

    /// Parameters and operations.
    fn of_costs(&mut self, graph: &Graph) {
        let log = |value: u64| (1.0 + value as f64).log2();
        self.set("params", log(graph.weights()));
        self.set("flops", log(graph.flops()));
        self.set("largest layer", log(graph.nodes().iter().map(|node| node.costs.weights).max().unwrap_or(0)));
        let is_convolution = |node: &&Node| matches!(node.operation, Operation::Convolution(_));
        let convolutions: u64 = graph.nodes().iter().filter(is_convolution).map(|node| node.costs.weights).sum();
        self.set("convolution params", log(convolutions));
        self.set("linear params", log(graph.weights().saturating_sub(convolutions)));
        let full = graph.input().height;
        let of_full_size = graph.nodes().iter().filter(|node| node.output.map().height == full);
        let at_full_size = of_full_size.map(|node| node.costs.flops).sum::<u64>();
        self.set("flops at full size", at_full_size as f64 / graph.flops().max(1) as f64);
        // Where the feature map ends.
        let body = graph.nodes().iter().rfind(|node| {
            let MapShape { height, width, .. } = node.output.map();
            matches!(node.operation, Operation::Relu(_) | Operation::MaxPool(_) | Operation::AveragePool(_))
                && height * width > 1
        });
        let end = body.map_or(graph.input(), |node| node.output.map());
        self.set("last side", f64::from(end.height).log2());
        self.set("last channels", f64::from(end.channels).log2());
        self.set("last values", (end.values() as f64).log2());
    }

    /// Filters, receptive fields and how the signal passes.
    fn of_convolutions(&mut self, graph: &Graph) {
        let mut widths: Vec<f64> = Vec::new();
        let mut stages: [Vec<f64>; STAGES] = Default::default();
        let mut stage = 0;
        let (mut jump, mut field) = (1.0, 1.0);
        let (mut run, mut longest_run) = (0, 0);
        let (mut pointwise_run, mut longest_pointwise_run) = (0, 0);
        let mut leading_pointwise = 0;
        let mut gain = 0.0;
        // GAP's own convolution has no ReLU and is not one of the body.
        let body = graph.nodes().iter().take_while(|node| !node.name.starts_with("gap"));
        for node in body {
            match node.operation {
                Operation::Convolution(Convolution { in_channels, out_channels, kernel_size, stride, .. }) => {
                    let (inputs, outputs, kernel) =
                        (f64::from(in_channels), f64::from(out_channels), f64::from(kernel_size));
                    let width = outputs.log2();
                    widths.push(width);
                    stages[stage].push(width);
                    self.count(format!("filters {out_channels}"));
                    self.count(format!("field {kernel_size}"));
                    self.count(format!("stage {stage} field {kernel_size}"));
                    if widths.len() <= FIRST {
                        self.set(format!("width {}", widths.len()), width);
                        self.set(format!("kernel {}", widths.len()), kernel);
                    }
                    self.set("last width", width);
                    self.set("last kernel", kernel);
                    field += (kernel - 1.0) * jump;
                    gain += (2.0 * inputs / (inputs + outputs)).log2();
                    run += 1;
                    longest_run = longest_run.max(run);
                    if kernel_size == 1 {
                        pointwise_run += 1;
                        longest_pointwise_run = longest_pointwise_run.max(pointwise_run);
                    } else {
                        pointwise_run = 0;
                    }
                    if widths.len() == leading_pointwise + 1 && kernel_size == 1 {
                        leading_pointwise += 1;
                    }
                    if stride > 1 {
                        stage = (stage + 1).min(STAGES - 1);
                        jump *= f64::from(stride);
                    }
                }
                Operation::MaxPool(MaxPool { kernel_size, stride })
                | Operation::AveragePool(AveragePool { kernel_size, stride }) => {
                    if stage == 0 {
                        self.set("field before pool", field);
                    }
                    field += (f64::from(kernel_size) - 1.0) * jump;
                    jump *= f64::from(stride);
                    stage = (stage + 1).min(STAGES - 1);
                    (run, pointwise_run) = (0, 0);
                }
                Operation::Linear(Linear { inputs, outputs, .. }) => {
                    let (inputs, outputs) = (f64::from(inputs), f64::from(outputs));
                    if node.name.starts_with("fc") {
                        gain += (2.0 * inputs / (inputs + outputs)).log2();
                    }
                }
                Operation::BatchNorm(_)
                | Operation::Relu(_)
                | Operation::Dropout(_)
                | Operation::Flatten(_)
                | Operation::GlobalAverage(_)
                | Operation::Add(_) => {}
            }
        }
        self.set("field", field);
        self.set("gain", gain);
        self.set("longest run of convolutions", f64::from(longest_run));
        self.set("longest run of pointwise convolutions", f64::from(longest_pointwise_run));
        self.set("pointwise convolutions first", leading_pointwise as f64);
        for (stage, widths) in stages.iter().enumerate().filter(|(_, widths)| !widths.is_empty()) {
            self.set(format!("stage {stage} width"), widths.iter().sum::<f64>() / widths.len() as f64);
        }
        if let (Some(least), Some(most)) =
            (widths.iter().copied().reduce(f64::min), widths.iter().copied().reduce(f64::max))
        {
            self.set("least width", least);
            self.set("most width", most);
        }
        let steps = || widths.windows(2).map(|pair| pair[1] - pair[0]);
        self.set("width changes", steps().map(f64::abs).sum());
        self.set("width falls", steps().filter(|step| *step < 0.0).count() as f64);
    }
}
