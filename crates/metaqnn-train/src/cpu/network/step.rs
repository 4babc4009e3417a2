//! What a network does: one step from signals to the next, and back.

use std::ops::Range;

use metaqnn_kernels::addition::add;
use metaqnn_kernels::convolution::Placement;
use metaqnn_kernels::elementwise::MapSize;
use metaqnn_kernels::pooling::{
    Pool, average_pool, average_pool_gradient, max_pool, max_pool_gradient, mean, mean_gradient,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::Part;
use crate::cpu::convolution::{Convolution, chunk_images, chunks};
use crate::cpu::signal::{Maps, Signal, Statistics};
use crate::cpu::slot::{Slot, Turn};

/// One step. Its output is the signal after those that were there before it.
pub(super) struct Step {
    pub(super) work: Work,
    pub(super) operands: Vec<Operand>,
    /// For each number of the output what the way back has to know: the position of a maximum, whether dropout kept it; else nothing.
    pub(super) kept: Vec<u8>,
}

/// A signal that a step reads.
#[derive(Clone, Copy, Debug)]
pub(super) struct Operand {
    pub(super) signal: usize,
    /// Which part of the signal's gradient the step hands back.
    pub(super) turn: Turn,
}

/// What a step does. Batch normalization and ReLU belong to the signal before them.
pub(super) enum Work {
    Convolution(Box<Convolution>),
    MaxPool(Pool),
    AveragePool(Pool),
    Dropout {
        probability: f64,
    },
    Mean,
    Add {
        relu: bool,
    },
    /// What is read becomes a signal of its own, since somebody else reads the one before too.
    Copy {
        relu: bool,
    },
    /// Maps as vectors in the order C, H, W, where somebody else than a linear layer reads them.
    Flatten {
        channels: usize,
    },
}

/// Values of a dropout factor's probability.
const DROPOUT_STEPS: f64 = 65_536.0;

/// A thread's share of a step.
#[derive(Clone, Debug)]
pub(super) struct Share {
    /// Number of the step.
    pub(super) step: usize,
    /// Its images, and how many the batch has.
    pub(super) images: Range<usize>,
    pub(super) batch: usize,
    /// In training the seed of dropout.
    pub(super) dropout: Option<u64>,
}

impl Work {
    /// Whether ReLU comes at once, where the step can do that.
    pub(super) fn relu(&mut self) -> Option<&mut bool> {
        match self {
            Work::Convolution(convolution) => Some(&mut convolution.relu),
            Work::Add { relu } | Work::Copy { relu } => Some(relu),
            Work::MaxPool(_) | Work::AveragePool(_) | Work::Dropout { .. } | Work::Mean | Work::Flatten { .. } => None,
        }
    }

    /// So many images at a time that they stay in a cache. Dropout draws for each image.
    fn chunk(&self, source: MapSize, batch: usize) -> usize {
        match self {
            Work::MaxPool(_) | Work::AveragePool(_) | Work::Add { .. } | Work::Copy { .. } => {
                chunk_images(source.positions(), batch)
            }
            Work::Convolution(_) | Work::Dropout { .. } | Work::Mean | Work::Flatten { .. } => 1,
        }
    }

    /// Forward for a share of the images: from all `signals` before to `out`, which is the share's.
    ///
    /// Of normalized outputs of a training the statistics are gathered.
    pub(super) fn forward(
        &self,
        share: &Share,
        operands: &[Operand],
        signals: &[Signal],
        out: &mut [f32],
        kept: &mut [u8],
        part: &mut Part,
    ) {
        let input = &signals[operands[0].signal];
        let source = input.maps.size;
        let values = out.len() / share.images.len().max(1);
        let scratch = &mut part.scratch.input;
        let images = self.chunk(source, share.batch);
        let step = images * values;
        let mut kept = kept.chunks_mut(step);
        for (chunk, out) in chunks(&share.images, images).zip(out.chunks_mut(step)) {
            let kept = kept.next().unwrap_or_default();
            let placed = read(input, &chunk, scratch);
            match self {
                // A convolution chooses its chunks itself.
                Work::Convolution(_) => {}
                Work::MaxPool(pool) => max_pool(placed, source, chunk.len(), *pool, out, kept),
                Work::AveragePool(pool) => average_pool(placed, source, chunk.len(), *pool, out),
                Work::Dropout { probability } => match share.dropout {
                    Some(seed) => {
                        let (limit, factor) = dropout_factor(*probability);
                        draw_kept(seed, share.step, chunk.start, limit, kept);
                        for ((out, value), kept) in out.iter_mut().zip(placed).zip(&*kept) {
                            *out = if *kept == 0 { 0.0 } else { value * factor };
                        }
                    }
                    None => out.copy_from_slice(placed),
                },
                Work::Mean => mean(placed, source, 1, out),
                Work::Add { relu } => {
                    out.copy_from_slice(placed);
                    add(out, read(&signals[operands[1].signal], &chunk, scratch), *relu);
                }
                Work::Copy { relu } => {
                    out.copy_from_slice(placed);
                    if *relu {
                        out.iter_mut().for_each(|value| *value = if *value < 0.0 { 0.0 } else { *value });
                    }
                }
                Work::Flatten { channels } => {
                    out.fill(0.0);
                    for (to, from) in flattened(source, *channels) {
                        out[to] = placed[from];
                    }
                }
            }
        }
    }

    /// From the gradient `from` of the output, whose values are beside it, to that of one operand, whose maps are `input`; all of a share.
    pub(super) fn backward(
        &self,
        share: &Share,
        (signal, input, mut slot): (usize, &Maps, Slot<'_>),
        (output, output_values, from): (&Maps, &[f32], &[f32]),
        kept: &[u8],
        part: &mut Part,
    ) {
        let source = input.size;
        let Part { scratch, statistics, .. } = part;
        let statistics: &mut Statistics = &mut statistics[signal];
        let images = self.chunk(source, share.batch);
        for chunk in chunks(&(0..share.images.len()), images) {
            let range = output.range(&chunk);
            let kept = kept.get(range.clone()).unwrap_or_default();
            let (from, output_values) = (&from[range.clone()], &output_values[range]);
            let place = dense(output.size);
            let from = output.gradient_of_values(from, output_values, chunk.len(), place, &mut scratch.output_gradient);
            slot.part(input.range(&chunk)).take_gradient(input, &mut scratch.input_gradient, statistics, |to| {
                match self {
                    // A convolution chooses its chunks itself.
                    Work::Convolution(_) => {}
                    Work::MaxPool(pool) => max_pool_gradient(from, kept, source, chunk.len(), *pool, to),
                    Work::AveragePool(pool) => average_pool_gradient(from, source, chunk.len(), *pool, to),
                    Work::Dropout { probability } => {
                        let (_, factor) = dropout_factor(*probability);
                        for ((to, from), kept) in to.iter_mut().zip(from).zip(kept) {
                            *to = if *kept == 0 { 0.0 } else { from * factor };
                        }
                    }
                    Work::Mean => mean_gradient(from, source, 1, to),
                    Work::Add { .. } | Work::Copy { .. } => to.copy_from_slice(from),
                    Work::Flatten { channels } => {
                        to.fill(0.0);
                        for (at, back) in flattened(source, *channels) {
                            to[back] = from[at];
                        }
                    }
                }
            });
        }
    }
}

/// These images of a signal as they are read.
fn read<'a>(signal: &'a Signal, images: &Range<usize>, scratch: &'a mut Vec<f32>) -> &'a [f32] {
    let values = &signal.values[signal.maps.range(images)];
    signal.maps.read(values, images.len(), dense(signal.maps.size), scratch)
}

fn dense(size: MapSize) -> Placement {
    Placement::dense(size.height, size.width)
}

/// For each number of a vector in the order C, H, W its index there and in the maps.
fn flattened(source: MapSize, channels: usize) -> impl Iterator<Item = (usize, usize)> {
    let positions = source.positions();
    let of_channel = move |c: usize| (0..positions).map(move |p| (c * positions + p, p * source.channels + c));
    (0..channels).flat_map(of_channel)
}

/// Of 65,536 draws those that keep a value, and what a kept one is multiplied with.
fn dropout_factor(probability: f64) -> (u32, f32) {
    let limit = ((1.0 - probability) * DROPOUT_STEPS).round().max(1.0);
    (limit as u32, (DROPOUT_STEPS / limit) as f32)
}

/// Draws for an image which of its values are kept, from a stream of its own, so that threads do not matter.
fn draw_kept(seed: u64, step: usize, image: usize, limit: u32, kept: &mut [u8]) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(((step as u64) << 32) | image as u64);
    let mut bytes = [0; 2048];
    for kept in kept.chunks_mut(bytes.len() / 2) {
        rng.fill_bytes(&mut bytes);
        let (draws, _) = bytes.as_chunks::<2>();
        for (kept, &draw) in kept.iter_mut().zip(draws) {
            *kept = u8::from(u32::from(u16::from_le_bytes(draw)) < limit);
        }
    }
}
