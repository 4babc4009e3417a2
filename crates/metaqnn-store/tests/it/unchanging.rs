//! The file itself refuses that what is stored changes, whichever program writes to it.

use metaqnn_store::StudyFile;
use rusqlite::Connection;

use crate::samples;

#[test]
fn what_is_stored_cannot_be_changed_by_sql() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    let mut study = StudyFile::create_of_data(&path, &samples::header(), Some(&samples::data_reading())).unwrap();
    samples::fill(&mut study);
    let before = crate::storage_contract::log(&study);
    study.close().unwrap();

    let connection = Connection::open(&path).unwrap();
    let trial = |number: u64, name: &str| {
        format!(
            "INSERT OR REPLACE INTO trial VALUES ({number}, '[C({name},3,1), SM(3)]', '1', 1, 1, 'complete', 0.5, NULL, NULL, 1, 1, 1.0)"
        )
    };
    let refused = [
        ("UPDATE trial SET valid_accuracy = 1.0 WHERE trial = 100", "a finished trial never changes"),
        ("DELETE FROM trial", "a finished trial never changes"),
        (&trial(100, "999"), "a finished trial never changes"),
        (&trial(999, "100"), "a finished trial never changes"),
        ("UPDATE curve SET train_loss = 1.0", "a finished trial never changes"),
        ("DELETE FROM curve", "a finished trial never changes"),
        ("INSERT INTO curve VALUES (100, 3, 1.0, 1.0)", "a finished trial never changes"),
        ("INSERT OR REPLACE INTO curve VALUES (100, 1, 1.0, 1.0)", "a finished trial never changes"),
        ("UPDATE transition SET reward = 1.0", "a finished trial never changes"),
        ("DELETE FROM transition", "a finished trial never changes"),
        ("INSERT INTO transition VALUES (100, 2, 'a', 'b', 1.0, 'c')", "a finished trial never changes"),
        ("UPDATE event SET epsilon = 1.0", "the log never changes"),
        ("DELETE FROM event WHERE event = 9", "the log never changes"),
        ("INSERT INTO event VALUES (11, 'repeat', 100, 0.1, 'x', 1.0)", "numbered from 0 without gaps"),
        ("INSERT OR REPLACE INTO event VALUES (9, 'repeat', 100, 0.1, 'x', 1.0)", "numbered from 0 without gaps"),
        ("INSERT INTO event VALUES (10, 'trial', 100, 0.1, 'x', 1.0)", "UNIQUE constraint failed: event.trial"),
        ("INSERT INTO event VALUES (10, 'repeat', 99, 0.1, 'x', 1.0)", "FOREIGN KEY constraint failed"),
        ("UPDATE raised_limits SET models = 1", "what a run was told never changes"),
        ("DELETE FROM raised_limits", "what a run was told never changes"),
        ("INSERT OR REPLACE INTO raised_limits VALUES (1, 0, 1, 1.0)", "what a run was told never changes"),
        ("UPDATE study SET seed = '1'", "what a study says of itself never changes"),
        ("DELETE FROM study", "what a study says of itself never changes"),
        ("UPDATE data_reading SET reading = ''", "what a study says of itself never changes"),
        ("DELETE FROM data_reading", "what a study says of itself never changes"),
        ("INSERT OR REPLACE INTO data_reading SELECT * FROM data_reading", "what a study says of itself never changes"),
        ("INSERT OR REPLACE INTO study SELECT * FROM study", "what a study says of itself never changes"),
    ];
    connection.pragma_update(None, "foreign_keys", true).unwrap();
    for (sql, reason) in refused {
        let error = connection.execute(sql, []).unwrap_err().to_string();
        assert!(error.contains(reason), "{sql}: {error}");
    }
    drop(connection);
    assert_eq!(crate::storage_contract::log(&StudyFile::open(&path).unwrap()), before);
}
