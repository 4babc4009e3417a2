//! Which trainings of a search are stopped before their end, and what the agent learns of them.

use serde::{Deserialize, Serialize};

use crate::early_stopping::{PredictionSettings, RankSettings, RuleSettings};
use crate::violation::Violation;

/// Table `[early_stopping]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EarlyStoppingSettings {
    /// By which rule.
    pub rule: StoppingRule,
    /// Trials that the rule needs before it stops any: by prediction, that were trained to their end; by rank, that got as far.
    pub burn_in: u32,
    /// Epoch, from 1, before whose end no training is stopped.
    pub first_epoch: u32,
    /// What the agent learns of a trial that was stopped.
    pub reward: StoppedReward,
    /// By prediction: Δ in (0, 1), see [`PredictionSettings::probability`].
    pub probability: f64,
    /// By prediction: see [`PredictionSettings::best`].
    pub best: u32,
    /// By rank: see [`RankSettings::share`].
    pub share: f64,
    /// By rank: the epochs after which trials are compared, rising.
    pub rungs: Vec<u32>,
}

/// The rules by which a training is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoppingRule {
    /// Every training goes to its end.
    None,
    /// By the predicted final accuracy.
    Prediction,
    /// By rank among the trials that got as far.
    Rank,
}

/// What the agent learns of a trial that was stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum StoppedReward {
    /// The predicted final accuracy (Baker et al., 2017); where nothing was predicted, as by rank, what it reached.
    Predicted,
    /// Its best accuracy until then.
    Reached,
}

/// Table `[pruning]`, which studies had before: the rule by rank, after one epoch.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PruningSettings {
    /// Share of the earlier trials that a trial must not be behind; 0 to stop none.
    share: f64,
    /// After which they are compared.
    epoch: u32,
    /// Trials that must have got so far.
    startup_trials: u32,
}

impl From<PruningSettings> for EarlyStoppingSettings {
    fn from(PruningSettings { share, epoch, startup_trials }: PruningSettings) -> Self {
        let usual = PredictionSettings::default();
        EarlyStoppingSettings {
            rule: if share > 0.0 { StoppingRule::Rank } else { StoppingRule::None },
            burn_in: startup_trials,
            first_epoch: 1,
            reward: StoppedReward::Reached,
            probability: usual.probability,
            best: usual.best as u32,
            share,
            rungs: vec![epoch],
        }
    }
}

/// `text` with a table `[early_stopping]` in place of the table `[pruning]` of an older study; `None` where it has none, or one
/// that cannot be read.
pub(super) fn converted(text: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct Older {
        pruning: PruningSettings,
    }
    #[derive(Serialize)]
    struct Newer {
        early_stopping: EarlyStoppingSettings,
    }
    let older: Older = toml::from_str(text).ok()?;
    let mut document: toml_edit::DocumentMut = text.parse().ok()?;
    document.remove("pruning")?;
    let newer = toml::to_string(&Newer { early_stopping: older.pruning.into() }).ok()?;
    Some(format!("{document}\n{newer}"))
}

impl EarlyStoppingSettings {
    /// The rule as it is applied.
    pub fn rule_settings(&self) -> RuleSettings {
        match self.rule {
            StoppingRule::None => RuleSettings::Off,
            StoppingRule::Prediction => RuleSettings::Prediction(PredictionSettings {
                probability: self.probability,
                full_curves: self.burn_in as usize,
                best: self.best as usize,
                first_epoch: self.first_epoch as usize,
            }),
            StoppingRule::Rank => RuleSettings::Rank(RankSettings {
                share: self.share,
                epochs: self
                    .rungs
                    .iter()
                    .filter(|&&rung| rung >= self.first_epoch)
                    .map(|&rung| rung as usize)
                    .collect(),
                startup: self.burn_in as usize,
            }),
        }
    }

    /// Everything that is out of its range.
    pub(super) fn violations(&self, found: &mut Vec<Violation>) {
        let mut need = |holds: bool, key: &str, value: &dyn std::fmt::Display, allowed: &str| {
            if !holds {
                found.push(Violation::new(format!("early_stopping.{key}"), value, allowed));
            }
        };
        need(self.burn_in >= 2, "burn_in", &self.burn_in, "at least 2");
        need(self.first_epoch >= 1, "first_epoch", &self.first_epoch, "at least 1");
        let is_open_share = |value: f64| value > 0.0 && value < 1.0;
        need(is_open_share(self.probability), "probability", &self.probability, "in (0, 1)");
        need(self.best >= 1, "best", &self.best, "at least 1");
        need((0.0..1.0).contains(&self.share), "share", &self.share, "in [0, 1)");
        let rungs = &self.rungs;
        let are_rising = rungs.first().is_some_and(|&first| first >= 1) && rungs.is_sorted_by(|a, b| a < b);
        need(are_rising, "rungs", &format!("{rungs:?}"), "epochs from 1, rising");
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::{Preset, Settings};

    /// The quick preset's settings as a study of before has them.
    fn older(pruning: &str) -> String {
        let mut document = Preset::Quick.document("digits").unwrap();
        document.remove("early_stopping");
        format!("{document}\n[pruning]\n{pruning}\n")
    }

    #[test]
    fn a_study_of_before_is_stopped_as_it_was() {
        let settings = Settings::from_toml(&older("share = 0.4\nepoch = 1\nstartup_trials = 10")).unwrap();
        assert_eq!(settings.early_stopping.reward, StoppedReward::Reached);
        let rule = settings.early_stopping.rule_settings();
        assert_eq!(rule, RuleSettings::Rank(RankSettings { share: 0.4, epochs: vec![1], startup: 10 }));
        let settings = Settings::from_toml(&older("share = 0.0\nepoch = 1\nstartup_trials = 10")).unwrap();
        assert_eq!(settings.early_stopping.rule_settings(), RuleSettings::Off);
    }

    #[test]
    fn what_cannot_be_converted_is_refused_by_name() {
        let error = Settings::from_toml(&older("share = 0.4\nepochs = 1")).unwrap_err().to_string();
        assert!(error.contains("pruning"), "{error}");
        let both = format!("{}\n[pruning]\nshare = 0.4\n", Preset::Quick.document("digits").unwrap());
        assert!(Settings::from_toml(&both).unwrap_err().to_string().contains("pruning"));
    }

    #[test]
    fn every_violation_is_named() {
        let mut document = Preset::Quick.document("digits").unwrap();
        for assignment in ["burn_in=1", "first_epoch=0", "probability=1.0", "best=0", "share=1.0", "rungs=[2, 1]"] {
            crate::settings::set(&mut document, &format!("early_stopping.{assignment}")).unwrap();
        }
        let error = Settings::from_toml(&document.to_string()).unwrap_err().to_string();
        for part in ["burn_in = 1", "first_epoch = 0", "probability = 1", "best = 0", "share = 1", "rungs = [2, 1]"] {
            assert!(error.contains(&format!("early_stopping.{part}")), "{part}: {error}");
        }
        for rule in ["sometimes", "off"] {
            crate::settings::set(&mut document, &format!("early_stopping.rule={rule:?}")).unwrap();
            let error = Settings::from_toml(&document.to_string()).unwrap_err().to_string();
            assert!(error.contains("prediction"), "{error}");
        }
    }

    #[test]
    fn no_rung_comes_before_the_first_epoch() {
        let mut settings = Settings::from_toml(&Preset::Quick.document("digits").unwrap().to_string()).unwrap();
        let table = &mut settings.early_stopping;
        (table.rule, table.first_epoch, table.rungs) = (StoppingRule::Rank, 2, vec![1, 2, 4]);
        assert!(matches!(table.rule_settings(), RuleSettings::Rank(rank) if rank.epochs == [2, 4]));
    }
}
