//! The rules as one: what is noted of trainings, and what the next one is measured by.

use serde::{Deserialize, Serialize};

use super::curve::LearningCurve;
use super::prediction::{PredictionRule, PredictionSettings, Predictor};
use super::rank::{RankRule, RankSettings, Ranking};

/// Which rule, and how it is set.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rule", rename_all = "kebab-case")]
pub enum RuleSettings {
    /// Every training goes to its end.
    Off,
    /// By the predicted final accuracy.
    Prediction(PredictionSettings),
    /// By rank.
    Rank(RankSettings),
}

/// What one training is measured by.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StopRule {
    /// By the predicted final accuracy.
    Prediction(PredictionRule),
    /// By rank.
    Rank(RankRule),
}

/// Why a training was stopped. Its numbers are rounded to four decimals, the probability down, so that text gives them back exactly.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, thiserror::Error)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum StopReason {
    /// It is not expected to get among the best.
    #[error(
        "stopped after epoch {epoch} at {accuracy:.4}: its final accuracy is predicted to be {predicted:.4} (± {deviation:.4}), not above {to_beat:.4} with a probability of {probability:.4}"
    )]
    Predicted {
        /// Epochs done.
        epoch: usize,
        /// Its best accuracy so far.
        accuracy: f64,
        /// The prediction.
        predicted: f64,
        /// Its standard deviation.
        deviation: f64,
        /// The accuracy to beat.
        to_beat: f64,
        /// The probability of not beating it.
        probability: f64,
    },
    /// It is behind too many of the others.
    #[error("stopped after epoch {epoch}: its accuracy {accuracy:.4} is behind the {least:.4} that others had reached")]
    Behind {
        /// Epochs done.
        epoch: usize,
        /// Its best accuracy so far.
        accuracy: f64,
        /// The least to go on with.
        least: f64,
    },
}

impl StopReason {
    /// Epochs done.
    pub fn epoch(&self) -> usize {
        match self {
            StopReason::Predicted { epoch, .. } | StopReason::Behind { epoch, .. } => *epoch,
        }
    }

    /// The predicted final accuracy, in [0, 1]; `None` where none was predicted.
    pub fn predicted(&self) -> Option<f64> {
        match self {
            StopReason::Predicted { predicted, .. } => Some(*predicted),
            StopReason::Behind { .. } => None,
        }
    }
}

/// `value` with four decimals.
pub(super) fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

impl StopRule {
    /// Why the training with `curve` is to be stopped after `epoch`, from 1; `None` where it is to go on. Nothing of the curve beyond that epoch
    /// is looked at.
    pub fn decide(&self, curve: &LearningCurve, epoch: usize) -> Option<StopReason> {
        match self {
            StopRule::Prediction(rule) => rule.decide(curve, epoch),
            StopRule::Rank(rule) => rule.decide(curve, epoch),
        }
    }
}

/// What is noted of the trainings that are over. The rule it gives is a function of what was noted, in that order.
#[derive(Clone, Debug)]
pub struct EarlyStopping {
    noted: Noted,
}

#[derive(Clone, Debug)]
enum Noted {
    Nothing,
    ForPrediction(Box<Predictor>),
    ForRank(Ranking),
}

impl EarlyStopping {
    /// Before any training.
    pub fn new(settings: RuleSettings) -> Self {
        let noted = match settings {
            RuleSettings::Off => Noted::Nothing,
            RuleSettings::Prediction(settings) => Noted::ForPrediction(Box::new(Predictor::new(settings))),
            RuleSettings::Rank(settings) => Noted::ForRank(Ranking::new(settings)),
        };
        EarlyStopping { noted }
    }

    /// Takes note of a training that went to its end.
    pub fn note_full(&mut self, curve: LearningCurve) {
        match &mut self.noted {
            Noted::Nothing => {}
            Noted::ForPrediction(predictor) => predictor.note_full(curve),
            Noted::ForRank(ranking) => ranking.note(&curve),
        }
    }

    /// Takes note of a training that was stopped at the end of `curve`.
    pub fn note_stopped(&mut self, curve: &LearningCurve) {
        if let Noted::ForRank(ranking) = &mut self.noted {
            ranking.note(curve);
        }
    }

    /// What the next training is measured by; `None` where it goes to its end.
    pub fn rule(&mut self) -> Option<StopRule> {
        match &mut self.noted {
            Noted::Nothing => None,
            Noted::ForPrediction(predictor) => predictor.rule().map(StopRule::Prediction),
            Noted::ForRank(ranking) => Some(StopRule::Rank(ranking.rule())),
        }
    }
}
