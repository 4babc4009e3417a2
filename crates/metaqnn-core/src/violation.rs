//! What is wrong with a setting.

use std::fmt;

/// A setting out of its range. Checks collect all of them, so that one look mends everything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// Path of the setting, for example `space.max_layers`.
    pub path: String,
    /// What stands there.
    pub found: String,
    /// What may stand there.
    pub allowed: String,
}

impl Violation {
    /// A violation at `path`.
    pub fn new(path: impl Into<String>, found: impl fmt::Display, allowed: impl Into<String>) -> Self {
        Violation { path: path.into(), found: found.to_string(), allowed: allowed.into() }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {}: must be {}", self.path, self.found, self.allowed)
    }
}
