//! An agent against known rewards: a search without training.

use std::collections::HashMap;
use std::hash::Hash;

use crate::agent::{Agent, DecisionProcess, Novelty, Reward, Situation};
use crate::study::generators::{of_ask, of_tell};

/// Repeats in a row after which the space counts as exhausted.
const EXHAUSTED_AFTER: u32 = 10_000;

/// A design that the agent tried.
#[derive(Clone, Debug, PartialEq)]
pub struct Tried<A> {
    /// The trajectory that spells it.
    pub actions: Vec<A>,
    /// ε at which it was proposed.
    pub epsilon: f64,
    /// What it earned.
    pub reward: Reward,
}

/// Lets `agent` search until it tried `models` different designs, or nothing new is found.
///
/// `design` names a trajectory's design: those of one name are tried once, and the agent learns of the others as repeats.
/// `epsilon` says how much to explore after so many designs.
pub fn replay<P: DecisionProcess, D: Eq + Hash>(
    process: &P,
    agent: &mut dyn Agent<P>,
    models: usize,
    seed: u64,
    epsilon: impl Fn(usize) -> f64,
    design: impl Fn(&[P::Action]) -> D,
    reward: impl Fn(&[P::Action]) -> Reward,
) -> Vec<Tried<P::Action>> {
    let mut tried: Vec<Tried<P::Action>> = Vec::new();
    let mut known: HashMap<D, Reward> = HashMap::new();
    let mut repeats = 0;
    let mut events = 0;
    while tried.len() < models && repeats < EXHAUSTED_AFTER {
        let situation = Situation { epsilon: epsilon(tried.len()), pending: &[], within_limits: &|_| true };
        let actions = agent.propose(process, &situation, &mut of_ask(seed, events));
        let name = design(&actions);
        let (earned, novelty) = match known.get(&name) {
            Some(&earned) => (earned, Novelty::Repeated),
            None => (reward(&actions), Novelty::New),
        };
        agent.learn(process, &actions, earned, novelty, &mut of_tell(seed, events));
        events += 1;
        if novelty == Novelty::Repeated {
            repeats += 1;
            continue;
        }
        repeats = 0;
        known.insert(name, earned);
        tried.push(Tried { actions, epsilon: situation.epsilon, reward: earned });
    }
    tried
}
