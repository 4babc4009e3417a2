use metaqnn_kernels::elementwise::MapSize;
use metaqnn_kernels::pooling::{
    Pool, average_pool, average_pool_gradient, max_pool, max_pool_gradient, mean, mean_gradient,
};
use proptest::prelude::*;
use rand::RngExt;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::{Sum, assert_close, fewer_images, map_size, random, stored_channels, with_each_instruction_set};

#[derive(Clone, Copy, Debug)]
struct Case {
    size: MapSize,
    images: usize,
    pool: Pool,
    seed: u64,
}

fn cases() -> impl Strategy<Value = Case> {
    (map_size(stored_channels()), 1_usize..=130, 1_usize..=5, 1_usize..=3, any::<u64>()).prop_map(
        |(size, images, kernel_size, stride, seed)| {
            let pool = Pool { kernel_size: kernel_size.min(size.height).min(size.width), stride };
            Case { size, images: fewer_images(images, size.values(), 50_000), pool, seed }
        },
    )
}

impl Case {
    /// Whole numbers, so that many are equal, and among them some that are none.
    fn values_with_ties(&self) -> Vec<f32> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        let value = |_| if rng.random_bool(0.01) { f32::NAN } else { f32::from(rng.random_range(-3_i8..3)) };
        (0..self.images * self.size.values()).map(value).collect()
    }

    /// Calls `visit` with the index in the output and those in the input of the window, row by row.
    fn for_each_window(&self, mut visit: impl FnMut(usize, &[usize])) {
        let MapSize { height, width, channels } = self.size;
        let Pool { kernel_size, stride } = self.pool;
        let [out_height, out_width] = [height, width].map(|side| (side - kernel_size) / stride + 1);
        for index in 0..self.images * out_height * out_width * channels {
            let (position, c) = (index / channels, index % channels);
            let (row, x) = (position / out_width, position % out_width);
            let (n, y) = (row / out_height, row % out_height);
            let window: Vec<usize> = (0..kernel_size * kernel_size)
                .map(|tap| {
                    let (y, x) = (y * stride + tap / kernel_size, x * stride + tap % kernel_size);
                    ((n * height + y) * width + x) * channels + c
                })
                .collect();
            visit(index, &window);
        }
    }

    /// The greatest of a window and which it is: the last that is not a number, else the first of the greatest.
    fn greatest(values: &[f32], window: &[usize]) -> (f32, u8) {
        let numbers = window.iter().map(|&index| values[index]).enumerate();
        if let Some((tap, value)) = numbers.clone().rfind(|(_, value)| value.is_nan()) {
            return (value, tap as u8);
        }
        let (tap, value) = numbers.reduce(|best, next| if next.1 > best.1 { next } else { best }).unwrap();
        (value, tap as u8)
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn maxima_and_their_gradients_equal_the_naive_loop(case in cases()) {
        let values = case.values_with_ties();
        let (mut maxima, mut taps) = (Vec::new(), Vec::new());
        case.for_each_window(|_, window| {
            let (value, tap) = Case::greatest(&values, window);
            maxima.push(value);
            taps.push(tap);
        });
        let gradient = random(case.seed, 1, maxima.len());
        let mut expected = vec![Sum::default(); values.len()];
        case.for_each_window(|index, window| expected[window[usize::from(taps[index])]].add(f64::from(gradient[index])));
        with_each_instruction_set(|| {
            let (mut output, mut positions) = (vec![0.0; maxima.len()], vec![255; maxima.len()]);
            max_pool(&values, case.size, case.images, case.pool, &mut output, &mut positions);
            // Bit by bit, so that what is not a number compares too.
            assert!(output.iter().zip(&maxima).all(|(a, b)| a == b || a.is_nan() && b.is_nan()));
            assert_eq!(positions, taps);
            let mut input_gradient = vec![f32::NAN; values.len()];
            max_pool_gradient(&gradient, &positions, case.size, case.images, case.pool, &mut input_gradient);
            assert_close(&input_gradient, &expected, 1e-6);
        });
    }

    #[test]
    fn averages_and_their_gradients_equal_the_naive_loop(case in cases()) {
        let values = random(case.seed, 1, case.images * case.size.values());
        let positions = (case.pool.kernel_size * case.pool.kernel_size) as f64;
        let mut averages = Vec::new();
        case.for_each_window(|_, window| {
            let mut sum = Sum::default();
            window.iter().for_each(|&index| sum.add(f64::from(values[index]) / positions));
            averages.push(sum);
        });
        let gradient = random(case.seed, 2, averages.len());
        let mut expected = vec![Sum::default(); values.len()];
        case.for_each_window(|index, window| {
            window.iter().for_each(|&at| expected[at].add(f64::from(gradient[index]) / positions));
        });
        with_each_instruction_set(|| {
            let mut output = vec![f32::NAN; averages.len()];
            average_pool(&values, case.size, case.images, case.pool, &mut output);
            assert_close(&output, &averages, 3e-6);
            let mut input_gradient = vec![f32::NAN; values.len()];
            average_pool_gradient(&gradient, case.size, case.images, case.pool, &mut input_gradient);
            assert_close(&input_gradient, &expected, 3e-6);
        });
    }

    #[test]
    fn means_and_their_gradients_equal_the_naive_loop(case in cases()) {
        let MapSize { channels, .. } = case.size;
        let values = random(case.seed, 1, case.images * case.size.values());
        let of = |index: usize| index / case.size.values() * channels + index % channels;
        let positions = case.size.positions() as f64;
        let mut means = vec![Sum::default(); case.images * channels];
        values.iter().enumerate().for_each(|(index, &value)| means[of(index)].add(f64::from(value) / positions));
        let gradient = random(case.seed, 2, means.len());
        let expected: Vec<Sum> = (0..values.len())
            .map(|index| {
                let value = f64::from(gradient[of(index)]) / positions;
                Sum { value, magnitude: value.abs() }
            })
            .collect();
        with_each_instruction_set(|| {
            let mut output = vec![f32::NAN; means.len()];
            mean(&values, case.size, case.images, &mut output);
            assert_close(&output, &means, 3e-6);
            let mut input_gradient = vec![f32::NAN; values.len()];
            mean_gradient(&gradient, case.size, case.images, &mut input_gradient);
            assert_close(&input_gradient, &expected, 2.5e-7);
        });
    }
}
