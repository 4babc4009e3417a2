//! `C(d,f,s)`: convolution.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::kind::{DropoutAfter, Gives, Kind, Place, Role, Sizes, Takes, Written, check_numbers};
use super::{Expansion, Layer, check_list};
use crate::operation::{self, Misfit};
use crate::violation::Violation;

/// `C(d,f,s)`: convolution with `same` padding, followed by ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Convolution {
    /// Number of filters d.
    pub out_channels: u32,
    /// Side f of the receptive field, odd.
    pub kernel_size: u32,
    /// Step s between positions.
    pub stride: u32,
}

/// The convolution layers: every number of filters with every receptive field.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConvolutionSettings {
    /// Numbers of filters.
    pub out_channels: Vec<u32>,
    /// Sides of the receptive field, odd.
    pub kernel_sizes: Vec<u32>,
    /// Step between positions.
    pub stride: u32,
}

impl fmt::Display for Convolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Convolution { out_channels, kernel_size, stride } = self;
        write!(f, "C({out_channels},{kernel_size},{stride})")
    }
}

impl Kind for Convolution {
    const TAKES_NUMBERS: &'static str = "C takes three numbers: filters, receptive field, stride";
    const TAKES: Takes = Takes::Maps;
    const GIVES: Gives = Gives::Maps;
    const DROPOUT: DropoutAfter = DropoutAfter::EverySecond;
    type Settings = ConvolutionSettings;

    fn read(numbers: &[u32]) -> Option<Written<Self>> {
        let &[out_channels, kernel_size, stride] = numbers else { return None };
        Some(Written::of(Convolution { out_channels, kernel_size, stride }))
    }

    fn write(&self, f: &mut dyn fmt::Write, _: u32) -> fmt::Result {
        write!(f, "{self}")
    }

    fn check(&self) -> Result<(), String> {
        check_numbers(&[self.out_channels, self.kernel_size, self.stride])?;
        match self.kernel_size % 2 {
            0 => Err("the receptive field of a convolution must be odd (same padding)".into()),
            _ => Ok(()),
        }
    }

    fn check_settings(settings: &ConvolutionSettings, sizes: &Sizes<'_>, found: &mut Vec<Violation>) {
        let ConvolutionSettings { out_channels, kernel_sizes, stride } = settings;
        check_list("space.convolution.out_channels", out_channels, found);
        check_list("space.convolution.kernel_sizes", kernel_sizes, found);
        for &channels in out_channels {
            if !(1..=65_536).contains(&channels) {
                found.push(Violation::new("space.convolution.out_channels", channels, "in 1..=65536"));
            }
        }
        for &size in kernel_sizes {
            if size % 2 == 0 || sizes.largest.is_some_and(|largest| size >= largest) {
                let range = sizes
                    .largest
                    .map_or(String::new(), |largest| format!(" and below the largest representation size, {largest}"));
                let allowed = format!("odd{range}");
                found.push(Violation::new("space.convolution.kernel_sizes", size, allowed));
            }
        }
        if !(1..=8).contains(stride) {
            found.push(Violation::new("space.convolution.stride", stride, "in 1..=8"));
        }
    }

    fn add_choices(settings: &ConvolutionSettings, place: &Place, to: &mut Vec<Layer>) {
        let &ConvolutionSettings { ref out_channels, ref kernel_sizes, stride } = settings;
        for &out_channels in out_channels {
            for &kernel_size in kernel_sizes.iter().filter(|&&f| f < place.bucket) {
                to.push(Convolution { out_channels, kernel_size, stride }.into());
            }
        }
    }

    fn expand(&self, to: &mut Expansion) -> Result<(), Misfit> {
        let &Convolution { out_channels, kernel_size, stride } = self;
        let ordinal = to.ordinal("conv");
        let (in_channels, bias) = (to.shape().channels(), !to.options().batch_norm);
        let convolution = operation::Convolution { in_channels, out_channels, kernel_size, stride, bias };
        to.add(format_args!("conv{ordinal}"), convolution)?;
        to.add_norm_and_relu(format_args!("{ordinal}"))
    }

    fn role(&self) -> Role {
        Role::Convolution
    }
}
