//! How results look: tables for people, JSON for programs.

use std::path::Path;

use metaqnn_core::graph::MapShape;
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{EnsembleRecord, Outcome, PruneReason, TrialRecord, wilson_interval};
use metaqnn_store::{Cost, Costs, LoggedEvent, StoredTrial};
use serde_json::{Value, json};

use crate::ranking::RankedTrial;
use crate::shown;

/// A name that somebody else chose, as it is shown: see [`shown::clean`].
pub(crate) fn name(name: &str) -> String {
    shown::clean(name).into_owned()
}

/// A path, as it is shown.
pub(crate) fn path(path: &Path) -> String {
    name(&lossy(path))
}

/// A path as text for JSON, which knows nothing but Unicode.
pub(crate) fn lossy(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// The first few of `names`, and how many more there are.
pub(crate) fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let first = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{first} and {} more", names.len() - SHOWN) } else { first }
}

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

/// The table of trials for standard output, with a line below it where one was chosen: in a terminal too narrow for a row each
/// architecture stands below its row.
pub(crate) fn table(trials: &[RankedTrial]) -> String {
    table_in(trials, columns(&console::Term::stdout()))
}

/// What the mark before a rank means.
const CHOSEN: &str = "* chosen and trained on all data; ranks are by the validation accuracy in the search\n";

/// Columns of a terminal; `None` where there is none.
fn columns(terminal: &console::Term) -> Option<usize> {
    terminal.size_checked().map(|(_, columns)| usize::from(columns))
}

/// `text` and an architecture for standard error: in a terminal too narrow for both the architecture stands below.
pub(crate) fn with_architecture(text: &str, architecture: &Architecture) -> String {
    let architecture = architecture.to_string();
    match columns(&console::Term::stderr()) {
        Some(width) if text.len() + 1 + architecture.len() > width => {
            format!("{text}\n{}", wrapped(&architecture, 5, width))
        }
        _ => format!("{text} {architecture}"),
    }
}

/// The size of images.
pub(crate) fn size(shape: MapShape) -> String {
    format!("{}x{}", shape.height, shape.width)
}

/// `1 thing`, `2 things`.
pub(crate) fn count(number: u64, thing: &str) -> String {
    format!("{number} {thing}{}", if number == 1 { "" } else { "s" })
}

/// The table within `width` columns, where there are so few.
fn table_in(trials: &[RankedTrial], width: Option<usize>) -> String {
    // A column of its own only where there is something in it.
    let with_intervals = trials.iter().any(|ranked| ranked.trial.test_accuracy.is_some());
    let interval = |text: &str| if with_intervals { format!(" {text:>15}") } else { String::new() };
    let head = format!(
        "{:>4} {:>5} {:>7} {:>6}{} {:>9} {:>7} {:>7}",
        "rank",
        "trial",
        "valid %",
        "test %",
        interval("95 % interval"),
        "params",
        "MFLOPs",
        "seconds"
    );
    let architectures: Vec<String> = trials.iter().map(|ranked| ranked.trial.record.architecture.to_string()).collect();
    let longest = architectures.iter().map(String::len).max().unwrap_or(0);
    let below = width.is_some_and(|width| head.len() + 2 + longest > width);
    let mut text = head + if below { "\n" } else { "  architecture\n" };
    for (RankedTrial { rank, trial, chosen }, architecture) in trials.iter().zip(&architectures) {
        let record = &trial.record;
        let mark = if *chosen { "*" } else { "" };
        let rank = rank.map_or("–".into(), |rank| format!("{mark}{rank}"));
        let percent = |accuracy: Option<f64>| accuracy.map_or("–".into(), |a| format!("{:.2}", 100.0 * a));
        text += &format!(
            "{rank:>4} {:>5} {:>7} {:>6}{} {:>9} {:>7.2} {:>7.1}",
            record.trial,
            percent(record.evaluation.outcome.valid_accuracy().map(|a| a.value())),
            percent(trial.test_accuracy),
            interval(
                &trial
                    .test_interval()
                    .map_or("–".into(), |(low, high)| { format!("{:.2} to {:.2}", 100.0 * low, 100.0 * high) })
            ),
            record.params,
            record.flops as f64 / 1e6,
            record.evaluation.train_seconds,
        );
        text += &match width {
            Some(width) if below => format!("\n{}\n", wrapped(architecture, 5, width)),
            _ => format!("  {architecture}\n"),
        };
    }
    if trials.iter().any(|ranked| ranked.chosen) {
        text += CHOSEN;
    }
    text
}

/// An architecture over lines of at most `width` columns, broken between layers and indented.
fn wrapped(architecture: &str, indent: usize, width: usize) -> String {
    let mut lines = vec![" ".repeat(indent)];
    for layer in architecture.split_inclusive("), ") {
        let line = lines.last().map_or(0, String::len);
        if line > indent && line + layer.trim_end().len() > width {
            lines.push(" ".repeat(indent + 1));
        }
        if let Some(line) = lines.last_mut() {
            line.push_str(layer);
        }
    }
    lines.iter().map(|line| line.trim_end()).collect::<Vec<_>>().join("\n")
}

/// A time as `--budget` takes it.
pub(crate) fn budget(seconds: f64) -> String {
    match seconds.round() as u64 {
        whole if whole >= 36_000 => format!("{}h", whole.div_ceil(3600)),
        whole if whole >= 120 => format!("{}m", whole.div_ceil(60)),
        whole => format!("{whole}s"),
    }
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

#[cfg(test)]
mod tests {
    use metaqnn_core::study::{Accuracy, Evaluation, TrialNumber};

    use super::*;

    fn ranked(architecture: &str) -> RankedTrial {
        RankedTrial { rank: Some(1), trial: trial(architecture), chosen: false }
    }

    fn trial(architecture: &str) -> StoredTrial {
        let outcome = Outcome::Complete { valid_accuracy: Accuracy::of(987, 1_000) };
        StoredTrial {
            event: 0,
            epsilon: 1.0,
            q_table_hash: String::new(),
            run_seconds: 0.0,
            record: TrialRecord {
                trial: TrialNumber(17),
                architecture: architecture.parse().unwrap(),
                seed: 0,
                params: 123_456,
                flops: 2_500_000,
                evaluation: Evaluation { outcome, curve: Vec::new(), epochs: 1, tries: 1, train_seconds: 1.25 },
                transitions: Vec::new(),
            },
            test_accuracy: None,
            test_balanced_accuracy: None,
            test_images: None,
        }
    }

    #[test]
    fn what_was_measured_has_its_interval() {
        let mut trials = [ranked("[C(16,3,1), SM(10)]"), ranked("[C(32,3,1), SM(10)]")];
        (trials[0].trial.test_accuracy, trials[0].trial.test_images) = (Some(0.9), Some(100));
        let text = table_in(&trials, None);
        let lines: Vec<&str> = text.lines().collect();
        assert!(lines[0].contains("test %   95 % interval    params"), "{text}");
        // Values of statsmodels' proportion_confint(90, 100, method="wilson").
        assert!(lines[1].contains(" 90.00  82.56 to 94.48 "), "{text}");
        assert!(lines[2].contains("   –               – "), "{text}");
        let json = trial_json(&trials[0].trial);
        assert!((json["test_interval"][1].as_f64().unwrap() - 0.944_771_1).abs() < 1e-6, "{json}");
        assert!(trial_json(&trials[1].trial)["test_interval"].is_null());
    }

    #[test]
    fn the_table_keeps_to_the_width_of_the_terminal() {
        let long = format!("[{}GAP(10), SM(10)]", "C(128,3,1), ".repeat(9));
        let trials = [ranked("[C(16,3,1), SM(10)]"), ranked(&long)];
        for width in [60, 80, 100, 172] {
            let text = table_in(&trials, Some(width));
            assert!(text.lines().all(|line| line.chars().count() <= width), "{width}:\n{text}");
            assert_eq!(text.matches("C(128,3,1)").count(), 9);
        }
        assert_eq!(table_in(&trials[..1], Some(80)).lines().count(), 2);
        assert_eq!(table_in(&trials, None).lines().count(), 3);
        assert_eq!(
            table_in(&trials[..1], None),
            "rank trial valid % test %    params  MFLOPs seconds  architecture\n   1    17   98.70      –    123456    2.50     1.2  [C(16,3,1), SM(10)]\n"
        );
    }

    #[test]
    fn the_one_that_was_chosen_is_marked_with_its_rank() {
        let chosen = RankedTrial { rank: Some(4), chosen: true, ..ranked("[C(16,3,1), SM(10)]") };
        let failed = RankedTrial { rank: None, ..ranked("[C(16,3,1), SM(10)]") };
        let text = table_in(&[chosen.clone(), ranked("[C(32,3,1), SM(10)]"), failed], None);
        let lines: Vec<&str> = text.lines().collect();
        assert!(
            lines[1].starts_with("  *4    17 ") && lines[2].starts_with("   1 ") && lines[3].starts_with("   – "),
            "{text}"
        );
        assert_eq!(lines.last(), Some(&CHOSEN.trim_end()));
        assert_eq!((&ranked_json(&chosen)["rank"], &ranked_json(&chosen)["chosen"]), (&json!(4), &json!(true)));
    }

    #[test]
    fn costs_are_said_where_there_are_some() {
        let cost = |trials| Cost { trials, trainings: 3 * trials, epochs: 4 * trials, seconds: 30.0 * trials as f64 };
        let costs = Costs { all: cost(4), failed: cost(1), pruned: Cost::default() };
        assert_eq!(costs_in_words(&costs), ["1 trial failed: 3 trainings, 4 epochs, 30 s of training (25 % of all)."]);
        assert_eq!(costs_json(&costs)["failed"]["share"], 0.25);
        assert_eq!(costs_in_words(&Costs::default()), [""; 0]);
    }

    #[test]
    fn durations_are_said_in_words() {
        assert_eq!([59.4, 60.0, 3_661.0].map(duration), ["59 s", "1 min 00 s", "1 h 01 min"]);
    }
}
