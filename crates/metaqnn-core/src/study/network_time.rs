//! How long the networks of a space take to train.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use crate::agent::random_trajectory;
use crate::graph::{Graph, NetworkOptions};
use crate::space::{Architecture, SearchSpace};

const DRAWN: usize = 1000;
/// One of so many drawn networks is a fast one: enough of them for a search, and far from the very smallest, which learn little.
const FAST_ONE_IN: usize = 50;

/// The network of `space` with the least `size` among many drawn at random, and that size; the same at every call. `None` where none can
/// be built.
pub fn smallest_network(
    space: &SearchSpace,
    options: NetworkOptions,
    size: impl Fn(&Graph) -> u64,
) -> Option<(Architecture, u64)> {
    let mut generator = ChaCha8Rng::seed_from_u64(0);
    (0..DRAWN)
        .filter_map(|_| space.architecture(&random_trajectory(space, &mut generator)).ok())
        .filter_map(|architecture| {
            let size = size(&Graph::new(&architecture, space.input(), options).ok()?);
            Some((architecture, size))
        })
        .min_by_key(|(_, size)| *size)
}

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
