//! Runs trials in worker processes, so that a crash takes one trial and not the study.
//!
//! - [`protocol`]: what coordinator and worker say to each other, JSON lines over the worker's standard input and output.
//! - [`WorkerPool`]: the coordinator's side: starts workers, hands out trials, starts a dead worker's trial again.
//! - [`serve`]: the worker's side, around any [`Evaluator`](metaqnn_core::ports::Evaluator).

pub mod protocol;
mod serve;
mod worker_pool;

pub use serve::{read_setup, serve, show_life};
pub use worker_pool::{PoolError, PoolEvent, WorkerPool};
