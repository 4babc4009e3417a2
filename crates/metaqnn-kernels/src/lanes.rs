//! Eight 32-bit floats at a time, or sixteen.

#[cfg(target_arch = "x86_64")]
mod avx2;
#[cfg(target_arch = "x86_64")]
mod avx512;
mod portable;

#[cfg(target_arch = "x86_64")]
pub(crate) use avx2::Avx2;
#[cfg(target_arch = "x86_64")]
pub(crate) use avx512::Avx512Half;
pub(crate) use portable::Portable;

/// Numbers that channels are stored in multiples of.
pub const LANES: usize = 8;

/// A vector of [`COUNT`](Lanes::COUNT) numbers.
///
/// # Safety
///
/// Who calls a method is on a processor that has the instructions of the implementing type, and hands pointers to as many
/// numbers as the method reads or writes. They need no alignment.
pub(crate) trait Lanes: Copy {
    /// Numbers in the vector: [`LANES`], or twice that.
    const COUNT: usize;
    /// The widest vector of the same processor, for twice [`LANES`] numbers; Self where there is no wider one.
    type Block: Lanes;

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

/// A set of instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Instructions {
    /// Those that every processor of the kind has.
    Portable,
    /// AVX2 and FMA.
    Avx2,
    /// AVX-512: F, BW, DQ and VL.
    Avx512,
}

impl Instructions {
    /// All that this processor has, the best last.
    pub fn available() -> Vec<Self> {
        let all = [Instructions::Portable, Instructions::Avx2, Instructions::Avx512];
        all.into_iter().filter(|instructions| *instructions <= best()).collect()
    }
}

#[cfg(target_arch = "x86_64")]
fn best() -> Instructions {
    use std::arch::is_x86_feature_detected as has;
    if !(has!("avx2") && has!("fma")) {
        Instructions::Portable
    } else if has!("avx512f") && has!("avx512bw") && has!("avx512dq") && has!("avx512vl") {
        Instructions::Avx512
    } else {
        Instructions::Avx2
    }
}

#[cfg(not(target_arch = "x86_64"))]
fn best() -> Instructions {
    Instructions::Portable
}

std::thread_local! {
    static AT_MOST: std::cell::Cell<Instructions> = const { std::cell::Cell::new(Instructions::Avx512) };
}

/// Runs `work` with at most these instructions on this thread, whatever the processor has: for tests and comparisons.
#[doc(hidden)]
pub fn with_instructions<T>(instructions: Instructions, work: impl FnOnce() -> T) -> T {
    /// Also where `work` panics.
    struct Restore(Instructions);
    impl Drop for Restore {
        fn drop(&mut self) {
            AT_MOST.set(self.0);
        }
    }
    let _restore = Restore(AT_MOST.replace(instructions));
    work()
}

/// The best instructions that can and may be used.
#[inline]
pub(crate) fn instructions() -> Instructions {
    best().min(AT_MOST.get())
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
                use $crate::lanes::{Avx2, Avx512Half, Instructions};

                #[target_feature(enable = "avx2,fma")]
                fn with_avx2($($argument: $kind),*) {
                    $generic::<Avx2>($($argument),*)
                }
                #[target_feature(enable = "avx2,fma,avx512f,avx512bw,avx512dq,avx512vl")]
                fn with_avx512($($argument: $kind),*) {
                    $generic::<Avx512Half>($($argument),*)
                }
                match $crate::lanes::instructions() {
                    // SAFETY: the processor has the instructions.
                    Instructions::Avx512 => return unsafe { with_avx512($($argument),*) },
                    // SAFETY: the same.
                    Instructions::Avx2 => return unsafe { with_avx2($($argument),*) },
                    Instructions::Portable => {}
                }
            }
            $generic::<$crate::lanes::Portable>($($argument),*)
        }
    )*};
}
pub(crate) use vectorized;

/// Calls a function, generic over [`Lanes`], with the index of the first number of each vector of a row of numbers, the widest vectors first.
///
/// `each_vector!(L, numbers, |at| function::<_, OTHER>(arguments))`, where `_` stands for the vector.
macro_rules! each_vector {
    ($lanes:ident, $numbers:expr, |$at:ident| $function:ident::<_ $(, $other:ident)?>($($argument:expr),* $(,)?)) => {
        let mut $at = 0;
        while $at + <$lanes::Block as $crate::lanes::Lanes>::COUNT <= $numbers {
            $function::<$lanes::Block $(, $other)?>($($argument),*);
            $at += <$lanes::Block as $crate::lanes::Lanes>::COUNT;
        }
        while $at < $numbers {
            $function::<$lanes $(, $other)?>($($argument),*);
            $at += $crate::lanes::LANES;
        }
    };
}
pub(crate) use each_vector;
