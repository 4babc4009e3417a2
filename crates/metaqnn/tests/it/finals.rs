//! `metaqnn final`: the table, and that a run that was killed ends with the same one.
//!
//! On the embedded digits, killed twice; with `METAQNN_SLOW_TESTS=1` five times, and on MNIST where `METAQNN_TEST_DATA` has it.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use crate::program::{TINY, lines, metaqnn};

fn is_slow() -> bool {
    std::env::var_os("METAQNN_SLOW_TESTS").is_some_and(|set| set == "1")
}

/// Name and folder of the data.
fn data() -> (&'static str, String) {
    let folder = std::env::var("METAQNN_TEST_DATA").unwrap_or_default();
    if is_slow() && Path::new(&folder).join("mnist").is_dir() { ("mnist", folder) } else { ("digits", "unused".into()) }
}

/// A study of five networks, none of them trained fully.
fn searched(study: &Path) {
    searched_with(study, &["final.enabled=false", "final.training.epochs=12"]);
}

fn searched_with(study: &Path, settings: &[&str]) {
    let (name, folder) = data();
    let small = [
        "space.convolution.kernel_sizes=[1, 3, 5]",
        // Networks that learn something in as few steps.
        "search.first_networks=[]",
        "space.max_layers=8",
        "space.follows.C=[\"C\", \"P\", \"FC\"]",
        "space.follows.P=[\"C\", \"FC\", \"SM\"]",
        "training.train_images=300",
        "limits.mflops=2",
        "training.epochs=1",
        "training.min_steps=0",
        "final.training.train_images=1200",
        "final.training.min_steps=0",
    ];
    let mut arguments =
        vec!["search", name, "--data-dir", &folder, "--json", "--models", "5", "--workers", "1", "--seed", "3"];
    arguments.extend(["--study", study.to_str().unwrap()]);
    arguments.extend(small.iter().chain(settings).flat_map(|setting| ["--set", setting]));
    lines(&metaqnn(&arguments));
}

fn arguments(study: &Path) -> Vec<String> {
    let of = ["final", study.to_str().unwrap(), "--data-dir", &data().1, "--models", "3", "--threads", "1", "--json"];
    of.map(ToOwned::to_owned).to_vec()
}

/// The table without what time changes: the networks and their ensemble.
fn finished(study: &Path) -> (Vec<Value>, Value) {
    let arguments = arguments(study);
    let output = metaqnn(&arguments.iter().map(String::as_str).collect::<Vec<_>>());
    let mut table = lines(&output).remove(0);
    let mut ensemble = table["ensemble"].take();
    let mut networks = table["networks"].as_array().unwrap().clone();
    for network in networks.iter_mut().chain(std::iter::once(&mut ensemble)).filter_map(Value::as_object_mut) {
        network.remove("train_seconds");
    }
    (networks, ensemble)
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.filter(|name| name.starts_with("killed")).collect();
    names.sort();
    names
}

/// Names and times of the states that are kept.
fn checkpoints(folder: &Path) -> Vec<(String, SystemTime)> {
    let names = files(folder).into_iter().filter(|name| name.ends_with(".checkpoint"));
    // One may be removed in between.
    let kept = |name: String| Some((folder.join(&name).metadata().ok()?.modified().ok()?, name));
    names.filter_map(kept).map(|(time, name)| (name, time)).collect()
}

#[test]
fn a_final_phase_killed_at_random_moments_ends_with_the_table_of_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole.study"), folder.path().join("killed.study"));
    searched(&whole);
    std::fs::copy(&whole, &killed).unwrap();
    let expected = finished(&whole);
    let (networks, ensemble) = &expected;
    assert_eq!(networks.len(), 3);
    for (rank, network) in (1..).zip(networks) {
        let number = |key: &str| network[key].as_f64().unwrap();
        let (low, high) =
            (network["test_interval"][0].as_f64().unwrap(), network["test_interval"][1].as_f64().unwrap());
        assert!(0.0 <= low && low < number("test_accuracy") && number("test_accuracy") < high && high <= 1.0);
        assert_eq!((network["rank"].as_u64(), network["epochs"].as_u64()), (Some(rank), Some(12)));
        assert_eq!(network["candidate_epochs"], 3);
    }
    assert!(networks[0]["valid_accuracy"].as_f64() >= networks[1]["valid_accuracy"].as_f64());

    let mut generator = ChaCha8Rng::seed_from_u64(4);
    let mut kills = 0;
    for _ in 0..if is_slow() { 5 } else { 2 } {
        let mut child = Command::new(env!("CARGO_BIN_EXE_metaqnn"))
            .args(arguments(&killed))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Some epochs, told by their checkpoints, and then somewhere in the next one.
        let (mut kept, mut last) = (checkpoints(folder.path()), Instant::now());
        let mut epochs_left = 1 + generator.next_u64() % 3;
        let mut an_epoch = Duration::ZERO;
        let begin = Instant::now();
        while epochs_left > 0 && child.try_wait().unwrap().is_none() {
            assert!(begin.elapsed() < Duration::from_secs(300), "no new checkpoint beside {kept:?}");
            std::thread::sleep(Duration::from_millis(2));
            let now = checkpoints(folder.path());
            if now != kept && !now.is_empty() {
                epochs_left -= 1;
                (an_epoch, last) = (last.elapsed(), Instant::now());
            }
            kept = now;
        }
        let share = (generator.next_u64() % 100) as f64 / 100.0;
        std::thread::sleep(an_epoch.min(Duration::from_millis(500)).mul_f64(share));
        kills += u32::from(child.try_wait().unwrap().is_none());
        child.kill().unwrap();
        child.wait().unwrap();
    }
    assert!(kills > 0, "no kill was in the middle of a training");
    assert_eq!(finished(&killed), expected);
    let left: Vec<String> = files(folder.path()).into_iter().filter(|name| name.contains(".checkpoint")).collect();
    assert!(left.is_empty(), "{left:?}");

    // What is exported are the very weights, and nothing is trained again.
    assert_eq!(finished(&killed), expected);
    let accuracy = |study: &Path| {
        let study = study.to_str().unwrap();
        lines(&metaqnn(&["evaluate", study, data().0, "--data-dir", &data().1, "--json"])).remove(0)["accuracy"].clone()
    };
    assert_eq!(accuracy(&whole), accuracy(&killed));
    let best = if ensemble.is_null() { &networks[0] } else { ensemble };
    assert_eq!(accuracy(&whole), best["test_accuracy"]);
}

/// Starts `final` and kills it when it has kept the state of a training, so that its plan is stored and nothing is finished.
fn planned_and_killed(study: &Path) {
    let mut child = Command::new(env!("CARGO_BIN_EXE_metaqnn"))
        .args(arguments(study))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while checkpoints(study.parent().unwrap()).is_empty() {
        assert!(begin.elapsed() < Duration::from_secs(300) && child.try_wait().unwrap().is_none(), "no checkpoint");
        std::thread::sleep(Duration::from_millis(2));
    }
    child.kill().unwrap();
    child.wait().unwrap();
}

#[test]
fn networks_for_which_no_time_is_left_are_not_begun() {
    if data().0 != "digits" {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("killed.study");
    searched(&study);
    planned_and_killed(&study);
    let path = study.to_str().unwrap();
    let output = metaqnn(&["final", path, "--budget", "0.001s", "--json"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(lines(&output).remove(0)["networks"].as_array().unwrap().len(), 1, "the best one always");
    assert!(said.contains("no time is left for 2 networks of the plan (trials "), "{said}");
    assert_eq!(lines(&metaqnn(&["final", path, "--json"])).remove(0)["networks"].as_array().unwrap().len(), 3);
}

#[test]
fn a_budget_becomes_a_number_of_epochs_that_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    searched(&study);
    let run = |more: &[&str]| {
        let mut arguments = vec!["final", study.to_str().unwrap(), "--data-dir", "unused", "--json"];
        arguments.extend(more);
        lines(&metaqnn(&arguments)).remove(0)["networks"].as_array().unwrap().clone()
    };
    if data().0 != "digits" {
        return;
    }
    // Too little for more than one network and one epoch.
    let first = run(&["--budget", "0.001s"]);
    assert_eq!((first.len(), first[0]["epochs"].as_u64()), (1, Some(1)));
    assert_eq!(run(&["--budget", "10m"]), first);
    assert_eq!(run(&["--models", "2"]).len(), 2);
    let nothing = metaqnn(&["final", "nowhere.study"]);
    assert_eq!(nothing.status.code(), Some(1));
    assert_eq!(metaqnn(&["final", study.to_str().unwrap(), "--models", "0"]).status.code(), Some(2));
}

/// The time of a search is short, and its best network has no more of it than a fair comparison with the others.
#[test]
fn the_final_training_of_a_search_is_made_again_where_the_others_have_more_epochs() {
    if data().0 != "digits" {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    searched_with(&study, &["final.training.epochs=1", "final.candidates=2"]);
    let path = study.to_str().unwrap();
    let table = |more: &[&str]| {
        let arguments =
            [&["final", path, "--data-dir", "unused", "--models", "2", "--threads", "1", "--json"], more].concat();
        lines(&metaqnn(&arguments)).remove(0)["networks"].as_array().unwrap().clone()
    };
    let epochs = |networks: &[Value]| {
        let of = |key: &str| networks.iter().map(|it| it[key].as_u64()).collect::<Vec<_>>();
        (of("candidate_epochs"), of("epochs"))
    };
    table(&["--budget", "4s"]);
    // Those for which no time was left.
    let networks = table(&[]);
    let (candidates, finals) = epochs(&networks);
    assert_eq!(finals.len(), 2);
    assert!(finals[0] > Some(1) && finals[0] == finals[1], "{finals:?}");
    assert!(candidates[0].is_some() && candidates[0] == candidates[1], "{candidates:?}");
    assert_eq!(epochs(&table(&[])), (candidates, finals), "nothing is trained again");
}

/// The clock starts with the process, and the time that is added is searched in as well.
#[test]
fn a_budget_is_kept_and_a_raised_one_searches_on_and_trains_longer() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    let study = study.to_str().unwrap();
    let run = |arguments: &[&str], seconds: f64| {
        let begin = std::time::Instant::now();
        let line = lines(&metaqnn(arguments)).remove(0);
        let took = begin.elapsed().as_secs_f64();
        assert!(took < 1.05 * seconds + 4.0, "{took} s of {seconds}");
        assert!(line["test_accuracy"].as_f64().unwrap() > 0.5, "{line}");
        assert!(line["verdict"].as_str().unwrap().starts_with("Verdict: "), "{line}");
        line["models"].as_u64().unwrap()
    };
    let models = run(&["search", "--budget", "8s", "--workers", "1", "--study", study, "--json"], 8.0);
    let more = run(&["resume", study, "--budget", "24s", "--workers", "1", "--json"], 16.0);
    assert!(models > 0 && more > models, "{models}, then {more}");
}

#[test]
fn a_study_in_a_folder_whose_name_is_no_unicode_is_trained_finally() {
    use std::os::unix::ffi::OsStrExt;
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join(std::ffi::OsStr::from_bytes(b"caf\xe9"));
    std::fs::create_dir(&inner).unwrap();
    let study = inner.join("a.study");
    let settings =
        ["final.enabled=true", "final.candidates=2", "final.training.epochs=1", "final.training.train_images=300"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_metaqnn"));
    command.args(["search", "--models", "2", "--workers", "1", "--json", "--study"]).arg(&study).args(TINY);
    command.args(settings.iter().flat_map(|setting| ["--set", setting]));
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let begin = Instant::now();
    // The paths of what is kept of the trainings must reach the worker, or it waits for its job for ever.
    let status = loop {
        match child.try_wait().unwrap() {
            Some(status) => break status,
            None if begin.elapsed() > Duration::from_secs(120) => {
                child.kill().unwrap();
                panic!("its networks are not trained finally");
            }
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    assert!(status.success(), "{status}");
    let left: Vec<_> = std::fs::read_dir(&inner).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left, ["a.study"]);
}
