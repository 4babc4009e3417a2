//! Checksums of what is stored: what is hashed, and how.
//!
//! A row is hashed as the names and values of its columns, by name, those that are NULL left out: a column that a later schema adds changes
//! nothing of the rows that were there. In place of a blob stands its own SHA-256, so that a row can be checked without reading it.

use std::path::Path;

use rusqlite::types::ValueRef;
use rusqlite::{CachedStatement, Connection, OptionalExtension, Params, Row};
use sha2::{Digest, Sha256};

use crate::error::StoreError;

/// A SHA-256.
pub(crate) type Hash = [u8; 32];

/// A table whose rows each have a checksum of their own.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Part {
    /// The table.
    pub(crate) table: &'static str,
    /// Its primary key.
    pub(crate) key: &'static str,
    /// The column that holds a blob, which may be large.
    pub(crate) blob: Option<&'static str>,
}

const fn part(table: &'static str, key: &'static str, blob: Option<&'static str>) -> Part {
    Part { table, key, blob }
}

pub(crate) const STUDY: Part = part("study", "study", None);
pub(crate) const DATA_READING: Part = part("data_reading", "study", Some("image_splits"));
pub(crate) const CANDIDATE: Part = part("candidate", "trial", None);
pub(crate) const VALIDATION: Part = part("validation", "trial", Some("probabilities"));
pub(crate) const FINAL: Part = part("final", "trial", Some("weights"));
pub(crate) const ENSEMBLE: Part = part("ensemble", "ensemble", None);
pub(crate) const ENSEMBLE_MEMBER: Part = part("ensemble_member", "place", None);
pub(crate) const FINAL_PLAN: Part = part("final_plan", "trial", None);
pub(crate) const RUN: Part = part("run", "run", None);
pub(crate) const RAISED_LIMITS: Part = part("raised_limits", "raised", None);

/// Every table of which each row has its checksum. Beside them are the log, whose events are chained with their trials, and
/// `schema_history`, by which older versions go.
pub(crate) const PARTS: [Part; 10] =
    [STUDY, DATA_READING, CANDIDATE, VALIDATION, FINAL, ENSEMBLE, ENSEMBLE_MEMBER, FINAL_PLAN, RUN, RAISED_LIMITS];

/// The part under which the events of the log stand among the checksums.
pub(crate) const EVENT: &str = "event";

/// The tables of which an event's checksum is, each with what orders its rows.
const OF_TRIAL: [(&str, &str); 3] = [("trial", "trial"), ("curve", "epoch"), ("transition", "step")];

/// What is stored as the checksums of a row.
pub(crate) struct Stored {
    pub(crate) sha256: Hash,
    pub(crate) blob_sha256: Option<Hash>,
}

/// Computes, stores and compares the checksums of a study.
#[derive(Clone, Copy)]
pub(crate) struct Checksums<'a> {
    pub(crate) connection: &'a Connection,
    /// The study, for errors.
    pub(crate) path: &'a Path,
}

impl Checksums<'_> {
    /// Stores the checksum of a row that is new or has changed.
    pub(crate) fn seal(self, part: Part, key: i64) -> Result<(), StoreError> {
        let blob = self.blob_hash(part, key)?;
        let sha256 = self.row_hash(part, key, blob)?;
        self.execute(
            "INSERT INTO checksum (part, row, sha256, blob_sha256) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (part, row) DO UPDATE SET sha256 = excluded.sha256, blob_sha256 = excluded.blob_sha256",
            (part.table, key, sha256, blob),
        )
    }

    /// Stores the checksum of the event that is last in the log.
    pub(crate) fn seal_event(self, event: i64) -> Result<(), StoreError> {
        let before = self.before(event)?;
        let sha256 = self.event_hash(event, before)?;
        self.execute("INSERT INTO checksum (part, row, sha256) VALUES (?1, ?2, ?3)", (EVENT, event, sha256))
    }

    /// Takes away the checksums of rows that were deleted: those of one key, or all of a table.
    pub(crate) fn unseal(self, part: Part, key: Option<i64>) -> Result<(), StoreError> {
        self.execute("DELETE FROM checksum WHERE part = ?1 AND (?2 IS NULL OR row = ?2)", (part.table, key))
    }

    /// Stores the checksums of all rows that have none: those of a study that was just brought to this schema.
    pub(crate) fn seal_the_rest(self) -> Result<(), StoreError> {
        for part in PARTS {
            for key in self.keys(part.table, part.key, true)? {
                self.seal(part, key)?;
            }
        }
        self.keys(EVENT, EVENT, true)?.into_iter().try_for_each(|event| self.seal_event(event))
    }

    /// Keys of a table in order; only of the rows without a checksum, where so asked.
    pub(crate) fn keys(self, table: &str, key: &str, unsealed: bool) -> Result<Vec<i64>, StoreError> {
        let sql = format!(
            "SELECT {key} FROM {table}
             WHERE NOT (?2 AND EXISTS (SELECT 1 FROM checksum WHERE part = ?1 AND row = {table}.{key})) ORDER BY {key}"
        );
        let mut statement = self.prepare(&sql)?;
        let keys = statement.query_map((table, unsealed), |row| row.get(0)).and_then(Iterator::collect);
        keys.map_err(|error| StoreError::sqlite(self.path, error))
    }

    /// Refuses a row that is not what was stored; its blob is left out.
    pub(crate) fn check_row(self, part: Part, key: i64) -> Result<Stored, StoreError> {
        let stored = self.stored(part.table, key)?;
        let found = self.row_hash(part, key, stored.blob_sha256)?;
        if found == stored.sha256 { Ok(stored) } else { Err(self.differs(part.table, key)) }
    }

    /// Refuses a row that is not what was stored, its blob included.
    pub(crate) fn check_whole(self, part: Part, key: i64) -> Result<(), StoreError> {
        let stored = self.check_row(part, key)?;
        if self.blob_hash(part, key)? == stored.blob_sha256 { Ok(()) } else { Err(self.differs(part.table, key)) }
    }

    /// Refuses an event that is not what was stored, with its trial.
    pub(crate) fn check_event(self, event: i64) -> Result<(), StoreError> {
        let before = self.before(event)?;
        self.check_next_event(event, before).map(|_| ())
    }

    /// The same of the event after the one whose checksum is `before`; gives its own.
    pub(crate) fn check_next_event(self, event: i64, before: Hash) -> Result<Hash, StoreError> {
        let stored = self.stored(EVENT, event)?.sha256;
        if self.event_hash(event, before)? == stored { Ok(stored) } else { Err(self.differs(EVENT, event)) }
    }

    /// The checksum that goes into that of `event`: of the event before, or of the study.
    pub(crate) fn before(self, event: i64) -> Result<Hash, StoreError> {
        let (part, key) = if event == 0 { (STUDY.table, 1) } else { (EVENT, event - 1) };
        Ok(self.stored(part, key)?.sha256)
    }

    fn stored(self, part: &str, key: i64) -> Result<Stored, StoreError> {
        let mut statement = self.prepare("SELECT sha256, blob_sha256 FROM checksum WHERE part = ?1 AND row = ?2")?;
        let read = |row: &Row<'_>| Ok(Stored { sha256: row.get(0)?, blob_sha256: row.get(1)? });
        let stored = statement.query_row((part, key), read).optional();
        let stored = stored.map_err(|error| StoreError::sqlite(self.path, error))?;
        stored.ok_or_else(|| self.damaged(format!("row {key} of the table {part} has no checksum")))
    }

    fn event_hash(self, event: i64, before: Hash) -> Result<Hash, StoreError> {
        let mut hasher = Sha256::new();
        hasher.update(before);
        self.hash_rows(&mut hasher, "SELECT * FROM event WHERE event = ?1", [event], None)?;
        let sql = "SELECT trial FROM event WHERE event = ?1 AND kind = 'trial'";
        let trial: Option<i64> = self
            .prepare(sql)?
            .query_row([event], |row| row.get(0))
            .optional()
            .map_err(|error| StoreError::sqlite(self.path, error))?;
        for (table, order) in OF_TRIAL.iter().filter(|_| trial.is_some()) {
            let sql = format!("SELECT * FROM {table} WHERE trial = ?1 ORDER BY {order}");
            self.hash_rows(&mut hasher, &sql, [trial], None)?;
        }
        Ok(hasher.finalize().into())
    }

    fn row_hash(self, part: Part, key: i64, blob: Option<Hash>) -> Result<Hash, StoreError> {
        let Part { table, key: column, blob: left_out } = part;
        let mut hasher = Sha256::new();
        self.hash_rows(&mut hasher, &format!("SELECT * FROM {table} WHERE {column} = ?1"), [key], left_out)?;
        hasher.update(blob.unwrap_or_default());
        Ok(hasher.finalize().into())
    }

    fn blob_hash(self, part: Part, key: i64) -> Result<Option<Hash>, StoreError> {
        let Part { table, key: column, blob: Some(blob) } = part else { return Ok(None) };
        let mut statement = self.prepare(&format!("SELECT {blob} FROM {table} WHERE {column} = ?1"))?;
        let hash = statement.query_row([key], |row| match row.get_ref(0)? {
            ValueRef::Blob(bytes) => Ok(Some(Sha256::digest(bytes).into())),
            _ => Ok(None),
        });
        hash.optional().map(Option::flatten).map_err(|error| StoreError::sqlite(self.path, error))
    }

    /// Hashes the rows of a query, the column `left_out` left out.
    fn hash_rows(
        self,
        hasher: &mut Sha256,
        sql: &str,
        parameters: impl Params,
        left_out: Option<&str>,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::sqlite(self.path, error);
        let mut statement = self.prepare(sql)?;
        let mut columns: Vec<(String, usize)> = statement.column_names().map(ToString::to_string).zip(0..).collect();
        columns.retain(|(name, _)| left_out != Some(name));
        columns.sort();
        let mut rows = statement.query(parameters).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            hasher.update(b"row");
            for (name, index) in &columns {
                hash_value(hasher, name, row.get_ref(*index).map_err(failed)?);
            }
        }
        Ok(())
    }

    fn prepare(&self, sql: &str) -> Result<CachedStatement<'_>, StoreError> {
        self.connection.prepare_cached(sql).map_err(|error| StoreError::sqlite(self.path, error))
    }

    fn execute(self, sql: &str, parameters: impl Params) -> Result<(), StoreError> {
        let done = self.prepare(sql)?.execute(parameters);
        done.map(|_| ()).map_err(|error| StoreError::sqlite(self.path, error))
    }

    fn differs(self, table: &str, key: i64) -> StoreError {
        self.damaged(format!("row {key} of the table {table} is not what was stored: its SHA-256 differs"))
    }

    pub(crate) fn damaged(self, reason: String) -> StoreError {
        StoreError::Damaged { path: self.path.into(), reason }
    }
}

/// Name and value, each with its length, so that no two rows are hashed as the same bytes.
fn hash_value(hasher: &mut Sha256, name: &str, value: ValueRef<'_>) {
    let number;
    let (kind, bytes): (u8, &[u8]) = match value {
        ValueRef::Null => return,
        ValueRef::Integer(value) => {
            number = value.to_le_bytes();
            (1, &number)
        }
        // Bit for bit: -0.0 is not 0.0.
        ValueRef::Real(value) => {
            number = value.to_bits().to_le_bytes();
            (2, &number)
        }
        ValueRef::Text(text) => (3, text),
        ValueRef::Blob(bytes) => (4, bytes),
    };
    hasher.update((name.len() as u64).to_le_bytes());
    hasher.update(name);
    hasher.update([kind]);
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}
