//! What can go wrong with a study file.

use std::io;
use std::path::{Path, PathBuf};

use metaqnn_core::study::TrialNumber;
use rusqlite::ErrorCode;
use rusqlite::ffi;

/// Why a study could not be created, opened, read or written. Every message names the file and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// There is no file.
    #[error("{path}: there is no such study; check the path, or begin one with `metaqnn search`", path = .path.display())]
    NotFound {
        /// The path.
        path: PathBuf,
    },
    /// A study would be created where there is something.
    #[error("{path}: already there; go on with it by `metaqnn resume`, or name another file", path = .path.display())]
    Exists {
        /// The path.
        path: PathBuf,
    },
    /// The file is something else.
    #[error("{path}: not a metaqnn study, but {found}; check the path", path = .path.display())]
    NotAStudy {
        /// The path.
        path: PathBuf,
        /// What it is.
        found: String,
    },
    /// A later metaqnn wrote the study.
    #[error(
        "{path}: its schema is {found}, this metaqnn knows schemas up to {known}; the study was written by metaqnn \
         {written_by}: update metaqnn to that version or a later one",
        path = .path.display()
    )]
    NewerSchema {
        /// The path.
        path: PathBuf,
        /// Schema of the file.
        found: u32,
        /// Latest schema known.
        known: u32,
        /// Version of the program that wrote it.
        written_by: String,
    },
    /// An earlier metaqnn wrote the study, and it was opened only for reading.
    #[error(
        "{path}: its schema is {found}, this metaqnn reads schema {known}; `metaqnn resume` brings the file up to date",
        path = .path.display()
    )]
    OlderSchema {
        /// The path.
        path: PathBuf,
        /// Schema of the file.
        found: u32,
        /// Schema needed.
        known: u32,
    },
    /// Bringing the file to a newer schema failed; it is as it was.
    #[error("{path}: could not be brought from schema {from} to {to} and was left as it was: {reason}", path = .path.display())]
    Migration {
        /// The path.
        path: PathBuf,
        /// Schema of the file.
        from: u32,
        /// Schema aimed at.
        to: u32,
        /// What failed.
        reason: String,
    },
    /// Another coordinator runs the study.
    #[error(
        "{path}: run by another metaqnn ({owner}); wait for it or stop it; `top`, `show` and `log` work while it runs",
        path = .path.display()
    )]
    Locked {
        /// The path.
        path: PathBuf,
        /// Process, host and start as the lock file tells them.
        owner: String,
    },
    /// The file was renamed, deleted or replaced while it ran.
    #[error(
        "{path}: {found}: it was renamed, deleted or replaced while it ran. The run has ended; what it stored is in the file, where that \
         is now: `metaqnn resume` goes on with it there",
        path = .path.display()
    )]
    Moved {
        /// Where it was.
        path: PathBuf,
        /// What is there.
        found: &'static str,
    },
    /// Beside the file lies a log of another state of it.
    #[error(
        "{path}: {log} beside it is the log of another state of the file, which was replaced: by a copy? If this file is the one to go on with, remove {log}; \
         nothing was changed",
        path = .path.display(), log = .log.display()
    )]
    StaleLog {
        /// The path.
        path: PathBuf,
        /// The log.
        log: PathBuf,
    },
    /// Another program holds the file for too long.
    #[error("{path}: another program is using the file and did not let go of it; close it and try again", path = .path.display())]
    Busy {
        /// The path.
        path: PathBuf,
    },
    /// The operating system does not let us.
    #[error("{path}: cannot {action}: {reason}; check the permissions of the file and its folder", path = .path.display())]
    NotPermitted {
        /// The path.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// What stands against it.
        reason: String,
    },
    /// The study was not closed cleanly and cannot be put in order by reading alone.
    #[error(
        "{path}: its last run did not end cleanly, and here the file can only be read; copy it together with the files \
         beside it whose names begin the same to a folder that can be written to",
        path = .path.display()
    )]
    NeedsRecovery {
        /// The path.
        path: PathBuf,
    },
    /// The content is damaged.
    #[error("{path}: damaged ({reason}); restore it from a copy, or save what can be read with `sqlite3 FILE .recover`", path = .path.display())]
    Damaged {
        /// The path.
        path: PathBuf,
        /// What was found.
        reason: String,
    },
    /// There is no room left.
    #[error(
        "{path}: no space left to store it; free some, then `metaqnn resume` (or `metaqnn final` again): nothing stored before is lost",
        path = .path.display()
    )]
    DiskFull {
        /// The path.
        path: PathBuf,
    },
    /// The disk did not take what was written: SQLite does not say why.
    #[error(
        "{path}: the disk does not take what is to be stored ({reason}): is it full, or over a quota? See to that, then `metaqnn \
         resume` (or `metaqnn final` again): nothing stored before is lost",
        path = .path.display()
    )]
    WriteFailed {
        /// The path.
        path: PathBuf,
        /// What SQLite says.
        reason: String,
    },
    /// The event does not follow the last one.
    #[error("{path}: event {found} was to be stored, the next one is {expected}", path = .path.display())]
    EventNumber {
        /// The path.
        path: PathBuf,
        /// Number of the next event.
        expected: u64,
        /// Number given.
        found: u64,
    },
    /// The trial is stored already.
    #[error("{path}: trial {trial} is stored already, and a finished trial never changes", path = .path.display())]
    TrialExists {
        /// The path.
        path: PathBuf,
        /// The trial.
        trial: TrialNumber,
    },
    /// The architecture is stored already.
    #[error("{path}: {architecture} is stored already, as trial {trial}", path = .path.display())]
    ArchitectureExists {
        /// The path.
        path: PathBuf,
        /// The architecture.
        architecture: String,
        /// The trial that has it.
        trial: TrialNumber,
    },
    /// The trial is not there.
    #[error("{path}: there is no trial {trial}", path = .path.display())]
    NoSuchTrial {
        /// The path.
        path: PathBuf,
        /// The trial.
        trial: TrialNumber,
    },
    /// A value that could not be read back as it is.
    #[error("{path}: {what} cannot be stored: {reason}", path = .path.display())]
    Unstorable {
        /// The path.
        path: PathBuf,
        /// Which value.
        what: &'static str,
        /// What is wrong with it.
        reason: String,
    },
    /// The operating system reported an error.
    #[error("{path}: cannot {action}", path = .path.display())]
    Io {
        /// The path.
        path: PathBuf,
        /// What was tried.
        action: &'static str,
        /// The error.
        source: io::Error,
    },
    /// SQLite reported an error that has no kind of its own here.
    #[error("{path}: SQLite reports: {source}", path = .path.display())]
    Sqlite {
        /// The path.
        path: PathBuf,
        /// The error.
        source: rusqlite::Error,
    },
}

impl StoreError {
    /// The kind of an SQLite error with the study at `path`.
    pub(crate) fn sqlite(path: &Path, error: rusqlite::Error) -> Self {
        let path = path.to_path_buf();
        let rusqlite::Error::SqliteFailure(failure, message) = &error else {
            return match error {
                // A column that holds another type than the schema says.
                rusqlite::Error::InvalidColumnType(..)
                | rusqlite::Error::FromSqlConversionFailure(..)
                | rusqlite::Error::IntegralValueOutOfRange(..)
                | rusqlite::Error::InvalidColumnName(..)
                | rusqlite::Error::QueryReturnedNoRows
                | rusqlite::Error::Utf8Error(..) => StoreError::Damaged { path, reason: error.to_string() },
                source => StoreError::Sqlite { path, source },
            };
        };
        let reason = message.clone().unwrap_or_else(|| failure.to_string());
        match (failure.code, failure.extended_code) {
            (
                _,
                ffi::SQLITE_READONLY_ROLLBACK
                | ffi::SQLITE_READONLY_RECOVERY
                | ffi::SQLITE_READONLY_CANTINIT
                | ffi::SQLITE_READONLY_CANTLOCK,
            ) => StoreError::NeedsRecovery { path },
            (ErrorCode::NotADatabase, _) => {
                StoreError::NotAStudy { path, found: "a file that SQLite cannot read".into() }
            }
            (ErrorCode::DatabaseCorrupt, _) => StoreError::Damaged { path, reason },
            // A table that is missing, though the file says that it is a study.
            (ErrorCode::Unknown, ffi::SQLITE_ERROR) if reason.starts_with("no such ") => {
                StoreError::Damaged { path, reason }
            }
            (ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked, _) => StoreError::Busy { path },
            (ErrorCode::DiskFull, _) => StoreError::DiskFull { path },
            (
                _,
                ffi::SQLITE_IOERR_WRITE
                | ffi::SQLITE_IOERR_FSYNC
                | ffi::SQLITE_IOERR_DIR_FSYNC
                | ffi::SQLITE_IOERR_TRUNCATE
                | ffi::SQLITE_IOERR_SHMSIZE,
            ) => StoreError::WriteFailed { path, reason },
            (ErrorCode::ReadOnly, _) => StoreError::NotPermitted { path, action: "write", reason },
            (ErrorCode::PermissionDenied | ErrorCode::CannotOpen, _) => {
                StoreError::NotPermitted { path, action: "open", reason }
            }
            _ => StoreError::Sqlite { path, source: error },
        }
    }

    /// The kind of an error of the operating system.
    pub(crate) fn io(path: &Path, action: &'static str, source: io::Error) -> Self {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::NotFound => StoreError::NotFound { path },
            io::ErrorKind::AlreadyExists => StoreError::Exists { path },
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => {
                StoreError::DiskFull { path }
            }
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
                StoreError::NotPermitted { path, action, reason: source.to_string() }
            }
            _ => StoreError::Io { path, action, source },
        }
    }
}
