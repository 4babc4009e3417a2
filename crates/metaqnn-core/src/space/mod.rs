//! The search space: architectures and their notation, and the decision process that builds them.

mod architecture;
mod count;
mod features;
mod network;
mod search_space;
mod settings;
mod state;

pub use architecture::{Architecture, ArchitectureError};
pub use count::SpaceSize;
pub use search_space::{NotInSpace, SearchSpace};
pub use settings::{FollowSettings, SpaceSettings};
pub use state::{BuildAction, BuildState, LayerState};

pub use crate::layer::{
    Convolution, ConvolutionSettings, FullyConnected, FullyConnectedSettings, GlobalAveragePool, Layer, LayerKind,
    MaxPool,
};
