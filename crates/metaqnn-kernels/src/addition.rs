//! Sums of maps, and of the gradients of a value that several operations read.

use crate::lanes::{LANES, Lanes, each_vector, vectorized};

vectorized! {
    /// Adds `part` to `sum`; where `relu`, what comes out is at least 0.
    ///
    /// # Panics
    ///
    /// Where the lengths differ or are no multiple of [`LANES`].
    pub fn add(sum: &mut [f32], part: &[f32], relu: bool) = add_with;

    /// Puts 0 in `gradient` where `value`, what came out of a ReLU, is not above 0.
    ///
    /// # Panics
    ///
    /// Where the lengths differ or are no multiple of [`LANES`].
    pub fn mask_by_relu(gradient: &mut [f32], value: &[f32]) = mask_by_relu_with;
}

#[inline(always)]
fn add_with<L: Lanes>(sum: &mut [f32], part: &[f32], relu: bool) {
    assert!(sum.len() == part.len() && sum.len().is_multiple_of(LANES), "lengths differ");
    let (to, from, length) = (sum.as_mut_ptr(), part.as_ptr(), sum.len());
    // SAFETY: whole vectors, of both.
    unsafe {
        each_vector!(L, length, |at| add_vector::<_>(to.add(at), from.add(at), relu));
    }
}

/// # Safety
///
/// As of [`Lanes`], for both pointers.
#[inline(always)]
unsafe fn add_vector<L: Lanes>(sum: *mut f32, part: *const f32, relu: bool) {
    // SAFETY: as said above.
    unsafe {
        let value = L::load(sum).add(L::load(part));
        let value = if relu { value.relu() } else { value };
        value.store(sum);
    }
}

#[inline(always)]
fn mask_by_relu_with<L: Lanes>(gradient: &mut [f32], value: &[f32]) {
    assert!(gradient.len() == value.len() && value.len().is_multiple_of(LANES), "lengths differ");
    let (to, from, length) = (gradient.as_mut_ptr(), value.as_ptr(), value.len());
    // SAFETY: whole vectors, of both.
    unsafe {
        each_vector!(L, length, |at| mask_vector::<_>(to.add(at), from.add(at)));
    }
}

/// # Safety
///
/// As of [`Lanes`], for both pointers.
#[inline(always)]
unsafe fn mask_vector<L: Lanes>(gradient: *mut f32, value: *const f32) {
    // SAFETY: as said above.
    unsafe { L::load(gradient).where_positive(L::load(value)).store(gradient) }
}
