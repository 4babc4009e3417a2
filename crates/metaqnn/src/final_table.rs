//! The table of the networks that were trained fully.

use std::path::Path;

use anyhow::Result;
use metaqnn_core::study::{CandidateRecord, FinalRecord, wilson_interval};
use metaqnn_store::{StoredTrial, StudyReader};
use serde_json::{Value, json};

use crate::display;

/// The networks, best validation accuracy first.
pub(crate) struct FinalTable {
    rows: Vec<Row>,
}

struct Row {
    trial: StoredTrial,
    /// The validation after a longer training than the trial's.
    candidate: Option<CandidateRecord>,
    measured: FinalRecord,
}

impl FinalTable {
    /// All networks of a study that were trained fully. Test figures do not rank: those validated after a longer training come
    /// first, then the others by the validation of their trials.
    pub(crate) fn read(reader: &StudyReader) -> Result<Self> {
        let candidates = reader.candidates()?;
        let mut rows = Vec::new();
        for measured in reader.finals()? {
            let Some(trial) = reader.trial(measured.trial)? else { continue };
            let candidate = candidates.iter().find(|candidate| candidate.trial == measured.trial).cloned();
            rows.push(Row { trial, candidate, measured });
        }
        rows.sort_by(|a, b| {
            let by_accuracy = b.validated().1.total_cmp(&a.validated().1);
            b.validated().0.cmp(&a.validated().0).then(by_accuracy).then(a.measured.trial.cmp(&b.measured.trial))
        });
        Ok(FinalTable { rows })
    }

    /// The whole table as one value.
    pub(crate) fn json(&self, study: &Path) -> Value {
        json!({ "study": study, "networks": (1..).zip(&self.rows).map(|(rank, row)| row.json(rank)).collect::<Vec<_>>() })
    }

    /// The table for people: errors in percent.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{:>4} {:>5} {:>8} {:>7} {:>15} {:>9} {:>7} {:>6} {:>8}  architecture\n",
            "rank", "trial", "valid %", "test %", "95 % interval", "params", "MFLOPs", "epochs", "seconds"
        );
        for (rank, row) in (1..).zip(&self.rows) {
            let record = &row.trial.record;
            let (low, high) = row.interval();
            let percent = |error: f64| format!("{:.2}", 100.0 * error);
            text += &format!(
                "{rank:>4} {:>5} {:>8} {:>7} {:>15} {:>9} {:>7.2} {:>6} {:>8.1}  {}\n",
                record.trial,
                row.valid_accuracy().map_or("–".into(), |accuracy| percent(1.0 - accuracy)),
                percent(1.0 - row.measured.test_accuracy),
                format!("{} to {}", percent(1.0 - high), percent(1.0 - low)),
                record.params,
                record.flops as f64 / 1e6,
                row.measured.epochs,
                row.seconds(),
                record.architecture,
            );
        }
        text += &format!(
            "errors of {}, measured once; ranked by validation\n",
            display::count(self.rows.first().map_or(0, |row| row.measured.test_images), "test image")
        );
        text
    }
}

impl Row {
    /// What it ranks by.
    fn validated(&self) -> (bool, f64) {
        match &self.candidate {
            Some(candidate) => (true, candidate.valid_accuracy.unwrap_or(0.0)),
            None => (false, self.valid_accuracy().unwrap_or(0.0)),
        }
    }

    fn valid_accuracy(&self) -> Option<f64> {
        match &self.candidate {
            Some(candidate) => candidate.valid_accuracy,
            None => self.trial.record.evaluation.outcome.valid_accuracy().map(|accuracy| accuracy.value()),
        }
    }

    /// The 95 % confidence interval of the test accuracy.
    fn interval(&self) -> (f64, f64) {
        wilson_interval(self.measured.test_accuracy, self.measured.test_images)
    }

    /// Seconds of both trainings.
    fn seconds(&self) -> f64 {
        self.measured.train_seconds + self.candidate.as_ref().map_or(0.0, |candidate| candidate.train_seconds)
    }

    fn json(&self, rank: usize) -> Value {
        let record = &self.trial.record;
        let (low, high) = self.interval();
        json!({
            "rank": rank,
            "trial": record.trial,
            "architecture": record.architecture,
            "valid_accuracy": self.valid_accuracy(),
            "test_accuracy": self.measured.test_accuracy,
            "test_interval": [low, high],
            "test_images": self.measured.test_images,
            "params": record.params,
            "flops": record.flops,
            "candidate_epochs": self.candidate.as_ref().map(|candidate| candidate.epochs),
            "epochs": self.measured.epochs,
            "train_seconds": self.seconds(),
        })
    }
}
