//! Gaussian process regression (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 5).

use crate::cholesky::{Cholesky, dot};

/// The kernel's parameters. The variance of the whole is not among them: the most likely one follows from the targets.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Kernel {
    /// Share of the linear kernel in [0, 1]; the rest is the Matérn kernel (ν = 5/2).
    linear_share: f64,
    /// Length scale of the Matérn kernel, in units of the inputs' root mean squared distance.
    length: f64,
    /// Variance of what the kernel does not explain, in units of that which it does.
    noise: f64,
}

/// The kernels that are compared. Beyond a linear share of one half, the trend of a few models carries too far.
const LINEAR_SHARES: [f64; 2] = [0.1, 0.5];
const LENGTHS: [f64; 3] = [0.5, 1.0, 2.0];
const NOISES: [f64; 4] = [0.03, 0.1, 0.3, 1.0];

/// Most inputs that kernels are compared on: enough to tell them apart, and a tenth of the time.
const COMPARED: usize = 64;

impl Kernel {
    /// The covariance of the function at two inputs: `product` of their standardized coordinates over the number of
    /// coordinates, and `distance`, their squared distance over twice that number.
    fn covariance(&self, product: f64, distance: f64) -> f64 {
        let r = (5.0 * distance.max(0.0)).sqrt() / self.length;
        let matern = (1.0 + r + r * r / 3.0) * (-r).exp();
        self.linear_share * product + (1.0 - self.linear_share) * matern
    }
}

/// What a model says of a value that it has not seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Mean.
    pub mean: f64,
    /// Standard deviation, noise not counted.
    pub standard_deviation: f64,
}

/// A Gaussian process fitted to inputs and targets. Inputs are standardized, and so is the linear kernel's origin.
pub(super) struct GaussianProcess {
    scales: Vec<Scale>,
    /// Coordinates that are not constant.
    dimensions: f64,
    inputs: Vec<Vec<f64>>,
    /// Of each input the product with itself over the number of coordinates.
    squares: Vec<f64>,
    /// Mean of the targets, and the targets less it.
    mean: f64,
    targets: Vec<f64>,
    kernel: Kernel,
    cholesky: Cholesky,
    /// K⁻¹·targets.
    weights: Vec<f64>,
    /// The most likely variance, by which the kernel is multiplied.
    variance: f64,
}

impl GaussianProcess {
    /// Fits the most likely kernel. `rows` and `targets` are as many, at least one; a row that is too short ends in zeros.
    pub(super) fn fit(rows: &[&[f64]], targets: &[f64]) -> Self {
        let scales = scales(rows);
        let dimensions = scales.iter().filter(|scale| scale.factor > 0.0).count().max(1) as f64;
        let inputs: Vec<Vec<f64>> = rows.iter().map(|row| standardized(&scales, row)).collect();
        let mean = targets.iter().sum::<f64>() / targets.len() as f64;
        let targets: Vec<f64> = targets.iter().map(|target| target - mean).collect();
        let n = inputs.len();
        let products: Vec<Vec<f64>> =
            (0..n).map(|i| (0..=i).map(|j| dot(&inputs[i], &inputs[j]) / dimensions).collect()).collect();
        let covariance = |kernel: Kernel, i: usize, j: usize| {
            let distance = (products[i][i] + products[j][j]) / 2.0 - products[i][j];
            kernel.covariance(products[i][j], distance) + if i == j { kernel.noise } else { 0.0 }
        };
        let compared = spread(n, COMPARED);
        let some_targets: Vec<f64> = compared.iter().map(|&i| targets[i]).collect();
        let kernel = most_likely(|kernel| {
            let cholesky = Cholesky::new(compared.len(), |i, j| covariance(kernel, compared[i], compared[j]));
            log_likelihood(&cholesky, &some_targets)
        });
        let cholesky = Cholesky::new(n, |i, j| covariance(kernel, i, j));
        let half = cholesky.solve_lower(&targets);
        let variance = dot(&half, &half) / n as f64;
        let weights = cholesky.solve_upper(&half);
        let squares = products.iter().filter_map(|row| row.last().copied()).collect();
        GaussianProcess { scales, dimensions, inputs, squares, mean, targets, kernel, cholesky, weights, variance }
    }

    /// Covariances with the inputs, and with itself, of a standardized input.
    fn covariances(&self, input: &[f64]) -> (Vec<f64>, f64) {
        let square = dot(input, input) / self.dimensions;
        let with = |(other, other_square): (&Vec<f64>, &f64)| {
            let product = dot(input, other) / self.dimensions;
            self.kernel.covariance(product, (square + other_square) / 2.0 - product)
        };
        (self.inputs.iter().zip(&self.squares).map(with).collect(), self.kernel.covariance(square, 0.0))
    }

    /// Predicts the value at a row.
    pub(super) fn predict(&self, row: &[f64]) -> Prediction {
        let (covariances, own) = self.covariances(&standardized(&self.scales, row));
        let half = self.cholesky.solve_lower(&covariances);
        let variance = (own - dot(&half, &half)).max(0.0) * self.variance;
        Prediction { mean: self.mean + dot(&covariances, &self.weights), standard_deviation: variance.sqrt() }
    }

    /// The function's mean at each input: the target less what is taken for noise.
    pub(super) fn fitted(&self) -> impl Iterator<Item = f64> {
        let values = self.targets.iter().zip(&self.weights);
        values.map(|(target, weight)| self.mean + target - self.kernel.noise * weight)
    }

    /// Takes up a row whose value is not known yet, as if it were what is predicted: near it the model becomes more certain.
    pub(super) fn expect(&mut self, row: &[f64]) {
        let input = standardized(&self.scales, row);
        let (covariances, own) = self.covariances(&input);
        self.targets.push(dot(&covariances, &self.weights));
        self.cholesky.push(&covariances, own + self.kernel.noise);
        self.squares.push(dot(&input, &input) / self.dimensions);
        self.inputs.push(input);
        self.weights = self.cholesky.solve_upper(&self.cholesky.solve_lower(&self.targets));
    }
}

/// The kernel of the greatest likelihood that one parameter after the other, twice, leads to.
fn most_likely(likelihood: impl Fn(Kernel) -> f64) -> Kernel {
    let mut best = Kernel { linear_share: 0.5, length: 1.0, noise: 0.1 };
    let mut highest = likelihood(best);
    for _ in 0..2 {
        let before = best;
        let mut compare = |candidate: Kernel| {
            let found = likelihood(candidate);
            if found > highest {
                (best, highest) = (candidate, found);
            }
            best
        };
        let mut at = before;
        for noise in NOISES.into_iter().filter(|&noise| noise != before.noise) {
            at = compare(Kernel { noise, ..at });
        }
        for length in LENGTHS.into_iter().filter(|&length| length != before.length) {
            at = compare(Kernel { length, ..at });
        }
        for linear_share in LINEAR_SHARES.into_iter().filter(|&share| share != before.linear_share) {
            at = compare(Kernel { linear_share, ..at });
        }
        if best == before {
            break;
        }
    }
    best
}

/// Twice the logarithm of the targets' likelihood at the most likely variance, constants left out.
fn log_likelihood(cholesky: &Cholesky, targets: &[f64]) -> f64 {
    let half = cholesky.solve_lower(targets);
    let n = targets.len() as f64;
    -n * (dot(&half, &half) / n).max(1e-12).ln() - 2.0 * cholesky.log_determinant()
}

/// At most `most` of the numbers below `n`, evenly spread.
fn spread(n: usize, most: usize) -> Vec<usize> {
    let taken = n.min(most);
    (0..taken).map(|i| i * n / taken).collect()
}

/// How a coordinate is standardized.
#[derive(Clone, Copy, Debug)]
struct Scale {
    mean: f64,
    /// 1/standard deviation; 0 where the coordinate is constant.
    factor: f64,
}

fn scales(rows: &[&[f64]]) -> Vec<Scale> {
    let n = rows.len() as f64;
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let mut sums = vec![(0.0, 0.0); width];
    for row in rows {
        for ((sum, squares), value) in sums.iter_mut().zip(*row) {
            *sum += value;
            *squares += value * value;
        }
    }
    let scale = |(sum, squares): (f64, f64)| {
        let mean = sum / n;
        let variance = squares / n - mean * mean;
        Scale { mean, factor: if variance > 1e-9 { 1.0 / variance.sqrt() } else { 0.0 } }
    };
    sums.into_iter().map(scale).collect()
}

fn standardized(scales: &[Scale], row: &[f64]) -> Vec<f64> {
    let values = row.iter().copied().chain(std::iter::repeat(0.0));
    scales.iter().zip(values).map(|(scale, value)| (value - scale.mean) * scale.factor).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fit(points: &[(f64, f64)]) -> GaussianProcess {
        let rows: Vec<[f64; 2]> = points.iter().map(|(x, _)| [*x, 7.0]).collect();
        let rows: Vec<&[f64]> = rows.iter().map(<[f64; 2]>::as_slice).collect();
        GaussianProcess::fit(&rows, &points.iter().map(|(_, y)| *y).collect::<Vec<f64>>())
    }

    fn sine(n: usize) -> Vec<(f64, f64)> {
        (0..n).map(|i| i as f64 / n as f64 * 6.0).map(|x| (x, x.sin())).collect()
    }

    #[test]
    fn a_smooth_function_is_found_and_doubt_grows_with_distance() {
        let process = fit(&sine(30));
        for x in [0.33, 1.7, 4.1] {
            let found = process.predict(&[x, 7.0]);
            assert!((found.mean - x.sin()).abs() < 0.1, "{x}: {found:?}");
        }
        let doubt = |x: f64| process.predict(&[x, 7.0]).standard_deviation;
        assert!(doubt(9.0) > 2.0 * doubt(3.0), "{} {}", doubt(9.0), doubt(3.0));
        // A short row ends in zeros; a constant coordinate does not count.
        assert_eq!(process.predict(&[1.0]), process.predict(&[1.0, 7.0]));
    }

    #[test]
    fn what_is_fitted_is_what_is_predicted() {
        let process = fit(&sine(20));
        for (fitted, (x, _)) in process.fitted().zip(sine(20)) {
            assert!((fitted - process.predict(&[x, 7.0]).mean).abs() < 1e-9);
        }
    }

    #[test]
    fn an_expected_value_moves_no_mean_and_takes_doubt_away() {
        let mut process = fit(&sine(20));
        let (there, elsewhere) = (process.predict(&[8.0, 7.0]), process.predict(&[2.2, 7.0]));
        process.expect(&[8.0, 7.0]);
        assert!((process.predict(&[2.2, 7.0]).mean - elsewhere.mean).abs() < 1e-6);
        assert!(process.predict(&[8.0, 7.0]).standard_deviation < 0.8 * there.standard_deviation);
    }

    #[test]
    fn one_point_or_equal_points_are_no_ruin() {
        for points in [vec![(1.0, 2.0)], vec![(1.0, 2.0); 5], vec![(1.0, 2.0), (1.0, 3.0)]] {
            let found = fit(&points).predict(&[1.5, 0.0]);
            assert!(found.mean.is_finite() && found.standard_deviation.is_finite(), "{points:?}: {found:?}");
        }
    }

    #[test]
    fn inputs_to_compare_are_spread() {
        assert_eq!(spread(3, 64), [0, 1, 2]);
        assert_eq!(spread(10, 4), [0, 2, 5, 7]);
    }
}
