//! What can go wrong with data, as values.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::resize::ImageSize;
use crate::source::DataSource;

/// One thing for which own data cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Problem {
    /// The file or folder.
    pub path: PathBuf,
    /// What is wrong with it, and where in it.
    pub reason: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", printable(&self.path.to_string_lossy()), printable(&self.reason))
    }
}

/// A text from outside as it can be shown: what moves the cursor, colours or turns text round is spelled out.
pub(crate) fn printable(text: &str) -> String {
    let turns_round =
        |letter: char| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let mut shown = String::with_capacity(text.len());
    for letter in text.chars() {
        if letter.is_control() || turns_round(letter) {
            shown.extend(letter.escape_default());
        } else {
            shown.push(letter);
        }
    }
    shown
}

/// Most problems that a message names.
const PROBLEMS_NAMED: usize = 20;

/// A single problem in a line, several in a list.
fn list_problems(path: &Path, problems: &[Problem], count: usize) -> String {
    if let ([problem], 1) = (problems, count) {
        return problem.to_string();
    }
    let path = printable(&path.to_string_lossy());
    let mut text = format!("{path} cannot be used: {count} problems");
    for problem in problems.iter().take(PROBLEMS_NAMED) {
        text += &format!("\n  {problem}");
    }
    if count > PROBLEMS_NAMED {
        let more = count - PROBLEMS_NAMED;
        let all = if count == problems.len() { "all".to_owned() } else { format!("the first {}", problems.len()) };
        text += &format!("\n  and {more} more (`metaqnn data check {path} --json` names {all})");
    }
    text
}

/// Why a data set could not be found, read, split or fetched.
///
/// Every message names the file or folder concerned, what was expected and what was found there, and where
/// something can be done about it, what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The DATA argument is neither the name of a known data set nor the path of own data.
    #[error(
        "unknown data set {given:?}{hint}: there is no file or folder of this name, and the known data sets are {known}",
        hint = suggestion.map(|name| format!(" (did you mean {:?}?)", name.name())).unwrap_or_default(),
        known = DataSource::names()
    )]
    UnknownDataSet {
        /// What was asked for.
        given: String,
        /// The known data set whose name is nearest, if one is near.
        suggestion: Option<DataSource>,
    },

    /// This platform has no folder for the data of programs and none was named.
    #[error("no data folder: the home folder is unknown; name one with --data-dir or in $METAQNN_DATA")]
    NoDataFolder,

    /// Files of a data set are not where they should be.
    #[error(
        "{name}: not found in {folder}: {missing}. Get the data set with `metaqnn data fetch {name}`, \
         or name the folder that holds its folder `{name}` with --data-dir",
        name = data.name(), folder = folder.display(), missing = missing.join(", ")
    )]
    MissingFiles {
        /// The data set.
        data: DataSource,
        /// The folder looked in.
        folder: PathBuf,
        /// The names of the files that are missing.
        missing: Vec<String>,
    },

    /// Own data cannot be used.
    #[error("{}", list_problems(path, problems, *problem_count))]
    Unusable {
        /// The DATA argument.
        path: PathBuf,
        /// Everything that is wrong with it; of very much the first.
        problems: Vec<Problem>,
        /// How many problems there are.
        problem_count: usize,
    },

    /// The operating system refused to read or write a file.
    #[error("cannot {action} {}: {error}{}", path.display(), io_hint(error))]
    Io {
        /// What was tried, as a verb: read, write, …
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The operating system's answer.
        error: io::Error,
    },

    /// A file's contents are not what its format demands.
    #[error("{}: at byte {offset}{}: expected {expected}, found {found}", path.display(),
            if *uncompressed { " of the uncompressed contents" } else { "" })]
    Format {
        /// The file.
        path: PathBuf,
        /// Where in the file, in bytes from its start.
        offset: u64,
        /// Whether `offset` counts uncompressed bytes of a compressed file.
        uncompressed: bool,
        /// What the format demands there.
        expected: String,
        /// What is there.
        found: String,
    },

    /// Two files that belong together do not fit each other.
    #[error("{} holds {images} images but {} holds {labels} labels", images_path.display(), labels_path.display())]
    CountMismatch {
        /// The file of images.
        images_path: PathBuf,
        /// How many it holds.
        images: usize,
        /// The file of labels.
        labels_path: PathBuf,
        /// How many it holds.
        labels: usize,
    },

    /// The training part is too small for the validation images asked for.
    #[error("{wanted} validation images asked for, but the training part has {available} images: take fewer")]
    Split {
        /// Validation images asked for.
        wanted: usize,
        /// Images there are to take them from; one at least must stay for training.
        available: usize,
    },

    /// A size to which images cannot be resized.
    #[error("image size {given:?}: {reason}")]
    ImageSize {
        /// What was asked for.
        given: String,
        /// What is wrong with it.
        reason: String,
    },

    /// Images could not be resized.
    #[error("the images could not be resized to {size}: {reason}")]
    Resize {
        /// The size.
        size: ImageSize,
        /// What the library said.
        reason: String,
    },

    /// A download failed for good.
    #[error("cannot download {url}: {reason}{}", if *resumable { "; what has arrived is kept, run the command again to go on" } else { "" })]
    Download {
        /// The address.
        url: String,
        /// Why.
        reason: String,
        /// Whether a partial file was kept from which the next attempt goes on.
        resumable: bool,
    },

    /// A downloaded file is not the one that was published.
    #[error(
        "{url}: expected md5 {expected}, found {found}; the file was removed (changed at its home, or damaged on the way)"
    )]
    Checksum {
        /// The address.
        url: String,
        /// The published md5.
        expected: String,
        /// The md5 of what arrived.
        found: String,
    },
}

impl DataError {
    /// For `map_err` on input and output: what was tried, on which path.
    pub(crate) fn io(action: &'static str, path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { action, path, error }
    }
}

fn io_hint(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => " (the disk is full: make room and run it again)",
        io::ErrorKind::PermissionDenied => " (check the permissions, or take another folder with --data-dir)",
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_do_not_reach_the_terminal_as_commands() {
        assert_eq!(printable("\u{1b}[31mred\u{7}\r\n"), r"\u{1b}[31mred\u{7}\r\n");
        assert_eq!(printable("a\u{202e}gnp.exe"), r"a\u{202e}gnp.exe");
        assert_eq!(printable("日本 语 überraschung ☕"), "日本 语 überraschung ☕");
        let problem = Problem { path: "a\u{1b}b.png".into(), reason: "\u{9b}2J".to_owned() };
        assert_eq!(problem.to_string(), r"a\u{1b}b.png: \u{9b}2J");
    }
}
