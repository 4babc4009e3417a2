//! The kinds of layers that architectures are made of: each says in a file of its own all that there is to know of it (`Kind`).
//!
//! The registry below is the one place that lists them. From it come [`Layer`], [`LayerKind`], the parser of the notation, the settings of a
//! space and the table of what may follow what.

mod average_pool;
mod convolution;
mod expansion;
mod fully_connected;
mod global_average_pool;
mod kind;
mod max_pool;
mod settings;

use std::fmt;

use serde::{Deserialize, Serialize};

pub use self::convolution::ConvolutionSettings;
pub(crate) use self::expansion::{Expansion, expanded};
pub use self::fully_connected::FullyConnectedSettings;
use self::kind::DropoutAfter;
pub(crate) use self::kind::{Gives, Kind, LARGEST_NUMBER, Place, Role, Sizes, Takes};
pub(crate) use self::settings::{List, check_list};
use crate::operation::Misfit;

/// Hands the registry to a macro. A line is: the name of the layer, what the notation calls it, its file, and the field of a space's settings that
/// says which layers of the kind there are, where it has settings. A new kind comes last, so that the order of those before it stays.
macro_rules! layer_kinds {
    ($to:ident) => {
        $to! {
            /// `C(d,f,s)`: convolution with `same` padding, followed by ReLU.
            Convolution "C" in convolution [/// Convolution layers.
                convolution: ConvolutionSettings];
            /// `P(f,s)`: max pooling without padding.
            MaxPool "P" in max_pool [/// Pooling layers, `[window, stride]` each.
                max_pool: Vec<[u32; 2]>];
            /// `FC(d)`: fully connected layer, followed by ReLU.
            FullyConnected "FC" in fully_connected [/// Fully connected layers.
                fully_connected: FullyConnectedSettings];
            /// `GAP(k)`: global average pooling.
            GlobalAveragePool "GAP" in global_average_pool [];
            /// `A(f,s)`: average pooling without padding.
            AveragePool "A" in average_pool [/// Average pooling layers, `[window, stride]` each. Older studies have none.
                #[serde(default)] average_pool: Vec<[u32; 2]>];
        }
    };
}
pub(crate) use layer_kinds;

macro_rules! define_layers {
    ($($(#[$doc:meta])* $name:ident $notation:literal in $file:ident $settings:tt;)*) => {
        $(pub use self::$file::$name;)*

        /// One layer of an architecture, as the agent chooses it.
        ///
        /// The softmax layer that ends every architecture and the dropout layers between are not among them: the first is
        /// implied by [`Architecture`](crate::space::Architecture), the second follow from the other layers.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Layer {
            $($(#[$doc])* $name($name),)*
        }

        /// The kind of a layer, with `Start` for the input and `Softmax` for the end: what the rules on which layer may follow
        /// which are written in.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        pub enum LayerKind {
            /// The input, before any layer.
            #[serde(rename = "start")]
            Start,
            $($(#[$doc])* #[serde(rename = $notation)] $name,)*
            /// Softmax over the classes, the end.
            #[serde(rename = "SM")]
            Softmax,
        }

        $(
            impl From<$name> for Layer {
                fn from(layer: $name) -> Self {
                    Layer::$name(layer)
                }
            }
        )*

        /// The notation, with `GAP` written without the number of classes, which the layer itself does not know.
        impl fmt::Display for Layer {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Layer::$name(layer) => layer.fmt(f),)*
                }
            }
        }

        impl Layer {
            /// The kind of this layer.
            pub fn kind(&self) -> LayerKind {
                match self {
                    $(Layer::$name(_) => LayerKind::$name,)*
                }
            }

            /// The layer in the notation, in an architecture for so many classes.
            pub(crate) fn write(&self, f: &mut dyn fmt::Write, classes: u32) -> fmt::Result {
                match self {
                    $(Layer::$name(layer) => layer.write(f, classes),)*
                }
            }

            /// The rule that its numbers break, if one.
            pub(crate) fn check(&self) -> Result<(), String> {
                match self {
                    $(Layer::$name(layer) => layer.check(),)*
                }
            }

            /// What a model of the reward takes it for.
            pub(crate) fn role(&self) -> Role {
                match self {
                    $(Layer::$name(layer) => layer.role(),)*
                }
            }

            fn expand(&self, to: &mut Expansion) -> Result<(), Misfit> {
                match self {
                    $(Layer::$name(layer) => layer.expand(to),)*
                }
            }

            fn dropout(&self) -> DropoutAfter {
                match self {
                    $(Layer::$name(_) => <$name as Kind>::DROPOUT,)*
                }
            }

            /// The layer that the notation calls `name` and gives these numbers, and the number of classes where it has it; `None` where there is
            /// no such name.
            ///
            /// # Errors
            ///
            /// What numbers it takes, where these are others.
            pub(crate) fn read(name: &str, numbers: &[u32]) -> Option<Result<(Self, Option<u32>), &'static str>> {
                match name {
                    $($notation => {
                        let written = <$name as Kind>::read(numbers).ok_or(<$name as Kind>::TAKES_NUMBERS);
                        Some(written.map(|written| (Layer::$name(written.layer), written.classes)))
                    })*
                    _ => None,
                }
            }
        }

        impl LayerKind {
            /// The kinds of layers, `Start` and `Softmax` left out.
            pub const LAYERS: &'static [LayerKind] = &[$(LayerKind::$name,)*];

            /// What the notation calls it.
            pub fn notation(self) -> &'static str {
                match self {
                    LayerKind::Start => "start",
                    $(LayerKind::$name => $notation,)*
                    LayerKind::Softmax => "SM",
                }
            }

            /// What it can follow.
            pub(crate) fn takes(self) -> Takes {
                match self {
                    $(LayerKind::$name => <$name as Kind>::TAKES,)*
                    LayerKind::Start | LayerKind::Softmax => Takes::Anything,
                }
            }

            /// What comes out of it.
            pub(crate) fn gives(self) -> Gives {
                match self {
                    LayerKind::Start => Gives::Maps,
                    $(LayerKind::$name => <$name as Kind>::GIVES,)*
                    LayerKind::Softmax => Gives::Logits,
                }
            }
        }
    };
}
layer_kinds!(define_layers);

impl LayerKind {
    /// The kinds that can follow one that gives a vector, in words.
    pub(crate) fn of_vectors() -> String {
        let takes = |kind: &&LayerKind| kind.takes() == Takes::Anything;
        LayerKind::LAYERS.iter().filter(takes).map(|kind| kind.notation()).collect::<Vec<_>>().join(", ")
    }
}

impl fmt::Display for LayerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.notation())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{MapShape, Shape};

    /// A layer of each kind.
    fn layers() -> Vec<Layer> {
        let numbers = [[3, 3, 2].as_slice(), &[3, 2], &[7]];
        let read = |kind: &LayerKind| {
            let mut tries = numbers.iter().filter_map(|numbers| Layer::read(kind.notation(), numbers)?.ok());
            tries.next().unwrap().0
        };
        LayerKind::LAYERS.iter().map(read).collect()
    }

    #[test]
    fn every_kind_keeps_what_it_says() {
        let map = Shape::Map(MapShape::new(5, 9, 8));
        for layer in layers() {
            let kind = layer.kind();
            assert!(layer.to_string().starts_with(kind.notation()), "{layer}");
            assert_eq!(layer.check(), Ok(()), "{layer}");
            let gives = |shape| match Expansion::output(&layer, shape, 7).unwrap() {
                Shape::Map(_) => Gives::Maps,
                Shape::Vector(7) if kind.gives() == Gives::Logits => Gives::Logits,
                Shape::Vector(_) => Gives::Vector,
            };
            assert_eq!(gives(map), kind.gives(), "{layer}");
            let of_vector = Expansion::output(&layer, Shape::Vector(6), 7);
            assert_eq!(of_vector.is_ok(), kind.takes() == Takes::Anything, "{layer}");
            let mut text = String::new();
            layer.write(&mut text, 7).unwrap();
            let numbers = text[kind.notation().len() + 1..text.len() - 1].split(',');
            let numbers: Vec<u32> = numbers.map(|number| number.parse().unwrap()).collect();
            let (again, classes) = Layer::read(kind.notation(), &numbers).unwrap().unwrap();
            assert_eq!(again, layer);
            assert!(classes.is_none_or(|classes| classes == 7));
            assert!(Layer::read(kind.notation(), &[1, 1, 1, 1, 1, 1]).unwrap().is_err(), "{layer}");
        }
        assert!(Layer::read("X", &[1]).is_none());
    }

    #[test]
    fn the_order_of_layers_is_that_of_the_registry_and_of_their_numbers() {
        let layers = layers();
        assert!(layers.windows(2).all(|pair| pair[0] < pair[1]));
        let convolution = |out_channels, kernel_size| Layer::from(Convolution { out_channels, kernel_size, stride: 1 });
        assert!(convolution(2, 5) < convolution(3, 1) && convolution(2, 1) < convolution(2, 3));
    }
}
