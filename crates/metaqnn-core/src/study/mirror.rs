//! Whether images seen in a mirror, or turned, are still images of their class, by what a network makes of them.

use std::collections::BTreeMap;

/// Of what the network knows beyond guessing, so much must be left of mirrored images.
const KEPT: f64 = 0.9;

/// So many standard deviations of what a network loses by chance are not held against it: of few images that is more than a tenth.
const LOST_BY_CHANCE: f64 = 0.5;

/// And of the images of each class that it gets right, so much, where they are at least [`CLASS_IMAGES`].
const KEPT_OF_CLASS: f64 = 0.5;

/// Fewer right answers say nothing of a single class.
const CLASS_IMAGES: u32 = 10;

/// Whether it is safe to mirror training images, by the classes that a network trained without mirroring answers to images of `labels`:
/// to the images as they are and to the same ones mirrored left to right.
///
/// A network that has never seen a mirrored photograph answers it as well as the photograph; of mirrored digits, letters or arrows it gets
/// half or fewer right. So it is safe where the network is better than guessing the most frequent class by more than chance would make it,
/// keeps nine tenths of that lead but for chance, and half of the right answers of each class, of which a few may be each other's mirror images.
pub fn mirror_is_safe(
    plain: impl IntoIterator<Item = usize>,
    mirrored: impl IntoIterator<Item = usize>,
    labels: &[u16],
) -> bool {
    #[derive(Default)]
    struct Counts {
        images: u32,
        right: u32,
        right_mirrored: u32,
        /// Right as they are or mirrored, not both.
        differing: u32,
    }
    let mut classes: BTreeMap<u16, Counts> = BTreeMap::new();
    for ((plain, mirrored), &label) in plain.into_iter().zip(mirrored).zip(labels) {
        let counts = classes.entry(label).or_default();
        counts.images += 1;
        counts.right += u32::from(plain == usize::from(label));
        counts.right_mirrored += u32::from(mirrored == usize::from(label));
        counts.differing += u32::from((plain == usize::from(label)) != (mirrored == usize::from(label)));
    }
    let sum = |of: fn(&Counts) -> u32| classes.values().map(of).map(f64::from).sum::<f64>();
    let guessed = f64::from(classes.values().map(|counts| counts.images).max().unwrap_or(0));
    let lead = sum(|counts| counts.right) - guessed;
    // Two standard deviations of the count where half of the answers are right, which is the most there can be.
    let by_chance = sum(|counts| counts.images).sqrt();
    let keeps = |counts: &Counts| {
        counts.right < CLASS_IMAGES || f64::from(counts.right_mirrored) >= KEPT_OF_CLASS * f64::from(counts.right)
    };
    let lost = lead - (sum(|counts| counts.right_mirrored) - guessed);
    let lost_by_chance = LOST_BY_CHANCE * sum(|counts| counts.differing).sqrt();
    lead > by_chance && lost <= (1.0 - KEPT) * lead + lost_by_chance && classes.values().all(keeps)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `images` of each of `classes`, and answers to them of which the first `right` of each class are right.
    fn answers(classes: u16, images: usize, right: impl Fn(u16) -> usize) -> Vec<usize> {
        let of_class = |class| (0..images).map(move |i| (class, i));
        let answer = |(class, i)| usize::from(if i < right(class) { class } else { (class + 1) % classes });
        (0..classes).flat_map(of_class).map(answer).collect()
    }

    fn labels(classes: u16, images: usize) -> Vec<u16> {
        (0..classes).flat_map(|class| std::iter::repeat_n(class, images)).collect()
    }

    fn is_safe(classes: u16, images: usize, plain: impl Fn(u16) -> usize, mirrored: impl Fn(u16) -> usize) -> bool {
        let answers = |right: &dyn Fn(u16) -> usize| answers(classes, images, right);
        mirror_is_safe(answers(&plain), answers(&mirrored), &labels(classes, images))
    }

    #[test]
    fn mirrored_photographs_are_recognized_and_digits_are_not() {
        assert!(is_safe(10, 100, |_| 70, |_| 69));
        assert!(is_safe(10, 100, |_| 70, |_| 72));
        // 60 points are known beyond guessing, of which 54 must be left.
        assert!(is_safe(10, 100, |_| 70, |_| 64));
        assert!(!is_safe(10, 100, |_| 70, |_| 63));
        assert!(!is_safe(10, 100, |_| 99, |class| if class < 4 { 95 } else { 20 }));
    }

    #[test]
    fn two_classes_that_are_each_others_mirror_image_suffice() {
        let left_and_right = |class| if class < 2 { 5 } else { 98 };
        assert!(!is_safe(50, 100, |_| 98, left_and_right));
        // In all, nine tenths would be left.
        assert!(is_safe(50, 100, |_| 98, |class| if class < 2 { 60 } else { 98 }));
        assert!(!is_safe(2, 50, |_| 49, |_| 2));
    }

    #[test]
    fn a_network_that_knows_nothing_says_nothing() {
        assert!(!is_safe(10, 100, |_| 10, |_| 10));
        assert!(!is_safe(10, 100, |_| 12, |_| 12));
        assert!(!is_safe(2, 5, |_| 3, |_| 3));
        assert!(!mirror_is_safe([], [], &[]));
        // Nine of ten are of one class, and that one is all that it answers.
        let labels: Vec<u16> = (0..100).map(|i| u16::from(i >= 90)).collect();
        assert!(!mirror_is_safe(vec![0; 100], vec![0; 100], &labels));
    }
}
