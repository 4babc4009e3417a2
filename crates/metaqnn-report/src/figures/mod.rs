//! What is drawn, as numbers: pure functions over trials and the Q-table.
//!
//! - [`accuracy`]: validation accuracy over the search, and how it is distributed at each ε (the paper's figures 3 and 4).
//! - [`q_values`]: mean Q-value by layer depth (its figure on the Q-values).
//! - [`costs`]: error against size, and which networks are on the Pareto front; the interval of an accuracy.
//! - [`outcomes`]: what became of the trials, and where the time went.
//! - [`comparison`]: several studies side by side.

pub mod accuracy;
pub mod comparison;
pub mod costs;
pub mod outcomes;
pub mod q_values;
