//! The exact size of a space.

use std::collections::{HashMap, HashSet};

use num_bigint::BigUint;

use super::architecture::Architecture;
use super::search_space::SearchSpace;
use super::state::{BuildAction, BuildState, LayerState};
use crate::agent::DecisionProcess;

/// Size of a space, exact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SpaceSize {
    /// Non-terminal states, as the agent sees them.
    pub states: u64,
    /// Pairs of such a state and an action that is legal in it.
    pub actions: u64,
    /// Architectures.
    pub architectures: BigUint,
}

impl SearchSpace {
    /// Counts states, state–action pairs and architectures.
    ///
    /// The states that can be reached are few (each is a last layer, a depth and a side), however many architectures there
    /// are: the architectures from a state are the sum of those from the states that its actions lead to.
    pub fn count(&self) -> SpaceSize {
        let mut architectures: HashMap<BuildState, BigUint> = HashMap::new();
        let mut pairs: HashSet<(LayerState, BuildAction)> = HashSet::new();
        let mut states: HashSet<LayerState> = HashSet::new();
        let total = self.architectures_from(self.start(), &mut architectures, &mut states, &mut pairs);
        SpaceSize { states: states.len() as u64, actions: pairs.len() as u64, architectures: total }
    }

    /// Every architecture of the space, where there are no more than `most`.
    pub fn architectures(&self, most: usize) -> Option<Vec<Architecture>> {
        let mut found = Vec::new();
        let mut open = vec![(self.start(), Vec::new())];
        while let Some((state, actions)) = open.pop() {
            for action in self.legal_actions(&state) {
                let mut actions = actions.clone();
                actions.push(action);
                match self.next_state(&state, &action) {
                    Some(next) => open.push((next, actions)),
                    None if found.len() == most => return None,
                    None => found.push(self.architecture(&actions).ok()?),
                }
            }
        }
        Some(found)
    }

    fn architectures_from(
        &self,
        state: BuildState,
        known: &mut HashMap<BuildState, BigUint>,
        states: &mut HashSet<LayerState>,
        pairs: &mut HashSet<(LayerState, BuildAction)>,
    ) -> BigUint {
        if let Some(count) = known.get(&state) {
            return count.clone();
        }
        let observation = self.observe(&state);
        states.insert(observation);
        let mut count = BigUint::ZERO;
        for action in self.legal_actions(&state) {
            pairs.insert((observation, action));
            count += match self.next_state(&state, &action) {
                // The depth of the recursion is the limit on layers.
                Some(next) => self.architectures_from(next, known, states, pairs),
                None => BigUint::from(1u32),
            };
        }
        known.insert(state, count.clone());
        count
    }
}
