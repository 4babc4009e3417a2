//! A graph as steps over batches.
//!
//! - `step`: one step from signals to the next, and back.
//! - `builder`: a graph as steps.
//! - `rooms`: which gradients share room.
//! - `answers`: logits, probabilities and the loss.

mod answers;
mod builder;
mod rooms;
mod step;

use metaqnn_core::graph::{Graph, MapShape};
use rayon::prelude::*;

use self::builder::Builder;
use self::step::{Operand, Share, Step, Work};
use super::convolution::{Convolution, ReadyWeights, Scratch};
use super::parameters::{Matrix, Parameters};
use super::signal::{Activation, Maps, Signal, Statistics};
use super::slot::Slot;
use crate::weights::{HostTensor, InitialWeights, WeightsError, serialized};

/// A network, with what a batch leaves in it.
pub(crate) struct CpuNetwork {
    steps: Vec<Step>,
    /// The images and the output of every step; the last are the logits.
    signals: Vec<Signal>,
    parameters: Parameters,
    input: MapShape,
    classes: usize,
    batch_size: usize,
    /// Images of the batch that is in the signals.
    images: usize,
    /// Rooms for the gradients that cannot take the place of their values.
    gradients: Vec<Vec<f32>>,
    /// For one convolution at a time.
    ready: ReadyWeights,
    /// One for each thread.
    parts: Vec<Part>,
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

impl CpuNetwork {
    /// The network of `graph` for batches of at most `batch_size` images on `threads` threads, with these weights.
    pub(crate) fn new<W: InitialWeights>(
        graph: &Graph,
        batch_size: usize,
        threads: usize,
        mut weights: W,
    ) -> Result<Self, W::Error> {
        let (Builder { steps, mut signals, mut parameters, .. }, rooms) = Builder::build(graph, batch_size);
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
        Ok(CpuNetwork {
            steps,
            signals,
            parameters,
            input: graph.input(),
            classes: graph.classes() as usize,
            batch_size,
            images: 0,
            gradients: rooms.sizes.into_iter().map(|size| vec![0.0; size]).collect(),
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
        for index in 0..self.steps.len() {
            self.forward_step(index, dropout);
        }
    }

    fn take_images(&mut self, images: &[f32]) {
        let MapShape { channels, height, width } = self.input;
        let [channels, positions] = [channels as usize, height as usize * width as usize];
        self.images = images.len() / (channels * positions);
        assert!(self.images <= self.batch_size, "a batch of {} images, at most {}", self.images, self.batch_size);
        let Signal { maps: Maps { size, .. }, values, .. } = &mut self.signals[0];
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

    fn forward_step(&mut self, index: usize, dropout: Option<u64>) {
        let per_part = self.images_of_a_part();
        let images = self.images;
        let (before, after) = self.signals.split_at_mut(index + 1);
        let (signals, output) = (&*before, &mut after[0]);
        let values = output.maps.size.values();
        let normalized = output.maps.is_normalized() && dropout.is_some();
        let parameters = &self.parameters.values;
        let Step { work, operands, kept } = &mut self.steps[index];
        if let Work::Convolution(convolution) = work {
            convolution.prepare(parameters, &mut self.ready);
        }
        let (work, operands, ready) = (&*work, &*operands, &self.ready);
        let out = output.values[..images * values].chunks_mut(per_part * values);
        let mut kept = kept.chunks_mut(per_part * values);
        let kept = std::iter::from_fn(|| Some(kept.next().unwrap_or_default()));
        let range = |part: usize| part * per_part..((part + 1) * per_part).min(images);
        let parts = self.parts.iter_mut().enumerate();
        in_parallel(parts.zip(out.zip(kept)), |((part, state), (out, kept))| {
            if let Work::Convolution(convolution) = work {
                let Part { scratch, statistics, .. } = state;
                let statistics = normalized.then_some(&mut statistics[index + 1]);
                let input = &signals[operands[0].signal];
                convolution.forward(parameters, ready, input, range(part), out, scratch, statistics);
            } else {
                let share = Share { step: index, images: range(part), batch: images, dropout };
                work.forward(&share, operands, signals, out, kept, state);
                if normalized {
                    state.statistics[index + 1].begin(out);
                    out.chunks(values).for_each(|image| state.statistics[index + 1].add_values(image));
                }
            }
        });
        if let Activation::Normalization(normalization) = &mut output.maps.activation {
            if dropout.is_some() {
                let positions = output.maps.size.positions();
                let parts = self.parts.iter().enumerate().filter(|(part, _)| !range(*part).is_empty());
                let parts = parts.map(|(part, state)| (range(part).len() * positions, &state.statistics[index + 1]));
                normalization.use_batch(parts, parameters);
            } else {
                normalization.use_running(parameters);
            }
        }
    }

    /// Lets the gradient that [`CpuNetwork::loss_and_gradient`] left back through all steps.
    pub(super) fn backward(&mut self, images: usize) {
        assert_eq!(images, self.images, "the labels are of another batch");
        for part in &mut self.parts {
            part.gradient.fill(0.0);
            part.statistics.iter_mut().for_each(Statistics::clear);
        }
        for index in (0..self.steps.len()).rev() {
            if self.signals[index + 1].needs_gradient {
                self.backward_step(index);
            }
        }
        let (first, others) = self.parts.split_at_mut(1);
        for other in others {
            for (sum, value) in first[0].gradient.iter_mut().zip(&other.gradient) {
                *sum += value;
            }
        }
    }

    /// From the gradient of a step's output to those of its inputs.
    fn backward_step(&mut self, index: usize) {
        let output = &mut self.signals[index + 1];
        let positions = self.images * output.maps.size.positions();
        if let Activation::Normalization(normalization) = &mut output.maps.activation {
            let mut gradient = std::mem::take(&mut self.parts[0].gradient);
            normalization.finish(positions, self.parts.iter().map(|part| &part.statistics[index + 1]), &mut gradient);
            self.parts[0].gradient = gradient;
        }
        // The inputs' gradients are in other rooms.
        let room = output.room;
        let output_gradient = room.map(|room| std::mem::take(&mut self.gradients[room]));
        for operand in 0..self.steps[index].operands.len() {
            self.backward_operand(index, operand, output_gradient.as_deref());
        }
        if let (Some(room), Some(gradient)) = (room, output_gradient) {
            self.gradients[room] = gradient;
        }
    }

    /// The same for one of its inputs. `output_gradient` is the gradient of the output; `None`: it is in the place of its values.
    fn backward_operand(&mut self, index: usize, operand: usize, output_gradient: Option<&[f32]>) {
        let per_part = self.images_of_a_part();
        let images = self.images;
        let Step { work, operands, kept } = &self.steps[index];
        let Operand { signal, turn } = operands[operand];
        let (before, after) = self.signals.split_at_mut(index + 1);
        let (input, output) = (&mut before[signal], &after[0]);
        if !input.needs_gradient && !matches!(work, Work::Convolution(_)) {
            return;
        }
        let output_gradient = output_gradient.unwrap_or(&output.values);
        let [values, in_values] = [output.maps.size.values(), input.maps.size.values()];
        let from = output_gradient[..images * values].chunks(per_part * values);
        let output_values = output.values[..images * values].chunks(per_part * values);
        let (inputs, per_slot) = (&mut input.values[..images * in_values], per_part * in_values);
        let mut slots: Vec<Slot<'_>> = match input.room {
            Some(room) => {
                let gradients = self.gradients[room][..images * in_values].chunks_mut(per_slot);
                inputs.chunks(per_slot).zip(gradients).map(|(at, gradient)| Slot::Beside(at, gradient, turn)).collect()
            }
            // Where nobody asks for a gradient, none is written.
            None => inputs.chunks_mut(per_slot).map(Slot::Instead).collect(),
        };
        let (input, output) = (&input.maps, &output.maps);
        let range = |part: usize| part * per_part..((part + 1) * per_part).min(images);
        if let Work::Convolution(convolution) = work {
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
                    let statistics = &mut statistics[signal];
                    convolution.backward(pass, ready, to, from, range(part).len(), gradient, scratch, statistics);
                });
                if !pass.has_input() {
                    Convolution::exchange_room(&mut self.ready, &mut self.parts[0].scratch);
                }
            }
            return;
        }
        let mut kept = kept.chunks(per_part * values);
        let kept = std::iter::from_fn(|| Some(kept.next().unwrap_or_default()));
        let parts = self.parts.iter_mut().enumerate().zip(from.zip(slots));
        in_parallel(parts.zip(output_values.zip(kept)), |(((part, state), (from, slot)), (output_values, kept))| {
            let share = Share { step: index, images: range(part), batch: images, dropout: None };
            work.backward(&share, (signal, input, slot), (output, output_values, from), kept, state);
        });
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

#[cfg(test)]
mod tests;
