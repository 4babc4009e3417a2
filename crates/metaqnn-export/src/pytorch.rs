//! A model as one Python file that builds it in PyTorch and loads its weights.

use std::fmt::Write;

use metaqnn_core::graph::{MapShape, Shape};
use metaqnn_core::operation::{AveragePool, BatchNorm, Convolution, Linear, MaxPool, Operation};
use serde_json::json;

use crate::model::{Model, TrainedNetwork};
use crate::preparation::{LEAST_GLOBAL_DEVIATION, Normalization};
use crate::steps::Step;

/// What every file has: reading the weights, the ensemble, the check.
const FRAME: &str = include_str!("pytorch/frame.py");

/// The text of the file.
pub fn source(model: &Model) -> String {
    let MapShape { channels, height, width } = model.preparation().input;
    let mut networks = String::new();
    let mut members = String::new();
    for (index, network) in model.networks().iter().enumerate() {
        networks.push_str(&network_class(network, index + 1));
        // Writing to a string cannot fail.
        let _ = writeln!(members, "        self.network{0} = Network{0}()", index + 1);
    }
    let names: Vec<String> = (1..=model.networks().len()).map(|number| format!("self.network{number}")).collect();
    let holes = [
        ("preparation", model.preparation().in_words()),
        ("class_names", json!(model.class_names()).to_string()),
        ("input_shape", format!("({channels}, {height}, {width})")),
        ("max_value", model.preparation().max_value.to_string()),
        ("preparation_class", preparation_class(model)),
        ("network_classes", networks.strip_suffix('\n').unwrap_or(&networks).to_owned()),
        ("members", members.trim_end().to_owned()),
        ("member_names", names.join(", ")),
    ];
    filled(FRAME, &holes)
}

/// `frame` with each `{{name}}` replaced by the text of that name, in one go: what is put in is not looked at again, so that a class may be
/// called anything.
fn filled(frame: &str, holes: &[(&str, String)]) -> String {
    let mut text = String::new();
    let mut rest = frame;
    while let Some((before, after)) = rest.split_once("{{") {
        text.push_str(before);
        let filling = after.split_once("}}").and_then(|(name, after)| {
            let (_, filling) = holes.iter().find(|(hole, _)| *hole == name)?;
            Some((filling, after))
        });
        match filling {
            Some((filling, after)) => {
                text.push_str(filling);
                rest = after;
            }
            None => {
                text.push_str("{{");
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

/// A class whose attributes are named like the tensors of the network.
fn network_class(network: &TrainedNetwork, number: usize) -> String {
    let mut layers = String::new();
    let mut steps = String::new();
    let trained = crate::steps::steps(network.graph());
    let names = variables(&trained);
    if names[0] != "x" {
        let _ = writeln!(steps, "        {} = x", names[0]);
    }
    for (Step { node, inputs }, result) in trained.iter().zip(&names[1..]) {
        let name = &node.name;
        let x = &names[inputs[0].value()];
        let python = |flag: bool| if flag { "True" } else { "False" };
        let mut layer = None;
        let step = match node.operation {
            Operation::Convolution(convolution) => {
                let Convolution { in_channels, out_channels, kernel_size, stride, bias } = convolution;
                let padding = convolution.padding();
                layer = Some(format!(
                    "nn.Conv2d({in_channels}, {out_channels}, {kernel_size}, stride={stride}, padding={padding}, bias={})",
                    python(bias)
                ));
                format!("self.{name}({x})")
            }
            Operation::BatchNorm(BatchNorm { channels }) => {
                let kind = match node.output {
                    Shape::Vector(_) => "BatchNorm1d",
                    Shape::Map(_) => "BatchNorm2d",
                };
                layer = Some(format!("nn.{kind}({channels})"));
                format!("self.{name}({x})")
            }
            Operation::Linear(Linear { inputs, outputs, bias }) => {
                layer = Some(format!("nn.Linear({inputs}, {outputs}, bias={})", python(bias)));
                format!("self.{name}({x})")
            }
            Operation::Relu(_) => format!("functional.relu({x})"),
            Operation::MaxPool(MaxPool { kernel_size, stride }) => {
                format!("functional.max_pool2d({x}, {kernel_size}, stride={stride})")
            }
            Operation::AveragePool(AveragePool { kernel_size, stride }) => {
                format!("functional.avg_pool2d({x}, {kernel_size}, stride={stride})")
            }
            Operation::Flatten(_) => format!("{x}.flatten(1)"),
            Operation::GlobalAverage(_) => format!("{x}.mean(dim=(2, 3))"),
            Operation::Add(_) => format!("{x} + {}", names[inputs[1].value()]),
            // No step of a trained network.
            Operation::Dropout(_) => continue,
        };
        // Writing to a string cannot fail.
        if let Some(layer) = layer {
            let _ = writeln!(layers, "        self.{name} = {layer}");
        }
        let _ = writeln!(steps, "        {result} = {step}");
    }
    format!(
        "class Network{number}(nn.Module):\n    \"\"\"{}\"\"\"\n\n    def __init__(self):\n        super().__init__()\n{layers}\n    def forward(self, x):\n{steps}        return x\n\n\n",
        network.architecture()
    )
}

/// The variable of each value, the images first: `x` where the next step alone takes it, else the name of its node.
fn variables(steps: &[Step<'_>]) -> Vec<String> {
    let is_kept = |value: usize| {
        let later = steps.iter().skip(value + 1);
        later.flat_map(|step| &step.inputs).any(|input| input.value() == value)
    };
    let names = std::iter::once("images").chain(steps.iter().map(|step| step.node.name.as_str()));
    names.enumerate().map(|(value, name)| if is_kept(value) { name.to_owned() } else { "x".to_owned() }).collect()
}

fn preparation_class(model: &Model) -> String {
    let preparation = model.preparation();
    let mut buffers = String::new();
    for (name, shape, _) in preparation.normalization.constants(preparation.input) {
        let shape: Vec<String> = shape.iter().map(ToString::to_string).collect();
        let _ = writeln!(buffers, "        self.register_buffer(\"{name}\", torch.zeros({}))", shape.join(", "));
    }
    let init = if buffers.is_empty() {
        String::new()
    } else {
        format!("    def __init__(self):\n        super().__init__()\n{buffers}\n")
    };
    let body = match &preparation.normalization {
        Normalization::Standardize { .. } => {
            "        return (x - self.mean[:, None, None]) / self.deviation[:, None, None]\n".to_owned()
        }
        Normalization::MeanImage { .. } => "        return x - self.mean\n".to_owned(),
        Normalization::GlobalContrast => format!(
            "        # Of pixels as stored, whose sums are exact: an image of one colour becomes 0.\n        x = images.float() - images.float().mean(dim=(1, 2, 3), keepdim=True)\n        deviation = x.square().mean(dim=(1, 2, 3), keepdim=True).sqrt()\n        return x / deviation.clamp(min={LEAST_GLOBAL_DEVIATION} * MAX_VALUE)\n"
        ),
        Normalization::LocalContrast => include_str!("pytorch/local_contrast.py").to_owned(),
    };
    format!(
        "class Preparation(nn.Module):\n    \"\"\"Pixels as stored, divided by the value of white: {}.\"\"\"\n\n{init}    def forward(self, images):\n        x = images.float() / MAX_VALUE\n{body}",
        preparation.normalization.in_words()
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fills_a_hole_is_not_filled_again() {
        let holes = [("names", r#"["{{code}}", "{{names}}", "{{"]"#.to_owned()), ("code", "pass".to_owned())];
        let text = filled("NAMES = {{names}}\n{{code}} {{unknown}} {x}\n", &holes);
        assert_eq!(text, "NAMES = [\"{{code}}\", \"{{names}}\", \"{{\"]\npass {{unknown}} {x}\n");
    }

    #[test]
    fn every_hole_of_the_frame_is_known() {
        let names: Vec<&str> = FRAME.split("{{").skip(1).filter_map(|rest| Some(rest.split_once("}}")?.0)).collect();
        assert_eq!(
            names,
            [
                "preparation",
                "class_names",
                "input_shape",
                "max_value",
                "preparation_class",
                "network_classes",
                "members",
                "member_names"
            ]
        );
    }
}
