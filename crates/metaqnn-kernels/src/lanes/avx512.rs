//! Vectors of AVX-512.

use std::arch::x86_64::*;

use super::avx2::Avx2;
use super::{LANES, Lanes};

/// [`Lanes`] on a processor with AVX-512: half a register, as [`Avx2`], where there are only eight numbers.
#[derive(Clone, Copy)]
pub(crate) struct Avx512Half(Avx2);

// SAFETY of every block: the caller is on a processor with AVX-512, which includes AVX2 and FMA, and hands valid pointers (`Lanes`).
impl Lanes for Avx512Half {
    const COUNT: usize = LANES;
    type Block = Avx512;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Avx512Half(Avx2::splat(value)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Avx512Half(Avx2::load(from)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { self.0.store(to) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        unsafe { Avx512Half(self.0.mul_add(factor.0, term.0)) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Avx512Half(self.0.add(other.0)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Avx512Half(self.0.sub(other.0)) }
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        unsafe { Avx512Half(self.0.relu()) }
    }

    #[inline(always)]
    unsafe fn where_positive(self, sign: Self) -> Self {
        unsafe { Avx512Half(self.0.where_positive(sign.0)) }
    }

    #[inline(always)]
    unsafe fn replace_where_greater(self, other: Self, other_key: Self, key: Self) -> Self {
        unsafe { Avx512Half(self.0.replace_where_greater(other.0, other_key.0, key.0)) }
    }

    #[inline(always)]
    unsafe fn where_equal(self, value: Self, kept: Self) -> Self {
        unsafe { Avx512Half(self.0.where_equal(value.0, kept.0)) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8) {
        unsafe { self.0.store_bytes(to) }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        unsafe { Avx512Half(Avx2::load_bytes(from)) }
    }
}

/// Sixteen numbers: twice [`LANES`].
#[derive(Clone, Copy)]
pub(crate) struct Avx512(__m512);

// SAFETY of every block: the caller is on a processor with AVX-512 F and hands valid pointers (`Lanes`).
impl Lanes for Avx512 {
    const COUNT: usize = 2 * LANES;
    type Block = Self;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Avx512(_mm512_set1_ps(value)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Avx512(_mm512_loadu_ps(from)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm512_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        unsafe { Avx512(_mm512_fmadd_ps(self.0, factor.0, term.0)) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Avx512(_mm512_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // The second operand is given where one is not a number.
        unsafe { Avx512(_mm512_max_ps(_mm512_setzero_ps(), self.0)) }
    }

    #[inline(always)]
    unsafe fn where_positive(self, sign: Self) -> Self {
        unsafe {
            let positive = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(sign.0, _mm512_setzero_ps());
            Avx512(_mm512_maskz_mov_ps(positive, self.0))
        }
    }

    #[inline(always)]
    unsafe fn replace_where_greater(self, other: Self, other_key: Self, key: Self) -> Self {
        unsafe {
            let greater = _mm512_cmp_ps_mask::<_CMP_GT_OQ>(other_key.0, key.0);
            let no_number = _mm512_cmp_ps_mask::<_CMP_UNORD_Q>(other_key.0, other_key.0);
            Avx512(_mm512_mask_blend_ps(greater | no_number, self.0, other.0))
        }
    }

    #[inline(always)]
    unsafe fn where_equal(self, value: Self, kept: Self) -> Self {
        unsafe { Avx512(_mm512_maskz_mov_ps(_mm512_cmp_ps_mask::<_CMP_EQ_OQ>(self.0, value.0), kept.0)) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8) {
        unsafe { _mm_storeu_si128(to.cast(), _mm512_cvtusepi32_epi8(_mm512_cvttps_epi32(self.0))) }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        unsafe { Avx512(_mm512_cvtepi32_ps(_mm512_cvtepu8_epi32(_mm_loadu_si128(from.cast())))) }
    }
}
