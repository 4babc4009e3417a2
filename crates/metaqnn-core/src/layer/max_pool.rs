//! `P(f,s)`: max pooling.

use std::fmt;

use super::kind::{DropoutAfter, Gives, Kind, Place, Role, Sizes, Takes, Written, check_numbers};
use super::settings::{check_windows, fitting_windows};
use super::{Expansion, Layer};
use crate::operation::{self, Misfit};
use crate::violation::Violation;

/// `P(f,s)`: max pooling without padding; a side n becomes ceil((n − f + 1) / s).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MaxPool {
    /// Side f of the window.
    pub kernel_size: u32,
    /// Step s between windows.
    pub stride: u32,
}

impl fmt::Display for MaxPool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P({},{})", self.kernel_size, self.stride)
    }
}

impl Kind for MaxPool {
    const TAKES_NUMBERS: &'static str = "P takes two numbers: window and stride";
    const TAKES: Takes = Takes::Maps;
    const GIVES: Gives = Gives::Maps;
    const DROPOUT: DropoutAfter = DropoutAfter::EverySecond;
    type Settings = Vec<[u32; 2]>;

    fn read(numbers: &[u32]) -> Option<Written<Self>> {
        let &[kernel_size, stride] = numbers else { return None };
        Some(Written::of(MaxPool { kernel_size, stride }))
    }

    fn write(&self, f: &mut dyn fmt::Write, _: u32) -> fmt::Result {
        write!(f, "{self}")
    }

    fn check(&self) -> Result<(), String> {
        check_numbers(&[self.kernel_size, self.stride])
    }

    fn check_settings(settings: &Vec<[u32; 2]>, sizes: &Sizes<'_>, found: &mut Vec<Violation>) {
        check_windows("space.max_pool", settings, sizes, found);
    }

    fn add_choices(settings: &Vec<[u32; 2]>, place: &Place, to: &mut Vec<Layer>) {
        let fitting = fitting_windows(settings, place);
        to.extend(fitting.map(|[kernel_size, stride]| Layer::from(MaxPool { kernel_size, stride })));
    }

    fn expand(&self, to: &mut Expansion) -> Result<(), Misfit> {
        let &MaxPool { kernel_size, stride } = self;
        let ordinal = to.ordinal("pool");
        to.add(format_args!("pool{ordinal}"), operation::MaxPool { kernel_size, stride })
    }

    fn role(&self) -> Role {
        Role::Pool
    }
}
