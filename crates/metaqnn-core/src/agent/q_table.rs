//! The Q-table and its updates.

use std::collections::HashMap;
use std::fmt::Display;
use std::hash::Hash;

/// Q(s, u) for every state seen and every action that is legal in it.
///
/// Rows are made when a trajectory through them is first learned from; until then every value is the initial one.
#[derive(Clone, Debug)]
pub struct QTable<O, A> {
    initial_q_value: f64,
    rows: Vec<Row<O, A>>,
    index: HashMap<O, u32>,
}

#[derive(Clone, Debug)]
struct Row<O, A> {
    observation: O,
    /// Hash of the observation's text: the part of the table's hash that never changes.
    name_hash: u64,
    actions: Vec<A>,
    q_values: Vec<f64>,
    updates: Vec<u64>,
}

/// One step of a trajectory: the row of the state and the place of the action in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Step {
    row: u32,
    action: u32,
}

/// An entry of the table.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct QValue<'a, O, A> {
    /// The state.
    pub observation: &'a O,
    /// The action.
    pub action: &'a A,
    /// Q(s, u).
    pub q_value: f64,
    /// How often it was updated.
    pub updates: u64,
}

impl<O: Clone + Eq + Hash + Display, A: Clone + Eq + Display> QTable<O, A> {
    /// An empty table whose every value is `initial_q_value`.
    pub fn new(initial_q_value: f64) -> Self {
        QTable { initial_q_value, rows: Vec::new(), index: HashMap::new() }
    }

    /// The values of `legal` actions in a state, in their order.
    pub fn q_values(&self, observation: &O, legal: &[A]) -> Vec<f64> {
        match self.index.get(observation) {
            Some(&row) => self.rows[row as usize].q_values.clone(),
            None => vec![self.initial_q_value; legal.len()],
        }
    }

    /// The step of taking `action`, one of `legal`, in a state; makes the state's row where it is not there.
    ///
    /// # Panics
    ///
    /// If `action` is not legal.
    pub fn step(&mut self, observation: &O, legal: &[A], action: &A) -> Step {
        let row = match self.index.get(observation) {
            Some(&row) => row,
            None => {
                let row = self.rows.len() as u32;
                self.rows.push(Row {
                    observation: observation.clone(),
                    name_hash: hash_text(&observation.to_string()),
                    actions: legal.to_vec(),
                    q_values: vec![self.initial_q_value; legal.len()],
                    updates: vec![0; legal.len()],
                });
                self.index.insert(observation.clone(), row);
                row
            }
        };
        let place = self.rows[row as usize].actions.iter().position(|known| known == action);
        match place {
            Some(place) => Step { row, action: place as u32 },
            None => panic!("action {action} is not legal in state {observation}"),
        }
    }

    /// max over u of Q(s, u) in the state of a step.
    fn highest(&self, step: Step) -> f64 {
        self.rows[step.row as usize].q_values.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn update(&mut self, step: Step, q_learning_rate: f64, target: f64) {
        let row = &mut self.rows[step.row as usize];
        let value = &mut row.q_values[step.action as usize];
        *value = update_q_value(*value, q_learning_rate, target);
        row.updates[step.action as usize] += 1;
    }

    /// Every entry, in the order in which the states were first learned of.
    pub fn entries(&self) -> impl Iterator<Item = QValue<'_, O, A>> {
        self.rows.iter().flat_map(|row| {
            row.actions.iter().zip(&row.q_values).zip(&row.updates).map(|((action, &q_value), &updates)| QValue {
                observation: &row.observation,
                action,
                q_value,
                updates,
            })
        })
    }

    /// A hash of every state, value and number of updates, to tell whether two tables are the same bit for bit. It does not
    /// depend on the order of the rows.
    pub fn hash(&self) -> u64 {
        let mut sum = 0u64;
        for row in &self.rows {
            let mut hash = row.name_hash;
            for (value, updates) in row.q_values.iter().zip(&row.updates) {
                hash = mix(hash ^ value.to_bits());
                hash = mix(hash ^ updates);
            }
            sum = sum.wrapping_add(hash);
        }
        mix(sum ^ self.rows.len() as u64)
    }
}

/// Q ← (1 − α)·Q + α·target (the paper's equation 3).
pub fn update_q_value(q_value: f64, q_learning_rate: f64, target: f64) -> f64 {
    (1.0 - q_learning_rate) * q_value + q_learning_rate * target
}

/// How Q-values are updated.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UpdateRule {
    /// α.
    pub q_learning_rate: f64,
    /// γ.
    pub discount_factor: f64,
    /// λ: how much of the trajectory's own return the targets hold; with 0 they are the paper's.
    pub trace_decay: f64,
}

/// Updates a trajectory from its end backwards: the last step towards the reward r, each before it towards the λ-return
/// G(t) = γ·((1 − λ)·max_u Q(s(t+1), u) + λ·G(t+1)), where G(T) = r. With λ = 0 that is the update as published.
pub fn update_trajectory<O, A>(table: &mut QTable<O, A>, steps: &[Step], reward: f64, rule: UpdateRule)
where
    O: Clone + Eq + Hash + Display,
    A: Clone + Eq + Display,
{
    let UpdateRule { q_learning_rate, discount_factor, trace_decay } = rule;
    let mut after: Option<(Step, f64)> = None;
    for &step in steps.iter().rev() {
        let target = match after {
            None => reward,
            Some((next, target)) => {
                discount_factor * ((1.0 - trace_decay) * table.highest(next) + trace_decay * target)
            }
        };
        table.update(step, q_learning_rate, target);
        after = Some((step, target));
    }
}

/// The finalizer of SplitMix64 (Steele et al., 2014): every bit of the input moves half of the output's.
fn mix(mut x: u64) -> u64 {
    x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

fn hash_text(text: &str) -> u64 {
    text.bytes().fold(0, |hash, byte| mix(hash ^ u64::from(byte)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(q_learning_rate: f64, discount_factor: f64, trace_decay: f64) -> UpdateRule {
        UpdateRule { q_learning_rate, discount_factor, trace_decay }
    }

    #[test]
    fn lambda_returns_carry_the_reward_by_hand() {
        let mut table: QTable<&str, &str> = QTable::new(0.5);
        let steps = [table.step(&"s1", &["a", "b"], &"b"), table.step(&"s2", &["c", "d"], &"c")];
        update_trajectory(&mut table, &steps, 0.9, rule(0.1, 1.0, 0.8));
        let values: Vec<f64> = table.entries().map(|e| e.q_value).collect();
        // Q(s2,c) = 0.54; the target of (s1,b) is 0.2·max(0.54, 0.5) + 0.8·0.9 = 0.828.
        let expected = [0.5, 0.9 * 0.5 + 0.1 * 0.828, 0.54, 0.5];
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
    }

    #[test]
    fn updates_follow_the_equation_by_hand() {
        let mut table: QTable<&str, &str> = QTable::new(0.5);
        let steps = [table.step(&"s1", &["a", "b"], &"b"), table.step(&"s2", &["c", "d"], &"c")];
        update_trajectory(&mut table, &steps, 0.9, rule(0.1, 1.0, 0.0));
        let values: Vec<f64> = table.entries().map(|e| e.q_value).collect();
        // Q(s2,c) = 0.9·0.5 + 0.1·0.9 = 0.54; Q(s1,b) = 0.9·0.5 + 0.1·max(0.54, 0.5) = 0.504.
        let expected = [0.5, 0.504, 0.54, 0.5];
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
        // A bad reward: Q(s2,c) = 0.9·0.54 + 0.1·0.1 = 0.496, so the highest of s2 is now d's 0.5.
        update_trajectory(&mut table, &steps, 0.1, rule(0.1, 0.5, 0.0));
        let values: Vec<f64> = table.entries().map(|e| e.q_value).collect();
        let expected = [0.5, 0.9 * 0.504 + 0.1 * 0.5 * 0.5, 0.496, 0.5];
        assert!(values.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-12), "{values:?}");
        assert_eq!(table.entries().map(|e| e.updates).collect::<Vec<_>>(), [0, 2, 2, 0]);
    }

    #[test]
    fn the_hash_tells_a_single_bit() {
        let mut table: QTable<&str, &str> = QTable::new(0.5);
        let step = table.step(&"s", &["a", "b"], &"a");
        let before = table.hash();
        let mut other = table.clone();
        other.rows[0].q_values[0] = f64::from_bits(0.5f64.to_bits() + 1);
        assert_ne!(before, other.hash());
        update_trajectory(&mut table, &[step], 0.5, rule(0.0, 1.0, 0.0));
        assert_ne!(before, table.hash(), "the number of updates counts");
    }

    #[test]
    #[should_panic(expected = "not legal")]
    fn an_illegal_action_is_a_bug() {
        QTable::<&str, &str>::new(0.5).step(&"s", &["a"], &"z");
    }
}
