//! Weights to the matrices of points, and their gradient back.

use super::Winograd;
use super::points::{SIDE, column_of, load_each, weights_at_points, weights_of_points};
use crate::lanes::{LANES, Lanes, each_vector};
use crate::tiles::blocks;

#[inline(always)]
pub(super) fn transform_weights_with<L: Lanes>(winograd: &Winograd, weights: &[f32], to: &mut [f32]) {
    let Winograd { inputs, outputs, .. } = *winograd;
    for (begin, width) in blocks(outputs) {
        for i in 0..inputs {
            // SAFETY: the taps lie in the weights, the products in the matrices, whose sizes were compared.
            unsafe {
                let from = weights.as_ptr().add(i * outputs + begin);
                let to = to.as_mut_ptr().add(begin * inputs + i * width);
                let (kernel_size, matrix) = (winograd.kernel_size, inputs * outputs);
                each_vector!(L, width, |o| store_weights_at_points::<_>(
                    kernel_size,
                    from.add(o),
                    matrix,
                    to.add(o),
                    matrix
                ));
            }
        }
    }
}

#[inline(always)]
pub(super) fn transform_turned_weights_with<L: Lanes>(winograd: &Winograd, weights: &[f32], to: &mut [f32]) {
    let Winograd { kernel_size, inputs, outputs, .. } = *winograd;
    let taps = kernel_size * kernel_size;
    // Of eight inputs and eight outputs, with the outputs in front.
    let mut turned = [[[0.0_f32; LANES]; LANES]; 25];
    for (begin, width) in blocks(inputs) {
        for i in (0..width).step_by(LANES) {
            for o in (0..outputs).step_by(LANES) {
                for (tap, turned) in turned[..taps].iter_mut().enumerate() {
                    let matrix = &weights[(taps - 1 - tap) * inputs * outputs..][..inputs * outputs];
                    for lane in 0..LANES {
                        let row = &matrix[(begin + i + lane) * outputs + o..][..LANES];
                        for (column, value) in turned.iter_mut().zip(row) {
                            column[lane] = *value;
                        }
                    }
                }
                for lane in 0..LANES {
                    // SAFETY: the products lie in the matrices, whose sizes were compared.
                    unsafe {
                        let taps = turned.as_ptr().cast::<f32>().add(lane * LANES);
                        let to = to.as_mut_ptr().add(begin * outputs + (o + lane) * width + i);
                        store_weights_at_points::<L>(kernel_size, taps, LANES * LANES, to, inputs * outputs);
                    }
                }
            }
        }
    }
}

/// G g Gᵀ of eight kernels, whose taps are `tap` after each other, to the 36 matrices, `matrix` after each other.
///
/// # Safety
///
/// As of [`Lanes`], for each tap and matrix.
#[inline(always)]
unsafe fn store_weights_at_points<L: Lanes>(
    kernel_size: usize,
    taps: *const f32,
    tap: usize,
    to: *mut f32,
    matrix: usize,
) {
    // SAFETY: as said above.
    unsafe {
        match kernel_size {
            3 => weights_at_points_2d::<L, 3>(taps, tap, to, matrix),
            _ => weights_at_points_2d::<L, 5>(taps, tap, to, matrix),
        }
    }
}

/// # Safety
///
/// As of [`Lanes`], for each tap and matrix.
#[inline(always)]
unsafe fn weights_at_points_2d<L: Lanes, const K: usize>(taps: *const f32, tap: usize, to: *mut f32, matrix: usize) {
    // SAFETY: as said above.
    unsafe {
        let mut rows = [[L::splat(0.0); SIDE]; K];
        for (row, values) in rows.iter_mut().enumerate() {
            *values = weights_at_points::<L, K>(load_each(taps.add(row * K * tap), tap));
        }
        for j in 0..SIDE {
            let column = weights_at_points::<L, K>(column_of(&rows, j));
            for (i, value) in column.into_iter().enumerate() {
                value.store(to.add((i * SIDE + j) * matrix));
            }
        }
    }
}

#[inline(always)]
pub(super) fn finish_3x3_with<L: Lanes>(winograd: &Winograd, sums: &[f32], gradient: &mut [f32]) {
    finish_with::<L, 3>(winograd, sums, gradient);
}

#[inline(always)]
pub(super) fn finish_5x5_with<L: Lanes>(winograd: &Winograd, sums: &[f32], gradient: &mut [f32]) {
    finish_with::<L, 5>(winograd, sums, gradient);
}

/// Gᵀ u G of all pairs of channels.
#[inline(always)]
fn finish_with<L: Lanes, const K: usize>(winograd: &Winograd, sums: &[f32], gradient: &mut [f32]) {
    let matrix = winograd.inputs * winograd.outputs;
    let (from, to) = (sums.as_ptr(), gradient.as_mut_ptr());
    // SAFETY: matrices lie in the sums, taps in the gradient, whose sizes were compared.
    unsafe {
        each_vector!(L, matrix, |pair| finish_vector::<_, K>(from.add(pair), to.add(pair), matrix));
    }
}

/// The same of one vector of pairs; sums and taps are `matrix` after each other.
///
/// # Safety
///
/// As of [`Lanes`], for each sum and tap.
#[inline(always)]
unsafe fn finish_vector<L: Lanes, const K: usize>(from: *const f32, to: *mut f32, matrix: usize) {
    // SAFETY: as said above.
    unsafe {
        let mut halves = [[L::splat(0.0); SIDE]; K];
        for j in 0..SIDE {
            let column = load_each(from.add(j * matrix), SIDE * matrix);
            for (half, value) in halves.iter_mut().zip(weights_of_points::<L, K>(column)) {
                half[j] = value;
            }
        }
        for (row, half) in halves.into_iter().enumerate() {
            for (column, value) in weights_of_points::<L, K>(half).into_iter().enumerate() {
                let to = to.add((row * K + column) * matrix);
                L::load(to).add(value).store(to);
            }
        }
    }
}
