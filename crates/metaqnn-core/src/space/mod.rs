//! The search space: layers, architectures and their notation, and the decision process that builds them.

mod architecture;
mod count;
mod expansion;
mod features;
mod layer;
mod search_space;
mod settings;
mod state;

pub use architecture::{Architecture, ArchitectureError};
pub use count::SpaceSize;
pub use layer::{Layer, LayerKind};
pub use search_space::{NotInSpace, SearchSpace};
pub use settings::{ConvolutionSettings, FollowSettings, FullyConnectedSettings, SpaceSettings};
pub use state::{BuildAction, BuildState, LayerState};
