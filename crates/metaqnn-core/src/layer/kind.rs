//! What a kind of layer says of itself.

use std::fmt;

use super::{Expansion, Layer};
use crate::operation::Misfit;
use crate::violation::Violation;

/// The largest number a layer may hold: far above any useful network, and small enough that no product overflows.
pub(crate) const LARGEST_NUMBER: u32 = 1 << 20;

/// What a kind of layer says of itself. Nothing has a default: a kind that leaves something out does not compile.
///
/// The layer itself is a key of the Q-table: its order and its hash are derived, field by field.
pub(crate) trait Kind: Copy + fmt::Display {
    /// What its numbers are, for whoever wrote others: `C takes three numbers: filters, receptive field, stride`.
    const TAKES_NUMBERS: &'static str;
    /// What it can follow.
    const TAKES: Takes;
    /// What it makes of that.
    const GIVES: Gives;
    /// When dropout comes after it.
    const DROPOUT: DropoutAfter;
    /// The settings of a space that say which layers of this kind there are.
    type Settings;

    /// The layer of these numbers, where there are as many as it takes.
    fn read(numbers: &[u32]) -> Option<Written<Self>>;

    /// The layer as it is written in an architecture for so many classes.
    fn write(&self, f: &mut dyn fmt::Write, classes: u32) -> fmt::Result;

    /// The rule that its numbers break, if one.
    fn check(&self) -> Result<(), String>;

    /// Adds what is wrong with the settings.
    fn check_settings(settings: &Self::Settings, sizes: &Sizes<'_>, found: &mut Vec<Violation>);

    /// Adds the layers of this kind that a space with these settings has in a state, in the order of the settings.
    fn add_choices(settings: &Self::Settings, place: &Place, to: &mut Vec<Layer>);

    /// Adds its operations, dropout left out.
    fn expand(&self, to: &mut Expansion) -> Result<(), Misfit>;

    /// What a model of the reward takes it for.
    fn role(&self) -> Role;
}

/// What a layer can follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Takes {
    /// Feature maps alone.
    Maps,
    /// Feature maps, which it makes a vector of, and vectors.
    Anything,
}

/// What comes out of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gives {
    /// Feature maps.
    Maps,
    /// A vector.
    Vector,
    /// One number for each class: nothing but the softmax can follow.
    Logits,
}

/// When dropout comes after a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DropoutAfter {
    /// After every second layer that says this, whatever its kind, counted from the input.
    EverySecond,
    /// After each.
    Each,
    /// After none.
    None,
}

/// What a model of the reward takes a layer for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It convolves.
    Convolution,
    /// It shrinks maps.
    Pool,
    /// It connects everything with so many units.
    FullyConnected(u32),
    /// It ends in one number for each class.
    GlobalAverage,
}

/// A layer as it was read.
pub(crate) struct Written<L> {
    pub(crate) layer: L,
    /// The number of classes that it was written for, where the notation has it.
    pub(crate) classes: Option<u32>,
}

impl<L> Written<L> {
    /// A layer whose notation does not have the number of classes.
    pub(super) fn of(layer: L) -> Self {
        Written { layer, classes: None }
    }
}

/// Where a layer is to stand: what decides which are legal there.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    /// The layer before; `None` after the input.
    pub(crate) last: Option<Layer>,
    /// Bucket of the representation size.
    pub(crate) bucket: u32,
    /// Fully connected layers before.
    pub(crate) fully_connected: u32,
}

/// The representation sizes of a space.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sizes<'a> {
    pub(crate) all: &'a [u32],
    /// The largest, where they are sound; what is compared with broken ones would only repeat what is wrong with them.
    pub(crate) largest: Option<u32>,
}

/// Whether all numbers of a layer are in range.
pub(super) fn check_numbers(numbers: &[u32]) -> Result<(), String> {
    match numbers.iter().all(|n| (1..=LARGEST_NUMBER).contains(n)) {
        true => Ok(()),
        false => Err(format!("every number must be in 1..={LARGEST_NUMBER}")),
    }
}
