//! Early stopping in a search and in `bench early-stop`, and what failures cost.

use std::path::Path;

use serde_json::Value;

use crate::program::{lines, log, metaqnn, search, text, verify};

/// Settings under which most trainings are stopped once three have gone to their end.
pub(crate) const STOPPING: [&str; 10] = [
    "--set",
    "training.epochs=5",
    "--set",
    "early_stopping.rule=prediction",
    "--set",
    "early_stopping.burn_in=3",
    "--set",
    "early_stopping.best=1",
    "--set",
    "early_stopping.probability=0.7",
];

#[test]
fn a_stopped_trial_says_so_and_why() {
    let folder = tempfile::tempdir().unwrap();
    let (study, longer) = (folder.path().join("a.study"), folder.path().join("b.study"));
    let arguments = |models| [&["--models", models, "--workers", "1", "--seed", "7"][..], &STOPPING].concat();
    search(&study, &arguments("12"));
    search(&longer, &arguments("6"));
    metaqnn(&["resume", longer.to_str().unwrap(), "--models", "12"]);
    assert_eq!(log(&longer), log(&study));
    let shown = verify(&study);
    assert_eq!(shown["verified_events"], shown["events"]);

    let trials = log(&study);
    let stopped: Vec<&Value> = trials.iter().filter(|trial| trial["state"] == "pruned").collect();
    assert!(!stopped.is_empty(), "{trials:?}");
    let name = study.to_str().unwrap();
    for trial in stopped {
        let reason = &trial["stopped"];
        assert_eq!((&reason["kind"], &reason["epoch"]), (&"predicted".into(), &trial["epochs"]), "{trial}");
        let predicted = reason["predicted"].as_f64().unwrap();
        assert!(predicted >= trial["valid_accuracy"].as_f64().unwrap() - 1e-4 && predicted <= 1.0, "{trial}");
        assert!(trial["failure"].as_str().unwrap().contains(&format!("predicted to be {predicted:.4}")), "{trial}");
        // What the agent learned of it.
        let one = text(&["show", name, &trial["trial"].to_string()]);
        assert!(one.contains(&format!("-> SM (reward {predicted})")) && one.contains("stopped after epoch"), "{one}");
    }
    assert!(trials.iter().filter(|trial| trial["state"] == "complete").all(|trial| trial["stopped"].is_null()));
    assert!(text(&["log", name]).contains("(stopped after"), "{}", text(&["log", name]));
}

/// Of a version that had the table `[pruning]`, and words in place of numbers.
#[test]
fn a_study_of_before_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("before.study");
    std::fs::copy(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/pruning.sqlite"), &study).unwrap();
    let name = study.to_str().unwrap();
    let (before, models) = (14, 20);
    metaqnn(&["resume", name, "--models", &models.to_string(), "--workers", "1"]);
    let trials = log(&study);
    assert_eq!(trials.len(), models);
    let stopped = trials[..before].iter().find(|trial| trial["state"] == "pruned").unwrap();
    let words = stopped["stopped"].as_str().unwrap();
    assert!(words.starts_with("validation accuracy"), "{words}");
    assert!(text(&["show", name, &stopped["trial"].to_string()]).contains(words));
    // The log of before gives the agent of before, whose proposals the new trials are.
    let shown = verify(&study);
    assert_eq!(shown["verified_events"], shown["events"]);
    // Stopped by the same rule as before, but said with numbers.
    let new: Vec<&Value> = trials[before..].iter().filter(|trial| trial["state"] == "pruned").collect();
    assert!(!new.is_empty() && new.iter().all(|trial| trial["stopped"]["kind"] == "behind"), "{trials:?}");
}

/// Forty curves of six epochs that rise to 0.02, 0.04, …, in percents, with columns in disorder and values missing.
fn curves() -> String {
    let mut text = String::from("acc_6,net,acc_1,acc_2,acc_3,acc_4,acc_5,num_params\n");
    for i in 1..=40 {
        let end = 2.0 * f64::from(i);
        let at = |epoch: i32| {
            if (i + epoch) % 11 == 0 { String::new() } else { format!("{:.2}", end * f64::from(epoch) / 6.0) }
        };
        text += &format!("{end},\"not, [a network\",{},{},{},{},{},{}\n", at(1), at(2), at(3), at(4), at(5), 100 * i);
    }
    text + ",empty,,,,,,\n"
}

#[test]
fn recorded_curves_are_stopped_early() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("curves.csv");
    std::fs::write(&file, curves()).unwrap();
    let bench = |more: &[&str]| {
        let mut arguments = vec!["bench", "early-stop", "--curves", file.to_str().unwrap(), "--json"];
        arguments.extend(more);
        lines(&metaqnn(&arguments)).remove(0)
    };
    let result = bench(&["--orders", "3", "--full-curves", "15"]);
    assert_eq!((&result["curves"], &result["orders"], &result["left_out"]), (&40.into(), &3.into(), &1.into()));
    assert_eq!(result["kept_top10"], serde_json::json!([10, 10, 10]));
    assert!(result["speedup"].as_f64().unwrap() > 1.2, "{result}");
    assert_eq!(result["regret"], 0.0);
    assert_eq!(bench(&["--orders", "3", "--full-curves", "15"]), result);
    assert_eq!(bench(&["--rule", "off"])["speedup"], 1.0);
    assert!(bench(&["--rule", "rank", "--rungs", "1,3"])["speedup"].as_f64().unwrap() > 1.2);
}

#[test]
fn curves_that_are_none_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("no-curves.csv");
    std::fs::write(&file, "net,accuracy\nx,0.5\n").unwrap();
    let output = metaqnn(&["bench", "early-stop", "--curves", file.to_str().unwrap()]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1));
    assert!(error.contains("no-curves.csv") && error.contains("acc_1"), "{error}");
}

#[test]
fn a_study_tells_what_failures_and_stopped_trials_cost() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    // No network is that much better than chance: each fails after its first epoch, at each of two tries.
    let impossible =
        ["--set", "training.restart={ tries = 2, factor = 0.4, margin = 0.99, scale_margin = false, min_steps = 0 }"];
    let mut arguments = vec!["search", "--json", "--study", study.to_str().unwrap(), "--models", "2", "--workers", "1"];
    arguments.extend(crate::program::TINY);
    arguments.extend(impossible);
    let output = metaqnn(&arguments);
    assert_eq!(output.status.code(), Some(1), "nothing came of it");
    let result: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let failed = &result["costs"]["failed"];
    assert_eq!(
        (&failed["trials"], &failed["trainings"], &failed["epochs"]),
        (&2.into(), &4.into(), &4.into()),
        "{result}"
    );
    assert_eq!(failed["share"], 1.0);
    assert_eq!(result["costs"]["stopped"]["trials"], 0);
    let shown = lines(&metaqnn(&["show", study.to_str().unwrap(), "--json"])).remove(0);
    assert_eq!(shown["costs"], result["costs"]);
    let text = String::from_utf8(metaqnn(&["show", study.to_str().unwrap()]).stdout).unwrap();
    assert!(text.contains("2 trials failed: 4 trainings, 4 epochs"), "{text}");
}
