//! All settings of a study.

use serde::{Deserialize, Serialize};

use super::early_stopping::{EarlyStoppingSettings, converted};
use super::preset::{SettingsError, in_a_line};
use super::training::{Optimizer, Schedule, TrainingSettings};
use crate::agent::{AgentName, AgentSettings, EpsilonStretch};
use crate::space::SpaceSettings;
use crate::study::known_network;
use crate::violation::Violation;

/// All settings of a study, as the presets have them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// How long and with what.
    pub search: SearchSettings,
    /// What is searched.
    pub space: SpaceSettings,
    /// How the agent learns.
    pub agent: AgentSettings,
    /// How trials are trained.
    pub training: TrainingSettings,
    /// What is not trained to its end.
    pub early_stopping: EarlyStoppingSettings,
    /// What is not trained at all.
    pub limits: LimitSettings,
    /// What is done with the best network.
    #[serde(rename = "final")]
    pub final_phase: FinalSettings,
}

/// Table `[search]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SearchSettings {
    /// The agent.
    pub agent: AgentName,
    /// Unique models to train; 0 where the budget ends the search.
    pub models: u64,
    /// Seconds for the whole run, final training included; 0 where the models end it.
    pub budget_seconds: f64,
    /// Seed from which every generator is derived.
    pub seed: u64,
    /// Worker processes; 0 for one a core.
    pub workers: u32,
    /// Threads of each worker.
    pub threads: u32,
    /// Device, as `cpu` or `cuda:0`.
    pub device: String,
    /// Networks known to be good elsewhere, tried before any that the agent proposes: texts of architectures with `n` for the number of classes.
    /// Those that are not in the space, or over a limit, are passed over; the agents `paper` and `random` never see any. Studies of
    /// earlier versions have none.
    #[serde(default)]
    pub first_networks: Vec<String>,
}

/// Table `[limits]`: networks over one of them are not trained, and their reward is that of a failure. 0: no limit.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitSettings {
    /// Trainable values.
    pub params: u64,
    /// Predicted memory of training, in MiB.
    pub memory_mib: u64,
    /// Millions of FLOPs, forward, for one image.
    pub mflops: u64,
    /// Estimated microseconds of training on one image on one thread of a CPU, see
    /// [`Graph::training_microseconds`](crate::graph::Graph::training_microseconds). Studies of before there was this limit do not have it.
    #[serde(default)]
    pub train_microseconds: u64,
    /// Passes over 50,000 images, or over those of a larger data set, that the final training must be able to make within its share of the
    /// budget; of fewer images see [`images_seen`](crate::study::images_seen).
    pub final_epochs: u32,
}

/// Table `[final]`: of the best networks of the search one is chosen, trained on training and validation data and measured
/// once on the test data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FinalSettings {
    /// Whether a search ends with it.
    pub enabled: bool,
    /// Share of the budget that it takes, where there is one, the training of the candidates included.
    pub budget_share: f64,
    /// Networks that are trained longer than a trial, and validated, to choose the one of the final training; with 1 it is the
    /// best of the search.
    pub candidates: u32,
    /// Share of the final phase's time in which all candidates are trained; without a budget, the share of the final
    /// training's epochs that each of them gets.
    pub candidates_share: f64,
    /// How it trains.
    pub training: TrainingSettings,
}

impl FinalSettings {
    /// Share of the final phase that goes to choosing among candidates, 0 where there is nothing to choose.
    pub fn share_of_candidates(&self) -> f64 {
        if self.candidates > 1 { self.candidates_share } else { 0.0 }
    }
}

/// Most models, of a search and of a stretch of the ε schedule.
const MOST_MODELS: u64 = 1_000_000_000_000;

/// Most seconds of a budget: thirty years.
const MOST_SECONDS: f64 = 1e9;

/// Most workers, and threads of each. How many of them a machine bears is checked where they are started.
const MOST_THREADS: u32 = 1_024;

/// Most trajectories of a replay: with more, learning from one network takes seconds.
const MOST_REPLAY_DRAWS: u32 = 10_000;

/// Most networks to choose among.
const MOST_CANDIDATES: u32 = 1_000;

impl Settings {
    /// Whether a budget and a final training say how large networks may be, see [`BudgetPlan`](crate::study::BudgetPlan).
    pub fn budget_limits_networks(&self) -> bool {
        self.limits.final_epochs > 0 && self.final_phase.enabled && self.search.budget_seconds > 0.0
    }

    /// Reads settings that are complete; those of an older study may have the table `[pruning]` in place of `[early_stopping]`.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] with the key of what cannot be read, or with every violation.
    pub fn from_toml(text: &str) -> Result<Self, SettingsError> {
        let of_older_study = converted(text);
        let text = of_older_study.as_deref().unwrap_or(text);
        let settings: Settings = toml::from_str(text).map_err(|mut error| {
            // Without the text the error names the setting. The text is of preset, file and arguments laid over each other: its lines
            // are nobody's.
            error.set_input(None);
            SettingsError::Syntax(in_a_line(&error.to_string()))
        })?;
        let violations = settings.violations();
        if violations.is_empty() { Ok(settings) } else { Err(SettingsError::Violations(violations)) }
    }

    /// Everything that is out of its range.
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = self.space.violations();
        let agent = &self.agent;
        for (path, value) in [
            ("agent.initial_q_value", agent.initial_q_value),
            ("agent.q_learning_rate", agent.q_learning_rate),
            ("agent.discount_factor", agent.discount_factor),
        ] {
            share(path, value, &mut found);
        }
        if agent.epsilon_schedule.stretches.is_empty() {
            found.push(Violation::new("agent.epsilon_schedule", "[]", "a list of at least one stretch"));
        }
        for stretch in &agent.epsilon_schedule.stretches {
            share("agent.epsilon_schedule.epsilon", stretch.epsilon(), &mut found);
            match stretch {
                EpsilonStretch::Share { share: part, .. } => share("agent.epsilon_schedule.share", *part, &mut found),
                EpsilonStretch::Models { models, .. } => {
                    at_most("agent.epsilon_schedule.models", *models, MOST_MODELS, &mut found);
                }
            }
        }
        check_agents(agent, &mut found);
        let seconds = self.search.budget_seconds;
        if !(0.0..=MOST_SECONDS).contains(&seconds) {
            found.push(Violation::new("search.budget_seconds", seconds, format!("in 0..={MOST_SECONDS}")));
        }
        at_most("search.models", self.search.models, MOST_MODELS, &mut found);
        if self.search.models == 0 && seconds == 0.0 {
            found.push(Violation::new("search.models", 0, "above 0, or search.budget_seconds must be"));
        }
        for text in &self.search.first_networks {
            if let Err(error) = known_network(text, 2) {
                found.push(Violation::new(
                    "search.first_networks",
                    format!("{text:?}"),
                    format!("networks, n for the classes: {error}"),
                ));
            }
        }
        at_most("search.workers", self.search.workers, MOST_THREADS, &mut found);
        if !(1..=MOST_THREADS).contains(&self.search.threads) {
            found.push(Violation::new("search.threads", self.search.threads, format!("in 1..={MOST_THREADS}")));
        }
        self.early_stopping.violations(&mut found);
        if !(0.0..0.95).contains(&self.final_phase.budget_share) {
            found.push(Violation::new("final.budget_share", self.final_phase.budget_share, "in [0, 0.95)"));
        }
        if !(1..=MOST_CANDIDATES).contains(&self.final_phase.candidates) {
            let candidates = self.final_phase.candidates;
            found.push(Violation::new("final.candidates", candidates, format!("in 1..={MOST_CANDIDATES}")));
        }
        if !(0.0..0.95).contains(&self.final_phase.candidates_share) {
            found.push(Violation::new("final.candidates_share", self.final_phase.candidates_share, "in [0, 0.95)"));
        }
        check_training("training", &self.training, &mut found);
        check_training("final.training", &self.final_phase.training, &mut found);
        found
    }
}

fn at_most<N: PartialOrd + std::fmt::Display>(path: &str, value: N, most: N, found: &mut Vec<Violation>) {
    if value > most {
        found.push(Violation::new(path, value, format!("at most {most}")));
    }
}

fn share(path: &str, value: f64, found: &mut Vec<Violation>) {
    if !(0.0..=1.0).contains(&value) {
        found.push(Violation::new(path, value, "in [0, 1]"));
    }
}

/// The tables of the single agents.
fn check_agents(agent: &AgentSettings, found: &mut Vec<Violation>) {
    at_most("agent.replay_draws", agent.replay_draws, MOST_REPLAY_DRAWS, found);
    let own = &agent.model_based;
    share("agent.model_based.trace_decay", own.trace_decay, found);
    share("agent.model_based.mutant_share", own.mutant_share, found);
    let evolution = &agent.evolution;
    for (path, value, least, most) in [
        ("agent.model_based.random_starts", own.random_starts, 0, 1_000_000),
        ("agent.model_based.candidates", own.candidates, 1, 10_000),
        ("agent.model_based.parents", own.parents, 1, 1_000),
        ("agent.model_based.memory", own.memory, 10, 2_000),
        ("agent.evolution.population_size", evolution.population_size, 1, 1_000_000),
        ("agent.evolution.sample_size", evolution.sample_size, 1, 10_000),
        ("agent.local_search.random_starts", agent.local_search.random_starts, 0, 1_000_000),
    ] {
        if !(least..=most).contains(&value) {
            found.push(Violation::new(path, value, format!("in {least}..={most}")));
        }
    }
}

fn check_training(path: &str, training: &TrainingSettings, found: &mut Vec<Violation>) {
    let mut need = |holds: bool, key: &str, value: &dyn std::fmt::Display, allowed: &str| {
        if !holds {
            found.push(Violation::new(format!("{path}.{key}"), value, allowed));
        }
    };
    need(training.epochs >= 1, "epochs", &training.epochs, "at least 1");
    need((1..=65_536).contains(&training.batch_size), "batch_size", &training.batch_size, "in 1..=65536");
    let rate = training.learning_rate;
    need(rate > 0.0 && rate <= 10.0, "learning_rate", &rate, "in (0, 10]");
    need((0.0..1.0).contains(&training.weight_decay), "weight_decay", &training.weight_decay, "in [0, 1)");
    need((0.0..1.0).contains(&training.max_dropout), "max_dropout", &training.max_dropout, "in [0, 1)");
    need((0.0..1.0).contains(&training.label_smoothing), "label_smoothing", &training.label_smoothing, "in [0, 1)");
    let restart = training.restart;
    need((1..=100).contains(&restart.tries), "restart.tries", &restart.tries, "in 1..=100");
    need(restart.factor > 0.0 && restart.factor <= 1.0, "restart.factor", &restart.factor, "in (0, 1]");
    need((0.0..1.0).contains(&restart.margin), "restart.margin", &restart.margin, "in [0, 1)");
    let nats = restart.loss_margin;
    need(nats.is_finite() && nats >= 0.0, "restart.loss_margin", &nats, "0 or more");
    match training.optimizer {
        Optimizer::Adam { beta_1, beta_2, epsilon } => {
            need((0.0..1.0).contains(&beta_1), "optimizer.beta_1", &beta_1, "in [0, 1)");
            need((0.0..1.0).contains(&beta_2), "optimizer.beta_2", &beta_2, "in [0, 1)");
            need(epsilon > 0.0 && epsilon < 1.0, "optimizer.epsilon", &epsilon, "in (0, 1)");
        }
        Optimizer::Muon { rate, momentum, iterations, beta_1, beta_2, epsilon } => {
            need(rate > 0.0 && rate <= 1000.0, "optimizer.rate", &rate, "in (0, 1000]");
            need((0.0..1.0).contains(&momentum), "optimizer.momentum", &momentum, "in [0, 1)");
            need((1..=20).contains(&iterations), "optimizer.iterations", &iterations, "in 1..=20");
            need((0.0..1.0).contains(&beta_1), "optimizer.beta_1", &beta_1, "in [0, 1)");
            need((0.0..1.0).contains(&beta_2), "optimizer.beta_2", &beta_2, "in [0, 1)");
            need(epsilon > 0.0 && epsilon < 1.0, "optimizer.epsilon", &epsilon, "in (0, 1)");
        }
        Optimizer::Sgd { momentum, .. } => {
            need((0.0..1.0).contains(&momentum), "optimizer.momentum", &momentum, "in [0, 1)");
        }
    }
    match &training.schedule {
        Schedule::Step { every_epochs, factor } => {
            need(*every_epochs >= 1, "schedule.every_epochs", every_epochs, "at least 1");
            need(*factor > 0.0 && *factor <= 1.0, "schedule.factor", factor, "in (0, 1]");
        }
        Schedule::OneCycle { warmup } => {
            need(*warmup > 0.0 && *warmup < 1.0, "schedule.warmup", warmup, "in (0, 1)");
        }
        Schedule::Piecewise { stretches } => {
            need(!stretches.is_empty(), "schedule.stretches", &"[]", "a list of at least one [rate, epochs]");
        }
    }
}
