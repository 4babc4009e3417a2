//! `GAP(k)`: global average pooling.

use std::fmt;

use super::kind::{DropoutAfter, Gives, Kind, Place, Role, Sizes, Takes, Written};
use super::{Expansion, Layer};
use crate::operation::{self, Misfit};
use crate::violation::Violation;

/// `GAP(k)`: a 1×1 convolution to one map a class, without ReLU, then the mean of each map.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct GlobalAveragePool;

/// Without the number of classes, which the layer itself does not know.
impl fmt::Display for GlobalAveragePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("GAP")
    }
}

impl Kind for GlobalAveragePool {
    const TAKES_NUMBERS: &'static str = "it takes one number";
    const TAKES: Takes = Takes::Maps;
    const GIVES: Gives = Gives::Logits;
    const DROPOUT: DropoutAfter = DropoutAfter::None;
    type Settings = ();

    fn read(numbers: &[u32]) -> Option<Written<Self>> {
        let &[classes] = numbers else { return None };
        Some(Written { layer: GlobalAveragePool, classes: Some(classes) })
    }

    fn write(&self, f: &mut dyn fmt::Write, classes: u32) -> fmt::Result {
        write!(f, "GAP({classes})")
    }

    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    fn check_settings((): &(), _: &Sizes<'_>, _: &mut Vec<Violation>) {}

    fn add_choices((): &(), _: &Place, to: &mut Vec<Layer>) {
        to.push(GlobalAveragePool.into());
    }

    fn expand(&self, to: &mut Expansion) -> Result<(), Misfit> {
        let (in_channels, out_channels) = (to.shape().channels(), to.classes());
        let convolution = operation::Convolution { in_channels, out_channels, kernel_size: 1, stride: 1, bias: true };
        to.add(format_args!("gap"), convolution)?;
        to.add(format_args!("average"), operation::GlobalAverage)
    }

    fn role(&self) -> Role {
        Role::GlobalAverage
    }
}
