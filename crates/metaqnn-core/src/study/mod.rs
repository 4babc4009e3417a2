//! Studies: trials, ask and tell, and what is stored of them.

mod candidates;
mod generators;
mod pruning;
mod record;
#[allow(clippy::module_inception)]
mod study;
mod trial;

pub use candidates::{FinishedNetwork, choose_candidates};
pub use pruning::Pruning;
pub use record::{
    CandidateRecord, EventKind, EventRecord, FinalRecord, RaisedLimits, StudyHeader, Transition, TrialRecord,
};
pub use study::{Ask, AskedTrial, ReplayError, Study};
pub use trial::{Accuracy, CurvePoint, Evaluation, Failure, Outcome, TrialNumber, TrialState};
