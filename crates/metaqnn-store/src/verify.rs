//! Whether a study is what was stored.

use rusqlite::Connection;

use crate::checksums::{Checksums, EVENT, PARTS};
use crate::error::StoreError;
use crate::schema::Schema;
use crate::study_reader::StudyReader;

/// What [`StudyReader::verify`] looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Verified {
    /// Events, each with its trial, learning curve and transitions.
    pub events: u64,
    /// Other rows: the header, what was raised, the final phase.
    pub rows: u64,
    /// Blobs: weights and probabilities.
    pub blobs: u64,
}

impl StudyReader {
    /// Checks the whole file: SQLite's structure, references between rows, the tables and triggers of the schema, and the SHA-256 of every row
    /// and blob. The checksums of the log are chained, so that an event that is missing, changed or out of order is found.
    ///
    /// It finds damage, not forgery: who can change a row can change its checksum, too. Nor can it tell a study that was cut back to an earlier
    /// moment as a whole.
    ///
    /// # Errors
    ///
    /// [`StoreError::Damaged`] with the first thing that is wrong.
    pub fn verify(&self) -> Result<Verified, StoreError> {
        let failed = |error| StoreError::sqlite(self.path(), error);
        // Everything of one moment, though a coordinator may write.
        let transaction = self.connection.unchecked_transaction().map_err(failed)?;
        let verified = self.structure().and_then(|()| self.checked_rows(true));
        transaction.finish().map_err(failed)?;
        verified
    }

    /// Checks the SHA-256 of every row, those of blobs left out: what a coordinator goes by.
    pub(crate) fn check_rows(&self) -> Result<(), StoreError> {
        self.checked_rows(false).map(|_| ())
    }

    pub(crate) fn checksums(&self) -> Checksums<'_> {
        Checksums { connection: &self.connection, path: self.path() }
    }

    fn structure(&self) -> Result<(), StoreError> {
        let failed = |error| StoreError::sqlite(self.path(), error);
        let damaged = |reason: String| Err(self.checksums().damaged(reason));
        let text = |sql: &str| self.connection.query_row(sql, [], |row| row.get::<_, String>(0)).map_err(failed);
        let found = text("PRAGMA integrity_check(1)")?;
        if found != "ok" {
            return damaged(found);
        }
        let dangling = "SELECT coalesce(min(\"table\" || ' refers to ' || parent), '') FROM pragma_foreign_key_check";
        let found = text(dangling)?;
        if !found.is_empty() {
            return damaged(format!("a row of the table {found}, where nothing is"));
        }
        let expected = expected_schema().map_err(failed)?;
        match statements(&self.connection).map_err(failed)? {
            found if found == expected => Ok(()),
            _ => damaged("its tables and triggers are not those of its schema".into()),
        }
    }

    fn checked_rows(&self, blobs: bool) -> Result<Verified, StoreError> {
        let checksums = self.checksums();
        let mut verified = Verified::default();
        for part in PARTS {
            let keys = checksums.keys(part.table, part.key, false)?;
            self.check_count(part.table, keys.len())?;
            for &key in &keys {
                match part.blob {
                    Some(_) if blobs => {
                        checksums.check_whole(part, key)?;
                        verified.blobs += 1;
                    }
                    _ => checksums.check_row(part, key).map(|_| ())?,
                }
            }
            verified.rows += keys.len() as u64;
        }
        let events = checksums.keys(EVENT, EVENT, false)?;
        self.check_count(EVENT, events.len())?;
        let mut before = checksums.before(0)?;
        for (expected, &event) in (0..).zip(&events) {
            if event != expected {
                return Err(checksums.damaged(format!("event {expected} is missing")));
            }
            before = checksums.check_next_event(event, before)?;
            verified.events += 1;
        }
        let of_no_event = "
            SELECT count(*) FROM trial
            WHERE NOT EXISTS (SELECT 1 FROM event WHERE event.trial = trial.trial AND event.kind = 'trial')";
        match self.number(of_no_event, [])? {
            0 => Ok(verified),
            trials => Err(checksums.damaged(format!("{trials} trials are in no event"))),
        }
    }

    /// Refuses a table that has more or fewer rows than were stored.
    fn check_count(&self, part: &str, found: usize) -> Result<(), StoreError> {
        let stored = self.number("SELECT count(*) FROM checksum WHERE part = ?1", [part])?;
        if stored == found as i64 {
            return Ok(());
        }
        Err(self.checksums().damaged(format!("the table {part} has {found} rows, {stored} were stored")))
    }

    fn number(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<i64, StoreError> {
        let number = self.connection.query_row(sql, parameters, |row| row.get(0));
        number.map_err(|error| StoreError::sqlite(self.path(), error))
    }
}

/// The statements that made the tables, indices and triggers of a file, by name.
fn statements(connection: &Connection) -> rusqlite::Result<Vec<String>> {
    let sql = "SELECT name || ': ' || sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name";
    connection.prepare(sql)?.query_map([], |row| row.get(0))?.collect()
}

/// Those of a new study.
fn expected_schema() -> rusqlite::Result<Vec<String>> {
    let mut connection = Connection::open_in_memory()?;
    Schema::CURRENT.create(&mut connection)?;
    statements(&connection)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whoever adds a table adds it to what is checked.
    #[test]
    fn every_table_is_checked() {
        let mut connection = Connection::open_in_memory().unwrap();
        Schema::CURRENT.create(&mut connection).unwrap();
        let sql = "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite_%' ORDER BY name";
        let mut statement = connection.prepare(sql).unwrap();
        let tables: Vec<String> = statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
        let log = ["checksum", "curve", "event", "schema_history", "transition", "trial"].map(String::from);
        let mut checked: Vec<String> = PARTS.iter().map(|part| part.table.into()).chain(log).collect();
        checked.sort();
        assert_eq!(tables, checked);
    }
}
