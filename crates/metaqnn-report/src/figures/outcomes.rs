//! What became of the trials, and where the time went.

use std::collections::BTreeMap;

use metaqnn_core::space::LayerKind;
use metaqnn_core::study::{Failure, Outcome};
use metaqnn_store::StoredTrial;

use crate::study_view::StudyView;

/// What became of a trial, in the order in which it is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Fate {
    /// Trained to the end.
    Complete,
    /// Stopped early.
    Stopped,
    /// No better than chance, or than guessing.
    FailedToLearn,
    /// The loss was not finite.
    LossNotFinite,
    /// Over a limit, not trained.
    OverLimit,
    /// The worker died or could not train.
    Worker,
}

impl Fate {
    /// All of them.
    pub const ALL: [Fate; 6] =
        [Fate::Complete, Fate::Stopped, Fate::FailedToLearn, Fate::LossNotFinite, Fate::OverLimit, Fate::Worker];

    /// That of a trial.
    pub fn of(trial: &StoredTrial) -> Fate {
        match &trial.record.evaluation.outcome {
            Outcome::Complete { .. } => Fate::Complete,
            Outcome::Pruned { .. } => Fate::Stopped,
            Outcome::Failed { failure: Failure::FailedToLearn { .. } | Failure::LossOfGuessing { .. } } => {
                Fate::FailedToLearn
            }
            Outcome::Failed { failure: Failure::LossNotFinite { .. } } => Fate::LossNotFinite,
            Outcome::Failed { failure: Failure::OverLimit { .. } } => Fate::OverLimit,
            Outcome::Failed { .. } => Fate::Worker,
        }
    }

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Fate::Complete => "complete",
            Fate::Stopped => "stopped early",
            Fate::FailedToLearn => "failed to learn",
            Fate::LossNotFinite => "loss not finite",
            Fate::OverLimit => "over a limit",
            Fate::Worker => "worker failed",
        }
    }
}

/// The kind of the last layer before the softmax; `start` where there is none.
pub fn last_layer(trial: &StoredTrial) -> LayerKind {
    trial.record.architecture.layers().last().map_or(LayerKind::Start, |layer| layer.kind())
}

/// Number of trials and their seconds of training by fate.
pub fn by_fate(trials: &[StoredTrial]) -> BTreeMap<Fate, (usize, f64)> {
    let mut found: BTreeMap<Fate, (usize, f64)> = BTreeMap::new();
    for trial in trials {
        let (count, seconds) = found.entry(Fate::of(trial)).or_default();
        *count += 1;
        *seconds += trial.record.evaluation.train_seconds;
    }
    found
}

/// Number of trials by last layer and fate.
pub fn by_last_layer(trials: &[StoredTrial]) -> BTreeMap<LayerKind, BTreeMap<Fate, usize>> {
    let mut found: BTreeMap<LayerKind, BTreeMap<Fate, usize>> = BTreeMap::new();
    for trial in trials {
        *found.entry(last_layer(trial)).or_default().entry(Fate::of(trial)).or_default() += 1;
    }
    found
}

/// Seconds of training by phase, over all workers: trials by fate, candidates, final trainings. Phases without any are left out.
pub fn seconds_by_phase(study: &StudyView) -> Vec<(String, f64)> {
    let trials = by_fate(&study.trials);
    let trials = trials.iter().map(|(fate, (_, seconds))| (format!("trials, {}", fate.name()), *seconds));
    let candidates = study.candidates.iter().map(|record| record.train_seconds).sum::<f64>();
    let finals = study.finals.iter().map(|record| record.train_seconds).sum::<f64>();
    let last = [("candidates for the final training".to_string(), candidates), ("final training".into(), finals)];
    trials.chain(last).filter(|(_, seconds)| *seconds > 0.0).collect()
}
