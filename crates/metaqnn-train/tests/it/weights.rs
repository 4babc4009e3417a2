//! The weights of a network by name: fresh, stored and read.

use metaqnn_core::graph::{Graph, MapShape, NetworkOptions};
use metaqnn_core::space::Architecture;
use metaqnn_train::{Learner, WeightsError, parse_device};
use proptest::prelude::*;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::settings::plain;

const OPTIONS: NetworkOptions = NetworkOptions { batch_norm: true, max_dropout: 0.5 };

fn graph(text: &str, input: MapShape, options: NetworkOptions) -> Graph {
    Graph::new(&text.parse().unwrap(), input, options).unwrap()
}

fn learner(graph: &Graph, seed: u64) -> Learner {
    Learner::new(graph, &plain(), &parse_device("cpu").unwrap(), &mut ChaCha8Rng::seed_from_u64(seed), 0)
}

fn read(graph: &Graph, weights: &[u8]) -> Result<Learner, WeightsError> {
    Learner::with_weights(graph, &plain(), &parse_device("cpu").unwrap(), weights, 0)
}

/// Some layers, of which those that fit are taken: body layers, then FC or GAP or neither.
fn architectures() -> impl Strategy<Value = (Architecture, MapShape)> {
    let body = proptest::collection::vec(
        prop_oneof![
            (1_u32..6, prop::sample::select(vec![1_u32, 3, 5]), 1_u32..3)
                .prop_map(|(d, f, s)| format!("C({d},{f},{s})")),
            prop::sample::select(vec!["P(5,3)", "P(3,2)", "P(2,2)"]).prop_map(str::to_owned),
        ],
        0..6,
    );
    let end = prop::sample::select(vec!["", "FC(7), ", "FC(7), FC(5), ", "GAP(3), "]);
    (body, end, 1_u32..4, 8_u32..20, 8_u32..20).prop_filter_map("too small", |(body, end, channels, height, width)| {
        let mut layers: String = body.iter().flat_map(|layer| [layer.as_str(), ", "]).collect();
        layers.push_str(end);
        let architecture = format!("[{layers}SM(3)]").parse().ok()?;
        let input = MapShape::new(channels, height, width);
        Graph::new(&architecture, input, OPTIONS).ok()?;
        Some((architecture, input))
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn parameters_are_those_of_the_graph((architecture, input) in architectures(), batch_norm: bool) {
        let graph = Graph::new(&architecture, input, NetworkOptions { batch_norm, ..OPTIONS }).unwrap();
        let weights = learner(&graph, 1).to_safetensors().unwrap();
        let trainable: usize = safetensors::SafeTensors::deserialize(&weights)
            .unwrap()
            .iter()
            .filter(|(name, _)| !name.contains("running"))
            .map(|(_, view)| view.shape().iter().product::<usize>())
            .sum();
        prop_assert_eq!(trainable as u64, graph.params());
    }
}

#[test]
fn weights_go_to_safetensors_and_back() {
    let input = MapShape::new(3, 8, 8);
    let graph = graph("[C(6,3,1), P(2,2), FC(9), SM(4)]", input, OPTIONS);
    let weights = learner(&graph, 1).to_safetensors().unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&weights).unwrap();
    let mut names: Vec<_> = tensors.iter().map(|(name, view)| (name.to_owned(), view.shape().to_vec())).collect();
    names.sort();
    let expected: [(&str, &[usize]); 12] = [
        ("conv1.weight", &[6, 3, 3, 3]),
        ("fc1.weight", &[9, 96]),
        ("norm1.bias", &[6]),
        ("norm1.running_mean", &[6]),
        ("norm1.running_var", &[6]),
        ("norm1.weight", &[6]),
        ("norm_fc1.bias", &[9]),
        ("norm_fc1.running_mean", &[9]),
        ("norm_fc1.running_var", &[9]),
        ("norm_fc1.weight", &[9]),
        ("softmax.bias", &[4]),
        ("softmax.weight", &[4, 9]),
    ];
    assert_eq!(names, expected.map(|(name, shape)| (name.to_owned(), shape.to_vec())));

    assert_ne!(learner(&graph, 2).to_safetensors().unwrap(), weights);
    let mut other = read(&graph, &weights).unwrap();
    assert_eq!(other.to_safetensors().unwrap(), weights);
    let images: Vec<f32> = (0..2 * 192).map(|i| (i % 7) as f32 - 3.0).collect();
    assert_eq!(other.logits(&images), learner(&graph, 1).logits(&images));
}

#[test]
fn weights_of_another_network_are_refused_by_name() {
    let input = MapShape::new(3, 8, 8);
    let plain = NetworkOptions { batch_norm: false, max_dropout: 0.0 };
    let small = learner(&graph("[C(6,3,1), SM(4)]", input, plain), 1).to_safetensors().unwrap();
    let load = |text| read(&graph(text, input, plain), &small);
    assert!(load("[C(6,3,1), SM(4)]").is_ok());
    let wider = load("[C(7,3,1), SM(4)]").unwrap_err();
    assert_eq!(
        wider.to_string(),
        "tensor conv1.weight: expected F32 of shape [7, 3, 3, 3], found F32 of shape [6, 3, 3, 3]"
    );
    assert!(matches!(load("[C(6,3,1), C(6,3,1), SM(4)]"), Err(WeightsError::Format(_))));
    assert!(matches!(load("[GAP(4), SM(4)]"), Err(WeightsError::Format(_))));
    let deeper = learner(&graph("[C(6,3,1), C(6,3,1), SM(4)]", input, plain), 1).to_safetensors().unwrap();
    let unexpected = read(&graph("[C(6,3,1), SM(4)]", input, plain), &deeper).unwrap_err();
    assert!(unexpected.to_string().contains("conv2"), "{unexpected}");
    assert!(load_bytes(b"nonsense").is_err());

    fn load_bytes(bytes: &[u8]) -> Result<Learner, WeightsError> {
        let plain = NetworkOptions { batch_norm: false, max_dropout: 0.0 };
        read(&graph("[SM(4)]", MapShape::new(1, 4, 4), plain), bytes)
    }
}

#[test]
fn first_weights_are_glorot_uniform_and_biases_zero() {
    let plain = NetworkOptions { batch_norm: false, max_dropout: 0.0 };
    let graph = graph("[C(32,3,1), SM(10)]", MapShape::new(8, 8, 8), plain);
    let bytes = learner(&graph, 5).to_safetensors().unwrap();
    let tensors = safetensors::SafeTensors::deserialize(&bytes).unwrap();
    let values = |name: &str| -> Vec<f64> {
        let data = tensors.tensor(name).unwrap().data().to_vec();
        data.as_chunks::<4>().0.iter().map(|&bytes| f64::from(f32::from_le_bytes(bytes))).collect()
    };
    assert!(values("conv1.bias").iter().all(|&value| value == 0.0));
    // fan_in = 8·9, fan_out = 32·9.
    let bound = (6.0 / (72.0 + 288.0_f64)).sqrt();
    let weights = values("conv1.weight");
    let largest = weights.iter().fold(0.0_f64, |largest, value| largest.max(value.abs()));
    assert!(largest <= bound && largest > 0.99 * bound, "{largest} of {bound}");
    let variance = weights.iter().map(|value| value * value).sum::<f64>() / weights.len() as f64;
    assert!((variance / (bound * bound / 3.0) - 1.0).abs() < 0.06, "{variance}");
    // fan_in = 32·64 and fan_out = 10.
    let bound = (6.0 / (2048.0 + 10.0_f64)).sqrt();
    assert!(values("softmax.weight").iter().all(|value| value.abs() <= bound));
}
