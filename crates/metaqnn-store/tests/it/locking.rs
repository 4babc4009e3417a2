//! One coordinator at a time.

use std::fs;

use metaqnn_core::ports::Storage;
use metaqnn_store::{StoreError, StudyFile};

use crate::{child, samples};

#[test]
fn a_second_coordinator_is_refused_and_told_who_runs_the_study() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    let lock = folder.path().join("a.study.lock");
    let study = StudyFile::create(&path, &samples::header()).unwrap();
    assert!(fs::read_to_string(&lock).unwrap().starts_with(&format!("process {} on host ", std::process::id())));

    // In another process and in this one.
    let refused = child::start("coordinator", &path).hear().unwrap();
    let expected = format!("a.study: run by another metaqnn (process {} on host ", std::process::id());
    assert!(refused.contains(&expected), "{refused}");
    assert!(refused.ends_with("; wait for it or stop it; `top`, `show` and `log` work while it runs"), "{refused}");
    assert!(matches!(StudyFile::open(&path), Err(StoreError::Locked { .. })));
    assert!(lock.exists());

    study.close().unwrap();
    assert!(!lock.exists());
    let mut other = child::start("coordinator", &path);
    assert_eq!(other.hear().unwrap(), "open");
    assert!(matches!(StudyFile::open(&path), Err(StoreError::Locked { .. })));
    other.dismiss();
    assert!(!lock.exists());
}

#[test]
fn the_lock_of_a_killed_coordinator_is_free() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    StudyFile::create(&path, &samples::header()).unwrap().close().unwrap();
    let mut other = child::start("coordinator", &path);
    assert_eq!(other.hear().unwrap(), "open");
    other.kill();
    assert!(folder.path().join("a.study.lock").exists());
    StudyFile::open(&path).unwrap().close().unwrap();
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[cfg(unix)]
#[test]
fn a_link_to_a_study_is_no_way_around_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    let link = folder.path().join("link.study");
    std::os::unix::fs::symlink(&path, &link).unwrap();
    // A link that leads nowhere yet is in the way of a new study, which would take its place.
    assert!(matches!(StudyFile::create(&link, &samples::header()), Err(StoreError::Exists { .. })));
    let study = StudyFile::create(&path, &samples::header()).unwrap();
    assert!(matches!(StudyFile::open(&link), Err(StoreError::Locked { .. })));
    drop(study);
    StudyFile::open(&link).unwrap();
}

#[test]
fn a_new_study_takes_the_place_of_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    fs::write(&path, "my notes").unwrap();
    let error = StudyFile::create(&path, &samples::header()).unwrap_err();
    assert!(matches!(error, StoreError::Exists { .. }));
    assert!(error.to_string().contains("a.study: already there; go on with it by `metaqnn resume`"), "{error}");
    assert_eq!(fs::read_to_string(&path).unwrap(), "my notes");

    let error = StudyFile::create(folder.path().join("no/such/b.study"), &samples::header()).unwrap_err();
    assert!(error.to_string().contains("b.study: cannot create the study: its folder is not there"), "{error}");

    // What cannot be stored leaves nothing behind, no half a file and no lock.
    let mut header = samples::header();
    header.input.channels = 0;
    let error = StudyFile::create(folder.path().join("b.study"), &header).unwrap_err();
    assert!(error.to_string().contains("the input shape cannot be stored: 0x32x48 is out of range"), "{error}");
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn a_study_that_is_dropped_is_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    let mut study = StudyFile::create(&path, &samples::header()).unwrap();
    study.append(&samples::trial_event(0, 1)).unwrap();
    let beside = || folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect::<Vec<_>>();
    let mut running = beside();
    running.sort();
    assert_eq!(running, ["a.study", "a.study-shm", "a.study-wal", "a.study.lock"]);
    drop(study);
    assert_eq!(beside(), ["a.study"]);
}
