//! Graphs, made operation by operation.

use super::{Graph, Node, Source, shape_of};
use crate::operation::{Costs, Misfit, Operation};
use crate::shape::{MapShape, Shape};

/// A graph as it grows.
///
/// ```
/// use metaqnn_core::graph::{GraphBuilder, MapShape, Source};
/// use metaqnn_core::operation::{Flatten, Linear};
///
/// let mut graph = GraphBuilder::new(MapShape::new(1, 8, 8));
/// let flat = graph.add("flatten", 0, Flatten, &[Source::Images])?;
/// graph.add("softmax", 0, Linear { inputs: 64, outputs: 10, bias: true }, &[flat])?;
/// let graph = graph.finish()?;
/// assert_eq!((graph.classes(), graph.params()), (10, 650));
/// # Ok::<(), metaqnn_core::operation::Misfit>(())
/// ```
#[derive(Clone, Debug)]
pub struct GraphBuilder {
    input: MapShape,
    nodes: Vec<Node>,
}

impl GraphBuilder {
    /// A graph without operations for images of shape `input`, CHW.
    pub fn new(input: MapShape) -> Self {
        GraphBuilder { input, nodes: Vec::new() }
    }

    /// Shape of a value.
    pub fn shape(&self, source: Source) -> Shape {
        shape_of(self.input, &self.nodes, source)
    }

    /// Adds an operation of this name, which no other has, for the layer at this position; gives its output.
    ///
    /// # Errors
    ///
    /// [`Misfit`] where the operation cannot take these inputs.
    pub fn add(
        &mut self,
        name: impl Into<String>,
        layer: usize,
        operation: impl Into<Operation>,
        inputs: &[Source],
    ) -> Result<Source, Misfit> {
        let operation = operation.into();
        let output = match *inputs {
            // Nearly every operation: nothing is allocated.
            [input] => operation.output(&[self.shape(input)])?,
            _ => operation.output(&inputs.iter().map(|&input| self.shape(input)).collect::<Vec<_>>())?,
        };
        let costs = Costs::new(&operation, output);
        self.nodes.push(Node { name: name.into(), layer, operation, inputs: inputs.to_vec(), output, costs });
        Ok(Source::Node(self.nodes.len() - 1))
    }

    /// The graph: the output of the last operation are the logits.
    ///
    /// # Errors
    ///
    /// [`Misfit`] where the last operation gives a map, or the output of another is taken by none.
    pub fn finish(self) -> Result<Graph, Misfit> {
        let classes = match self.nodes.last().map_or(Shape::Map(self.input), |node| node.output) {
            Shape::Vector(classes) => classes,
            Shape::Map(map) => return Err(Misfit::Map(map)),
        };
        let graph = Graph { input: self.input, classes, nodes: self.nodes };
        let readers = graph.readers();
        match graph.nodes.iter().zip(&readers[1..]).find(|(_, readers)| **readers == 0) {
            Some((node, _)) => Err(Misfit::Unread(node.name.clone())),
            None => Ok(graph),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::operation::{Flatten, Linear, Relu};

    #[test]
    fn what_is_no_network_is_refused() {
        let input = MapShape::new(1, 2, 3);
        assert_eq!(GraphBuilder::new(input).finish(), Err(Misfit::Map(input)));
        let mut graph = GraphBuilder::new(input);
        graph.add("relu", 0, Relu, &[Source::Images]).unwrap();
        let flat = graph.add("flatten", 0, Flatten, &[Source::Images]).unwrap();
        assert!(graph.add("both", 0, Relu, &[flat, flat]).is_err());
        graph.add("softmax", 0, Linear { inputs: 6, outputs: 2, bias: false }, &[flat]).unwrap();
        let error = graph.finish().unwrap_err();
        assert_eq!(error.to_string(), "nothing takes the output of relu");
    }
}
