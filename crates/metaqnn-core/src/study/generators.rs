//! Every generator of a study, derived from its seed.

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use super::trial::TrialNumber;

/// The generator of the ask that becomes event `event`.
pub(crate) fn of_ask(seed: u64, event: u64) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(key(seed, "ask", event))
}

/// The generator of the learning from event `event`.
pub(crate) fn of_tell(seed: u64, event: u64) -> ChaCha8Rng {
    ChaCha8Rng::from_seed(key(seed, "tell", event))
}

/// Seed of a trial's training: 63 bits, since SQLite's and TOML's integers have a sign.
pub(super) fn trial_seed(seed: u64, trial: TrialNumber) -> u64 {
    let key = key(seed, "trial", trial.0);
    let first: [u8; 8] = std::array::from_fn(|i| key[i]);
    u64::from_le_bytes(first) >> 1
}

fn key(seed: u64, purpose: &str, number: u64) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(seed.to_le_bytes());
    hash.update(number.to_le_bytes());
    hash.update(purpose.as_bytes());
    hash.finalize().into()
}
