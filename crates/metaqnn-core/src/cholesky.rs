//! The Cholesky decomposition of a symmetric positive definite matrix.

/// The lower triangle L of A = L·Lᵀ, row by row, each row as long as its part of the triangle.
#[derive(Clone, Debug, Default)]
pub(crate) struct Cholesky {
    rows: Vec<Vec<f64>>,
}

impl Cholesky {
    /// The decomposition of the matrix whose lower triangle `entry(i, j)`, j ≤ i, gives.
    pub(crate) fn new(n: usize, entry: impl Fn(usize, usize) -> f64) -> Self {
        let mut cholesky = Cholesky { rows: Vec::with_capacity(n) };
        for i in 0..n {
            let row: Vec<f64> = (0..i).map(|j| entry(i, j)).collect();
            cholesky.push(&row, entry(i, i));
        }
        cholesky
    }

    /// Adds a row and a column to the matrix: `row` against those before it, and `diagonal`.
    pub(crate) fn push(&mut self, row: &[f64], diagonal: f64) {
        let mut new = self.solve_lower(row);
        // What rounding leaves of a row that repeats another.
        let rest = (diagonal - dot(&new, &new)).max(1e-10);
        new.push(rest.sqrt());
        self.rows.push(new);
    }

    /// x of L·x = b.
    pub(crate) fn solve_lower(&self, b: &[f64]) -> Vec<f64> {
        let mut x = Vec::with_capacity(b.len() + 1);
        for (row, b) in self.rows.iter().zip(b) {
            let i = x.len();
            x.push((b - dot(&row[..i], &x)) / row[i]);
        }
        x
    }

    /// x of Lᵀ·x = b.
    pub(crate) fn solve_upper(&self, b: &[f64]) -> Vec<f64> {
        let mut x = b.to_vec();
        for (i, row) in self.rows.iter().enumerate().rev() {
            x[i] /= row[i];
            let (before, from) = x.split_at_mut(i);
            for (value, entry) in before.iter_mut().zip(row) {
                *value -= entry * from[0];
            }
        }
        x
    }

    /// log of the determinant of L.
    pub(crate) fn log_determinant(&self) -> f64 {
        self.rows.iter().filter_map(|row| row.last()).map(|diagonal| diagonal.ln()).sum()
    }
}

/// Σ aᵢ·bᵢ, in eight running sums that the processor adds at once.
pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_chunks, b_chunks) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = a_chunks.remainder().iter().zip(b_chunks.remainder()).map(|(a, b)| a * b).sum();
    for (a, b) in a_chunks.zip(b_chunks) {
        for ((sum, a), b) in sums.iter_mut().zip(a).zip(b) {
            *sum += a * b;
        }
    }
    sums.iter().sum::<f64>() + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_by_hand() {
        let matrix = [[4.0, 2.0, 1.0], [2.0, 5.0, 3.0], [1.0, 3.0, 6.0]];
        let cholesky = Cholesky::new(3, |i, j| matrix[i][j]);
        let x = cholesky.solve_upper(&cholesky.solve_lower(&[1.0, 2.0, 3.0]));
        for (row, b) in matrix.iter().zip([1.0, 2.0, 3.0]) {
            assert!((dot(row, &x) - b).abs() < 1e-12, "{x:?}");
        }
        // det A = 4·(30 − 9) − 2·(12 − 3) + 1·(6 − 5) = 67.
        assert!((2.0 * cholesky.log_determinant() - 67f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn a_row_twice_is_no_ruin() {
        let cholesky = Cholesky::new(3, |_, _| 1.0);
        assert!(cholesky.solve_upper(&cholesky.solve_lower(&[1.0; 3])).iter().all(|x| x.is_finite()));
    }

    #[test]
    fn long_sums_count_every_term() {
        let a: Vec<f64> = (1..=19).map(f64::from).collect();
        assert_eq!(dot(&a, &a), 2470.0);
    }
}
