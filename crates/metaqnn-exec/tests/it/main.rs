//! The contract of executors, tried out on each, and the worker pool with workers that die.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod contract;
#[cfg(unix)]
mod dying_workers;
mod executors;
