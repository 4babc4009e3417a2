//! A graph as layers over batches.

use metaqnn_core::graph::{Graph, MapShape, Operation};
use metaqnn_kernels::convolution::Placement;
use metaqnn_kernels::elementwise::MapSize;
use metaqnn_kernels::pooling::{Pool, max_pool, max_pool_gradient, mean, mean_gradient};
use metaqnn_kernels::stored_channels;
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;
use safetensors::SafeTensors;

use super::convolution::{Convolution, Geometry, Scratch, chunk_images, chunks};
use super::parameters::{Layout, Parameters};
use super::signal::{Activation, Normalization, Signal, Statistics};
use crate::network::{HostTensor, WeightsError, floats, serialized};

/// A network, with what a batch leaves in it.
pub(super) struct CpuNetwork {
    layers: Vec<Layer>,
    /// The input and the output of every layer.
    signals: Vec<Signal>,
    parameters: Parameters,
    input: MapShape,
    classes: usize,
    batch_size: usize,
    /// Images of the batch that is in the signals.
    images: usize,
    training: bool,
    /// Gradients of two signals: of what a layer gave and of what it was given.
    gradients: [Vec<f32>; 2],
    /// One for each thread.
    parts: Vec<Part>,
}

/// One step from a signal to the next.
enum Layer {
    Convolution(Box<Convolution>),
    /// Max pooling, with the position of each maximum.
    Pool {
        pool: Pool,
        positions: Vec<u8>,
    },
    /// Dropout, with what was kept.
    Dropout {
        probability: f64,
        kept: Vec<u8>,
    },
    Mean,
}

/// What one thread works with.
struct Part {
    /// Gradient of all parameters over the thread's images.
    gradient: Vec<f32>,
    /// For every layer.
    scratch: Vec<Scratch>,
    /// For every signal.
    statistics: Vec<Statistics>,
}

/// Values of a dropout factor's probability.
const DROPOUT_STEPS: f64 = 65_536.0;

impl CpuNetwork {
    /// The network of `graph` for batches of at most `batch_size` images on `threads` threads, with these weights.
    pub(super) fn new(graph: &Graph, batch_size: usize, threads: usize, weights: &[u8]) -> Result<Self, WeightsError> {
        let mut builder = Builder::new(graph, batch_size);
        for node in graph.nodes() {
            builder.add(&node.name, node.operation, node.output);
        }
        let Builder { layers, mut signals, mut parameters, .. } = builder;
        let weights = SafeTensors::deserialize(weights)?;
        parameters.load(&weights)?;
        for signal in &mut signals {
            if let Activation::Normalization(normalization) = &mut signal.activation {
                let shape = [normalization.channels];
                for (field, values) in [
                    ("running_mean", &mut normalization.running_mean),
                    ("running_var", &mut normalization.running_variance),
                ] {
                    let loaded = floats(&weights, &format!("{}.{field}", normalization.name), &shape)?;
                    values[..loaded.len()].copy_from_slice(&loaded);
                }
            }
        }
        let part = || Part {
            gradient: vec![0.0; parameters.values.len()],
            scratch: layers
                .iter()
                .zip(signals.windows(2))
                .map(|(layer, around)| layer.scratch(&around[0], &around[1], batch_size))
                .collect(),
            statistics: signals.iter().map(|signal| Statistics::new(signal.size.channels)).collect(),
        };
        let parts = (0..threads.clamp(1, batch_size)).map(|_| part()).collect();
        let largest = signals.iter().skip(1).map(|signal| signal.size.values()).max().unwrap_or(0);
        Ok(CpuNetwork {
            layers,
            signals,
            parameters,
            input: graph.input(),
            classes: graph.classes() as usize,
            batch_size,
            images: 0,
            training: false,
            gradients: [vec![0.0; batch_size * largest], vec![0.0; batch_size * largest]],
            parts,
        })
    }

    pub(super) fn batch_size(&self) -> usize {
        self.batch_size
    }

    pub(super) fn parameters(&self) -> &[f32] {
        &self.parameters.values
    }

    /// The parameters, and their gradient after [`CpuNetwork::backward`].
    pub(super) fn parameters_and_gradient(&mut self) -> (&mut [f32], &[f32]) {
        (&mut self.parameters.values, &self.parts[0].gradient)
    }

    /// Images that a thread takes.
    fn images_of_a_part(&self) -> usize {
        self.images.div_ceil(self.parts.len())
    }

    /// Lets `images`, NCHW, through. For training with a seed for dropout; without one dropout is left out and batch
    /// normalization uses its running statistics.
    pub(super) fn forward(&mut self, images: &[f32], dropout: Option<u64>) {
        self.take_images(images);
        self.training = dropout.is_some();
        for index in 0..self.layers.len() {
            self.forward_layer(index, dropout.unwrap_or(0));
        }
    }

    fn take_images(&mut self, images: &[f32]) {
        let MapShape { channels, height, width } = self.input;
        let [channels, positions] = [channels as usize, height as usize * width as usize];
        self.images = images.len() / (channels * positions);
        assert!(self.images <= self.batch_size, "a batch of {} images, at most {}", self.images, self.batch_size);
        let Signal { size, values, .. } = &mut self.signals[0];
        if size.channels == 1 {
            values[..images.len()].copy_from_slice(images);
            return;
        }
        let stored = size.channels;
        for (image, to) in images.chunks_exact(channels * positions).zip(values.chunks_exact_mut(stored * positions)) {
            for (c, plane) in image.chunks_exact(positions).enumerate() {
                for (value, to) in plane.iter().zip(to[c..].iter_mut().step_by(stored)) {
                    *to = *value;
                }
            }
        }
    }

    fn forward_layer(&mut self, index: usize, dropout: u64) {
        let per_part = self.images_of_a_part();
        let (images, training) = (self.images, self.training);
        let (before, after) = self.signals.split_at_mut(index + 1);
        let (input, output) = (&before[index], &mut after[0]);
        let values = output.size.values();
        let size = output.size;
        let out = output.values[..images * values].chunks_mut(per_part * values);
        let parameters = &self.parameters.values;
        let parts = self.parts.iter_mut().enumerate();
        let range = |part: usize| part * per_part..((part + 1) * per_part).min(images);
        match &mut self.layers[index] {
            Layer::Convolution(convolution) => {
                convolution.pack(parameters, training);
                let normalized = matches!(output.activation, Activation::Normalization(_));
                let convolution = &*convolution;
                in_parallel(parts.zip(out), |((part, state), out)| {
                    let statistics = (normalized && training).then_some(&mut state.statistics[index + 1]);
                    convolution.forward(parameters, input, range(part), out, &mut state.scratch[index], statistics);
                });
                if let Activation::Normalization(normalization) = &mut output.activation {
                    if training {
                        let parts = self.parts.iter().enumerate().filter(|(part, _)| !range(*part).is_empty());
                        let parts = parts
                            .map(|(part, state)| (range(part).len() * size.positions(), &state.statistics[index + 1]));
                        normalization.use_batch(parts, parameters);
                    } else {
                        normalization.use_running(parameters);
                    }
                }
            }
            Layer::Pool { pool, positions } => {
                let pool = *pool;
                let found = positions[..images * values].chunks_mut(per_part * values);
                in_parallel(parts.zip(out.zip(found)), |((part, state), (out, found))| {
                    let scratch = &mut state.scratch[index].input;
                    let step = chunk_images(input.size.positions(), images);
                    let outputs = out.chunks_mut(step * values).zip(found.chunks_mut(step * values));
                    for (chunk, (out, found)) in chunks(&range(part), step).zip(outputs) {
                        let placed = input.read(&chunk, dense(input.size), scratch);
                        max_pool(placed, input.size, chunk.len(), pool, out, found);
                    }
                });
            }
            Layer::Dropout { probability, kept } => {
                let limit = ((1.0 - *probability) * DROPOUT_STEPS).round().max(1.0);
                let factor = (DROPOUT_STEPS / limit) as f32;
                let kept = kept[..images * values].chunks_mut(per_part * values);
                in_parallel(parts.zip(out.zip(kept)), |((part, state), (out, kept))| {
                    let scratch = &mut state.scratch[index].input;
                    let each = out.chunks_exact_mut(values).zip(kept.chunks_exact_mut(values));
                    for (image, (out, kept)) in range(part).zip(each) {
                        let placed = &input.read(&(image..image + 1), dense(input.size), scratch)[..values];
                        if training {
                            draw_kept(dropout, index, image, limit as u32, kept);
                            for ((out, value), kept) in out.iter_mut().zip(placed).zip(&*kept) {
                                *out = if *kept == 0 { 0.0 } else { value * factor };
                            }
                        } else {
                            out.copy_from_slice(placed);
                        }
                    }
                });
            }
            Layer::Mean => {
                in_parallel(parts.zip(out), |((part, state), out)| {
                    let scratch = &mut state.scratch[index].input;
                    let placed = input.read(&range(part), dense(input.size), scratch);
                    mean(placed, input.size, range(part).len(), out);
                });
            }
        }
    }

    /// The mean cross-entropy of the batch against `labels` in nats; leaves its gradient by the logits.
    pub(super) fn loss_and_gradient(&mut self, labels: &[i32], smoothing: f32) -> f32 {
        let Some(logits) = self.signals.last() else { return f32::NAN };
        let stored = logits.size.channels;
        let classes = self.classes;
        let part = 1.0 / labels.len() as f32;
        let mut loss = 0.0;
        let gradient = self.gradients[0].chunks_exact_mut(stored);
        for ((logits, gradient), &label) in logits.values.chunks_exact(stored).zip(gradient).zip(labels) {
            gradient.fill(0.0);
            let (logits, gradient) = (&logits[..classes], &mut gradient[..classes]);
            let sum = exponentials(logits, gradient);
            let logarithm = f64::from(sum).ln() + f64::from(greatest(logits));
            for (class, (gradient, &logit)) in gradient.iter_mut().zip(logits).enumerate() {
                let hit = if class == label as usize { 1.0 - smoothing } else { 0.0 };
                let target = hit + smoothing / classes as f32;
                loss += f64::from(target) * (logarithm - f64::from(logit));
                *gradient = (*gradient / sum - target) * part;
            }
        }
        (loss / labels.len() as f64) as f32
    }

    /// Class probabilities of the batch are added to `to`.
    pub(super) fn probabilities(&self, to: &mut Vec<f32>) {
        let Some(logits) = self.signals.last() else { return };
        for logits in logits.values.chunks_exact(logits.size.channels).take(self.images) {
            let begin = to.len();
            to.resize(begin + self.classes, 0.0);
            let sum = exponentials(&logits[..self.classes], &mut to[begin..]);
            to[begin..].iter_mut().for_each(|value| *value /= sum);
        }
    }

    /// Lets the gradient that [`CpuNetwork::loss_and_gradient`] left back through all layers.
    pub(super) fn backward(&mut self, images: usize) {
        assert_eq!(images, self.images, "the labels are of another batch");
        for part in &mut self.parts {
            part.gradient.fill(0.0);
            part.statistics.iter_mut().for_each(Statistics::clear);
        }
        for index in (0..self.layers.len()).rev() {
            let trainable_before = self.layers[..index].iter().any(|layer| matches!(layer, Layer::Convolution(_)));
            let is_convolution = matches!(self.layers[index], Layer::Convolution(_));
            if !is_convolution && !trainable_before {
                break;
            }
            self.backward_layer(index);
            self.gradients.swap(0, 1);
        }
        let (first, others) = self.parts.split_at_mut(1);
        for other in others {
            for (sum, value) in first[0].gradient.iter_mut().zip(&other.gradient) {
                *sum += value;
            }
        }
    }

    fn backward_layer(&mut self, index: usize) {
        let per_part = self.images_of_a_part();
        let images = self.images;
        let positions = images * self.signals[index + 1].size.positions();
        if let Activation::Normalization(normalization) = &mut self.signals[index + 1].activation {
            let mut gradient = std::mem::take(&mut self.parts[0].gradient);
            normalization.finish(positions, self.parts.iter().map(|part| &part.statistics[index + 1]), &mut gradient);
            self.parts[0].gradient = gradient;
        }
        let (input, output) = (&self.signals[index], &self.signals[index + 1]);
        let [values, in_values] = [output.size.values(), input.size.values()];
        let [output_gradient, input_gradient] = &mut self.gradients;
        let from = output_gradient[..images * values].chunks(per_part * values);
        let range = |part: usize| part * per_part..((part + 1) * per_part).min(images);
        // The input of the first layer is no signal with a gradient and may be larger than all that are.
        let in_len = (images * in_values).min(input_gradient.len());
        let to = input_gradient[..in_len].chunks_mut(per_part * in_values);
        let parts = self.parts.iter_mut().enumerate();
        match &self.layers[index] {
            Layer::Convolution(convolution) => {
                // As many as there are of the output, even where there is no gradient of the input.
                let to = to.map(Some).chain(std::iter::repeat_with(|| None));
                in_parallel(parts.zip(from.zip(to)), |((part, state), (from, to))| {
                    let Part { gradient, scratch, statistics } = state;
                    convolution.backward(
                        input,
                        output,
                        range(part),
                        from,
                        to.unwrap_or_default(),
                        gradient,
                        &mut scratch[index],
                        &mut statistics[index],
                    );
                });
            }
            Layer::Pool { pool, positions } => {
                let pool = *pool;
                let positions = positions[..images * values].chunks(per_part * values);
                in_parallel(parts.zip(from.zip(to).zip(positions)), |((part, state), ((from, to), positions))| {
                    let step = chunk_images(input.size.positions(), images);
                    let outputs = from.chunks(step * values).zip(positions.chunks(step * values));
                    for ((chunk, (from, positions)), to) in
                        chunks(&range(part), step).zip(outputs).zip(to.chunks_mut(step * in_values))
                    {
                        max_pool_gradient(from, positions, input.size, chunk.len(), pool, to);
                        input.undo_activation(&chunk, to, &mut state.statistics[index]);
                    }
                });
            }
            Layer::Dropout { probability, kept } => {
                let limit = ((1.0 - *probability) * DROPOUT_STEPS).round().max(1.0);
                let factor = (DROPOUT_STEPS / limit) as f32;
                let kept = kept[..images * values].chunks(per_part * values);
                in_parallel(parts.zip(from.zip(to).zip(kept)), |((part, state), ((from, to), kept))| {
                    for ((to, from), kept) in to.iter_mut().zip(from).zip(kept) {
                        *to = if *kept == 0 { 0.0 } else { from * factor };
                    }
                    input.undo_activation(&range(part), to, &mut state.statistics[index]);
                });
            }
            Layer::Mean => {
                in_parallel(parts.zip(from.zip(to)), |((part, state), (from, to))| {
                    mean_gradient(from, input.size, range(part).len(), to);
                    input.undo_activation(&range(part), to, &mut state.statistics[index]);
                });
            }
        }
    }

    /// Weights and statistics as [`Network::to_safetensors`](crate::Network::to_safetensors) has them.
    pub(super) fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        let statistics = self.signals.iter().filter_map(|signal| match &signal.activation {
            Activation::Normalization(normalization) => Some(normalization),
            _ => None,
        });
        let statistics = statistics.flat_map(|normalization| {
            [("running_mean", &normalization.running_mean), ("running_var", &normalization.running_variance)].map(
                |(field, values)| {
                    let channels = normalization.channels;
                    let name = format!("{}.{field}", normalization.name);
                    HostTensor::new(name, vec![channels], values[..channels].iter().copied())
                },
            )
        });
        let tensors: Vec<HostTensor> = self.parameters.host_tensors().chain(statistics).collect();
        serialized(&tensors)
    }
}

impl Layer {
    fn scratch(&self, input: &Signal, output: &Signal, batch_size: usize) -> Scratch {
        let images = match self {
            Layer::Convolution(convolution) => {
                return convolution.scratch(input, matches!(output.activation, Activation::Normalization(_)));
            }
            Layer::Pool { .. } => chunk_images(input.size.positions(), batch_size),
            Layer::Dropout { .. } => 1,
            Layer::Mean => batch_size,
        };
        let copied = input.is_copied(dense(input.size));
        Scratch { input: vec![0.0; if copied { images * input.size.values() } else { 0 }], output_gradient: Vec::new() }
    }
}

fn dense(size: MapSize) -> Placement {
    Placement::dense(size.height, size.width)
}

/// Does the work of each part on a thread of its own; of a single one on this thread.
fn in_parallel<T: Send>(parts: impl Iterator<Item = T>, work: impl Fn(T) + Send + Sync) {
    let mut parts: Vec<T> = parts.collect();
    match parts.pop() {
        Some(part) if parts.is_empty() => work(part),
        Some(part) => {
            parts.push(part);
            parts.into_par_iter().for_each(work);
        }
        None => {}
    }
}

/// Draws for an image which of its values are kept, from a stream of its own, so that threads do not matter.
fn draw_kept(seed: u64, layer: usize, image: usize, limit: u32, kept: &mut [u8]) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((layer as u64) << 32) | image as u64);
    let mut bytes = [0; 2048];
    for kept in kept.chunks_mut(bytes.len() / 2) {
        rng.fill_bytes(&mut bytes);
        let (draws, _) = bytes.as_chunks::<2>();
        for (kept, &draw) in kept.iter_mut().zip(draws) {
            *kept = u8::from(u32::from(u16::from_le_bytes(draw)) < limit);
        }
    }
}

/// The greatest of `logits`; not a number where one of them is not.
fn greatest(logits: &[f32]) -> f32 {
    logits.iter().copied().fold(f32::NEG_INFINITY, |a, b| if b.is_nan() || b > a { b } else { a })
}

/// exp(logit − greatest) of each, and their sum.
fn exponentials(logits: &[f32], to: &mut [f32]) -> f32 {
    let greatest = greatest(logits);
    to.iter_mut().zip(logits).fold(0.0, |sum, (to, logit)| {
        *to = (logit - greatest).exp();
        sum + *to
    })
}

/// Turns the operations of a graph into layers.
struct Builder {
    layers: Vec<Layer>,
    signals: Vec<Signal>,
    parameters: Parameters,
    batch_size: usize,
    /// Channels of the last signal that are not only stored.
    channels: usize,
}

impl Builder {
    fn new(graph: &Graph, batch_size: usize) -> Self {
        let MapShape { channels, height, width } = graph.input();
        let channels = channels as usize;
        // Windows over images need no whole vectors, since the gradient of images is not asked for.
        let weights_first = matches!(
            graph.nodes().first().map(|node| node.operation),
            Some(Operation::Convolution { .. } | Operation::Flatten)
        );
        let stored = if weights_first { channels } else { stored_channels(channels) };
        let size = MapSize { height: height as usize, width: width as usize, channels: stored };
        Builder {
            layers: Vec::new(),
            signals: vec![Signal::new(size, batch_size)],
            parameters: Parameters::default(),
            batch_size,
            channels,
        }
    }

    fn last(&mut self) -> &mut Signal {
        let last = self.signals.len() - 1;
        &mut self.signals[last]
    }

    fn push(&mut self, layer: Layer, size: MapSize, channels: usize) {
        self.layers.push(layer);
        self.signals.push(Signal::new(size, self.batch_size));
        self.channels = channels;
    }

    fn add(&mut self, name: &str, operation: Operation, output: MapShape) {
        let channels = output.channels as usize;
        let size = MapSize {
            height: output.height as usize,
            width: output.width as usize,
            channels: stored_channels(channels),
        };
        match operation {
            Operation::Convolution { kernel_size, stride, bias, .. } => {
                let kernel_size = kernel_size as usize;
                let source = self.last().size;
                let layout = Layout::Convolution {
                    kernel_size,
                    inputs: self.channels,
                    stored_inputs: source.channels,
                    outputs: channels,
                    stored_outputs: size.channels,
                };
                let geometry = Geometry { source, input: source, output: size, kernel_size, stride: stride as usize };
                self.weights(name, geometry, layout, bias, channels);
            }
            Operation::Linear { bias, .. } => {
                let source = self.last().size;
                let layout = Layout::Linear {
                    channels: self.channels,
                    input: source,
                    outputs: channels,
                    stored_outputs: size.channels,
                };
                let input = MapSize { height: 1, width: 1, channels: source.values() };
                let geometry = Geometry { source, input, output: size, kernel_size: 1, stride: 1 };
                self.weights(name, geometry, layout, bias, channels);
            }
            Operation::BatchNorm { .. } => {
                let stored = self.last().size.channels;
                let layout = Layout::Vector { channels, stored };
                let gamma = self.parameters.add(format!("{name}.weight"), layout);
                let beta = self.parameters.add(format!("{name}.bias"), layout);
                let normalization = Normalization::new(name.to_owned(), channels, stored, gamma, beta);
                self.last().activation = Activation::Normalization(Box::new(normalization));
            }
            Operation::Relu => {
                if let Activation::Normalization(normalization) = &mut self.last().activation {
                    normalization.relu = true;
                } else {
                    self.last().activation = Activation::Relu;
                    if let Some(Layer::Convolution(convolution)) = self.layers.last_mut() {
                        convolution.relu = true;
                    }
                }
            }
            Operation::MaxPool { kernel_size, stride } => {
                let pool = Pool { kernel_size: kernel_size as usize, stride: stride as usize };
                let positions = vec![0; self.batch_size * size.values()];
                self.push(Layer::Pool { pool, positions }, size, channels);
            }
            Operation::Dropout { probability } => {
                let size = self.last().size;
                let kept = vec![0; self.batch_size * size.values()];
                self.push(Layer::Dropout { probability, kept }, size, self.channels);
            }
            // A linear layer takes maps as they are.
            Operation::Flatten => {}
            Operation::GlobalAverage => self.push(Layer::Mean, size, channels),
        }
    }

    fn weights(&mut self, name: &str, geometry: Geometry, layout: Layout, bias: bool, channels: usize) {
        let stored = geometry.output.channels;
        let weights = self.parameters.add(format!("{name}.weight"), layout);
        let bias = bias.then(|| self.parameters.add(format!("{name}.bias"), Layout::Vector { channels, stored }));
        let first = !self.layers.iter().any(|layer| matches!(layer, Layer::Convolution(_)));
        let convolution = Convolution::new(geometry, self.batch_size, weights, bias, !first);
        self.push(Layer::Convolution(Box::new(convolution)), geometry.output, channels);
    }
}
