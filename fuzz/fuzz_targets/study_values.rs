//! A sound SQLite file with values that mean nothing: the input names a table, a column and a value for it, several times over.

#![no_main]

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use metaqnn_fuzz::{ask_everything, demand_words, lay, scratch};
use metaqnn_store::SCHEMA_VERSION;
use rusqlite::Connection;
use rusqlite::types::Value;

static FILE: LazyLock<PathBuf> = LazyLock::new(|| scratch("study_values").join("a.study"));

struct Study {
    file: Vec<u8>,
    /// Each with the table that it is of.
    columns: Vec<(String, String)>,
}

/// A study with something in every table, its triggers dropped, so that it can be changed.
static STUDY: LazyLock<Study> = LazyLock::new(|| {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../crates/metaqnn-store/tests/fixtures");
    let fixture = fixtures.join(format!("schema-{SCHEMA_VERSION}.sqlite"));
    lay(&FILE, &std::fs::read(fixture).expect("there is a study of the current schema"));
    ask_everything(&FILE).expect("it is sound");
    let connection = Connection::open(&*FILE).expect("the fixture is a study");
    let texts = |sql: &str| -> Vec<(String, String)> {
        let mut statement = connection.prepare(sql).expect("the question is sound");
        let rows = statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?))).expect("it is answered");
        rows.collect::<Result<_, _>>().expect("by texts")
    };
    for (name, _) in texts("SELECT name, sql FROM sqlite_schema WHERE type = 'trigger'") {
        connection.execute_batch(&format!("DROP TRIGGER {name}")).expect("the trigger is there");
    }
    let columns =
        texts("SELECT t.name, c.name FROM sqlite_schema t, pragma_table_info(t.name) c WHERE t.type = 'table'");
    drop(connection);
    Study { file: std::fs::read(&*FILE).expect("the study can be read"), columns }
});

fuzz_target!(|bytes: &[u8]| {
    let Study { file, columns } = &*STUDY;
    lay(&FILE, file);
    let connection = Connection::open(&*FILE).expect("the study is sound");
    // It is of no use after a crash.
    let _ = connection
        .execute_batch("PRAGMA ignore_check_constraints = ON; PRAGMA synchronous = OFF; PRAGMA journal_mode = MEMORY;");
    let mut rest = bytes;
    while let [column, row, kind, length, after @ ..] = rest {
        let (text, left) = after.split_at(usize::from(*length).min(after.len()));
        rest = left;
        let (table, column) = &columns[usize::from(*column) % columns.len()];
        let mut word = [0; 8];
        word[..text.len().min(8)].copy_from_slice(&text[..text.len().min(8)]);
        let value = match kind % 5 {
            0 => Value::Null,
            1 => Value::Integer(i64::from_le_bytes(word)),
            2 => Value::Real(f64::from_le_bytes(word)),
            3 => Value::Text(String::from_utf8_lossy(text).into_owned()),
            _ => Value::Blob(text.to_vec()),
        };
        // A value that the schema refuses stays what it was. One row in four is changed, or all.
        let rows = if row % 2 == 0 {
            "".to_owned()
        } else {
            format!(" WHERE {column} = (SELECT {column} FROM {table} LIMIT 1 OFFSET {})", row / 2)
        };
        let _ = connection.execute(&format!("UPDATE {table} SET {column} = ?1{rows}"), [value]);
    }
    drop(connection);
    if let Err(error) = ask_everything(&FILE) {
        demand_words(&error);
    }
});
