//! Sampling at ε = 1, against the exact distribution.

use std::collections::{BTreeMap, HashMap};

use metaqnn_core::agent::{Agent, DecisionProcess, QLearning, RandomAgent, Situation};
use metaqnn_core::settings::Preset;
use metaqnn_core::space::{BuildAction, BuildState, SearchSpace};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::fixture::{COLOUR_32, paper_space, preset};

const SAMPLES: u32 = 20_000;

/// Number of layers and text of the last one.
type Ending = (usize, String);

/// The probability of each ending where every action is uniform over the legal ones, by one pass over the states a depth.
fn exact(space: &SearchSpace) -> BTreeMap<Ending, f64> {
    let mut endings = BTreeMap::new();
    let mut level: HashMap<BuildState, f64> = HashMap::from([(space.start(), 1.0)]);
    for depth in 0.. {
        if level.is_empty() {
            break;
        }
        let mut next_level = HashMap::new();
        for (state, probability) in level {
            let legal = space.legal_actions(&state);
            let share = probability / legal.len() as f64;
            for action in legal {
                match space.next_state(&state, &action) {
                    Some(next) => *next_level.entry(next).or_insert(0.0) += share,
                    None => *endings.entry((depth, last_layer(space, &state))).or_insert(0.0) += share,
                }
            }
        }
        level = next_level;
    }
    endings
}

/// The last layer's text, without what else the state holds.
fn last_layer(space: &SearchSpace, state: &BuildState) -> String {
    space.observe(state).last.map_or("start".into(), |layer| layer.to_string())
}

fn sampled(space: &SearchSpace, agent: &dyn Agent<SearchSpace>) -> BTreeMap<Ending, f64> {
    let mut generator = ChaCha8Rng::seed_from_u64(20_170_424);
    let mut counts = BTreeMap::new();
    for _ in 0..SAMPLES {
        let actions =
            agent.propose(space, &Situation { epsilon: 1.0, pending: &[], within_limits: &|_| true }, &mut generator);
        let last = match actions.iter().rev().nth(1) {
            Some(BuildAction::Add(layer)) => layer.to_string(),
            _ => "start".into(),
        };
        *counts.entry((actions.len() - 1, last)).or_insert(0.0) += 1.0;
    }
    counts
}

/// Sums what has the same key.
fn grouped<K: Ord>(endings: &BTreeMap<Ending, f64>, key: impl Fn(&Ending) -> K) -> BTreeMap<K, f64> {
    let mut groups = BTreeMap::new();
    for (ending, value) in endings {
        *groups.entry(key(ending)).or_insert(0.0) += value;
    }
    groups
}

/// Pearson's χ² stays within five standard deviations of its mean; groups with fewer than five expected are pooled.
fn assert_fits<K: Ord + std::fmt::Debug>(name: &str, exact: &BTreeMap<K, f64>, counts: &BTreeMap<K, f64>) {
    assert!(counts.keys().all(|key| exact.contains_key(key)), "{name}: sampled what cannot be: {counts:?}");
    let (mut statistic, mut cells) = (0.0, 0);
    let (mut rare_expected, mut rare_found) = (0.0, 0.0);
    for (key, probability) in exact {
        let expected = probability * f64::from(SAMPLES);
        let found = counts.get(key).copied().unwrap_or(0.0);
        if expected < 5.0 {
            rare_expected += expected;
            rare_found += found;
        } else {
            statistic += (found - expected).powi(2) / expected;
            cells += 1;
        }
    }
    if rare_expected >= 5.0 {
        statistic += (rare_found - rare_expected).powi(2) / rare_expected;
        cells += 1;
    }
    let freedom = f64::from(cells - 1);
    assert!(cells >= 5, "{name}: too few groups to tell anything");
    assert!(
        statistic < freedom + 5.0 * (2.0 * freedom).sqrt(),
        "{name}: χ² = {statistic:.1} at {freedom} degrees of freedom"
    );
}

#[test]
fn random_sampling_has_the_exact_distribution() {
    let space = paper_space(12, COLOUR_32);
    let exact = exact(&space);
    assert!((exact.values().sum::<f64>() - 1.0).abs() < 1e-12);
    assert!((exact[&(0, "start".to_string())] - 1.0 / 14.0).abs() < 1e-15);
    // GAP first is one action of 14, then SM is the only one.
    assert!((exact[&(1, "GAP".to_string())] - 1.0 / 14.0).abs() < 1e-15);
    let q_learning = QLearning::<SearchSpace>::new(&preset(Preset::Paper, "svhn").agent);
    let random = RandomAgent::<SearchSpace>::default();
    let agents: [(&str, &dyn Agent<SearchSpace>); 2] = [("Q-learning", &q_learning), ("random", &random)];
    for (name, agent) in agents {
        let counts = sampled(&space, agent);
        assert_fits(&format!("{name}: layers"), &grouped(&exact, |e| e.0), &grouped(&counts, |e| e.0));
        assert_fits(
            &format!("{name}: last layer"),
            &grouped(&exact, |e| e.1.clone()),
            &grouped(&counts, |e| e.1.clone()),
        );
        assert_fits(&format!("{name}: both"), &exact, &counts);
    }
}
