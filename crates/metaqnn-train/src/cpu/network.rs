//! A graph as layers over batches.

mod answers;
mod builder;

use std::ops::Range;

use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_kernels::convolution::Placement;
use metaqnn_kernels::elementwise::MapSize;
use metaqnn_kernels::pooling::{Pool, max_pool, max_pool_gradient, mean, mean_gradient};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use rayon::prelude::*;

use self::builder::Builder;
use super::convolution::{Convolution, ReadyWeights, Scratch, chunk_images, chunks};
use super::parameters::{Matrix, Parameters};
use super::signal::{Activation, Maps, Signal, Slot, Statistics};
use crate::weights::{HostTensor, InitialWeights, WeightsError, serialized};

/// A network, with what a batch leaves in it.
pub(crate) struct CpuNetwork {
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
    /// Gradients of normalized signals: of one with an even and of one with an odd index.
    gradients: [Vec<f32>; 2],
    /// For one convolution at a time.
    ready: ReadyWeights,
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
    /// For one layer at a time.
    scratch: Scratch,
    /// For every signal.
    statistics: Vec<Statistics>,
}

/// Values of a dropout factor's probability.
const DROPOUT_STEPS: f64 = 65_536.0;

impl CpuNetwork {
    /// The network of `graph` for batches of at most `batch_size` images on `threads` threads, with these weights.
    pub(crate) fn new<W: InitialWeights>(
        graph: &Graph,
        batch_size: usize,
        threads: usize,
        mut weights: W,
    ) -> Result<Self, W::Error> {
        let mut builder = Builder::new(graph, batch_size);
        for node in graph.nodes() {
            builder.add(node);
        }
        let Builder { layers, mut signals, mut parameters, .. } = builder;
        parameters.begin(&mut weights)?;
        for signal in &mut signals {
            if let Activation::Normalization(normalization) = &mut signal.maps.activation {
                normalization.begin(&mut weights)?;
            }
        }
        weights.end()?;
        let part = || Part {
            gradient: vec![0.0; parameters.values.len()],
            scratch: Scratch::default(),
            statistics: signals.iter().map(|signal| Statistics::new(signal.maps.size.channels)).collect(),
        };
        let parts = (0..threads.clamp(1, batch_size)).map(|_| part()).collect();
        let gradients = [0, 1].map(|parity| {
            let normalized = signals.iter().skip(parity).step_by(2).filter(|signal| signal.maps.is_normalized());
            vec![0.0; normalized.map(|signal| signal.values.len()).max().unwrap_or(0)]
        });
        Ok(CpuNetwork {
            layers,
            signals,
            parameters,
            input: graph.input(),
            classes: graph.classes() as usize,
            batch_size,
            images: 0,
            training: false,
            gradients,
            ready: ReadyWeights::default(),
            parts,
        })
    }

    pub(super) fn batch_size(&self) -> usize {
        self.batch_size
    }

    pub(super) fn parameters(&self) -> &[f32] {
        &self.parameters.values
    }

    /// The weights of all convolutions and linear layers but the last, as matrices.
    pub(super) fn matrices(&self) -> Vec<Matrix> {
        self.parameters.matrices()
    }

    /// The parameters, and their gradient after [`CpuNetwork::backward`].
    pub(super) fn parameters_and_gradient(&mut self) -> (&mut [f32], &[f32]) {
        (&mut self.parameters.values, &self.parts[0].gradient)
    }

    /// The gradient of the parameters after [`CpuNetwork::backward`].
    #[cfg(test)]
    fn gradient(&self) -> &[f32] {
        &self.parts[0].gradient
    }

    /// Images that a thread takes.
    fn images_of_a_part(&self) -> usize {
        self.images.div_ceil(self.parts.len())
    }

    /// Lets `images`, NCHW, through. For training with a seed for dropout; without one dropout is left out and batch
    /// normalization uses its running statistics.
    pub(crate) fn forward(&mut self, images: &[f32], dropout: Option<u64>) {
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
        let Signal { maps: Maps { size, .. }, values } = &mut self.signals[0];
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
        let size = output.maps.size;
        let values = size.values();
        let normalized = output.maps.is_normalized();
        let out = output.values[..images * values].chunks_mut(per_part * values);
        let source = input.maps.size;
        let read = |images: &Range<usize>| &input.values[input.maps.range(images)];
        let parameters = &self.parameters.values;
        let parts = self.parts.iter_mut().enumerate();
        let range = |part: usize| part * per_part..((part + 1) * per_part).min(images);
        match &mut self.layers[index] {
            Layer::Convolution(convolution) => {
                convolution.prepare(parameters, &mut self.ready);
                let (convolution, ready) = (&*convolution, &self.ready);
                in_parallel(parts.zip(out), |((part, state), out)| {
                    let Part { scratch, statistics, .. } = state;
                    let statistics = (normalized && training).then_some(&mut statistics[index + 1]);
                    convolution.forward(parameters, ready, input, range(part), out, scratch, statistics);
                });
                if let Activation::Normalization(normalization) = &mut output.maps.activation {
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
                    let scratch = &mut state.scratch.input;
                    let step = chunk_images(source.positions(), images);
                    let outputs = out.chunks_mut(step * values).zip(found.chunks_mut(step * values));
                    for (chunk, (out, found)) in chunks(&range(part), step).zip(outputs) {
                        let placed = input.maps.read(read(&chunk), chunk.len(), dense(source), scratch);
                        max_pool(placed, source, chunk.len(), pool, out, found);
                    }
                });
            }
            Layer::Dropout { probability, kept } => {
                let limit = ((1.0 - *probability) * DROPOUT_STEPS).round().max(1.0);
                let factor = (DROPOUT_STEPS / limit) as f32;
                let kept = kept[..images * values].chunks_mut(per_part * values);
                in_parallel(parts.zip(out.zip(kept)), |((part, state), (out, kept))| {
                    let scratch = &mut state.scratch.input;
                    let each = out.chunks_exact_mut(values).zip(kept.chunks_exact_mut(values));
                    for (image, (out, kept)) in range(part).zip(each) {
                        let placed = input.maps.read(read(&(image..image + 1)), 1, dense(source), scratch);
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
                    let scratch = &mut state.scratch.input;
                    let outputs = out.chunks_mut(values);
                    for (image, out) in range(part).zip(outputs) {
                        let placed = input.maps.read(read(&(image..image + 1)), 1, dense(source), scratch);
                        mean(placed, source, 1, out);
                    }
                });
            }
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
        }
        let (first, others) = self.parts.split_at_mut(1);
        for other in others {
            for (sum, value) in first[0].gradient.iter_mut().zip(&other.gradient) {
                *sum += value;
            }
        }
    }

    /// From the gradient of a layer's output to that of its input.
    fn backward_layer(&mut self, index: usize) {
        let per_part = self.images_of_a_part();
        let images = self.images;
        let (before, after) = self.signals.split_at_mut(index + 1);
        let (input, output) = (&mut before[index], &mut after[0]);
        let positions = images * output.maps.size.positions();
        if let Activation::Normalization(normalization) = &mut output.maps.activation {
            let mut gradient = std::mem::take(&mut self.parts[0].gradient);
            normalization.finish(positions, self.parts.iter().map(|part| &part.statistics[index + 1]), &mut gradient);
            self.parts[0].gradient = gradient;
        }
        let (output, output_values) = (&output.maps, &*output.values);
        let [values, in_values] = [output.size.values(), input.maps.size.values()];
        let [even, odd] = &mut self.gradients;
        let (input_buffer, output_buffer) = if index.is_multiple_of(2) { (even, odd) } else { (odd, even) };
        let output_gradient = if output.is_normalized() { &**output_buffer } else { output_values };
        let from = output_gradient[..images * values].chunks(per_part * values);
        let output_values = output_values[..images * values].chunks(per_part * values);
        let mut slots: Vec<Slot<'_>> = if input.maps.is_normalized() {
            let gradients = input_buffer[..images * in_values].chunks_mut(per_part * in_values);
            let values = input.values[..images * in_values].chunks(per_part * in_values);
            values.zip(gradients).map(|(values, gradient)| Slot::Beside(values, gradient)).collect()
        } else {
            input.values[..images * in_values].chunks_mut(per_part * in_values).map(Slot::Instead).collect()
        };
        let (input, source) = (&input.maps, input.maps.size);
        let range = |part: usize| part * per_part..((part + 1) * per_part).min(images);
        if let Layer::Convolution(convolution) = &self.layers[index] {
            for &pass in convolution.passes() {
                if pass.has_input() {
                    convolution.prepare_turned(&self.parameters.values, &mut self.ready);
                } else {
                    Convolution::exchange_room(&mut self.ready, &mut self.parts[0].scratch);
                }
                let ready = &self.ready;
                let parts = self.parts.iter_mut().enumerate().zip(from.clone().zip(&mut slots));
                in_parallel(parts.zip(output_values.clone()), |(((part, state), (from, slot)), output_values)| {
                    let Part { gradient, scratch, statistics } = state;
                    let (to, from) = ((input, slot), (output, output_values, from));
                    let statistics = &mut statistics[index];
                    convolution.backward(pass, ready, to, from, range(part).len(), gradient, scratch, statistics);
                });
                if !pass.has_input() {
                    Convolution::exchange_room(&mut self.ready, &mut self.parts[0].scratch);
                }
            }
            return;
        }
        let parts = self.parts.iter_mut().enumerate().zip(from.zip(slots));
        match &self.layers[index] {
            // Done above: its passes share the parts.
            Layer::Convolution(_) => {}
            Layer::Pool { pool, positions } => {
                let pool = *pool;
                let positions = positions[..images * values].chunks(per_part * values);
                in_parallel(parts.zip(positions), |(((part, state), (from, mut slot)), positions)| {
                    for chunk in chunks(&(0..range(part).len()), chunk_images(source.positions(), images)) {
                        let (from, positions) = (&from[output.range(&chunk)], &positions[output.range(&chunk)]);
                        state.take_gradient(index, input, slot.part(input.range(&chunk)), |to| {
                            max_pool_gradient(from, positions, source, chunk.len(), pool, to);
                        });
                    }
                });
            }
            Layer::Dropout { probability, kept } => {
                let limit = ((1.0 - *probability) * DROPOUT_STEPS).round().max(1.0);
                let factor = (DROPOUT_STEPS / limit) as f32;
                let kept = kept[..images * values].chunks(per_part * values);
                in_parallel(parts.zip(kept), |(((part, state), (from, mut slot)), kept)| {
                    for image in chunks(&(0..range(part).len()), 1) {
                        let (from, kept) = (&from[output.range(&image)], &kept[output.range(&image)]);
                        state.take_gradient(index, input, slot.part(input.range(&image)), |to| {
                            for ((to, from), kept) in to.iter_mut().zip(from).zip(kept) {
                                *to = if *kept == 0 { 0.0 } else { from * factor };
                            }
                        });
                    }
                });
            }
            Layer::Mean => {
                in_parallel(parts, |((part, state), (from, mut slot))| {
                    for image in chunks(&(0..range(part).len()), 1) {
                        let from = &from[output.range(&image)];
                        state.take_gradient(index, input, slot.part(input.range(&image)), |to| {
                            mean_gradient(from, source, 1, to);
                        });
                    }
                });
            }
        }
    }

    /// Weights and statistics as [`Learner::to_safetensors`](crate::Learner::to_safetensors) has them.
    pub(super) fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        let normalizations = self.signals.iter().filter_map(|signal| match &signal.maps.activation {
            Activation::Normalization(normalization) => Some(normalization),
            Activation::None | Activation::Relu => None,
        });
        let statistics = normalizations.flat_map(|normalization| normalization.host_tensors());
        let tensors: Vec<HostTensor> = self.parameters.host_tensors().chain(statistics).collect();
        serialized(&tensors)
    }
}

impl Part {
    /// Takes the gradient of the signal `index`, whose maps these are.
    fn take_gradient(&mut self, index: usize, maps: &Maps, slot: Slot<'_>, write: impl FnOnce(&mut [f32])) {
        slot.take_gradient(maps, &mut self.scratch.input_gradient, &mut self.statistics[index], write);
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

#[cfg(test)]
mod tests;
