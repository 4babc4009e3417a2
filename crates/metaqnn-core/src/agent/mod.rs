//! The agents, over any finite-horizon decision process.
//!
//! [`QLearning`] is the paper's (Baker et al. 2017, sections 3 and 4), tabular with experience replay; every formula is a short
//! pure function named for it. [`ModelBased`] is our own, built upon it: a [`RewardModel`] ranks what Q-learning
//! and mutation propose. [`RandomAgent`], [`Evolution`] and [`LocalSearch`] are its rivals.

mod decision_process;
mod epsilon;
mod evolution;
mod features;
mod gaussian_process;
mod local_search;
mod model_based;
mod neighbourhood;
mod q_learning;
mod q_table;
mod random;
mod replay;
mod reward_model;
mod settings;

pub use decision_process::{Agent, DecisionProcess, Novelty, Reward, Situation, random_trajectory, sample_trajectory};
pub use epsilon::{EpsilonSchedule, EpsilonStretch, epsilon_greedy};
pub use evolution::Evolution;
pub use features::{Feature, sequence_features};
pub use gaussian_process::Prediction;
pub use local_search::LocalSearch;
pub use model_based::ModelBased;
pub use neighbourhood::{mutant, neighbours};
pub use q_learning::QLearning;
pub use q_table::{QTable, QValue, Step, UpdateRule, update_q_value, update_trajectory};
pub use random::RandomAgent;
pub use replay::ReplayMemory;
pub use reward_model::{Observations, RewardModel};
pub use settings::{AgentName, AgentSettings, EvolutionSettings, LocalSearchSettings, ModelBasedSettings, new_agent};
