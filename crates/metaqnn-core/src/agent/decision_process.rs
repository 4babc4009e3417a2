//! Decision processes and the agents that act in them.

use std::fmt::Display;
use std::hash::Hash;

use rand::{Rng, RngExt};
use rand_chacha::ChaCha8Rng;

use super::features::{Feature, sequence_features};
use super::q_table::QTable;

/// A finite-horizon decision process with a reward at its end.
///
/// Contract: every sequence of legal actions ends; a state in which the process has not ended has at least one legal
/// action; the legal actions, and their order, depend on the observation alone.
pub trait DecisionProcess {
    /// Everything that decides what comes next.
    type State: Clone;
    /// What the agent sees of a state; the rows of its Q-table. The text is its name in logs.
    type Observation: Clone + Eq + Hash + Display;
    /// An action. The text is its name in logs.
    type Action: Clone + Eq + Hash + Display;

    /// The state in which every trajectory begins.
    fn start(&self) -> Self::State;

    /// What the agent sees of `state`.
    fn observe(&self, state: &Self::State) -> Self::Observation;

    /// The actions that are legal in `state`.
    fn legal_actions(&self, state: &Self::State) -> Vec<Self::Action>;

    /// Where `action` leads; `None` where it ends the trajectory.
    fn next_state(&self, state: &Self::State, action: &Self::Action) -> Option<Self::State>;

    /// What a model of the reward sees of a trajectory: numbers by name, in any order, each name once. A number that is not
    /// among them is 0. Where a process does not know better, which action stands where and how often.
    fn features(&self, actions: &[Self::Action]) -> Vec<Feature> {
        sequence_features(actions)
    }
}

/// What a trajectory earned, in [0, 1].
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reward {
    /// The validation accuracy of a design that learned.
    Learned(f64),
    /// What stands for a design that failed.
    Failed(f64),
}

impl Reward {
    /// The number.
    pub fn value(self) -> f64 {
        match self {
            Reward::Learned(value) | Reward::Failed(value) => value,
        }
    }
}

/// What an agent is told when it is asked.
#[derive(Clone, Copy)]
pub struct Situation<'a, A> {
    /// How much to explore, in [0, 1].
    pub epsilon: f64,
    /// Trajectories that were proposed and not told of: their designs are in training, or were lost.
    pub pending: &'a [Vec<A>],
    /// Whether a trajectory's design may be evaluated at all. One that may not is drawn anew, so an agent need not ask.
    pub within_limits: &'a dyn Fn(&[A]) -> bool,
}

/// Whether a trajectory's design was evaluated for the first time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Novelty {
    /// Its reward is new.
    New,
    /// It was sampled again; the stored reward is given once more.
    Repeated,
}

/// Proposes trajectories and learns from their rewards.
///
/// Contract: proposing changes nothing, so that the agent is a function of what it was told, in order; all randomness
/// comes from the generator handed in.
pub trait Agent<P: DecisionProcess> {
    /// The actions of a trajectory, from the start to the end.
    fn propose(&self, process: &P, situation: &Situation<'_, P::Action>, generator: &mut ChaCha8Rng) -> Vec<P::Action>;

    /// Learns what `actions` earned.
    fn learn(
        &mut self,
        process: &P,
        actions: &[P::Action],
        reward: Reward,
        novelty: Novelty,
        generator: &mut ChaCha8Rng,
    );

    /// The Q-table; empty for an agent that has none.
    fn q_table(&self) -> &QTable<P::Observation, P::Action>;
}

/// Walks from the start to the end; `choose` picks one of the legal actions by index.
pub fn sample_trajectory<P: DecisionProcess>(
    process: &P,
    mut choose: impl FnMut(&P::Observation, &[P::Action]) -> usize,
) -> Vec<P::Action> {
    let mut actions = Vec::new();
    let mut state = Some(process.start());
    while let Some(current) = state {
        let legal = process.legal_actions(&current);
        let action = legal[choose(&process.observe(&current), &legal)].clone();
        state = process.next_state(&current, &action);
        actions.push(action);
    }
    actions
}

/// A trajectory of uniformly random actions.
pub fn random_trajectory<P: DecisionProcess>(process: &P, generator: &mut impl Rng) -> Vec<P::Action> {
    sample_trajectory(process, |_, legal| generator.random_range(0..legal.len()))
}
