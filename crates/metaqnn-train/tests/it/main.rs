//! Integration tests: real trainings on the embedded digits and small made-up images.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod engines;
mod evaluator;
mod exactness;
mod imbalance;
mod settings;
mod trainer;
mod weights;
