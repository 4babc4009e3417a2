//! Filters that whiten the patches of images (Jordan, 2024, arXiv 2404.00498, section 3.2).

use metaqnn_core::graph::Graph;
use metaqnn_core::operation::Operation;
use metaqnn_data::{LabelledImages, Normalizer};

/// Patches that are looked at, spread over all training images: as many as tell the covariance well and take a small part of a second.
const PATCHES: usize = 30_000;

/// Added to variances, so that directions in which images hardly differ are not blown up.
const LEAST_VARIANCE: f64 = 5e-4;

/// The filters with which the first operation of `graph` begins, one after the other, each of dimensions I × `kernel_size`². None where it is no
/// convolution, or has fewer output channels than a patch has values: a part of the directions would hide the others.
///
/// They are the eigenvectors of the covariance of the patches over the root of the eigenvalue, those of large eigenvalues first, and then their
/// negatives, as many as there are output channels; all are scaled alike to a mean norm of 1.
pub(crate) fn whitening_filters(graph: &Graph, images: &LabelledImages, normalizer: &Normalizer) -> Vec<f32> {
    let Some(Operation::Convolution(first)) = graph.nodes().first().map(|node| node.operation) else {
        return Vec::new();
    };
    let (channels, side) = (first.in_channels as usize, first.kernel_size as usize);
    let values = channels * side * side;
    if (first.out_channels as usize) < values {
        return Vec::new();
    }
    let covariance = patch_covariance(images, normalizer, side, values);
    let (eigenvalues, vectors) = eigen(covariance, values);
    let mut order: Vec<usize> = (0..values).collect();
    order.sort_by(|&a, &b| eigenvalues[b].total_cmp(&eigenvalues[a]));
    let filter_of = |direction: usize| -> Vec<f64> {
        let factor = 1.0 / (eigenvalues[direction].max(0.0) + LEAST_VARIANCE).sqrt();
        (0..values).map(|row| factor * vectors[row * values + direction]).collect()
    };
    let mut filters: Vec<Vec<f64>> = order.into_iter().map(filter_of).collect();
    let negatives: Vec<Vec<f64>> = filters.iter().map(|filter| filter.iter().map(|value| -value).collect()).collect();
    filters.extend(negatives);
    filters.truncate(first.out_channels as usize);
    let norms: f64 = filters.iter().map(|filter| filter.iter().map(|value| value * value).sum::<f64>().sqrt()).sum();
    let scale = filters.len() as f64 / norms.max(f64::MIN_POSITIVE);
    filters.iter().flatten().map(|value| (scale * value) as f32).collect()
}

/// Second moments of the patches, `values`².
fn patch_covariance(images: &LabelledImages, normalizer: &Normalizer, side: usize, values: usize) -> Vec<f64> {
    let shape = images.shape;
    let [rows, columns] = [shape.height, shape.width].map(|n| (n + 1).saturating_sub(side));
    let positions = rows * columns;
    let all = images.len() * positions;
    // A step that has no divisor in common with the positions comes to each of them.
    let step = (all.div_ceil(PATCHES)..).find(|&step| step > 0 && greatest_divisor(step, positions) == 1).unwrap_or(1);
    let mut sums = vec![0.0; values * values];
    let mut image = vec![0.0; shape.pixels()];
    let mut patch = vec![0.0; values];
    let (mut normalized, mut count) = (None, 0_u64);
    for index in (0..all).step_by(step) {
        let (number, y, x) = (index / positions, index % positions / columns, index % columns);
        if normalized.replace(number) != Some(number) {
            normalizer.apply(images.image(number), &mut image);
        }
        let mut entries = patch.iter_mut();
        for c in 0..shape.channels {
            for row in y..y + side {
                let from = (c * shape.height + row) * shape.width + x;
                // In this order: a zip takes from its first part before it knows that the second is at its end.
                for (pixel, entry) in image[from..from + side].iter().zip(&mut entries) {
                    *entry = f64::from(*pixel);
                }
            }
        }
        count += 1;
        for (i, a) in patch.iter().enumerate() {
            for (sum, b) in sums[i * values..][..=i].iter_mut().zip(&patch) {
                *sum += a * b;
            }
        }
    }
    for i in 0..values {
        for j in 0..=i {
            let value = sums[i * values + j] / count.max(1) as f64;
            (sums[i * values + j], sums[j * values + i]) = (value, value);
        }
    }
    sums
}

/// The greatest common divisor; of a number and 0 the number.
fn greatest_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_divisor(b, a % b) }
}

/// Eigenvalues and eigenvectors, in columns, of a symmetric matrix of `n` × `n`, by Jacobi's rotations (Golub and Van Loan, section 8.5).
fn eigen(mut a: Vec<f64>, n: usize) -> (Vec<f64>, Vec<f64>) {
    let mut vectors = vec![0.0; n * n];
    (0..n).for_each(|i| vectors[i * n + i] = 1.0);
    let all: f64 = a.iter().map(|value| value * value).sum();
    for _ in 0..50 {
        let off: f64 = (0..n).flat_map(|i| (0..i).map(move |j| (i, j))).map(|(i, j)| a[i * n + j].powi(2)).sum();
        if off <= 1e-22 * all {
            break;
        }
        for p in 0..n {
            for q in p + 1..n {
                let apq = a[p * n + q];
                if apq == 0.0 {
                    continue;
                }
                let theta = (a[q * n + q] - a[p * n + p]) / (2.0 * apq);
                let tangent = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let cosine = 1.0 / (tangent * tangent + 1.0).sqrt();
                let sine = tangent * cosine;
                for k in 0..n {
                    let (akp, akq) = (a[k * n + p], a[k * n + q]);
                    (a[k * n + p], a[k * n + q]) = (cosine * akp - sine * akq, sine * akp + cosine * akq);
                }
                for k in 0..n {
                    let (apk, aqk) = (a[p * n + k], a[q * n + k]);
                    (a[p * n + k], a[q * n + k]) = (cosine * apk - sine * aqk, sine * apk + cosine * aqk);
                    let (vkp, vkq) = (vectors[k * n + p], vectors[k * n + q]);
                    (vectors[k * n + p], vectors[k * n + q]) = (cosine * vkp - sine * vkq, sine * vkp + cosine * vkq);
                }
            }
        }
    }
    ((0..n).map(|i| a[i * n + i]).collect(), vectors)
}

#[cfg(test)]
mod tests {
    use metaqnn_core::graph::MapShape;
    use metaqnn_core::settings::Preset;
    use metaqnn_data::{ImageShape, Preprocessing};

    use super::*;

    fn graph(text: &str, input: MapShape) -> Graph {
        let document = Preset::Quick.document("digits").unwrap();
        let settings = metaqnn_core::settings::Settings::from_toml(&document.to_string()).unwrap();
        Graph::new(&text.parse().unwrap(), input, settings.training.network_options()).unwrap()
    }

    /// Images whose neighbouring pixels are alike, as those of photographs.
    fn smooth_images(shape: ImageShape, count: usize) -> LabelledImages {
        let mut state = 1_u32;
        let mut noise = || {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            f64::from(state >> 8) / f64::from(1 << 24)
        };
        let mut pixels = Vec::new();
        for _ in 0..count * shape.channels * shape.height {
            let mut value = 255.0 * noise();
            for _ in 0..shape.width {
                value = 0.7 * value + 0.3 * 255.0 * noise();
                pixels.push(value as u8);
            }
        }
        LabelledImages { shape, pixels, labels: vec![0; count] }
    }

    #[test]
    fn eigenvectors_are_scaled_only_by_the_matrix() {
        let n = 6;
        let matrix: Vec<f64> = (0..n * n).map(|i| 1.0 / (1 + i / n + i % n) as f64).collect();
        let (values, vectors) = eigen(matrix.clone(), n);
        for direction in 0..n {
            for row in 0..n {
                let product: f64 = (0..n).map(|k| matrix[row * n + k] * vectors[k * n + direction]).sum();
                assert!((product - values[direction] * vectors[row * n + direction]).abs() < 1e-12);
            }
        }
        assert!((values.iter().sum::<f64>() - (0..n).map(|i| matrix[i * n + i]).sum::<f64>()).abs() < 1e-12);
    }

    #[test]
    fn answers_of_the_filters_to_patches_are_uncorrelated_and_of_like_size() {
        let images = smooth_images(ImageShape { channels: 2, height: 8, width: 9 }, 300);
        let normalizer = Normalizer::fit(Preprocessing::Standardize, &images, 255);
        let graph = graph("[C(64,3,1), GAP(3), SM(3)]", MapShape::new(2, 8, 9));
        let filters = whitening_filters(&graph, &images, &normalizer);
        let values = 2 * 3 * 3;
        assert_eq!(filters.len(), 2 * values * values, "each direction and its negative");
        let covariance = patch_covariance(&images, &normalizer, 3, values);
        let filters: Vec<&[f32]> = filters.chunks_exact(values).take(values).collect();
        let answer = |a: &[f32], b: &[f32]| -> f64 {
            let entry = |(i, j): (usize, usize)| f64::from(a[i]) * covariance[i * values + j] * f64::from(b[j]);
            (0..values).flat_map(|i| (0..values).map(move |j| (i, j))).map(entry).sum()
        };
        let size = answer(filters[0], filters[0]);
        for (i, a) in filters.iter().enumerate() {
            for (j, b) in filters.iter().enumerate() {
                let wanted = if i == j { 1.0 } else { 0.0 };
                assert!((answer(a, b) / size - wanted).abs() < 0.02, "filters {i} and {j}: {}", answer(a, b) / size);
            }
        }
    }

    #[test]
    fn all_directions_come_before_their_negatives_or_there_are_none() {
        let images = smooth_images(ImageShape { channels: 1, height: 6, width: 6 }, 100);
        let normalizer = Normalizer::fit(Preprocessing::Standardize, &images, 255);
        let input = MapShape::new(1, 6, 6);
        let of = |text: &str| whitening_filters(&graph(text, input), &images, &normalizer);
        let (few, many) = (of("[C(9,3,1), GAP(3), SM(3)]"), of("[C(32,3,1), GAP(3), SM(3)]"));
        assert_eq!((few.len(), many.len()), (9 * 9, 2 * 9 * 9));
        assert!(many[..81].iter().zip(&many[81..]).all(|(filter, negative)| *filter == -negative));
        assert!(few.iter().zip(&many).all(|(few, many)| (few - many).abs() < 1e-5));
        assert!(of("[C(8,3,1), GAP(3), SM(3)]").is_empty(), "not all directions fit");
        assert!(of("[P(2,2), FC(8), SM(3)]").is_empty());
    }
}
