//! What can be asked of a study.

mod final_phase;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use metaqnn_core::study::{
    DataReading, Detail, EventKind, EventRecord, RaisedLimits, StoredTrial, StudyHeader, TrialNumber, TrialRecord,
};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Params, Row};

use crate::checksums::{DATA_READING, STUDY};
use crate::error::StoreError;
use crate::log_file::{check_log, has_log};
use crate::rows::Decoder;
use crate::schema::{SCHEMA_VERSION, Schema, check_kind_of_file};

/// How long to wait for another program that holds the file.
pub(crate) const PATIENCE: Duration = Duration::from_secs(10);

/// Statements kept prepared; more than there are.
const STATEMENT_CACHE: usize = 96;

/// The columns of a [`StoredTrial`]; `CROSS JOIN` keeps SQLite from choosing another table for the outer loop.
const TRIALS_FROM_TRIAL: &str = "
    SELECT trial.*, event.event, event.epsilon, event.q_table_hash, event.run_seconds,
        final.test_accuracy, final.test_balanced_accuracy, final.test_images
    FROM trial
    CROSS JOIN event ON event.trial = trial.trial AND event.kind = 'trial'
    LEFT JOIN final ON final.trial = trial.trial";
const TRIALS_FROM_EVENT: &str = "
    SELECT trial.*, event.event, event.kind, event.epsilon, event.q_table_hash, event.run_seconds,
        final.test_accuracy, final.test_balanced_accuracy, final.test_images
    FROM event
    CROSS JOIN trial ON trial.trial = event.trial
    LEFT JOIN final ON final.trial = trial.trial
    WHERE event.event >= ?2 AND (event.kind = 'trial' OR ?1)
    ORDER BY event.event";

/// A study, read only: nothing is ever written to it, and it may be in use by a coordinator.
///
/// Each answer is of one moment: what the coordinator stores while a `visit_…` goes on is not seen by it.
#[derive(Debug)]
pub struct StudyReader {
    path: PathBuf,
    pub(crate) connection: Connection,
}

/// An event of the log with the trial that it is about.
#[derive(Clone, Debug, PartialEq)]
pub enum LoggedEvent {
    /// A trial ended.
    Trial(StoredTrial),
    /// The architecture of a finished trial was sampled again, and the agent learned from the stored result. `event`,
    /// `epsilon`, `q_table_hash` and `run_seconds` are those of this event; the rest is of the finished trial.
    Repeat(StoredTrial),
}

/// How many there are of what. Every trial is in one of complete, pruned, failed and over limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events: trials and repeats.
    pub events: u64,
    /// Events in which an architecture was sampled again.
    pub repeats: u64,
    /// Trials trained to the end.
    pub complete: u64,
    /// Trials stopped early.
    pub pruned: u64,
    /// Trials that failed, those over a limit left out.
    pub failed: u64,
    /// Trials that were not trained, since the network would have been over a limit; they do not count as models.
    pub over_limit: u64,
}

impl Counts {
    /// Finished trials, those over a limit included.
    pub fn trials(&self) -> u64 {
        self.models() + self.over_limit
    }

    /// Trials that count towards the models asked for and the ε schedule.
    pub fn models(&self) -> u64 {
        self.complete + self.pruned + self.failed
    }
}

impl StudyReader {
    /// Opens the study at `path` for reading.
    ///
    /// Works while a coordinator in another process writes, and in a folder or file system that cannot be written to
    /// as long as the last run ended cleanly. Nothing of the study is written; in a folder that can be written to, SQLite may
    /// put its shared memory (`-shm`) beside a study that is running or was killed.
    ///
    /// # Errors
    ///
    /// When there is no file, it is no study, one of another schema, damaged, or not to be read.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let reader = Self::open_of_any_schema(path.as_ref())?;
        let found = Schema::CURRENT.check(&reader.connection, &reader.path)?;
        if found < SCHEMA_VERSION {
            return Err(StoreError::OlderSchema { path: reader.path, found, known: SCHEMA_VERSION });
        }
        Ok(reader)
    }

    /// The same of a study whose schema may be older than the queries of this reader.
    pub(crate) fn open_of_any_schema(path: &Path) -> Result<Self, StoreError> {
        let path = canonical(path)?;
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let refused = match Self::connect(&path, path.as_os_str(), flags) {
            Err(error @ (StoreError::NotPermitted { .. } | StoreError::NeedsRecovery { .. })) => error,
            result => return result,
        };
        // In write-ahead-log mode SQLite needs shared memory beside the file, which cannot be made in a folder that is
        // read-only. Without it the file can be read for what it is, if no log holds a later state.
        let Some(uri) = immutable_uri(&path) else { return Err(refused) };
        let reader = Self::connect(&path, &uri, flags | OpenFlags::SQLITE_OPEN_URI).map_err(|_| refused)?;
        if has_log(&path) { Err(StoreError::NeedsRecovery { path }) } else { Ok(reader) }
    }

    fn connect(path: &Path, name: &std::ffi::OsStr, flags: OpenFlags) -> Result<Self, StoreError> {
        let connection =
            Connection::open_with_flags(Path::new(name), flags).map_err(|e| StoreError::sqlite(path, e))?;
        check_log(&connection, path)?;
        let reader = Self::new(path.into(), connection)?;
        Schema::CURRENT.check(&reader.connection, path)?;
        Ok(reader)
    }

    /// The study at `path`, over an open connection to it.
    pub(crate) fn new(path: PathBuf, connection: Connection) -> Result<Self, StoreError> {
        connection.set_prepared_statement_cache_capacity(STATEMENT_CACHE);
        connection.busy_timeout(PATIENCE).map_err(|error| StoreError::sqlite(&path, error))?;
        Ok(StudyReader { path, connection })
    }

    /// Where the study is, symbolic links resolved.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The study's header.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or the header is not what was stored.
    pub fn header(&self) -> Result<StudyHeader, StoreError> {
        let header = self.first("SELECT * FROM study", [], |row| {
            Ok(StudyHeader {
                version: row.get("version")?,
                created_at: row.whole("created_at")?,
                settings: row.get("settings")?,
                seed: row.parsed("seed", str::parse::<u64>)?,
                data: row.get("data")?,
                data_fingerprint: row.get("data_fingerprint")?,
                input: row.parsed("input", str::parse)?,
                class_names: row.parsed("class_names", |text| serde_json::from_str(text))?,
            })
        })?;
        let header = header.ok_or_else(|| StoreError::Damaged {
            path: self.path.clone(),
            reason: "the table study is empty".into(),
        })?;
        self.checksums().check_row(STUDY, 1)?;
        Ok(header)
    }

    /// How the data are read, and what each image is for; `None` of a study that an older version began.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or it is not what was stored.
    pub fn data_reading(&self) -> Result<Option<DataReading>, StoreError> {
        let data = self.first("SELECT reading, image_splits FROM data_reading", [], |row| {
            Ok(DataReading { reading: row.get("reading")?, image_splits: row.get("image_splits")? })
        })?;
        if data.is_some() {
            self.checksums().check_whole(DATA_READING, 1)?;
        }
        Ok(data)
    }

    /// The trial of that number with everything stored of it, `None` where it has not ended.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or the trial is not what was stored.
    pub fn trial(&self, trial: TrialNumber) -> Result<Option<StoredTrial>, StoreError> {
        // No trial has a number that SQLite could not hold.
        let Ok(number) = i64::try_from(trial.0) else { return Ok(None) };
        let sql = format!("{TRIALS_FROM_TRIAL} WHERE trial.trial = ?1");
        let trial = self.first(&sql, [number], |row| self.stored_trial(row, Detail::Full))?;
        if let Some(event) = trial.as_ref().and_then(|trial| i64::try_from(trial.event).ok()) {
            self.checksums().check_event(event)?;
        }
        Ok(trial)
    }

    /// The `n` trials of the best validation accuracy, the best first, at equal accuracy the earlier trial first; summaries.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn top(&self, n: usize) -> Result<Vec<StoredTrial>, StoreError> {
        let mut trials = Vec::new();
        self.visit(&top_sql(), [i64::try_from(n).unwrap_or(i64::MAX)], |row| {
            trials.push(self.stored_trial(row, Detail::Summary)?);
            Ok(true)
        })?;
        Ok(trials)
    }

    /// Calls `visit` with every finished trial in the order in which the agent learned of them, until it returns false.
    /// One trial at a time is in memory.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn visit_trials(&self, detail: Detail, visit: &mut dyn FnMut(StoredTrial) -> bool) -> Result<(), StoreError> {
        self.visit(TRIALS_FROM_EVENT, (false, 0), |row| Ok(visit(self.stored_trial(row, detail)?)))
    }

    /// Calls `visit` with every event, trials and repeats, in order, until it returns false. One at a time is in memory.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn visit_log(&self, detail: Detail, visit: &mut dyn FnMut(LoggedEvent) -> bool) -> Result<(), StoreError> {
        self.visit_log_from(0, detail, visit)
    }

    /// [`visit_log`](Self::visit_log) from the event numbered `first` on, for who has read those before.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn visit_log_from(
        &self,
        first: u64,
        detail: Detail,
        visit: &mut dyn FnMut(LoggedEvent) -> bool,
    ) -> Result<(), StoreError> {
        // No event has a number that SQLite could not hold.
        let Ok(first) = i64::try_from(first) else { return Ok(()) };
        self.visit(TRIALS_FROM_EVENT, (true, first), |row| {
            let trial = self.stored_trial(row, detail)?;
            Ok(visit(match row.get::<String>("kind")?.as_str() {
                "trial" => LoggedEvent::Trial(trial),
                "repeat" => LoggedEvent::Repeat(trial),
                other => return Err(row.damaged("kind", format!("{other:?} is no kind of event"))),
            }))
        })
    }

    /// Calls `visit` with every event in order, until it returns false. One event at a time is in memory.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn visit_events(&self, visit: &mut dyn FnMut(EventRecord) -> bool) -> Result<(), StoreError> {
        self.visit_events_from(0, visit)
    }

    /// [`visit_events`](Self::visit_events) from the event numbered `first` on, for who has read those before.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn visit_events_from(&self, first: u64, visit: &mut dyn FnMut(EventRecord) -> bool) -> Result<(), StoreError> {
        let Ok(from) = i64::try_from(first) else { return Ok(()) };
        let sql = "
            SELECT event.event, event.kind, event.trial AS of_trial, event.epsilon, event.q_table_hash, event.run_seconds,
                   trial.*
            FROM event LEFT JOIN trial ON event.kind = 'trial' AND trial.trial = event.trial
            WHERE event.event >= ?1
            ORDER BY event.event";
        let mut next = first;
        self.visit(sql, [from], |row| {
            let number = row.whole("event")?;
            if number != next {
                return Err(row.damaged("event", format!("{number} follows where {next} should be")));
            }
            next += 1;
            let kind = match row.get::<String>("kind")?.as_str() {
                "trial" => EventKind::Trial(Box::new(self.trial_record(row, Detail::Full)?)),
                "repeat" => EventKind::Repeat { trial: TrialNumber(row.whole("of_trial")?) },
                other => return Err(row.damaged("kind", format!("{other:?} is no kind of event"))),
            };
            Ok(visit(EventRecord {
                number,
                epsilon: row.get("epsilon")?,
                kind,
                q_table_hash: row.get("q_table_hash")?,
                run_seconds: row.get("run_seconds")?,
            }))
        })
    }

    /// How many events and trials there are, by kind.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn counts(&self) -> Result<Counts, StoreError> {
        // Each trial has one event, so the other events are repeats.
        let sql = "
            SELECT (SELECT coalesce(max(event), -1) + 1 FROM event) AS events,
                   count(*) AS trials,
                   count(*) FILTER (WHERE state = 'complete') AS complete,
                   count(*) FILTER (WHERE state = 'pruned') AS pruned,
                   count(*) FILTER (WHERE state = 'failed' AND failure ->> '$.kind' = 'over-limit') AS over_limit
            FROM trial";
        let counts = self.first(sql, [], |row| {
            let (events, trials) = (row.whole("events")?, row.whole("trials")?);
            let (complete, pruned) = (row.whole("complete")?, row.whole("pruned")?);
            let over_limit = row.whole("over_limit")?;
            Ok(Counts {
                events,
                repeats: events.saturating_sub(trials),
                complete,
                pruned,
                failed: trials.saturating_sub(complete + pruned + over_limit),
                over_limit,
            })
        })?;
        Ok(counts.unwrap_or_default())
    }

    /// What ends the study as last raised by a later run; `None` where its settings hold.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn raised_limits(&self) -> Result<Option<RaisedLimits>, StoreError> {
        self.first("SELECT models, budget_seconds FROM raised_limits ORDER BY raised DESC LIMIT 1", [], |row| {
            Ok(RaisedLimits { models: row.whole("models")?, budget_seconds: row.get("budget_seconds")? })
        })
    }

    /// What ended the study before it was last raised, where that was raised itself; `None` where its settings held.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn raised_limits_before(&self) -> Result<Option<RaisedLimits>, StoreError> {
        let sql = "SELECT models, budget_seconds FROM raised_limits ORDER BY raised DESC LIMIT 1 OFFSET 1";
        self.first(sql, [], |row| {
            Ok(RaisedLimits { models: row.whole("models")?, budget_seconds: row.get("budget_seconds")? })
        })
    }

    /// Seconds that the study has run, over all its runs: what was noted last, and at least what the last event says.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn run_seconds(&self) -> Result<f64, StoreError> {
        let sql = "
            SELECT max(run_seconds, coalesce((SELECT run_seconds FROM event ORDER BY event DESC LIMIT 1), 0.0)) AS seconds
            FROM run";
        Ok(self.first(sql, [], |row| row.get("seconds"))?.unwrap_or_default())
    }

    fn stored_trial(&self, row: &Decoder<'_>, detail: Detail) -> Result<StoredTrial, StoreError> {
        Ok(StoredTrial {
            event: row.whole("event")?,
            epsilon: row.get("epsilon")?,
            q_table_hash: row.get("q_table_hash")?,
            run_seconds: row.get("run_seconds")?,
            record: self.trial_record(row, detail)?,
            test_accuracy: row.get("test_accuracy")?,
            test_balanced_accuracy: row.get("test_balanced_accuracy")?,
            test_images: row.whole_or_none("test_images")?,
        })
    }

    fn trial_record(&self, row: &Decoder<'_>, detail: Detail) -> Result<TrialRecord, StoreError> {
        let mut record = row.trial()?;
        if detail == Detail::Full {
            let trial: i64 = row.get("trial")?;
            self.visit("SELECT * FROM curve WHERE trial = ?1 ORDER BY epoch", [trial], |row| {
                record.evaluation.curve.push(row.curve_point()?);
                Ok(true)
            })?;
            self.visit("SELECT * FROM transition WHERE trial = ?1 ORDER BY step", [trial], |row| {
                record.transitions.push(row.transition()?);
                Ok(true)
            })?;
        }
        Ok(record)
    }

    /// Calls `visit` with each row until it returns false.
    ///
    /// SQLite keeps the snapshot of the outermost statement until that ends, so what `visit` asks for is of the same moment.
    fn visit(
        &self,
        sql: &str,
        parameters: impl Params,
        mut visit: impl FnMut(&Decoder<'_>) -> Result<bool, StoreError>,
    ) -> Result<(), StoreError> {
        let failed = |error| StoreError::sqlite(&self.path, error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        let mut rows = statement.query(parameters).map_err(failed)?;
        while let Some(row) = rows.next().map_err(failed)? {
            if !visit(&Decoder { path: &self.path, row })? {
                break;
            }
        }
        Ok(())
    }

    /// The first row, read by `read`.
    pub(crate) fn first<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        read: impl FnOnce(&Decoder<'_>) -> Result<T, StoreError>,
    ) -> Result<Option<T>, StoreError> {
        let failed = |error| StoreError::sqlite(&self.path, error);
        let mut statement = self.connection.prepare_cached(sql).map_err(failed)?;
        // `read` has errors of its own, which pass through SQLite's untouched.
        let found = statement.query_row(parameters, |row: &Row<'_>| Ok(read(&Decoder { path: &self.path, row })));
        found.optional().map_err(failed)?.transpose()
    }
}

fn top_sql() -> String {
    format!(
        "{TRIALS_FROM_TRIAL} WHERE trial.valid_accuracy IS NOT NULL
         ORDER BY trial.valid_accuracy DESC, trial.trial LIMIT ?1"
    )
}

/// The one name of the study at `path`, which must be there and could be a study.
pub(crate) fn canonical(path: &Path) -> Result<PathBuf, StoreError> {
    check_kind_of_file(path)?;
    path.canonicalize().map_err(|error| StoreError::io(path, "find it", error))
}

/// The URI by which SQLite opens a file that nobody changes, without locks and shared memory.
#[cfg(unix)]
fn immutable_uri(path: &Path) -> Option<OsString> {
    use std::fmt::Write;
    use std::os::unix::ffi::OsStrExt;
    let mut uri = String::from("file:");
    for &byte in path.as_os_str().as_bytes() {
        if byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte) {
            uri.push(char::from(byte));
        } else {
            write!(uri, "%{byte:02X}").ok()?;
        }
    }
    uri.push_str("?immutable=1");
    Some(uri.into())
}

/// Elsewhere such files are not opened: what a folder allows is not what keeps SQLite from its shared memory there.
#[cfg(not(unix))]
fn immutable_uri(_path: &Path) -> Option<OsString> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    /// At 100,000 trials a scan or a sort would be felt.
    #[test]
    fn the_best_and_a_single_trial_are_found_by_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        Schema::CURRENT.create(&mut connection).unwrap();
        let plan = |sql: &str| -> String {
            let mut statement = connection.prepare(&format!("EXPLAIN QUERY PLAN {sql}")).unwrap();
            let parameters = vec![1; statement.parameter_count()];
            let steps = statement
                .query_map(rusqlite::params_from_iter(parameters), |row| row.get::<_, String>("detail"))
                .unwrap();
            steps.map(Result::unwrap).collect::<Vec<_>>().join("; ")
        };
        let top = plan(&top_sql());
        assert!(top.starts_with("SEARCH trial USING INDEX trial_by_valid_accuracy ("), "{top}");
        assert!(top.contains("SEARCH event USING INDEX event_of_trial"), "{top}");
        assert!(!top.contains("TEMP B-TREE"), "{top}");
        let one = plan(&format!("{TRIALS_FROM_TRIAL} WHERE trial.trial = ?1"));
        assert!(!one.contains("SCAN"), "{one}");
        let all = plan(TRIALS_FROM_EVENT);
        assert!(
            all.starts_with("SEARCH event USING INTEGER PRIMARY KEY (rowid>?); SEARCH trial USING INTEGER PRIMARY KEY"),
            "{all}"
        );
        assert!(!all.contains("TEMP B-TREE"), "{all}");
    }

    #[cfg(unix)]
    #[test]
    fn uris_spell_any_path() {
        use std::os::unix::ffi::OsStrExt;
        let path = Path::new(std::ffi::OsStr::from_bytes(b"/a b/50%?#\xff.study"));
        assert_eq!(immutable_uri(path).unwrap(), "file:/a%20b/50%25%3F%23%FF.study?immutable=1");
    }
}
