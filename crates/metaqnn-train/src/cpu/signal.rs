//! What flows between layers: the output of one for every image of a batch.

use std::ops::Range;

use metaqnn_core::operation::{BatchNorm, TensorSpec};
use metaqnn_kernels::convolution::Placement;
use metaqnn_kernels::elementwise::{
    Affine, MapSize, NormalizationGradient, add_statistics, mask_normalized, place, place_normalization_gradient,
    place_normalized,
};

use crate::weights::{HostTensor, InitialWeights};

/// Feature maps of a batch, N × H × W × C. In the backward pass their gradient takes their place where one step alone reads them, as
/// soon as it does not need them any more; of normalized ones, and of those that several steps read, it is beside them.
#[derive(Debug)]
pub(super) struct Signal {
    pub(super) maps: Maps,
    pub(super) values: Vec<f32>,
    /// Whether something trainable comes before, so that its gradient is asked for.
    pub(super) needs_gradient: bool,
    /// Which of the rooms for gradients holds its gradient; `None`: its own place.
    pub(super) room: Option<usize>,
}

/// The size of feature maps, and what is still to be done to them.
#[derive(Debug)]
pub(super) struct Maps {
    pub(super) size: MapSize,
    pub(super) activation: Activation,
}

/// What a layer that reads a signal has to do, or to undo in the gradient.
#[derive(Debug)]
pub(super) enum Activation {
    /// Nothing.
    None,
    /// ReLU has been applied.
    Relu,
    /// The values are those before batch normalization: they are normalized by whoever reads them, which costs less than
    /// writing and keeping them once more.
    Normalization(Box<Normalization>),
}

/// Batch normalization of a signal (Ioffe and Szegedy, 2015), and ReLU after it.
#[derive(Debug)]
pub(super) struct Normalization {
    pub(super) gamma: Range<usize>,
    pub(super) beta: Range<usize>,
    pub(super) relu: bool,
    /// Name of the node.
    node: String,
    /// Mean and variance, as they are stored.
    statistics: Vec<TensorSpec>,
    pub(super) running_mean: Vec<f32>,
    pub(super) running_variance: Vec<f32>,
    /// Mean of the batch, or the running one in evaluation.
    mean: Vec<f32>,
    /// 1 / √(variance + ε), likewise.
    inverse_deviation: Vec<f32>,
    scale: Vec<f32>,
    shift: Vec<f32>,
    of_gradient: Vec<f32>,
    of_value: Vec<f32>,
    constant: Vec<f32>,
}

const EPSILON: f64 = BatchNorm::EPSILON;

/// Weight of a batch in the running statistics.
const MOMENTUM: f64 = 0.1;

impl Normalization {
    /// That of the node of this name, with these tensors that are not trained, for channels as stored.
    pub(super) fn new(
        node: String,
        statistics: Vec<TensorSpec>,
        stored: usize,
        gamma: Range<usize>,
        beta: Range<usize>,
    ) -> Self {
        let zeros = vec![0.0; stored];
        Normalization {
            gamma,
            beta,
            relu: false,
            node,
            statistics,
            running_mean: zeros.clone(),
            running_variance: vec![1.0; stored],
            mean: zeros.clone(),
            inverse_deviation: zeros.clone(),
            scale: zeros.clone(),
            shift: zeros.clone(),
            of_gradient: zeros.clone(),
            of_value: zeros.clone(),
            constant: zeros,
        }
    }

    /// Takes the first mean and variance.
    pub(super) fn begin<W: InitialWeights>(&mut self, weights: &mut W) -> Result<(), W::Error> {
        for (tensor, to) in self.statistics.iter().zip([&mut self.running_mean, &mut self.running_variance]) {
            let values = weights.tensor(&self.node, tensor)?;
            to[..values.len()].copy_from_slice(&values);
        }
        Ok(())
    }

    /// Mean and variance by name.
    pub(super) fn host_tensors(&self) -> impl Iterator<Item = HostTensor> {
        self.statistics.iter().zip([&self.running_mean, &self.running_variance]).map(|(tensor, values)| {
            let values = values.iter().take(tensor.shape.iter().product()).copied();
            HostTensor::new(tensor.name(&self.node), tensor.shape.clone(), values)
        })
    }

    pub(super) fn affine(&self) -> Affine<'_> {
        Affine { scale: &self.scale, shift: &self.shift }
    }

    pub(super) fn gradient(&self) -> NormalizationGradient<'_> {
        NormalizationGradient { of_gradient: &self.of_gradient, of_value: &self.of_value, constant: &self.constant }
    }

    fn set_affine(&mut self, parameters: &[f32]) {
        let (gamma, beta) = (&parameters[self.gamma.clone()], &parameters[self.beta.clone()]);
        for c in 0..gamma.len() {
            self.scale[c] = gamma[c] * self.inverse_deviation[c];
            self.shift[c] = beta[c] - self.mean[c] * self.scale[c];
        }
    }

    /// Uses the running statistics.
    pub(super) fn use_running(&mut self, parameters: &[f32]) {
        self.mean.copy_from_slice(&self.running_mean);
        for (to, variance) in self.inverse_deviation.iter_mut().zip(&self.running_variance) {
            *to = (1.0 / (f64::from(*variance) + EPSILON).sqrt()) as f32;
        }
        self.set_affine(parameters);
    }

    /// Uses the statistics of the batch, gathered in parts of the given numbers of positions, and notes them.
    pub(super) fn use_batch<'a>(
        &mut self,
        parts: impl Iterator<Item = (usize, &'a Statistics)> + Clone,
        parameters: &[f32],
    ) {
        for c in 0..self.mean.len() {
            // Chan, Golub and LeVeque, 1979: means and sums of squares of parts make those of all.
            let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
            for (positions, part) in parts.clone() {
                let n = positions as f64;
                let shifted = part.sums[c] / n;
                let part_mean = f64::from(part.origin[c]) + shifted;
                let part_squares = part.products[c] - shifted * part.sums[c];
                let difference = part_mean - mean;
                let total = count + n;
                mean += difference * n / total;
                squares += part_squares + difference * difference * count * n / total;
                count = total;
            }
            let variance = (squares / count).max(0.0);
            self.mean[c] = mean as f32;
            self.inverse_deviation[c] = (1.0 / (variance + EPSILON).sqrt()) as f32;
            let unbiased = variance * count / (count.max(2.0) - 1.0);
            let blend = |old: &mut f32, new: f64| *old = (f64::from(*old) * (1.0 - MOMENTUM) + new * MOMENTUM) as f32;
            blend(&mut self.running_mean[c], mean);
            blend(&mut self.running_variance[c], unbiased);
        }
        self.set_affine(parameters);
    }

    /// Makes ready for the gradient of the values, from the sums of g and g · (z − mean) over `positions` of the batch; adds the
    /// gradients of scale and shift.
    pub(super) fn finish<'a>(
        &mut self,
        positions: usize,
        parts: impl Iterator<Item = &'a Statistics> + Clone,
        gradient: &mut [f32],
    ) {
        let n = positions as f64;
        for c in 0..self.mean.len() {
            let sum: f64 = parts.clone().map(|part| part.sums[c]).sum();
            let product: f64 = parts.clone().map(|part| part.products[c]).sum();
            let inverse_deviation = f64::from(self.inverse_deviation[c]);
            // Sum of g · x̂.
            let normalized = product * inverse_deviation;
            gradient[self.gamma.start + c] += normalized as f32;
            gradient[self.beta.start + c] += sum as f32;
            let scale = f64::from(self.scale[c]);
            let of_value = -scale * inverse_deviation * normalized / n;
            self.of_gradient[c] = self.scale[c];
            self.of_value[c] = of_value as f32;
            self.constant[c] = (-scale * sum / n - of_value * f64::from(self.mean[c])) as f32;
        }
    }
}

/// Sums of a part of a batch for one signal.
#[derive(Clone, Debug)]
pub(super) struct Statistics {
    /// Sums are of differences from it, so that a large mean does not take their digits.
    origin: Vec<f32>,
    /// Of x − origin; in the backward pass of g.
    sums: Vec<f64>,
    /// Of (x − origin)²; in the backward pass of g · (x − mean).
    products: Vec<f64>,
    chunk_sums: Vec<f32>,
    chunk_products: Vec<f32>,
}

impl Statistics {
    pub(super) fn new(channels: usize) -> Self {
        Statistics {
            origin: vec![0.0; channels],
            sums: vec![0.0; channels],
            products: vec![0.0; channels],
            chunk_sums: vec![0.0; channels],
            chunk_products: vec![0.0; channels],
        }
    }

    pub(super) fn clear(&mut self) {
        self.sums.fill(0.0);
        self.products.fill(0.0);
    }

    /// Takes the values of the first position as origin.
    pub(super) fn begin(&mut self, values: &[f32]) {
        self.clear();
        let channels = self.origin.len();
        self.origin.copy_from_slice(&values[..channels]);
    }

    /// Adds a chunk of values. Its sums are of few enough numbers for 32 bits.
    pub(super) fn add_values(&mut self, values: &[f32]) {
        add_statistics(values, &self.origin, &mut self.chunk_sums, &mut self.chunk_products);
        self.take_chunk();
    }

    /// Masks the gradient of what was normalized where ReLU came after it, and adds the sums that the gradient of its values asks for.
    pub(super) fn mask_and_add(&mut self, gradient: &mut [f32], values: &[f32], normalization: &Normalization) {
        let (affine, relu, mean) = (normalization.affine(), normalization.relu, &normalization.mean);
        mask_normalized(gradient, values, affine, relu, mean, &mut self.chunk_sums, &mut self.chunk_products);
        self.take_chunk();
    }

    fn take_chunk(&mut self) {
        for (to, from) in [(&mut self.sums, &mut self.chunk_sums), (&mut self.products, &mut self.chunk_products)] {
            for (to, from) in to.iter_mut().zip(from) {
                *to += f64::from(std::mem::take(from));
            }
        }
    }
}

impl Signal {
    /// A signal for batches of at most `images`.
    pub(super) fn new(size: MapSize, images: usize) -> Self {
        let maps = Maps { size, activation: Activation::None };
        Signal { maps, values: vec![0.0; images * size.values()], needs_gradient: false, room: None }
    }
}

impl Maps {
    /// Where these images are among the values.
    pub(super) fn range(&self, images: &Range<usize>) -> Range<usize> {
        images.start * self.size.values()..images.end * self.size.values()
    }

    /// `values` of so many images as a layer sees them, placed as it wants them: in `scratch`, or themselves where that is the
    /// same.
    pub(super) fn read<'a>(
        &self,
        values: &'a [f32],
        images: usize,
        placement: Placement,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        match &self.activation {
            Activation::Normalization(normalization) => {
                let scratch = zeroed(scratch, placement, images, self.size.channels);
                let affine = normalization.affine();
                place_normalized(values, self.size, images, affine, normalization.relu, placement, scratch);
                scratch
            }
            _ if placement.is_dense() => values,
            _ => {
                let scratch = zeroed(scratch, placement, images, self.size.channels);
                place(values, self.size, images, placement, scratch);
                scratch
            }
        }
    }

    /// The gradient of `values` of so many images from that of what they become, placed: in `scratch`, or itself where that is the same.
    pub(super) fn gradient_of_values<'a>(
        &self,
        gradient: &'a [f32],
        values: &[f32],
        images: usize,
        placement: Placement,
        scratch: &'a mut Vec<f32>,
    ) -> &'a [f32] {
        match &self.activation {
            Activation::Normalization(normalization) => {
                let scratch = zeroed(scratch, placement, images, self.size.channels);
                let factors = normalization.gradient();
                place_normalization_gradient(gradient, values, self.size, images, factors, placement, scratch);
                scratch
            }
            _ if placement.is_dense() => gradient,
            _ => {
                let scratch = zeroed(scratch, placement, images, self.size.channels);
                place(gradient, self.size, images, placement, scratch);
                scratch
            }
        }
    }

    pub(super) fn is_normalized(&self) -> bool {
        matches!(self.activation, Activation::Normalization(_))
    }
}

/// The beginning of `scratch` for so many images, zero where `placement` leaves something out.
pub(super) fn zeroed(scratch: &mut Vec<f32>, placement: Placement, images: usize, channels: usize) -> &mut [f32] {
    let scratch = with_room(scratch, placement.positions(images) * channels);
    if !placement.is_dense() {
        scratch.fill(0.0);
    }
    scratch
}

/// The first `length` numbers of `scratch`, which grows no further than that.
pub(super) fn with_room(scratch: &mut Vec<f32>, length: usize) -> &mut [f32] {
    if scratch.len() < length {
        // Given back before, so that there are never two.
        *scratch = Vec::new();
        *scratch = vec![0.0; length];
    }
    &mut scratch[..length]
}
