//! One step of an optimizer over all parameters.

use crate::lanes::{Lanes, vectorized};

/// Adam with decoupled weight decay (Kingma and Ba, 2015, algorithm 1; Loshchilov and Hutter, 2019, algorithm 2).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub learning_rate: f32,
    /// Decay of the mean of the gradient.
    pub beta_1: f32,
    /// Decay of the mean of its square.
    pub beta_2: f32,
    /// Added to the root.
    pub epsilon: f32,
    /// Share of a parameter that a step of learning rate 1 takes off.
    pub weight_decay: f32,
    /// Number of this step, from 1.
    pub step: u32,
}

/// Gradient descent with momentum; weight decay is added to the gradient.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Momentum {
    /// Learning rate.
    pub learning_rate: f32,
    /// Factor of the velocity, 0 for none.
    pub momentum: f32,
    /// Whether to look ahead (Nesterov).
    pub nesterov: bool,
    /// Factor of the parameter in its gradient.
    pub weight_decay: f32,
}

// Where images are easy the loss of most becomes 0 and gradients fall below what a normal float holds. A processor takes a hundred times as
// long for each of these denormal numbers. So what is too small to move a parameter is set to 0 before it gets there. Telling
// the processor to do so itself (flush to zero) is not open to a Rust program: the compiler counts on the default.

/// Gradients below this do not count in Adam: with its usual ε of 1e-8 they move a parameter by less than 1e-8 of the learning rate.
const LEAST_GRADIENT: f32 = 1e-16;

/// Nor do means of gradients below this; nor velocities.
const LEAST_MEAN: f32 = 1e-20;

/// Nor squares below that of [`LEAST_GRADIENT`].
const LEAST_SQUARE: f32 = 1e-32;

/// 0 where `value` is nearer to it than `least`.
#[inline(always)]
fn or_zero(value: f32, least: f32) -> f32 {
    if value.abs() < least { 0.0 } else { value }
}

vectorized! {
    /// A step of Adam; `means` and `squares` are its two moments.
    ///
    /// # Panics
    ///
    /// Where the lengths differ.
    pub fn adam_step(
        adam: Adam, parameters: &mut [f32], gradient: &[f32], means: &mut [f32], squares: &mut [f32],
    ) = adam_step_with;

    /// A step of gradient descent.
    ///
    /// # Panics
    ///
    /// Where the lengths differ.
    pub fn momentum_step(
        settings: Momentum, parameters: &mut [f32], gradient: &[f32], velocities: &mut [f32],
    ) = momentum_step_with;
}

// The loops below are plain: the compiler turns them into vectors where the instructions are enabled.

#[inline(always)]
fn adam_step_with<L: Lanes>(
    adam: Adam,
    parameters: &mut [f32],
    gradient: &[f32],
    means: &mut [f32],
    squares: &mut [f32],
) {
    let n = parameters.len();
    assert!(gradient.len() == n && means.len() == n && squares.len() == n, "lengths differ");
    let correction_1 = 1.0 - f64::from(adam.beta_1).powi(adam.step as i32);
    let correction_2 = 1.0 - f64::from(adam.beta_2).powi(adam.step as i32);
    let rate = (f64::from(adam.learning_rate) / correction_1) as f32;
    let root = (1.0 / correction_2.sqrt()) as f32;
    let keep = 1.0 - adam.learning_rate * adam.weight_decay;
    for i in 0..n {
        let g = or_zero(gradient[i], LEAST_GRADIENT);
        let mean = or_zero(adam.beta_1 * means[i] + (1.0 - adam.beta_1) * g, LEAST_MEAN);
        let square = or_zero(adam.beta_2 * squares[i] + (1.0 - adam.beta_2) * g * g, LEAST_SQUARE);
        means[i] = mean;
        squares[i] = square;
        parameters[i] = keep * parameters[i] - rate * mean / (square.sqrt() * root + adam.epsilon);
    }
}

#[inline(always)]
fn momentum_step_with<L: Lanes>(settings: Momentum, parameters: &mut [f32], gradient: &[f32], velocities: &mut [f32]) {
    let n = parameters.len();
    assert!(gradient.len() == n && velocities.len() == n, "lengths differ");
    for i in 0..n {
        let g = gradient[i] + settings.weight_decay * parameters[i];
        let velocity = or_zero(settings.momentum * velocities[i] + g, LEAST_MEAN);
        velocities[i] = velocity;
        let step = if settings.nesterov { g + settings.momentum * velocity } else { velocity };
        parameters[i] -= settings.learning_rate * step;
    }
}
