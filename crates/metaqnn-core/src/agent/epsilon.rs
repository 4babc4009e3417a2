//! ε: how often an action is random.

use rand::{Rng, RngExt};
use serde::{Deserialize, Serialize};

/// A stretch of the schedule with one ε: a number of unique models, or a share of the search.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(untagged, deny_unknown_fields)]
pub enum EpsilonStretch {
    /// So many unique models.
    Models {
        /// Probability of a random action.
        epsilon: f64,
        /// Unique models trained at it.
        models: u64,
    },
    /// A share of the search: of the models asked for, or of the time for searching.
    Share {
        /// Probability of a random action.
        epsilon: f64,
        /// Share of the search, in (0, 1].
        share: f64,
    },
}

impl EpsilonStretch {
    /// The stretch's ε.
    pub fn epsilon(&self) -> f64 {
        match self {
            EpsilonStretch::Models { epsilon, .. } | EpsilonStretch::Share { epsilon, .. } => *epsilon,
        }
    }
}

/// The ε schedule (table 2 of the paper).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct EpsilonSchedule {
    /// The stretches, in order; after the last one its ε stays.
    pub stretches: Vec<EpsilonStretch>,
}

impl EpsilonSchedule {
    /// ε after `models` unique models were begun, a share `progress` in [0, 1] of the search being over.
    pub fn epsilon(&self, models: u64, progress: f64) -> f64 {
        let mut models_before = 0;
        let mut share_before = 0.0;
        for stretch in &self.stretches {
            let over = match stretch {
                EpsilonStretch::Models { models: length, .. } => {
                    models_before += length;
                    models >= models_before
                }
                EpsilonStretch::Share { share, .. } => {
                    share_before += share;
                    progress >= share_before
                }
            };
            if !over {
                return stretch.epsilon();
            }
        }
        self.stretches.last().map_or(1.0, EpsilonStretch::epsilon)
    }

    /// A schedule in models, its stretches in proportion as long in a search of `models` unique models. One with stretches in shares follows
    /// the search already and stays as it is.
    pub fn scaled(&self, models: u64) -> Self {
        let Some(all) = self.models() else { return self.clone() };
        let (mut before, mut scaled_before) = (0, 0);
        let scale = |stretch: &EpsilonStretch| match *stretch {
            EpsilonStretch::Models { epsilon, models: length } => {
                before += length;
                let end = (before as f64 / all.max(1) as f64 * models as f64).round() as u64;
                let scaled = EpsilonStretch::Models { epsilon, models: end - scaled_before };
                scaled_before = end;
                scaled
            }
            share => share,
        };
        EpsilonSchedule { stretches: self.stretches.iter().map(scale).collect() }
    }

    /// Unique models of the whole schedule, where it is in models.
    pub fn models(&self) -> Option<u64> {
        self.stretches
            .iter()
            .map(|stretch| match stretch {
                EpsilonStretch::Models { models, .. } => Some(*models),
                EpsilonStretch::Share { .. } => None,
            })
            .sum()
    }
}

/// The index of an action: with probability ε any, else one of the highest value, ties broken at random.
pub fn epsilon_greedy(q_values: &[f64], epsilon: f64, generator: &mut impl Rng) -> usize {
    if generator.random::<f64>() < epsilon {
        return generator.random_range(0..q_values.len());
    }
    let highest = q_values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let best: Vec<usize> = (0..q_values.len()).filter(|&i| q_values[i] == highest).collect();
    best[generator.random_range(0..best.len())]
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn the_schedule_steps_after_its_models() {
        let models = |epsilon, models| EpsilonStretch::Models { epsilon, models };
        let schedule = EpsilonSchedule { stretches: vec![models(1.0, 1500), models(0.9, 100), models(0.1, 150)] };
        let at = |n| schedule.epsilon(n, 0.0);
        assert_eq!((at(0), at(1499), at(1500), at(1599), at(1600), at(9999)), (1.0, 1.0, 0.9, 0.9, 0.1, 0.1));
        assert_eq!(schedule.models(), Some(1750));
    }

    #[test]
    fn a_scaled_schedule_keeps_its_proportions() {
        let models = |epsilon, models| EpsilonStretch::Models { epsilon, models };
        let schedule = EpsilonSchedule { stretches: vec![models(1.0, 1500), models(0.5, 900), models(0.1, 300)] };
        assert_eq!(schedule.scaled(2700), schedule);
        let expected = EpsilonSchedule { stretches: vec![models(1.0, 6), models(0.5, 3), models(0.1, 1)] };
        assert_eq!(schedule.scaled(10), expected);
        let share = |epsilon, share| EpsilonStretch::Share { epsilon, share };
        let mixed = EpsilonSchedule { stretches: vec![models(1.0, 10), share(0.3, 1.0)] };
        assert_eq!(mixed.scaled(10), mixed);
        assert_eq!((mixed.epsilon(9, 0.9), mixed.epsilon(10, 0.1), mixed.epsilon(99, 1.0)), (1.0, 0.3, 0.3));
    }

    #[test]
    fn the_schedule_follows_shares_of_the_search() {
        let share = |epsilon, share| EpsilonStretch::Share { epsilon, share };
        let schedule = EpsilonSchedule { stretches: vec![share(1.0, 0.25), share(0.5, 0.5), share(0.1, 0.25)] };
        let at = |progress| schedule.epsilon(7, progress);
        assert_eq!((at(0.0), at(0.24), at(0.25), at(0.74), at(0.75), at(1.0)), (1.0, 1.0, 0.5, 0.5, 0.1, 0.1));
        assert_eq!(schedule.models(), None);
    }

    #[test]
    fn greedy_takes_the_best_and_breaks_ties_evenly() {
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let mut counts = [0; 4];
        for _ in 0..4000 {
            counts[epsilon_greedy(&[0.5, 0.7, 0.1, 0.7], 0.0, &mut generator)] += 1;
        }
        assert_eq!((counts[0], counts[2]), (0, 0));
        assert!((1850..2150).contains(&counts[1]), "{counts:?}");
        for _ in 0..4000 {
            counts[epsilon_greedy(&[0.5, 0.7, 0.1, 0.7], 1.0, &mut generator)] += 1;
        }
        assert!((900..1100).contains(&counts[0]) && (900..1100).contains(&counts[2]), "{counts:?}");
    }
}
