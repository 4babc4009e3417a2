//! The transforms of one row or column of a tile: polynomials and their values at the six points.

use crate::lanes::Lanes;

/// Side of an input tile, and number of points.
pub(super) const SIDE: usize = 6;
/// The points ±α and ±β.
const ALPHA: f64 = 0.75;
const BETA: f64 = 1.5;
/// Their powers, as constants, for `powi` is a call.
const POWERS_OF_ALPHA: [f64; 5] = powers(ALPHA);
const POWERS_OF_BETA: [f64; 5] = powers(BETA);
/// Π (p − q) over the other points q, of p = 0, ±α and ±β.
const NORM_0: f64 = ALPHA * ALPHA * BETA * BETA;
const NORM_ALPHA: f64 = 2.0 * ALPHA * ALPHA * (ALPHA * ALPHA - BETA * BETA);
const NORM_BETA: f64 = 2.0 * BETA * BETA * (BETA * BETA - ALPHA * ALPHA);

const fn powers(point: f64) -> [f64; 5] {
    [1.0, point, point * point, point * point * point, point * point * point * point]
}

/// Vectors that are `step` after each other.
///
/// # Safety
///
/// As of [`Lanes`], for each.
#[inline(always)]
pub(super) unsafe fn load_each<L: Lanes, const N: usize>(from: *const f32, step: usize) -> [L; N] {
    // SAFETY: as said above.
    unsafe {
        let mut values = [L::splat(0.0); N];
        for (index, value) in values.iter_mut().enumerate() {
            *value = L::load(from.add(index * step));
        }
        values
    }
}

/// The `column`-th of each row.
#[inline(always)]
pub(super) fn column_of<L: Lanes, const N: usize>(rows: &[[L; SIDE]; N], column: usize) -> [L; N] {
    let mut values = [rows[0][column]; N];
    for (value, row) in values.iter_mut().zip(rows) {
        *value = row[column];
    }
    values
}

/// Bᵀ d. Of ±p the even part of the polynomial is the same and the odd one changes its sign.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
pub(super) unsafe fn input_at_points<L: Lanes>(d: [L; SIDE]) -> [L; SIDE] {
    // SAFETY: as said above.
    unsafe {
        let (alpha, beta) = (L::splat(ALPHA as f32), L::splat(BETA as f32));
        let minus_squares = L::splat(-(ALPHA * ALPHA + BETA * BETA) as f32);
        let (minus_alpha_2, minus_beta_2) = (L::splat(-(ALPHA * ALPHA) as f32), L::splat(-(BETA * BETA) as f32));
        let product = L::splat(NORM_0 as f32);
        let zero = L::splat(0.0);
        let even_alpha = d[2].mul_add(minus_beta_2, d[4]);
        let odd_alpha = alpha.mul_add(d[1].mul_add(minus_beta_2, d[3]), zero);
        let even_beta = d[2].mul_add(minus_alpha_2, d[4]);
        let odd_beta = beta.mul_add(d[1].mul_add(minus_alpha_2, d[3]), zero);
        [
            d[0].mul_add(product, d[2].mul_add(minus_squares, d[4])),
            even_alpha.add(odd_alpha),
            even_alpha.sub(odd_alpha),
            even_beta.add(odd_beta),
            even_beta.sub(odd_beta),
            d[1].mul_add(product, d[3].mul_add(minus_squares, d[5])),
        ]
    }
}

/// Aᵀ m.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
pub(super) unsafe fn output_of_points<L: Lanes, const M: usize>(m: [L; SIDE]) -> [L; M] {
    // SAFETY: as said above.
    unsafe {
        let even = [m[1].add(m[2]), m[3].add(m[4])];
        let odd = [m[1].sub(m[2]), m[3].sub(m[4])];
        let mut output = [even[0].add(even[1]).add(m[0]); M];
        // A loop, for closures are not always inlined, and then know nothing of the instructions.
        for power in 1..M {
            let [at_alpha, at_beta] = if power % 2 == 0 { even } else { odd };
            let alpha = L::splat(POWERS_OF_ALPHA[power] as f32);
            let beta = L::splat(POWERS_OF_BETA[power] as f32);
            let rest = if power == M - 1 { m[5] } else { L::splat(0.0) };
            output[power] = at_alpha.mul_add(alpha, at_beta.mul_add(beta, rest));
        }
        output
    }
}

/// A ∂y.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
pub(super) unsafe fn gradient_at_points<L: Lanes, const M: usize>(y: [L; M]) -> [L; SIDE] {
    // SAFETY: as said above.
    unsafe {
        let ([even_alpha, odd_alpha], [even_beta, odd_beta]) =
            (halves_at(POWERS_OF_ALPHA, y), halves_at(POWERS_OF_BETA, y));
        [
            y[0],
            even_alpha.add(odd_alpha),
            even_alpha.sub(odd_alpha),
            even_beta.add(odd_beta),
            even_beta.sub(odd_beta),
            y[M - 1],
        ]
    }
}

/// G g.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
pub(super) unsafe fn weights_at_points<L: Lanes, const K: usize>(g: [L; K]) -> [L; SIDE] {
    // SAFETY: as said above.
    unsafe {
        let zero = L::splat(0.0);
        let part_0 = L::splat((1.0 / NORM_0) as f32);
        let part_alpha = L::splat((1.0 / NORM_ALPHA) as f32);
        let part_beta = L::splat((1.0 / NORM_BETA) as f32);
        let ([even_alpha, odd_alpha], [even_beta, odd_beta]) =
            (halves_at(POWERS_OF_ALPHA, g), halves_at(POWERS_OF_BETA, g));
        let (even_alpha, odd_alpha) = (even_alpha.mul_add(part_alpha, zero), odd_alpha.mul_add(part_alpha, zero));
        let (even_beta, odd_beta) = (even_beta.mul_add(part_beta, zero), odd_beta.mul_add(part_beta, zero));
        [
            g[0].mul_add(part_0, zero),
            even_alpha.add(odd_alpha),
            even_alpha.sub(odd_alpha),
            even_beta.add(odd_beta),
            even_beta.sub(odd_beta),
            g[K - 1],
        ]
    }
}

/// Gᵀ u.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
pub(super) unsafe fn weights_of_points<L: Lanes, const K: usize>(u: [L; SIDE]) -> [L; K] {
    // SAFETY: as said above.
    unsafe {
        let even = [u[1].add(u[2]), u[3].add(u[4])];
        let odd = [u[1].sub(u[2]), u[3].sub(u[4])];
        let mut weights = [L::splat(0.0); K];
        for power in 0..K {
            let [at_alpha, at_beta] = if power % 2 == 0 { even } else { odd };
            let alpha = L::splat((POWERS_OF_ALPHA[power] / NORM_ALPHA) as f32);
            let beta = L::splat((POWERS_OF_BETA[power] / NORM_BETA) as f32);
            let rest = if power == 0 {
                u[0].mul_add(L::splat((1.0 / NORM_0) as f32), L::splat(0.0))
            } else if power == K - 1 {
                u[5]
            } else {
                L::splat(0.0)
            };
            weights[power] = at_alpha.mul_add(alpha, at_beta.mul_add(beta, rest));
        }
        weights
    }
}

/// The even and the odd part of the polynomial with these coefficients at the point with these powers.
///
/// # Safety
///
/// As of [`Lanes`].
#[inline(always)]
unsafe fn halves_at<L: Lanes, const N: usize>(powers: [f64; 5], coefficients: [L; N]) -> [L; 2] {
    // SAFETY: as said above.
    unsafe {
        let mut even = coefficients[0];
        let mut odd = coefficients[1].mul_add(L::splat(powers[1] as f32), L::splat(0.0));
        for exponent in 2..N {
            let power = L::splat(powers[exponent] as f32);
            if exponent % 2 == 0 {
                even = coefficients[exponent].mul_add(power, even);
            } else {
                odd = coefficients[exponent].mul_add(power, odd);
            }
        }
        [even, odd]
    }
}
