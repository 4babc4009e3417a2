//! The paper's agent.

use std::collections::HashMap;

use rand_chacha::ChaCha8Rng;

use super::decision_process::{Agent, DecisionProcess, Novelty, Reward, Situation, sample_trajectory};
use super::epsilon::epsilon_greedy;
use super::q_table::{QTable, Step, UpdateRule, update_trajectory};
use super::replay::ReplayMemory;
use super::settings::AgentSettings;

/// Tabular Q-learning with ε-greedy exploration and experience replay; with one-step targets exactly as published.
pub struct QLearning<P: DecisionProcess> {
    rule: UpdateRule,
    replay_draws: u32,
    table: QTable<P::Observation, P::Action>,
    memory: ReplayMemory,
    /// Place in the memory of each trajectory, by its steps.
    known: HashMap<Box<[Step]>, u32>,
}

impl<P: DecisionProcess> QLearning<P> {
    /// An agent that has learned nothing. Its targets are one-step, whatever the settings' λ.
    pub fn new(settings: &AgentSettings) -> Self {
        QLearning::with_trace_decay(settings, 0.0)
    }

    /// An agent that has learned nothing and whose targets are λ-returns with λ = `trace_decay`.
    pub fn with_trace_decay(settings: &AgentSettings, trace_decay: f64) -> Self {
        let AgentSettings { q_learning_rate, discount_factor, .. } = *settings;
        QLearning {
            rule: UpdateRule { q_learning_rate, discount_factor, trace_decay },
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
    fn propose(&self, process: &P, situation: &Situation<'_, P::Action>, generator: &mut ChaCha8Rng) -> Vec<P::Action> {
        sample_trajectory(process, |observation, legal| {
            epsilon_greedy(&self.table.q_values(observation, legal), situation.epsilon, generator)
        })
    }

    /// Updates along the trajectory once and remembers it; after a new one, updates along trajectories drawn from memory.
    fn learn(
        &mut self,
        process: &P,
        actions: &[P::Action],
        reward: Reward,
        novelty: Novelty,
        generator: &mut ChaCha8Rng,
    ) {
        let reward = reward.value();
        let steps = self.steps(process, actions);
        update_trajectory(&mut self.table, &steps, reward, self.rule);
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
                update_trajectory(&mut self.table, steps, reward, self.rule);
            }
        }
    }

    fn q_table(&self) -> &QTable<P::Observation, P::Action> {
        &self.table
    }
}
