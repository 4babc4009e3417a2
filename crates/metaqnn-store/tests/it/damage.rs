//! Files that are no study, or no longer one: refused in words, never with a panic.

use std::fs;
use std::path::{Path, PathBuf};

use metaqnn_store::{Detail, SCHEMA_VERSION, StoreError, StudyFile};
use rusqlite::Connection;

use crate::samples;

/// What both ways of opening say of a file; both must say the same.
fn refused(path: &Path) -> StoreError {
    let read = StudyFile::read(path).unwrap_err();
    let open = StudyFile::open(path).unwrap_err();
    assert_eq!(read.to_string(), open.to_string());
    assert!(open.to_string().starts_with(&path.canonicalize().unwrap_or(path.into()).display().to_string()), "{open}");
    // And nothing was left beside it.
    let lock = format!("{}.lock", path.display());
    assert!(!Path::new(&lock).exists());
    open
}

fn filled(folder: &Path) -> PathBuf {
    let path = folder.join("a.study");
    let mut study = StudyFile::create(&path, &samples::header()).unwrap();
    samples::fill(&mut study);
    study.close().unwrap();
    path
}

#[test]
fn what_is_no_study_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    assert!(matches!(refused(&path), StoreError::NotFound { .. }));
    let not_a_study = |path: &Path, found: &str| {
        let error = refused(path);
        assert!(matches!(error, StoreError::NotAStudy { .. }), "{error}");
        let expected = format!("not a metaqnn study, but {found}; check the path");
        assert!(error.to_string().ends_with(&expected), "{error}");
    };
    not_a_study(folder.path(), "a folder");
    fs::write(&path, "").unwrap();
    not_a_study(&path, "an empty file");
    fs::write(&path, "x").unwrap();
    not_a_study(&path, "a file too short for one");
    for text in ["some notes\n".repeat(50), "a longer text ".repeat(10_000)] {
        fs::write(&path, &text).unwrap();
        not_a_study(&path, "a file that SQLite cannot read");
        assert_eq!(fs::read_to_string(&path).unwrap(), text);
    }
    fs::remove_file(&path).unwrap();
    Connection::open(&path).unwrap().execute_batch("CREATE TABLE note (text TEXT);").unwrap();
    not_a_study(&path, "an SQLite file of another program");
    #[cfg(unix)]
    assert!(StudyFile::read("/dev/null").unwrap_err().to_string().contains("but a device or a pipe"));
}

#[test]
fn a_newer_schema_is_refused_by_both() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    let connection = Connection::open(&path).unwrap();
    // What a later version may do: all tables but the history are its own affair.
    connection
        .execute_batch(
            "DROP TABLE event; PRAGMA user_version = 9; INSERT INTO schema_history (schema, version) VALUES (9, '4.5.6');",
        )
        .unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    let error = refused(&path);
    assert!(matches!(error, StoreError::NewerSchema { found: 9, known: SCHEMA_VERSION, .. }), "{error}");
    assert!(error.to_string().contains("written by metaqnn 4.5.6: update metaqnn"), "{error}");
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn a_study_without_its_tables_is_damaged() {
    for (sql, reason) in [
        ("DROP TABLE study;", "no such table: study"),
        ("DROP TRIGGER study_deleted; DELETE FROM study;", "the table study is empty"),
        ("DROP TRIGGER study_changed; UPDATE study SET seed = 'x';", "column seed: invalid digit found in string"),
        (
            "DROP TRIGGER study_changed; UPDATE study SET class_names = '[';",
            "column class_names: EOF while parsing a list",
        ),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path());
        Connection::open(&path).unwrap().execute_batch(sql).unwrap();
        let error = StudyFile::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error}");
        assert!(error.to_string().contains(reason), "{error}");
        assert_eq!(StudyFile::read(&path).unwrap().header().unwrap_err().to_string(), error.to_string());
    }
}

#[test]
fn values_that_mean_nothing_are_named_by_column() {
    for (table, change, reason) in [
        ("trial", "architecture = '[nonsense]' WHERE trial = 100", "column architecture: "),
        ("trial", "failure = '{}' WHERE trial = 72", "column failure: missing field `kind`"),
        ("trial", "valid_accuracy = 1.5 WHERE trial = 100", "column valid_accuracy: 1.5 is not in [0, 1]"),
        ("trial", "params = -1 WHERE trial = 100", "column params: a number below 0"),
        ("trial", "tries = 5000000000 WHERE trial = 100", "column tries: "),
        ("event", "event = 99 WHERE event = 9", "column event: 99 follows where 9 should be"),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path());
        let sql = format!("DROP TRIGGER {table}_changed; UPDATE {table} SET {change};");
        Connection::open(&path).unwrap().execute_batch(&sql).unwrap();
        let error = StudyFile::read(&path).unwrap().visit_events(&mut |_| true).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{error:?}");
        assert!(error.to_string().contains(reason), "{error}");
    }
}

/// Everything a study can be asked. Each answer is right or an error.
fn ask_everything(path: &Path) -> Result<(), StoreError> {
    let study = StudyFile::open(path)?;
    let reader = study.reader();
    reader.header()?;
    reader.counts()?;
    reader.top(10)?;
    reader.run_seconds()?;
    for record in reader.candidates()? {
        reader.validation_probabilities(record.trial)?;
    }
    reader.final_plan()?;
    reader.ensemble()?;
    for record in reader.finals()? {
        reader.final_weights(record.trial)?;
    }
    let mut trials = Vec::new();
    reader.visit_trials(Detail::Summary, &mut |trial| {
        trials.push(trial.record.trial);
        true
    })?;
    for trial in trials {
        reader.trial(trial)?;
    }
    reader.visit_events(&mut |_| true)?;
    study.close()
}

#[test]
fn a_file_cut_off_anywhere_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    let whole = fs::read(&path).unwrap();
    for length in
        [1, 15, 16, 99, 100, 511, 512, 4_095, 4_096, 8_192, whole.len() / 2, whole.len() - 4_096, whole.len() - 1]
    {
        fs::write(&path, &whole[..length]).unwrap();
        let error = refused(&path);
        assert!(matches!(error, StoreError::NotAStudy { .. } | StoreError::Damaged { .. }), "{length}: {error:?}");
        assert_eq!(fs::read(&path).unwrap(), &whole[..length], "{length}");
    }
    fs::write(&path, &whole).unwrap();
    ask_everything(&path).unwrap();
}

#[test]
fn a_page_of_rubbish_is_an_error_where_it_is_met() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    let whole = fs::read(&path).unwrap();
    let mut noticed = 0;
    let pages = whole.len() / 4_096;
    for page in 0..pages {
        for byte in [0x00, 0xa5, 0xff] {
            let mut damaged = whole.clone();
            damaged[page * 4_096..][..4_096].fill(byte);
            fs::write(&path, &damaged).unwrap();
            match ask_everything(&path) {
                Ok(()) => {}
                Err(StoreError::Damaged { .. } | StoreError::NotAStudy { .. }) => noticed += 1,
                Err(error) => panic!("page {page} of {byte:#x}: {error:?}"),
            }
        }
    }
    // All pages but those of indexes that no question needs.
    assert!(noticed > 3 * (pages - 5), "{noticed} of {} noticed", 3 * pages);
}
