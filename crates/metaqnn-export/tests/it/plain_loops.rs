//! A model as plain loops in 64 bits: what every format must answer.

use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_core::operation::{AveragePool, Convolution, Linear, MaxPool, Operation};
use metaqnn_export::{Model, Normalization, Preparation, Weights};

/// The logits of each network for pixels as stored, NCHW.
pub(crate) fn logits(model: &Model, pixels: &[u8]) -> Vec<Vec<f32>> {
    let images: Vec<Vec<f64>> =
        pixels.chunks(model.preparation().pixels()).map(|image| normalized(model.preparation(), image)).collect();
    let network = |network: &metaqnn_export::TrainedNetwork| {
        let answers = images.iter().flat_map(|image| forward(network.graph(), network.weights(), image.clone()));
        answers.map(|logit| logit as f32).collect()
    };
    model.networks().iter().map(network).collect()
}

fn normalized(preparation: &Preparation, image: &[u8]) -> Vec<f64> {
    let x: Vec<f64> = image.iter().map(|&byte| f64::from(byte) / f64::from(preparation.max_value)).collect();
    let plane = (preparation.input.height * preparation.input.width) as usize;
    match &preparation.normalization {
        Normalization::Standardize { mean, deviation } => {
            let each = x.iter().enumerate();
            each.map(|(i, x)| (x - f64::from(mean[i / plane])) / f64::from(deviation[i / plane])).collect()
        }
        Normalization::MeanImage { mean } => x.iter().zip(mean).map(|(x, mean)| x - f64::from(*mean)).collect(),
        Normalization::GlobalContrast => {
            let mean = x.iter().sum::<f64>() / x.len() as f64;
            let deviation = (x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / x.len() as f64).sqrt();
            x.iter().map(|x| (x - mean) / deviation.max(1e-3)).collect()
        }
        Normalization::LocalContrast => {
            x.chunks(plane).flat_map(|channel| local_contrast(channel, preparation.input)).collect()
        }
    }
}

fn local_contrast(channel: &[f64], shape: MapShape) -> Vec<f64> {
    if channel.iter().all(|x| *x == channel[0]) {
        return vec![0.0; channel.len()];
    }
    let local_mean = |values: &[f64]| -> Vec<f64> {
        let (height, width) = (i64::from(shape.height), i64::from(shape.width));
        let mut means = Vec::new();
        for y in 0..height {
            for x in 0..width {
                let (mut sum, mut weights) = (0.0, 0.0);
                for (dy, dx) in (-3..=3).flat_map(|dy| (-3..=3).map(move |dx| (dy, dx))) {
                    if (0..height).contains(&(y + dy)) && (0..width).contains(&(x + dx)) {
                        let weight = (-((dy * dy + dx * dx) as f64) / 2.0).exp();
                        sum += weight * values[((y + dy) * width + x + dx) as usize];
                        weights += weight;
                    }
                }
                means.push(sum / weights);
            }
        }
        means
    };
    let centered: Vec<f64> = channel.iter().zip(local_mean(channel)).map(|(x, mean)| x - mean).collect();
    let squares: Vec<f64> = centered.iter().map(|x| x * x).collect();
    let deviation: Vec<f64> = local_mean(&squares).iter().map(|x| x.sqrt()).collect();
    let mean = deviation.iter().sum::<f64>() / deviation.len() as f64;
    centered.iter().zip(deviation).map(|(x, deviation)| x / deviation.max(mean)).collect()
}

fn forward(graph: &Graph, weights: &Weights, image: Vec<f64>) -> Vec<f64> {
    let mut values = vec![image];
    for node in graph.nodes() {
        let x = &values[node.inputs[0].value()];
        let tensor = |field: &str| -> Vec<f64> {
            let tensor = weights.get(&format!("{}.{field}", node.name)).unwrap();
            tensor.values.iter().map(|&value| f64::from(value)).collect()
        };
        let (input, output) = (graph.shape(node.inputs[0]).map(), node.output.map());
        let [ih, iw] = [input.height as usize, input.width as usize];
        let [oc, oh, ow] = [output.channels, output.height, output.width].map(|n| n as usize);
        let each = || (0..oc).flat_map(move |c| (0..oh).flat_map(move |y| (0..ow).map(move |x| (c, y, x))));
        let value = match node.operation {
            Operation::Convolution(Convolution { in_channels, kernel_size, stride, bias, .. }) => {
                let [ic, k, s] = [in_channels, kernel_size, stride].map(|n| n as usize);
                let (w, b) = (tensor("weight"), if bias { tensor("bias") } else { vec![0.0; oc] });
                each()
                    .map(|(o, y, column)| {
                        let mut sum = b[o];
                        for (i, dy, dx) in
                            (0..ic).flat_map(|i| (0..k).flat_map(move |dy| (0..k).map(move |dx| (i, dy, dx))))
                        {
                            let (from_y, from_x) = (y * s + dy, column * s + dx);
                            let padding = (k - 1) / 2;
                            if (padding..ih + padding).contains(&from_y) && (padding..iw + padding).contains(&from_x) {
                                sum += w[((o * ic + i) * k + dy) * k + dx]
                                    * x[(i * ih + from_y - padding) * iw + from_x - padding];
                            }
                        }
                        sum
                    })
                    .collect()
            }
            Operation::BatchNorm(_) => {
                let [g, b, m, v] = ["weight", "bias", "running_mean", "running_var"].map(tensor);
                let plane = ih * iw;
                let each = x.iter().enumerate().map(|(i, x)| (i / plane, x));
                each.map(|(c, x)| (x - m[c]) / (v[c] + 1e-5).sqrt() * g[c] + b[c]).collect()
            }
            Operation::Relu(_) => x.iter().map(|x| x.max(0.0)).collect(),
            Operation::MaxPool(MaxPool { kernel_size, stride }) => {
                let [k, s] = [kernel_size, stride].map(|n| n as usize);
                each()
                    .map(|(c, y, column)| {
                        let window = (0..k).flat_map(|dy| (0..k).map(move |dx| (dy, dx)));
                        let values = window.map(|(dy, dx)| x[(c * ih + y * s + dy) * iw + column * s + dx]);
                        values.fold(f64::NEG_INFINITY, f64::max)
                    })
                    .collect()
            }
            Operation::AveragePool(AveragePool { kernel_size, stride }) => {
                let [k, s] = [kernel_size, stride].map(|n| n as usize);
                each()
                    .map(|(c, y, column)| {
                        let window = (0..k).flat_map(|dy| (0..k).map(move |dx| (dy, dx)));
                        let values = window.map(|(dy, dx)| x[(c * ih + y * s + dy) * iw + column * s + dx]);
                        values.sum::<f64>() / (k * k) as f64
                    })
                    .collect()
            }
            Operation::Dropout(_) | Operation::Flatten(_) => x.clone(),
            Operation::Add(_) => x.iter().zip(&values[node.inputs[1].value()]).map(|(a, b)| a + b).collect(),
            Operation::Linear(Linear { inputs, bias, .. }) => {
                let (w, b) = (tensor("weight"), if bias { tensor("bias") } else { vec![0.0; oc] });
                let rows = w.chunks(inputs as usize).zip(b);
                rows.map(|(row, b)| b + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()).collect()
            }
            Operation::GlobalAverage(_) => {
                x.chunks(ih * iw).map(|map| map.iter().sum::<f64>() / (ih * iw) as f64).collect()
            }
        };
        values.push(value);
    }
    values.pop().unwrap()
}
