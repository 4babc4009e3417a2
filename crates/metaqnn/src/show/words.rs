//! Names, numbers and times in words.

use std::path::Path;

use metaqnn_core::graph::MapShape;

use super::escape;

/// A name that somebody else chose, as it is shown: see [`escape::clean`].
pub(crate) fn name(name: &str) -> String {
    escape::clean(name).into_owned()
}

/// A path, as it is shown.
pub(crate) fn path(path: &Path) -> String {
    name(&lossy(path))
}

/// A path as text for JSON, which knows nothing but Unicode.
pub(crate) fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The first few of `names`, and how many more there are.
pub(crate) fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let first = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{first} and {} more", names.len() - SHOWN) } else { first }
}

/// The size of images.
pub(crate) fn size(shape: MapShape) -> String {
    format!("{}x{}", shape.height, shape.width)
}

/// `1 thing`, `2 things`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// A time as `--budget` takes it.
pub(crate) fn budget(seconds: f64) -> String {
    match seconds.round() as u64 {
        whole if whole >= 36_000 => format!("{}h", whole.div_ceil(3600)),
        whole if whole >= 120 => format!("{}m", whole.div_ceil(60)),
        whole => format!("{whole}s"),
    }
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}

/// An error and its causes, without those that are part of what was said before.
pub(crate) fn in_words(error: &anyhow::Error) -> String {
    error.chain().map(ToString::to_string).fold(String::new(), |said, cause| match said.as_str() {
        "" => cause,
        earlier if earlier.contains(&cause) => said,
        earlier => format!("{earlier}: {cause}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_said_in_words() {
        assert_eq!([59.4, 60.0, 3_661.0].map(duration), ["59 s", "1 min 00 s", "1 h 01 min"]);
    }
}
