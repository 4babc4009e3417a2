use metaqnn_kernels::convolution::{Finish, Packed, Placement, Windows, add_weight_gradient, convolve};
use metaqnn_kernels::elementwise::{MapSize, place};
use metaqnn_kernels::winograd::{self, Winograd, WinogradWeights, WinogradWorkspace};
use proptest::prelude::*;

use crate::{Sum, assert_close, error, fewer_images, random, stored_channels, with_each_instruction_set};

/// Of 32-bit sums, relative to the sum of |products|. Random rounding of n products leaves about 5e-8 of it.
const TOLERANCE: f64 = 1e-6;
/// Of products of polynomials' values, relative to the greatest sum of |products| of the tensor.
const WINOGRAD_TOLERANCE: f64 = 2e-6;

/// A convolution with a margin of (`kernel_size` − 1) / 2.
#[derive(Clone, Copy, Debug)]
struct Case {
    input: MapSize,
    outputs: usize,
    kernel_size: usize,
    stride: usize,
    images: usize,
    seed: u64,
}

/// Multiplications of a case at most.
const WORK: usize = 2_000_000;

fn cases(inputs: impl Strategy<Value = usize>) -> impl Strategy<Value = Case> {
    let kernel_size = prop::sample::select(vec![1_usize, 3, 5, 7]);
    (crate::map_size(inputs), stored_channels(), kernel_size, 1_usize..=3, 1_usize..=130, any::<u64>()).prop_map(
        |(mut input, outputs, kernel_size, stride, images, seed)| {
            let each = |input: MapSize| {
                let positions = input.height.div_ceil(stride) * input.width.div_ceil(stride);
                positions * kernel_size * kernel_size * input.channels * outputs
            };
            while each(input) > WORK && input.positions() > 1 {
                if input.height > input.width {
                    input.height = input.height.div_ceil(2);
                } else {
                    input.width = input.width.div_ceil(2);
                }
            }
            Case { input, outputs, kernel_size, stride, images: fewer_images(images, each(input), WORK), seed }
        },
    )
}

/// Channels of images, or of maps.
fn any_channels() -> impl Strategy<Value = usize> {
    prop_oneof![Just(1_usize), Just(3_usize), stored_channels(), stored_channels()]
}

impl Case {
    fn margin(&self) -> usize {
        (self.kernel_size - 1) / 2
    }

    fn output(&self) -> MapSize {
        MapSize {
            height: self.input.height.div_ceil(self.stride),
            width: self.input.width.div_ceil(self.stride),
            channels: self.outputs,
        }
    }

    fn weights(&self) -> Vec<f32> {
        random(self.seed, 1, self.kernel_size * self.kernel_size * self.input.channels * self.outputs)
    }

    fn images(&self) -> Vec<f32> {
        random(self.seed, 2, self.images * self.input.values())
    }

    fn output_gradient(&self) -> Vec<f32> {
        random(self.seed, 3, self.images * self.output().values())
    }

    fn placement(&self) -> Placement {
        Placement::padded(self.input.height, self.input.width, self.margin())
    }

    fn windows(&self) -> Windows {
        let Placement { height, width, .. } = self.placement();
        let MapSize { height: out_height, width: out_width, .. } = self.output();
        let images = self.images;
        Windows::new(images, height, width, self.input.channels, self.kernel_size, self.stride, out_height, out_width)
    }

    fn placed(&self) -> Vec<f32> {
        let mut placed = vec![0.0; self.placement().positions(self.images) * self.input.channels];
        place(&self.images(), self.input, self.images, self.placement(), &mut placed);
        placed
    }

    /// Calls `visit` with the index in the output, in the input and in the weights, of channel 0 each, of every position of every
    /// window that is not of the margin.
    fn for_each_tap(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let (input, output) = (self.input, self.output());
        for n in 0..self.images {
            for (y, x) in (0..output.height).flat_map(|y| (0..output.width).map(move |x| (y, x))) {
                for tap in 0..self.kernel_size * self.kernel_size {
                    let row = (y * self.stride + tap / self.kernel_size).checked_sub(self.margin());
                    let column = (x * self.stride + tap % self.kernel_size).checked_sub(self.margin());
                    let (Some(row), Some(column)) = (row, column) else { continue };
                    if row < input.height && column < input.width {
                        visit(
                            ((n * output.height + y) * output.width + x) * output.channels,
                            ((n * input.height + row) * input.width + column) * input.channels,
                            tap * input.channels * output.channels,
                        );
                    }
                }
            }
        }
    }

    fn expected_output(&self, bias: Option<&[f32]>, relu: bool) -> Vec<Sum> {
        let (images, weights) = (self.images(), self.weights());
        let mut expected = vec![Sum::default(); self.images * self.output().values()];
        if let Some(bias) = bias {
            for position in expected.chunks_exact_mut(self.outputs) {
                position.iter_mut().zip(bias).for_each(|(sum, &bias)| sum.add(f64::from(bias)));
            }
        }
        self.for_each_tap(|to, from, weight| {
            for (i, value) in images[from..from + self.input.channels].iter().enumerate() {
                let weights = &weights[weight + i * self.outputs..][..self.outputs];
                expected[to..].iter_mut().zip(weights).for_each(|(sum, &factor)| sum.add_product(*value, factor));
            }
        });
        if relu {
            expected.iter_mut().for_each(|sum| sum.value = sum.value.max(0.0));
        }
        expected
    }

    fn bias(&self, bias: bool) -> Option<Vec<f32>> {
        bias.then(|| random(self.seed, 4, self.outputs))
    }

    fn check_forward(&self, bias: bool, relu: bool) {
        let bias = self.bias(bias);
        let expected = self.expected_output(bias.as_deref(), relu);
        let mut packed = Packed::default();
        packed.pack(&self.weights(), self.outputs);
        let placed = self.placed();
        with_each_instruction_set(|| {
            let mut output = vec![f32::NAN; expected.len()];
            convolve(
                &placed,
                &self.windows(),
                self.images,
                &packed,
                Finish { bias: bias.as_deref(), relu },
                &mut output,
            );
            assert_close(&output, &expected, TOLERANCE);
        });
    }

    fn expected_input_gradient(&self) -> Vec<Sum> {
        let (gradient, weights) = (self.output_gradient(), self.weights());
        let (inputs, outputs) = (self.input.channels, self.outputs);
        let mut expected = vec![Sum::default(); self.images * self.input.values()];
        self.for_each_tap(|from, to, weight| {
            for i in 0..inputs {
                let weights = &weights[weight + i * outputs..][..outputs];
                gradient[from..].iter().zip(weights).for_each(|(g, &factor)| expected[to + i].add_product(*g, factor));
            }
        });
        expected
    }

    fn check_input_gradient(&self) {
        let expected = self.expected_input_gradient();
        let (gradient, weights) = (self.output_gradient(), self.weights());
        let (inputs, outputs) = (self.input.channels, self.outputs);
        let placement = Placement { step: self.stride, ..self.placement() };
        let mut placed = vec![0.0; placement.positions(self.images) * outputs];
        place(&gradient, self.output(), self.images, placement, &mut placed);
        let MapSize { height, width, .. } = self.input;
        let windows =
            Windows::new(self.images, placement.height, placement.width, outputs, self.kernel_size, 1, height, width);
        let mut packed = Packed::default();
        packed.pack_turned(&weights, inputs, outputs);
        with_each_instruction_set(|| {
            let mut input_gradient = vec![f32::NAN; expected.len()];
            convolve(&placed, &windows, self.images, &packed, Finish::default(), &mut input_gradient);
            assert_close(&input_gradient, &expected, TOLERANCE);
        });
    }

    /// What is in the gradient before.
    fn weight_gradient_before(&self) -> Vec<f32> {
        random(self.seed, 5, self.weights().len())
    }

    fn expected_weight_gradient(&self) -> Vec<Sum> {
        let (images, gradient) = (self.images(), self.output_gradient());
        let before = self.weight_gradient_before();
        let mut expected = vec![Sum::default(); before.len()];
        expected.iter_mut().zip(&before).for_each(|(sum, &value)| sum.add(f64::from(value)));
        self.for_each_tap(|from, to, weight| {
            for (i, value) in images[to..to + self.input.channels].iter().enumerate() {
                let gradient = &gradient[from..from + self.outputs];
                let sums = &mut expected[weight + i * self.outputs..];
                sums.iter_mut().zip(gradient).for_each(|(sum, &g)| sum.add_product(*value, g));
            }
        });
        expected
    }

    fn check_weight_gradient(&self, placement: Placement) {
        let before = self.weight_gradient_before();
        let expected = self.expected_weight_gradient();
        let gradient = self.output_gradient();
        let mut placed_gradient = vec![0.0; placement.positions(self.images) * self.outputs];
        place(&gradient, self.output(), self.images, placement, &mut placed_gradient);
        let placed = self.placed();
        with_each_instruction_set(|| {
            let mut sums = before.clone();
            add_weight_gradient(
                &placed,
                &self.windows(),
                self.images,
                &placed_gradient,
                placement,
                &mut sums,
                &mut Vec::new(),
            );
            assert_close(&sums, &expected, TOLERANCE);
        });
    }
}

/// A case of stride 1 with few multiplications.
impl Case {
    fn winograd(&self) -> Winograd {
        Winograd::new(self.kernel_size, self.input.height, self.input.width, self.input.channels, self.outputs)
    }

    fn placed_for_tiles(&self, values: &[f32], size: MapSize) -> Vec<f32> {
        let placement = self.winograd().placement();
        let mut placed = vec![0.0; placement.positions(self.images) * size.channels];
        place(values, size, self.images, placement, &mut placed);
        placed
    }

    fn check_winograd(&self, bias: bool, relu: bool) {
        let winograd = self.winograd();
        let turned = winograd.turned();
        let bias = self.bias(bias);
        let [output, input_gradient, weight_gradient] = [
            self.expected_output(bias.as_deref(), relu),
            self.expected_input_gradient(),
            self.expected_weight_gradient(),
        ];
        let placed = self.placed_for_tiles(&self.images(), self.input);
        let placed_gradient = self.placed_for_tiles(&self.output_gradient(), self.output());
        with_each_instruction_set(|| {
            let mut workspace = WinogradWorkspace::default();
            let mut weights = WinogradWeights::default();
            weights.transform(&winograd, &self.weights());
            let mut actual = vec![f32::NAN; output.len()];
            winograd::convolve(
                &winograd,
                &placed,
                self.images,
                &weights,
                Finish { bias: bias.as_deref(), relu },
                &mut actual,
                &mut workspace,
            );
            self.check_winograd_error("output", &actual, &output);

            weights.transform_turned(&winograd, &self.weights());
            let mut actual = vec![f32::NAN; input_gradient.len()];
            winograd::convolve(
                &turned,
                &placed_gradient,
                self.images,
                &weights,
                Finish::default(),
                &mut actual,
                &mut workspace,
            );
            self.check_winograd_error("input_gradient", &actual, &input_gradient);

            let mut actual = self.weight_gradient_before();
            workspace.clear_sums(&winograd);
            winograd::add_weight_gradient(&winograd, &placed, self.images, &placed_gradient, &mut workspace);
            winograd::finish_weight_gradient(&winograd, &workspace, &mut actual);
            self.check_winograd_error("weight_gradient", &actual, &weight_gradient);
        });
    }

    /// A tile's error is relative to what is in all of the tile, so it is compared with the greatest sum of magnitudes.
    fn check_winograd_error(&self, of: &str, actual: &[f32], expected: &[Sum]) {
        let error = error(actual, expected);
        println!("{of} of {self:?}: {error:.1e}");
        assert!(error <= WINOGRAD_TOLERANCE, "{of} of {self:?}: off by {error:.1e}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn convolutions_equal_the_naive_loop(case in cases(any_channels()), bias: bool, relu: bool) {
        case.check_forward(bias, relu);
    }

    #[test]
    fn convolutions_with_few_multiplications_equal_the_naive_loop(
        case in cases(stored_channels()), five: bool, bias: bool, relu: bool,
    ) {
        let mut case = Case { kernel_size: if five { 5 } else { 3 }, stride: 1, ..case };
        while case.images * case.input.values() * case.outputs * case.kernel_size.pow(2) > 2 * WORK && case.images > 1 {
            case.images /= 2;
        }
        case.check_winograd(bias, relu);
    }

    #[test]
    fn gradients_of_the_input_equal_the_naive_loop(case in cases(stored_channels())) {
        case.check_input_gradient();
    }

    #[test]
    fn gradients_of_the_weights_equal_the_naive_loop(case in cases(any_channels()), dense: bool) {
        let MapSize { height, width, .. } = case.output();
        let placement =
            if dense { Placement::dense(height, width) } else { Placement { step: case.stride, ..case.placement() } };
        case.check_weight_gradient(placement);
    }
}

/// 512 channels either way, and a layer over 4096 values of each of 130 images, which random cases seldom have.
#[test]
fn wide_layers_equal_the_naive_loop() {
    let of = |side, inputs, outputs, kernel_size, images| Case {
        input: MapSize { height: side, width: side, channels: inputs },
        outputs,
        kernel_size,
        stride: 1,
        images,
        seed: 7,
    };
    for case in [of(3, 512, 512, 3, 2), of(4, 512, 256, 1, 5), of(1, 4096, 40, 1, 130), of(5, 128, 136, 5, 1)] {
        let MapSize { height, width, .. } = case.output();
        case.check_forward(true, false);
        case.check_input_gradient();
        case.check_weight_gradient(Placement::dense(height, width));
        if case.kernel_size > 1 {
            case.check_winograd(true, false);
        }
    }
}

#[test]
fn what_is_not_a_number_stays_so() {
    let case = Case {
        input: MapSize { height: 5, width: 5, channels: 8 },
        outputs: 24,
        kernel_size: 3,
        stride: 1,
        images: 1,
        seed: 1,
    };
    let mut placed = case.placed();
    // The position (2, 2): with its neighbours it is in the windows of nine positions.
    placed[(3 * 7 + 3) * 8 + 4] = f32::NAN;
    let mut packed = Packed::default();
    packed.pack(&case.weights(), case.outputs);
    with_each_instruction_set(|| {
        let mut output = vec![0.0; case.output().values()];
        convolve(&placed, &case.windows(), 1, &packed, Finish { bias: None, relu: true }, &mut output);
        for (position, values) in output.chunks_exact(case.outputs).enumerate() {
            let near = (position / 5).abs_diff(2) <= 1 && (position % 5).abs_diff(2) <= 1;
            assert!(values.iter().all(|value| value.is_nan() == near), "position {position}");
        }
    });
}
