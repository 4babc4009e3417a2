//! What is done to pixels, as ONNX operators.

use metaqnn_core::graph::MapShape;

use super::INPUT;
use super::graph_builder::{Attribute, GraphBuilder};
use crate::preparation::{LEAST_GLOBAL_DEVIATION, LOCAL_WINDOW, Normalization, Preparation};

/// Adds the normalization of the input, pixels as stored; gives the name of the result.
pub(super) fn add(graph: &mut GraphBuilder, preparation: &Preparation) -> String {
    let MapShape { channels, height, width } = preparation.input;
    let [channels, height, width] = [channels, height, width].map(|n| n as usize);
    let max_value = f32::from(preparation.max_value);
    let result = "normalized";
    match &preparation.normalization {
        Normalization::Standardize { mean, deviation } => {
            let scale: Vec<f32> = deviation.iter().map(|deviation| 1.0 / (max_value * deviation)).collect();
            let shift: Vec<f32> = mean.iter().zip(deviation).map(|(mean, deviation)| -mean / deviation).collect();
            graph.floats("preparation.scale", &[1, channels, 1, 1], &scale);
            graph.floats("preparation.shift", &[1, channels, 1, 1], &shift);
            graph.node("Mul", &[INPUT, "preparation.scale"], "scaled", vec![]);
            graph.node("Add", &["scaled", "preparation.shift"], result, vec![]);
        }
        Normalization::MeanImage { mean } => {
            graph.floats("preparation.mean", &[1, channels, height, width], mean);
            add_scaled(graph, max_value);
            graph.node("Sub", &["scaled", "preparation.mean"], result, vec![]);
        }
        Normalization::GlobalContrast => {
            let of_image = || vec![("axes", Attribute::Wholes(vec![1, 2, 3])), ("keepdims", Attribute::Whole(1))];
            // Of pixels as stored, whole numbers, whose sums are exact: an image of one colour must become 0, and what is
            // left of rounding would be divided by a small number.
            graph.node("ReduceMean", &[INPUT], "image_mean", of_image());
            graph.node("Sub", &[INPUT, "image_mean"], "centered", vec![]);
            graph.node("Mul", &["centered", "centered"], "squares", vec![]);
            graph.node("ReduceMean", &["squares"], "variance", of_image());
            graph.node("Sqrt", &["variance"], "deviation", vec![]);
            graph.floats("preparation.least_deviation", &[1], &[LEAST_GLOBAL_DEVIATION * max_value]);
            graph.node("Max", &["deviation", "preparation.least_deviation"], "divisor", vec![]);
            graph.node("Div", &["centered", "divisor"], result, vec![]);
        }
        Normalization::LocalContrast => add_local_contrast(graph, [channels, height, width], max_value, result),
    }
    result.to_owned()
}

/// Pixels in [0, 1].
fn add_scaled(graph: &mut GraphBuilder, max_value: f32) {
    graph.floats("preparation.scale", &[1], &[1.0 / max_value]);
    graph.node("Mul", &[INPUT, "preparation.scale"], "scaled", vec![]);
}

fn add_local_contrast(graph: &mut GraphBuilder, shape: [usize; 3], max_value: f32, result: &str) {
    let [channels, height, width] = shape;
    let of_channel = || vec![("axes", Attribute::Wholes(vec![2, 3])), ("keepdims", Attribute::Whole(1))];
    let side = 2 * LOCAL_WINDOW.len() - 1;
    let window: Vec<f32> = window_rows(side).flat_map(|y| window_rows(side).map(move |x| x * y)).collect();
    graph.floats("preparation.window", &[channels, 1, side, side], &window.repeat(channels));
    graph.floats("preparation.window_weight", &[1, 1, height, width], &window_weights(height, width));
    add_scaled(graph, max_value);
    add_local_mean(graph, channels, side, "scaled", "local_mean");
    graph.node("Sub", &["scaled", "local_mean"], "centered", vec![]);
    graph.node("Mul", &["centered", "centered"], "squares", vec![]);
    add_local_mean(graph, channels, side, "squares", "local_variance");
    graph.node("Sqrt", &["local_variance"], "local_deviation", vec![]);
    graph.node("ReduceMean", &["local_deviation"], "mean_deviation", of_channel());
    graph.node("Max", &["local_deviation", "mean_deviation"], "divisor", vec![]);
    // A channel without contrast is 0: rounding errors must not be blown up into a pattern.
    graph.node("ReduceMax", &[INPUT], "brightest", of_channel());
    graph.node("ReduceMin", &[INPUT], "darkest", of_channel());
    graph.node("Greater", &["brightest", "darkest"], "has_contrast", vec![]);
    graph.floats("preparation.one", &[1], &[1.0]);
    graph.floats("preparation.zero", &[1], &[0.0]);
    graph.node("Where", &["has_contrast", "divisor", "preparation.one"], "safe_divisor", vec![]);
    graph.node("Div", &["centered", "safe_divisor"], "contrast", vec![]);
    graph.node("Where", &["has_contrast", "contrast", "preparation.zero"], result, vec![]);
}

/// The Gaussian mean around each pixel, each channel on its own; at the border the window is cut to the image.
fn add_local_mean(graph: &mut GraphBuilder, channels: usize, side: usize, input: &str, output: &str) {
    let padding = (side / 2) as i64;
    let attributes = vec![
        ("group", Attribute::Whole(channels as i64)),
        ("kernel_shape", Attribute::Wholes(vec![side as i64; 2])),
        ("pads", Attribute::Wholes(vec![padding; 4])),
    ];
    let sum = format!("{output}_sum");
    graph.node("Conv", &[input, "preparation.window"], &sum, attributes);
    graph.node("Div", &[&sum, "preparation.window_weight"], output, vec![]);
}

/// The weights of the window along one axis.
fn window_rows(side: usize) -> impl Iterator<Item = f32> {
    (0..side).map(move |place| LOCAL_WINDOW[place.abs_diff(side / 2)])
}

/// The sum of the weights of the window around each pixel that lie within the image, H × W.
fn window_weights(height: usize, width: usize) -> Vec<f32> {
    let along = |size: usize| -> Vec<f32> {
        let reach = LOCAL_WINDOW.len() - 1;
        let weight = |place: usize| {
            (place.saturating_sub(reach)..(place + reach + 1).min(size)).map(|i| LOCAL_WINDOW[i.abs_diff(place)]).sum()
        };
        (0..size).map(weight).collect()
    };
    let columns = along(width);
    along(height).iter().flat_map(|y| columns.iter().map(move |x| x * y)).collect()
}
