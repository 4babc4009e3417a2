//! Experience replay: every trajectory with its reward is kept and learned from again.

use rand::{Rng, RngExt};

use super::q_table::Step;

/// The replay memory. A trajectory that was sampled again stands in it once more, for four bytes.
#[derive(Clone, Debug, Default)]
pub struct ReplayMemory {
    trajectories: Vec<(Box<[Step]>, f64)>,
    entries: Vec<u32>,
}

impl ReplayMemory {
    /// Adds a trajectory that is new, and returns its number.
    pub fn add(&mut self, steps: Vec<Step>, reward: f64) -> u32 {
        let number = self.trajectories.len() as u32;
        self.trajectories.push((steps.into_boxed_slice(), reward));
        self.entries.push(number);
        number
    }

    /// Adds a trajectory once more.
    pub fn add_again(&mut self, number: u32) {
        self.entries.push(number);
    }

    /// Number of entries, repeated ones counted as often as they stand in it.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The steps and reward of a trajectory.
    pub fn trajectory(&self, number: u32) -> (&[Step], f64) {
        let (steps, reward) = &self.trajectories[number as usize];
        (steps, *reward)
    }

    /// An entry drawn uniformly; `None` from an empty memory.
    pub fn draw(&self, generator: &mut impl Rng) -> Option<(&[Step], f64)> {
        if self.entries.is_empty() {
            return None;
        }
        Some(self.trajectory(self.entries[generator.random_range(0..self.entries.len())]))
    }
}
