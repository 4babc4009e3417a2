//! Early stopping on recorded learning curves: a search that stops trainings, without training (arXiv 1705.10823, section 5).

use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::early_stopping::{EarlyStopping, LearningCurve, RuleSettings};

/// The best networks by which a replay is judged, so many of them.
pub const TOP: usize = 10;

/// What came of one order.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct StopReplay {
    /// Epochs of all networks trained to their end.
    pub full_epochs: u64,
    /// Epochs trained, those of the first full curves included.
    pub epochs: u64,
    /// Networks stopped.
    pub stopped: u64,
    /// Of the true [`TOP`] how many were not stopped.
    pub kept_top: u64,
    /// Highest accuracy of all less the highest of those not stopped.
    pub regret: f64,
}

impl StopReplay {
    /// How many times fewer epochs were trained.
    pub fn speedup(&self) -> f64 {
        self.full_epochs as f64 / self.epochs.max(1) as f64
    }
}

/// Trains the networks of `curves` in a random order that follows from `seed` and `order`, each until its curve ends or `settings` stop it.
///
/// The true top are the networks with the highest accuracy over their epochs, of equals the one that stands first.
pub fn replay_early_stopping(curves: &[LearningCurve], settings: &RuleSettings, seed: u64, order: u64) -> StopReplay {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(order);
    let mut sequence: Vec<usize> = (0..curves.len()).collect();
    for last in (1..sequence.len()).rev() {
        sequence.swap(last, rng.random_range(0..=last));
    }
    let bests: Vec<f64> = curves.iter().map(|curve| curve.best().unwrap_or(0.0)).collect();
    let mut ranking: Vec<usize> = (0..curves.len()).collect();
    ranking.sort_by(|&a, &b| bests[b].total_cmp(&bests[a]));

    let mut early_stopping = EarlyStopping::new(settings.clone());
    let mut is_kept = vec![true; curves.len()];
    let mut epochs = 0;
    for index in sequence {
        let curve = &curves[index];
        let rule = early_stopping.rule();
        // After the last epoch nothing is left to stop.
        let stop = rule.and_then(|rule| (1..curve.epochs()).find(|&epoch| rule.decide(curve, epoch).is_some()));
        epochs += stop.unwrap_or(curve.epochs()) as u64;
        match stop {
            Some(epoch) => {
                is_kept[index] = false;
                let accuracies = curve.accuracies[..epoch].to_vec();
                early_stopping.note_stopped(&LearningCurve { accuracies, ..*curve });
            }
            None => early_stopping.note_full(curve.clone()),
        }
    }
    let best_kept = bests.iter().zip(&is_kept).filter(|(_, kept)| **kept).map(|(best, _)| *best).fold(0.0, f64::max);
    StopReplay {
        full_epochs: curves.iter().map(|curve| curve.epochs() as u64).sum(),
        epochs,
        stopped: is_kept.iter().filter(|kept| !**kept).count() as u64,
        kept_top: ranking.iter().take(TOP).filter(|&&index| is_kept[index]).count() as u64,
        regret: ranking.first().map_or(0.0, |&index| bests[index]) - best_kept,
    }
}
