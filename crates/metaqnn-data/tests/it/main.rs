//! The crate as others see it, on whole data sets in folders.

#![allow(clippy::unwrap_used, reason = "tests")]

mod on_disk;
mod real;
