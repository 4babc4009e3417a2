//! The crate as others see it, on whole data sets in folders.

mod on_disk;
mod real;
