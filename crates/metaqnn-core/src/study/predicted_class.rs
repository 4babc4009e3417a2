//! Which class a network answers.

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
}
