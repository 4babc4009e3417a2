//! Ridge regression with the errors of leaving one out.

use crate::cholesky::{Cholesky, dot};

/// Penalties that are compared, on standardized features, a row. The one with the smallest error of leaving one out is taken.
const PENALTIES: [f64; 5] = [1e-5, 1e-4, 1e-3, 1e-2, 1e-1];

/// The least that leaving a row out may leave of its weight, against division by nothing where a row determines a coefficient alone.
const LEAST_REST: f64 = 1e-3;

/// A linear function fitted with a penalty on its standardized coefficients.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Ridge {
    pub(super) intercept: f64,
    pub(super) weights: Vec<f64>,
    /// Root mean square of the residuals, each of the function fitted without its row.
    pub(super) residual_deviation: f64,
}

impl Ridge {
    /// Fits `targets` by `rows`, of which there are as many, at least one, all of one length. Columns that do not vary get no weight.
    ///
    /// The residuals of leaving one out follow from one fit: r / (1 − h) with the leverage h (Hastie, Tibshirani and Friedman, "The
    /// Elements of Statistical Learning", equation 7.64), means and scales of the columns taken as given.
    pub(super) fn fit(rows: &[Vec<f64>], targets: &[f64]) -> Self {
        let n = rows.len() as f64;
        let columns = rows.first().map_or(0, Vec::len);
        let mean_of = |column: usize| rows.iter().map(|row| row[column]).sum::<f64>() / n;
        let means: Vec<f64> = (0..columns).map(mean_of).collect();
        let factor_of = |column: usize| {
            let mean = means[column];
            let deviation = (rows.iter().map(|row| (row[column] - mean).powi(2)).sum::<f64>() / n).sqrt();
            if deviation > 1e-12 * (1.0 + mean.abs()) { 1.0 / deviation } else { 0.0 }
        };
        let factors: Vec<f64> = (0..columns).map(factor_of).collect();
        let standardized = |row: &Vec<f64>| -> Vec<f64> {
            row.iter().zip(&means).zip(&factors).map(|((value, mean), factor)| (value - mean) * factor).collect()
        };
        let inputs: Vec<Vec<f64>> = rows.iter().map(standardized).collect();
        let mean = targets.iter().sum::<f64>() / n;
        let centred: Vec<f64> = targets.iter().map(|target| target - mean).collect();

        let by_column: Vec<Vec<f64>> = (0..columns).map(|j| inputs.iter().map(|row| row[j]).collect()).collect();
        let gram: Vec<Vec<f64>> =
            (0..columns).map(|i| (0..=i).map(|j| dot(&by_column[i], &by_column[j]) / n).collect()).collect();
        let products: Vec<f64> = by_column.iter().map(|column| dot(column, &centred) / n).collect();

        let with_penalty = |penalty: f64| {
            let matrix = Cholesky::new(columns, |i, j| gram[i][j] + if i == j { penalty } else { 0.0 });
            let weights = matrix.solve_upper(&matrix.solve_lower(&products));
            let squared = |(input, target): (&Vec<f64>, &f64)| {
                let half = matrix.solve_lower(input);
                let leverage = (1.0 + dot(&half, &half)) / n;
                ((target - dot(input, &weights)) / (1.0 - leverage).max(LEAST_REST)).powi(2)
            };
            let error = inputs.iter().zip(&centred).map(squared).sum::<f64>() / n;
            (error, weights)
        };
        let fits = PENALTIES.into_iter().map(with_penalty);
        let (error, weights) = fits.min_by(|a, b| a.0.total_cmp(&b.0)).unwrap_or_default();
        let weights: Vec<f64> = weights.iter().zip(&factors).map(|(weight, factor)| weight * factor).collect();
        Ridge { intercept: mean - dot(&weights, &means), weights, residual_deviation: error.sqrt() }
    }

    #[cfg(test)]
    fn predict(&self, row: &[f64]) -> f64 {
        self.intercept + dot(&self.weights, row)
    }
}

#[cfg(test)]
mod tests {
    use rand::RngExt;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn noisy_plane(n: usize, noise: f64) -> (Vec<Vec<f64>>, Vec<f64>) {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut uniform = || rng.random::<f64>() - 0.5;
        let rows: Vec<Vec<f64>> = (0..n).map(|_| vec![uniform(), 100.0 * uniform(), 7.0]).collect();
        let targets = rows.iter().map(|row| 0.3 + 2.0 * row[0] - 0.01 * row[1] + noise * uniform()).collect();
        (rows, targets)
    }

    #[test]
    fn finds_a_plane() {
        let (rows, targets) = noisy_plane(50, 0.0);
        let ridge = Ridge::fit(&rows, &targets);
        assert!((ridge.predict(&[0.1, 20.0, 7.0]) - 0.3).abs() < 1e-3, "{ridge:?}");
        assert!(ridge.residual_deviation < 1e-3, "{ridge:?}");
        assert_eq!(ridge.weights[2], 0.0);
    }

    #[test]
    fn the_deviation_is_that_of_rows_left_out() {
        let (rows, targets) = noisy_plane(30, 0.2);
        let ridge = Ridge::fit(&rows, &targets);
        let left_out = |i: usize| {
            let but = |n: usize| (0..n).filter(move |&j| j != i);
            let others = Ridge::fit(
                &but(30).map(|j| rows[j].clone()).collect::<Vec<_>>(),
                &but(30).map(|j| targets[j]).collect::<Vec<_>>(),
            );
            (targets[i] - others.predict(&rows[i])).powi(2)
        };
        let really = ((0..30).map(left_out).sum::<f64>() / 30.0).sqrt();
        assert!((ridge.residual_deviation / really - 1.0).abs() < 0.02, "{} and {really}", ridge.residual_deviation);
    }

    #[test]
    fn more_columns_than_rows_are_no_ruin() {
        let rows: Vec<Vec<f64>> = (0..4).map(|i| (0..9).map(|j| f64::from(i * j)).collect()).collect();
        let ridge = Ridge::fit(&rows, &[0.1, 0.2, 0.3, 0.4]);
        assert!(ridge.weights.iter().all(|weight| weight.is_finite()) && ridge.residual_deviation.is_finite());
    }
}
