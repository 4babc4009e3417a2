//! The search space as data, and the check of it.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;

use serde::{Deserialize, Serialize};

use super::layer::LayerKind;
use crate::settings::Violation;

/// What a search space is made of. Table `[space]` of the settings.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SpaceSettings {
    /// Most layers of an architecture, SM not counted.
    pub max_layers: u32,
    /// Least sides n of the buckets that states hold instead of n itself, ascending from 1: `[1, 4, 8]` tells n ≤ 3 from
    /// 4 ≤ n ≤ 7 from n ≥ 8. A convolution or pooling layer is legal where its window is smaller than the bucket.
    pub representation_sizes: Vec<u32>,
    /// Convolution layers.
    pub convolution: ConvolutionSettings,
    /// Pooling layers, `[window, stride]` each.
    pub max_pool: Vec<[u32; 2]>,
    /// Fully connected layers.
    pub fully_connected: FullyConnectedSettings,
    /// Which layer may follow which.
    pub follows: FollowSettings,
}

/// The convolution layers: every number of filters with every receptive field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvolutionSettings {
    /// Numbers of filters.
    pub out_channels: Vec<u32>,
    /// Sides of the receptive field, odd.
    pub kernel_sizes: Vec<u32>,
    /// Step between positions.
    pub stride: u32,
}

/// The fully connected layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullyConnectedSettings {
    /// Numbers of outputs. A layer after another is no wider than it.
    pub units: Vec<u32>,
    /// Most layers in a row.
    pub max_in_a_row: u32,
    /// Largest bucket in which the first may stand.
    pub max_representation_size: u32,
}

/// Which kinds of layer may follow the input and each kind. After GAP only SM does.
///
/// At the limit on layers SM may follow everything, whatever stands here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FollowSettings {
    /// What may come first.
    pub start: Vec<LayerKind>,
    /// What may follow a convolution.
    #[serde(rename = "C")]
    pub convolution: Vec<LayerKind>,
    /// What may follow a pooling layer.
    #[serde(rename = "P")]
    pub max_pool: Vec<LayerKind>,
    /// What may follow a fully connected layer.
    #[serde(rename = "FC")]
    pub fully_connected: Vec<LayerKind>,
}

impl FollowSettings {
    /// What may follow `kind`.
    pub fn after(&self, kind: LayerKind) -> &[LayerKind] {
        match kind {
            LayerKind::Start => &self.start,
            LayerKind::Convolution => &self.convolution,
            LayerKind::MaxPool => &self.max_pool,
            LayerKind::FullyConnected => &self.fully_connected,
            LayerKind::GlobalAveragePool => &[LayerKind::Softmax],
            LayerKind::Softmax => &[],
        }
    }

    fn allows(&self, kind: LayerKind) -> bool {
        [&self.start, &self.convolution, &self.max_pool, &self.fully_connected].iter().any(|list| list.contains(&kind))
    }
}

impl SpaceSettings {
    /// Everything that is wrong with these settings, whatever the input. That every state has a legal action depends on
    /// the input and is checked by [`SearchSpace::new`](super::SearchSpace::new).
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        if !(1..=64).contains(&self.max_layers) {
            found.push(Violation::new("space.max_layers", self.max_layers, "in 1..=64"));
        }
        let sizes = &self.representation_sizes;
        let sizes_are_sound = sizes.first() == Some(&1) && sizes.windows(2).all(|pair| pair[0] < pair[1]);
        if !sizes_are_sound {
            found.push(Violation::new("space.representation_sizes", List(sizes), "ascending, the first 1"));
        }
        let kinds = &self.follows;
        // What is compared with broken sizes would only repeat what is wrong with them.
        let largest = sizes.last().copied().filter(|_| sizes_are_sound);
        if kinds.allows(LayerKind::Convolution) {
            self.check_convolution(largest, &mut found);
        }
        if kinds.allows(LayerKind::MaxPool) {
            let path = "space.max_pool";
            check_list(path, &self.max_pool.iter().map(|p| (p[0], p[1])).collect::<Vec<_>>(), &mut found);
            for &[kernel_size, stride] in &self.max_pool {
                let text = format!("[{kernel_size}, {stride}]");
                if kernel_size < 1 || stride < 1 || largest.is_some_and(|largest| kernel_size >= largest) {
                    let range = largest.map_or("of at least 1".into(), |largest| {
                        format!("in 1..{largest}, below the largest representation size,")
                    });
                    let allowed = format!("a window {range} and a stride of at least 1");
                    found.push(Violation::new(path, text, allowed));
                } else if kernel_size == 1 && stride == 1 {
                    found.push(Violation::new(path, text, "a layer that does something: [1, 1] passes its input on"));
                }
            }
        }
        if kinds.allows(LayerKind::FullyConnected) {
            self.check_fully_connected(largest, &mut found);
        }
        self.check_follows(&mut found);
        found
    }

    /// `largest`: the largest representation size, where the sizes are sound.
    fn check_convolution(&self, largest: Option<u32>, found: &mut Vec<Violation>) {
        check_list("space.convolution.out_channels", &self.convolution.out_channels, found);
        check_list("space.convolution.kernel_sizes", &self.convolution.kernel_sizes, found);
        for &channels in &self.convolution.out_channels {
            if !(1..=65_536).contains(&channels) {
                found.push(Violation::new("space.convolution.out_channels", channels, "in 1..=65536"));
            }
        }
        for &size in &self.convolution.kernel_sizes {
            if size % 2 == 0 || largest.is_some_and(|largest| size >= largest) {
                let range = largest
                    .map_or(String::new(), |largest| format!(" and below the largest representation size, {largest}"));
                let allowed = format!("odd{range}");
                found.push(Violation::new("space.convolution.kernel_sizes", size, allowed));
            }
        }
        if !(1..=8).contains(&self.convolution.stride) {
            found.push(Violation::new("space.convolution.stride", self.convolution.stride, "in 1..=8"));
        }
    }

    /// `largest`: the largest representation size, where the sizes are sound.
    fn check_fully_connected(&self, largest: Option<u32>, found: &mut Vec<Violation>) {
        let settings = &self.fully_connected;
        check_list("space.fully_connected.units", &settings.units, found);
        for &units in &settings.units {
            if !(1..=65_536).contains(&units) {
                found.push(Violation::new("space.fully_connected.units", units, "in 1..=65536"));
            }
        }
        if settings.max_in_a_row < 1 {
            found.push(Violation::new(
                "space.fully_connected.max_in_a_row",
                0,
                "at least 1, or FC in no list of space.follows",
            ));
        }
        let sizes = &self.representation_sizes;
        let below_largest = &sizes[..sizes.len().saturating_sub(1)];
        if largest.is_some() && !below_largest.contains(&settings.max_representation_size) {
            let allowed = format!(
                "one of the representation sizes {} (below the largest: on a larger map an FC layer would hold most of the weights)",
                List(below_largest)
            );
            let path = "space.fully_connected.max_representation_size";
            found.push(Violation::new(path, settings.max_representation_size, allowed));
        }
    }

    fn check_follows(&self, found: &mut Vec<Violation>) {
        let lists = [
            ("start", LayerKind::Start),
            ("C", LayerKind::Convolution),
            ("P", LayerKind::MaxPool),
            ("FC", LayerKind::FullyConnected),
        ];
        for (name, kind) in lists {
            let path = format!("space.follows.{name}");
            let list = self.follows.after(kind);
            if kind == LayerKind::Start || self.follows.allows(kind) {
                check_list(&path, list, found);
            }
            if list.contains(&LayerKind::Start) {
                found.push(Violation::new(&path, List(list), "without start, which nothing can precede"));
            }
            let spatial = [LayerKind::Convolution, LayerKind::MaxPool, LayerKind::GlobalAveragePool];
            if kind == LayerKind::FullyConnected && list.iter().any(|k| spatial.contains(k)) {
                let allowed = "of FC and SM alone: the feature map is flattened";
                found.push(Violation::new(&path, List(list), allowed));
            }
        }
        if !self.follows.allows(LayerKind::Softmax) && !self.follows.allows(LayerKind::GlobalAveragePool) {
            let allowed =
                "such that SM or GAP is in one of the lists: without it only architectures of full depth would end";
            found.push(Violation::new("space.follows", "no ending", allowed));
        }
    }
}

/// Lists must be there and hold nothing twice.
fn check_list<T: Eq + Hash + fmt::Debug>(path: &str, list: &[T], found: &mut Vec<Violation>) {
    if list.is_empty() {
        found.push(Violation::new(path, "[]", "a list of at least one"));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = list.iter().find(|item| !seen.insert(*item)) {
        found.push(Violation::new(path, format!("{twice:?} twice"), "a list without repetitions"));
    }
}

struct List<'a, T>(&'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = self.0.iter().map(T::to_string).collect();
        write!(f, "[{}]", items.join(", "))
    }
}
