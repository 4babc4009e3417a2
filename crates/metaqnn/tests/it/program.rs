//! Runs the built program on the embedded digits.

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

/// Of the optimizers the one with which a network learns something in as few as five steps; Muon and whitening take some forty.
pub(crate) const FEW_STEPS: [&str; 2] = [
    "training.optimizer={ kind = \"adam\", beta_1 = 0.9, beta_2 = 0.999, epsilon = 1e-8 }",
    "training.whitening=false",
];

/// Settings under which a trial takes a fraction of a second.
pub(crate) const TINY: [&str; 16] = [
    "--set",
    FEW_STEPS[0],
    "--set",
    FEW_STEPS[1],
    // Too deep to learn in as few steps.
    "--set",
    "search.first_networks=[]",
    "--set",
    "training.train_images=300",
    "--set",
    "limits.mflops=2",
    "--set",
    "training.epochs=1",
    "--set",
    "training.min_steps=0",
    "--set",
    "final.enabled=false",
];

pub(crate) fn metaqnn(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_metaqnn")).args(arguments).output().unwrap()
}

pub(crate) fn lines(output: &Output) -> Vec<Value> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What a command that succeeds writes to standard output.
pub(crate) fn text(arguments: &[&str]) -> String {
    let output = metaqnn(arguments);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

pub(crate) fn search(study: &Path, more: &[&str]) -> Vec<Value> {
    let mut arguments = vec!["search", "--json", "--study", study.to_str().unwrap()];
    arguments.extend(TINY);
    arguments.extend(more);
    lines(&metaqnn(&arguments))
}

/// The log without what time changes.
pub(crate) fn log(study: &Path) -> Vec<Value> {
    let mut trials = lines(&metaqnn(&["log", study.to_str().unwrap(), "--json"]));
    for trial in &mut trials {
        trial.as_object_mut().unwrap().remove("train_seconds");
    }
    trials
}

pub(crate) fn verify(study: &Path) -> Value {
    lines(&metaqnn(&["show", study.to_str().unwrap(), "--verify", "--json"])).remove(0)
}

#[test]
fn one_seed_and_one_worker_give_one_log() {
    let folder = tempfile::tempdir().unwrap();
    let (first, second) = (folder.path().join("a.study"), folder.path().join("b.study"));
    let result = search(&first, &["--models", "6", "--workers", "1", "--seed", "7"]).pop().unwrap();
    search(&second, &["--models", "6", "--workers", "1", "--seed", "7"]);
    assert_eq!(log(&first), log(&second));
    assert_eq!(result["models"], 6);
    assert!(result["best"]["valid_accuracy"].as_f64().unwrap() > 0.1);
    let top = lines(&metaqnn(&["top", first.to_str().unwrap(), "-n", "3", "--json"])).remove(0);
    assert_eq!(top[0], result["best"]);
    assert!(top[0]["valid_accuracy"].as_f64() >= top[1]["valid_accuracy"].as_f64());
    let trial = top[0]["trial"].to_string();
    let shown = lines(&metaqnn(&["show", first.to_str().unwrap(), &trial, "--json"])).remove(0);
    assert_eq!(shown["curve"].as_array().unwrap().len(), 1);
    assert!(!lines(&metaqnn(&["qvalues", first.to_str().unwrap(), "--json"])).is_empty());
}

#[cfg(unix)]
#[test]
fn a_killed_study_goes_on_with_nothing_lost() {
    kill_and_resume(&[]);
}

#[cfg(unix)]
#[test]
fn a_killed_study_with_early_stopping_goes_on_with_nothing_lost() {
    kill_and_resume(&crate::early_stop::STOPPING);
}

/// Kills a search with `more` settings in the middle, resumes it, and compares it with one that was not killed.
#[cfg(unix)]
fn kill_and_resume(more: &[&str]) {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("killed.study");
    let whole = folder.path().join("whole.study");
    let run = [&["--models", "8", "--workers", "1", "--seed", "3"], more].concat();
    search(&whole, &run);
    let mut arguments = vec!["search", "--study", study.to_str().unwrap()];
    arguments.extend(TINY);
    arguments.extend(run);
    let mut child = Command::new(env!("CARGO_BIN_EXE_metaqnn"))
        .args(&arguments)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    // Until some trials are stored; then kill -9 in the middle of whatever is in training.
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) && (!study.exists() || log_len(&study) < 3) {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let stored = log(&study);
    assert!((3..=8).contains(&stored.len()), "{}", stored.len());
    lines(&metaqnn(&["resume", study.to_str().unwrap(), "--json"]));
    let resumed = log(&study);
    assert_eq!(resumed[..stored.len()], stored, "a finished trial never changes");
    assert_eq!(resumed, log(&whole), "with one worker the kill leaves no trace");
    let shown = verify(&study);
    assert_eq!((&shown["models"], &shown["verified_events"]), (&8.into(), &shown["events"]));
}

pub(crate) fn log_len(study: &Path) -> usize {
    let output = metaqnn(&["log", study.to_str().unwrap(), "--json"]);
    String::from_utf8_lossy(&output.stdout).lines().count()
}

#[test]
fn two_workers_train_no_network_twice_and_end_with_a_test_accuracy() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("two.study");
    let more = ["--models", "8", "--workers", "2", "--set", "final.enabled=true", "--set", "final.training.epochs=1"];
    let result = search(&study, &more).pop().unwrap();
    assert_eq!(result["models"], 8);
    assert!(result["test_accuracy"].as_f64().unwrap() > 0.1);
    assert_eq!(result["best"]["test_accuracy"], result["test_accuracy"]);
    // What was chosen and measured stays so.
    let resumed = metaqnn(&["resume", study.to_str().unwrap(), "--json"]);
    assert!(!String::from_utf8_lossy(&resumed.stderr).contains("candidate"));
    assert_eq!(lines(&resumed)[0]["best"], result["best"]);
    let mut architectures: Vec<String> = log(&study).iter().map(|trial| trial["architecture"].to_string()).collect();
    let trials = architectures.len();
    architectures.sort();
    architectures.dedup();
    assert_eq!(architectures.len(), trials);
    verify(&study);
}

#[test]
fn limits_raised_by_a_resume_hold_for_the_next() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("raised.study");
    let path = study.to_str().unwrap();
    search(&study, &["--models", "2", "--workers", "1"]);
    let models = |more: &[&str]| {
        let mut arguments = vec!["resume", path, "--json"];
        arguments.extend(more);
        lines(&metaqnn(&arguments)).remove(0)["models"].as_u64().unwrap()
    };
    let whole = log(&study);
    // Refused for its device, so not raised either; and never lowered.
    assert!(!metaqnn(&["resume", path, "--models", "9", "--device", "cuda:9"]).status.success());
    let lower = metaqnn(&["resume", path, "--models", "1"]);
    assert!(String::from_utf8_lossy(&lower.stderr).contains("--models can only be raised; the study has 2"));
    let nothing = metaqnn(&["resume", path]);
    let said = String::from_utf8_lossy(&nothing.stderr);
    assert!(said.contains("has reached its 2 models; to search on, raise it with --models"), "{said}");
    assert_eq!(log(&study), whole);

    // Killed before it was through: the next resume, without the flag, goes on to what was asked for.
    let mut child = Command::new(env!("CARGO_BIN_EXE_metaqnn"))
        .args(["resume", path, "--models", "5"])
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) && log_len(&study) < whole.len() + 1 {
        std::thread::sleep(Duration::from_millis(20));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(models(&[]), 5);
    assert_eq!(models(&["--models", "6"]), 6);
    assert!(!metaqnn(&["resume", path, "--models", "5"]).status.success());
    assert_eq!(verify(&study)["models"], 6);
}

#[test]
fn images_are_resized_for_the_search_its_workers_and_its_resume() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("sized.study");
    let path = study.to_str().unwrap();
    search(&study, &["--models", "2", "--workers", "2", "--size", "12x10"]);
    let shown = lines(&metaqnn(&["show", path, "--json"])).remove(0);
    assert_eq!(shown["input"], "1x12x10");
    lines(&metaqnn(&["resume", path, "--models", "3", "--json"]));
    assert_eq!(verify(&study)["models"], 3);
    for (size, part) in [("7", "height 7 is not in 8..=224"), ("8x300", "width 300 is not in 8..=224"), ("a", "32x32")]
    {
        let refused = metaqnn(&["search", "--size", size]);
        assert_eq!(refused.status.code(), Some(2));
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert!(said.contains(part), "{said}");
    }
}

/// A space of few architectures, so that the agent draws some of them again.
const SMALL_SPACE: [&str; 10] = [
    "--set",
    "space.max_layers=2",
    "--set",
    "space.convolution.out_channels=[4]",
    "--set",
    "space.convolution.kernel_sizes=[1, 3]",
    "--set",
    "space.follows.C=[\"C\", \"SM\"]",
    "--set",
    "training.train_images=100",
];

#[test]
fn the_log_shows_repeats_where_asked_for() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("repeats.study");
    let mut more = vec!["--models", "6", "--workers", "1", "--agent", "random"];
    more.extend(SMALL_SPACE);
    search(&study, &more);
    let path = study.to_str().unwrap();
    let events = lines(&metaqnn(&["log", path, "--json", "--events"]));
    let shown = lines(&metaqnn(&["show", path, "--json"])).remove(0);
    let repeats: Vec<_> = events.iter().filter(|event| event["event"] == "repeat").collect();
    assert_eq!(shown["events"], events.len());
    assert_eq!(shown["repeats"], repeats.len());
    assert!(!repeats.is_empty(), "all six architectures are drawn without a repeat: choose another seed");
    let mut trials = lines(&metaqnn(&["log", path, "--json"]));
    for trial in &mut trials {
        trial["event"] = "trial".into();
    }
    assert_eq!(events.iter().filter(|event| event["event"] == "trial").cloned().collect::<Vec<_>>(), trials);
    for repeat in &repeats {
        let trial = trials.iter().find(|trial| trial["trial"] == repeat["trial"]).unwrap();
        assert_eq!(trial["architecture"], repeat["architecture"]);
        assert_eq!(trial["valid_accuracy"], repeat["valid_accuracy"]);
    }
    let again = text(&["log", path, "--events"]).lines().filter(|line| line.contains("again: ")).count();
    assert_eq!(again, repeats.len());
    assert_eq!(text(&["log", path]).lines().count(), trials.len());
}

#[test]
fn the_space_is_counted_and_checked() {
    let paper = ["--preset", "paper", "--max-layers", "12", "--json"];
    let mut arguments = vec!["space", "count"];
    arguments.extend(paper);
    let count = lines(&metaqnn(&arguments)).remove(0);
    assert_eq!((&count["states"], &count["actions"]), (&349.into(), &4058.into()));
    assert_eq!(count["architectures"], "57869407275938");
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines.txt");
    std::fs::write(&file, "[C(64,3,1), D(1,1), SM(10)]\n[P(2,2), SM(10)]\nnonsense\n").unwrap();
    let mut arguments = vec!["space", "check", file.to_str().unwrap()];
    arguments.extend(paper);
    let output = metaqnn(&arguments);
    assert_eq!(output.status.code(), Some(1));
    let legal: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).unwrap()["legal"].clone())
        .collect();
    assert_eq!(legal, [true, false, false]);
}

#[cfg(unix)]
#[test]
fn a_reader_that_closes_the_pipe_is_no_failure() {
    // Far more than a pipe holds.
    let mut child = Command::new(env!("CARGO_BIN_EXE_metaqnn"))
        .args(["space", "sample", "100000"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    drop(child.stdout.take());
    let output = child.wait_with_output().unwrap();
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(0), ""));
}

#[test]
fn a_training_step_is_measured() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("networks.tsv");
    std::fs::write(&file, "1x6x5\tnorm\t[C(16,3,1), FC(8), SM(3)]\n\n3x8x8\tplain\t[C(16,3,1), GAP(10), SM(10)]\n")
        .unwrap();
    let arguments = ["bench", "train", "--json", "--batch", "4", "--steps", "2", "--arch", "[C(16,3,1), SM(10)]"];
    let more = ["--input", "1x8x8", "--norm", "on", "--threads", "2", "--file", file.to_str().unwrap()];
    let measured = lines(&metaqnn(&[&arguments[..], &more[..]].concat()));
    let inputs: Vec<&str> = measured.iter().map(|line| line["input"].as_str().unwrap()).collect();
    assert_eq!(inputs, ["1x8x8", "1x6x5", "3x8x8"]);
    // The convolution has scale and shift instead of a bias where batch normalization follows.
    assert_eq!(measured[0]["params"], 9 * 16 + 2 * 16 + 16 * 64 * 10 + 10);
    assert_eq!(measured[2]["params"], 27 * 16 + 16 + 16 * 10 + 10);
    for line in &measured {
        assert_eq!((&line["batch"], &line["threads"]), (&4.into(), &2.into()));
        let number = |key: &str| line[key].as_f64().unwrap();
        assert!(number("cpu_seconds_per_step") > 0.0 && number("loss") > 0.0, "{line}");
        assert!((number("images_per_second") * number("wall_seconds_per_step") - 4.0).abs() < 1e-9, "{line}");
        let gflops = 3.0 * 4.0 * number("flops") / number("wall_seconds_per_step") / 1e9;
        assert!((number("gflops") / gflops - 1.0).abs() < 1e-9, "{line}");
    }
}

/// A file of the tests' data.
fn data(name: &str) -> String {
    format!("{}/../metaqnn-core/tests/data/{name}", env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn agents_are_measured_on_tables_and_on_a_surrogate() {
    let table = data("nas-bench-macro_cifar10.json.gz");
    let run = |threads: &str| {
        let agents = "default,random,evolution,local-search,paper";
        let arguments = ["bench", "agent", "--table", &table, "--agents", agents, "--models", "25", "--seeds", "3"];
        lines(&metaqnn(&[&arguments[..], &["--threads", threads, "--json"]].concat()))
    };
    let found = run("2");
    assert_eq!(found, run("1"), "whatever the threads");
    let agents: Vec<&str> = found.iter().map(|line| line["agent"].as_str().unwrap()).collect();
    assert_eq!(agents, ["default", "random", "evolution", "local-search", "paper"]);
    for line in &found {
        assert_eq!((line["table"].as_str(), line["seeds"].as_u64()), (Some(table.as_str()), Some(3)));
        let regret = line["regret"].as_object().unwrap();
        assert_eq!(regret.keys().map(String::as_str).collect::<Vec<_>>(), ["10", "25"]);
        assert!(regret.values().all(|it| it[0].as_f64().unwrap() >= 0.0 && it[1].as_f64().unwrap() >= 0.0), "{line}");
    }

    let folder = tempfile::tempdir().unwrap();
    let csv = folder.path().join("table.csv");
    std::fs::write(&csv, "architecture,reward,test\naa,0.5,50\nab,0.7,71\nba,0.6,60\nbb,0.8,79\n").unwrap();
    let arguments = ["bench", "agent", "--table", csv.to_str().unwrap(), "--models", "9", "--seeds", "2", "--json"];
    let found = lines(&metaqnn(&arguments)).remove(0);
    assert_eq!(found["regret"]["9"][0], 0.0, "everything was found: {found}");

    let surrogate = data("surrogate-cifar10.json.gz");
    for noise in ["0", "1"] {
        let arguments = ["bench", "agent", "--surrogate", &surrogate, "--agents", "default,random", "--models", "12"];
        let more = ["--seeds", "2", "--noise", noise, "--json"];
        for line in lines(&metaqnn(&[&arguments[..], &more].concat())) {
            assert_eq!(
                (line["surrogate"].as_str(), line["noise"].to_string()),
                (Some(&surrogate[..]), noise.to_string())
            );
            let share = |value: &Value| (0.0..=1.0).contains(&value.as_f64().unwrap());
            assert!(share(&line["best_reward"]["12"][0]) && share(&line["best_accuracy"]["10"][0]), "{line}");
            assert!(share(&line["mean_reward"]) && share(&line["failed"]), "{line}");
            assert_eq!(line["by_epsilon"][0]["epsilon"], 1.0);
        }
    }
    let output = metaqnn(&["bench", "agent", "--table", &surrogate]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stderr).contains("not a table"));
    assert_eq!(metaqnn(&["bench", "agent"]).status.code(), Some(2));
}

#[test]
fn errors_name_what_is_wrong() {
    let said = |arguments: &[&str]| {
        let output = metaqnn(arguments);
        assert!(!output.status.success());
        String::from_utf8_lossy(&output.stderr).into_owned()
    };
    assert!(said(&["search", "--device", "cuda:9"]).contains("cpu"));
    assert!(said(&["search", "--set", "training.epoch=1"]).contains("training.epoch is not a setting"));
    assert!(said(&["search", "--set", "training.epochs=0"]).contains("training.epochs = 0"));
    assert!(said(&["top", "no-such.study"]).contains("no-such.study"));
    assert!(said(&["train", "[P(9,2), SM(10)]"]).contains("layer 1"));
    assert!(said(&["bench", "train"]).contains("--arch"));
    assert!(said(&["bench", "train", "--arch", "[SM(10)]", "--device", "cuda:9"]).contains("cpu"));
    let folder = tempfile::tempdir().unwrap();
    let missing = said(&["search", "mnist", "--data-dir", folder.path().to_str().unwrap()]);
    assert!(missing.contains("metaqnn data fetch mnist"), "{missing}");
}

#[test]
fn searches_that_are_started_at_once_without_a_name_get_one_each() {
    let folder = tempfile::tempdir().unwrap();
    let searches: Vec<_> = (0..5)
        .map(|_| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_metaqnn"));
            command.args(["search", "--models", "1", "--workers", "1"]).args(TINY).current_dir(folder.path());
            command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
        })
        .collect();
    for mut search in searches {
        assert!(search.wait().unwrap().success());
    }
    let studies = std::fs::read_dir(folder.path().join("studies")).unwrap();
    let names: Vec<String> = studies.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    assert!(names.len() == 5 && names.iter().all(|name| name.ends_with(".study")), "{names:?}");
}

#[test]
fn a_resume_that_is_refused_leaves_the_schema_to_the_version_that_wrote_it() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../metaqnn-store/tests/fixtures");
    std::fs::copy(fixtures.join("schema-6.sqlite"), &study).unwrap();
    let before = std::fs::read(&study).unwrap();
    let output = metaqnn(&["resume", study.to_str().unwrap(), "--models", "1"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(std::fs::read(&study).unwrap() == before);
}

#[test]
fn a_copy_is_a_study_like_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let (study, copy) = (folder.path().join("a.study"), folder.path().join("b.study"));
    search(&study, &["--models", "3", "--workers", "1", "--seed", "2"]);
    let arguments = ["copy", study.to_str().unwrap(), copy.to_str().unwrap()];
    let told = lines(&metaqnn(&[&arguments[..], &["--json"]].concat())).remove(0);
    assert_eq!(told["bytes"], std::fs::metadata(&copy).unwrap().len());
    assert_eq!(log(&copy), log(&study));
    for path in [&study, &copy] {
        lines(&metaqnn(&["resume", path.to_str().unwrap(), "--models", "5", "--json"]));
    }
    assert_eq!(log(&copy), log(&study));
    verify(&copy);
    let refused = metaqnn(&arguments);
    assert_eq!(refused.status.code(), Some(1));
    assert!(String::from_utf8(refused.stderr).unwrap().contains("b.study: already there"));
}
