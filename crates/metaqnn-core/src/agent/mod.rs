//! The agent: tabular Q-learning with experience replay over any finite-horizon decision process.
//!
//! Baker et al. 2017, sections 3 and 4; every formula is a short pure function named for it. [`QLearning`] is the paper's
//! agent, [`RandomAgent`] the yardstick.

mod decision_process;
mod epsilon;
mod q_learning;
mod q_table;
mod random;
mod replay;

pub use decision_process::{Agent, DecisionProcess, Novelty, sample_trajectory};
pub use epsilon::{EpsilonSchedule, EpsilonStretch, epsilon_greedy};
pub use q_learning::{AgentSettings, QLearning};
pub use q_table::{QTable, QValue, Step, update_q_value, update_trajectory};
pub use random::RandomAgent;
pub use replay::ReplayMemory;
