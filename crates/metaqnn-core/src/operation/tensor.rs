//! The tensors of an operation: what engines build, files store and exports write.

/// One tensor of an operation. Its name is that of the operation's node, a dot and the field: `conv1.weight`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorSpec {
    /// Last part of its name.
    pub field: &'static str,
    /// Dimensions, as PyTorch has them: OIHW, outputs × inputs, channels.
    pub shape: Vec<usize>,
    /// Its first values.
    pub init: Init,
    /// Whether the optimizer changes it; else it is a statistic.
    pub trainable: bool,
}

/// The first values of a tensor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Init {
    /// Drawn: uniform in ±√(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010, equation 16).
    Glorot {
        /// Inputs of each output.
        fan_in: usize,
        /// Outputs of each input.
        fan_out: usize,
    },
    /// All 0.
    Zeros,
    /// All 1.
    Ones,
}

impl TensorSpec {
    /// Its name where the operation is the node of that name.
    pub fn name(&self, node: &str) -> String {
        format!("{node}.{}", self.field)
    }

    /// Number of values, saturating.
    pub fn values(&self) -> u64 {
        self.shape.iter().fold(1, |product: u64, &n| product.saturating_mul(n as u64))
    }

    /// A trainable tensor with one value for each of `channels`.
    pub(super) fn each_channel(field: &'static str, channels: u32, init: Init) -> Self {
        TensorSpec { field, shape: vec![channels as usize], init, trainable: true }
    }
}
