//! An architecture as SVG: a block a layer, its height the side of the map and its width the channels, both by their square root.

use std::collections::BTreeSet;
use std::fmt::Write;

use metaqnn_core::graph::{Graph, MapShape, NetworkOptions, Source};
use metaqnn_core::space::{Architecture, LayerKind};

/// Height of the tallest map.
const TALLEST: f64 = 84.0;
/// Colours of layers.
const COLOURS: usize = 6;
/// Above the blocks, for values that go over others.
const ABOVE: f64 = 24.0;
/// Between two blocks.
const GAP: f64 = 10.0;

struct Block {
    class: String,
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
    let layers = architecture.layers().iter().map(|layer| (layer.kind(), layer.to_string()));
    let layers: Vec<_> = layers.chain([(LayerKind::Softmax, "SM".to_owned())]).collect();
    network(&graph, &layers, &architecture.to_string())
}

/// A graph, whose layers are of these kinds and called this.
fn network(graph: &Graph, layers: &[(LayerKind, String)], label: &str) -> String {
    let blocks = blocks(graph, layers);
    let jumps = jumps(graph);
    let above = if jumps.is_empty() { 0.0 } else { ABOVE };
    let side = f64::from(graph.input().height.max(1));
    let mut body = String::new();
    let mut middles = Vec::new();
    let mut x = 2.0;
    for block in &blocks {
        // Roots, so that maps of 1 and 32 pixels, 3 and 512 channels can be seen beside each other.
        let height = (f64::from(block.shape.height) / side).sqrt() * TALLEST;
        let height = height.clamp(6.0, TALLEST);
        let width = (f64::from(block.shape.channels).sqrt() * 2.2).clamp(8.0, 56.0);
        let column = width.max(62.0);
        let (left, top) = (x + (column - width) / 2.0, above + 6.0 + (TALLEST - height) / 2.0);
        let middle = x + column / 2.0;
        let (name_line, shape_line) = (above + 106.0, above + 120.0);
        middles.push((middle, top));
        let shape = match block.shape {
            MapShape { channels, height: 1, width: 1 } => channels.to_string(),
            MapShape { channels, height, width } => format!("{channels}×{height}×{width}"),
        };
        let details = format!("{}: {shape}, {} parameters, {} FLOPs", block.name, block.params, block.flops);
        // All text here is made of numbers and names of ours: nothing is to be escaped.
        let _ = write!(
            body,
            r#"<rect class="block {}" x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}" rx="2"><title>{details}</title></rect><text class="note" x="{middle:.1}" y="{name_line}">{}</text><text class="small" x="{middle:.1}" y="{shape_line}">{shape}</text>"#,
            block.class, block.name
        );
        x += column + GAP;
    }
    for (from, to) in jumps {
        let (Some((left, from_top)), Some((right, to_top))) = (middles.get(from), middles.get(to)) else { continue };
        let _ = write!(
            body,
            r#"<path class="jump" d="M{left:.1} {from_top:.1} C{left:.1} 0 {right:.1} 0 {right:.1} {to_top:.1}"><title>{} takes {}</title></path>"#,
            blocks[to].name, blocks[from].name
        );
    }
    let height = above + 126.0;
    format!(
        r#"<svg xmlns="http://www.w3.org/2000/svg" class="network" width="{x:.0}" viewBox="0 0 {x:.0} {height}" role="img" aria-label="{label}">{body}</svg>"#
    )
}

/// The blocks between which a value goes over others: the images are block 0, a layer is one more than its position.
fn jumps(graph: &Graph) -> BTreeSet<(usize, usize)> {
    let block = |source: &Source| match source {
        Source::Images => 0,
        Source::Node(index) => graph.nodes()[*index].layer + 1,
    };
    let edges =
        graph.nodes().iter().flat_map(|node| node.inputs.iter().map(move |input| (block(input), node.layer + 1)));
    edges.filter(|(from, to)| from + 1 < *to).collect()
}

fn blocks(graph: &Graph, layers: &[(LayerKind, String)]) -> Vec<Block> {
    let mut blocks =
        vec![Block { class: class(LayerKind::Start), name: "input".into(), shape: graph.input(), params: 0, flops: 0 }];
    for (index, (kind, name)) in layers.iter().enumerate() {
        let nodes = || graph.nodes().iter().filter(move |node| node.layer == index);
        let Some(last) = nodes().next_back() else { continue };
        let (class, name) = (class(*kind), name.clone());
        let params = nodes().map(|node| node.costs.params).sum();
        let flops = nodes().map(|node| node.costs.flops).sum();
        blocks.push(Block { class, name, shape: last.output.map(), params, flops });
    }
    blocks
}

/// The class with the colour of a kind of layer.
fn class(kind: LayerKind) -> String {
    // The softmax has the fifth colour of six, so that those of the first kinds stay.
    const SOFTMAX: usize = 4;
    let place = LayerKind::LAYERS.iter().position(|&other| other == kind);
    match (kind, place) {
        (LayerKind::Softmax, _) => format!("c{SOFTMAX}"),
        (_, Some(place)) => format!("c{}", (place + usize::from(place >= SOFTMAX)) % COLOURS),
        (_, None) => "input".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use metaqnn_core::graph::GraphBuilder;
    use metaqnn_core::operation::{Add, Convolution, GlobalAverage};

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
        assert!(!svg.contains("jump"));
        assert!(architecture(&text, MapShape::new(1, 1, 1), options).contains("[C(32,3,1)"));
    }

    #[test]
    fn a_value_that_goes_over_a_layer_is_drawn_over_it() {
        let mut graph = GraphBuilder::new(MapShape::new(4, 8, 8));
        let convolution = Convolution { in_channels: 4, out_channels: 4, kernel_size: 3, stride: 1, bias: true };
        let first = graph.add("conv1", 0, convolution, &[Source::Images]).unwrap();
        let second = graph.add("conv2", 1, convolution, &[first]).unwrap();
        let sum = graph.add("add1", 2, Add, &[second, first]).unwrap();
        graph.add("average", 3, GlobalAverage, &[sum]).unwrap();
        let names = [(LayerKind::Convolution, "C"), (LayerKind::Convolution, "D"), (LayerKind::Convolution, "E")];
        let layers: Vec<_> = names.iter().map(|&(kind, name)| (kind, name.to_owned())).collect();
        let layers = [layers, vec![(LayerKind::Softmax, "SM".to_owned())]].concat();
        let svg = network(&graph.finish().unwrap(), &layers, "a block");
        assert_eq!(svg.matches(r#"class="jump""#).count(), 1, "{svg}");
        assert!(svg.contains("<title>E takes C</title>"), "{svg}");
    }
}
