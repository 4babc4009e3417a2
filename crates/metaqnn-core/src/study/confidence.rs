//! How sure a measured accuracy is.

/// Wilson's 95 % interval of a share found in `count` cases (Wilson, 1927); of none as of one.
pub fn wilson_interval(share: f64, count: u64) -> (f64, f64) {
    const Z: f64 = 1.959_963_984_540_054;
    let n = count.max(1) as f64;
    let denominator = 1.0 + Z * Z / n;
    let middle = (share + Z * Z / (2.0 * n)) / denominator;
    let half = Z / denominator * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    ((middle - half).max(0.0), (middle + half).min(1.0))
}
