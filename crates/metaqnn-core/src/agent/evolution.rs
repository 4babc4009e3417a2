//! Regularized evolution (Real et al., "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019).

use std::collections::VecDeque;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::decision_process::{Agent, DecisionProcess, Novelty, Reward, Situation, random_trajectory};
use super::neighbourhood::mutant;
use super::q_table::QTable;
use super::settings::EvolutionSettings;

/// Mutates the best of a few models drawn from the youngest ones. A model leaves the population by age, however good it is.
pub struct Evolution<P: DecisionProcess> {
    population_size: usize,
    sample_size: usize,
    population: VecDeque<(Vec<P::Action>, f64)>,
    table: QTable<P::Observation, P::Action>,
}

impl<P: DecisionProcess> Evolution<P> {
    /// An agent that has learned nothing.
    pub fn new(settings: &EvolutionSettings) -> Self {
        Evolution {
            population_size: settings.population_size as usize,
            sample_size: settings.sample_size as usize,
            population: VecDeque::new(),
            table: QTable::new(0.0),
        }
    }
}

impl<P: DecisionProcess> Agent<P> for Evolution<P> {
    /// Random until the population is full, then a mutant of the best of those drawn, with replacement, from it.
    fn propose(&self, process: &P, _: &Situation<'_, P::Action>, generator: &mut ChaCha8Rng) -> Vec<P::Action> {
        if self.population.len() < self.population_size {
            return random_trajectory(process, generator);
        }
        let drawn = (0..self.sample_size).map(|_| &self.population[generator.random_range(0..self.population.len())]);
        let parent = drawn.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(actions, _)| actions);
        let child = parent.and_then(|parent| mutant(process, parent, generator));
        child.unwrap_or_else(|| random_trajectory(process, generator))
    }

    /// The youngest joins the population, the oldest leaves it.
    fn learn(&mut self, _: &P, actions: &[P::Action], reward: Reward, novelty: Novelty, _: &mut ChaCha8Rng) {
        if novelty == Novelty::Repeated {
            return;
        }
        self.population.push_back((actions.to_vec(), reward.value()));
        if self.population.len() > self.population_size {
            self.population.pop_front();
        }
    }

    fn q_table(&self) -> &QTable<P::Observation, P::Action> {
        &self.table
    }
}
