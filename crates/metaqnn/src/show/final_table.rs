//! The table of the networks that were trained fully.

use std::path::Path;

use anyhow::Result;
use metaqnn_core::study::{CandidateRecord, EnsembleRecord, FinalRecord, TrialNumber, wilson_interval};
use metaqnn_store::{StoredTrial, StudyReader};
use serde_json::{Value, json};

use super::{trial, words};

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
            let figures = self.together(ensemble);
            let mut value = trial::ensemble_json(ensemble);
            value["rank"] = json!("ensemble");
            value["params"] = json!(figures.params);
            value["flops"] = json!(figures.flops);
            value["epochs"] = json!(figures.epochs);
            value["train_seconds"] = json!(figures.seconds);
            value
        });
        json!({ "study": words::lossy(study), "networks": networks, "ensemble": ensemble })
    }

    /// The figures of an ensemble: what its members cost is added up.
    fn together(&self, ensemble: &EnsembleRecord) -> Figures {
        let mut figures = Figures {
            valid_accuracy: ensemble.valid_accuracy,
            test_accuracy: ensemble.test_accuracy,
            test_balanced_accuracy: ensemble.test_balanced_accuracy,
            test_images: ensemble.test_images,
            params: 0,
            flops: 0,
            epochs: 0,
            seconds: 0.0,
        };
        for row in self.rows.iter().filter(|row| ensemble.members.contains(&row.measured.trial)) {
            let member = row.figures();
            figures.params += member.params;
            figures.flops += member.flops;
            figures.epochs += member.epochs;
            figures.seconds += member.seconds;
        }
        figures
    }

    /// The table for people: accuracies in percent.
    pub(crate) fn text(&self) -> String {
        let mut text = format!(
            "{:>8} {:>5} {:>8} {:>7} {:>15} {:>10} {:>9} {:>7} {:>6} {:>8}  architecture\n",
            "rank",
            "trial",
            "valid %",
            "test %",
            "95 % interval",
            "balanced %",
            "params",
            "MFLOPs",
            "epochs",
            "seconds"
        );
        for (rank, row) in (1..).zip(&self.rows) {
            let record = &row.trial.record;
            text += &row.figures().line(&rank.to_string(), &record.trial.to_string(), &record.architecture.to_string());
        }
        if let Some(ensemble) = &self.ensemble {
            let members = format!("of trials {}", trial::members(ensemble));
            text += &self.together(ensemble).line("ensemble", "", &members);
        }
        text += &format!(
            "accuracies; test: on {}, measured once; balanced: each class counts the same; ranked by validation\n",
            words::count(self.rows.first().map_or(0, |row| row.measured.test_images), "test image")
        );
        text
    }
}

/// What a line of the table says.
struct Figures {
    valid_accuracy: Option<f64>,
    test_accuracy: f64,
    test_balanced_accuracy: Option<f64>,
    test_images: u64,
    params: u64,
    flops: u64,
    epochs: u64,
    seconds: f64,
}

impl Figures {
    /// The 95 % confidence interval of the test accuracy.
    fn interval(&self) -> (f64, f64) {
        wilson_interval(self.test_accuracy, self.test_images)
    }

    fn line(&self, rank: &str, trial: &str, architecture: &str) -> String {
        let (low, high) = self.interval();
        let percent = |accuracy: f64| format!("{:.2}", 100.0 * accuracy);
        format!(
            "{rank:>8} {trial:>5} {:>8} {:>7} {:>15} {:>10} {:>9} {:>7.2} {:>6} {:>8.1}  {architecture}\n",
            self.valid_accuracy.map_or("–".into(), percent),
            percent(self.test_accuracy),
            format!("{} to {}", percent(low), percent(high)),
            self.test_balanced_accuracy.map_or("–".into(), percent),
            self.params,
            self.flops as f64 / 1e6,
            self.epochs,
            self.seconds,
        )
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

    /// What its line says; the seconds are those of both trainings.
    fn figures(&self) -> Figures {
        Figures {
            valid_accuracy: self.valid_accuracy(),
            test_accuracy: self.measured.test_accuracy,
            test_balanced_accuracy: self.measured.test_balanced_accuracy,
            test_images: self.measured.test_images,
            params: self.trial.record.params,
            flops: self.trial.record.flops,
            epochs: self.measured.epochs.into(),
            seconds: self.measured.train_seconds
                + self.candidate.as_ref().map_or(0.0, |candidate| candidate.train_seconds),
        }
    }

    fn json(&self, rank: usize) -> Value {
        let (record, figures) = (&self.trial.record, self.figures());
        let (low, high) = figures.interval();
        json!({
            "rank": rank,
            "trial": record.trial,
            "architecture": record.architecture,
            "valid_accuracy": figures.valid_accuracy,
            "test_accuracy": figures.test_accuracy,
            "test_interval": [low, high],
            "test_balanced_accuracy": figures.test_balanced_accuracy,
            "test_images": figures.test_images,
            "params": figures.params,
            "flops": figures.flops,
            "candidate_epochs": self.candidate.as_ref().map(|candidate| candidate.epochs),
            "epochs": figures.epochs,
            "train_seconds": figures.seconds,
        })
    }
}
