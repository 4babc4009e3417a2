//! A trial as it is read back.

use super::confidence::wilson_interval;
use super::record::TrialRecord;

/// A finished trial with what its event says and what was measured later.
#[derive(Clone, Debug, PartialEq)]
pub struct StoredTrial {
    /// Number of the event by which the agent learned of it.
    pub event: u64,
    /// ε at which it was sampled.
    pub epsilon: f64,
    /// Hash of the Q-table after the event.
    pub q_table_hash: String,
    /// Seconds that the study had run when it was stored, over all its runs.
    pub run_seconds: f64,
    /// The trial; curve and transitions are empty where only a [`Detail::Summary`] was asked for.
    pub record: TrialRecord,
    /// Accuracy on the test data, in [0, 1], once it was measured by a final training.
    pub test_accuracy: Option<f64>,
    /// The mean of the accuracy over the classes, where it was measured too.
    pub test_balanced_accuracy: Option<f64>,
    /// Number of test images on which that was.
    pub test_images: Option<u64>,
}

impl StoredTrial {
    /// The 95 % confidence interval of the test accuracy (Wilson's), where that was measured.
    pub fn test_interval(&self) -> Option<(f64, f64)> {
        Some(wilson_interval(self.test_accuracy?, self.test_images?))
    }
}

/// How much of a trial to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Without learning curve and transitions.
    Summary,
    /// Everything.
    Full,
}
