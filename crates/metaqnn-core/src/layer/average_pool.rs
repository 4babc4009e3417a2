//! `A(f,s)`: average pooling.

use std::fmt;

use super::kind::{DropoutAfter, Gives, Kind, Place, Role, Sizes, Takes, Written, check_numbers};
use super::settings::{check_windows, fitting_windows};
use super::{Expansion, Layer};
use crate::operation::{self, Misfit};
use crate::violation::Violation;

/// `A(f,s)`: average pooling without padding; a side n becomes ceil((n − f + 1) / s).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct AveragePool {
    /// Side f of the window.
    pub kernel_size: u32,
    /// Step s between windows.
    pub stride: u32,
}

impl fmt::Display for AveragePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "A({},{})", self.kernel_size, self.stride)
    }
}

impl Kind for AveragePool {
    const TAKES_NUMBERS: &'static str = "A takes two numbers: window and stride";
    const TAKES: Takes = Takes::Maps;
    const GIVES: Gives = Gives::Maps;
    const DROPOUT: DropoutAfter = DropoutAfter::EverySecond;
    type Settings = Vec<[u32; 2]>;

    fn read(numbers: &[u32]) -> Option<Written<Self>> {
        let &[kernel_size, stride] = numbers else { return None };
        Some(Written::of(AveragePool { kernel_size, stride }))
    }

    fn write(&self, f: &mut dyn fmt::Write, _: u32) -> fmt::Result {
        write!(f, "{self}")
    }

    fn check(&self) -> Result<(), String> {
        check_numbers(&[self.kernel_size, self.stride])
    }

    fn check_settings(settings: &Vec<[u32; 2]>, sizes: &Sizes<'_>, found: &mut Vec<Violation>) {
        check_windows("space.average_pool", settings, sizes, found);
    }

    fn add_choices(settings: &Vec<[u32; 2]>, place: &Place, to: &mut Vec<Layer>) {
        let fitting = fitting_windows(settings, place);
        to.extend(fitting.map(|[kernel_size, stride]| Layer::from(AveragePool { kernel_size, stride })));
    }

    fn expand(&self, to: &mut Expansion) -> Result<(), Misfit> {
        let &AveragePool { kernel_size, stride } = self;
        let ordinal = to.ordinal("average_pool");
        to.add(format_args!("average_pool{ordinal}"), operation::AveragePool { kernel_size, stride })
    }

    fn role(&self) -> Role {
        Role::Pool
    }
}
