//! What a model of the reward sees of a trajectory.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt::Display;

/// A number with its name.
pub type Feature = (Cow<'static, str>, f64);

/// Features of any sequence of actions: which action stands where, how often each occurs and how often each follows each.
pub fn sequence_features<A: Display>(actions: &[A]) -> Vec<Feature> {
    let names: Vec<String> = actions.iter().map(ToString::to_string).collect();
    let mut counts: BTreeMap<String, f64> = BTreeMap::new();
    for (position, name) in names.iter().enumerate() {
        *counts.entry(format!("{position}:{name}")).or_insert(0.0) += 1.0;
        *counts.entry(format!("#{name}")).or_insert(0.0) += 1.0;
    }
    for pair in names.windows(2) {
        *counts.entry(format!("{}>{}", pair[0], pair[1])).or_insert(0.0) += 1.0;
    }
    counts.into_iter().map(|(name, count)| (Cow::Owned(name), count)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sequence_is_told_by_places_counts_and_pairs() {
        let features = sequence_features(&['a', 'b', 'a', 'b']);
        let value = |name: &str| features.iter().find(|(known, _)| known == name).map(|(_, value)| *value);
        assert_eq!((value("0:a"), value("1:b"), value("1:a")), (Some(1.0), Some(1.0), None));
        assert_eq!((value("#a"), value("a>b"), value("b>a")), (Some(2.0), Some(2.0), Some(1.0)));
    }
}
