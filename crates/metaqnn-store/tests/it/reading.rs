//! Readers: beside a coordinator, and where nothing can be written.

use std::fs;
use std::path::{Path, PathBuf};

use metaqnn_core::ports::Storage;
use metaqnn_store::{StoreError, StudyFile};

use crate::{child, samples};

fn files(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        folder.read_dir().unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

fn study(folder: &Path) -> (PathBuf, StudyFile) {
    let path = folder.join("a.study");
    let mut study = StudyFile::create(&path, &samples::header()).unwrap();
    study.append(&samples::trial_event(0, 1)).unwrap();
    (path, study)
}

#[test]
fn a_reader_follows_a_running_study() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut study) = study(folder.path());
    let reader = StudyFile::read(&path).unwrap();
    assert_eq!(reader.counts().unwrap().events, 1);
    let mut other = child::start("reader", &path);
    assert_eq!(other.hear().unwrap(), "1 events");
    study.append(&samples::trial_event(1, 2)).unwrap();
    assert_eq!(reader.counts().unwrap().events, 2);
    assert_eq!(reader.header().unwrap(), study.header().unwrap());
    other.dismiss();

    // What is stored while a reader goes through the log is not seen by it, and is not held up by it.
    let mut seen = 0;
    reader
        .visit_events(&mut |_| {
            seen += 1;
            study.append(&samples::trial_event(1 + seen, 2 + seen)).unwrap();
            true
        })
        .unwrap();
    assert_eq!((seen, reader.counts().unwrap().events), (2, 4));
}

#[test]
fn a_reader_outlives_coordinators() {
    let folder = tempfile::tempdir().unwrap();
    let (path, study) = study(folder.path());
    let reader = StudyFile::read(&path).unwrap();
    assert_eq!(reader.counts().unwrap().events, 1);
    // The reader is connected: everything is in the file, but SQLite's files beside it must stay.
    study.close().unwrap();
    assert_eq!(files(folder.path()), ["a.study", "a.study-shm", "a.study-wal"]);
    assert_eq!(fs::metadata(folder.path().join("a.study-wal")).unwrap().len(), 0);
    let mut study = StudyFile::open(&path).unwrap();
    study.append(&samples::trial_event(1, 2)).unwrap();
    assert_eq!(reader.counts().unwrap().events, 2);
    drop(reader);
    study.close().unwrap();
    assert_eq!(files(folder.path()), ["a.study"]);

    // The other way round: a reader of a study at rest is not in the way of one that begins.
    let reader = StudyFile::read(&path).unwrap();
    assert_eq!(reader.counts().unwrap().events, 2);
    let mut study = StudyFile::open(&path).unwrap();
    study.append(&samples::trial_event(2, 3)).unwrap();
    assert_eq!(reader.counts().unwrap().events, 3);
}

#[test]
fn reading_writes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let (path, mut study) = study(folder.path());
    samples_final(&mut study);
    study.close().unwrap();
    let before = (fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap());
    let reader = StudyFile::read(&path).unwrap();
    assert_eq!(reader.top(3).unwrap().len(), 1);
    assert_eq!(reader.finals().unwrap().len(), 1);
    assert_eq!(files(folder.path()), ["a.study"]);
    drop(reader);
    assert_eq!((fs::read(&path).unwrap(), fs::metadata(&path).unwrap().modified().unwrap()), before);
    assert_eq!(files(folder.path()), ["a.study"]);
}

fn samples_final(study: &mut StudyFile) {
    study.store_final(&samples::final_record(1)).unwrap();
}

/// What a user without any rights but to read sees of the study at `path`, in a folder that is made read-only.
#[cfg(unix)]
fn seen_by_others(part: &str, path: &Path, file_mode: u32) -> String {
    use std::os::unix::fs::PermissionsExt;
    use std::os::unix::process::CommandExt;
    let set_mode = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    // Nobody may look into the folder of the tests' program, so a copy is taken along.
    let elsewhere = tempfile::tempdir().unwrap();
    let program = elsewhere.path().join("tests");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    set_mode(elsewhere.path(), 0o755);
    set_mode(&program, 0o755);
    let folder = path.parent().unwrap();
    let inside: Vec<_> = files(folder).iter().map(|name| folder.join(name)).collect();
    inside.iter().for_each(|file| set_mode(file, file_mode));
    set_mode(folder, 0o555);
    let mut command = child::command(&program, part, path);
    command.current_dir("/");
    // The rights of root know no bounds: as root the part is played by nobody.
    if may_write(folder) {
        command.uid(65_534).gid(65_534);
    }
    let said = child::Part::start(command).hear().unwrap();
    set_mode(folder, 0o755);
    inside.iter().for_each(|file| set_mode(file, 0o644));
    said
}

#[cfg(unix)]
fn may_write(folder: &Path) -> bool {
    tempfile::tempfile_in(folder).is_ok()
}

#[cfg(unix)]
#[test]
fn a_study_can_be_read_where_nothing_can_be_written() {
    let folder = tempfile::tempdir().unwrap();
    let (path, study) = study(folder.path());
    study.close().unwrap();
    assert_eq!(seen_by_others("reader", &path, 0o444), "1 events");
    let refused = seen_by_others("coordinator", &path, 0o444);
    assert!(refused.contains("a.study.lock: cannot create the lock file: Permission denied"), "{refused}");
    let refused = seen_by_others("reader", &path, 0o000);
    assert!(refused.contains("a.study: cannot open: "), "{refused}");
    assert!(refused.ends_with("; check the permissions of the file and its folder"), "{refused}");
}

#[cfg(unix)]
#[test]
fn a_killed_study_in_a_read_only_folder_is_read_or_refused_never_half() {
    let folder = tempfile::tempdir().unwrap();
    let (path, study) = study(folder.path());
    study.close().unwrap();
    let mut writer = child::start("writer", &path);
    writer.hear().unwrap();
    writer.kill();
    let mut stored: u64 = 0;
    StudyFile::read(&path)
        .unwrap()
        .visit_events(&mut |_| {
            stored += 1;
            true
        })
        .unwrap();
    assert!(stored >= 2);
    // With SQLite's files beside it, all is there to be read.
    assert_eq!(seen_by_others("reader", &path, 0o444), format!("{stored} events"));
    // Without the shared memory, which was not copied for example, the log cannot be read.
    fs::remove_file(folder.path().join("a.study-shm")).unwrap();
    let refused = seen_by_others("reader", &path, 0o444);
    assert!(
        refused.contains("a.study: its last run did not end cleanly, and here the file can only be read"),
        "{refused}"
    );
    // Without the log the file is what it was before the run, though SQLite still asks for shared memory.
    fs::remove_file(folder.path().join("a.study-wal")).unwrap();
    assert_eq!(seen_by_others("reader", &path, 0o444), "1 events");
}

#[cfg(unix)]
#[test]
fn a_study_that_is_read_only_is_not_opened_for_writing() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let (path, study) = study(folder.path());
    study.close().unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o444)).unwrap();
    // Root may all the same.
    match StudyFile::open(&path) {
        Err(error) => assert!(matches!(error, StoreError::NotPermitted { .. }), "{error}"),
        Ok(_) => assert!(fs::OpenOptions::new().write(true).open(&path).is_ok()),
    }
}
