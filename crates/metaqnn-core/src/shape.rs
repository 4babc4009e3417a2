//! Shapes of what flows through a network, without the batch.

use std::fmt;

use serde::{Deserialize, Serialize};

/// Shape of one image or feature map, without the batch: channels, height, width (CHW).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct MapShape {
    /// Channels C.
    pub channels: u32,
    /// Height H in pixels.
    pub height: u32,
    /// Width W in pixels.
    pub width: u32,
}

impl MapShape {
    /// A shape of `channels` × `height` × `width`.
    pub const fn new(channels: u32, height: u32, width: u32) -> Self {
        MapShape { channels, height, width }
    }

    /// Number of values, C·H·W.
    pub fn values(&self) -> u64 {
        product([self.channels, self.height, self.width])
    }

    /// The representation size n: the smaller side.
    pub fn representation_size(&self) -> u32 {
        self.height.min(self.width)
    }
}

impl fmt::Display for MapShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}x{}", self.channels, self.height, self.width)
    }
}

impl std::str::FromStr for MapShape {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let numbers: Vec<u32> = text.split('x').map_while(|n| n.trim().parse().ok()).collect();
        match numbers.as_slice() {
            &[channels, height, width]
                if text.split('x').count() == 3 && numbers.iter().all(|&n| (1..=65_536).contains(&n)) =>
            {
                Ok(MapShape { channels, height, width })
            }
            _ => Err(format!("{text:?} is not a shape: expected CHANNELSxHEIGHTxWIDTH, for example 3x32x32")),
        }
    }
}

/// Shape of a value between two operations, without the batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Shape {
    /// Images or feature maps; with the batch NCHW.
    Map(MapShape),
    /// So many numbers; with the batch NC.
    Vector(u32),
}

impl Shape {
    /// Number of values.
    pub fn values(self) -> u64 {
        self.map().values()
    }

    /// Channels of a map, numbers of a vector.
    pub fn channels(self) -> u32 {
        self.map().channels
    }

    /// The shape as a map: that of a vector has one position.
    pub fn map(self) -> MapShape {
        match self {
            Shape::Map(map) => map,
            Shape::Vector(values) => MapShape::new(values, 1, 1),
        }
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Shape::Map(map) => map.fmt(f),
            Shape::Vector(values) => values.fmt(f),
        }
    }
}

/// The product in 64 bits, saturating: a network of absurd numbers stays over every limit instead of wrapping to a small one.
pub(crate) fn product<const N: usize>(factors: [u32; N]) -> u64 {
    factors.iter().fold(1, |product: u64, &factor| product.saturating_mul(u64::from(factor)))
}
