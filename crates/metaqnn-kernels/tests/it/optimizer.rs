use metaqnn_kernels::optimizer::{Adam, Momentum, adam_step, momentum_step};
use proptest::prelude::*;

use crate::{random, with_each_instruction_set};

const STEPS: u32 = 5;

/// The gradient of a step.
fn gradient(seed: u64, step: u32, count: usize) -> Vec<f32> {
    random(seed, 100 + u64::from(step), count)
}

fn compare(actual: &[f32], expected: &[f64]) {
    for (actual, expected) in actual.iter().zip(expected) {
        assert!((f64::from(*actual) - expected).abs() < 2e-6, "{actual} instead of {expected}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn adam_equals_its_formulas(count in 1_usize..100, weight_decay in prop::sample::select(vec![0.0_f32, 0.1]), seed: u64) {
        let settings = Adam { learning_rate: 0.01, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay, step: 0 };
        let [rate, beta_1, beta_2, epsilon, decay] =
            [0.01, 0.9, 0.999, 1e-8, weight_decay].map(f64::from);
        let start = random(seed, 1, count);
        let mut expected: Vec<f64> = start.iter().copied().map(f64::from).collect();
        let (mut means, mut squares) = (vec![0.0; count], vec![0.0; count]);
        for step in 1..=STEPS {
            for (i, g) in gradient(seed, step, count).into_iter().map(f64::from).enumerate() {
                means[i] = beta_1 * means[i] + (1.0 - beta_1) * g;
                squares[i] = beta_2 * squares[i] + (1.0 - beta_2) * g * g;
                let mean = means[i] / (1.0 - beta_1.powi(step as i32));
                let square: f64 = squares[i] / (1.0 - beta_2.powi(step as i32));
                expected[i] -= rate * decay * expected[i] + rate * mean / (square.sqrt() + epsilon);
            }
        }
        with_each_instruction_set(|| {
            let (mut parameters, mut means, mut squares) = (start.clone(), vec![0.0; count], vec![0.0; count]);
            for step in 1..=STEPS {
                let gradient = gradient(seed, step, count);
                adam_step(Adam { step, ..settings }, &mut parameters, &gradient, &mut means, &mut squares);
            }
            compare(&parameters, &expected);
        });
    }

    #[test]
    fn momentum_equals_its_formulas(
        count in 1_usize..100, nesterov: bool, momentum in prop::sample::select(vec![0.0_f32, 0.9]), seed: u64,
    ) {
        let settings = Momentum { learning_rate: 0.02, momentum, nesterov, weight_decay: 0.05 };
        let [rate, momentum, decay] = [0.02, momentum, 0.05].map(f64::from);
        let start = random(seed, 1, count);
        let mut expected: Vec<f64> = start.iter().copied().map(f64::from).collect();
        let mut velocities = vec![0.0; count];
        for step in 1..=STEPS {
            for (i, g) in gradient(seed, step, count).into_iter().map(f64::from).enumerate() {
                let g = g + decay * expected[i];
                velocities[i] = momentum * velocities[i] + g;
                expected[i] -= rate * if nesterov { g + momentum * velocities[i] } else { velocities[i] };
            }
        }
        with_each_instruction_set(|| {
            let (mut parameters, mut velocities) = (start.clone(), vec![0.0; count]);
            for step in 1..=STEPS {
                momentum_step(settings, &mut parameters, &gradient(seed, step, count), &mut velocities);
            }
            compare(&parameters, &expected);
        });
    }
}

/// Numbers below the least normal float cost a processor a hundred times the time of others.
#[test]
fn moments_that_fade_away_become_zero_and_never_denormal() {
    let count = 19;
    let adam = Adam { learning_rate: 0.01, beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8, weight_decay: 0.0, step: 0 };
    let momentum = Momentum { learning_rate: 0.01, momentum: 0.9, nesterov: true, weight_decay: 0.0 };
    let (mut by_adam, mut by_momentum) = (vec![0.5; count], vec![0.5; count]);
    let (mut means, mut squares, mut velocities) = (vec![0.0; count], vec![0.0; count], vec![0.0; count]);
    for step in 1..=100_000 {
        // One real gradient, then ever smaller ones.
        let gradient: Vec<f32> = (0..count).map(|i| 10.0_f32.powi(-(i as i32) - (step as i32 / 8).min(45))).collect();
        adam_step(Adam { step, ..adam }, &mut by_adam, &gradient, &mut means, &mut squares);
        momentum_step(momentum, &mut by_momentum, &gradient, &mut velocities);
        let all = means.iter().chain(&squares).chain(&velocities);
        assert!(all.clone().all(|value| *value == 0.0 || value.is_normal()), "step {step}: {means:?} {squares:?}");
    }
    assert!(means.iter().chain(&squares).chain(&velocities).all(|value| *value == 0.0));
    assert!(by_adam.iter().all(|value| value.is_finite()));
}
