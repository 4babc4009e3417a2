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

#[cfg(test)]
mod tests {
    use rand::SeedableRng;
    use rand_chacha::ChaCha8Rng;

    use super::*;

    /// Words of at most `longest` letters a and b, ended by a dot; with `fixed` of exactly so many.
    struct Words {
        longest: usize,
        fixed: bool,
    }

    impl DecisionProcess for Words {
        type State = usize;
        type Observation = usize;
        type Action = char;

        fn start(&self) -> usize {
            0
        }

        fn observe(&self, state: &usize) -> usize {
            *state
        }

        fn legal_actions(&self, state: &usize) -> Vec<char> {
            match (*state == self.longest, self.fixed) {
                (true, _) => vec!['.'],
                (false, true) => vec!['a', 'b'],
                (false, false) => vec!['a', 'b', '.'],
            }
        }

        fn next_state(&self, state: &usize, action: &char) -> Option<usize> {
            (*action != '.').then_some(state + 1)
        }
    }

    fn words(process: &Words, word: &str) -> Vec<String> {
        let word: Vec<char> = word.chars().collect();
        let mut found: Vec<String> = neighbours(process, &word).iter().map(|it| it.iter().collect()).collect();
        found.sort();
        found
    }

    #[test]
    fn neighbours_are_one_edit_away() {
        let process = Words { longest: 3, fixed: false };
        let expected = ["a.", "aa.", "aab.", "aba.", "abb.", "b.", "bab.", "bb."];
        assert_eq!(words(&process, "ab."), expected);
        assert_eq!(words(&Words { longest: 2, fixed: false }, "ab."), ["a.", "aa.", "b.", "bb."], "nothing fits in");
        assert_eq!(words(&Words { longest: 2, fixed: true }, "ab."), ["aa.", "bb."], "only replacements");
        assert!(words(&Words { longest: 0, fixed: true }, ".").is_empty());
    }

    #[test]
    fn mutants_are_neighbours_and_every_neighbour_can_be_one() {
        let process = Words { longest: 3, fixed: false };
        let word = ['a', 'b', '.'];
        let mut generator = ChaCha8Rng::seed_from_u64(1);
        let mutants: HashSet<Vec<char>> = (0..1_000).filter_map(|_| mutant(&process, &word, &mut generator)).collect();
        assert_eq!(mutants, neighbours(&process, &word).into_iter().collect());
        assert_eq!(mutant(&Words { longest: 0, fixed: true }, &['.'], &mut generator), None);
    }
}
