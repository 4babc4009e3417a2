//! The crate as others see it, on whole data sets in folders.

#![allow(clippy::unwrap_used, reason = "tests")]

mod bad_inputs;
mod folders;
mod made;
mod mutations;
mod on_disk;
mod own;
mod real;
mod tables;
