//! Executors: who has networks trained. Each keeps the contract of [`Executor`](metaqnn_core::ports::Executor), and one suite of tests
//! tries it out on all of them.
//!
//! - [`WorkerPool`] (`worker_pool`): worker processes, so that a crash takes one training and not the study. A worker that died is replaced, and
//!   its job begun again.
//!   - [`protocol`]: what coordinator and worker say to each other.
//!   - `worker_process`: a process as the coordinator sees it; [`Worker`] (`worker`): the worker's side, around any
//!     [`Evaluator`](metaqnn_core::ports::Evaluator).
//!   - `result_file`: weights and probabilities on their way from one to the other.
//! - [`InProcess`] (`in_process`): a thread of this process.
//! - [`MockExecutor`] (`mock`): no time at all, on a [`MockClock`].

mod in_process;
mod mock;
pub mod protocol;
mod result_file;
mod worker;
mod worker_pool;
mod worker_process;

pub use in_process::{InProcess, UnableError};
pub use mock::{MockClock, MockExecutor};
pub use worker::Worker;
pub use worker_pool::{PoolError, WorkerPool};
pub use worker_process::WorkerCommand;
