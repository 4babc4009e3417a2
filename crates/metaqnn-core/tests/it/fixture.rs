//! Spaces and settings that the tests share.

use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::{Preset, Settings};
use metaqnn_core::space::{Architecture, Convolution, FullyConnected, Layer, MaxPool, SearchSpace, SpaceSettings};

/// The input of CIFAR-10 and SVHN.
pub(crate) const COLOUR_32: MapShape = MapShape::new(3, 32, 32);

/// The settings of a preset for a data set.
pub(crate) fn preset(preset: Preset, data: &str) -> Settings {
    let document = preset.document(data).expect("the preset is whole");
    Settings::from_toml(&document.to_string()).expect("the preset is in range")
}

/// The paper's space with a limit on layers, ten classes.
pub(crate) fn paper_space(max_layers: u32, input: MapShape) -> SearchSpace {
    let settings = SpaceSettings { max_layers, ..preset(Preset::Paper, "svhn").space };
    SearchSpace::new(settings, input, 10).expect("the paper's space is sound")
}

/// The first rule of the paper that `architecture` breaks, written down anew and without the code under test.
pub(crate) fn broken_rule(architecture: &Architecture, input: MapShape, max_layers: usize) -> Option<String> {
    let mut n = input.height.min(input.width);
    let mut previous: Option<Layer> = None;
    let mut fully_connected = 0;
    if architecture.layers().len() > max_layers {
        return Some(format!("{architecture} has more than {max_layers} layers"));
    }
    for layer in architecture.layers() {
        let bucket = match n {
            0..=3 => 1,
            4..=7 => 4,
            _ => 8,
        };
        let after_map = matches!(previous, None | Some(Layer::Convolution(_) | Layer::MaxPool(_)));
        let legal = match (*layer, previous) {
            (Layer::Convolution(Convolution { out_channels, kernel_size, stride }), _) => {
                let known = [64, 128, 256, 512].contains(&out_channels) && [1, 3, 5].contains(&kernel_size);
                after_map && known && stride == 1 && kernel_size < bucket
            }
            (Layer::MaxPool(MaxPool { kernel_size, stride }), Some(Layer::Convolution(_))) => {
                let known = [(5, 3), (3, 2), (2, 2)].contains(&(kernel_size, stride)) && kernel_size < bucket;
                n = if known { (n - kernel_size + 1).div_ceil(stride) } else { n };
                known
            }
            (Layer::MaxPool(_), _) => false,
            (Layer::FullyConnected(FullyConnected { units }), before) => {
                let known = [512, 256, 128].contains(&units) && fully_connected < 2;
                fully_connected += 1;
                match before {
                    Some(Layer::FullyConnected(FullyConnected { units: widest })) => known && units <= widest,
                    _ => known && after_map && bucket <= 4,
                }
            }
            // Not in the paper.
            (Layer::AveragePool(_), _) => false,
            (Layer::GlobalAveragePool(_), _) => after_map,
        };
        if !legal {
            return Some(format!("{layer} after {previous:?} at n = {n} in {architecture}"));
        }
        previous = Some(*layer);
    }
    None
}
