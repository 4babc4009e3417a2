//! Agents against known rewards: tables of trained designs, and a surrogate of the real space.

mod replay;
mod surrogate;
mod surrogate_features;
mod table;

pub use replay::{Tried, replay};
pub use surrogate::{Expectation, Surrogate, SurrogateError};
pub use table::{ArchitectureTable, TableError, TableState};
