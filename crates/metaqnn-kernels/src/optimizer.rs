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
        let g = gradient[i];
        let mean = adam.beta_1 * means[i] + (1.0 - adam.beta_1) * g;
        let square = adam.beta_2 * squares[i] + (1.0 - adam.beta_2) * g * g;
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
        let velocity = settings.momentum * velocities[i] + g;
        velocities[i] = velocity;
        let step = if settings.nesterov { g + settings.momentum * velocity } else { velocity };
        parameters[i] -= settings.learning_rate * step;
    }
}
