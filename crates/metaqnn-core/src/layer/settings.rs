//! Checks that the settings of several kinds share.

use std::collections::HashSet;
use std::fmt;
use std::hash::Hash;

use super::kind::{Place, Sizes};
use crate::violation::Violation;

/// Adds what is wrong with the windows of pooling layers at `path`, `[window, stride]` each.
pub(super) fn check_windows(path: &str, windows: &[[u32; 2]], sizes: &Sizes<'_>, found: &mut Vec<Violation>) {
    check_list(path, &windows.iter().map(|p| (p[0], p[1])).collect::<Vec<_>>(), found);
    for &[kernel_size, stride] in windows {
        let text = format!("[{kernel_size}, {stride}]");
        if kernel_size < 1 || stride < 1 || sizes.largest.is_some_and(|largest| kernel_size >= largest) {
            let range = sizes.largest.map_or("of at least 1".into(), |largest| {
                format!("in 1..{largest}, below the largest representation size,")
            });
            let allowed = format!("a window {range} and a stride of at least 1");
            found.push(Violation::new(path, text, allowed));
        } else if kernel_size == 1 && stride == 1 {
            found.push(Violation::new(path, text, "a layer that does something: [1, 1] passes its input on"));
        }
    }
}

/// The windows that fit.
pub(super) fn fitting_windows(windows: &[[u32; 2]], place: &Place) -> impl Iterator<Item = [u32; 2]> {
    let bucket = place.bucket;
    windows.iter().copied().filter(move |window| window[0] < bucket)
}

/// Lists must be there and hold nothing twice.
pub(crate) fn check_list<T: Eq + Hash + fmt::Debug>(path: &str, list: &[T], found: &mut Vec<Violation>) {
    if list.is_empty() {
        found.push(Violation::new(path, "[]", "a list of at least one"));
    }
    let mut seen = HashSet::new();
    if let Some(twice) = list.iter().find(|item| !seen.insert(*item)) {
        found.push(Violation::new(path, format!("{twice:?} twice"), "a list without repetitions"));
    }
}

/// A list as it stands in settings.
pub(crate) struct List<'a, T>(pub(crate) &'a [T]);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let items: Vec<String> = self.0.iter().map(T::to_string).collect();
        write!(f, "[{}]", items.join(", "))
    }
}
