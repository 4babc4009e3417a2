//! Which images are for validation: stratified draws that will be the same in every version of the program.

use rand::Rng;

/// The seed of the validation split unless another is set: one constant, so that all studies of a data set share
/// one split and their accuracies can be compared.
pub const DEFAULT_SPLIT_SEED: u64 = 0x4d65_7461_514e_4e31;

/// How to take validation images out of the training part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SplitSettings {
    /// How many; `None` means 5,000, stratified by class (for the digits the fixed 30 of each class).
    pub valid_images: Option<usize>,
    /// Seed of the draw.
    pub seed: u64,
}

impl Default for SplitSettings {
    fn default() -> Self {
        Self { valid_images: None, seed: DEFAULT_SPLIT_SEED }
    }
}

/// Draws `n` of the indices `0..labels.len()`, in ascending order, each class in proportion to its share.
///
/// Each class gets its quota n · (its images) / (all images) rounded down; what is left goes, one each, to the
/// classes with the largest remainders (of equal ones to the lower label). Labels not below `classes` are never
/// drawn. If `n` exceeds the number of images, all are returned.
pub fn stratified_subset<R: Rng + ?Sized>(labels: &[u16], classes: usize, n: usize, rng: &mut R) -> Vec<usize> {
    let mut members: Vec<Vec<usize>> = vec![Vec::new(); classes];
    for (i, &label) in labels.iter().enumerate() {
        if let Some(class) = members.get_mut(usize::from(label)) {
            class.push(i);
        }
    }
    let counts: Vec<usize> = members.iter().map(Vec::len).collect();
    let seats = largest_remainder(&counts, n);
    let mut drawn: Vec<usize> = Vec::with_capacity(n.min(labels.len()));
    for (mut class, seats) in members.into_iter().zip(seats) {
        // The first steps of a Fisher–Yates shuffle: the head is a uniform draw without replacement.
        for i in 0..seats {
            let j = i + below(class.len() - i, rng);
            class.swap(i, j);
        }
        drawn.extend_from_slice(&class[..seats]);
    }
    drawn.sort_unstable();
    drawn
}

/// Shuffles `items` uniformly (Fisher–Yates).
pub(crate) fn shuffle<R: Rng + ?Sized>(items: &mut [usize], rng: &mut R) {
    for i in (1..items.len()).rev() {
        let j = below(i + 1, rng);
        items.swap(i, j);
    }
}

/// A uniform draw from `0..n`, n ≥ 1, of one 64-bit word: the high half of word × n.
///
/// Written out rather than taken from a library, whose algorithms may change from one version to the next: a seed
/// must mean the same split for good. Its bias is below n / 2⁶⁴.
pub(crate) fn below<R: Rng + ?Sized>(n: usize, rng: &mut R) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// Divides `n` seats among classes in proportion to `counts` (largest remainder), none getting more than it has.
fn largest_remainder(counts: &[usize], n: usize) -> Vec<usize> {
    let total: usize = counts.iter().sum();
    if n >= total {
        return counts.to_vec();
    }
    let quota = |count: usize| n as u128 * count as u128;
    let mut seats: Vec<usize> = counts.iter().map(|&count| (quota(count) / total as u128) as usize).collect();
    let mut by_remainder: Vec<usize> = (0..counts.len()).collect();
    by_remainder.sort_by_key(|&class| std::cmp::Reverse(quota(counts[class]) % total as u128));
    let left = n - seats.iter().sum::<usize>();
    for &class in by_remainder.iter().take(left) {
        seats[class] += 1;
    }
    seats
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn seats_follow_the_largest_remainders() {
        // Quotas 4.7, 3.2, 2.1 of 10 seats: the first class gets the seat that is left.
        assert_eq!(largest_remainder(&[47, 32, 21], 10), [5, 3, 2]);
        assert_eq!(largest_remainder(&[1, 1, 1], 2), [1, 1, 0]);
        assert_eq!(largest_remainder(&[5, 0, 5], 20), [5, 0, 5]);
    }

    #[test]
    fn the_default_split_never_changes() {
        let labels: Vec<u16> = (0..40).map(|i| i % 4).collect();
        let mut rng = ChaCha8Rng::seed_from_u64(DEFAULT_SPLIT_SEED);
        assert_eq!(stratified_subset(&labels, 4, 8, &mut rng), FROZEN);
    }
    const FROZEN: [usize; 8] = [3, 5, 12, 15, 20, 29, 30, 34];

    #[test]
    fn draws_below_are_uniform() {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let mut counts = [0; 6];
        for _ in 0..60_000 {
            counts[below(6, &mut rng)] += 1;
        }
        // Six standard deviations of a binomial count.
        assert!(counts.iter().all(|&count: &i32| (count - 10_000).abs() < 550), "{counts:?}");
    }

    proptest! {
        #[test]
        fn subsets_are_stratified(labels in prop::collection::vec(0_u16..5, 0..200), n in 0_usize..220, seed: u64) {
            let mut rng = ChaCha8Rng::seed_from_u64(seed);
            let drawn = stratified_subset(&labels, 5, n, &mut rng);
            prop_assert_eq!(drawn.len(), n.min(labels.len()));
            prop_assert!(drawn.is_sorted_by(|a, b| a < b));
            for class in 0..5 {
                let all = labels.iter().filter(|&&label| label == class).count();
                let taken = drawn.iter().filter(|&&i| labels[i] == class).count();
                let quota = n.min(labels.len()) as f64 * all as f64 / labels.len().max(1) as f64;
                prop_assert!((taken as f64 - quota).abs() < 1.0);
            }
        }
    }
}
