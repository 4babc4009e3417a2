//! Files that cannot grow: what a full disk does to an export, a search and the final trainings.
//!
//! A limit on the size of files takes the place of the disk: it needs no rights, and writes fail in the same way.

use std::path::Path;
use std::process::{Command, Output};

use crate::exports::finished;
use crate::program::{lines, log, metaqnn, search, verify};

/// Runs the program so that no file can be written beyond so many KiB.
fn with_files_of(kib: u32, arguments: &[&str]) -> Output {
    // The signal ignored, a write beyond the limit fails.
    let script = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
    let blocks_of_512_bytes = (2 * kib).to_string();
    let command = ["-c", script, &blocks_of_512_bytes, env!("CARGO_BIN_EXE_metaqnn")];
    Command::new("sh").args(command).args(arguments).output().unwrap()
}

/// The one line that an error is.
fn error_of(output: &Output) -> String {
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(1), "{said}");
    let error = said.lines().last().unwrap().to_owned();
    assert!(error.starts_with("error: ") && said.matches("error: ").count() == 1, "{said}");
    error
}

fn files(folder: &Path) -> Vec<String> {
    let names = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn an_export_without_room_leaves_nothing_behind() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (study, model) = (path("a.study"), path("model"));
    finished(Path::new(&study));
    let before = files(folder.path());
    let arguments = ["export", &study, "--out", &model, "--python", "/no/python"];
    let error = error_of(&with_files_of(4, &arguments));
    assert!(error.contains("model/model.safetensors: no space left to write it ("), "{error}");
    assert!(error.contains("free some and run the same command again"), "{error}");
    assert_eq!(files(folder.path()), before);
    assert!(metaqnn(&arguments).status.success());
}

#[test]
fn a_search_without_room_keeps_what_it_has_stored() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    let path = study.to_str().unwrap();
    search(&study, &["--models", "2", "--workers", "1"]);
    let error = error_of(&with_files_of(64, &["resume", path, "--models", "60"]));
    assert!(error.contains("a.study: ") && error.contains("then `metaqnn resume`"), "{error}");
    assert!(error.contains("is it full, or over a quota?") || error.contains("no space left"), "{error}");
    let stored = log(&study);
    assert!((2..60).contains(&stored.len()), "{}", stored.len());
    // What was raised by a resume that failed holds.
    lines(&metaqnn(&["resume", path, "--json"]));
    assert!(log(&study).len() >= 60);
    assert_eq!(log(&study)[..stored.len()], stored);
    verify(&study);
}

#[test]
fn final_trainings_without_room_for_their_state_go_on_when_there_is_some() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    let path = study.to_str().unwrap();
    let mut more = vec!["--models", "2", "--workers", "1", "--seed", "3"];
    more.extend(["--set", "final.training.train_images=300", "--set", "final.training.epochs=5"]);
    more.extend(["--set", "final.training.min_steps=0"]);
    search(&study, &more);
    let before = files(folder.path());
    let error = error_of(&with_files_of(64, &["final", path, "--threads", "1"]));
    assert!(error.contains(".checkpoint: the state of the training could not be kept ("), "{error}");
    assert!(error.contains("free some space, then run the same command again"), "{error}");
    // SQLite's log could not be moved into the file, which cannot grow.
    let left = files(folder.path());
    assert!(left.iter().all(|name| name.starts_with("a.study") && !name.contains("checkpoint")), "{left:?}");
    let table = lines(&metaqnn(&["final", path, "--threads", "1", "--json"])).remove(0);
    assert_eq!(table["networks"].as_array().unwrap().len(), 2);
    assert_eq!(files(folder.path()), before);
}
