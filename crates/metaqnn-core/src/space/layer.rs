//! The layers an architecture is made of.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One layer of an architecture, as the agent chooses it.
///
/// The softmax layer that ends every architecture and the dropout layers between are not among them: the first is
/// implied by [`Architecture`](super::Architecture), the second follow from the other layers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Layer {
    /// `C(d,f,s)`: convolution with `same` padding, followed by ReLU.
    Convolution {
        /// Number of filters d.
        out_channels: u32,
        /// Side f of the receptive field, odd.
        kernel_size: u32,
        /// Step s between positions.
        stride: u32,
    },
    /// `P(f,s)`: max pooling without padding; a side n becomes ceil((n − f + 1) / s).
    MaxPool {
        /// Side f of the window.
        kernel_size: u32,
        /// Step s between windows.
        stride: u32,
    },
    /// `FC(d)`: fully connected layer, followed by ReLU.
    FullyConnected {
        /// Number of outputs d.
        units: u32,
    },
    /// `GAP(k)`: a 1×1 convolution to one map a class, then the mean of each map.
    GlobalAveragePool,
}

/// The kind of a layer, with `Start` for the input and `Softmax` for the end: what the rules on which layer may follow
/// which are written in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum LayerKind {
    /// The input, before any layer.
    #[serde(rename = "start")]
    Start,
    /// Convolution.
    #[serde(rename = "C")]
    Convolution,
    /// Max pooling.
    #[serde(rename = "P")]
    MaxPool,
    /// Fully connected.
    #[serde(rename = "FC")]
    FullyConnected,
    /// Global average pooling.
    #[serde(rename = "GAP")]
    GlobalAveragePool,
    /// Softmax over the classes, the end.
    #[serde(rename = "SM")]
    Softmax,
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            LayerKind::Start => "start",
            LayerKind::Convolution => "C",
            LayerKind::MaxPool => "P",
            LayerKind::FullyConnected => "FC",
            LayerKind::GlobalAveragePool => "GAP",
            LayerKind::Softmax => "SM",
        })
    }
}

impl Layer {
    /// The kind of this layer.
    pub fn kind(&self) -> LayerKind {
        match self {
            Layer::Convolution { .. } => LayerKind::Convolution,
            Layer::MaxPool { .. } => LayerKind::MaxPool,
            Layer::FullyConnected { .. } => LayerKind::FullyConnected,
            Layer::GlobalAveragePool => LayerKind::GlobalAveragePool,
        }
    }

    /// The layer in the notation, where `GAP` needs the number of classes.
    pub(crate) fn write(&self, f: &mut impl fmt::Write, classes: u32) -> fmt::Result {
        match self {
            Layer::GlobalAveragePool => write!(f, "GAP({classes})"),
            other => write!(f, "{other}"),
        }
    }
}

/// The notation, with `GAP` written without the number of classes, which the layer itself does not know.
impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Layer::Convolution { out_channels, kernel_size, stride } => {
                write!(f, "C({out_channels},{kernel_size},{stride})")
            }
            Layer::MaxPool { kernel_size, stride } => write!(f, "P({kernel_size},{stride})"),
            Layer::FullyConnected { units } => write!(f, "FC({units})"),
            Layer::GlobalAveragePool => f.write_str("GAP"),
        }
    }
}
