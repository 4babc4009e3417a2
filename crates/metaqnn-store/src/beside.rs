//! Files beside a study: its name with something behind it.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// The path of the file beside the one at `path` whose name goes on with `suffix`.
pub fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
