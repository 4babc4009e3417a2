//! What is found wrong with data, and what is only worth knowing.

use std::path::Path;

use super::Problem;

/// Everything found so far: reading goes on after a problem, so that all are told at once.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    pub(super) warnings: Vec<String>,
}

impl Findings {
    /// Something for which the data cannot be used.
    pub(super) fn problem(&mut self, path: &Path, reason: impl Into<String>) {
        // One line each, whatever a library or a file's name has put into it.
        let reason = reason.into().replace(['\n', '\r'], " ");
        self.problems.push(Problem { path: path.to_owned(), reason });
    }

    /// Something to know before training on the data.
    pub(super) fn warning(&mut self, text: impl Into<String>) {
        self.warnings.push(text.into());
    }
}
