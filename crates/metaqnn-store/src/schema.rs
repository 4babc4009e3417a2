//! Which SQLite file is a study, and how one of an older schema becomes one of the current schema.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::error::StoreError;
use crate::log_file::has_log;

/// SQLite's `application_id` of a study: the letters MQNN.
pub const APPLICATION_ID: i32 = i32::from_be_bytes(*b"MQNN");

/// The schema of the studies that this version writes, SQLite's `user_version`.
pub const SCHEMA_VERSION: u32 = Schema::CURRENT.version();

/// A schema and the way to it from every earlier one.
pub(crate) struct Schema {
    /// Creates it in an empty file.
    create: &'static str,
    /// The first one brings schema 1 to 2, the next one 2 to 3, and so on. The schema of a study that was brought here
    /// must equal the one that `create` makes.
    migrations: &'static [&'static str],
}

impl Schema {
    /// What this version writes.
    ///
    /// To change it: change `schema.sql`, append to `migrations` the statements that do the same to an older study (a table
    /// of which more changes than a new column is made anew, filled and renamed, see <https://sqlite.org/lang_altertable.html>;
    /// triggers that forbid it are dropped and made again), and add a study of the schema before to the tests' fixtures.
    pub(crate) const CURRENT: Schema = Schema {
        create: include_str!("schema.sql"),
        migrations: &[
            include_str!("schema_2.sql"),
            include_str!("schema_3.sql"),
            include_str!("schema_4.sql"),
            include_str!("schema_5.sql"),
            include_str!("schema_6.sql"),
            include_str!("schema_7.sql"),
            include_str!("schema_8.sql"),
            include_str!("schema_9.sql"),
            include_str!("schema_10.sql"),
        ],
    };

    pub(crate) const fn version(&self) -> u32 {
        1 + self.migrations.len() as u32
    }

    /// Makes the tables in the empty database of `connection`, in one transaction.
    pub(crate) fn create(&self, connection: &mut Connection) -> rusqlite::Result<()> {
        let transaction = connection.transaction()?;
        transaction.execute_batch(self.create)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        note_schema(&transaction, self.version())?;
        transaction.commit()
    }

    /// The schema of the study of `connection`, at most this one.
    ///
    /// # Errors
    ///
    /// When it is no study, one of a newer schema, or was cut off.
    pub(crate) fn check(&self, connection: &Connection, path: &Path) -> Result<u32, StoreError> {
        let pragma = |name| {
            connection
                .pragma_query_value(None, name, |row| row.get::<_, i32>(0))
                .map_err(|error| StoreError::sqlite(path, error))
        };
        let application_id = pragma("application_id")?;
        if application_id != APPLICATION_ID {
            let found = match application_id {
                0 => "an SQLite file of another program".into(),
                id => format!("an SQLite file of another program (its application id is {id:#010x})"),
            };
            return Err(StoreError::NotAStudy { path: path.into(), found });
        }
        check_length(pragma("page_size")?, path)?;
        let version = pragma("user_version")?;
        match u32::try_from(version) {
            Ok(found) if found > self.version() => Err(StoreError::NewerSchema {
                path: path.into(),
                found,
                known: self.version(),
                written_by: last_writer(connection).unwrap_or_else(|_| "of a later version".into()),
            }),
            Ok(found) if found >= 1 => Ok(found),
            _ => {
                Err(StoreError::Damaged { path: path.into(), reason: format!("it says that its schema is {version}") })
            }
        }
    }

    /// Brings a study of schema `from` to this one, in a transaction that stays open: whoever commits it has a study of this schema, else
    /// the file is as it was.
    pub(crate) fn migrate(&self, connection: &Connection, path: &Path, from: u32) -> Result<(), StoreError> {
        let failed = |reason| StoreError::Migration { path: path.into(), from, to: self.version(), reason };
        let error = match self.run_migrations(connection, from) {
            Ok(0) => return Ok(()),
            Ok(dangling) => failed(format!("{dangling} rows would refer to trials that are not there")),
            Err(error) => match StoreError::sqlite(path, error) {
                error @ (StoreError::DiskFull { .. } | StoreError::WriteFailed { .. } | StoreError::Busy { .. }) => {
                    error
                }
                StoreError::Sqlite { source, .. } => failed(source.to_string()),
                StoreError::Damaged { reason, .. } => failed(reason),
                error => failed(error.to_string()),
            },
        };
        // Where the transaction could not begin there is none.
        let _ = connection.execute_batch("ROLLBACK");
        Err(error)
    }

    /// Returns how many rows would refer to nothing.
    fn run_migrations(&self, connection: &Connection, from: u32) -> rusqlite::Result<i64> {
        // Or dropping a table that others refer to would fail. Cannot be set within the transaction.
        connection.pragma_update(None, "foreign_keys", false)?;
        connection.execute_batch("BEGIN IMMEDIATE")?;
        for (sql, to) in self.migrations.iter().zip(2..).filter(|(_, to)| *to > from) {
            connection.execute_batch(sql)?;
            note_schema(connection, to)?;
        }
        connection.query_row("SELECT count(*) FROM pragma_foreign_key_check", [], |row| row.get(0))
    }
}

fn note_schema(connection: &Connection, schema: u32) -> rusqlite::Result<()> {
    connection.pragma_update(None, "user_version", schema)?;
    connection
        .execute("INSERT INTO schema_history (schema, version) VALUES (?1, ?2)", (schema, env!("CARGO_PKG_VERSION")))?;
    Ok(())
}

fn last_writer(connection: &Connection) -> rusqlite::Result<String> {
    connection.query_row("SELECT version FROM schema_history ORDER BY schema DESC LIMIT 1", [], |row| row.get(0))
}

/// Bytes of the smallest database that SQLite makes; it takes a file of one byte for an empty database.
const SMALLEST_FILE: u64 = 512;

/// Refuses a file that was cut off within its last page, the rest of which SQLite would take for zeros.
fn check_length(page_size: i32, path: &Path) -> Result<(), StoreError> {
    let length = |path: &Path| fs::metadata(path).map(|metadata| metadata.len());
    let bytes = length(path).map_err(|error| StoreError::io(path, "look at it", error))?;
    // While there is a log, its pages may be on their way into the file.
    if !has_log(path) && u64::try_from(page_size).is_ok_and(|page| bytes % page != 0) {
        let reason = format!("its {bytes} bytes are no whole number of pages of {page_size}: it was cut off");
        return Err(StoreError::Damaged { path: path.into(), reason });
    }
    Ok(())
}

/// Refuses what is plainly no study, before SQLite is asked.
///
/// The file is not opened here: closing it would give up the locks that another connection of this process has on it
/// (<https://sqlite.org/howtocorrupt.html>, section 2.2).
pub(crate) fn check_kind_of_file(path: &Path) -> Result<(), StoreError> {
    let metadata = fs::metadata(path).map_err(|error| StoreError::io(path, "look at it", error))?;
    let found = if metadata.is_dir() {
        "a folder"
    } else if !metadata.is_file() {
        "a device or a pipe"
    } else if metadata.len() == 0 {
        "an empty file"
    } else if metadata.len() < SMALLEST_FILE {
        "a file too short for one"
    } else {
        return Ok(());
    };
    Err(StoreError::NotAStudy { path: path.into(), found: found.into() })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GROWN: Schema = Schema {
        create: "",
        migrations: &[
            "CREATE TABLE note (trial INTEGER NOT NULL REFERENCES trial, text TEXT NOT NULL) STRICT;
             INSERT INTO note SELECT trial, 'from schema 1' FROM trial;",
            "ALTER TABLE note ADD COLUMN author TEXT NOT NULL DEFAULT 'nobody';",
        ],
    };

    /// Migrates and commits.
    fn migrate(schema: &Schema, connection: &Connection, path: &Path, from: u32) -> Result<(), StoreError> {
        schema.migrate(connection, path, from)?;
        connection.execute_batch("COMMIT").unwrap();
        Ok(())
    }

    fn schema_1() -> (tempfile::TempDir, std::path::PathBuf, Connection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("old.study");
        std::fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/schema-1.sqlite"), &path).unwrap();
        let connection = Connection::open(&path).unwrap();
        (folder, path, connection)
    }

    fn history(connection: &Connection) -> String {
        connection.query_row("SELECT group_concat(schema) FROM schema_history", [], |row| row.get(0)).unwrap()
    }

    #[test]
    fn every_migration_from_the_schema_of_the_file_on_runs_once() {
        let (_folder, path, connection) = schema_1();
        let second = Schema { create: "", migrations: &GROWN.migrations[..1] };
        migrate(&second, &connection, &path, 1).unwrap();
        assert_eq!(second.check(&connection, &path).unwrap(), 2);
        migrate(&GROWN, &connection, &path, 2).unwrap();
        assert_eq!(GROWN.check(&connection, &path).unwrap(), 3);
        migrate(&GROWN, &connection, &path, 3).unwrap();
        let notes = "SELECT count(*) FROM note WHERE text = 'from schema 1' AND author = 'nobody'";
        let trials = "SELECT count(*) FROM trial";
        let count = |sql| connection.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
        assert!(count(trials) > 0);
        assert_eq!(count(notes), count(trials));
        assert_eq!(history(&connection), "1,2,3");
    }

    #[test]
    fn a_migration_that_fails_leaves_the_file_as_it_was() {
        const BROKEN: [&[&str]; 3] = [
            // A statement that fails, after one that does not.
            &[GROWN.migrations[0], "ALTER TABLE no_such_table ADD COLUMN x TEXT;"],
            // A reference to what is not there.
            &[GROWN.migrations[0], "INSERT INTO note VALUES (1000000, 'of no trial');"],
            // The file itself forbids it.
            &["DELETE FROM trial;"],
        ];
        for migrations in BROKEN {
            let (_folder, path, connection) = schema_1();
            let schema = Schema { create: "", migrations };
            let error = migrate(&schema, &connection, &path, 1).unwrap_err();
            assert!(matches!(error, StoreError::Migration { from: 1, .. }), "{error}");
            assert!(error.to_string().contains("left as it was: "), "{error}");
            assert_eq!(Schema::CURRENT.check(&connection, &path).unwrap(), 1);
            assert_eq!(history(&connection), "1");
            let tables = "SELECT count(*) FROM sqlite_schema WHERE name = 'note'";
            assert_eq!(connection.query_row(tables, [], |row| row.get::<_, i64>(0)).unwrap(), 0);
        }
    }

    #[test]
    fn newer_schemas_are_refused_naming_both_versions() {
        let (_folder, path, connection) = schema_1();
        migrate(&GROWN, &connection, &path, 1).unwrap();
        connection.execute("UPDATE schema_history SET schema = 999, version = '7.8.9' WHERE schema = 3", []).unwrap();
        connection.pragma_update(None, "user_version", 999).unwrap();
        let error = Schema::CURRENT.check(&connection, &path).unwrap_err().to_string();
        let versions = format!("its schema is 999, this metaqnn knows schemas up to {SCHEMA_VERSION}");
        assert!(error.contains(&versions), "{error}");
        assert!(error.contains("written by metaqnn 7.8.9: update"), "{error}");
        connection.pragma_update(None, "user_version", 0).unwrap();
        assert!(matches!(Schema::CURRENT.check(&connection, &path), Err(StoreError::Damaged { .. })));
        connection.pragma_update(None, "application_id", 7).unwrap();
        let error = Schema::CURRENT.check(&connection, &path).unwrap_err().to_string();
        assert!(error.contains("another program (its application id is 0x00000007)"), "{error}");
    }

    /// When the schema has grown: the fixtures, migrated, have the very tables that a new study has.
    #[test]
    fn a_migrated_study_has_the_schema_of_a_new_one() {
        let tables = |connection: &Connection| -> Vec<String> {
            let mut statement =
                connection.prepare("SELECT sql FROM sqlite_schema WHERE sql IS NOT NULL ORDER BY name").unwrap();
            statement.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect()
        };
        let (_folder, path, old) = schema_1();
        migrate(&Schema::CURRENT, &old, &path, 1).unwrap();
        let mut new = Connection::open_in_memory().unwrap();
        Schema::CURRENT.create(&mut new).unwrap();
        assert_eq!(tables(&old), tables(&new));
        assert!(tables(&new).len() > 20);
    }
}
