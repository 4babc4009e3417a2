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
/// larger one equals in accuracy, the best `n` of these; where there are fewer, the best of the others follow. `ranked` has
/// the networks that learned, best validation accuracy first.
pub fn choose_candidates(ranked: &[FinishedNetwork], n: usize) -> Vec<TrialNumber> {
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
    front.into_iter().chain(others).take(n).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(networks: &[(u64, f64, u64)]) -> Vec<FinishedNetwork> {
        let of = |&(trial, valid_accuracy, flops)| FinishedNetwork { trial: TrialNumber(trial), valid_accuracy, flops };
        networks.iter().map(of).collect()
    }

    fn chosen(networks: &[(u64, f64, u64)], n: usize) -> Vec<u64> {
        choose_candidates(&ranked(networks), n).iter().map(|trial| trial.0).collect()
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
    fn there_may_be_fewer_networks_than_candidates() {
        assert_eq!(chosen(&[(1, 0.5, 10)], 4), [1]);
        assert_eq!(chosen(&[], 4), [] as [u64; 0]);
    }
}
