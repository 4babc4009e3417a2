//! An architecture as SVG: a block a layer, its height the side of the map and its width the channels, both by their square root.

use std::fmt::Write;

use metaqnn_core::graph::{Graph, MapShape, NetworkOptions};
use metaqnn_core::space::{Architecture, LayerKind};

/// Height of the tallest map.
const TALLEST: f64 = 84.0;
/// Between two blocks.
const GAP: f64 = 10.0;

struct Block {
    class: &'static str,
    name: String,
    shape: MapShape,
    params: u64,
    flops: u64,
}

/// `architecture` for images of shape `input`; of one that does not fit them only its text is drawn.
pub(crate) fn architecture(architecture: &Architecture, input: MapShape, options: NetworkOptions) -> String {
    let Ok(graph) = Graph::new(architecture, input, options) else {
        return format!(
            r#"<svg xmlns="http://www.w3.org/2000/svg" class="network" viewBox="0 0 800 20"><text class="tick" y="14">{architecture}</text></svg>"#
        );
    };
    let blocks = blocks(architecture, &graph);
    let side = f64::from(input.height.max(1));
    let mut body = String::new();
    let mut x = 2.0;
    for block in &blocks {
        // Roots, so that maps of 1 and 32 pixels, 3 and 512 channels can be seen beside each other.
        let height = (f64::from(block.shape.height) / side).sqrt() * TALLEST;
        let height = height.clamp(6.0, TALLEST);
        let width = (f64::from(block.shape.channels).sqrt() * 2.2).clamp(8.0, 56.0);
        let column = width.max(62.0);
        let (left, top) = (x + (column - width) / 2.0, 6.0 + (TALLEST - height) / 2.0);
        let middle = x + column / 2.0;
        let shape = match block.shape {
            MapShape { channels, height: 1, width: 1 } => channels.to_string(),
            MapShape { channels, height, width } => format!("{channels}×{height}×{width}"),
        };
        let details = format!("{}: {shape}, {} parameters, {} FLOPs", block.name, block.params, block.flops);
        // All text here is made of numbers and names of ours: nothing is to be escaped.
        let _ = write!(
            body,
            r#"<rect class="block {}" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}" rx="2"><title>{details}</title></rect><text class="note" x="{middle:.1}" y="106">{}</text><text class="small" x="{middle:.1}" y="120">{shape}</text>"#,
            block.class, block.name
        );
        x += column + GAP;
    }
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" class="network" width="{x:.0}" viewBox="0 0 {x:.0} 126" role="img" aria-label="{architecture}">{body}</svg>"#
    )
}

fn blocks(architecture: &Architecture, graph: &Graph) -> Vec<Block> {
    let mut blocks = vec![Block { class: "input", name: "input".into(), shape: graph.input(), params: 0, flops: 0 }];
    let layers = architecture.layers();
    for index in 0..=layers.len() {
        let nodes = || graph.nodes().iter().filter(move |node| node.layer == index);
        let Some(last) = nodes().next_back() else { continue };
        let (class, name) = match layers.get(index) {
            Some(layer) => (class(layer.kind()), layer.to_string()),
            None => (class(LayerKind::Softmax), "SM".into()),
        };
        let params = nodes().map(|node| node.costs.params).sum();
        let flops = nodes().map(|node| node.costs.flops).sum();
        blocks.push(Block { class, name, shape: last.output.map(), params, flops });
    }
    blocks
}

/// The class with the colour of a kind of layer.
pub(crate) fn class(kind: LayerKind) -> &'static str {
    match kind {
        LayerKind::Start => "input",
        LayerKind::Convolution => "c0",
        LayerKind::MaxPool => "c1",
        LayerKind::FullyConnected => "c2",
        LayerKind::GlobalAveragePool => "c3",
        LayerKind::Softmax => "c4",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_layer_is_drawn_with_the_shape_that_the_graph_has() {
        let text = "[C(32,3,1), P(2,2), FC(64), SM(10)]".parse::<Architecture>().unwrap();
        let options = NetworkOptions { batch_norm: false, max_dropout: 0.5 };
        let svg = architecture(&text, MapShape::new(1, 8, 8), options);
        for expected in [
            "input: 1×8×8, 0 parameters",
            "C(32,3,1): 32×8×8, 320 parameters",
            "P(2,2): 32×4×4",
            "FC(64): 64, 32832 parameters",
            "SM: 10, 650 parameters",
        ] {
            assert!(svg.contains(expected), "{expected} in {svg}");
        }
        assert!(architecture(&text, MapShape::new(1, 1, 1), options).contains("[C(32,3,1)"));
    }
}
