//! What a trained network does, step by step: its graph without dropout, which is of training alone.

use metaqnn_core::graph::{Graph, Node, Source};
use metaqnn_core::operation::Operation;

/// One step.
pub(crate) struct Step<'a> {
    pub(crate) node: &'a Node,
    /// What it takes; nodes are counted among the steps.
    pub(crate) inputs: Vec<Source>,
}

/// The steps of `graph`; the last gives the logits.
pub(crate) fn steps(graph: &Graph) -> Vec<Step<'_>> {
    let mut steps = Vec::new();
    // Where each value comes from now.
    let mut sources = vec![Source::Images];
    for node in graph.nodes() {
        let inputs: Vec<Source> = node.inputs.iter().map(|input| sources[input.value()]).collect();
        if matches!(node.operation, Operation::Dropout(_)) {
            sources.push(inputs[0]);
        } else {
            sources.push(Source::Node(steps.len()));
            steps.push(Step { node, inputs });
        }
    }
    steps
}

#[cfg(test)]
mod tests {
    use metaqnn_core::graph::{MapShape, NetworkOptions};

    use super::*;

    #[test]
    fn what_follows_dropout_takes_what_dropout_took() {
        let options = NetworkOptions { batch_norm: false, max_dropout: 0.5 };
        let architecture = "[C(4,3,1), P(2,2), FC(5), SM(3)]".parse().unwrap();
        let graph = Graph::new(&architecture, MapShape::new(1, 8, 8), options).unwrap();
        let steps = steps(&graph);
        let names: Vec<&str> = steps.iter().map(|step| step.node.name.as_str()).collect();
        assert_eq!(names, ["conv1", "relu1", "pool1", "flatten", "fc1", "relu_fc1", "softmax"]);
        for (index, step) in steps.iter().enumerate() {
            assert_eq!(step.inputs, [index.checked_sub(1).map_or(Source::Images, Source::Node)]);
        }
    }
}
