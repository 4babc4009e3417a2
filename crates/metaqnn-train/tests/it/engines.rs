//! The engine on the CPU beside itself on more threads, and beside Burn's own backend where that is compiled in.

use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_core::settings::{Optimizer, TrainingSettings};
use metaqnn_data::{ImageShape, LabelledImages, Normalizer, Preprocessing};
use metaqnn_train::{ComputeDevice, Learner, logits, parse_device};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::settings::plain;

#[cfg(feature = "burn")]
mod beside_burn;

const STEPS: usize = 3;
const BATCH: usize = 9;

fn images_and_labels(graph: &Graph, seed: u64) -> (Vec<f32>, Vec<i32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let images = (0..BATCH * graph.input().values() as usize).map(|_| rng.random_range(-1.7..1.7)).collect();
    let labels = (0..BATCH).map(|_| rng.random_range(0..graph.classes()) as i32).collect();
    (images, labels)
}

/// Losses and the weights after some steps on a fresh network.
fn trained(graph: &Graph, settings: &TrainingSettings, device: &ComputeDevice, seed: u64) -> (Vec<f32>, Vec<u8>) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut learner = Learner::new(graph, settings, device, &mut rng, seed);
    let losses = (0..STEPS)
        .map(|step| {
            let (images, labels) = images_and_labels(graph, step as u64);
            learner.step(&images, &labels, settings.learning_rate).value()
        })
        .collect();
    (losses, learner.to_safetensors().unwrap())
}

fn sgd(batch_norm: bool, max_dropout: f64) -> TrainingSettings {
    TrainingSettings {
        batch_size: BATCH as u32,
        optimizer: Optimizer::Sgd { momentum: 0.9, nesterov: false },
        learning_rate: 0.02,
        weight_decay: 1e-3,
        label_smoothing: 0.05,
        batch_norm,
        max_dropout,
        ..plain()
    }
}

fn muon(batch_norm: bool) -> TrainingSettings {
    let optimizer =
        Optimizer::Muon { rate: 4.0, momentum: 0.9, iterations: 3, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 };
    TrainingSettings { optimizer, learning_rate: 0.005, ..sgd(batch_norm, 0.0) }
}

const NETWORKS: [&str; 4] = [
    "[C(13,3,1), P(2,2), C(32,3,1), C(32,3,1), GAP(3), SM(3)]",
    "[C(16,5,1), P(3,2), C(24,3,2), FC(20), SM(3)]",
    "[P(2,2), C(8,1,1), C(40,3,1), SM(3)]",
    "[C(12,3,1), A(2,2), C(32,3,1), A(3,2), GAP(3), SM(3)]",
];

fn with_threads<T: Send>(threads: usize, work: impl FnOnce() -> T + Send) -> T {
    rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap().install(work)
}

#[test]
fn two_threads_give_the_losses_of_one_and_one_gives_the_same_bits() {
    let input = MapShape::new(3, 14, 12);
    let cpu = parse_device("cpu").unwrap();
    for text in NETWORKS {
        for settings in [sgd(false, 0.0), sgd(true, 0.3), muon(false), muon(true)] {
            let graph = Graph::new(&text.parse().unwrap(), input, settings.network_options()).unwrap();
            let of = |threads| with_threads(threads, || trained(&graph, &settings, &cpu, 3));
            let (losses, weights) = of(1);
            assert_eq!((&losses, &weights), (&of(1).0, &of(1).1), "{text}: one thread gave other bits");
            for (loss, other) in losses.iter().zip(of(2).0) {
                assert!((loss - other).abs() < 1e-5 * loss, "{text}: loss {loss}, {other} with two threads");
            }
        }
    }
}

/// A few images of three classes, more than a batch.
fn labelled(shape: ImageShape, count: usize) -> (LabelledImages, Normalizer) {
    let pixels = (0..count * shape.channels * shape.pixels()).map(|i| (i * i % 251) as u8).collect();
    let images = LabelledImages { shape, pixels, labels: (0..count).map(|i| (i % 3) as u16).collect() };
    let normalizer = Normalizer::fit(Preprocessing::Standardize, &images, 255);
    (images, normalizer)
}

#[test]
fn stored_weights_give_the_answers_of_the_learner_and_probabilities_are_the_softmax_of_logits() {
    let (images, normalizer) = labelled(ImageShape { channels: 2, height: 12, width: 10 }, 21);
    let cpu = parse_device("cpu").unwrap();
    for text in NETWORKS {
        for batch_norm in [false, true] {
            let settings = sgd(batch_norm, 0.3);
            let input = MapShape::new(2, 12, 10);
            let graph = Graph::new(&text.parse().unwrap(), input, settings.network_options()).unwrap();
            let (_, weights) = trained(&graph, &settings, &cpu, 5);
            let mut learner = Learner::with_weights(&graph, &settings, &cpu, &weights, 0).unwrap();
            assert_eq!(learner.to_safetensors().unwrap(), weights);
            let logits = logits(&graph, &weights, &images, &normalizer, &cpu).unwrap();
            assert_eq!(logits.len(), 21 * 3);
            let predictions = learner.predict(&images, &normalizer);
            for (row, logits) in predictions.probabilities().zip(logits.chunks(3)) {
                let sum: f32 = logits.iter().map(|logit| logit.exp()).sum();
                assert!(row.iter().zip(logits).all(|(p, logit)| (p - logit.exp() / sum).abs() < 1e-5));
            }
        }
    }
    let other = Graph::new(&NETWORKS[1].parse().unwrap(), MapShape::new(2, 12, 10), plain().network_options()).unwrap();
    let graph = Graph::new(&NETWORKS[0].parse().unwrap(), other.input(), plain().network_options()).unwrap();
    let (_, weights) = trained(&graph, &plain(), &cpu, 5);
    assert!(logits(&other, &weights, &images, &normalizer, &cpu).is_err());
}
