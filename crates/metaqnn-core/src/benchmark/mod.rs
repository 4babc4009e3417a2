//! Agents against known rewards (tables of trained designs, and a surrogate of the real space), and early stopping on recorded curves.

mod early_stop;
mod recorded_curves;
mod replay;
mod surrogate;
mod surrogate_features;
mod table;

pub use early_stop::{StopReplay, TOP, replay_early_stopping};
pub use recorded_curves::{CurvesError, RecordedCurves};
pub use replay::{Tried, replay};
pub use surrogate::{Expectation, Surrogate, SurrogateError};
pub use table::{ArchitectureTable, TableError, TableState};
