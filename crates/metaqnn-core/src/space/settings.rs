//! The search space as data, and the check of it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::layer::{
    ConvolutionSettings, FullyConnectedSettings, Gives, Kind, Layer, LayerKind, List, Place, Sizes, Takes, check_list,
    layer_kinds,
};
use crate::violation::Violation;

/// Writes out what each kind of layer has in the settings of a space.
macro_rules! define_space_settings {
    ($($(#[$doc:meta])* $name:ident $notation:literal in $file:ident
        [$($(#[$attribute:meta])* $field:ident: $settings:ty)?];)*) => {
        /// What a search space is made of. Table `[space]` of the settings.
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[serde(deny_unknown_fields)]
        pub struct SpaceSettings {
            /// Most layers of an architecture, SM not counted.
            pub max_layers: u32,
            /// Least sides n of the buckets that states hold instead of n itself, ascending from 1: `[1, 4, 8]` tells n ≤ 3 from
            /// 4 ≤ n ≤ 7 from n ≥ 8. A convolution or pooling layer is legal where its window is smaller than the bucket.
            pub representation_sizes: Vec<u32>,
            $($($(#[$attribute])* pub $field: $settings,)?)*
            /// Which layer may follow which.
            pub follows: FollowSettings,
        }

        impl SpaceSettings {
            /// Adds what is wrong with the settings of a kind.
            fn check_kind(&self, kind: LayerKind, sizes: &Sizes<'_>, found: &mut Vec<Violation>) {
                match kind {
                    $(LayerKind::$name => {
                        <crate::layer::$name as Kind>::check_settings(settings_of!(self $($field)?), sizes, found);
                    })*
                    LayerKind::Start | LayerKind::Softmax => {}
                }
            }

            /// Adds the layers of a kind that are legal at a place.
            pub(super) fn add_choices(&self, kind: LayerKind, place: &Place, to: &mut Vec<Layer>) {
                match kind {
                    $(LayerKind::$name => {
                        <crate::layer::$name as Kind>::add_choices(settings_of!(self $($field)?), place, to);
                    })*
                    LayerKind::Start | LayerKind::Softmax => {}
                }
            }
        }
    };
}

/// The settings of a kind of layer, where it has any.
macro_rules! settings_of {
    ($space:ident $field:ident) => {
        &$space.$field
    };
    ($space:ident) => {
        &()
    };
}

layer_kinds!(define_space_settings);

/// Which kinds of layer may follow the input (`start`) and each kind. After GAP only SM does.
///
/// At the limit on layers SM may follow everything, whatever stands here.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FollowSettings {
    lists: BTreeMap<LayerKind, Vec<LayerKind>>,
}

impl FollowSettings {
    /// What may follow `kind`.
    pub fn after(&self, kind: LayerKind) -> &[LayerKind] {
        match (kind, kind.gives()) {
            (LayerKind::Softmax, _) => &[],
            (_, Gives::Logits) => &[LayerKind::Softmax],
            (_, Gives::Maps | Gives::Vector) => self.lists.get(&kind).map_or(&[], Vec::as_slice),
        }
    }

    /// What may follow `kind`, to be changed.
    pub fn after_mut(&mut self, kind: LayerKind) -> &mut Vec<LayerKind> {
        self.lists.entry(kind).or_default()
    }

    fn allows(&self, kind: LayerKind) -> bool {
        self.lists.values().any(|list| list.contains(&kind))
    }
}

impl SpaceSettings {
    /// Everything that is wrong with these settings, whatever the input. That every state has a legal action depends on
    /// the input and is checked by [`SearchSpace::new`](super::SearchSpace::new).
    pub fn violations(&self) -> Vec<Violation> {
        let mut found = Vec::new();
        if !(1..=64).contains(&self.max_layers) {
            found.push(Violation::new("space.max_layers", self.max_layers, "in 1..=64"));
        }
        let sizes = &self.representation_sizes;
        let sizes_are_sound = sizes.first() == Some(&1) && sizes.windows(2).all(|pair| pair[0] < pair[1]);
        if !sizes_are_sound {
            found.push(Violation::new("space.representation_sizes", List(sizes), "ascending, the first 1"));
        }
        let largest = sizes.last().copied().filter(|_| sizes_are_sound);
        for &kind in LayerKind::LAYERS.iter().filter(|&&kind| self.follows.allows(kind)) {
            self.check_kind(kind, &Sizes { all: sizes, largest }, &mut found);
        }
        self.check_follows(&mut found);
        found
    }

    fn check_follows(&self, found: &mut Vec<Violation>) {
        let open = |kind: &LayerKind| kind.gives() != Gives::Logits;
        for kind in std::iter::once(LayerKind::Start).chain(LayerKind::LAYERS.iter().copied().filter(open)) {
            let path = format!("space.follows.{kind}");
            let list = self.follows.after(kind);
            if kind == LayerKind::Start || self.follows.allows(kind) {
                check_list(&path, list, found);
            }
            if list.contains(&LayerKind::Start) {
                found.push(Violation::new(&path, List(list), "without start, which nothing can precede"));
            }
            if kind.gives() == Gives::Vector && list.iter().any(|k| k.takes() == Takes::Maps) {
                let allowed = format!("of {} and SM alone: the feature map is flattened", LayerKind::of_vectors());
                found.push(Violation::new(&path, List(list), allowed));
            }
        }
        for (kind, list) in self.follows.lists.iter().filter(|(kind, _)| !open(kind)) {
            let allowed = "left out: nothing but SM follows what ends in the classes";
            found.push(Violation::new(format!("space.follows.{kind}"), List(list), allowed));
        }
        let ends = |kind: &LayerKind| kind.gives() == Gives::Logits && self.follows.allows(*kind);
        if !self.follows.allows(LayerKind::Softmax) && !LayerKind::LAYERS.iter().any(ends) {
            let allowed =
                "such that SM or GAP is in one of the lists: without it only architectures of full depth would end";
            found.push(Violation::new("space.follows", "no ending", allowed));
        }
    }
}
