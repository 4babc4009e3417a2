//! Studies: trials, ask and tell, and what is stored of them.

mod budget_plan;
mod candidates;
mod confidence;
mod ensemble;
mod exhaustion;
mod final_plan;
pub(crate) mod generators;
mod known_networks;
mod mirror;
mod network_time;
mod predicted_class;
mod record;
mod stopping;
mod stored_trial;
#[allow(clippy::module_inception)]
mod study;
mod trial;

pub use budget_plan::{BudgetPlan, Means, fastest_known, images_seen};
pub use candidates::{FinishedNetwork, best_candidate, choose_candidates};
pub use confidence::wilson_interval;
pub use ensemble::{EnsembleChoice, choose_ensemble};
pub use final_plan::{Finalist, PlannedTraining, plan_final_trainings};
pub use known_networks::known_network;
pub use mirror::mirror_is_safe;
pub use network_time::{fast_training_microseconds, smallest_network};
pub use predicted_class::{balanced_accuracy, predicted_class};
pub use record::{
    CandidateRecord, DataReading, EnsembleRecord, EventKind, EventRecord, FinalRecord, RaisedLimits, StudyHeader,
    Transition, TrialRecord,
};
pub use stopping::TrialStopping;
pub use stored_trial::{Detail, StoredTrial};
pub use study::{Ask, AskedTrial, ReplayError, Study};
pub use trial::{Accuracy, CurvePoint, Evaluation, Failure, Outcome, PruneReason, TrialNumber, TrialState};
