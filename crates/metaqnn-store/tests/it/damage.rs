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
            "DROP TABLE event; PRAGMA user_version = 999; INSERT INTO schema_history (schema, version) VALUES (999, '4.5.6');",
        )
        .unwrap();
    drop(connection);
    let before = fs::read(&path).unwrap();
    let error = refused(&path);
    assert!(matches!(error, StoreError::NewerSchema { found: 999, known: SCHEMA_VERSION, .. }), "{error}");
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

/// Changes the study at `path` by `sql` as a program could that knows nothing of its triggers and checks.
fn tamper(path: &Path, sql: &str) {
    let connection = Connection::open(path).unwrap();
    let triggers: Vec<(String, String)> = connection
        .prepare("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'")
        .unwrap()
        .query_map([], |row| Ok((row.get(0)?, row.get(1)?)))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    connection.execute_batch("PRAGMA ignore_check_constraints = 1; PRAGMA foreign_keys = 0;").unwrap();
    for (name, _) in &triggers {
        connection.execute_batch(&format!("DROP TRIGGER {name};")).unwrap();
    }
    connection.execute_batch(sql).unwrap();
    for (_, statement) in &triggers {
        connection.execute_batch(statement).unwrap();
    }
}

/// What a change of rows is, whatever its values mean: nobody must notice but by the checksums.
const CHANGES: [&str; 24] = [
    "UPDATE trial SET valid_accuracy = 0.999 WHERE trial = 100",
    "UPDATE trial SET params = 1, flops = 2, train_seconds = 9.0",
    "UPDATE trial SET seed = '5' WHERE trial = 100",
    "UPDATE curve SET train_loss = 0.5",
    "DELETE FROM curve WHERE trial = 100",
    "UPDATE transition SET reward = 0.1 WHERE reward IS NOT NULL",
    "DELETE FROM transition WHERE trial = 100",
    "UPDATE event SET epsilon = 0.77 WHERE event = 3",
    "UPDATE event SET run_seconds = 0.5",
    "DELETE FROM event WHERE event = (SELECT max(event) FROM event)",
    "DELETE FROM event WHERE event > 4; DELETE FROM checksum WHERE part = 'event' AND row > 4",
    "DELETE FROM event WHERE event = 3; DELETE FROM checksum WHERE part = 'event' AND row = 3;
     UPDATE event SET event = event - 1 WHERE event > 3; UPDATE checksum SET row = row - 1 WHERE part = 'event' AND row > 3",
    "UPDATE final SET test_accuracy = 0.9999",
    "UPDATE final SET train_losses = '[1.0]'",
    "DELETE FROM final WHERE trial = 100",
    "UPDATE candidate SET valid_accuracy = 0.1",
    "UPDATE ensemble SET test_accuracy = 0.9999",
    "DELETE FROM ensemble_member WHERE place = 2",
    "INSERT INTO final_plan VALUES (72, 3, 1, 1)",
    "UPDATE final_plan SET final_epochs = 4000000000",
    "UPDATE run SET run_seconds = -1e308",
    "UPDATE raised_limits SET models = 9",
    "UPDATE study SET class_names = '[\"a\",\"b\"]'",
    "UPDATE study SET data_fingerprint = 'x'",
];

#[test]
fn a_change_of_any_row_is_found_and_nothing_goes_on_with_it() {
    for sql in CHANGES {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path());
        let verified = StudyFile::read(&path).unwrap().verify().unwrap();
        assert!(verified.events > 8 && verified.rows > 8 && verified.blobs > 2, "{verified:?}");
        tamper(&path, sql);
        let before = fs::read(&path).unwrap();
        let error = StudyFile::read(&path).unwrap().verify().unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{sql}: {error:?}");
        let error = StudyFile::open(&path).unwrap_err();
        assert!(matches!(error, StoreError::Damaged { .. }), "{sql}: {error:?}");
        assert!(error.to_string().contains("restore it from a copy"), "{error}");
        assert!(fs::read(&path).unwrap() == before, "{sql}");
    }
}

#[test]
fn weights_and_probabilities_that_are_not_what_was_stored_are_not_given() {
    let trial = metaqnn_core::study::TrialNumber(100);
    for (sql, of_final) in [
        ("UPDATE final SET weights = x'0011'", true),
        ("UPDATE final SET weights = CAST(substr(weights, 1, length(weights) - 1) || x'07' AS BLOB)", true),
        ("UPDATE validation SET probabilities = zeroblob(length(probabilities))", false),
    ] {
        let folder = tempfile::tempdir().unwrap();
        let path = filled(folder.path());
        tamper(&path, sql);
        let reader = StudyFile::read(&path).unwrap();
        let given = [reader.final_weights(trial).map(|_| ()), reader.validation_probabilities(trial).map(|_| ())];
        assert_eq!(given.map(|given| given.is_err()), [of_final, !of_final], "{sql}");
        assert!(matches!(reader.verify(), Err(StoreError::Damaged { .. })), "{sql}");
        // A run goes on until it needs them.
        StudyFile::open(&path).unwrap();
    }
}

#[test]
fn triggers_that_are_gone_and_rows_that_refer_to_nothing_are_found() {
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    Connection::open(&path).unwrap().execute_batch("DROP TRIGGER trial_changed").unwrap();
    let error = StudyFile::read(&path).unwrap().verify().unwrap_err().to_string();
    assert!(error.contains("its tables and triggers are not those of its schema"), "{error}");
    let folder = tempfile::tempdir().unwrap();
    let path = filled(folder.path());
    tamper(&path, "DELETE FROM trial WHERE trial = 100");
    let error = StudyFile::read(&path).unwrap().verify().unwrap_err().to_string();
    assert!(error.contains("refers to "), "{error}");
}

#[test]
fn a_study_of_before_there_were_checksums_has_them_once_it_was_written_to() {
    for schema in 1..8 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.study");
        fs::copy(crate::fixture::fixture(schema), &path).unwrap();
        let mut study = StudyFile::open(&path).unwrap();
        study.begin_writing().unwrap();
        study.close().unwrap();
        StudyFile::read(&path).unwrap().verify().unwrap();
        tamper(&path, CHANGES[0]);
        assert!(matches!(StudyFile::open(&path), Err(StoreError::Damaged { .. })), "schema {schema}");
    }
}
