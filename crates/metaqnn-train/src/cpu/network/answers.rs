//! What a network answers to a batch, and the loss of it.

use super::CpuNetwork;

/// Gradients of logits below this are 0: on their way back through the layers they would become denormal numbers, with which a processor
/// takes a hundred times as long, and change nothing (see `metaqnn_kernels::optimizer`).
const LEAST_GRADIENT: f32 = 1e-18;

impl CpuNetwork {
    /// The mean cross-entropy of the batch against `labels` in nats, images weighted by their class where classes have weights; its
    /// gradient by the logits takes their place.
    pub(in crate::cpu) fn loss_and_gradient(&mut self, labels: &[i32], smoothing: f32, weights: Option<&[f32]>) -> f32 {
        let Some(logits) = self.signals.last_mut() else { return f32::NAN };
        let stored = logits.maps.size.channels;
        let classes = self.classes;
        let mut exponential = vec![0.0; classes];
        let weight = |label: i32| weights.map_or(1.0, |weights| weights[label as usize]);
        let all = labels.iter().map(|&label| weight(label)).sum::<f32>();
        let mut loss = 0.0;
        for (logits, &label) in logits.values.chunks_exact_mut(stored).zip(labels) {
            let part = weight(label) / all;
            let mut of_image = 0.0;
            let logits = &mut logits[..classes];
            let sum = exponentials(logits, &mut exponential);
            let logarithm = f64::from(sum).ln() + f64::from(greatest(logits));
            for (class, (logit, &exponential)) in logits.iter_mut().zip(&exponential).enumerate() {
                let hit = if class == label as usize { 1.0 - smoothing } else { 0.0 };
                let target = hit + smoothing / classes as f32;
                of_image += f64::from(target) * (logarithm - f64::from(*logit));
                let gradient = (exponential / sum - target) * part;
                *logit = if gradient.abs() < LEAST_GRADIENT { 0.0 } else { gradient };
            }
            loss += f64::from(weight(label)) * of_image;
        }
        (loss / f64::from(all)) as f32
    }

    /// Class probabilities of the batch are added to `to`.
    pub(in crate::cpu) fn probabilities(&self, to: &mut Vec<f32>) {
        let Some(logits) = self.signals.last() else { return };
        for logits in logits.values.chunks_exact(logits.maps.size.channels).take(self.images) {
            let begin = to.len();
            to.resize(begin + self.classes, 0.0);
            let sum = exponentials(&logits[..self.classes], &mut to[begin..]);
            to[begin..].iter_mut().for_each(|value| *value /= sum);
        }
    }

    /// The logits of the batch are added to `to`, one row an image.
    pub(crate) fn logits(&self, to: &mut Vec<f32>) {
        let Some(logits) = self.signals.last() else { return };
        for logits in logits.values.chunks_exact(logits.maps.size.channels).take(self.images) {
            to.extend_from_slice(&logits[..self.classes]);
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
