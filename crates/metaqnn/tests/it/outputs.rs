//! Standard output and standard error that nobody reads or that cannot take any more.

use std::fs::OpenOptions;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::program::{TINY, log, search, verify};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_metaqnn"));
    command.args(arguments);
    command
}

/// The writing end of a pipe that nobody reads.
fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

/// What takes nothing, as a full disk.
fn full() -> Stdio {
    OpenOptions::new().write(true).open("/dev/full").unwrap().into()
}

fn search_arguments(study: &Path) -> Vec<&str> {
    let mut arguments = vec!["search", "--models", "4", "--workers", "1", "--study", study.to_str().unwrap()];
    arguments.extend(TINY);
    arguments
}

#[test]
fn a_search_goes_on_without_a_reader_of_its_progress() {
    let folder = tempfile::tempdir().unwrap();
    for (name, nobody) in [("closed", closed_pipe()), ("full", full())] {
        let study = folder.path().join(name);
        let output = command(&search_arguments(&study)).stderr(nobody).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{name}");
        assert!(String::from_utf8_lossy(&output.stdout).contains("4 networks trained"), "{name}");
        assert_eq!(log(&study).len(), verify(&study)["trials"].as_u64().unwrap() as usize);
    }
}

#[test]
fn a_search_whose_results_cannot_be_written_keeps_its_study_and_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for (name, nobody, status) in [("closed", closed_pipe(), 0), ("full", full(), 1)] {
        let study = folder.path().join(name);
        let output = command(&search_arguments(&study)).stdout(nobody).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(status), "{name}: {said}");
        assert_eq!(said.matches("standard output").count(), status as usize, "{said}");
        assert!(
            status == 0 || said.lines().last().unwrap().starts_with("error: the results cannot be written"),
            "{said}"
        );
        assert!(!said.contains("panicked"), "{said}");
        verify(&study);
        // The study was closed.
        for beside in [".lock", ".running", "-wal"] {
            assert!(!folder.path().join(format!("{name}{beside}")).exists(), "{name}{beside}");
        }
    }
}

#[test]
fn every_verb_takes_a_reader_that_leaves_and_a_disk_that_is_full() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    search(&study, &["--models", "2", "--workers", "1"]);
    let (study, report) = (study.to_str().unwrap(), folder.path().join("a.html"));
    let report = report.to_str().unwrap();
    let architecture = "[C(16,3,1), SM(10)]";
    let train = ["--set", "training.train_images=300", "--set", "training.min_steps=100"];
    let verbs: [&[&str]; 14] = [
        &["top", study],
        &["show", study],
        &["show", study, "1", "--json"],
        &["log", study, "--json"],
        &["qvalues", study],
        &["config"],
        &["data", "list"],
        &["data", "check", "digits"],
        &["space", "count"],
        &["space", "sample", "1000000"],
        &["report", study, "--out", report, "--json"],
        &["bench", "train", "--arch", architecture, "--input", "1x8x8", "--batch", "2", "--steps", "1"],
        &[&["train", architecture, "--data", "digits", "--json"], &train[..]].concat(),
        &["resume", study, "--json"],
    ];
    for verb in verbs {
        for (nobody, status) in [(closed_pipe(), 0), (full(), 1)] {
            let output = command(verb).stdout(nobody).output().unwrap();
            let said = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(status), "{verb:?}: {said}");
            assert_eq!(said.contains("error: the results cannot be written"), status == 1, "{verb:?}: {said}");
            assert!(!said.contains("panicked"), "{verb:?}: {said}");
        }
        let output = command(verb).stderr(closed_pipe()).output().unwrap();
        assert_eq!(output.status.code(), Some(0), "{verb:?} without standard error");
    }
    // An error that nobody hears is one all the same.
    let output = command(&["top", "/no/such/study"]).stderr(full()).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
}
