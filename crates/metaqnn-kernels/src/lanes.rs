//! Eight 32-bit floats at a time.

/// Numbers in a vector.
pub const LANES: usize = 8;

/// A vector of [`LANES`] numbers.
///
/// # Safety
///
/// Who calls a method is on a processor that has the instructions of the implementing type, and hands pointers to as many
/// numbers as the method reads or writes. They need no alignment.
pub(crate) trait Lanes: Copy {
    unsafe fn splat(value: f32) -> Self;
    unsafe fn load(from: *const f32) -> Self;
    unsafe fn store(self, to: *mut f32);
    /// self · factor + term, rounded once where there is an instruction for it.
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    /// max(self, 0); what is not a number stays so.
    unsafe fn relu(self) -> Self;
    /// self where `sign` > 0, else 0.
    unsafe fn where_positive(self, sign: Self) -> Self;
    /// `other` where `other_key` > `key` or `other_key` is not a number, else self.
    unsafe fn replace_where_greater(self, other: Self, other_key: Self, key: Self) -> Self;
    /// self where self = `value`, as a mask applied to `kept`: `kept` where equal, else 0.
    unsafe fn where_equal(self, value: Self, kept: Self) -> Self;
    /// The numbers, small and whole, as bytes.
    unsafe fn store_bytes(self, to: *mut u8);
    /// Bytes as numbers.
    unsafe fn load_bytes(from: *const u8) -> Self;
}

/// The same in plain Rust.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; LANES]);

impl Portable {
    #[inline(always)]
    fn zip(self, other: Self, f: impl Fn(f32, f32) -> f32) -> Self {
        Portable(std::array::from_fn(|i| f(self.0[i], other.0[i])))
    }
}

impl Lanes for Portable {
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

#[cfg(target_arch = "x86_64")]
pub(crate) use x86::Avx2;

#[cfg(target_arch = "x86_64")]
mod x86 {
    use std::arch::x86_64::*;

    use super::Lanes;

    /// The same with the instructions of AVX2 and FMA.
    #[derive(Clone, Copy)]
    pub(crate) struct Avx2(__m256);

    // SAFETY of every block: the caller is on a processor with AVX2 and FMA and hands valid pointers (`Lanes`).
    impl Lanes for Avx2 {
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
}

std::thread_local! {
    static PORTABLE_ONLY: std::cell::Cell<bool> = const { std::cell::Cell::new(false) };
}

/// Runs `work` with the portable code on this thread, whatever the processor has: for tests of that code.
#[doc(hidden)]
pub fn with_portable_code<T>(work: impl FnOnce() -> T) -> T {
    /// Also where `work` panics.
    struct Restore(bool);
    impl Drop for Restore {
        fn drop(&mut self) {
            PORTABLE_ONLY.set(self.0);
        }
    }
    let _restore = Restore(PORTABLE_ONLY.replace(true));
    work()
}

/// Whether the instructions of [`Avx2`] can and may be used.
#[cfg(target_arch = "x86_64")]
pub(crate) fn has_avx2() -> bool {
    std::arch::is_x86_feature_detected!("avx2") && std::arch::is_x86_feature_detected!("fma") && !PORTABLE_ONLY.get()
}

/// Defines a function that runs the body of another, generic over [`Lanes`], with the best instructions there are.
///
/// `vectorized! { /// docs  pub fn name(arguments) = generic; }`
macro_rules! vectorized {
    ($( $(#[$attribute:meta])* $visibility:vis fn $name:ident($($argument:ident: $kind:ty),* $(,)?) = $generic:ident; )*) => {$(
        $(#[$attribute])*
        $visibility fn $name($($argument: $kind),*) {
            #[cfg(target_arch = "x86_64")]
            {
                #[target_feature(enable = "avx2,fma")]
                fn with_avx2($($argument: $kind),*) {
                    $generic::<$crate::lanes::Avx2>($($argument),*)
                }
                if $crate::lanes::has_avx2() {
                    // SAFETY: the processor has the instructions.
                    return unsafe { with_avx2($($argument),*) };
                }
            }
            $generic::<$crate::lanes::Portable>($($argument),*)
        }
    )*};
}
pub(crate) use vectorized;
