//! Results too large for a line, handed from worker to coordinator in files.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use metaqnn_core::ports::{Job, JobError};

/// The file of the result of `job`, beside others that begin with `results`. `None` for a trial, whose result fits a line.
pub(crate) fn result_path(results: &Path, job: &Job) -> Option<PathBuf> {
    let suffix = match job {
        Job::Trial(_) => return None,
        Job::Candidate(job) => format!(".candidate-{}.probabilities", job.trial),
        Job::Final(job) => format!(".final-{}.weights", job.trial),
    };
    Some(with_suffix(results, &suffix))
}

/// Writes the result at `path`, under another name first, so that there is never half of it. Not synced: who asked for it stores it.
///
/// # Errors
///
/// [`JobError::Storage`], since the next result will not find a place either.
pub(crate) fn write_result(path: Option<&Path>, bytes: &[u8]) -> Result<(), JobError> {
    let Some(path) = path.filter(|_| !bytes.is_empty()) else { return Ok(()) };
    let temporary = with_suffix(path, ".tmp");
    let written = fs::write(&temporary, bytes).and_then(|()| fs::rename(&temporary, path));
    written.map_err(|error| {
        let _ = fs::remove_file(&temporary);
        JobError::Storage(format!(
            "{}: the result of a training could not be written ({error}); {}, then run the same command again",
            path.display(),
            advice(&error)
        ))
    })
}

/// What to do about it.
fn advice(error: &io::Error) -> &'static str {
    match error.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge => "free some space",
        _ => "see that the study's folder can be written to",
    }
}

/// Reads a result of so many bytes and removes its file.
///
/// # Errors
///
/// [`JobError::Storage`] where it is not there as it was written.
pub(crate) fn take_result(path: Option<&Path>, length: u64) -> Result<Vec<u8>, JobError> {
    let Some(path) = path.filter(|_| length > 0) else { return Ok(Vec::new()) };
    let failed = |reason: String| {
        JobError::Storage(format!("{}: the result of a training cannot be read: {reason}", path.display()))
    };
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    remove_result(path);
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(failed(format!("it has {} bytes, {length} were written", bytes.len()))),
    }
}

/// Removes a result and what a kill left of it. A file that cannot be removed is of no harm.
pub(crate) fn remove_result(path: &Path) {
    let _ = fs::remove_file(path);
    let _ = fs::remove_file(with_suffix(path, ".tmp"));
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = OsString::from(path);
    name.push(suffix);
    name.into()
}
