//! How many of the best networks answer best together.

use super::predicted_class::predicted_class;

/// The best networks that are to answer together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EnsembleChoice {
    /// How many, counted from the best; 1: no ensemble.
    pub members: usize,
    /// Share of the images that they classify right together.
    pub accuracy: f64,
    /// Mean of −log p of the right class, in nats.
    pub log_loss: f64,
}

/// Chooses how many of `networks`, best first, make an ensemble: the number at which the mean of their class probabilities classifies
/// the most images right, of equal ones that with the lower mean −log p, of those the smaller one. `None` where there is no network.
///
/// `networks` holds images × classes probabilities for each network, `labels` the classes of the images. Only beginnings of the list
/// are looked at: with few images the more there is to choose from, the more is chosen by chance (docs/decisions/0002-ensembles.md).
pub fn choose_ensemble(networks: &[Vec<f32>], labels: &[u16], classes: usize) -> Option<EnsembleChoice> {
    let mut sums = vec![0.0_f64; labels.len() * classes];
    let mut best: Option<EnsembleChoice> = None;
    for (members, probabilities) in (1..).zip(networks) {
        for (sum, &probability) in sums.iter_mut().zip(probabilities) {
            *sum += f64::from(probability);
        }
        let choice = measured(&sums, members, labels, classes);
        let is_better = best.is_none_or(|best| {
            choice.accuracy > best.accuracy || (choice.accuracy == best.accuracy && choice.log_loss < best.log_loss)
        });
        if is_better {
            best = Some(choice);
        }
    }
    best
}

/// How the networks do whose probabilities add up to `sums`.
fn measured(sums: &[f64], members: usize, labels: &[u16], classes: usize) -> EnsembleChoice {
    let (mut right, mut log_loss) = (0, 0.0);
    for (row, &label) in sums.chunks_exact(classes.max(1)).zip(labels) {
        let of_label = row.get(usize::from(label)).copied().unwrap_or(0.0);
        right += usize::from(predicted_class(row) == usize::from(label));
        log_loss -= (of_label / members as f64).max(f64::MIN_POSITIVE).ln();
    }
    let images = labels.len().max(1) as f64;
    EnsembleChoice { members, accuracy: right as f64 / images, log_loss: log_loss / images }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of each image the probability of class 1.
    fn network(ones: &[f32]) -> Vec<f32> {
        ones.iter().flat_map(|p| [1.0 - p, *p]).collect()
    }

    const LABELS: [u16; 4] = [1, 1, 0, 0];

    #[test]
    fn networks_that_are_wrong_elsewhere_help_and_bad_ones_do_not() {
        let first = network(&[0.9, 0.4, 0.1, 0.1]);
        let helper = network(&[0.4, 0.9, 0.2, 0.2]);
        let bad = network(&[0.0, 0.0, 1.0, 1.0]);
        let choice = choose_ensemble(&[first.clone(), helper.clone(), bad.clone()], &LABELS, 2).unwrap();
        assert_eq!((choice.members, choice.accuracy), (2, 1.0));
        let by_hand = -(0.65_f64.ln() + 0.65_f64.ln() + 0.85_f64.ln() + 0.85_f64.ln()) / 4.0;
        assert!((choice.log_loss - by_hand).abs() < 1e-7, "{choice:?}");
        let choice = choose_ensemble(&[first.clone(), bad], &LABELS, 2).unwrap();
        assert_eq!((choice.members, choice.accuracy), (1, 0.75));
        assert_eq!(choose_ensemble(&[first], &LABELS, 2).unwrap().members, 1);
        assert_eq!(choose_ensemble(&[], &LABELS, 2), None);
    }

    #[test]
    fn of_equal_accuracies_the_surer_one_is_taken_and_of_equal_ones_the_smaller() {
        let unsure = network(&[0.6, 0.6, 0.4, 0.4]);
        let sure = network(&[0.9, 0.9, 0.1, 0.1]);
        assert_eq!(choose_ensemble(&[unsure.clone(), sure.clone()], &LABELS, 2).unwrap().members, 2);
        assert_eq!(choose_ensemble(&[sure.clone(), unsure.clone()], &LABELS, 2).unwrap().members, 1);
        assert_eq!(choose_ensemble(&[sure.clone(), sure.clone()], &LABELS, 2).unwrap().members, 1);
        // A network that broke down drags nobody along.
        assert_eq!(choose_ensemble(&[unsure, vec![f32::NAN; 8], sure], &LABELS, 2).unwrap().members, 1);
    }
}
