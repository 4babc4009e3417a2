use metaqnn_kernels::convolution::Placement;
use metaqnn_kernels::elementwise::{
    Affine, MapSize, NormalizationGradient, add_statistics, add_sums, mask_normalized, place,
    place_normalization_gradient, place_normalized, replace_by_relu_gradient,
};
use proptest::prelude::*;

use crate::{Sum, assert_close, fewer_images, map_size, random, stored_channels, with_each_instruction_set};

/// Of one multiplication and one addition, relative to the magnitudes.
const ROUNDING: f64 = 2.5e-7;
/// Of a sum over all positions, likewise.
const SUMMING: f64 = 3e-6;

#[derive(Clone, Copy, Debug)]
struct Case {
    size: MapSize,
    images: usize,
    placement: Placement,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    (map_size(stored_channels()), 1_usize..=130, 0_usize..=3, 1_usize..=3, any::<u64>()).prop_map(
        |(size, images, margin, step, seed)| {
            let MapSize { height, width, .. } = size;
            let placement = Placement {
                height: (height - 1) * step + 1 + 2 * margin,
                width: (width - 1) * step + 1 + 2 * margin,
                margin,
                step,
            };
            let numbers = placement.positions(1) * size.channels;
            Case { size, images: fewer_images(images, numbers, 100_000), placement, seed }
        },
    )
}

impl Case {
    fn values(&self, stream: u64) -> Vec<f32> {
        random(self.seed, stream, self.images * self.size.values())
    }

    fn per_channel(&self, stream: u64) -> Vec<f32> {
        random(self.seed, stream, self.size.channels)
    }

    /// The numbers that are `placed`, in order, after a check that there are only zeros between.
    fn taken_out(&self, placed: &[f32]) -> Vec<f32> {
        let Case { size: MapSize { height, width, channels }, images, placement, .. } = *self;
        let mut rest = placed.to_vec();
        let mut values = Vec::new();
        for (n, y, x) in (0..images).flat_map(|n| (0..height).flat_map(move |y| (0..width).map(move |x| (n, y, x)))) {
            let row = n * placement.height + placement.margin + y * placement.step;
            let at = (row * placement.width + placement.margin + x * placement.step) * channels;
            values.extend_from_slice(&rest[at..at + channels]);
            rest[at..at + channels].fill(0.0);
        }
        assert!(rest.iter().all(|&value| value == 0.0), "something was written between the positions");
        values
    }

    fn room(&self) -> Vec<f32> {
        vec![0.0; self.placement.positions(self.images) * self.size.channels]
    }

    /// `of` each number, its index and its channel.
    fn map(&self, values: &[f32], of: impl Fn(f32, usize, usize) -> Sum) -> Vec<Sum> {
        values.iter().enumerate().map(|(index, &value)| of(value, index, index % self.size.channels)).collect()
    }
}

/// The sum of these terms.
fn sum<const N: usize>(terms: [f64; N]) -> Sum {
    let mut sum = Sum::default();
    terms.into_iter().for_each(|term| sum.add(term));
    sum
}

fn product(a: f32, b: f32) -> f64 {
    f64::from(a) * f64::from(b)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn images_are_placed(case in cases()) {
        let values = case.values(1);
        let mut placed = case.room();
        place(&values, case.size, case.images, case.placement, &mut placed);
        prop_assert_eq!(case.taken_out(&placed), values);
    }

    #[test]
    fn normalized_images_are_placed(case in cases(), relu: bool) {
        let (values, scale, shift) = (case.values(1), case.per_channel(2), case.per_channel(3));
        let expected = case.map(&values, |value, _, c| {
            let Sum { value, magnitude } = sum([product(value, scale[c]), f64::from(shift[c])]);
            Sum { value: if relu { value.max(0.0) } else { value }, magnitude }
        });
        with_each_instruction_set(|| {
            let mut placed = case.room();
            let affine = Affine { scale: &scale, shift: &shift };
            place_normalized(&values, case.size, case.images, affine, relu, case.placement, &mut placed);
            assert_close(&case.taken_out(&placed), &expected, ROUNDING);
        });
    }

    #[test]
    fn gradients_of_what_was_normalized_are_placed(case in cases()) {
        let (gradient, value) = (case.values(1), case.values(2));
        let [of_gradient, of_value, constant] = [3, 4, 5].map(|stream| case.per_channel(stream));
        let expected = case.map(&gradient, |g, index, c| {
            sum([product(g, of_gradient[c]), product(value[index], of_value[c]), f64::from(constant[c])])
        });
        let factors = NormalizationGradient { of_gradient: &of_gradient, of_value: &of_value, constant: &constant };
        with_each_instruction_set(|| {
            let mut placed = case.room();
            place_normalization_gradient(
                &gradient, &value, case.size, case.images, factors, case.placement, &mut placed,
            );
            assert_close(&case.taken_out(&placed), &expected, ROUNDING);
        });
    }

    #[test]
    fn relu_masks_gradients(case in cases()) {
        let mut value = case.values(1);
        // As many zeros as ReLU makes.
        value.iter_mut().for_each(|value| *value = value.max(0.0));
        let gradient = case.values(2);
        let expected: Vec<f32> =
            gradient.iter().zip(&value).map(|(&g, &value)| if value > 0.0 { g } else { 0.0 }).collect();
        with_each_instruction_set(|| {
            let mut masked = value.clone();
            replace_by_relu_gradient(&mut masked, &gradient);
            assert_eq!(masked, expected);
        });
    }

    #[test]
    fn relu_after_normalization_masks_gradients_and_sums_are_gathered(case in cases(), relu: bool) {
        let (gradient, value) = (case.values(1), case.values(2));
        let [scale, shift, mean, before] = [3, 4, 5, 6].map(|stream| case.per_channel(stream));
        // Where rounding decides the sign there is no right answer.
        let decided = |value: f32, c: usize| sum([product(value, scale[c]), f64::from(shift[c])]);
        let undecided = value.iter().enumerate().any(|(index, &value)| {
            let Sum { value, magnitude } = decided(value, index % case.size.channels);
            value.abs() < 1e-6 * magnitude
        });
        prop_assume!(!undecided);
        let kept = |index: usize, c: usize| !relu || decided(value[index], c).value > 0.0;
        let expected = case.map(&gradient, |g, index, c| sum([if kept(index, c) { f64::from(g) } else { 0.0 }]));
        let start: Vec<Sum> = before.iter().map(|&value| sum([f64::from(value)])).collect();
        let (mut sums, mut products) = (start.clone(), start);
        for (index, g) in expected.iter().enumerate() {
            let c = index % case.size.channels;
            sums[c].add(g.value);
            products[c].add(g.value * (f64::from(value[index]) - f64::from(mean[c])));
        }
        with_each_instruction_set(|| {
            let (mut masked, mut actual_sums, mut actual_products) = (gradient.clone(), before.clone(), before.clone());
            let affine = Affine { scale: &scale, shift: &shift };
            mask_normalized(&mut masked, &value, affine, relu, &mean, &mut actual_sums, &mut actual_products);
            assert_close(&masked, &expected, 0.0);
            assert_close(&actual_sums, &sums, SUMMING);
            assert_close(&actual_products, &products, SUMMING);
        });
    }

    #[test]
    fn statistics_and_sums_are_added(case in cases()) {
        let (values, origin, before) = (case.values(1), case.per_channel(2), case.per_channel(3));
        let start: Vec<Sum> = before.iter().map(|&value| sum([f64::from(value)])).collect();
        let (mut plain, mut sums, mut squares) = (start.clone(), start.clone(), start);
        for (index, &value) in values.iter().enumerate() {
            let c = index % case.size.channels;
            let difference = f64::from(value) - f64::from(origin[c]);
            plain[c].add(f64::from(value));
            sums[c].add(difference);
            squares[c].add(difference * difference);
        }
        // Each term of a sum is rounded once, up or down.
        let terms = (values.len() / case.size.channels) as f64;
        let tolerance = SUMMING.max(2.0 * f64::from(f32::EPSILON) * terms.sqrt());
        with_each_instruction_set(|| {
            let (mut actual_sums, mut actual_squares) = (before.clone(), before.clone());
            add_statistics(&values, &origin, &mut actual_sums, &mut actual_squares);
            assert_close(&actual_sums, &sums, tolerance);
            assert_close(&actual_squares, &squares, tolerance);
            let mut actual = before.clone();
            add_sums(&values, &mut actual);
            assert_close(&actual, &plain, tolerance);
        });
    }
}

#[test]
fn images_of_few_channels_are_placed() {
    for channels in [1, 3] {
        let size = MapSize { height: 4, width: 3, channels };
        let case = Case { size, images: 2, placement: Placement::padded(4, 3, 2), seed: 3 };
        let values = case.values(1);
        let mut placed = case.room();
        place(&values, size, case.images, case.placement, &mut placed);
        assert_eq!(case.taken_out(&placed), values);
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let size = MapSize { height: 1, width: 2, channels: 8 };
    let mut values = vec![1.0; 16];
    values[11] = f32::NAN;
    let ones = vec![1.0; 8];
    with_each_instruction_set(|| {
        let mut placed = vec![0.0; 16];
        let affine = Affine { scale: &ones, shift: &ones };
        place_normalized(&values, size, 1, affine, true, Placement::dense(1, 2), &mut placed);
        assert!(placed.iter().enumerate().all(|(index, value)| value.is_nan() == (index == 11)));
        let (mut sums, mut squares) = (vec![0.0; 8], vec![0.0; 8]);
        add_statistics(&values, &ones, &mut sums, &mut squares);
        assert!(sums.iter().chain(&squares).enumerate().all(|(index, value)| value.is_nan() == (index % 8 == 3)));
    });
}
