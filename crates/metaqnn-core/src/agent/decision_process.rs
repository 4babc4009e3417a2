//! Decision processes and the agents that act in them.

use std::fmt::Display;
use std::hash::Hash;

use rand_chacha::ChaCha8Rng;

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
    /// The actions of a trajectory, from the start to the end. `epsilon` in [0, 1] is how much to explore.
    fn propose(&self, process: &P, epsilon: f64, generator: &mut ChaCha8Rng) -> Vec<P::Action>;

    /// Learns that `actions` earned `reward` in [0, 1].
    fn learn(&mut self, process: &P, actions: &[P::Action], reward: f64, novelty: Novelty, generator: &mut ChaCha8Rng);

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
