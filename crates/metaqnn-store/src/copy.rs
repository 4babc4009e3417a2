//! A copy of a study, also of one that runs.

use std::path::{Path, PathBuf};

use rusqlite::Connection;

use crate::error::StoreError;
use crate::new_file::{create_whole, new_path};
use crate::study_reader::StudyReader;

/// Copies the study at `from`, whatever its schema, to the new file `to`, and returns the canonical path of that.
///
/// The copy is of one moment, whole, one file with nothing beside it: SQLite reads the file and its log together, while a coordinator goes on
/// writing. A plain copy of the file lacks what is still in the log.
///
/// # Errors
///
/// When there is something at `to`, the study cannot be read, or the copy cannot be written.
pub fn copy_study(from: impl AsRef<Path>, to: impl AsRef<Path>) -> Result<PathBuf, StoreError> {
    let reader = StudyReader::open_of_any_schema(from.as_ref())?;
    let to = new_path(to.as_ref())?;
    create_whole(&to, "write the copy", |temporary| {
        let failed = |error| StoreError::sqlite(&to, error);
        let Some(name) = temporary.to_str() else {
            let reason = "the name of its folder is not UTF-8".into();
            return Err(StoreError::NotPermitted { path: to.clone(), action: "write the copy", reason });
        };
        // Errors of both files come from this one call; those of reading name the study.
        reader.connection.execute("VACUUM INTO ?1", [name]).map_err(|error| {
            match StoreError::sqlite(reader.path(), error) {
                StoreError::DiskFull { .. } => StoreError::DiskFull { path: to.clone() },
                StoreError::WriteFailed { reason, .. } => StoreError::WriteFailed { path: to.clone(), reason },
                error => error,
            }
        })?;
        let copy = Connection::open(temporary).map_err(failed)?;
        let checked: String = copy.query_row("PRAGMA quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
        if checked != "ok" {
            return Err(StoreError::Damaged { path: reader.path().into(), reason: checked });
        }
        copy.close().map_err(|(_, error)| failed(error))
    })?;
    Ok(to)
}
