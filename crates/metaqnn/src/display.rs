//! How results look: tables for people, JSON for programs.

use metaqnn_core::study::{Outcome, TrialRecord};
use metaqnn_store::StoredTrial;
use serde_json::{Value, json};

/// The JSON object of a trial.
pub(crate) fn trial_json(trial: &StoredTrial) -> Value {
    let record = &trial.record;
    json!({
        "trial": record.trial,
        "architecture": record.architecture,
        "epsilon": trial.epsilon,
        "state": record.evaluation.outcome.state(),
        "valid_accuracy": record.evaluation.outcome.valid_accuracy(),
        "test_accuracy": trial.test_accuracy,
        "params": record.params,
        "flops": record.flops,
        "epochs": record.evaluation.epochs,
        "train_seconds": record.evaluation.train_seconds,
        "failure": failure(record),
    })
}

/// Why a trial failed or was stopped, in words.
pub(crate) fn failure(record: &TrialRecord) -> Option<String> {
    match &record.evaluation.outcome {
        Outcome::Complete { .. } => None,
        Outcome::Pruned { reason, .. } => Some(reason.clone()),
        Outcome::Failed { failure } => Some(failure.to_string()),
    }
}

/// The table of trials, best first.
pub(crate) fn table(trials: &[StoredTrial]) -> String {
    let mut text = format!(
        "{:>4} {:>6} {:>8} {:>8} {:>10} {:>9} {:>7}  architecture\n",
        "rank", "trial", "valid %", "test %", "params", "MFLOPs", "seconds"
    );
    for (rank, trial) in trials.iter().enumerate() {
        let record = &trial.record;
        let percent = |accuracy: Option<f64>| accuracy.map_or("–".into(), |a| format!("{:.2}", 100.0 * a));
        text += &format!(
            "{:>4} {:>6} {:>8} {:>8} {:>10} {:>9.2} {:>7.1}  {}\n",
            rank + 1,
            record.trial,
            percent(record.evaluation.outcome.valid_accuracy().map(|a| a.value())),
            percent(trial.test_accuracy),
            record.params,
            record.flops as f64 / 1e6,
            record.evaluation.train_seconds,
            record.architecture,
        );
    }
    text
}

/// Seconds as people say them.
pub(crate) fn duration(seconds: f64) -> String {
    let whole = seconds.max(0.0).round() as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 => format!("{} min {:02} s", whole / 60, whole % 60),
        _ => format!("{} h {:02} min", whole / 3600, whole / 60 % 60),
    }
}
