//! The operations that networks are made of: each says in a file of its own all that there is to know of it.
//!
//! Everybody else reads what stands there: [`Graph`](crate::graph::Graph) shapes and costs, the engines and exports the tensors. What differs
//! from engine to engine and from format to format is an arm of a `match` there, and such a `match` has no wildcard, so that the compiler
//! names every place that a new operation needs.

mod add;
mod average_pool;
mod batch_norm;
mod convolution;
mod dropout;
mod flatten;
mod global_average;
mod linear;
mod max_pool;
mod relu;
mod tensor;

pub use self::add::Add;
pub use self::average_pool::AveragePool;
pub use self::batch_norm::BatchNorm;
pub use self::convolution::Convolution;
pub use self::dropout::Dropout;
pub use self::flatten::Flatten;
pub use self::global_average::GlobalAverage;
pub use self::linear::Linear;
pub use self::max_pool::MaxPool;
pub use self::relu::Relu;
pub use self::tensor::{Init, TensorSpec};
use crate::shape::{MapShape, Shape};

/// What every operation says of itself. Nothing has a default: an operation that leaves something out does not compile.
trait Describe {
    /// Shape of its output for inputs of these shapes.
    fn output(&self, inputs: &[Shape]) -> Result<Shape, Misfit>;

    /// Its tensors, in the order in which their first values are drawn.
    fn tensors(&self) -> Vec<TensorSpec>;

    /// 2 × multiply-adds of products of matrices, forward, for one image.
    fn flops(&self, output: Shape) -> u64;

    /// Estimated picoseconds of training on one image, see [`Graph::training_microseconds`](crate::graph::Graph::training_microseconds).
    fn training_picoseconds(&self, output: Shape) -> u64;

    /// Numbers that training holds for each image, beside their gradient.
    fn activations(&self, output: Shape) -> u64;

    /// Numbers that it lays out anew for the one image in flight.
    fn unrolled(&self, output: Shape) -> u64;
}

/// Writes the operations out where each needs the same line.
macro_rules! operations {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// One operation of a network.
        #[derive(Clone, Copy, Debug, PartialEq)]
        pub enum Operation {
            $($(#[$doc])* $name($name),)*
        }

        impl Operation {
            fn description(&self) -> &dyn Describe {
                match self {
                    $(Operation::$name(operation) => operation,)*
                }
            }
        }

        $(
            impl From<$name> for Operation {
                fn from(operation: $name) -> Self {
                    Operation::$name(operation)
                }
            }
        )*
    };
}

operations! {
    /// Convolution.
    Convolution,
    /// Batch normalization.
    BatchNorm,
    /// max(0, x).
    Relu,
    /// Max pooling.
    MaxPool,
    /// Dropout.
    Dropout,
    /// A map as a vector.
    Flatten,
    /// Linear layer.
    Linear,
    /// Mean of each map.
    GlobalAverage,
    /// Sum of two values.
    Add,
    /// Average pooling.
    AveragePool,
}

/// Why an operation does not fit what it is given.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Misfit {
    /// It takes another number of values.
    #[error("it takes {expected} inputs, not {found}")]
    Inputs {
        /// Number that it takes.
        expected: usize,
        /// Number that there is.
        found: usize,
    },
    /// A window is larger than the map.
    #[error("its window of {kernel_size} does not fit the feature map of {input} (CxHxW)")]
    Window {
        /// Side of the window.
        kernel_size: u32,
        /// Shape of the map.
        input: MapShape,
    },
    /// It takes maps, and there is a vector.
    #[error("it takes a feature map, not a vector of {0}")]
    Vector(u32),
    /// It takes a vector, and there is a map.
    #[error("it takes a vector, not a feature map of {0} (CxHxW)")]
    Map(MapShape),
    /// It takes another number of channels or values.
    #[error("it takes {expected} channels or values, not {found}")]
    Channels {
        /// Number that it takes.
        expected: u32,
        /// Number that there is.
        found: u32,
    },
    /// What is added has different shapes.
    #[error("it adds values of the same shape, not of {one} and {other}")]
    Differ {
        /// Shape of the first.
        one: Shape,
        /// Shape of the second.
        other: Shape,
    },
    /// The output of an operation is taken by none.
    #[error("nothing takes the output of {0}")]
    Unread(String),
}

impl Operation {
    /// Shape of its output for an input of this shape.
    ///
    /// # Errors
    ///
    /// [`Misfit`] where it cannot take that.
    pub fn output(&self, inputs: &[Shape]) -> Result<Shape, Misfit> {
        self.description().output(inputs)
    }

    /// Its tensors, in the order in which their first values are drawn: all that is stored of a trained network.
    pub fn tensors(&self) -> Vec<TensorSpec> {
        self.description().tensors()
    }
}

/// What an operation costs for one image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Costs {
    /// Weights: trainable values whose first values are drawn; no biases, no batch normalization.
    pub weights: u64,
    /// All trainable values.
    pub params: u64,
    /// 2 × multiply-adds, forward.
    pub flops: u64,
    pub(crate) training_picoseconds: u64,
    pub(crate) activations: u64,
    pub(crate) unrolled: u64,
}

impl Costs {
    /// The costs of `operation` with this output.
    pub(crate) fn new(operation: &Operation, output: Shape) -> Self {
        let description = operation.description();
        let tensors = description.tensors();
        let values = |of: fn(&&TensorSpec) -> bool| {
            tensors
                .iter()
                .filter(|tensor| tensor.trainable)
                .filter(of)
                .map(TensorSpec::values)
                .fold(0, u64::saturating_add)
        };
        Costs {
            weights: values(|tensor| matches!(tensor.init, Init::Glorot { .. })),
            params: values(|_| true),
            flops: description.flops(output),
            training_picoseconds: description.training_picoseconds(output),
            activations: description.activations(output),
            unrolled: description.unrolled(output),
        }
    }
}

/// The input of an operation that takes one.
fn only(inputs: &[Shape]) -> Result<Shape, Misfit> {
    match *inputs {
        [input] => Ok(input),
        _ => Err(Misfit::Inputs { expected: 1, found: inputs.len() }),
    }
}

/// The map that an operation on maps is given.
fn map_of(inputs: &[Shape]) -> Result<MapShape, Misfit> {
    match only(inputs)? {
        Shape::Map(map) => Ok(map),
        Shape::Vector(values) => Err(Misfit::Vector(values)),
    }
}

/// Shape of what windows without padding make of a map.
fn pooled(inputs: &[Shape], kernel_size: u32, stride: u32) -> Result<Shape, Misfit> {
    let input = map_of(inputs)?;
    if kernel_size > input.representation_size() {
        return Err(Misfit::Window { kernel_size, input });
    }
    let [height, width] = [input.height, input.width].map(|side| (side - kernel_size) / stride + 1);
    Ok(Shape::Map(MapShape { height, width, ..input }))
}

/// Whether there are as many channels or values as expected.
fn check_channels(expected: u32, found: u32) -> Result<(), Misfit> {
    if found == expected { Ok(()) } else { Err(Misfit::Channels { expected, found }) }
}

/// Picoseconds for each value of a map that is made: normalization, ReLU and the traffic to memory count with the operation that makes it.
const PICOSECONDS_OF_A_VALUE: u64 = 1_500;

/// Picoseconds for each operation of a product of matrices.
const PICOSECONDS_OF_A_FLOP: u64 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_does_not_fit_is_said() {
        let map = Shape::Map(MapShape::new(3, 4, 9));
        let misfit = |operation: Operation, input| operation.output(&[input]).unwrap_err().to_string();
        let pool = MaxPool { kernel_size: 5, stride: 3 };
        assert_eq!(misfit(pool.into(), map), "its window of 5 does not fit the feature map of 3x4x9 (CxHxW)");
        assert_eq!(misfit(pool.into(), Shape::Vector(7)), "it takes a feature map, not a vector of 7");
        let linear = Linear { inputs: 108, outputs: 2, bias: true };
        assert_eq!(misfit(linear.into(), map), "it takes a vector, not a feature map of 3x4x9 (CxHxW)");
        assert_eq!(misfit(linear.into(), Shape::Vector(7)), "it takes 108 channels or values, not 7");
        assert_eq!(misfit(BatchNorm { channels: 4 }.into(), map), "it takes 4 channels or values, not 3");
        let sum = |inputs: &[Shape]| Operation::from(Add).output(inputs).map_err(|misfit| misfit.to_string());
        assert_eq!(sum(&[map, map]), Ok(map));
        assert_eq!(sum(&[map, Shape::Vector(7)]).unwrap_err(), "it adds values of the same shape, not of 3x4x9 and 7");
        assert_eq!(sum(&[map]).unwrap_err(), "it takes 2 inputs, not 1");
        assert_eq!(misfit(GlobalAverage.into(), Shape::Vector(7)), "it takes a feature map, not a vector of 7");
    }

    #[test]
    fn trainable_values_are_those_of_the_tensors() {
        let convolution = Convolution { in_channels: 3, out_channels: 8, kernel_size: 5, stride: 2, bias: true };
        let output = Operation::from(convolution).output(&[Shape::Map(MapShape::new(3, 9, 8))]).unwrap();
        assert_eq!(output, Shape::Map(MapShape::new(8, 5, 4)));
        let costs = Costs::new(&convolution.into(), output);
        assert_eq!((costs.weights, costs.params, costs.flops), (600, 608, 2 * 600 * 20));
        let norm = Costs::new(&BatchNorm { channels: 8 }.into(), output);
        assert_eq!((norm.weights, norm.params, norm.flops), (0, 16, 0));
    }
}
