//! Trajectories one edit away.

use std::collections::HashSet;

use rand::{Rng, RngExt};

use super::decision_process::DecisionProcess;

/// A change of one action. Positions are those of the trajectory before the change.
#[derive(Clone, Debug, PartialEq)]
enum Edit<A> {
    Replace(usize, A),
    Insert(usize, A),
    Remove(usize),
}

/// Every legal trajectory that differs from `actions` by one action replaced, inserted or removed. None occurs twice, and
/// `actions` is not among them.
///
/// In a process whose trajectories all have one length only replacements are legal, so these are the neighbours of Hamming
/// distance 1.
pub fn neighbours<P: DecisionProcess>(process: &P, actions: &[P::Action]) -> Vec<Vec<P::Action>> {
    let states = states(process, actions);
    let mut edits = Vec::new();
    for (position, state) in states.iter().enumerate() {
        for action in process.legal_actions(state) {
            edits.push(Edit::Replace(position, action.clone()));
            edits.push(Edit::Insert(position, action));
        }
        edits.push(Edit::Remove(position));
    }
    let mut seen: HashSet<Vec<P::Action>> = HashSet::from([actions.to_vec()]);
    let legal = edits.iter().filter_map(|edit| edited(process, &states, actions, edit));
    legal.filter(|neighbour| seen.insert(neighbour.clone())).collect()
}

/// Edits drawn before a trajectory counts as one without neighbours.
const DRAWS: u32 = 1_000;

/// A neighbour of `actions`: the kind of the edit is drawn, then its place and action, until one is legal. `None` where none was
/// found. So trajectories shrink as often as they grow, though many more actions can be inserted than removed.
pub fn mutant<P: DecisionProcess>(
    process: &P,
    actions: &[P::Action],
    generator: &mut impl Rng,
) -> Option<Vec<P::Action>> {
    let states = states(process, actions);
    for _ in 0..DRAWS {
        let kind = generator.random_range(0..3);
        let position = generator.random_range(0..states.len());
        let legal = process.legal_actions(&states[position]);
        let action = legal[generator.random_range(0..legal.len())].clone();
        let edit = match kind {
            0 => Edit::Replace(position, action),
            1 => Edit::Insert(position, action),
            _ => Edit::Remove(position),
        };
        if let Some(neighbour) = edited(process, &states, actions, &edit)
            && neighbour != actions
        {
            return Some(neighbour);
        }
    }
    None
}

/// The state before each action.
fn states<P: DecisionProcess>(process: &P, actions: &[P::Action]) -> Vec<P::State> {
    let mut states = vec![process.start()];
    for action in &actions[..actions.len().saturating_sub(1)] {
        states.extend(states.last().and_then(|state| process.next_state(state, action)));
    }
    states
}

/// The trajectory after an edit, where it is legal and ends with its last action. `states`: those before each of `actions`.
fn edited<P: DecisionProcess>(
    process: &P,
    states: &[P::State],
    actions: &[P::Action],
    edit: &Edit<P::Action>,
) -> Option<Vec<P::Action>> {
    let (position, new, skipped) = match edit {
        Edit::Replace(position, action) => (*position, Some(action), 1),
        Edit::Insert(position, action) => (*position, Some(action), 0),
        Edit::Remove(position) => (*position, None, 1),
    };
    let mut result = actions[..position].to_vec();
    let mut state = Some(states[position].clone());
    for action in new.into_iter().chain(&actions[position + skipped..]) {
        let current = state?;
        if !process.legal_actions(&current).contains(action) {
            return None;
        }
        state = process.next_state(&current, action);
        result.push(action.clone());
    }
    state.is_none().then_some(result)
}
