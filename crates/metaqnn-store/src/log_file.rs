//! The write-ahead log beside a study, and whether it belongs to it.

use std::ffi::c_int;
use std::path::{Path, PathBuf};
use std::{fs, ptr};

use rusqlite::{Connection, ffi};

use crate::beside::beside;
use crate::error::StoreError;

/// Where SQLite keeps the write-ahead log of the database at `path`.
pub(crate) fn log_path(path: &Path) -> PathBuf {
    beside(path, "-wal")
}

/// Whether there is something in the log of the database at `path`.
pub(crate) fn has_log(path: &Path) -> bool {
    fs::metadata(log_path(path)).is_ok_and(|metadata| metadata.len() > 0)
}

/// Refuses a file beside which a log of another state of it lies: SQLite would lay that over it.
///
/// A file says in its header whether it has a log. A coordinator says so before it writes the first page to one, and takes it back when the log
/// is empty and gone. So a file that says that it has none, beside a log, was put there when the log lay there already: a copy, made
/// when the study was closed.
pub(crate) fn check_log(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    // Looked at in this order, again and again, since a coordinator may just open or close the study.
    let is_stale = || has_log(path) && has_log_by_header(connection) == Some(false);
    if is_stale() && is_stale() {
        return Err(StoreError::StaleLog { path: path.into(), log: log_path(path) });
    }
    Ok(())
}

/// Puts what was done to the log of `connection` on the disk: that it was emptied.
pub(crate) fn sync_log(connection: &Connection, path: &Path) -> Result<(), StoreError> {
    let Some(log) = vfs_file(connection, ffi::SQLITE_FCNTL_JOURNAL_POINTER) else { return Ok(()) };
    // SAFETY: the file is open as long as its connection, which is borrowed; a file that is open has methods.
    let synced = unsafe {
        match (*log).pMethods.as_ref().and_then(|methods| methods.xSync) {
            Some(sync) => sync(log, ffi::SQLITE_SYNC_FULL),
            // There is no log: the file is not open.
            None => ffi::SQLITE_OK,
        }
    };
    match synced {
        ffi::SQLITE_OK => Ok(()),
        code => Err(StoreError::sqlite(path, rusqlite::Error::SqliteFailure(ffi::Error::new(code), None))),
    }
}

/// Where in a file's header stands how it is read: 1 without a log, 2 with one (<https://sqlite.org/fileformat.html>, 1.3.3).
const READ_VERSION: i64 = 19;

/// Whether the file of `connection` has a write-ahead log as its header says; `None` where it says nothing that can be read.
///
/// It is read through the connection's own handle: closing one of ours would give up the locks that SQLite has on the file in this
/// process.
fn has_log_by_header(connection: &Connection) -> Option<bool> {
    let file = vfs_file(connection, ffi::SQLITE_FCNTL_FILE_POINTER)?;
    let mut byte = 0_u8;
    // SAFETY: the file is open as long as its connection, which is borrowed; a file that is open has methods, and the buffer has the one byte
    // that is asked for.
    let read: c_int = unsafe {
        let methods = (*file).pMethods.as_ref()?;
        methods.xRead?(file, (&raw mut byte).cast(), 1, READ_VERSION)
    };
    match (read, byte) {
        (ffi::SQLITE_OK, 1) => Some(false),
        (ffi::SQLITE_OK, 2) => Some(true),
        _ => None,
    }
}

/// SQLite's handle of the file of `connection`, or of its log, by `operation`.
fn vfs_file(connection: &Connection, operation: c_int) -> Option<*mut ffi::sqlite3_file> {
    let mut file: *mut ffi::sqlite3_file = ptr::null_mut();
    // SAFETY: the connection is open, `main` is its database, and these operations put a pointer to a file where they are told to.
    let found = unsafe {
        let place = (&raw mut file).cast();
        ffi::sqlite3_file_control(connection.handle(), c"main".as_ptr(), operation, place)
    };
    (found == ffi::SQLITE_OK && !file.is_null()).then_some(file)
}
