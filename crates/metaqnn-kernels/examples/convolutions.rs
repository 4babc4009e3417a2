//! GFLOP/s, counted as of direct convolution, of the convolution kernels by shape: the figures behind the choice between them.
//!
//! `cargo run --release -p metaqnn-kernels --example convolutions [IMAGES]`
//!
//! Of repeats the fastest counts, so that other programs on the machine hardly matter.

use std::time::{Duration, Instant};

use metaqnn_kernels::convolution::{self, Packed, Placement, Windows};
use metaqnn_kernels::winograd::{self, Winograd, WinogradWeights, WinogradWorkspace};

const BUDGET: Duration = Duration::from_millis(120);

/// The least seconds of `work`.
fn least(mut work: impl FnMut()) -> f64 {
    let mut least = f64::INFINITY;
    let begin = Instant::now();
    while begin.elapsed() < BUDGET {
        let start = Instant::now();
        work();
        least = least.min(start.elapsed().as_secs_f64());
    }
    least
}

fn numbers(count: usize) -> Vec<f32> {
    (0..count).map(|i| (i * 7919 % 1009) as f32 / 504.5 - 1.0).collect()
}

fn main() {
    let images: usize = std::env::args().nth(1).and_then(|text| text.parse().ok()).unwrap_or(16);
    println!(
        "kernel side inputs outputs | direct: forward weights | Winograd: forward weights, of them transformed, turned ms"
    );
    for (kernel_size, side, inputs, outputs) in [
        (3, 28, 8, 8),
        (3, 28, 16, 16),
        (3, 28, 32, 32),
        (3, 28, 64, 64),
        (3, 14, 16, 32),
        (3, 14, 64, 64),
        (3, 14, 128, 128),
        (3, 7, 64, 64),
        (3, 7, 128, 256),
        (3, 7, 256, 256),
        (3, 4, 256, 256),
        (3, 4, 512, 512),
        (3, 2, 128, 128),
        (3, 2, 512, 512),
        (3, 8, 32, 32),
        (3, 32, 64, 128),
        (5, 28, 16, 16),
        (5, 28, 64, 64),
        (5, 14, 64, 128),
        (5, 7, 128, 256),
        (5, 4, 256, 256),
        (5, 2, 256, 256),
        (1, 14, 64, 64),
        (1, 14, 256, 256),
        (1, 7, 512, 512),
        (1, 1, 4096, 256),
        (1, 1, 512, 512),
    ] {
        let flop = 2.0 * (images * side * side * kernel_size * kernel_size * inputs * outputs) as f64 / 1e9;
        let weights = numbers(kernel_size * kernel_size * inputs * outputs);
        let mut gradient = vec![0.0; weights.len()];
        let mut output = vec![0.0; images * side * side * outputs];

        let margin = (kernel_size - 1) / 2;
        let placement = Placement::padded(side, side, margin);
        let windows = Windows::new(images, placement.height, placement.width, inputs, kernel_size, 1, side, side);
        let input = numbers(placement.positions(images) * inputs);
        let output_gradient = numbers(placement.positions(images) * outputs);
        let mut packed = Packed::default();
        let mut room = Vec::new();
        packed.pack(&weights, outputs);
        // A chunk at a time, as training does it.
        let chunk = 192_usize.div_ceil(side * side).min(images);
        let forward = least(|| {
            for first in (0..images).step_by(chunk) {
                let input = &input[placement.positions(first) * inputs..];
                let output = &mut output[first * side * side * outputs..];
                let chunk = chunk.min(images - first);
                convolution::convolve(input, &windows, chunk, &packed, None, false, output);
            }
        });
        let backward = least(|| {
            for first in (0..images).step_by(chunk) {
                let input = &input[placement.positions(first) * inputs..];
                let output_gradient = &output_gradient[placement.positions(first) * outputs..];
                let chunk = chunk.min(images - first);
                convolution::add_weight_gradient(
                    input,
                    &windows,
                    chunk,
                    output_gradient,
                    placement,
                    outputs,
                    &mut gradient,
                    &mut room,
                );
            }
        });
        print!("{kernel_size:6} {side:4} {inputs:6} {outputs:7} | {:15.1} {:7.1} |", flop / forward, flop / backward);
        if kernel_size == 1 {
            println!();
            continue;
        }

        let winograd = Winograd::new(kernel_size, side, side, inputs, outputs);
        let placement = winograd.placement();
        let input = numbers(placement.positions(images) * inputs);
        let output_gradient = numbers(placement.positions(images) * outputs);
        let mut transformed = WinogradWeights::default();
        let mut workspace = WinogradWorkspace::default();
        let chunk = chunk.max(winograd.least_images()).min(images);
        let transform = least(|| transformed.transform(&winograd, &weights));
        let forward = least(|| {
            for first in (0..images).step_by(chunk) {
                let input = &input[placement.positions(first) * inputs..];
                let output = &mut output[first * side * side * outputs..];
                let chunk = chunk.min(images - first);
                winograd::convolve(&winograd, input, chunk, &transformed, None, false, output, &mut workspace);
            }
        });
        let turn = least(|| transformed.transform_turned(&winograd, &weights));
        workspace.clear_sums(&winograd);
        let backward = least(|| {
            for first in (0..images).step_by(chunk) {
                let input = &input[placement.positions(first) * inputs..];
                let output_gradient = &output_gradient[placement.positions(first) * outputs..];
                let chunk = chunk.min(images - first);
                winograd::add_weight_gradient(&winograd, input, chunk, output_gradient, &mut workspace);
            }
        });
        let finish = least(|| winograd::finish_weight_gradient(&winograd, &workspace, &mut gradient));
        println!(
            " {:17.1} {:7.1} {:10.3} {:.3}, finished {:.3}",
            flop / forward,
            flop / backward,
            transform * 1e3,
            turn * 1e3,
            finish * 1e3,
        );
    }
}
