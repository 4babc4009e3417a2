//! Muon: steps of orthogonalized momentum for matrices (Jordan et al., 2024, <https://kellerjordan.github.io/posts/muon/>).

use crate::convolution::{Finish, Packed, Placement, Windows, add_weight_gradient, convolve};

/// A step of Muon for one matrix, whose Frobenius norm it keeps.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Muon {
    /// Length of the step as a share of the matrix' norm.
    pub learning_rate: f32,
    /// Factor of the velocity; Nesterov's momentum looks ahead with it.
    pub momentum: f32,
    /// Newton–Schulz iterations.
    pub iterations: u32,
    /// The norm that the matrix has before each step.
    pub norm: f32,
    /// Its singular values: the lesser of rows and columns that are not only stored.
    pub rank: usize,
}

/// Coefficients of the quintic a·x + b·x³ + c·x⁵ that brings singular values near 1 in few iterations (Jordan et al., 2024).
pub const QUINTIC: [f32; 3] = [3.4445, -4.7750, 2.0315];

/// Added to the norm of a gradient: one that is nothing but rounding must not become a step.
pub const LEAST_NORM: f32 = 1e-7;

/// What is computed on the way; of use for matrices of any size.
#[derive(Debug, Default)]
pub struct MuonWorkspace {
    ahead: Vec<f32>,
    direction: Vec<f32>,
    small: [Vec<f32>; 5],
    packed: Packed,
    room: Vec<f32>,
}

/// One step for a matrix of so many columns.
///
/// velocity ← momentum · velocity + gradient, and weights ← weights · norm / ‖weights‖ − learning rate · norm · U / √r, where U is the
/// gradient looked ahead, with its singular values brought near 1, and r the rank.
///
/// # Panics
///
/// Where lengths differ or `columns` is no multiple of [`LANES`](crate::LANES).
pub fn muon_step(
    muon: Muon,
    columns: usize,
    weights: &mut [f32],
    gradient: &[f32],
    velocity: &mut [f32],
    workspace: &mut MuonWorkspace,
) {
    assert!(gradient.len() == weights.len() && velocity.len() == weights.len(), "lengths differ");
    let ahead = &mut workspace.ahead;
    ahead.clear();
    for (velocity, gradient) in velocity.iter_mut().zip(gradient) {
        *velocity = muon.momentum * *velocity + gradient;
        ahead.push(gradient + muon.momentum * *velocity);
    }
    let scale = 1.0 / (norm(ahead) + LEAST_NORM);
    ahead.iter_mut().for_each(|value| *value *= scale);
    let direction = workspace.orthogonalized(columns, muon.iterations);
    let keep = muon.norm / (norm(weights) + LEAST_NORM);
    let rate = muon.learning_rate * muon.norm / (muon.rank as f32).sqrt();
    for (weight, direction) in weights.iter_mut().zip(direction) {
        *weight = keep * *weight - rate * direction;
    }
}

impl MuonWorkspace {
    /// X = `ahead` with its singular values brought near 1: X ← X·P in each iteration, with P = a + b·A + c·A² and A = Xᵀ·X.
    ///
    /// All P and A are polynomials of the first A and commute, so the next A is P·A·P, and X is multiplied only once, by the product of
    /// all P: what is iterated is as small as `columns`².
    fn orthogonalized(&mut self, columns: usize, iterations: u32) -> &[f32] {
        let MuonWorkspace { ahead, direction, small: [a, square, p, all, next], packed, room } = self;
        multiply_transposed(ahead, columns, a, room);
        all.clear();
        for iteration in 1..=iterations {
            multiply(a, a, columns, packed, square);
            let [linear, cubic, quintic] = QUINTIC;
            p.clear();
            p.extend(a.iter().zip(&*square).map(|(a, square)| cubic * a + quintic * square));
            p.iter_mut().step_by(columns + 1).for_each(|diagonal| *diagonal += linear);
            if all.is_empty() {
                all.extend_from_slice(p);
            } else {
                multiply(all, p, columns, packed, next);
                std::mem::swap(all, next);
            }
            if iteration < iterations {
                multiply(p, a, columns, packed, next);
                multiply(next, p, columns, packed, a);
            }
        }
        multiply(ahead, all, columns, packed, direction);
        direction
    }
}

/// Frobenius norm.
fn norm(values: &[f32]) -> f32 {
    // In parts, so that rounding does not grow with the length.
    let sums = values.chunks(4096).map(|part| f64::from(part.iter().map(|value| value * value).sum::<f32>()));
    sums.sum::<f64>().sqrt() as f32
}

/// Aᵀ·A of a matrix with so many columns.
fn multiply_transposed(a: &[f32], columns: usize, product: &mut Vec<f32>, room: &mut Vec<f32>) {
    let rows = a.len() / columns;
    product.clear();
    product.resize(columns * columns, 0.0);
    let windows = Windows::new(1, 1, rows, columns, 1, 1, 1, rows);
    add_weight_gradient(a, &windows, 1, a, Placement::dense(1, rows), product, room);
}

/// A·B, where A has so many columns and B as many rows and columns.
fn multiply(a: &[f32], b: &[f32], columns: usize, packed: &mut Packed, product: &mut Vec<f32>) {
    let rows = a.len() / columns;
    packed.pack(b, columns);
    product.clear();
    product.resize(rows * columns, 0.0);
    let windows = Windows::new(1, 1, rows, columns, 1, 1, 1, rows);
    convolve(a, &windows, 1, packed, Finish::default(), product);
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Pseudorandom numbers in [-1, 1).
    fn numbers(n: usize, seed: u32) -> Vec<f32> {
        let mut state = seed;
        let next = |_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as f32 / (1 << 23) as f32 - 1.0
        };
        (0..n).map(next).collect()
    }

    /// A·B by its definition, `inner` being the columns of A.
    fn naive(a: &[f64], b: &[f64], inner: usize) -> Vec<f64> {
        let columns = b.len() / inner;
        let row = |row: &[f64], j: usize| row.iter().enumerate().map(|(k, a)| a * b[k * columns + j]).sum::<f64>();
        a.chunks_exact(inner).flat_map(|a| (0..columns).map(move |j| row(a, j))).collect()
    }

    fn transposed(a: &[f64], columns: usize) -> Vec<f64> {
        (0..columns).flat_map(|j| a.iter().skip(j).step_by(columns).copied()).collect()
    }

    /// The step as its formulas have it, in 64 bits.
    fn expected(muon: Muon, columns: usize, weights: &[f32], gradient: &[f32], velocity: &[f32]) -> Vec<f64> {
        let wide = |values: &[f32]| values.iter().map(|&value| f64::from(value)).collect::<Vec<f64>>();
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        let (weights, gradient, velocity) = (wide(weights), wide(gradient), wide(velocity));
        let momentum = f64::from(muon.momentum);
        let ahead = |(g, v): (&f64, &f64)| g + momentum * (momentum * v + g);
        let mut x: Vec<f64> = gradient.iter().zip(&velocity).map(ahead).collect();
        let length = norm(&x);
        x.iter_mut().for_each(|value| *value /= length);
        for _ in 0..muon.iterations {
            let gram = naive(&transposed(&x, columns), &x, x.len() / columns);
            let once = naive(&x, &gram, columns);
            let twice = naive(&once, &gram, columns);
            let [a, b, c] = QUINTIC.map(f64::from);
            x = x.iter().zip(once.iter().zip(&twice)).map(|(x, (once, twice))| a * x + b * once + c * twice).collect();
        }
        let (keep, all) = (f64::from(muon.norm) / norm(&weights), f64::from(muon.norm));
        let rate = f64::from(muon.learning_rate) * all / (muon.rank as f64).sqrt();
        weights.iter().zip(&x).map(|(weight, x)| keep * weight - rate * x).collect()
    }

    #[test]
    fn a_step_follows_its_formulas() {
        for (rows, columns) in [(27, 16), (16, 16), (9, 32), (200, 48), (300, 144)] {
            let n = rows * columns;
            let rank = rows.min(columns);
            let muon = Muon { learning_rate: 0.1, momentum: 0.6, iterations: 5, norm: 3.0, rank };
            let (mut weights, gradient, mut velocity) = (numbers(n, 1), numbers(n, 2), numbers(n, 3));
            let wanted = expected(muon, columns, &weights, &gradient, &velocity);
            let moved: Vec<f32> = velocity.iter().zip(&gradient).map(|(v, g)| 0.6 * v + g).collect();
            muon_step(muon, columns, &mut weights, &gradient, &mut velocity, &mut MuonWorkspace::default());
            assert_eq!(velocity, moved);
            for (weight, wanted) in weights.iter().zip(&wanted) {
                assert!((f64::from(*weight) - wanted).abs() < 1e-4, "{rows}×{columns}: {weight}, not {wanted}");
            }
        }
    }

    #[test]
    fn every_direction_gets_a_step_of_like_length() {
        let (rows, columns) = (200, 16);
        // Columns whose norms differ a hundredfold.
        let gradient: Vec<f32> = numbers(rows * columns, 5)
            .iter()
            .enumerate()
            .map(|(i, g)| g * 0.75_f32.powi((i % columns) as i32))
            .collect();
        let (mut weights, mut velocity) = (vec![0.0; rows * columns], vec![0.0; rows * columns]);
        weights[0] = 1.0;
        let muon = Muon { learning_rate: 1.0, momentum: 0.0, iterations: 8, norm: 4.0, rank: 16 };
        muon_step(muon, columns, &mut weights, &gradient, &mut velocity, &mut MuonWorkspace::default());
        weights[0] -= 4.0;
        for column in 0..columns {
            let length = norm(&weights.iter().skip(column).step_by(columns).copied().collect::<Vec<f32>>());
            assert!((0.6..1.4).contains(&length), "column {column}: {length}");
        }
    }

    #[test]
    fn a_gradient_of_zero_moves_nothing_but_the_norm() {
        let (mut weights, mut velocity) = (vec![0.5; 64], vec![0.0; 64]);
        let muon = Muon { learning_rate: 1.0, momentum: 0.9, iterations: 3, norm: 2.0, rank: 8 };
        muon_step(muon, 8, &mut weights, &[0.0; 64], &mut velocity, &mut MuonWorkspace::default());
        assert!(weights.iter().all(|weight| (weight - 0.25).abs() < 1e-6), "{weights:?}");
    }
}
