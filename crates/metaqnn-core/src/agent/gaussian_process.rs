//! Gaussian process regression (Rasmussen and Williams, "Gaussian Processes for Machine Learning", 2006, chapters 2 and 5).

use super::cholesky::{Cholesky, dot};

/// The kernel's parameters. The variance of the whole is not among them: it follows from the targets.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kernel {
    /// Share of the linear kernel in [0, 1]; the rest is the Matérn kernel (ν = 5/2).
    linear_share: f64,
    /// Length scale of the Matérn kernel, in units of the inputs' root mean squared distance.
    length: f64,
    /// Variance of the noise, in units of that of the function.
    noise: f64,
}

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

/// A Gaussian process fitted to inputs and targets.
pub(super) struct GaussianProcess {
    /// Mean and 1/standard deviation of each coordinate; 0 where it is constant.
    scales: Vec<(f64, f64)>,
    /// Coordinates that are not constant.
    dimensions: f64,
    inputs: Vec<Vec<f64>>,
    kernel: Kernel,
    cholesky: Cholesky,
    /// Mean of the targets, and the factor by which the standardized function is multiplied.
    mean: f64,
    targets: Vec<f64>,
    weights: Vec<f64>,
    variance: f64,
}

const LINEAR: &[f64] = &[0.1, 0.5];
type Setter = fn(&mut Kernel, f64);
const KERNELS: [(&[f64], Setter); 3] = [
    (&[0.03, 0.1, 0.3, 1.0], |kernel, value| kernel.noise = value),
    (&[0.5, 1.0, 2.0], |kernel, value| kernel.length = value),
    (LINEAR, |kernel, value| kernel.linear_share = value),
];

/// Most inputs that the likelihood of the kernels is compared on.
const COMPARED: usize = 64;

impl GaussianProcess {
    /// Fits the kernel of greatest likelihood. `rows` and `targets` are as many, at least one; a row that is too short ends in zeros.
    pub(super) fn fit(rows: &[&[f64]], targets: &[f64]) -> Self {
        let mut scales = scales(rows);
        let ard: f64 = std::env::var("ARD").ok().and_then(|v| v.parse().ok()).unwrap_or(-1.0);
        if ard >= 0.0 {
            let n = rows.len() as f64;
            let my = targets.iter().sum::<f64>() / n;
            let sy = (targets.iter().map(|t| (t - my).powi(2)).sum::<f64>() / n).sqrt().max(1e-9);
            let mut w: Vec<f64> = (0..scales.len()).map(|j| {
                if scales[j].1 == 0.0 { return 0.0; }
                let r = rows.iter().zip(targets).map(|(row, t)| (row.get(j).copied().unwrap_or(0.0) - scales[j].0) * scales[j].1 * (t - my) / sy).sum::<f64>() / n;
                r * r + ard
            }).collect();
            let live = scales.iter().filter(|s| s.1 > 0.0).count().max(1) as f64;
            let total: f64 = w.iter().sum::<f64>().max(1e-12);
            for (s, w) in scales.iter_mut().zip(&mut w) { s.1 *= (*w * live / total).sqrt(); }
        }
        let dimensions = scales.iter().filter(|(_, factor)| *factor > 0.0).count().max(1) as f64;
        let inputs: Vec<Vec<f64>> = rows.iter().map(|row| scaled(&scales, row)).collect();
        let mean = targets.iter().sum::<f64>() / targets.len() as f64;
        let targets: Vec<f64> = targets.iter().map(|target| target - mean).collect();
        let n = inputs.len();
        let products: Vec<Vec<f64>> =
            (0..n).map(|i| (0..=i).map(|j| dot(&inputs[i], &inputs[j]) / dimensions).collect()).collect();
        let covariance = |kernel: &Kernel, i: usize, j: usize| {
            let distance = (products[i][i] + products[j][j]) / 2.0 - products[i][j];
            kernel.covariance(products[i][j], distance) + if i == j { kernel.noise } else { 0.0 }
        };
        let compared: Vec<usize> = spread(n, COMPARED);
        let some_targets: Vec<f64> = compared.iter().map(|&i| targets[i]).collect();
        let likelihood = |kernel: &Kernel| {
            let cholesky = Cholesky::new(compared.len(), |i, j| covariance(kernel, compared[i], compared[j]));
            log_likelihood(&cholesky, &some_targets)
        };
        let mut kernel = Kernel { linear_share: 0.5, length: 1.0, noise: 0.1 };
        let mut highest = likelihood(&kernel);
        for _ in 0..2 {
            let before = kernel;
            for change in KERNELS.iter().flat_map(|(values, set)| values.iter().map(move |value| (set, *value))) {
                let mut candidate = kernel;
                (change.0)(&mut candidate, change.1);
                if candidate == kernel {
                    continue;
                }
                let found = likelihood(&candidate);
                if found > highest {
                    (kernel, highest) = (candidate, found);
                }
            }
            if kernel == before {
                break;
            }
        }
        if std::env::var("SHOWK").is_ok() && n % 20 == 0 {
            eprintln!("{n} {kernel:?}");
        }
        let cholesky = Cholesky::new(n, |i, j| covariance(&kernel, i, j));
        let half = cholesky.solve_lower(&targets);
        let variance = (dot(&half, &half) / n as f64).max(1e-12);
        let weights = cholesky.solve_upper(&half);
        GaussianProcess { scales, dimensions, inputs, kernel, cholesky, mean, targets, weights, variance }
    }

    fn covariances(&self, input: &[f64]) -> (Vec<f64>, f64) {
        let own = dot(input, input) / self.dimensions;
        let row = self.inputs.iter().map(|other| {
            let product = dot(input, other) / self.dimensions;
            let distance = (own + dot(other, other) / self.dimensions) / 2.0 - product;
            self.kernel.covariance(product, distance)
        });
        (row.collect(), self.kernel.covariance(own, 0.0))
    }

    /// Predicts the value at a row.
    pub(super) fn predict(&self, row: &[f64]) -> Prediction {
        let (covariances, own) = self.covariances(&scaled(&self.scales, row));
        let mean = self.mean + dot(&covariances, &self.weights);
        let half = self.cholesky.solve_lower(&covariances);
        let variance = (own - dot(&half, &half)).max(0.0) * self.variance;
        Prediction { mean, standard_deviation: variance.sqrt() }
    }

    /// The function's mean at each input.
    pub(super) fn fitted(&self) -> Vec<f64> {
        let noise = self.kernel.noise;
        self.targets.iter().zip(&self.weights).map(|(target, weight)| self.mean + target - noise * weight).collect()
    }

    /// Takes up a row whose value is not known yet, as if it were what is predicted: near it the model becomes more certain.
    pub(super) fn expect(&mut self, row: &[f64]) {
        let input = scaled(&self.scales, row);
        let (covariances, own) = self.covariances(&input);
        self.targets.push(dot(&covariances, &self.weights));
        self.cholesky.push(&covariances, own + self.kernel.noise);
        self.inputs.push(input);
        self.weights = self.cholesky.solve_upper(&self.cholesky.solve_lower(&self.targets));
    }
}

/// Twice the logarithm of the targets' likelihood, constants left out, at the most likely variance.
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

fn scales(rows: &[&[f64]]) -> Vec<(f64, f64)> {
    let n = rows.len() as f64;
    let width = rows.iter().map(|row| row.len()).max().unwrap_or(0);
    let mut sums = vec![(0.0, 0.0); width];
    for row in rows {
        for (sum, value) in sums.iter_mut().zip(*row) {
            sum.0 += value;
            sum.1 += value * value;
        }
    }
    let scale = |(sum, squares): (f64, f64)| {
        let mean = sum / n;
        let variance = squares / n - mean * mean;
        (mean, if variance > 1e-9 { 1.0 / variance.sqrt() } else { 0.0 })
    };
    sums.into_iter().map(scale).collect()
}

fn scaled(scales: &[(f64, f64)], row: &[f64]) -> Vec<f64> {
    let values = row.iter().copied().chain(std::iter::repeat(0.0));
    scales.iter().zip(values).map(|((mean, factor), value)| (value - mean) * factor).collect()
}
