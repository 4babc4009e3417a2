//! What is found wrong with data, and what is only worth knowing.

use std::path::Path;

use super::Problem;
use super::pixel_values::PixelSummary;
use crate::error::printable;

/// Problems that are kept; the others are counted.
const MOST_PROBLEMS: usize = 1_000;

/// Where files and rows that cannot be read are left out, at most one in so many may be.
const FEWEST_PER_SKIPPED: usize = 10;

/// Everything found so far: reading goes on after a problem, so that all are told at once.
#[derive(Debug, Default)]
pub(super) struct Findings {
    pub(super) problems: Vec<Problem>,
    /// Problems beyond those that are kept.
    uncounted: usize,
    /// What should be known before something is trained on the data.
    pub(super) warnings: Vec<String>,
    /// What was decided about the data.
    pub(super) notes: Vec<String>,
    /// In what numbers the pixels are stored.
    pub(super) pixels: Option<PixelSummary>,
    /// Files and rows that were left out.
    pub(super) skipped: Vec<Problem>,
    skip_bad: bool,
}

impl Findings {
    /// Findings of a reading that leaves out what cannot be read.
    pub(super) fn skipping() -> Self {
        Self { skip_bad: true, ..Self::default() }
    }

    /// Something for which the data cannot be used.
    pub(super) fn problem(&mut self, path: &Path, reason: impl Into<String>) {
        if self.problems.len() < MOST_PROBLEMS {
            self.problems.push(problem(path, reason));
        } else {
            self.uncounted += 1;
        }
    }

    /// A file or a row that cannot be read: a problem, unless such ones are left out.
    pub(super) fn bad(&mut self, path: &Path, reason: impl Into<String>) {
        if self.skip_bad {
            self.skipped.push(problem(path, reason));
        } else {
            self.problem(path, reason);
        }
    }

    /// Something to know before training on the data.
    pub(super) fn warning(&mut self, text: impl Into<String>) {
        self.warnings.push(printable(&text.into()));
    }

    /// Something that was decided.
    pub(super) fn note(&mut self, text: impl Into<String>) {
        let text = printable(&text.into());
        if !self.notes.contains(&text) {
            self.notes.push(text);
        }
    }

    /// Whether there is no problem so far.
    pub(super) fn is_sound(&self) -> bool {
        self.problems.is_empty()
    }

    /// How many problems there are.
    pub(super) fn problem_count(&self) -> usize {
        self.problems.len() + self.uncounted
    }

    /// Tells what was left out, or that it is too much beside the `images` that were read.
    pub(super) fn judge_skipped(&mut self, path: &Path, images: usize) {
        let skipped = self.skipped.len();
        if skipped == 0 {
            return;
        }
        let all = images + skipped;
        if skipped * FEWEST_PER_SKIPPED > all {
            let reason = format!(
                "{skipped} of {all} files or rows cannot be read, more than a tenth: too many to go on without them"
            );
            self.problem(path, reason);
            for problem in std::mem::take(&mut self.skipped) {
                self.problem(&problem.path, problem.reason);
            }
            return;
        }
        let verb = if skipped == 1 { "it cannot" } else { "they cannot" };
        let first: Vec<String> = self.skipped.iter().map(ToString::to_string).collect();
        self.warnings.push(format!(
            "{skipped} of {all} files or rows left out, since {verb} be read: {}",
            super::first_few(&first)
        ));
    }
}

fn problem(path: &Path, reason: impl Into<String>) -> Problem {
    // One line each, whatever a library or a file's name has put into it.
    let reason = reason.into().replace(['\n', '\r'], " ");
    Problem { path: path.to_owned(), reason }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_problems_are_counted_and_few_kept() {
        let mut findings = Findings::default();
        (0..300_000).for_each(|i| findings.bad(Path::new("a"), format!("{i}")));
        assert_eq!((findings.problems.len(), findings.problem_count()), (MOST_PROBLEMS, 300_000));
    }

    #[test]
    fn up_to_a_tenth_may_be_left_out() {
        let left_out = |bad: usize, images: usize| {
            let mut findings = Findings::skipping();
            (0..bad).for_each(|i| findings.bad(Path::new("a"), format!("{i}")));
            findings.judge_skipped(Path::new("all"), images);
            findings
        };
        let few = left_out(2, 18);
        assert!(few.is_sound());
        assert_eq!(few.warnings, ["2 of 20 files or rows left out, since they cannot be read: a: 0, a: 1"]);
        let many = left_out(2, 17);
        assert_eq!(many.problem_count(), 3);
        assert_eq!(
            many.problems[0].to_string(),
            "all: 2 of 19 files or rows cannot be read, more than a tenth: too many to go on without them"
        );
    }
}
