//! Which class a network answers, and how often that is right.

use std::collections::BTreeMap;

/// The index of the greatest of `scores`, one a class, of equal ones the first; a score that is not a number is never the greatest.
/// 0 where there is none.
pub fn predicted_class<T: Copy + Into<f64>>(scores: &[T]) -> usize {
    let mut best = (0, f64::NEG_INFINITY);
    for (class, &score) in scores.iter().enumerate() {
        let score = score.into();
        if score > best.1 {
            best = (class, score);
        }
    }
    best.0
}

/// The mean, over the classes that occur in `labels`, of the share of their images for which the class in `predicted` is right: each
/// class counts the same, however many images it has. 0 where there are no images.
pub fn balanced_accuracy(predicted: impl IntoIterator<Item = usize>, labels: &[u16]) -> f64 {
    let mut classes: BTreeMap<u16, (u32, u32)> = BTreeMap::new();
    for (class, &label) in predicted.into_iter().zip(labels) {
        let (right, all) = classes.entry(label).or_default();
        *right += u32::from(class == usize::from(label));
        *all += 1;
    }
    let recalls = classes.values().map(|(right, all)| f64::from(*right) / f64::from(*all));
    recalls.sum::<f64>() / classes.len().max(1) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_of_the_greatest_is_the_answer() {
        assert_eq!(predicted_class(&[0.1_f32, 0.4, 0.4, 0.1]), 1);
        assert_eq!(predicted_class(&[f32::NAN, 0.2, 0.3]), 2);
        assert_eq!(predicted_class(&[f64::NAN; 3]), 0);
        assert_eq!(predicted_class::<f64>(&[]), 0);
    }

    #[test]
    fn a_rare_class_counts_as_much_as_a_frequent_one() {
        // Recalls 3/4 and 0; class 2 does not occur.
        assert_eq!(balanced_accuracy([0, 0, 0, 2, 0], &[0, 0, 0, 0, 1]), 0.375);
        assert_eq!(balanced_accuracy([1, 1], &[1, 1]), 1.0);
        assert_eq!(balanced_accuracy([], &[]), 0.0);
    }
}
