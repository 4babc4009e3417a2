//! Studies: trials, ask and tell, and what is stored of them.

mod record;
mod trial;

pub use record::{EventKind, EventRecord, FinalRecord, StudyHeader, Transition, TrialRecord};
pub use trial::{Accuracy, CurvePoint, Evaluation, Failure, Outcome, TrialNumber, TrialState};
