//! The first steps of training equal PyTorch's: the fixture holds its losses, `bench/pytorch_losses.py` made it.

use std::collections::HashMap;

use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_core::settings::{Optimizer, TrainingSettings};
use metaqnn_train::{Learner, parse_device};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use safetensors::SafeTensors;
use safetensors::tensor::{Dtype, TensorView};
use serde_json::Value;

use crate::settings::{ADAM, plain};

const FIXTURE: &str = include_str!("../fixtures/pytorch_losses.json");
const BATCH: usize = 16;
const BATCHES: usize = 4;
const CLASSES: f64 = 10.0;

/// `count` numbers in [-1, 1) that depend on the name and their position alone; `hashed` of the script.
fn hashed(name: &str, count: usize) -> Vec<f64> {
    let start = name.bytes().fold(2_166_136_261_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(16_777_619));
    (0..count as u32)
        .map(|i| {
            let mut x = i.wrapping_mul(0x9E37_79B1).wrapping_add(start);
            for (shift, factor) in [(15, 0x2C1B_3C6D), (12, 0x297A_2D39)] {
                x ^= x >> shift;
                x = x.wrapping_mul(factor);
            }
            x ^= x >> 15;
            f64::from(x >> 8) / f64::from(1 << 23) - 1.0
        })
        .collect()
}

/// The same weights that the script gives its network.
fn hashed_weights(fresh: &Learner) -> Vec<u8> {
    let bytes = fresh.to_safetensors().unwrap();
    let tensors: HashMap<String, (Vec<usize>, Vec<u8>)> = SafeTensors::deserialize(&bytes)
        .unwrap()
        .iter()
        .map(|(name, view)| {
            let shape = view.shape().to_vec();
            let mut values = hashed(name, shape.iter().product());
            if shape.len() > 1 {
                let receptive: usize = shape[2..].iter().product();
                let bound = (6.0 / ((shape[0] + shape[1]) * receptive) as f64).sqrt();
                values.iter_mut().for_each(|value| *value *= bound);
            } else if name.ends_with("running_mean") {
                values.fill(0.0);
            } else if name.ends_with("running_var") {
                values.fill(1.0);
            } else if name.starts_with("norm") && name.ends_with("weight") {
                values.iter_mut().for_each(|value| *value = 1.0 + 0.2 * *value);
            } else {
                values.iter_mut().for_each(|value| *value *= 0.1);
            }
            (name.to_owned(), (shape, values.iter().flat_map(|value| (*value as f32).to_le_bytes()).collect()))
        })
        .collect();
    let views = tensors
        .iter()
        .map(|(name, (shape, bytes))| (name.as_str(), TensorView::new(Dtype::F32, shape.clone(), bytes).unwrap()));
    safetensors::serialize(views, None).unwrap()
}

fn settings(case: &Value) -> (TrainingSettings, f64) {
    let (optimizer, learning_rate, weight_decay) = match case["optimizer"].as_str().unwrap() {
        "adam" => (ADAM, 0.001, 0.0),
        "adamw" => (ADAM, 0.001, 0.05),
        "sgd" => (Optimizer::Sgd { momentum: 0.9, nesterov: false }, 0.02, 5e-4),
        "nesterov" => (Optimizer::Sgd { momentum: 0.9, nesterov: true }, 0.02, 5e-4),
        other => panic!("{other}"),
    };
    let settings = TrainingSettings {
        optimizer,
        weight_decay,
        batch_norm: case["batch_norm"].as_bool().unwrap(),
        label_smoothing: case["label_smoothing"].as_f64().unwrap(),
        ..plain()
    };
    (settings, learning_rate)
}

#[test]
fn losses_and_logits_equal_those_of_pytorch() {
    compare("cpu");
}

#[cfg(feature = "burn")]
#[test]
fn losses_and_logits_on_burns_own_backend_equal_those_of_pytorch() {
    compare("flex");
}

fn compare(device: &str) {
    let fixture: Value = serde_json::from_str(FIXTURE).unwrap();
    let device = parse_device(device).unwrap();
    for case in fixture["cases"].as_array().unwrap() {
        let name = case["name"].as_str().unwrap();
        let (settings, learning_rate) = settings(case);
        let input: MapShape = case["input"].as_str().unwrap().parse().unwrap();
        let architecture = case["architecture"].as_str().unwrap().parse().unwrap();
        let graph = Graph::new(&architecture, input, settings.network_options()).unwrap();
        let fresh = Learner::new(&graph, &settings, &device, &mut ChaCha8Rng::seed_from_u64(0), 0);
        let weights = hashed_weights(&fresh);
        let mut learner = Learner::with_weights(&graph, &settings, &device, &weights, 0).unwrap();
        learner.weight_classes(
            case["class_weights"]
                .as_array()
                .map(|weights| weights.iter().map(|weight| weight.as_f64().unwrap() as f32).collect()),
        );

        let images = |batch: usize| -> Vec<f32> {
            let count = BATCH * input.values() as usize;
            hashed(&format!("images{batch}"), count).into_iter().map(|value| value as f32).collect()
        };
        let mut worst = 0.0_f64;
        for (step, expected) in case["losses"].as_array().unwrap().iter().enumerate() {
            let batch = step % BATCHES;
            let labels: Vec<i32> = hashed(&format!("labels{batch}"), BATCH)
                .into_iter()
                .map(|value| ((value + 1.0) / 2.0 * CLASSES) as i32)
                .collect();
            let loss = f64::from(learner.step(&images(batch), &labels, learning_rate).value());
            let expected = expected.as_f64().unwrap();
            let error = (loss - expected).abs() / expected;
            assert!(error < 1e-4, "{name}, step {step}: loss {loss}, PyTorch has {expected}");
            worst = worst.max(error);
        }
        println!("{name}: losses within {worst:.1e}");

        let logits = learner.logits(&images(0)[..2 * input.values() as usize]);
        // Adam turns the rounding of gradients that batch normalization makes almost zero into whole steps, so there PyTorch
        // differs as much from itself on another number of threads. The running statistics are checked with SGD.
        let tolerance = if settings.batch_norm && settings.optimizer == ADAM { 1e-2 } else { 1e-4 };
        let expected = case["logits"].as_array().unwrap();
        assert_eq!(logits.len(), expected.len());
        for (logit, expected) in logits.into_iter().zip(expected) {
            let expected = expected.as_f64().unwrap();
            let error = (f64::from(logit) - expected).abs();
            assert!(error < tolerance, "{name}: logit {logit}, PyTorch has {expected}");
        }
    }
}
