//! The yardstick: every action uniform, nothing learned.

use rand_chacha::ChaCha8Rng;

use super::decision_process::{Agent, DecisionProcess, Novelty, Reward, Situation, random_trajectory};
use super::q_table::QTable;

/// Takes every legal action with the same probability, whatever the rewards.
pub struct RandomAgent<P: DecisionProcess> {
    table: QTable<P::Observation, P::Action>,
}

impl<P: DecisionProcess> Default for RandomAgent<P> {
    fn default() -> Self {
        RandomAgent { table: QTable::new(0.0) }
    }
}

impl<P: DecisionProcess> Agent<P> for RandomAgent<P> {
    fn propose(&self, process: &P, _: &Situation<'_, P::Action>, generator: &mut ChaCha8Rng) -> Vec<P::Action> {
        random_trajectory(process, generator)
    }

    fn learn(&mut self, _: &P, _: &[P::Action], _: Reward, _: Novelty, _: &mut ChaCha8Rng) {}

    fn q_table(&self) -> &QTable<P::Observation, P::Action> {
        &self.table
    }
}
