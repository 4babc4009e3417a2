//! Which networks of the search are candidates for the final training.

use super::trial::TrialNumber;

/// What is known of a network that learned.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FinishedNetwork {
    /// Its trial.
    pub trial: TrialNumber,
    /// Validation accuracy of the trial.
    pub valid_accuracy: f64,
    /// FLOPs, forward, for one image.
    pub flops: u64,
}

/// The trials of at most `n` candidates, the best of the search first.
///
/// A trial is short, which favours small networks: they learn sooner, but not as far. So a candidate is a network that no
/// larger one equals in accuracy, the best `n` of these; where there are fewer, the best of the others follow. The one of `known`, a
/// network known to be good, is always among them, the last one where it would not be. `ranked` has the networks that learned, best
/// validation accuracy first.
pub fn choose_candidates(ranked: &[FinishedNetwork], n: usize, known: Option<TrialNumber>) -> Vec<TrialNumber> {
    let mut largest = None;
    let (mut front, mut others) = (Vec::new(), Vec::new());
    for network in ranked {
        if largest.is_none_or(|largest| network.flops > largest) {
            largest = Some(network.flops);
            front.push(network.trial);
        } else {
            others.push(network.trial);
        }
    }
    let mut chosen: Vec<TrialNumber> = front.into_iter().chain(others).take(n).collect();
    if let Some(known) = known.filter(|known| !chosen.contains(known)) {
        chosen.pop();
        chosen.push(known);
    }
    chosen
}

/// The one of `candidates`, each with its validation accuracy after a training of the same length, that is trained fully.
///
/// The best, but `known`, a network known to be good, where the best is ahead of it by less than a standard error of the difference on
/// so many `images`: of few images an accuracy says less than that a network has been good elsewhere.
pub fn best_candidate(
    candidates: &[(TrialNumber, f64)],
    known: Option<TrialNumber>,
    images: usize,
) -> Option<TrialNumber> {
    let accuracy_of = |trial| candidates.iter().find(|candidate| candidate.0 == trial).map(|candidate| candidate.1);
    // Of equally good ones the first.
    let best = candidates.iter().rev().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let variance = |accuracy: f64| accuracy * (1.0 - accuracy) / images.max(1) as f64;
    let is_as_good = |accuracy: f64| best.1 - accuracy < (variance(accuracy) + variance(best.1)).sqrt();
    let known = known.filter(|known| accuracy_of(*known).is_some_and(is_as_good));
    Some(known.unwrap_or(best.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(networks: &[(u64, f64, u64)]) -> Vec<FinishedNetwork> {
        let of = |&(trial, valid_accuracy, flops)| FinishedNetwork { trial: TrialNumber(trial), valid_accuracy, flops };
        networks.iter().map(of).collect()
    }

    fn chosen(networks: &[(u64, f64, u64)], n: usize) -> Vec<u64> {
        choose_candidates(&ranked(networks), n, None).iter().map(|trial| trial.0).collect()
    }

    #[test]
    fn larger_networks_come_before_better_ones_of_the_same_size() {
        let networks = [(7, 0.9, 50), (3, 0.89, 40), (9, 0.88, 60), (1, 0.7, 60), (2, 0.6, 100), (4, 0.5, 10)];
        assert_eq!(chosen(&networks, 3), [7, 9, 2]);
        assert_eq!(chosen(&networks, 2), [7, 9]);
        assert_eq!(chosen(&networks, 5), [7, 9, 2, 3, 1]);
        assert_eq!(chosen(&networks, 1), [7]);
    }

    #[test]
    fn a_network_known_to_be_good_is_always_a_candidate() {
        let networks = ranked(&[(7, 0.9, 50), (3, 0.89, 40), (9, 0.88, 60), (1, 0.7, 60), (2, 0.6, 100)]);
        let chosen = |n, known| choose_candidates(&networks, n, Some(TrialNumber(known)));
        assert_eq!(chosen(2, 1), [TrialNumber(7), TrialNumber(1)]);
        assert_eq!(chosen(2, 9), [TrialNumber(7), TrialNumber(9)]);
        assert_eq!(chosen(1, 3), [TrialNumber(3)]);
    }

    #[test]
    fn few_images_do_not_outvote_what_is_known() {
        let compared = [(TrialNumber(4), 0.93), (TrialNumber(1), 0.90), (TrialNumber(2), 0.93)];
        let known = Some(TrialNumber(1));
        assert_eq!(best_candidate(&compared, known, 60), known);
        assert_eq!(best_candidate(&compared, known, 5_000), Some(TrialNumber(4)));
        assert_eq!(best_candidate(&compared, None, 60), Some(TrialNumber(4)));
        assert_eq!(best_candidate(&compared, Some(TrialNumber(9)), 60), Some(TrialNumber(4)));
        assert_eq!(best_candidate(&[], known, 60), None);
    }

    #[test]
    fn there_may_be_fewer_networks_than_candidates() {
        assert_eq!(chosen(&[(1, 0.5, 10)], 4), [1]);
        assert_eq!(chosen(&[], 4), [] as [u64; 0]);
    }
}
