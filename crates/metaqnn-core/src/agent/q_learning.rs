//! The paper's agent.

use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use super::decision_process::{Agent, DecisionProcess, Novelty, sample_trajectory};
use super::epsilon::{EpsilonSchedule, epsilon_greedy};
use super::q_table::{QTable, Step, update_trajectory};
use super::replay::ReplayMemory;

/// The agent's settings. Table `[agent]`.
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
}

/// Tabular Q-learning with ε-greedy exploration and experience replay, exactly as published (spec 2).
pub struct QLearning<P: DecisionProcess> {
    q_learning_rate: f64,
    discount_factor: f64,
    replay_draws: u32,
    table: QTable<P::Observation, P::Action>,
    memory: ReplayMemory,
    /// Place in the memory of each trajectory, by its steps.
    known: HashMap<Box<[Step]>, u32>,
}

impl<P: DecisionProcess> QLearning<P> {
    /// An agent that has learned nothing.
    pub fn new(settings: &AgentSettings) -> Self {
        QLearning {
            q_learning_rate: settings.q_learning_rate,
            discount_factor: settings.discount_factor,
            replay_draws: settings.replay_draws,
            table: QTable::new(settings.initial_q_value),
            memory: ReplayMemory::default(),
            known: HashMap::new(),
        }
    }

    fn steps(&mut self, process: &P, actions: &[P::Action]) -> Vec<Step> {
        let mut steps = Vec::with_capacity(actions.len());
        let mut state = Some(process.start());
        for action in actions {
            let Some(current) = state else { break };
            steps.push(self.table.step(&process.observe(&current), &process.legal_actions(&current), action));
            state = process.next_state(&current, action);
        }
        steps
    }
}

impl<P: DecisionProcess> Agent<P> for QLearning<P> {
    fn propose(&self, process: &P, epsilon: f64, generator: &mut ChaCha8Rng) -> Vec<P::Action> {
        sample_trajectory(process, |observation, legal| {
            epsilon_greedy(&self.table.q_values(observation, legal), epsilon, generator)
        })
    }

    /// Updates along the trajectory once and remembers it; after a new one, updates along trajectories drawn from memory.
    fn learn(&mut self, process: &P, actions: &[P::Action], reward: f64, novelty: Novelty, generator: &mut ChaCha8Rng) {
        let steps = self.steps(process, actions);
        update_trajectory(&mut self.table, &steps, reward, self.q_learning_rate, self.discount_factor);
        match (novelty, self.known.get(steps.as_slice())) {
            (Novelty::Repeated, Some(&number)) => return self.memory.add_again(number),
            (Novelty::Repeated, None) => {
                self.memory.add(steps, reward);
                return;
            }
            (Novelty::New, _) => {
                let number = self.memory.add(steps.clone(), reward);
                self.known.insert(steps.into_boxed_slice(), number);
            }
        }
        for _ in 0..self.replay_draws {
            if let Some((steps, reward)) = self.memory.draw(generator) {
                update_trajectory(&mut self.table, steps, reward, self.q_learning_rate, self.discount_factor);
            }
        }
    }

    fn q_table(&self) -> &QTable<P::Observation, P::Action> {
        &self.table
    }
}
