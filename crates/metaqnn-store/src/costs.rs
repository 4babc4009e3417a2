//! What a study's trainings cost, and how much of it went to those that failed or were stopped.

use crate::error::StoreError;
use crate::study_reader::StudyReader;

/// What some trials cost.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Cost {
    /// Trials.
    pub trials: u64,
    /// Trainings that were begun: one a try.
    pub trainings: u64,
    /// Epochs over all tries, whole and begun.
    pub epochs: u64,
    /// Seconds of training.
    pub seconds: f64,
}

/// What the trials of a study cost. Final trainings and their candidates are not counted, nor is what a worker that died had trained.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Costs {
    /// Trials that were trained, whatever came of them.
    pub all: Cost,
    /// Of them those that failed.
    pub failed: Cost,
    /// Of them those that were stopped early.
    pub pruned: Cost,
}

impl Costs {
    /// Share of all seconds, in [0, 1].
    pub fn share(&self, of: &Cost) -> f64 {
        if self.all.seconds > 0.0 { of.seconds / self.all.seconds } else { 0.0 }
    }
}

impl StudyReader {
    /// What the finished trials cost.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn costs(&self) -> Result<Costs, StoreError> {
        Ok(Costs {
            all: self.cost("tries > 0")?,
            failed: self.cost("state = 'failed' AND tries > 0")?,
            pruned: self.cost("state = 'pruned'")?,
        })
    }

    fn cost(&self, condition: &str) -> Result<Cost, StoreError> {
        // `total` is real and does not overflow; what it counts is far below 2^53.
        let sql = format!(
            "SELECT count(*) AS trials, CAST(total(tries) AS INTEGER) AS trainings, CAST(total(epochs) AS INTEGER) AS epochs,
                    total(train_seconds) AS seconds
             FROM trial WHERE {condition}"
        );
        let cost = self.first(&sql, [], |row| {
            Ok(Cost {
                trials: row.whole("trials")?,
                trainings: row.whole("trainings")?,
                epochs: row.whole("epochs")?,
                seconds: row.get("seconds")?,
            })
        })?;
        Ok(cost.unwrap_or_default())
    }
}
