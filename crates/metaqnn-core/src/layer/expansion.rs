//! From layers to operations.

use std::fmt;

use super::{DropoutAfter, Gives, Layer};
use crate::graph::{Graph, GraphBuilder, GraphError, MapShape, NetworkOptions, Shape, Source};
use crate::operation::{BatchNorm, Dropout, Flatten, Linear, Misfit, Operation, Relu};

/// A graph as layer after layer is written out; or only the shapes that it would have.
pub(crate) struct Expansion {
    graph: Option<GraphBuilder>,
    /// What the next operation takes, and its shape.
    last: Source,
    shape: Shape,
    /// Position of the layer that is written out.
    layer: usize,
    classes: u32,
    options: NetworkOptions,
    /// How many of each kind of name there are.
    ordinals: Vec<(&'static str, usize)>,
}

/// The graph of layers, softmax left out, for images of shape `input`.
///
/// # Errors
///
/// [`GraphError`] names the first layer that does not fit.
pub(crate) fn expanded(
    layers: &[Layer],
    classes: u32,
    input: MapShape,
    options: NetworkOptions,
) -> Result<Graph, GraphError> {
    let mut expansion = Expansion::new(Some(GraphBuilder::new(input)), Shape::Map(input), classes, options);
    let count = |when| layers.iter().filter(|layer| layer.dropout() == when).count();
    let dropouts = count(DropoutAfter::EverySecond) / 2 + count(DropoutAfter::Each);
    let mut body_layers = 0;
    for (index, layer) in layers.iter().enumerate() {
        expansion.layer = index;
        let mut expand = || {
            layer.expand(&mut expansion)?;
            body_layers += usize::from(layer.dropout() == DropoutAfter::EverySecond);
            match layer.dropout() {
                DropoutAfter::EverySecond if body_layers % 2 == 0 => expansion.add_dropout(dropouts),
                DropoutAfter::Each => expansion.add_dropout(dropouts),
                DropoutAfter::EverySecond | DropoutAfter::None => Ok(()),
            }
        };
        let text = || layer.to_string();
        expand().map_err(|misfit| GraphError { position: index + 1, layer: text(), misfit })?;
    }
    expansion.layer = layers.len();
    let has_logits = layers.last().is_some_and(|layer| layer.kind().gives() == Gives::Logits);
    let end = if has_logits { Ok(()) } else { expansion.add_softmax() };
    let graph = end.and_then(|()| expansion.graph.unwrap_or_else(|| GraphBuilder::new(input)).finish());
    graph.map_err(|misfit| GraphError { position: layers.len() + 1, layer: format!("SM({classes})"), misfit })
}

impl Expansion {
    fn new(graph: Option<GraphBuilder>, shape: Shape, classes: u32, options: NetworkOptions) -> Self {
        Expansion { graph, last: Source::Images, shape, layer: 0, classes, options, ordinals: Vec::new() }
    }

    /// The shape that `layer` makes of `input`, in a network of so many classes.
    ///
    /// # Errors
    ///
    /// [`Misfit`] where it cannot take that.
    pub(crate) fn output(layer: &Layer, input: Shape, classes: u32) -> Result<Shape, Misfit> {
        // Nothing that stands between layers changes a shape.
        let options = NetworkOptions { batch_norm: false, max_dropout: 0.0 };
        let mut expansion = Expansion::new(None, input, classes, options);
        layer.expand(&mut expansion)?;
        Ok(expansion.shape)
    }

    /// Shape of what the next operation takes.
    pub(super) fn shape(&self) -> Shape {
        self.shape
    }

    /// Number of classes of the network.
    pub(super) fn classes(&self) -> u32 {
        self.classes
    }

    /// What layers mean beyond the notation.
    pub(super) fn options(&self) -> NetworkOptions {
        self.options
    }

    /// The number of the next operation whose name begins so, from 1.
    pub(super) fn ordinal(&mut self, name: &'static str) -> usize {
        let known = self.ordinals.iter_mut().find(|(known, _)| *known == name);
        match known {
            Some((_, ordinal)) => {
                *ordinal += 1;
                *ordinal
            }
            None => {
                self.ordinals.push((name, 1));
                1
            }
        }
    }

    /// Adds an operation of this name that takes what the one before gave.
    pub(super) fn add(&mut self, name: fmt::Arguments<'_>, operation: impl Into<Operation>) -> Result<(), Misfit> {
        let operation = operation.into();
        match &mut self.graph {
            Some(graph) => {
                self.last = graph.add(name.to_string(), self.layer, operation, &[self.last])?;
                self.shape = graph.shape(self.last);
            }
            None => self.shape = operation.output(&[self.shape])?,
        }
        Ok(())
    }

    /// Adds batch normalization, where networks have it, and ReLU; their names end so.
    pub(super) fn add_norm_and_relu(&mut self, suffix: fmt::Arguments<'_>) -> Result<(), Misfit> {
        if self.options.batch_norm {
            self.add(format_args!("norm{suffix}"), BatchNorm { channels: self.shape.channels() })?;
        }
        self.add(format_args!("relu{suffix}"), Relu)
    }

    /// Makes a map a vector.
    pub(super) fn flatten(&mut self) -> Result<(), Misfit> {
        match self.shape {
            Shape::Map(_) => self.add(format_args!("flatten"), Flatten),
            Shape::Vector(_) => Ok(()),
        }
    }

    /// Adds the next of so many dropout layers, where networks have any: the i-th of n has i/n of the greatest probability.
    fn add_dropout(&mut self, dropouts: usize) -> Result<(), Misfit> {
        let ordinal = self.ordinal("drop");
        if self.options.max_dropout > 0.0 {
            let probability = self.options.max_dropout * ordinal as f64 / dropouts as f64;
            self.add(format_args!("drop{ordinal}"), Dropout { probability })?;
        }
        Ok(())
    }

    /// Adds what makes logits of the last layer.
    fn add_softmax(&mut self) -> Result<(), Misfit> {
        self.flatten()?;
        let linear = Linear { inputs: self.shape.channels(), outputs: self.classes, bias: true };
        self.add(format_args!("softmax"), linear)
    }
}
