//! The pure logic of metaqnn: no files, clocks, threads or tensors.
//!
//! metaqnn designs convolutional networks by Q-learning (Baker et al., "Designing Neural Network Architectures using
//! Reinforcement Learning", ICLR 2017). The rooms, in reading order:
//!
//! - [`shape`], [`operation`]: the operations of networks, each with its shapes, tensors and costs in a file of its own.
//! - [`graph`]: a network as shape-checked operations with parameters, FLOPs and memory.
//! - [`layer`]: the kinds of layers, each with its notation, settings and operations in a file of its own.
//! - [`space`]: the notation of architectures, which layer may follow which, and the decision process that builds them.
//! - [`agent`]: Q-learning, the model of the reward and the rivals, over any [`DecisionProcess`](agent::DecisionProcess).
//! - [`early_stopping`]: which trainings are stopped before their end, by predicted accuracy or by rank.
//! - [`benchmark`]: agents against known rewards, and early stopping on recorded curves, without training.
//! - [`settings`]: the configuration of a study, its presets, and the check that names every violation.
//! - [`study`]: trials, ask and tell, and the replay that rebuilds the agent from the stored log.
//! - [`ports`]: the traits through which the outer crates train, execute and store trials.
//!
//! The way of a trial: `Study::ask` → architecture → `graph` (how big?) → a worker's `Evaluator` → `Evaluation` →
//! `Study::tell`, by which the agent learns → `Storage` (one transaction, with the Q-table's hash after it).

pub mod agent;
pub mod benchmark;
mod cholesky;
pub mod early_stopping;
pub mod graph;
pub mod layer;
pub mod operation;
pub mod ports;
pub mod settings;
pub mod shape;
pub mod space;
pub mod study;
mod violation;
