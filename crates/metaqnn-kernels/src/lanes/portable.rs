//! Vectors in plain Rust.

use super::{LANES, Lanes};

/// [`Lanes`] in plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Portable(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for Portable {
    const COUNT: usize = LANES;
    type Block = Self;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        Portable([value; LANES])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller hands LANES numbers.
        Portable(unsafe { from.cast::<[f32; LANES]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller hands room for LANES numbers.
        unsafe { to.cast::<[f32; LANES]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        // Not f32::mul_add, which is a call into the C library where there is no instruction.
        Portable(std::array::from_fn(|i| self.0[i] * factor.0[i] + term.0[i]))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        self.zip(other, |a, b| a + b)
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        self.zip(other, |a, b| a - b)
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        Portable(self.0.map(|a| if a < 0.0 { 0.0 } else { a }))
    }

    #[inline(always)]
    unsafe fn where_positive(self, sign: Self) -> Self {
        self.zip(sign, |a, sign| if sign > 0.0 { a } else { 0.0 })
    }

    #[inline(always)]
    unsafe fn replace_where_greater(self, other: Self, other_key: Self, key: Self) -> Self {
        Portable(std::array::from_fn(|i| {
            if other_key.0[i] > key.0[i] || other_key.0[i].is_nan() { other.0[i] } else { self.0[i] }
        }))
    }

    #[inline(always)]
    unsafe fn where_equal(self, value: Self, kept: Self) -> Self {
        Portable(std::array::from_fn(|i| if self.0[i] == value.0[i] { kept.0[i] } else { 0.0 }))
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8) {
        // SAFETY: the caller hands room for LANES bytes.
        unsafe { to.cast::<[u8; LANES]>().write_unaligned(self.0.map(|value| value as u8)) }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        // SAFETY: the caller hands LANES bytes.
        Portable(unsafe { from.cast::<[u8; LANES]>().read_unaligned() }.map(f32::from))
    }
}
