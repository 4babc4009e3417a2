//! Local search (White et al., "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021).

use std::collections::HashSet;

use rand_chacha::ChaCha8Rng;

use super::decision_process::{Agent, DecisionProcess, Novelty, Reward, Situation, random_trajectory};
use super::neighbourhood::{mutant, neighbours};
use super::q_table::QTable;
use super::settings::LocalSearchSettings;

/// Draws for a neighbour before the first untried one in order is taken.
const DRAWS: u32 = 1_000;

/// Climbs from the best of a few random models: tries the neighbours of where it stands in random order and moves to the
/// first that is better. Where none is, it climbs anew from a random model.
pub struct LocalSearch<P: DecisionProcess> {
    random_starts: usize,
    known: HashSet<Vec<P::Action>>,
    /// Where the climb stands, and the reward there.
    summit: Option<(Vec<P::Action>, f64)>,
    /// The neighbours of the summit.
    around: Vec<Vec<P::Action>>,
    table: QTable<P::Observation, P::Action>,
}

impl<P: DecisionProcess> LocalSearch<P> {
    /// An agent that has learned nothing.
    pub fn new(settings: &LocalSearchSettings) -> Self {
        LocalSearch {
            random_starts: settings.random_starts as usize,
            known: HashSet::new(),
            summit: None,
            around: Vec::new(),
            table: QTable::new(0.0),
        }
    }
}

impl<P: DecisionProcess> Agent<P> for LocalSearch<P> {
    fn propose(&self, process: &P, situation: &Situation<'_, P::Action>, generator: &mut ChaCha8Rng) -> Vec<P::Action> {
        let untried = |actions: &Vec<P::Action>| !self.known.contains(actions) && !situation.pending.contains(actions);
        let climbs = self.known.len() >= self.random_starts && self.around.iter().any(untried);
        if let Some((summit, _)) = self.summit.as_ref().filter(|_| climbs) {
            let drawn = (0..DRAWS).find_map(|_| mutant(process, summit, generator).filter(untried));
            if let Some(neighbour) = drawn.or_else(|| self.around.iter().find(|it| untried(it)).cloned()) {
                return neighbour;
            }
        }
        random_trajectory(process, generator)
    }

    fn learn(&mut self, process: &P, actions: &[P::Action], reward: Reward, novelty: Novelty, _: &mut ChaCha8Rng) {
        let summit_is_done = self.known.len() >= self.random_starts
            && self.around.iter().all(|neighbour| self.known.contains(neighbour));
        self.known.insert(actions.to_vec());
        let reward = reward.value();
        let better = self.summit.as_ref().is_none_or(|(_, highest)| reward > *highest);
        if novelty == Novelty::New && (better || summit_is_done) {
            self.summit = Some((actions.to_vec(), reward));
            self.around = neighbours(process, actions);
        }
    }

    fn q_table(&self) -> &QTable<P::Observation, P::Action> {
        &self.table
    }
}
