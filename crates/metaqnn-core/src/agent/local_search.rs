//! Local search (White et al., "Exploring the Loss Landscape in Neural Architecture Search", UAI 2021).

use std::collections::HashSet;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::decision_process::{Agent, DecisionProcess, Novelty, Reward, Situation, random_trajectory};
use super::neighbourhood::neighbours;
use super::q_table::QTable;
use super::settings::LocalSearchSettings;

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
        let untried =
            |actions: &&Vec<P::Action>| !self.known.contains(*actions) && !situation.pending.contains(actions);
        let open: Vec<&Vec<P::Action>> = self.around.iter().filter(untried).collect();
        if self.known.len() < self.random_starts || open.is_empty() {
            return random_trajectory(process, generator);
        }
        if std::env::var("LSM").is_ok()
            && let Some((summit, _)) = &self.summit
        {
            for _ in 0..200 {
                if let Some(m) = super::neighbourhood::mutant(process, summit, generator)
                    && untried(&&m)
                {
                    return m;
                }
            }
        }
        open[generator.random_range(0..open.len())].clone()
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
