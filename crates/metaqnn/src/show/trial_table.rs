//! Trials as a table, which keeps to the width of the terminal.

use metaqnn_core::space::Architecture;

use super::ranking::RankedTrial;

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

#[cfg(test)]
mod tests {
    use metaqnn_core::study::{Accuracy, Evaluation, Outcome, StoredTrial, TrialNumber, TrialRecord};
    use serde_json::json;

    use super::super::trial::{ranked_json, trial_json};

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
}
