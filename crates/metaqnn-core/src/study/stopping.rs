//! What a study's trials tell of which trainings to stop.

use super::record::TrialRecord;
use super::trial::Outcome;
use crate::early_stopping::{EarlyStopping, LearningCurve, NetworkFeatures, StopRule};
use crate::settings::{Settings, TrainingSettings};

/// The rule for the next trial, made from the trials that are over.
///
/// It follows from what was noted, in that order: noted in the order of the log, a study that goes on stops the same trainings as one that
/// was not interrupted.
#[derive(Clone, Debug)]
pub struct TrialStopping {
    early_stopping: EarlyStopping,
    training: TrainingSettings,
}

impl TrialStopping {
    /// Before any trial.
    pub fn new(settings: &Settings) -> Self {
        TrialStopping {
            early_stopping: EarlyStopping::new(settings.early_stopping.rule_settings()),
            training: settings.training.clone(),
        }
    }

    /// Takes note of a trial that is over, with its curve; of one that failed nothing is learned.
    pub fn note(&mut self, record: &TrialRecord) {
        let evaluation = &record.evaluation;
        let learning_rate = self.training.learning_rate_of_try(evaluation.tries.saturating_sub(1));
        let network = NetworkFeatures::of(&record.architecture, record.params, learning_rate);
        let curve = LearningCurve::of(network, &evaluation.curve);
        match evaluation.outcome {
            Outcome::Complete { .. } => self.early_stopping.note_full(curve),
            Outcome::Pruned { .. } => self.early_stopping.note_stopped(&curve),
            Outcome::Failed { .. } => {}
        }
    }

    /// What the next trial is measured by; `None` where it goes to its end.
    pub fn rule(&mut self) -> Option<StopRule> {
        self.early_stopping.rule()
    }
}
