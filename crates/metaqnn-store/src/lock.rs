//! The lock that the one coordinator of a study holds.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::process;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::beside::beside;
use crate::error::StoreError;

/// An exclusive lock on `<study>.lock`.
///
/// The operating system lets go of it however the process ends, so a file that was left behind locks nobody out.
/// It is not a lock on the study itself: SQLite locks that one as it needs to, and on some systems closing any other
/// handle to a file gives up all of a process's locks on it.
#[derive(Debug)]
pub(crate) struct CoordinatorLock {
    path: PathBuf,
    _file: File,
}

impl CoordinatorLock {
    /// Takes the lock of the study at `study`, which must be canonical: two names of one study must give one lock.
    pub(crate) fn take(study: &Path) -> Result<Self, StoreError> {
        let path = lock_path(study);
        let failed = |source: io::Error| match source.kind() {
            // Named for the folder, since it is that which is missing.
            io::ErrorKind::NotFound => StoreError::Io { path: path.clone(), action: "create the lock file", source },
            _ => StoreError::io(&path, "create the lock file", source),
        };
        // What it leads to would be written over.
        if path.is_symlink() {
            let reason = "its lock file is a symbolic link".into();
            return Err(StoreError::NotPermitted { path: study.into(), action: "lock the study", reason });
        }
        loop {
            let mut file =
                OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path).map_err(failed)?;
            match file.try_lock() {
                Ok(()) => {}
                Err(TryLockError::WouldBlock) => {
                    return Err(StoreError::Locked { path: study.to_path_buf(), owner: owner(&mut file) });
                }
                Err(TryLockError::Error(source)) => return Err(failed(source)),
            }
            // Whoever held the lock removed the file before letting go of it: then this handle locks a file that no
            // one else will ever open.
            if !is_at(&file, &path).map_err(failed)? {
                continue;
            }
            file.set_len(0).and_then(|()| file.write_all(describe_self().as_bytes())).map_err(failed)?;
            return Ok(CoordinatorLock { path, _file: file });
        }
    }
}

impl Drop for CoordinatorLock {
    fn drop(&mut self) {
        // Removed while held, see `take`. A file left behind does no harm.
        let _ = fs::remove_file(&self.path);
    }
}

fn lock_path(study: &Path) -> PathBuf {
    beside(study, ".lock")
}

/// Whether `path` still names the open `file`.
#[cfg(unix)]
fn is_at(file: &File, path: &Path) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    let held = file.metadata()?;
    match fs::metadata(path) {
        Ok(found) => Ok((found.dev(), found.ino()) == (held.dev(), held.ino())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Whether `path` still names the open `file`: elsewhere a file in use keeps its name until it is closed.
#[cfg(not(unix))]
fn is_at(_file: &File, path: &Path) -> io::Result<bool> {
    path.try_exists()
}

fn describe_self() -> String {
    let host = gethostname::gethostname();
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    format!("process {} on host {}, since {}\n", process::id(), host.to_string_lossy(), utc(now))
}

/// What the lock file tells of its holder.
fn owner(file: &mut File) -> String {
    let mut text = Vec::new();
    // Between taking the lock and describing itself the holder's file is empty; on some systems it cannot be read.
    let read = file.rewind().and_then(|()| file.take(300).read_to_end(&mut text));
    let text = String::from_utf8_lossy(&text);
    match (read, text.lines().next().map(str::trim)) {
        (Ok(_), Some(line)) if !line.is_empty() => line.chars().filter(|c| !c.is_control()).collect(),
        _ => "a process that has not said which".into(),
    }
}

/// `seconds` since 1970-01-01 as a date and time of day, UTC, in the Gregorian calendar: `2026-01-31 14:05:09 UTC`.
pub fn utc(seconds: u64) -> String {
    // Days are counted from 0000-03-01, so that a leap day ends its year; 146,097 days are 400 years.
    let days = seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    // Months from March on have 31, 30, 31, 30, 31 days, again and again.
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    let (hour, minute, second) = (seconds / 3_600 % 24, seconds / 60 % 60, seconds % 60);
    format!("{year:04}-{month:02}-{day:02} {hour:02}:{minute:02}:{second:02} UTC")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_the_time() {
        assert_eq!(utc(0), "1970-01-01 00:00:00 UTC");
        assert_eq!(utc(951_782_399), "2000-02-28 23:59:59 UTC");
        assert_eq!(utc(951_782_400), "2000-02-29 00:00:00 UTC");
        assert_eq!(utc(1_709_251_199), "2024-02-29 23:59:59 UTC");
        assert_eq!(utc(4_107_542_400), "2100-03-01 00:00:00 UTC");
    }

    #[test]
    fn is_held_by_one_and_left_by_none() {
        let folder = tempfile::tempdir().unwrap();
        let study = folder.path().join("a.study");
        let lock = CoordinatorLock::take(&study).unwrap();
        let refused = CoordinatorLock::take(&study).unwrap_err().to_string();
        assert!(refused.contains(&format!("process {} on host ", process::id())), "{refused}");
        assert!(refused.contains(", since 2"), "{refused}");
        drop(lock);
        assert!(!lock_path(&study).exists());
        // A file that a killed process left behind, longer than what is written into it.
        fs::write(lock_path(&study), "x".repeat(500)).unwrap();
        let lock = CoordinatorLock::take(&study).unwrap();
        let text = fs::read_to_string(lock_path(&study)).unwrap();
        assert!(text.starts_with("process ") && text.ends_with(" UTC\n"), "{text:?}");
        drop(lock);
    }

    #[cfg(unix)]
    #[test]
    fn a_link_in_the_place_of_the_lock_is_not_followed() {
        let folder = tempfile::tempdir().unwrap();
        let (study, other) = (folder.path().join("a.study"), folder.path().join("other"));
        fs::write(&other, "mine").unwrap();
        std::os::unix::fs::symlink(&other, lock_path(&study)).unwrap();
        let refused = CoordinatorLock::take(&study).unwrap_err().to_string();
        assert!(refused.contains("its lock file is a symbolic link"), "{refused}");
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
    }

    #[test]
    fn a_handle_to_a_removed_lock_file_locks_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = lock_path(&folder.path().join("a.study"));
        let file = File::create(&path).unwrap();
        assert!(is_at(&file, &path).unwrap());
        fs::remove_file(&path).unwrap();
        assert!(!is_at(&file, &path).unwrap());
        fs::write(&path, "").unwrap();
        assert!(!is_at(&file, &path).unwrap());
    }
}
