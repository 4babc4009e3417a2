//! Models with drawn weights.

use metaqnn_core::graph::{Graph, MapShape, NetworkOptions};
use metaqnn_export::{
    Measured, Model, Normalization, Preparation, Provenance, ScoredImages, Tensor, TrainedNetwork, Weights,
    weight_shapes,
};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::plain_loops;

/// Every layer type; windows that overlap and that leave a rest; strides; FC after maps and after nothing.
pub(crate) const NETWORKS: [&str; 6] = [
    "[C(8,3,1), P(2,2), C(12,5,2), P(3,2), FC(16), FC(7), SM(4)]",
    "[C(6,1,1), C(9,3,1), P(5,3), GAP(4), SM(4)]",
    "[P(2,2), C(5,3,2), SM(4)]",
    "[FC(11), SM(4)]",
    "[SM(4)]",
    "[A(3,2), C(6,3,1), A(2,1), C(5,1,1), A(2,2), FC(6), SM(4)]",
];

pub(crate) const INPUT: MapShape = MapShape::new(3, 15, 12);

pub(crate) fn network(text: &str, batch_norm: bool, input: MapShape, rng: &mut ChaCha8Rng) -> TrainedNetwork {
    let architecture = text.parse().unwrap();
    let graph = Graph::new(&architecture, input, NetworkOptions { batch_norm, max_dropout: 0.5 }).unwrap();
    let weights = weights(&graph, rng);
    TrainedNetwork::new(architecture, batch_norm, input, weights, Some(7)).unwrap()
}

/// A network of a graph that branches.
pub(crate) fn branching(graph: Graph, rng: &mut ChaCha8Rng) -> TrainedNetwork {
    let weights = weights(&graph, rng);
    TrainedNetwork::of_graph(NETWORKS[4].parse().unwrap(), true, graph, weights, Some(7)).unwrap()
}

fn weights(graph: &Graph, rng: &mut ChaCha8Rng) -> Weights {
    let mut weights = Weights::default();
    for (name, shape) in weight_shapes(graph) {
        let n: usize = shape.iter().product();
        let fan_in: usize = shape.iter().skip(1).product();
        let bound = (3.0 / fan_in as f32).sqrt();
        let values = (0..n)
            .map(|_| {
                if name.ends_with("running_var") { rng.random_range(0.2..2.0) } else { rng.random_range(-bound..bound) }
            })
            .collect();
        weights.insert(name, Tensor { shape, values });
    }
    weights
}

pub(crate) fn normalizations(input: MapShape, rng: &mut ChaCha8Rng) -> [Normalization; 4] {
    let mut draw = |n: u64, from: f32, to: f32| (0..n).map(|_| rng.random_range(from..to)).collect::<Vec<f32>>();
    [
        Normalization::Standardize {
            mean: draw(u64::from(input.channels), 0.2, 0.6),
            deviation: draw(u64::from(input.channels), 0.1, 0.4),
        },
        Normalization::MeanImage { mean: draw(input.values(), 0.0, 1.0) },
        Normalization::GlobalContrast,
        Normalization::LocalContrast,
    ]
}

pub(crate) fn model(networks: Vec<TrainedNetwork>, normalization: Normalization, max_value: u8) -> Model {
    let preparation = Preparation { input: networks[0].graph().input(), max_value, normalization };
    let classes = ["cat", "dog \"Rex\"", "größer", "日本"].map(str::to_owned).to_vec();
    let provenance = Provenance {
        study: "a.study".into(),
        seed: u64::MAX,
        data: "made up".into(),
        data_fingerprint: "0".repeat(64),
        study_version: "0.1.0".into(),
        version: "0.1.0".into(),
    };
    let measured = Measured { test_accuracy: 0.25, test_images: 20, epochs: 3, train_seconds: 1.5 };
    Model::new(networks, preparation, classes, provenance, Some(measured)).unwrap()
}

/// A model of one network with standardization.
pub(crate) fn simple() -> Model {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let network = network(NETWORKS[0], true, INPUT, &mut rng);
    let [normalization, ..] = normalizations(INPUT, &mut rng);
    model(vec![network], normalization, 255)
}

/// Drawn images, among them a black one and one of a single colour, with the answers of plain loops.
pub(crate) fn scored(model: &Model, images: usize, rng: &mut ChaCha8Rng) -> ScoredImages {
    let size = model.preparation().pixels();
    let mut pixels: Vec<u8> = (0..images * size).map(|_| rng.random_range(0..=model.preparation().max_value)).collect();
    pixels[..size].fill(0);
    pixels[size..2 * size].fill(model.preparation().max_value / 3);
    let labels = (0..images).map(|_| rng.random_range(0..4)).collect();
    ScoredImages { are_made: false, logits: plain_loops::logits(model, &pixels), pixels, labels }
}
