//! The table of the networks that were trained fully.

use std::path::Path;

use anyhow::Result;
use metaqnn_core::study::{CandidateRecord, EnsembleRecord, FinalRecord, TrialNumber, wilson_interval};
use metaqnn_store::{StoredTrial, StudyReader};
use serde_json::{Value, json};

use crate::display;

/// The networks, best validation accuracy first, and their ensemble.
pub(crate) struct FinalTable {
    rows: Vec<Row>,
    ensemble: Option<EnsembleRecord>,
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
        Ok(FinalTable { rows, ensemble: reader.ensemble()? })
    }

    /// The trials of the networks, best first.
    pub(crate) fn trials(&self) -> impl Iterator<Item = TrialNumber> {
        self.rows.iter().map(|row| row.measured.trial)
    }

    /// The whole table as one value.
    pub(crate) fn json(&self, study: &Path) -> Value {
        let networks: Vec<Value> = (1..).zip(&self.rows).map(|(rank, row)| row.json(rank)).collect();
        let ensemble = self.ensemble.as_ref().map(|ensemble| {
            let mut value = display::ensemble_json(ensemble);
            value["rank"] = json!("ensemble");
            value["params"] = json!(self.sum(ensemble, |row| row.trial.record.params));
            value["flops"] = json!(self.sum(ensemble, |row| row.trial.record.flops));
            value["epochs"] = json!(self.sum(ensemble, |row| u64::from(row.measured.epochs)));
            value["train_seconds"] = json!(self.members(ensemble).map(Row::seconds).sum::<f64>());
            value
        });
        json!({ "study": study, "networks": networks, "ensemble": ensemble })
    }

    fn members<'a>(&'a self, ensemble: &'a EnsembleRecord) -> impl Iterator<Item = &'a Row> {
        self.rows.iter().filter(|row| ensemble.members.contains(&row.measured.trial))
    }

    fn sum(&self, ensemble: &EnsembleRecord, of: impl Fn(&Row) -> u64) -> u64 {
        self.members(ensemble).map(of).sum()
    }

    /// The table for people: errors in percent.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{:>8} {:>5} {:>8} {:>7} {:>15} {:>9} {:>7} {:>6} {:>8}  architecture\n",
            "rank", "trial", "valid %", "test %", "95 % interval", "params", "MFLOPs", "epochs", "seconds"
        );
        let mut line = |rank: &str, trial: &str, figures: Figures, architecture: &str| {
            let (low, high) = wilson_interval(figures.test_accuracy, figures.test_images);
            let percent = |accuracy: f64| format!("{:.2}", 100.0 * (1.0 - accuracy));
            text += &format!(
                "{rank:>8} {trial:>5} {:>8} {:>7} {:>15} {:>9} {:>7.2} {:>6} {:>8.1}  {architecture}\n",
                figures.valid_accuracy.map_or("–".into(), percent),
                percent(figures.test_accuracy),
                format!("{} to {}", percent(high), percent(low)),
                figures.params,
                figures.flops as f64 / 1e6,
                figures.epochs,
                figures.seconds,
            );
        };
        for (rank, row) in (1..).zip(&self.rows) {
            let record = &row.trial.record;
            let figures = Figures {
                valid_accuracy: row.valid_accuracy(),
                test_accuracy: row.measured.test_accuracy,
                test_images: row.measured.test_images,
                params: record.params,
                flops: record.flops,
                epochs: row.measured.epochs.into(),
                seconds: row.seconds(),
            };
            line(&rank.to_string(), &record.trial.to_string(), figures, &record.architecture.to_string());
        }
        if let Some(ensemble) = &self.ensemble {
            let figures = Figures {
                valid_accuracy: ensemble.valid_accuracy,
                test_accuracy: ensemble.test_accuracy,
                test_images: ensemble.test_images,
                params: self.sum(ensemble, |row| row.trial.record.params),
                flops: self.sum(ensemble, |row| row.trial.record.flops),
                epochs: self.sum(ensemble, |row| u64::from(row.measured.epochs)),
                seconds: self.members(ensemble).map(Row::seconds).sum(),
            };
            line("ensemble", "", figures, &format!("of trials {}", display::members(ensemble)));
        }
        text += &format!(
            "errors of {}, measured once; ranked by validation\n",
            display::count(self.rows.first().map_or(0, |row| row.measured.test_images), "test image")
        );
        text
    }
}

/// What a line of the table says.
struct Figures {
    valid_accuracy: Option<f64>,
    test_accuracy: f64,
    test_images: u64,
    params: u64,
    flops: u64,
    epochs: u64,
    seconds: f64,
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
