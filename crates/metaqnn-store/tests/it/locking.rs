//! One coordinator at a time.

use std::fs;
use std::path::Path;

use metaqnn_core::ports::Storage;
use metaqnn_store::{StoreError, StudyFile, copy_study};

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

/// Numbers of the events stored in the study at `path`.
fn events(path: &Path) -> u64 {
    StudyFile::read(path).unwrap().counts().unwrap().events
}

#[cfg(target_os = "linux")]
#[test]
fn another_name_of_a_study_is_no_way_around_the_lock() {
    let folder = tempfile::tempdir().unwrap();
    let (path, link) = (folder.path().join("a.study"), folder.path().join("b.study"));
    let mut study = StudyFile::create(&path, &samples::header()).unwrap();
    fs::hard_link(&path, &link).unwrap();
    let refused = child::start("coordinator", &link).hear().unwrap();
    assert!(refused.contains("b.study: run by another metaqnn (under another name of the file)"), "{refused}");
    assert!(matches!(StudyFile::open(&link), Err(StoreError::Locked { .. })));
    // Neither refusal let go of a lock of SQLite's.
    study.append(&samples::trial_event(0, 1)).unwrap();
    fs::rename(&path, folder.path().join("c.study")).unwrap();
    let refused = child::start("coordinator", &folder.path().join("c.study")).hear().unwrap();
    assert!(refused.contains("under another name"), "{refused}");
    drop(study);
    assert_eq!(events(&folder.path().join("c.study")), 1);
    StudyFile::open(&link).unwrap().close().unwrap();
}

#[cfg(unix)]
#[test]
fn a_study_that_moves_is_left_whole_where_it_is() {
    let folder = tempfile::tempdir().unwrap();
    let (path, moved) = (folder.path().join("a.study"), folder.path().join("moved.study"));
    let mut study = StudyFile::create(&path, &samples::header()).unwrap();
    for number in 0..20 {
        study.append(&samples::trial_event(number, number + 1)).unwrap();
    }
    study.check_in_place().unwrap();
    fs::rename(&path, &moved).unwrap();
    let error = study.check_in_place().unwrap_err().to_string();
    assert!(error.contains("a.study: it is not there any more: it was renamed, deleted or replaced"), "{error}");
    assert!(matches!(study.append(&samples::trial_event(20, 21)), Err(StoreError::Moved { .. })));
    fs::write(&path, "something else").unwrap();
    let error = study.append(&samples::trial_event(20, 21)).unwrap_err().to_string();
    assert!(error.contains("another file is in its place"), "{error}");
    fs::remove_file(&path).unwrap();
    drop(study);
    assert_eq!(events(&moved), 20);
    let mut study = StudyFile::open(&moved).unwrap();
    study.append(&samples::trial_event(20, 21)).unwrap();
    study.close().unwrap();
    assert_eq!(folder.path().read_dir().unwrap().count(), 1);
}

#[test]
fn a_log_of_another_state_of_the_file_is_not_laid_over_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let (path, backup) = (file("a.study"), file("backup.study"));
    let mut study = StudyFile::create(&path, &samples::header()).unwrap();
    study.append(&samples::trial_event(0, 1)).unwrap();
    study.close().unwrap();
    copy_study(&path, &backup).unwrap();
    let mut study = StudyFile::open(&path).unwrap();
    for number in 1..20 {
        study.append(&samples::trial_event(number, number + 1)).unwrap();
    }
    study.close().unwrap();
    // Killed, with a log beside it; then the copy is put back.
    let mut other = child::start("writer", &path);
    while other.hear().unwrap() != "25" {}
    other.kill();
    assert!(fs::metadata(file("a.study-wal")).unwrap().len() > 0);
    fs::copy(&backup, &path).unwrap();
    let before = fs::read(&path).unwrap();
    for error in [StudyFile::read(&path).unwrap_err(), StudyFile::open(&path).unwrap_err()] {
        assert!(matches!(error, StoreError::StaleLog { .. }), "{error}");
        let said = error.to_string();
        assert!(said.contains("a.study-wal beside it is the log of another state of the file"), "{said}");
    }
    assert_eq!(fs::read(&path).unwrap(), before);
    fs::remove_file(file("a.study-wal")).unwrap();
    assert_eq!(events(&path), 1);
    let mut study = StudyFile::open(&path).unwrap();
    study.append(&samples::trial_event(1, 2)).unwrap();
    study.close().unwrap();
}

#[test]
fn a_study_that_is_opened_and_refused_stays_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    for schema in 1..=metaqnn_store::SCHEMA_VERSION {
        fs::copy(crate::fixture::fixture(schema), &path).unwrap();
        let before = fs::read(&path).unwrap();
        let study = StudyFile::open(&path).unwrap();
        assert_eq!(study.header().unwrap(), samples::header());
        drop(study);
        assert!(fs::read(&path).unwrap() == before, "schema {schema} was changed");
        assert_eq!(folder.path().read_dir().unwrap().count(), 1);
    }
}

#[test]
fn a_study_that_runs_is_copied_as_of_one_moment() {
    let folder = tempfile::tempdir().unwrap();
    let file = |name: &str| folder.path().join(name);
    let path = file("a.study");
    StudyFile::create(&path, &samples::header()).unwrap().close().unwrap();
    let mut writer = child::start("writer", &path);
    let mut stored = 0;
    for number in 0..10 {
        while stored < 15 * number {
            stored = writer.hear().unwrap().parse().unwrap();
        }
        let copy = file(&format!("{number}.study"));
        copy_study(&path, &copy).unwrap();
        let copied = events(&copy);
        assert!(copied > stored || number == 0, "{copied} events, though event {stored} was stored");
        let mut numbers = 0..;
        let reader = StudyFile::read(&copy).unwrap();
        reader.visit_events(&mut |event| event.number == numbers.next().unwrap()).unwrap();
        assert_eq!(numbers.start, copied);
    }
    assert!(matches!(copy_study(&path, file("3.study")), Err(StoreError::Exists { .. })));
    writer.kill();
    // And of one that was killed.
    copy_study(&path, file("killed.study")).unwrap();
    assert!(events(&file("killed.study")) > stored);
    // Of an older schema too, which stays as it is.
    copy_study(crate::fixture::fixture(1), file("old.study")).unwrap();
    assert!(matches!(StudyFile::read(file("old.study")), Err(StoreError::OlderSchema { found: 1, .. })));
    StudyFile::open(file("old.study")).unwrap();
}
