//! A model in the format ONNX: one input `images`, the outputs `probabilities` and `logits`.
//!
//! - `generated`: the messages of the format, made by prost from ONNX's own description.
//! - `graph_builder`: nodes, constants and attributes as these messages.
//! - `normalization`: what is done to pixels, as ONNX operators.

#[allow(missing_docs, unreachable_pub, dead_code, clippy::all)] // Written by a program, and only in part used.
mod generated;
mod graph_builder;
mod normalization;

use metaqnn_core::graph::MapShape;
use metaqnn_core::operation::{AveragePool, BatchNorm, Convolution, Linear, MaxPool, Operation};
use prost::Message;
use serde_json::json;

use self::generated::{ModelProto, OperatorSetIdProto, StringStringEntryProto};
use self::graph_builder::{Attribute, GraphBuilder};
use crate::error::ExportError;
use crate::model::{Model, TrainedNetwork, prefix};
use crate::steps::{Step, steps};

/// Name of the input: 32-bit floats, batch × C × H × W, pixels as stored.
pub(crate) const INPUT: &str = "images";

/// Name of the output of shape batch × classes that sums to 1 over the classes.
pub(crate) const PROBABILITIES: &str = "probabilities";

/// The operator set that is written for.
const OPERATOR_SET: i64 = 17;

/// The version of the format that came with that set.
const IR_VERSION: i64 = 8;

/// Name of the output with the logits of a network, counted from 0: `logits`; of an ensemble `logits1`, `logits2` and so on.
pub(crate) fn logits_name(model: &Model, network: usize) -> String {
    if model.networks().len() == 1 { "logits".into() } else { format!("logits{}", network + 1) }
}

/// The bytes of an ONNX file.
///
/// Input and outputs have any batch size. Normalization is the first part of the graph; batch normalization is an operator with its
/// running statistics; dropout is left out. Of several networks each has its own logits, and the probabilities are the mean of
/// their softmax outputs. `metadata_props` say which classes there are and how to prepare an image.
///
/// # Errors
///
/// [`ExportError::Model`] where the file would be larger than the format allows, 2 GiB.
pub fn encode(model: &Model) -> Result<Vec<u8>, ExportError> {
    let preparation = model.preparation();
    let MapShape { channels, height, width } = preparation.input;
    let mut graph = GraphBuilder::new();
    graph.input(INPUT, &[channels, height, width]);
    let normalized = normalization::add(&mut graph, preparation);
    let mut outputs = Vec::new();
    for (index, network) in model.networks().iter().enumerate() {
        let logits = logits_name(model, index);
        add_network(&mut graph, network, &prefix(index), &normalized, &logits)?;
        outputs.push(logits);
    }
    let classes = model.class_names().len() as u32;
    if let [logits] = outputs.as_slice() {
        graph.node("Softmax", &[logits], PROBABILITIES, vec![("axis", Attribute::Whole(1))]);
    } else {
        let each: Vec<String> = outputs.iter().map(|logits| format!("{logits}.softmax")).collect();
        for (logits, softmax) in outputs.iter().zip(&each) {
            graph.node("Softmax", &[logits], softmax, vec![("axis", Attribute::Whole(1))]);
        }
        let each: Vec<&str> = each.iter().map(String::as_str).collect();
        graph.node("Mean", &each, PROBABILITIES, vec![]);
    }
    graph.output(PROBABILITIES, classes);
    for logits in &outputs {
        graph.output(logits, classes);
    }
    let file = ModelProto {
        ir_version: Some(IR_VERSION),
        opset_import: vec![OperatorSetIdProto { domain: Some(String::new()), version: Some(OPERATOR_SET) }],
        producer_name: Some("metaqnn".into()),
        producer_version: Some(env!("CARGO_PKG_VERSION").into()),
        doc_string: Some(preparation.in_words()),
        graph: Some(graph.build()),
        metadata_props: metadata(model),
        ..ModelProto::default()
    };
    if i32::try_from(file.encoded_len()).is_err() {
        return Err(ExportError::model("its weights are more than 2 GiB, which ONNX files cannot hold"));
    }
    Ok(file.encode_to_vec())
}

/// Adds the operators of a network from the value `input` to the value `output`.
fn add_network(
    graph: &mut GraphBuilder,
    network: &TrainedNetwork,
    prefix: &str,
    input: &str,
    output: &str,
) -> Result<(), ExportError> {
    for (name, tensor) in network.weights().iter() {
        graph.constant(&format!("{prefix}{name}"), &tensor.shape, tensor.bytes());
    }
    let steps = steps(network.graph());
    // Names of the values, the input first.
    let mut values = vec![input.to_owned()];
    for (index, Step { node, inputs }) in steps.iter().enumerate() {
        let result = if index + 1 == steps.len() { output.to_owned() } else { format!("{prefix}{}", node.name) };
        let mut taken: Vec<String> = inputs.iter().map(|input| values[input.value()].clone()).collect();
        let weight = |field: &str| format!("{prefix}{}.{field}", node.name);
        let sides = |n: u32| Attribute::Wholes(vec![i64::from(n); 2]);
        match node.operation {
            Operation::Convolution(convolution) => {
                let Convolution { kernel_size, stride, bias, .. } = convolution;
                taken.push(weight("weight"));
                taken.extend(bias.then(|| weight("bias")));
                let padding = i64::from(convolution.padding());
                let attributes = vec![
                    ("kernel_shape", sides(kernel_size)),
                    ("pads", Attribute::Wholes(vec![padding; 4])),
                    ("strides", sides(stride)),
                ];
                graph.node("Conv", &taken, &result, attributes);
            }
            Operation::BatchNorm(_) => {
                taken.extend(["weight", "bias", "running_mean", "running_var"].map(weight));
                let epsilon = vec![("epsilon", Attribute::Real(BatchNorm::EPSILON as f32))];
                graph.node("BatchNormalization", &taken, &result, epsilon);
            }
            Operation::Relu(_) => graph.node("Relu", &taken, &result, vec![]),
            Operation::MaxPool(MaxPool { kernel_size, stride }) => {
                let attributes = vec![("kernel_shape", sides(kernel_size)), ("strides", sides(stride))];
                graph.node("MaxPool", &taken, &result, attributes);
            }
            Operation::AveragePool(AveragePool { kernel_size, stride }) => {
                let attributes = vec![("kernel_shape", sides(kernel_size)), ("strides", sides(stride))];
                graph.node("AveragePool", &taken, &result, attributes);
            }
            // No step of a trained network.
            Operation::Dropout(_) => {}
            Operation::Flatten(_) => graph.node("Flatten", &taken, &result, vec![("axis", Attribute::Whole(1))]),
            Operation::Linear(Linear { bias, .. }) => {
                taken.push(weight("weight"));
                taken.extend(bias.then(|| weight("bias")));
                graph.node("Gemm", &taken, &result, vec![("transB", Attribute::Whole(1))]);
            }
            Operation::Add(_) => graph.node("Add", &taken, &result, vec![]),
            Operation::GlobalAverage(_) => {
                let maps = format!("{prefix}{}.maps", node.name);
                graph.node("GlobalAveragePool", &taken, &maps, vec![]);
                graph.node("Flatten", &[maps], &result, vec![("axis", Attribute::Whole(1))]);
            }
        }
        values.push(result);
    }
    Ok(())
}

/// What a user of the file has to know, as text by name.
fn metadata(model: &Model) -> Vec<StringStringEntryProto> {
    let (preparation, provenance) = (model.preparation(), model.provenance());
    let architectures: Vec<String> =
        model.networks().iter().map(|network| network.architecture().to_string()).collect();
    let mut entries = vec![
        ("class_names", json!(model.class_names()).to_string()),
        ("preparation", preparation.in_words()),
        ("input_shape", preparation.input.to_string()),
        ("min_value", "0".into()),
        ("max_value", preparation.max_value.to_string()),
        ("normalization", format!("{}, inside the graph", preparation.normalization.kind())),
        ("architecture", architectures.join("; ")),
        ("data", provenance.data.clone()),
        ("data_fingerprint", provenance.data_fingerprint.clone()),
        ("study", provenance.study.clone()),
        ("seed", provenance.seed.to_string()),
        ("metaqnn_version", provenance.version.clone()),
    ];
    if let Some(measured) = model.measured() {
        entries.push(("test_accuracy", measured.test_accuracy.to_string()));
        entries.push(("test_images", measured.test_images.to_string()));
    }
    let entry = |(key, value): (&str, String)| StringStringEntryProto { key: Some(key.into()), value: Some(value) };
    entries.into_iter().map(entry).collect()
}
