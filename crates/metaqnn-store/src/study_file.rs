//! A study in the hands of its coordinator: creating, opening and closing.

use std::path::{Path, PathBuf};
use std::time::Duration;

use metaqnn_core::study::{DataReading, StudyHeader};
use rusqlite::{Connection, OpenFlags};

use crate::checksums::Checksums;
use crate::error::StoreError;
use crate::identity::HeldFile;
use crate::lock::CoordinatorLock;
use crate::log_file::{check_log, sync_log};
use crate::new_file::{create_whole, new_path};
use crate::rows::Encoder;
use crate::running;
use crate::schema::Schema;
use crate::study_reader::{StudyReader, canonical};

/// How long a reader may hold up a coordinator that closes.
const PATIENCE_AT_CLOSE: Duration = Duration::from_millis(200);

/// A study, read and written by its one coordinator.
///
/// What is written is [`Storage`](metaqnn_core::ports::Storage)'s; what can be asked is [`reader`](StudyFile::reader)'s.
/// Dropping it closes it like [`close`](StudyFile::close), which also tells of errors.
#[derive(Debug)]
pub struct StudyFile {
    // Fields are dropped in this order: the lock is held until the file is closed.
    pub(crate) reader: StudyReader,
    /// Whether anything was written: until then the file is as it was found.
    writes: bool,
    closed: bool,
    held: HeldFile,
    _lock: CoordinatorLock,
}

impl StudyFile {
    /// Begins a study at `path`, in a folder that is there; the file appears whole or not at all.
    ///
    /// # Errors
    ///
    /// When there is something at `path`, another coordinator is about to create it, or the folder cannot be written to.
    pub fn create(path: impl AsRef<Path>, header: &StudyHeader) -> Result<Self, StoreError> {
        Self::create_of_data(path, header, None)
    }

    /// The same of a study that says how its data are read.
    ///
    /// # Errors
    ///
    /// As [`create`](Self::create).
    pub fn create_of_data(
        path: impl AsRef<Path>,
        header: &StudyHeader,
        data: Option<&DataReading>,
    ) -> Result<Self, StoreError> {
        let path = new_path(path.as_ref())?;
        let lock = CoordinatorLock::take(&path)?;
        write_new(&path, header, data)?;
        let mut study = Self::open_locked(path, lock)?;
        study.begin_writing()?;
        Ok(study)
    }

    /// Opens the study at `path` to go on with it. A study of an older schema is seen as one of the current schema, but nothing is written
    /// before [`begin_writing`](Self::begin_writing) or the first change: whoever refuses it leaves it as it was.
    ///
    /// # Errors
    ///
    /// When there is no file, it is no study, one of a newer schema, damaged (a row is not what was stored), not to be written to, or run by
    /// another coordinator.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = canonical(path.as_ref())?;
        let lock = CoordinatorLock::take(&path)?;
        Self::open_locked(path, lock)
    }

    /// Opens the study at `path` for reading: [`StudyReader::open`].
    ///
    /// # Errors
    ///
    /// Those of [`StudyReader::open`].
    pub fn read(path: impl AsRef<Path>) -> Result<StudyReader, StoreError> {
        StudyReader::open(path)
    }

    /// What can be asked of the study.
    pub fn reader(&self) -> &StudyReader {
        &self.reader
    }

    /// Where the study is, symbolic links resolved.
    pub fn path(&self) -> &Path {
        self.reader.path()
    }

    /// Whether the file is still where it was opened. To be asked now and then by whoever does not write.
    ///
    /// # Errors
    ///
    /// [`StoreError::Moved`] where it was renamed, deleted or replaced: the run must end.
    pub fn check_in_place(&self) -> Result<(), StoreError> {
        self.held.check_at(self.path())
    }

    /// From now on the study is written to: what brings it to the current schema is stored. Done by the first change, too.
    ///
    /// # Errors
    ///
    /// When it cannot be written to.
    pub fn begin_writing(&mut self) -> Result<(), StoreError> {
        if self.writes {
            return Ok(());
        }
        let connection = &self.reader.connection;
        let failed = |error| StoreError::sqlite(self.reader.path(), error);
        if !connection.is_autocommit() {
            connection.execute_batch("COMMIT").map_err(failed)?;
        }
        make_durable(connection).map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        self.writes = true;
        Ok(())
    }

    /// Closes the study: everything is moved into the one file, and the lock is given back.
    ///
    /// # Errors
    ///
    /// When the log could not be moved into the file. Nothing is lost then: the next coordinator does it.
    pub fn close(mut self) -> Result<(), StoreError> {
        self.settle()
    }

    fn open_locked(path: PathBuf, lock: CoordinatorLock) -> Result<Self, StoreError> {
        let held = HeldFile::take(&path)?;
        let failed = |error| StoreError::sqlite(&path, error);
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let connection = Connection::open_with_flags(&path, flags).map_err(failed)?;
        // SQLite opens for reading alone what it may not write, without a word.
        if connection.is_readonly(rusqlite::MAIN_DB).map_err(failed)? {
            let reason = "the file is read-only".into();
            return Err(StoreError::NotPermitted { path, action: "write to the study", reason });
        }
        check_log(&connection, &path)?;
        let reader = StudyReader::new(path.clone(), connection)?;
        let found = Schema::CURRENT.check(&reader.connection, &path)?;
        // After the check: it reads the tables' definitions, which are damaged where the file was cut off.
        sync_folders(&reader.connection).map_err(failed)?;
        if found != Schema::CURRENT.version() {
            Schema::CURRENT.migrate(&reader.connection, &path, found)?;
            // Rows of before there were checksums, or that only this schema has.
            reader.checksums().seal_the_rest()?;
        }
        // In KiB. The index on the architectures is written to all over: 100,000 of them should fit.
        reader.connection.pragma_update(None, "cache_size", -32_768).map_err(failed)?;
        // A file that has no header is not worth a search, nor is one that is damaged.
        reader.header()?;
        reader.check_rows()?;
        Ok(StudyFile { reader, writes: false, closed: false, held, _lock: lock })
    }

    fn settle(&mut self) -> Result<(), StoreError> {
        // What was not written to is as it was found; a transaction that is open ends with the connection.
        if self.closed || !self.writes {
            return Ok(());
        }
        let connection = &self.reader.connection;
        let settled = connection
            .busy_timeout(PATIENCE_AT_CLOSE)
            .and_then(|()| sync_folders(connection))
            .map_err(|error| StoreError::sqlite(self.reader.path(), error))
            // The empty log must be on the disk before the file says that it has none: see `check_log`.
            .and_then(|()| self.empty_log());
        let settled = settled.and_then(|()| {
            sync_log(connection, self.reader.path())?;
            // Moves the log into the file, syncs that, and removes the log. A file that is not in write-ahead-log mode
            // can be read where nothing can be written.
            set_journal_mode(connection, "delete").map_err(|error| StoreError::sqlite(self.reader.path(), error))
        });
        let settled = match settled {
            // A reader is connected: empty the log, as far as the reader does not need it. What is left is in good hands.
            Ok(mode) if mode != "delete" => self.empty_log(),
            Err(StoreError::Busy { .. }) => self.empty_log(),
            Ok(_) => Ok(()),
            Err(error) => Err(error),
        };
        self.closed = settled.is_ok();
        settled
    }

    fn empty_log(&self) -> Result<(), StoreError> {
        let checkpoint = self.reader.connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        match checkpoint.map_err(|error| StoreError::sqlite(self.reader.path(), error)) {
            Err(StoreError::Busy { .. }) => Ok(()),
            result => result,
        }
    }
}

impl Drop for StudyFile {
    fn drop(&mut self) {
        // Whoever wants to know calls `close`.
        let _ = self.settle();
        // While the lock is held: the next coordinator writes one of its own.
        running::remove(self.reader.path());
    }
}

/// Has the folder synced when a rollback journal is removed, which a file has while it changes to or from a write-ahead log: were it there again
/// after a loss of power, it would be played back over what came later.
fn sync_folders(connection: &Connection) -> rusqlite::Result<()> {
    connection.pragma_update(None, "synchronous", "EXTRA")
}

/// Makes each commit survive the loss of power.
fn make_durable(connection: &Connection) -> rusqlite::Result<()> {
    // Waits until readers of a study that was at rest are done with their statement.
    let mode = set_journal_mode(connection, "wal")?;
    // With a write-ahead log, FULL syncs it at each commit. Where there is no shared memory for one (a network file system),
    // SQLite stays with a rollback journal.
    if mode == "wal" {
        connection.pragma_update(None, "synchronous", "FULL")?;
    }
    // On macOS fsync leaves data in the drive's cache; elsewhere these do nothing.
    connection.pragma_update(None, "fullfsync", true)?;
    connection.pragma_update(None, "checkpoint_fullfsync", true)
}

/// Asks for a journal mode and returns the one that the file is in then.
fn set_journal_mode(connection: &Connection, mode: &str) -> rusqlite::Result<String> {
    connection.pragma_update_and_check(None, "journal_mode", mode, |row| row.get(0))
}

/// Writes an empty study under another name and gives it the name `path` when it is whole and on the disk.
fn write_new(path: &Path, header: &StudyHeader, data: Option<&DataReading>) -> Result<(), StoreError> {
    create_whole(path, "create the study", |temporary| fill_new(temporary, path, header, data))
}

/// Makes the tables of a study that is to be at `path` in the file `temporary`.
fn fill_new(temporary: &Path, path: &Path, header: &StudyHeader, data: Option<&DataReading>) -> Result<(), StoreError> {
    let encoder = Encoder { path };
    let failed = |error| StoreError::sqlite(path, error);
    if header.input.to_string().parse() != Ok(header.input) {
        return Err(encoder.refuse("the input shape", format!("{} is out of range", header.input)));
    }
    let class_names = serde_json::to_string(&header.class_names).map_err(|e| encoder.refuse("the class names", e))?;
    let created_at = encoder.whole("the time of creation", header.created_at)?;
    let mut connection = Connection::open(temporary).map_err(failed)?;
    // No journal beside a file that nobody knows of yet.
    set_journal_mode(&connection, "off").map_err(failed)?;
    Schema::CURRENT.create(&mut connection).map_err(failed)?;
    connection
        .execute(
            "INSERT INTO study (study, version, created_at, settings, seed, data, data_fingerprint, input, class_names)
             VALUES (1, ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            (
                &header.version,
                created_at,
                &header.settings,
                header.seed.to_string(),
                &header.data,
                &header.data_fingerprint,
                header.input.to_string(),
                class_names,
            ),
        )
        .map_err(failed)?;
    if let Some(DataReading { reading, image_splits }) = data {
        let sql = "INSERT INTO data_reading (study, reading, image_splits) VALUES (1, ?1, ?2)";
        connection.execute(sql, (reading, image_splits)).map_err(failed)?;
    }
    connection.execute("INSERT INTO run (run, run_seconds) VALUES (1, 0.0)", []).map_err(failed)?;
    Checksums { connection: &connection, path }.seal_the_rest()?;
    connection.close().map_err(|(_, error)| failed(error))
}
