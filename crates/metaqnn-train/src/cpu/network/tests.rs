//! Gradients against central differences of a naive network in 64 bits, and dropout.

use std::collections::BTreeMap;

use metaqnn_core::graph::NetworkOptions;
use metaqnn_core::operation::{AveragePool, Convolution as ConvolutionOf, Linear, MaxPool, Operation};
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use safetensors::SafeTensors;

use super::*;
use crate::weights::{Drawn, Stored, WeightsStart};

#[path = "../../../../metaqnn-core/tests/shared/branching.rs"]
mod branching;

const IMAGES: usize = 4;
const SMOOTHING: f64 = 0.1;
/// As many as there are classes, at most.
const WEIGHTS: [f32; 4] = [0.5, 2.0, 1.25, 0.125];

fn graph(text: &str, input: &str, batch_norm: bool, max_dropout: f64) -> Graph {
    Graph::new(&text.parse().unwrap(), input.parse().unwrap(), NetworkOptions { batch_norm, max_dropout }).unwrap()
}

/// Weights with nothing at the value it begins with.
fn weights(graph: &Graph) -> Vec<u8> {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let Ok(fresh) = CpuNetwork::new(graph, IMAGES, 1, Drawn { rng: &mut rng, start: &WeightsStart::default() });
    let fresh = fresh.to_safetensors().unwrap();
    let tensors: Vec<HostTensor> = tensors_of(&fresh)
        .into_iter()
        .map(|(name, (shape, values))| {
            let values: Vec<f32> = values
                .into_iter()
                .map(|value| value as f32 + if shape.len() == 1 { rng.random_range(-0.2..0.2) } else { 0.0 })
                .collect();
            HostTensor::new(name, shape, values)
        })
        .collect();
    serialized(&tensors).unwrap()
}

type Tensors = BTreeMap<String, (Vec<usize>, Vec<f64>)>;

fn tensors_of(bytes: &[u8]) -> Tensors {
    let tensors = SafeTensors::deserialize(bytes).unwrap();
    tensors
        .iter()
        .map(|(name, view)| {
            let (numbers, _) = view.data().as_chunks::<4>();
            let values = numbers.iter().map(|&number| f64::from(f32::from_le_bytes(number))).collect();
            (name.to_owned(), (view.shape().to_vec(), values))
        })
        .collect()
}

fn images_and_labels(graph: &Graph) -> (Vec<f32>, Vec<i32>) {
    let mut rng = ChaCha8Rng::seed_from_u64(2);
    let images = (0..IMAGES * graph.input().values() as usize).map(|_| rng.random_range(-1.7..1.7)).collect();
    let labels = (0..IMAGES).map(|_| rng.random_range(0..graph.classes()) as i32).collect();
    (images, labels)
}

/// The weighted mean cross-entropy with smoothed labels, by the definitions, NCHW.
fn naive_loss(graph: &Graph, tensors: &Tensors, images: &[f32], labels: &[i32], weights: &[f32]) -> f64 {
    let mut values: Vec<Vec<f64>> = vec![images.iter().copied().map(f64::from).collect()];
    for node in graph.nodes() {
        let sides = |shape: MapShape| [shape.channels, shape.height, shape.width].map(|n| n as usize);
        let [in_c, in_h, in_w] = sides(graph.shape(node.inputs[0]).map());
        let [out_c, out_h, out_w] = sides(node.output.map());
        let tensor = |field: &str| tensors.get(&format!("{}.{field}", node.name)).map(|(_, values)| values.as_slice());
        let input = &values[node.inputs[0].value()];
        let at = |n: usize, c: usize, y: usize, x: usize| input[((n * in_c + c) * in_h + y) * in_w + x];
        // Every output position in order.
        let each = |value: &dyn Fn(usize, usize, usize, usize) -> f64| {
            let mut values = Vec::new();
            for (n, c) in (0..IMAGES).flat_map(|n| (0..out_c).map(move |c| (n, c))) {
                for (y, x) in (0..out_h).flat_map(|y| (0..out_w).map(move |x| (y, x))) {
                    values.push(value(n, c, y, x));
                }
            }
            values
        };
        let value = match node.operation {
            Operation::Convolution(ConvolutionOf { kernel_size, stride, .. }) => {
                let (k, stride) = (kernel_size as usize, stride as usize);
                let weight = tensor("weight").unwrap();
                each(&|n, o, y, x| {
                    let mut sum = tensor("bias").map_or(0.0, |bias| bias[o]);
                    for (row, column) in (0..k).flat_map(|row| (0..k).map(move |column| (row, column))) {
                        let (y, x) = (
                            (y * stride + row).wrapping_sub((k - 1) / 2),
                            (x * stride + column).wrapping_sub((k - 1) / 2),
                        );
                        if y < in_h && x < in_w {
                            for i in 0..in_c {
                                sum += at(n, i, y, x) * weight[((o * in_c + i) * k + row) * k + column];
                            }
                        }
                    }
                    sum
                })
            }
            Operation::Linear(Linear { inputs, .. }) => {
                let (inputs, weight) = (inputs as usize, tensor("weight").unwrap());
                each(&|n, o, _, _| {
                    let pairs = input[n * inputs..(n + 1) * inputs].iter().zip(&weight[o * inputs..(o + 1) * inputs]);
                    pairs.map(|(a, b)| a * b).sum::<f64>() + tensor("bias").map_or(0.0, |bias| bias[o])
                })
            }
            Operation::BatchNorm(_) => {
                let (scale, shift) = (tensor("weight").unwrap(), tensor("bias").unwrap());
                let count = (IMAGES * in_h * in_w) as f64;
                let sum_of = |c: usize, value: &dyn Fn(f64) -> f64| {
                    let positions =
                        (0..IMAGES).flat_map(|n| (0..in_h).flat_map(move |y| (0..in_w).map(move |x| (n, y, x))));
                    positions.map(|(n, y, x)| value(at(n, c, y, x))).sum::<f64>()
                };
                let moments: Vec<(f64, f64)> = (0..in_c)
                    .map(|c| {
                        let mean = sum_of(c, &|value| value) / count;
                        (mean, sum_of(c, &|value| (value - mean).powi(2)) / count)
                    })
                    .collect();
                each(&|n, c, y, x| {
                    let (mean, variance) = moments[c];
                    (at(n, c, y, x) - mean) / (variance + 1e-5).sqrt() * scale[c] + shift[c]
                })
            }
            Operation::Relu(_) => input.iter().map(|value| value.max(0.0)).collect(),
            Operation::MaxPool(MaxPool { kernel_size, stride }) => {
                let (k, stride) = (kernel_size as usize, stride as usize);
                each(&|n, c, y, x| {
                    let window = (0..k * k).map(|tap| at(n, c, y * stride + tap / k, x * stride + tap % k));
                    window.fold(f64::NEG_INFINITY, f64::max)
                })
            }
            Operation::AveragePool(AveragePool { kernel_size, stride }) => {
                let (k, stride) = (kernel_size as usize, stride as usize);
                each(&|n, c, y, x| {
                    let window = (0..k * k).map(|tap| at(n, c, y * stride + tap / k, x * stride + tap % k));
                    window.sum::<f64>() / (k * k) as f64
                })
            }
            Operation::GlobalAverage(_) => each(&|n, c, _, _| {
                let positions = (0..in_h).flat_map(|y| (0..in_w).map(move |x| (y, x)));
                positions.map(|(y, x)| at(n, c, y, x)).sum::<f64>() / (in_h * in_w) as f64
            }),
            Operation::Add(_) => input.iter().zip(&values[node.inputs[1].value()]).map(|(a, b)| a + b).collect(),
            Operation::Flatten(_) | Operation::Dropout(_) => input.clone(),
        };
        values.push(value);
    }
    let x = values.pop().unwrap();
    let classes = graph.classes() as usize;
    let weight = |label: i32| f64::from(weights[label as usize]);
    let losses = x.chunks_exact(classes).zip(labels).map(|(logits, &label)| {
        let logarithm = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
        let uniform = logits.iter().map(|logit| logarithm - logit).sum::<f64>() / classes as f64;
        weight(label) * ((1.0 - SMOOTHING) * (logarithm - logits[label as usize]) + SMOOTHING * uniform)
    });
    losses.sum::<f64>() / labels.iter().map(|&label| weight(label)).sum::<f64>()
}

/// Compares with central differences as [`check_gradient_of`] does.
fn check_gradient(
    text: &str,
    input: &str,
    batch_norm: bool,
    threads: usize,
    checked: usize,
    class_weights: Option<&[f32]>,
) {
    let what = format!("{text}, batch normalization {batch_norm}");
    check_gradient_of(&what, &graph(text, input, batch_norm, 0.0), threads, checked, class_weights);
}

/// Compares the loss, and about `checked` numbers of the gradient, of all tensors, with central differences.
fn check_gradient_of(what: &str, graph: &Graph, threads: usize, checked: usize, class_weights: Option<&[f32]>) {
    let bytes = weights(graph);
    let (images, labels) = images_and_labels(graph);
    let mut network = CpuNetwork::new(graph, IMAGES, threads, Stored::new(&bytes).unwrap()).unwrap();
    network.forward(&images, Some(0));
    let loss = f64::from(network.loss_and_gradient(&labels, SMOOTHING as f32, class_weights));
    network.backward(IMAGES);
    let gradient: Vec<HostTensor> = network.parameters.host_tensors_of(network.gradient()).collect();
    let gradient = tensors_of(&serialized(&gradient).unwrap());

    let mut tensors = tensors_of(&bytes);
    let class_weights = class_weights.unwrap_or(&[1.0; 4]);
    let expected = naive_loss(graph, &tensors, &images, &labels, class_weights);
    assert!((loss - expected).abs() < 1e-5 * expected, "{what}: loss {loss} instead of {expected}");
    let greatest = gradient.values().flat_map(|(_, values)| values).fold(0.0_f64, |most, value| most.max(value.abs()));
    assert!(greatest > 1e-3, "{what}: a gradient of at most {greatest} shows nothing");
    let parameters: usize = gradient.values().map(|(_, values)| values.len()).sum();
    assert_eq!(parameters as u64, graph.params());
    let step = parameters.div_ceil(checked);
    for (name, (_, values)) in &gradient {
        for index in (0..values.len()).step_by(step) {
            let mut loss_at = |offset: f64| {
                let value = &mut tensors.get_mut(name).unwrap().1[index];
                let before = *value;
                *value += offset;
                let loss = naive_loss(graph, &tensors, &images, &labels, class_weights);
                tensors.get_mut(name).unwrap().1[index] = before;
                loss
            };
            const STEP: f64 = 1e-6;
            let expected = (loss_at(STEP) - loss_at(-STEP)) / (2.0 * STEP);
            let error = (values[index] - expected).abs();
            assert!(error < 3e-5 * greatest, "{what}: {} instead of {expected} at {index} of {name}", values[index]);
        }
    }
}

#[test]
fn gradients_equal_differences_of_the_loss() {
    for (text, input) in [
        ("[C(5,3,1), C(4,3,2), P(2,2), FC(6), SM(3)]", "1x7x9"),
        ("[C(4,5,1), P(3,2), C(6,3,1), GAP(3), SM(3)]", "3x9x8"),
        ("[P(2,2), C(5,3,1), C(3,1,1), SM(3)]", "3x9x7"),
        ("[C(20,3,2), C(17,1,1), P(2,2), FC(7), FC(5), SM(4)]", "1x8x8"),
        ("[C(3,3,1), P(5,3), C(9,5,2), SM(2)]", "2x12x11"),
        ("[FC(9), FC(4), SM(3)]", "2x3x4"),
        ("[A(3,2), C(5,3,1), A(2,2), C(6,3,1), A(2,1), GAP(3), SM(3)]", "3x13x12"),
        ("[C(6,3,1), C(9,3,1), C(10,3,1), GAP(4), SM(4)]", "1x5x6"),
    ] {
        for batch_norm in [false, true] {
            check_gradient(text, input, batch_norm, 1, 400, None);
        }
        check_gradient(text, input, true, 2, 100, None);
        check_gradient(text, input, false, 2, 100, Some(&WEIGHTS));
    }
}

#[test]
fn gradients_of_wide_layers_equal_differences_of_the_loss() {
    for (text, input) in [
        ("[C(32,3,1), C(40,3,1), C(32,3,1), GAP(3), SM(3)]", "1x8x8"),
        ("[C(32,3,1), C(32,5,1), GAP(3), SM(3)]", "3x7x9"),
    ] {
        for batch_norm in [false, true] {
            check_gradient(text, input, batch_norm, 1, 24, None);
        }
    }
}

#[test]
fn gradients_of_graphs_that_branch_equal_differences_of_the_loss() {
    for (name, graph) in branching::graphs() {
        check_gradient_of(name, &graph, 1, 400, None);
        check_gradient_of(name, &graph, 2, 200, Some(&WEIGHTS));
        // One after the other in the same network: nothing of a batch is left for the next.
        let bytes = weights(&graph);
        let (images, labels) = images_and_labels(&graph);
        let mut network = CpuNetwork::new(&graph, IMAGES, 1, Stored::new(&bytes).unwrap()).unwrap();
        let mut step = || {
            network.forward(&images, Some(0));
            let loss = network.loss_and_gradient(&labels, 0.0, None);
            network.backward(IMAGES);
            (loss, network.gradient().to_vec())
        };
        let first = step();
        assert_eq!(step(), first, "{name}");
    }
}

#[test]
fn dropout_keeps_its_share_and_hands_gradients_to_what_it_kept() {
    let graph = graph("[C(16,3,1), C(16,3,1), GAP(3), SM(3)]", "1x16x16", false, 0.4);
    let (images, _) = images_and_labels(&graph);
    let bytes = weights(&graph);
    let mut network = CpuNetwork::new(&graph, IMAGES, 1, Stored::new(&bytes).unwrap()).unwrap();
    network.forward(&images, Some(5));
    let is_dropout = |step: &Step| matches!(step.work, Work::Dropout { .. });
    let dropouts: Vec<usize> = (0..network.steps.len()).filter(|&index| is_dropout(&network.steps[index])).collect();
    assert!(!dropouts.is_empty());
    for &index in &dropouts {
        let Work::Dropout { probability } = network.steps[index].work else { unreachable!() };
        let kept = network.steps[index].kept.clone();
        let share = kept.iter().map(|&kept| f64::from(kept)).sum::<f64>() / kept.len() as f64;
        // Four standard deviations.
        let allowed = 4.0 * (probability * (1.0 - probability) / kept.len() as f64).sqrt();
        assert!((share - (1.0 - probability)).abs() < allowed, "kept {share} at probability {probability}");
        let factor = (1.0 / (1.0 - probability)) as f32;
        let [before, after] =
            [&network.signals[index], &network.signals[index + 1]].map(|signal| signal.values.clone());
        for ((&before, &after), &kept) in before.iter().zip(&after).zip(&kept) {
            let expected = if kept == 1 { before * factor } else { 0.0 };
            assert!((after - expected).abs() <= 1e-4 * before.abs(), "{after} of {before}, kept {kept}");
        }
        // A gradient of ones takes the place of the output, that of the input the place of the input.
        network.signals[index + 1].values.fill(1.0);
        network.backward_step(index);
        let Signal { maps, values: gradient, .. } = &network.signals[index];
        for ((&gradient, &before), &kept) in gradient.iter().zip(&before).zip(&kept) {
            let through = kept == 1 && (before > 0.0 || matches!(maps.activation, Activation::None));
            let expected = if through { factor } else { 0.0 };
            assert!((gradient - expected).abs() <= 1e-4 * factor, "{gradient} instead of {expected}");
        }
    }
    // In evaluation everything is kept as it is.
    network.forward(&images, None);
    for index in dropouts {
        assert_eq!(network.signals[index].values, network.signals[index + 1].values);
    }
}
