//! Trials, events and ensembles as lines for people and JSON for programs.

use metaqnn_core::study::{EnsembleRecord, Outcome, PruneReason, TrialRecord, wilson_interval};
use metaqnn_store::{Cost, Costs, LoggedEvent, StoredTrial};
use serde_json::{Value, json};

use super::ranking::RankedTrial;
use super::words::{count, duration};

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
        "test_interval": trial.test_interval().map(|(low, high)| [low, high]),
        "test_balanced_accuracy": trial.test_balanced_accuracy,
        "params": record.params,
        "flops": record.flops,
        "epochs": record.evaluation.epochs,
        "train_seconds": record.evaluation.train_seconds,
        "failure": failure(record),
        "stopped": stopped(record),
    })
}

/// The JSON object of a trial with its rank and whether it was chosen.
pub(crate) fn ranked_json(ranked: &RankedTrial) -> Value {
    let mut value = trial_json(&ranked.trial);
    value["rank"] = json!(ranked.rank);
    value["chosen"] = json!(ranked.chosen);
    value
}

/// The JSON object of an event: that of its trial, with the ε of the event; `named`: and with the kind of the event.
pub(crate) fn event_json(event: &LoggedEvent, named: bool) -> Value {
    let (name, trial) = match event {
        LoggedEvent::Trial(trial) => ("trial", trial),
        LoggedEvent::Repeat(trial) => ("repeat", trial),
    };
    let mut value = trial_json(trial);
    if named {
        value["event"] = json!(name);
    }
    value
}

/// An event in one line.
pub(crate) fn event_line(event: &LoggedEvent) -> String {
    let (trial, again) = match event {
        LoggedEvent::Trial(trial) => (trial, ""),
        LoggedEvent::Repeat(trial) => (trial, "again: "),
    };
    let record = &trial.record;
    let result = result(record);
    format!("trial {:>4}  epsilon {:.1}  {again}{result}  {}", record.trial, trial.epsilon, record.architecture)
}

/// Why a trial failed or was stopped, in words.
pub(crate) fn failure(record: &TrialRecord) -> Option<String> {
    match &record.evaluation.outcome {
        Outcome::Complete { .. } => None,
        Outcome::Pruned { reason, .. } => Some(reason.to_string()),
        Outcome::Failed { failure } => Some(failure.to_string()),
    }
}

/// The JSON object of an ensemble.
pub(crate) fn ensemble_json(ensemble: &EnsembleRecord) -> Value {
    let (low, high) = wilson_interval(ensemble.test_accuracy, ensemble.test_images);
    json!({
        "members": ensemble.members,
        "valid_accuracy": ensemble.valid_accuracy,
        "test_accuracy": ensemble.test_accuracy,
        "test_interval": [low, high],
        "test_balanced_accuracy": ensemble.test_balanced_accuracy,
        "test_images": ensemble.test_images,
    })
}

/// An ensemble in one line.
pub(crate) fn ensemble_line(ensemble: &EnsembleRecord) -> String {
    let (low, high) = wilson_interval(ensemble.test_accuracy, ensemble.test_images);
    format!(
        "ensemble of trials {}: {:.2} % of the test images right (95 % interval {:.2} to {:.2} %){}",
        members(ensemble),
        100.0 * ensemble.test_accuracy,
        100.0 * low,
        100.0 * high,
        balanced(ensemble.test_balanced_accuracy)
    )
}

/// The balanced accuracy in words, as they follow on those about the accuracy.
pub(crate) fn balanced(accuracy: Option<f64>) -> String {
    accuracy.map_or(String::new(), |accuracy| format!(", balanced accuracy {:.2} %", 100.0 * accuracy))
}

/// The numbers of its trials, best first.
pub(crate) fn members(ensemble: &EnsembleRecord) -> String {
    ensemble.members.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}

/// What the rule saw by which a trial was stopped; in studies of older versions it is words.
fn stopped(record: &TrialRecord) -> Option<&PruneReason> {
    match &record.evaluation.outcome {
        Outcome::Pruned { reason, .. } => Some(reason),
        Outcome::Complete { .. } | Outcome::Failed { .. } => None,
    }
}

/// What came of a trial, in short.
fn result(record: &TrialRecord) -> String {
    let Some(accuracy) = record.evaluation.outcome.valid_accuracy() else {
        return failure(record).unwrap_or_default();
    };
    let accuracy = format!("{:.2} %", 100.0 * accuracy.value());
    let Some(reason) = stopped(record) else { return accuracy };
    let epochs = match reason {
        PruneReason::Rule(reason) => reason.epoch() as u64,
        PruneReason::Words(_) => record.evaluation.epochs.into(),
    };
    let epochs = count(epochs, "epoch");
    let predicted = reason.predicted().map(|share| format!(", predicted {:.2} %", 100.0 * share.value()));
    format!("{accuracy} (stopped after {epochs}{})", predicted.unwrap_or_default())
}

/// What the trials of a study cost, as JSON.
pub(crate) fn costs_json(costs: &Costs) -> Value {
    let of = |cost: &Cost| {
        json!({
            "trials": cost.trials, "trainings": cost.trainings, "epochs": cost.epochs, "seconds": cost.seconds,
            "share": costs.share(cost),
        })
    };
    json!({ "all": of(&costs.all), "failed": of(&costs.failed), "stopped": of(&costs.pruned) })
}

/// What failed and stopped trials cost, a line each; none where there are none.
pub(crate) fn costs_in_words(costs: &Costs) -> Vec<String> {
    let line = |(what, cost): (&str, &Cost)| {
        (cost.trials > 0).then(|| {
            format!(
                "{} {what}: {}, {}, {} of training ({:.0} % of all).",
                count(cost.trials, "trial"),
                count(cost.trainings, "training"),
                count(cost.epochs, "epoch"),
                duration(cost.seconds),
                100.0 * costs.share(cost)
            )
        })
    };
    [("failed", &costs.failed), ("stopped early", &costs.pruned)].into_iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_said_where_there_are_some() {
        let cost = |trials| Cost { trials, trainings: 3 * trials, epochs: 4 * trials, seconds: 30.0 * trials as f64 };
        let costs = Costs { all: cost(4), failed: cost(1), pruned: Cost::default() };
        assert_eq!(costs_in_words(&costs), ["1 trial failed: 3 trainings, 4 epochs, 30 s of training (25 % of all)."]);
        assert_eq!(costs_json(&costs)["failed"]["share"], 0.25);
        assert_eq!(costs_in_words(&Costs::default()), [""; 0]);
    }
}
