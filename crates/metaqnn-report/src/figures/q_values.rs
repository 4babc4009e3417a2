//! Mean Q-value by layer depth.

use std::collections::BTreeMap;

use metaqnn_core::space::{BuildAction, Convolution, Layer, LayerKind};

use crate::q_table_view::QEntry;

/// The mean of the Q-values of one kind of layer at one depth.
#[derive(Clone, Debug, PartialEq)]
pub struct DepthMean {
    /// The kind of the action's layer (`C`, `P`, `FC`, `GAP`, `SM`), or a convolution by its size (`C 3×3`).
    pub layer: String,
    /// Depth at which the action places the layer, from 1.
    pub layer_depth: u32,
    /// Mean of Q(s, u) over the state–action pairs that were updated at least once.
    pub mean: f64,
    /// Number of those pairs.
    pub pairs: usize,
}

/// By kind of layer.
pub fn by_layer_kind(entries: &[QEntry]) -> Vec<DepthMean> {
    means(entries, |action| {
        let kind = match action {
            BuildAction::Add(layer) => layer.kind(),
            BuildAction::Softmax => LayerKind::Softmax,
        };
        Some((kind, kind.to_string()))
    })
}

/// Convolutions by size of their receptive field.
pub fn by_convolution_size(entries: &[QEntry]) -> Vec<DepthMean> {
    means(entries, |action| match action {
        BuildAction::Add(Layer::Convolution(Convolution { kernel_size, .. })) => {
            Some((*kernel_size, format!("C {kernel_size}×{kernel_size}")))
        }
        _ => None,
    })
}

fn means<K: Ord>(entries: &[QEntry], name: impl Fn(&BuildAction) -> Option<(K, String)>) -> Vec<DepthMean> {
    let mut sums: BTreeMap<((K, String), u32), (f64, usize)> = BTreeMap::new();
    for entry in entries.iter().filter(|entry| entry.updates > 0) {
        if let Some(key) = name(&entry.action) {
            let (sum, pairs) = sums.entry((key, entry.state.layer_depth + 1)).or_default();
            *sum += entry.q_value;
            *pairs += 1;
        }
    }
    let mean =
        |(((_, layer), layer_depth), (sum, pairs))| DepthMean { layer, layer_depth, mean: sum / pairs as f64, pairs };
    sums.into_iter().map(mean).collect()
}

#[cfg(test)]
mod tests {
    use metaqnn_core::space::LayerState;

    use super::*;

    #[test]
    fn means_are_over_the_updated_pairs_of_a_depth() {
        let entry = |layer_depth, kernel_size, q_value, updates| QEntry {
            state: LayerState { layer_depth, last: None, bucket: Some(8), fully_connected: 0 },
            action: BuildAction::Add(Convolution { out_channels: 64, kernel_size, stride: 1 }.into()),
            q_value,
            updates,
        };
        let softmax = QEntry { action: BuildAction::Softmax, ..entry(0, 1, 0.9, 3) };
        let entries = [entry(0, 1, 0.4, 1), entry(0, 3, 0.6, 2), entry(0, 5, 0.5, 0), entry(1, 3, 0.8, 1), softmax];
        let kinds = by_layer_kind(&entries);
        let found: Vec<_> = kinds.iter().map(|m| (m.layer.as_str(), m.layer_depth, m.mean, m.pairs)).collect();
        assert_eq!(found, [("C", 1, 0.5, 2), ("C", 2, 0.8, 1), ("SM", 1, 0.9, 1)]);
        let sizes = by_convolution_size(&entries);
        let found: Vec<_> = sizes.iter().map(|m| (m.layer.as_str(), m.layer_depth, m.mean)).collect();
        assert_eq!(found, [("C 1×1", 1, 0.4), ("C 3×3", 1, 0.6), ("C 3×3", 2, 0.8)]);
    }
}
