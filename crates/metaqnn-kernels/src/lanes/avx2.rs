//! Vectors of AVX2.

use std::arch::x86_64::*;

use super::{LANES, Lanes};

/// [`Lanes`] with the instructions of AVX2 and FMA.
#[derive(Clone, Copy)]
pub(crate) struct Avx2(pub(super) __m256);

// SAFETY of every block: the caller is on a processor with AVX2 and FMA and hands valid pointers (`Lanes`).
impl Lanes for Avx2 {
    const COUNT: usize = LANES;
    type Block = Self;

    #[inline(always)]
    unsafe fn splat(value: f32) -> Self {
        unsafe { Avx2(_mm256_set1_ps(value)) }
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        unsafe { Avx2(_mm256_loadu_ps(from)) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        unsafe { _mm256_storeu_ps(to, self.0) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        unsafe { Avx2(_mm256_fmadd_ps(self.0, factor.0, term.0)) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        unsafe { Avx2(_mm256_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn relu(self) -> Self {
        // The second operand is given where one is not a number.
        unsafe { Avx2(_mm256_max_ps(_mm256_setzero_ps(), self.0)) }
    }

    #[inline(always)]
    unsafe fn where_positive(self, sign: Self) -> Self {
        unsafe { Avx2(_mm256_and_ps(self.0, _mm256_cmp_ps::<_CMP_GT_OQ>(sign.0, _mm256_setzero_ps()))) }
    }

    #[inline(always)]
    unsafe fn replace_where_greater(self, other: Self, other_key: Self, key: Self) -> Self {
        unsafe {
            let greater = _mm256_cmp_ps::<_CMP_GT_OQ>(other_key.0, key.0);
            let no_number = _mm256_cmp_ps::<_CMP_UNORD_Q>(other_key.0, other_key.0);
            Avx2(_mm256_blendv_ps(self.0, other.0, _mm256_or_ps(greater, no_number)))
        }
    }

    #[inline(always)]
    unsafe fn where_equal(self, value: Self, kept: Self) -> Self {
        unsafe { Avx2(_mm256_and_ps(kept.0, _mm256_cmp_ps::<_CMP_EQ_OQ>(self.0, value.0))) }
    }

    #[inline(always)]
    unsafe fn store_bytes(self, to: *mut u8) {
        unsafe {
            let words = _mm256_cvttps_epi32(self.0);
            let halves = _mm_packus_epi32(_mm256_castsi256_si128(words), _mm256_extracti128_si256::<1>(words));
            _mm_storel_epi64(to.cast(), _mm_packus_epi16(halves, halves));
        }
    }

    #[inline(always)]
    unsafe fn load_bytes(from: *const u8) -> Self {
        unsafe { Avx2(_mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64(from.cast())))) }
    }
}
