//! Our own agent: Q-learning whose proposals a learned model of the reward ranks.

use std::collections::HashSet;

use rand::RngExt;
use rand_chacha::ChaCha8Rng;

use super::decision_process::{Agent, DecisionProcess, Novelty, Reward, Situation};
use super::neighbourhood::mutant;
use super::q_learning::QLearning;
use super::q_table::QTable;
use super::reward_model::{Observations, RewardModel};
use super::settings::{AgentSettings, ModelBasedSettings};

pub struct ModelBased<P: DecisionProcess> {
    settings: ModelBasedSettings,
    q_learning: QLearning<P>,
    known: HashSet<Vec<P::Action>>,
    remembered: Vec<Vec<P::Action>>,
    observations: Observations,
}

fn param(name: &str, default: f64) -> f64 {
    std::env::var(name).ok().and_then(|v| v.parse().ok()).unwrap_or(default)
}

impl<P: DecisionProcess> ModelBased<P> {
    /// An agent that has learned nothing.
    pub fn new(settings: &AgentSettings) -> Self {
        let mut own = settings.model_based.clone();
        own.candidates = param("CAND", 100.0) as u32;
        own.mutant_share = param("MUT", own.mutant_share);
        own.parents = param("PARENTS", own.parents as f64) as u32;
        own.random_starts = param("STARTS", own.random_starts as f64) as u32;
        ModelBased {
            q_learning: QLearning::with_trace_decay(settings, own.trace_decay),
            settings: own,
            known: HashSet::new(),
            remembered: Vec::new(),
            observations: Observations::default(),
        }
    }
}

fn normal_cdf(x: f64) -> f64 {
    // Abramowitz-Stegun 7.1.26
    let z = x.abs() / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.3275911 * z);
    let erf = 1.0
        - (((((1.061405429 * t - 1.453152027) * t) + 1.421413741) * t - 0.284496736) * t + 0.254829592)
            * t
            * (-z * z).exp();
    if x >= 0.0 { 0.5 * (1.0 + erf) } else { 0.5 * (1.0 - erf) }
}

impl<P: DecisionProcess> Agent<P> for ModelBased<P> {
    fn propose(&self, process: &P, situation: &Situation<'_, P::Action>, generator: &mut ChaCha8Rng) -> Vec<P::Action> {
        let s = &self.settings;
        let mut seen: HashSet<Vec<P::Action>> = situation.pending.iter().cloned().collect();
        let begun = self.known.len() + seen.len();
        let eps = param("EPS", -1.0);
        let situation_q = Situation {
            epsilon: if eps >= 0.0 && begun >= s.random_starts as usize { eps } else { situation.epsilon },
            pending: situation.pending,
        };
        if begun < s.random_starts as usize || self.observations.len() < 2 {
            let mut last = Vec::new();
            for _ in 0..100 {
                last = self.q_learning.propose(process, &situation_q, generator);
                if !self.known.contains(&last) && !seen.contains(&last) {
                    break;
                }
            }
            return last;
        }
        let Some(mut model) = RewardModel::fit(&self.observations) else {
            return self.q_learning.propose(process, situation, generator);
        };
        for p in situation.pending {
            model.expect(&process.features(p));
        }
        // parents
        let fitted = model.fitted();
        let mut order: Vec<usize> = (0..self.observations.len()).collect();
        if param("PARENT_FIT", 2.0) > 1.5 {
            let t = model.targets();
            let key: Vec<f64> = fitted.iter().zip(&t).map(|(a, b)| a + b).collect();
            order.sort_by(|&a, &b| key[b].total_cmp(&key[a]));
        } else if param("PARENT_FIT", 2.0) > 0.5 {
            order.sort_by(|&a, &b| fitted[b].total_cmp(&fitted[a]));
        } else {
            let rewards: Vec<f64> = self.observations.rewards().collect();
            order.sort_by(|&a, &b| rewards[b].total_cmp(&rewards[a]));
        }
        let best = fitted.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let parents: Vec<&Vec<P::Action>> =
            order.iter().take(s.parents as usize).map(|&i| &self.remembered[i]).collect();
        let acq = param("ACQ", 2.0);
        let beta = param("BETA", 1.0);
        let score = |actions: &Vec<P::Action>, generator: &mut ChaCha8Rng| {
            let p = model.predict(&process.features(actions));
            match acq as i32 {
                0 => p.mean + beta * p.standard_deviation,
                1 => {
                    let z = (p.mean - best) / p.standard_deviation.max(1e-9);
                    let pdf = (-0.5 * z * z).exp() / (2.0 * std::f64::consts::PI).sqrt();
                    p.standard_deviation * (z * normal_cdf(z) + pdf) + 1e-6 * (p.mean - best)
                }
                _ => {
                    let u: f64 = generator.random::<f64>().max(1e-12);
                    let v: f64 = generator.random();
                    p.mean
                        + beta * p.standard_deviation * (-2.0 * u.ln()).sqrt() * (2.0 * std::f64::consts::PI * v).cos()
                }
            }
        };
        let mut scored: Vec<(f64, Vec<P::Action>)> = Vec::new();
        let mut fallback = None;
        let candn = param("CANDN", 1.0);
        let wanted = if candn > 0.0 { ((candn * self.observations.len() as f64) as u32).clamp(10, s.candidates) } else { s.candidates };
        for _ in 0..wanted {
            let c = if generator.random::<f64>() < s.mutant_share {
                let mut c = parents[generator.random_range(0..parents.len())].clone();
                loop {
                    c = mutant(process, &c, generator).unwrap_or(c);
                    if generator.random::<f64>() > param("AGAIN", 0.0) {
                        break;
                    }
                }
                c
            } else {
                self.q_learning.propose(process, &situation_q, generator)
            };
            if self.known.contains(&c) {
                fallback = Some(c);
                continue;
            }
            if !seen.insert(c.clone()) {
                continue;
            }
            scored.push((score(&c, generator), c));
        }
        for _ in 0..param("ROUNDS", 0.0) as usize {
            scored.sort_by(|a, b| b.0.total_cmp(&a.0));
            scored.truncate(param("TOP", 5.0) as usize);
            let tops: Vec<Vec<P::Action>> = scored.iter().map(|s| s.1.clone()).collect();
            if tops.is_empty() {
                break;
            }
            for _ in 0..param("PER", 30.0) as usize {
                let Some(c) = mutant(process, &tops[generator.random_range(0..tops.len())], generator) else {
                    continue;
                };
                if self.known.contains(&c) || !seen.insert(c.clone()) {
                    continue;
                }
                scored.push((score(&c, generator), c));
            }
        }
        scored
            .into_iter()
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|s| s.1)
            .or(fallback)
            .unwrap_or_else(|| self.q_learning.propose(process, situation, generator))
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
            self.observations.add(process.features(actions), reward);
            self.remembered.push(actions.to_vec());
        }
    }

    fn q_table(&self) -> &QTable<P::Observation, P::Action> {
        self.q_learning.q_table()
    }
}
