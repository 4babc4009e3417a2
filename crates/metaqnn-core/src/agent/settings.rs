//! The agents' settings, and which agent a study has.

use serde::{Deserialize, Serialize};

use super::decision_process::{Agent, DecisionProcess};
use super::epsilon::EpsilonSchedule;
use super::evolution::Evolution;
use super::local_search::LocalSearch;
use super::model_based::ModelBased;
use super::q_learning::QLearning;
use super::random::RandomAgent;

/// Which agent proposes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AgentName {
    /// The project's own choice, [`AgentName::ModelBased`].
    Default,
    /// Q-learning whose proposals a learned model of the reward ranks.
    ModelBased,
    /// Q-learning as published.
    Paper,
    /// Every action uniform.
    Random,
    /// Regularized evolution.
    Evolution,
    /// Local search.
    LocalSearch,
}

impl AgentName {
    /// Every agent, in the order in which they are named to people.
    pub const ALL: [AgentName; 6] = [
        AgentName::Default,
        AgentName::ModelBased,
        AgentName::Paper,
        AgentName::Random,
        AgentName::Evolution,
        AgentName::LocalSearch,
    ];

    /// Its name in settings, on the command line and in figures.
    pub fn name(self) -> &'static str {
        match self {
            AgentName::Default => "default",
            AgentName::ModelBased => "model-based",
            AgentName::Paper => "paper",
            AgentName::Random => "random",
            AgentName::Evolution => "evolution",
            AgentName::LocalSearch => "local-search",
        }
    }

    /// The agent that it stands for: the project's own choice is one of the others.
    pub fn resolved(self) -> Self {
        match self {
            AgentName::Default => AgentName::ModelBased,
            other => other,
        }
    }

    /// The names of all, with commas between.
    pub fn all_names() -> String {
        AgentName::ALL.map(AgentName::name).join(", ")
    }
}

/// Table `[agent]`. Every agent takes from it what it needs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentSettings {
    /// Value of every state and action at first.
    pub initial_q_value: f64,
    /// α.
    pub q_learning_rate: f64,
    /// γ.
    pub discount_factor: f64,
    /// Trajectories drawn from the replay memory after each new one.
    pub replay_draws: u32,
    /// The ε schedule.
    pub epsilon_schedule: EpsilonSchedule,
    /// Our own agent.
    pub model_based: ModelBasedSettings,
    /// Regularized evolution.
    pub evolution: EvolutionSettings,
    /// Local search.
    pub local_search: LocalSearchSettings,
}

/// Table `[agent.model_based]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelBasedSettings {
    /// λ of the updates' targets.
    pub trace_decay: f64,
    /// Models that are proposed before the reward model ranks.
    pub random_starts: u32,
    /// Most trajectories that are ranked at each ask; never more than models are known.
    pub candidates: u32,
    /// Share of them that are mutants of the best models.
    pub mutant_share: f64,
    /// The best models so many of which are mutated.
    pub parents: u32,
    /// Most models that the reward model is fitted to.
    pub memory: u32,
}

/// Table `[agent.evolution]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EvolutionSettings {
    /// The youngest models that can be parents.
    pub population_size: u32,
    /// Models of the population that are drawn; the best of them is the parent.
    pub sample_size: u32,
}

/// Table `[agent.local_search]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LocalSearchSettings {
    /// Random models before the first climb, which begins at the best of them.
    pub random_starts: u32,
}

/// An agent that has learned nothing.
pub fn new_agent<P>(name: AgentName, settings: &AgentSettings) -> Box<dyn Agent<P> + Send>
where
    P: DecisionProcess + 'static,
    P::Observation: Send,
    P::Action: Send,
{
    match name {
        AgentName::Default | AgentName::ModelBased => Box::new(ModelBased::new(settings)),
        AgentName::Paper => Box::new(QLearning::new(settings)),
        AgentName::Random => Box::new(RandomAgent::default()),
        AgentName::Evolution => Box::new(Evolution::new(&settings.evolution)),
        AgentName::LocalSearch => Box::new(LocalSearch::new(&settings.local_search)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Preset;

    #[test]
    fn every_agent_has_one_name_everywhere() {
        for agent in AgentName::ALL {
            let spelled = serde_json::to_string(&agent).unwrap();
            assert_eq!(spelled, format!("{:?}", agent.name()));
            assert_ne!(agent.resolved(), AgentName::Default);
        }
        for preset in [Preset::Quick, Preset::Paper] {
            let document = preset.document("").unwrap().to_string();
            assert!(document.contains(&format!("# {}\n", AgentName::all_names())), "{preset}:\n{document}");
        }
    }
}
