//! The graph of an architecture.

use super::architecture::Architecture;
use crate::graph::{Graph, GraphError, MapShape, NetworkOptions};
use crate::layer::expanded;

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
        expanded(architecture.layers(), architecture.classes(), input, options)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Dropout, GlobalAverage, Operation};

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
            ("flatten", "6400"),
            ("fc1", "128"),
            ("relu_fc1", "128"),
            ("drop2", "128"),
            ("softmax", "10"),
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
                Operation::Dropout(Dropout { probability }) => Some(probability),
                _ => None,
            })
            .collect();
        assert_eq!(probabilities, [0.25, 0.5]);
        assert_eq!(graph(text, "3x32x32").nodes().last().unwrap().operation, Operation::GlobalAverage(GlobalAverage));
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
