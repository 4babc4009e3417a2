//! What the surrogate's trees look at: numbers of an architecture for a 3×32×32 image and 10 classes.
//!
//! They belong to the format of the surrogate files and stay as they are; what our own reward model looks at is in
//! [`SearchSpace::features`](crate::agent::DecisionProcess::features).

use std::collections::HashMap;

use crate::layer::{Convolution, FullyConnected, Layer, MaxPool};
use crate::space::Architecture;

const SIDE: f64 = 32.0;
const CHANNELS: f64 = 3.0;
const CLASSES: f64 = 10.0;
/// Stands for the position of a pool that is not there.
const NO_POOL: f64 = 20.0;

/// The features by name; those that are not there are 0. Logarithms are to base 2.
pub(super) fn features(architecture: &Architecture) -> HashMap<String, f64> {
    let mut walk = Walk::new();
    for (index, layer) in architecture.layers().iter().enumerate() {
        match *layer {
            Layer::Convolution(Convolution { out_channels, kernel_size, .. }) => {
                walk.convolution(out_channels, kernel_size)
            }
            Layer::MaxPool(MaxPool { kernel_size, stride }) => walk.max_pool(index + 1, kernel_size, stride),
            Layer::FullyConnected(FullyConnected { units }) => walk.fully_connected(f64::from(units)),
            Layer::GlobalAveragePool(_) => walk.global_average_pool(),
            // The surrogate is of the paper's space, which has none.
            Layer::AveragePool(_) => {}
        }
    }
    walk.finish(architecture.layers())
}

/// What has been seen of the layers so far.
struct Walk {
    features: HashMap<String, f64>,
    /// Side and channels of the map, distance of its positions in pixels, and receptive field.
    side: f64,
    channels: f64,
    jump: f64,
    field: f64,
    field_before_pool: Option<f64>,
    pools: usize,
    fully_connected: usize,
    averaged: bool,
    /// log2 of the filters of every convolution, and of those of each stage.
    widths: Vec<f64>,
    stage_widths: [Vec<f64>; 3],
    convolution_weights: f64,
    fully_connected_weights: f64,
    head_weights: f64,
    multiply_adds: f64,
    multiply_adds_at_full_side: f64,
    most_weights: f64,
    gain: f64,
    run_of_1x1: usize,
    longest_run_of_1x1: usize,
    leading_1x1: usize,
    only_1x1: bool,
    run: usize,
    longest_run: usize,
    after_pool: usize,
    body_layers: usize,
    body_side: f64,
    body_channels: f64,
}

impl Walk {
    fn new() -> Self {
        let pools = ["pool1", "pool2", "pool3"].map(|name| (name.to_string(), NO_POOL));
        Walk {
            features: HashMap::from(pools),
            side: SIDE,
            channels: CHANNELS,
            jump: 1.0,
            field: 1.0,
            field_before_pool: None,
            pools: 0,
            fully_connected: 0,
            averaged: false,
            widths: Vec::new(),
            stage_widths: Default::default(),
            convolution_weights: 0.0,
            fully_connected_weights: 0.0,
            head_weights: 0.0,
            multiply_adds: 0.0,
            multiply_adds_at_full_side: 0.0,
            most_weights: 0.0,
            gain: 0.0,
            run_of_1x1: 0,
            longest_run_of_1x1: 0,
            leading_1x1: 0,
            only_1x1: true,
            run: 0,
            longest_run: 0,
            after_pool: 0,
            body_layers: 0,
            body_side: SIDE,
            body_channels: CHANNELS,
        }
    }

    fn set(&mut self, name: impl Into<String>, value: f64) {
        self.features.insert(name.into(), value);
    }

    fn add(&mut self, name: String) {
        *self.features.entry(name).or_insert(0.0) += 1.0;
    }

    fn convolution(&mut self, out_channels: u32, kernel_size: u32) {
        let (filters, kernel) = (f64::from(out_channels), f64::from(kernel_size));
        let width = filters.log2();
        let stage = self.pools.min(2);
        self.widths.push(width);
        self.stage_widths[stage].push(width);
        self.add(format!("k{kernel_size}"));
        self.add(format!("d{out_channels}"));
        self.add(format!("s{stage}k{kernel_size}"));
        if self.widths.len() <= 3 {
            let place = self.widths.len();
            self.set(format!("c{place}w"), width);
            self.set(format!("c{place}k"), kernel);
        }
        self.set("clw", width);
        self.set("clk", kernel);
        let weights = kernel * kernel * self.channels * filters;
        let multiply_adds = weights * self.side * self.side;
        self.convolution_weights += weights;
        self.multiply_adds += multiply_adds;
        self.most_weights = self.most_weights.max(weights);
        if self.side == SIDE {
            self.multiply_adds_at_full_side += multiply_adds;
        }
        self.field += (kernel - 1.0) * self.jump;
        if kernel_size == 1 {
            self.run_of_1x1 += 1;
            self.longest_run_of_1x1 = self.longest_run_of_1x1.max(self.run_of_1x1);
            self.leading_1x1 += usize::from(self.only_1x1);
        } else {
            self.run_of_1x1 = 0;
            self.only_1x1 = false;
        }
        self.run += 1;
        self.longest_run = self.longest_run.max(self.run);
        self.after_pool += 1;
        self.gain += (2.0 * self.channels / (self.channels + filters)).log2();
        self.channels = filters;
        self.end_of_body();
    }

    fn max_pool(&mut self, position: usize, kernel_size: u32, stride: u32) {
        let (kernel, step) = (f64::from(kernel_size), f64::from(stride));
        self.pools += 1;
        if self.pools <= 3 {
            self.set(format!("pool{}", self.pools), position as f64);
        }
        if self.pools == 1 {
            self.set("pool1f", kernel);
            self.field_before_pool = Some(self.field);
        }
        self.add(format!("np{kernel_size}{stride}"));
        self.field += (kernel - 1.0) * self.jump;
        self.jump *= step;
        self.side = ((self.side - kernel + 1.0) / step).ceil();
        self.run_of_1x1 = 0;
        self.run = 0;
        self.after_pool = 0;
        self.end_of_body();
    }

    fn end_of_body(&mut self) {
        self.body_layers += 1;
        self.body_side = self.side;
        self.body_channels = self.channels;
    }

    fn fully_connected(&mut self, units: f64) {
        let inputs = self.side * self.side * self.channels;
        self.fully_connected += 1;
        if self.fully_connected == 1 {
            self.set("fc_in", inputs.log2());
            self.set("fc1", units.log2());
        } else {
            self.set("fc2", units.log2());
        }
        let weights = inputs * units;
        self.fully_connected_weights += weights;
        self.multiply_adds += weights;
        self.most_weights = self.most_weights.max(weights);
        self.gain += (2.0 * inputs / (inputs + units)).log2();
        self.side = 1.0;
        self.channels = units;
    }

    fn global_average_pool(&mut self) {
        self.averaged = true;
        self.set("gap_n", self.side);
        self.set("gap_c", self.channels.log2());
        self.head_weights += CLASSES * self.channels;
        self.multiply_adds += CLASSES * self.channels * self.side * self.side;
        self.side = 1.0;
        self.channels = CLASSES;
    }

    fn finish(mut self, layers: &[Layer]) -> HashMap<String, f64> {
        if !self.averaged {
            let weights = self.side * self.side * self.channels * CLASSES;
            self.head_weights += weights;
            self.multiply_adds += weights;
        }
        let is_last = |wanted: fn(&Layer) -> bool| f64::from(layers.last().is_some_and(wanted));
        let mean = |widths: &[f64]| {
            if widths.is_empty() { 0.0 } else { widths.iter().sum::<f64>() / widths.len() as f64 }
        };
        let steps = || self.widths.windows(2).map(|pair| pair[1] - pair[0]);
        let dropouts = self.body_layers / 2 + self.fully_connected;
        let keep = |i: usize| (1.0 - i as f64 / (2 * dropouts) as f64).log2();
        let all = self.convolution_weights + self.fully_connected_weights + self.head_weights;
        let values = [
            ("depth", layers.len() as f64),
            ("n_conv", self.widths.len() as f64),
            ("n_pool", self.pools as f64),
            ("n_fc", self.fully_connected as f64),
            ("gap", f64::from(self.averaged)),
            ("last_conv", is_last(|layer| matches!(layer, Layer::Convolution(_)))),
            ("last_pool", is_last(|layer| matches!(layer, Layer::MaxPool(_)))),
            ("s0w", mean(&self.stage_widths[0])),
            ("s1w", mean(&self.stage_widths[1])),
            ("s2w", mean(&self.stage_widths[2])),
            ("n_body", self.body_side),
            ("c_body", self.body_channels.log2()),
            ("flat_body", (self.body_side * self.body_side * self.body_channels).log2()),
            ("log_params", (1.0 + all).log2()),
            ("log_conv", (1.0 + self.convolution_weights).log2()),
            ("log_fc", (1.0 + self.fully_connected_weights).log2()),
            ("log_head", (1.0 + self.head_weights).log2()),
            ("log_macs", (1.0 + self.multiply_adds).log2()),
            ("log_max_layer", (1.0 + self.most_weights).log2()),
            ("rf", self.field),
            ("rf_pool1", self.field_before_pool.unwrap_or(self.field)),
            ("w_min", self.widths.iter().copied().reduce(f64::min).unwrap_or(0.0)),
            ("w_max", self.widths.iter().copied().reduce(f64::max).unwrap_or(0.0)),
            ("w_change", steps().map(f64::abs).sum()),
            ("w_drops", steps().filter(|step| *step < 0.0).count() as f64),
            ("run_k1", self.longest_run_of_1x1 as f64),
            ("run_conv", self.longest_run as f64),
            ("lead_k1", self.leading_1x1 as f64),
            ("after_pool", self.after_pool as f64),
            ("gain", self.gain),
            ("n_drop", dropouts as f64),
            ("body_odd", (self.body_layers % 2) as f64),
            ("keep", (1..=dropouts).map(keep).sum()),
            (
                "macs_hi",
                if self.multiply_adds > 0.0 { self.multiply_adds_at_full_side / self.multiply_adds } else { 0.0 },
            ),
        ];
        self.features.extend(values.map(|(name, value)| (name.to_string(), value)));
        self.features
    }
}
