//! `model.json`: what a model is, but for its numbers.

use metaqnn_core::graph::{Graph, MapShape, NetworkOptions, Source};
use metaqnn_core::operation::{AveragePool, BatchNorm, Convolution, Linear, MaxPool, Operation};
use metaqnn_core::space::Architecture;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::ExportError;
use crate::model::{Measured, Model, Provenance, TrainedNetwork, prefix};
use crate::preparation::{Normalization, Preparation};
use crate::steps::{Step, steps};
use crate::weights::{Weights, weight_shapes};

/// The version of the description that this program writes, the newest that it reads.
pub(crate) const VERSION: u32 = 1;

/// The description as it is stored.
#[derive(Serialize, Deserialize)]
pub(crate) struct Description {
    /// The version of the description.
    pub(crate) metaqnn_model: u32,
    input: MapShape,
    /// Of a white pixel; black is 0.
    max_value: u8,
    normalization: String,
    /// In words, for people.
    #[serde(default)]
    preparation: String,
    class_names: Vec<String>,
    networks: Vec<NetworkDescription>,
    /// SHA-256 of the file of weights, in hexadecimal digits.
    pub(crate) weights_sha256: String,
    provenance: Provenance,
    measured: Option<Measured>,
}

#[derive(Serialize, Deserialize)]
struct NetworkDescription {
    architecture: Architecture,
    batch_norm: bool,
    trial: Option<u64>,
    /// What the names of its tensors begin with.
    prefix: String,
    /// The layers in words of the field, for other programs; not read back.
    #[serde(default)]
    layers: Vec<Value>,
}

impl Description {
    pub(crate) fn of(model: &Model, weights_sha256: String) -> Self {
        let preparation = model.preparation();
        let network = |(index, network): (usize, &TrainedNetwork)| NetworkDescription {
            architecture: network.architecture().clone(),
            batch_norm: network.batch_norm(),
            trial: network.trial(),
            prefix: prefix(index),
            layers: layers(network.graph()),
        };
        Description {
            metaqnn_model: VERSION,
            input: preparation.input,
            max_value: preparation.max_value,
            normalization: preparation.normalization.kind().to_owned(),
            preparation: preparation.in_words(),
            class_names: model.class_names().to_vec(),
            networks: model.networks().iter().enumerate().map(network).collect(),
            weights_sha256,
            provenance: model.provenance().clone(),
            measured: model.measured(),
        }
    }

    /// Bytes that no file of the weights of these networks goes beyond. Of an architecture that is not legal nothing is known: that is told
    /// when the model is made.
    pub(crate) fn largest_weights(&self) -> u64 {
        let values = |network: &NetworkDescription| -> u64 {
            let options = NetworkOptions { batch_norm: network.batch_norm, max_dropout: 0.0 };
            let graph = Graph::new(&network.architecture, self.input, options);
            let shapes = graph.map(|graph| weight_shapes(&graph)).unwrap_or_default();
            shapes.iter().map(|(_, shape)| shape.iter().map(|&n| n as u64).product::<u64>()).sum()
        };
        let networks: u64 = self.networks.iter().map(values).sum();
        // The mean image and the deviation may be among them; a header has a hundred bytes a tensor.
        4 * (networks + 2 * self.input.values()) + (self.networks.len() as u64 + 1) * (1 << 20)
    }

    /// The model with these weights.
    pub(crate) fn model(self, mut weights: Weights) -> Result<Model, ExportError> {
        let constants = weights.split_off("preparation.");
        let normalization = Normalization::of(&self.normalization, &constants).map_err(ExportError::model)?;
        let preparation = Preparation { input: self.input, max_value: self.max_value, normalization };
        let networks = self
            .networks
            .into_iter()
            .map(|network| {
                let weights = weights.split_off(&network.prefix);
                TrainedNetwork::new(network.architecture, network.batch_norm, self.input, weights, network.trial)
            })
            .collect::<Result<Vec<_>, _>>()?;
        if let Some((name, _)) = weights.iter().next() {
            return Err(ExportError::model(format!("tensor {name} belongs to none of its networks")));
        }
        Model::new(networks, preparation, self.class_names, self.provenance, self.measured)
    }
}

/// The layers of a graph, with the names that their tensors begin with. Each takes the one before, but for those that name their inputs.
fn layers(graph: &Graph) -> Vec<Value> {
    let steps = steps(graph);
    let name = |source: &Source| match source {
        Source::Images => "images",
        Source::Node(index) => steps[*index].node.name.as_str(),
    };
    let layer = |(index, Step { node, inputs }): (usize, &Step<'_>)| {
        let mut layer = match node.operation {
            Operation::Convolution(convolution) => {
                let Convolution { in_channels, out_channels, kernel_size, stride, bias } = convolution;
                json!({
                    "operation": "convolution", "in_channels": in_channels, "out_channels": out_channels,
                    "kernel_size": kernel_size, "stride": stride, "padding": convolution.padding(), "bias": bias,
                })
            }
            Operation::BatchNorm(BatchNorm { channels }) => {
                json!({ "operation": "batch-normalization", "channels": channels, "epsilon": BatchNorm::EPSILON })
            }
            Operation::Relu(_) => json!({ "operation": "relu" }),
            Operation::MaxPool(MaxPool { kernel_size, stride }) => {
                json!({ "operation": "max-pool", "kernel_size": kernel_size, "stride": stride, "padding": 0 })
            }
            Operation::AveragePool(AveragePool { kernel_size, stride }) => {
                json!({ "operation": "average-pool", "kernel_size": kernel_size, "stride": stride, "padding": 0 })
            }
            Operation::Dropout(_) => return None,
            Operation::Flatten(_) => json!({ "operation": "flatten" }),
            Operation::Linear(Linear { inputs, outputs, bias }) => {
                json!({ "operation": "linear", "inputs": inputs, "outputs": outputs, "bias": bias })
            }
            Operation::GlobalAverage(_) => json!({ "operation": "global-average-pool" }),
            Operation::Add(_) => json!({ "operation": "add" }),
        };
        if *inputs != [index.checked_sub(1).map_or(Source::Images, Source::Node)] {
            layer["inputs"] = json!(inputs.iter().map(name).collect::<Vec<_>>());
        }
        layer["name"] = json!(node.name);
        let MapShape { channels, height, width } = node.output.map();
        layer["output"] = json!([channels, height, width]);
        Some(layer)
    };
    steps.iter().enumerate().filter_map(layer).collect()
}
