//! `FC(d)`: fully connected layer.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::kind::{DropoutAfter, Gives, Kind, Place, Role, Sizes, Takes, Written, check_numbers};
use super::{Expansion, Layer, List, check_list};
use crate::operation::{self, Misfit};
use crate::violation::Violation;

/// `FC(d)`: fully connected layer, followed by ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FullyConnected {
    /// Number of outputs d.
    pub units: u32,
}

/// The fully connected layers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FullyConnectedSettings {
    /// Numbers of outputs. A layer after another is no wider than it.
    pub units: Vec<u32>,
    /// Most layers in a row.
    pub max_in_a_row: u32,
    /// Largest bucket in which the first may stand.
    pub max_representation_size: u32,
}

impl fmt::Display for FullyConnected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FC({})", self.units)
    }
}

impl Kind for FullyConnected {
    const TAKES_NUMBERS: &'static str = "it takes one number";
    const TAKES: Takes = Takes::Anything;
    const GIVES: Gives = Gives::Vector;
    const DROPOUT: DropoutAfter = DropoutAfter::Each;
    type Settings = FullyConnectedSettings;

    fn read(numbers: &[u32]) -> Option<Written<Self>> {
        let &[units] = numbers else { return None };
        Some(Written::of(FullyConnected { units }))
    }

    fn write(&self, f: &mut dyn fmt::Write, _: u32) -> fmt::Result {
        write!(f, "{self}")
    }

    fn check(&self) -> Result<(), String> {
        check_numbers(&[self.units])
    }

    fn check_settings(settings: &FullyConnectedSettings, sizes: &Sizes<'_>, found: &mut Vec<Violation>) {
        check_list("space.fully_connected.units", &settings.units, found);
        for &units in &settings.units {
            if !(1..=65_536).contains(&units) {
                found.push(Violation::new("space.fully_connected.units", units, "in 1..=65536"));
            }
        }
        if settings.max_in_a_row < 1 {
            found.push(Violation::new(
                "space.fully_connected.max_in_a_row",
                0,
                "at least 1, or FC in no list of space.follows",
            ));
        }
        let below_largest = &sizes.all[..sizes.all.len().saturating_sub(1)];
        if sizes.largest.is_some() && !below_largest.contains(&settings.max_representation_size) {
            let allowed = format!(
                "one of the representation sizes {} (below the largest: on a larger map an FC layer would hold most of the weights)",
                List(below_largest)
            );
            let path = "space.fully_connected.max_representation_size";
            found.push(Violation::new(path, settings.max_representation_size, allowed));
        }
    }

    fn add_choices(settings: &FullyConnectedSettings, place: &Place, to: &mut Vec<Layer>) {
        let widest = match place.last {
            Some(Layer::FullyConnected(FullyConnected { units })) => units,
            _ if place.bucket <= settings.max_representation_size => u32::MAX,
            _ => 0,
        };
        if place.fully_connected < settings.max_in_a_row {
            let units = settings.units.iter().filter(|&&units| units <= widest);
            to.extend(units.map(|&units| Layer::from(FullyConnected { units })));
        }
    }

    fn expand(&self, to: &mut Expansion) -> Result<(), Misfit> {
        to.flatten()?;
        let ordinal = to.ordinal("fc");
        let (inputs, bias) = (to.shape().channels(), !to.options().batch_norm);
        to.add(format_args!("fc{ordinal}"), operation::Linear { inputs, outputs: self.units, bias })?;
        to.add_norm_and_relu(format_args!("_fc{ordinal}"))
    }

    fn role(&self) -> Role {
        Role::FullyConnected(self.units)
    }
}
