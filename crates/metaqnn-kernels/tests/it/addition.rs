use metaqnn_kernels::addition::{add, mask_by_relu};
use proptest::prelude::*;

use crate::{random, with_each_instruction_set};

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn sums_equal_the_naive_loop(vectors in 1_usize..60, relu: bool, seed: u64) {
        let [one, other] = [1, 2].map(|stream| random(seed, stream, 8 * vectors));
        let expected: Vec<f32> = one
            .iter()
            .zip(&other)
            .map(|(a, b)| if relu && a + b < 0.0 { 0.0 } else { a + b })
            .collect();
        with_each_instruction_set(|| {
            let mut sum = one.clone();
            add(&mut sum, &other, relu);
            assert_eq!(sum, expected);
        });
    }

    #[test]
    fn a_gradient_passes_where_the_value_is_above_0(vectors in 1_usize..60, seed: u64) {
        let gradient = random(seed, 1, 8 * vectors);
        // What comes out of a ReLU: half of it 0.
        let value: Vec<f32> = random(seed, 2, 8 * vectors).iter().map(|value| value.max(0.0)).collect();
        let expected: Vec<f32> =
            gradient.iter().zip(&value).map(|(gradient, value)| if *value > 0.0 { *gradient } else { 0.0 }).collect();
        with_each_instruction_set(|| {
            let mut masked = gradient.clone();
            mask_by_relu(&mut masked, &value);
            assert_eq!(masked, expected);
        });
    }
}
