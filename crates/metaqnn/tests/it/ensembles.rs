//! The ensemble that `metaqnn final` makes of the best networks.

use std::path::Path;
use std::sync::LazyLock;

use metaqnn_core::study::{TrialNumber, choose_ensemble};
use metaqnn_data::{DataSource, SplitSettings, load};
use metaqnn_store::StudyReader;
use serde_json::Value;

use crate::program::{lines, metaqnn, text};

/// Networks that are trained too little to be equal, of which more than one is better than one.
const SETTINGS: [&str; 10] = [
    // Small networks among them.
    "space.convolution.kernel_sizes=[1, 3, 5]",
    "training.train_images=300",
    "limits.mflops=2",
    "training.epochs=1",
    "training.min_steps=0",
    "final.enabled=false",
    "final.training.train_images=300",
    "final.training.epochs=5",
    "final.training.min_steps=0",
    "final.candidates_share=0.4",
];

/// A study whose three best networks were trained fully, and the table of that.
static FINISHED: LazyLock<(tempfile::TempDir, Value)> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    let study = study.to_str().unwrap();
    search(study, &[]);
    let table = lines(&metaqnn(&["final", study, "--models", "3", "--threads", "1", "--json"])).remove(0);
    (folder, table)
});

fn search(study: &str, more: &[&str]) {
    let mut arguments = vec!["search", "digits", "--json", "--models", "4", "--workers", "1", "--seed", "3"];
    arguments.extend(["--study", study]);
    arguments.extend(SETTINGS.iter().flat_map(|setting| ["--set", setting]));
    arguments.extend(more);
    lines(&metaqnn(&arguments));
}

fn study() -> String {
    FINISHED.0.path().join("a.study").to_str().unwrap().to_owned()
}

#[test]
fn the_best_that_do_best_together_are_kept_and_measured_once() {
    let (networks, ensemble) = (FINISHED.1["networks"].as_array().unwrap(), &FINISHED.1["ensemble"]);
    // What the choice must be, from the stored probabilities.
    let reader = StudyReader::open(study()).unwrap();
    let data = load(&DataSource::Digits, Path::new("unused"), &SplitSettings::default()).unwrap();
    let probabilities: Vec<Vec<f32>> = networks
        .iter()
        .map(|network| {
            reader.validation_probabilities(TrialNumber(network["trial"].as_u64().unwrap())).unwrap().unwrap()
        })
        .collect();
    let choice = choose_ensemble(&probabilities, &data.valid.labels, 10).unwrap();
    assert!(choice.members > 1, "one network alone is best: choose another seed");
    let members: Vec<&Value> = networks.iter().take(choice.members).map(|network| &network["trial"]).collect();
    assert_eq!(ensemble["members"].as_array().unwrap().iter().collect::<Vec<_>>(), members);
    assert_eq!(ensemble["valid_accuracy"].as_f64(), Some(choice.accuracy));
    assert_eq!((ensemble["rank"].as_str(), ensemble["test_images"].as_u64()), (Some("ensemble"), Some(300)));
    for key in ["params", "flops", "epochs"] {
        let sum: u64 = networks[..choice.members].iter().map(|network| network[key].as_u64().unwrap()).sum();
        assert_eq!(ensemble[key].as_u64(), Some(sum), "{key}");
    }
    let (low, high) = (ensemble["test_interval"][0].as_f64(), ensemble["test_interval"][1].as_f64());
    assert!(low < ensemble["test_accuracy"].as_f64() && ensemble["test_accuracy"].as_f64() < high);

    // It stays, and nothing is measured again. Only here is `final` called: it writes to the study, and one that another test runs
    // at that moment would refuse it.
    let again = metaqnn(&["final", &study(), "--threads", "1", "--json"]);
    assert_eq!(lines(&again).remove(0), FINISHED.1);
    assert_eq!(String::from_utf8_lossy(&again.stderr), "");
    assert!(text(&["final", &study()]).lines().any(|found| found.starts_with("ensemble ")));
}

#[test]
fn an_ensemble_is_exported_evaluated_and_shown_as_it_was_scored() {
    let (study, ensemble) = (study(), &FINISHED.1["ensemble"]);
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("model").to_str().unwrap().to_owned();
    let exported = lines(&metaqnn(&["export", &study, "--out", &out, "--json", "--python", "/no/python"])).remove(0);
    for check in exported["verification"].as_array().unwrap() {
        assert_eq!(check["accuracy_of_the_scored_model"], ensemble["test_accuracy"], "{check}");
    }
    let description: Value =
        serde_json::from_slice(&std::fs::read(Path::new(&out).join("model.json")).unwrap()).unwrap();
    let trials: Vec<&Value> = description["networks"].as_array().unwrap().iter().map(|it| &it["trial"]).collect();
    assert_eq!(trials, ensemble["members"].as_array().unwrap().iter().collect::<Vec<_>>());
    assert_eq!(description["measured"]["test_accuracy"], ensemble["test_accuracy"]);
    assert_eq!(description["measured"]["epochs"], ensemble["epochs"]);
    let named = format!("{study}:ensemble");
    for model in [&out, &study, &named] {
        let value = lines(&metaqnn(&["evaluate", model, "digits", "--json"])).remove(0);
        assert_eq!(value["accuracy"], ensemble["test_accuracy"]);
    }
    let first = &FINISHED.1["networks"][0];
    let alone = format!("{study}:{}", first["trial"]);
    let value = lines(&metaqnn(&["evaluate", &alone, "digits", "--json"])).remove(0);
    assert_eq!(value["accuracy"], first["test_accuracy"]);

    assert_eq!(lines(&metaqnn(&["show", &study, "--json"])).remove(0)["ensemble"]["members"], ensemble["members"]);
    let line = "ensemble of trials ";
    for shown in [["show", &study], ["top", &study]] {
        assert!(text(&shown).lines().any(|found| found.starts_with(line)), "{shown:?}");
    }
    let report = folder.path().join("report.html").to_str().unwrap().to_owned();
    metaqnn(&["report", &study, "--out", &report]);
    assert!(std::fs::read_to_string(report).unwrap().contains("The ensemble of the trials "));
}

/// Where nothing is validated again, as in the paper preset, the ensemble is the paper's; nobody knows whether it helps, so it is not
/// what a study without more words stands for.
#[test]
fn without_validation_the_best_five_are_the_papers_ensemble() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("paper.study").to_str().unwrap().to_owned();
    search(&study, &["--set", "final.candidates=1"]);
    let error = metaqnn(&["evaluate", &format!("{study}:ensemble"), "digits"]);
    assert_eq!(error.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&error.stderr).contains("it has no ensemble; `metaqnn final` makes one"));
    let table = |models: &str| lines(&metaqnn(&["final", &study, "--models", models, "--json"])).remove(0);
    assert!(table("1")["ensemble"].is_null());
    let table = table("4");
    let networks = table["networks"].as_array().unwrap();
    assert!((2..=5).contains(&networks.len()), "{table}");
    let trials: Vec<&Value> = networks.iter().map(|network| &network["trial"]).collect();
    assert_eq!(table["ensemble"]["members"].as_array().unwrap().iter().collect::<Vec<_>>(), trials);
    assert!(table["ensemble"]["valid_accuracy"].is_null() && table["networks"][0]["candidate_epochs"].is_null());
    let accuracy =
        |model: &str| lines(&metaqnn(&["evaluate", model, "digits", "--json"])).remove(0)["accuracy"].clone();
    assert_eq!(accuracy(&format!("{study}:ensemble")), table["ensemble"]["test_accuracy"]);
    assert_eq!(accuracy(&study), table["networks"][0]["test_accuracy"]);
}
