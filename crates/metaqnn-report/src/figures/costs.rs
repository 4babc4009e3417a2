//! Error against size, and how sure an accuracy is.

use metaqnn_core::study::wilson_interval;

/// Which of the points (cost, error) no other point is at least as good as in both and better in one; in the order of their cost.
pub fn pareto_front(points: &[(f64, f64)]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..points.len()).collect();
    order.sort_by(|&a, &b| points[a].0.total_cmp(&points[b].0).then(points[a].1.total_cmp(&points[b].1)));
    let mut least_error = f64::INFINITY;
    order.retain(|&index| {
        let is_better = points[index].1 < least_error;
        if is_better {
            least_error = points[index].1;
        }
        is_better
    });
    order
}

/// Wilson's 95 % interval of an accuracy measured on so many images (Wilson, 1927). `None` of no images.
pub fn interval(accuracy: f64, images: u64) -> Option<(f64, f64)> {
    (images > 0).then(|| wilson_interval(accuracy, images))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_front_holds_what_nothing_else_beats() {
        let points = [(3.0, 0.1), (1.0, 0.5), (2.0, 0.5), (2.0, 0.3), (4.0, 0.1), (1.0, 0.6)];
        assert_eq!(pareto_front(&points), [1, 3, 0]);
        assert_eq!(pareto_front(&[]), [] as [usize; 0]);
    }

    #[test]
    fn the_interval_is_wilsons() {
        // 8 of 10: 0.490 to 0.943 (Newcombe, 1998, by his method 3).
        let (low, high) = interval(0.8, 10).unwrap();
        assert!((low - 0.4902).abs() < 1e-4 && (high - 0.9433).abs() < 1e-4, "{low} {high}");
        assert_eq!(interval(1.0, 0), None);
        assert!(interval(1.0, 100).unwrap().1 <= 1.0);
    }
}
