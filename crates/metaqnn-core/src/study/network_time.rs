//! How long the networks of a space take to train.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::agent::random_trajectory;
use crate::graph::{Graph, NetworkOptions};
use crate::space::SearchSpace;

const DRAWN: usize = 1000;
/// One of so many drawn networks is a fast one: enough of them for a search, and far from the very smallest, which learn little.
const FAST_ONE_IN: usize = 50;

/// Estimated microseconds ([`Graph::training_microseconds`]) in which the fast networks of `space` train on an image: of every fifty
/// drawn at random one takes no longer. The same at every call.
///
/// No limit on the time of training should be lower, or a search finds no network that it may train.
pub fn fast_training_microseconds(space: &SearchSpace, options: NetworkOptions) -> u64 {
    let mut generator = ChaCha8Rng::seed_from_u64(0);
    let mut times: Vec<u64> = (0..DRAWN)
        .filter_map(|_| space.architecture(&random_trajectory(space, &mut generator)).ok())
        .filter_map(|architecture| Graph::new(&architecture, space.input(), options).ok())
        .map(|graph| graph.training_microseconds())
        .collect();
    times.sort_unstable();
    times.get(times.len() / FAST_ONE_IN).copied().unwrap_or(0)
}
