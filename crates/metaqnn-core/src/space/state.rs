//! States and actions of the decision process that builds an architecture.

use std::fmt;

use crate::layer::{Layer, LayerKind};

/// What has been built: the agent sees of it only the [`LayerState`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct BuildState {
    /// The last layer; `None` at the start.
    pub(super) last: Option<Layer>,
    /// Number of layers.
    pub(super) layer_depth: u32,
    /// True side n of the feature map.
    pub(super) representation_size: u32,
    /// Fully connected layers so far, the last one included.
    pub(super) fully_connected: u32,
}

impl BuildState {
    /// Kind of the last layer.
    pub fn kind(&self) -> LayerKind {
        self.last.map_or(LayerKind::Start, |layer| layer.kind())
    }

    /// Number of layers placed.
    pub fn layer_depth(&self) -> u32 {
        self.layer_depth
    }
}

/// A state as the agent sees it (table 1 of the paper): the last layer, its depth, and the bucket of the
/// representation size where there still is a feature map. Its text is `start@8`, `3:C(64,3,1)@8`, `7:FC(256)#1` (the
/// first FC layer), `5:GAP`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LayerState {
    /// Number of layers placed.
    pub layer_depth: u32,
    /// The last layer; `None` at the start.
    pub last: Option<Layer>,
    /// Bucket of the representation size; `None` after FC and GAP.
    pub bucket: Option<u32>,
    /// Fully connected layers so far, the last one included.
    pub fully_connected: u32,
}

impl fmt::Display for LayerState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.last {
            None => f.write_str("start")?,
            Some(layer) => write!(f, "{}:{layer}", self.layer_depth)?,
        }
        if let Some(bucket) = self.bucket {
            write!(f, "@{bucket}")?;
        }
        if self.fully_connected > 0 {
            write!(f, "#{}", self.fully_connected)?;
        }
        Ok(())
    }
}

/// The agent's choice: one more layer, or the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum BuildAction {
    /// Place this layer.
    Add(Layer),
    /// End with softmax.
    Softmax,
}

impl fmt::Display for BuildAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BuildAction::Add(layer) => layer.fmt(f),
            BuildAction::Softmax => f.write_str("SM"),
        }
    }
}
