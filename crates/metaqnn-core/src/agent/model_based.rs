//! Our own agent: Q-learning whose proposals a learned model of the reward ranks.

use std::collections::HashSet;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use super::decision_process::{Agent, DecisionProcess, Novelty, Reward, Situation};
use super::neighbourhood::mutant;
use super::q_learning::QLearning;
use super::q_table::QTable;
use super::reward_model::{Observations, RewardModel};
use super::settings::{AgentSettings, ModelBasedSettings};

/// Draws after which everything proposed counts as known.
const DRAWS: u32 = 20;

/// Draws for each candidate, where many are known or over a limit.
const DRAWS_A_CANDIDATE: usize = 10;

/// Q-learning with λ-returns and experience replay proposes trajectories, as does mutation of the best; a [`RewardModel`],
/// fitted anew at each ask to what was learned, ranks them, and the first is tried.
///
/// Ranked is by Thompson sampling: each candidate's worth is drawn from what the model believes of it, so that what it does not
/// know is tried as often as it may be the best. No more candidates are ranked than models are known, since the best of many
/// guesses of a model of few observations is its greatest mistake.
///
/// What is told feeds the Q-table too; the model changes nothing in it. So the agent's state is that of Q-learning, with the
/// features and rewards of at most so many models as the settings say.
pub struct ModelBased<P: DecisionProcess> {
    settings: ModelBasedSettings,
    q_learning: QLearning<P>,
    known: HashSet<Vec<P::Action>>,
    observations: Observations<P::Action>,
}

impl<P: DecisionProcess> ModelBased<P> {
    /// An agent that has learned nothing.
    pub fn new(settings: &AgentSettings) -> Self {
        let own = &settings.model_based;
        ModelBased {
            q_learning: QLearning::with_trace_decay(settings, own.trace_decay),
            known: HashSet::new(),
            observations: Observations::new(own.memory as usize),
            settings: own.clone(),
        }
    }

    /// A trajectory by Q-learning, a new one where a few draws give one.
    fn explore(&self, process: &P, situation: &Situation<'_, P::Action>, generator: &mut ChaCha8Rng) -> Vec<P::Action> {
        let mut proposed = self.q_learning.propose(process, situation, generator);
        for _ in 1..DRAWS {
            if !self.known.contains(&proposed) && !situation.pending.contains(&proposed) {
                break;
            }
            proposed = self.q_learning.propose(process, situation, generator);
        }
        proposed
    }

    /// Different trajectories that are neither known nor in training, from Q-learning and by mutation of `parents`.
    fn candidates(
        &self,
        process: &P,
        situation: &Situation<'_, P::Action>,
        parents: &[&[P::Action]],
        generator: &mut ChaCha8Rng,
    ) -> Vec<Vec<P::Action>> {
        let wanted = (self.settings.candidates as usize).min(self.observations.len());
        let mut seen: HashSet<Vec<P::Action>> = situation.pending.iter().cloned().collect();
        let mut candidates = Vec::with_capacity(wanted);
        let mut draws = 0;
        while candidates.len() < wanted && draws < DRAWS_A_CANDIDATE * wanted {
            draws += 1;
            let parent = parents[generator.random_range(0..parents.len())];
            let mutated = (generator.random::<f64>() < self.settings.mutant_share)
                .then(|| mutant(process, parent, generator))
                .flatten();
            let candidate = mutated.unwrap_or_else(|| self.q_learning.propose(process, situation, generator));
            if !self.known.contains(&candidate)
                && (situation.within_limits)(&candidate)
                && seen.insert(candidate.clone())
            {
                candidates.push(candidate);
            }
        }
        candidates
    }
}

impl<P: DecisionProcess> Agent<P> for ModelBased<P> {
    fn propose(&self, process: &P, situation: &Situation<'_, P::Action>, generator: &mut ChaCha8Rng) -> Vec<P::Action> {
        let begun = self.known.len() + situation.pending.len();
        let model =
            if begun < self.settings.random_starts as usize { None } else { RewardModel::fit(&self.observations) };
        let Some(mut model) = model else { return self.explore(process, situation, generator) };
        for pending in situation.pending {
            model.expect(&process.features(pending));
        }
        let parents = model.best(self.settings.parents as usize);
        let mut best: Option<(f64, Vec<P::Action>)> = None;
        for candidate in self.candidates(process, situation, &parents, generator) {
            let prediction = model.predict(&process.features(&candidate));
            let worth = prediction.mean + prediction.standard_deviation * standard_normal(generator);
            if best.as_ref().is_none_or(|(highest, _)| worth > *highest) {
                best = Some((worth, candidate));
            }
        }
        best.map_or_else(|| self.explore(process, situation, generator), |(_, candidate)| candidate)
    }

    fn learn(
        &mut self,
        process: &P,
        actions: &[P::Action],
        reward: Reward,
        novelty: Novelty,
        generator: &mut ChaCha8Rng,
    ) {
        self.q_learning.learn(process, actions, reward, novelty, generator);
        self.known.insert(actions.to_vec());
        if novelty == Novelty::New {
            self.observations.add(actions.to_vec(), process.features(actions), reward);
        }
    }

    fn q_table(&self) -> &QTable<P::Observation, P::Action> {
        self.q_learning.q_table()
    }
}

/// A draw from the normal distribution of mean 0 and standard deviation 1 (Box and Muller, 1958).
fn standard_normal(generator: &mut impl Rng) -> f64 {
    // 1 − u lies in (0, 1], so that its logarithm is finite.
    let radius = (-2.0 * (1.0 - generator.random::<f64>()).ln()).sqrt();
    radius * (std::f64::consts::TAU * generator.random::<f64>()).cos()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    #[test]
    fn normal_draws_have_mean_0_and_variance_1() {
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let draws: Vec<f64> = (0..20_000).map(|_| standard_normal(&mut generator)).collect();
        let mean = draws.iter().sum::<f64>() / 20_000.0;
        let variance = draws.iter().map(|x| x * x).sum::<f64>() / 20_000.0;
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
    }
}
