//! Where a model folder is made before it gets its name, and what becomes of that where the program is killed.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use tempfile::TempDir;

/// What the names begin with, before the number of the process.
const PREFIX: &str = ".metaqnn-export-";

/// The file in it that is locked as long as the program lives.
const LOCK: &str = "lock";

/// Before which none counts as left behind: between a file and its lock there is a moment.
const YOUNG: Duration = Duration::from_secs(60);

/// Tries to remove what an export that is still writing has written, and the time between them.
const TRIES: u32 = 50;
const PAUSE: Duration = Duration::from_millis(5);

/// A folder beside the one that is to be written.
pub(crate) struct Scratch {
    folder: TempDir,
    _lock: File,
}

impl Scratch {
    /// Makes one in `parent`, and removes those there that programs which were killed have left behind.
    pub(crate) fn make(parent: &Path) -> io::Result<Self> {
        remove_abandoned(parent);
        let prefix = format!("{PREFIX}{}-", std::process::id());
        let folder = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent)?;
        let lock = File::create_new(folder.path().join(LOCK))?;
        // Where there are no locks none is taken for left behind either.
        let _ = lock.try_lock();
        Ok(Scratch { folder, _lock: lock })
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }
}

/// Removes what an export of this process to the folder `folder` has written so far: for a program that ends at Ctrl-C.
pub fn remove_unfinished(folder: &Path) {
    let prefix = format!("{PREFIX}{}-", std::process::id());
    // The export may still be writing, so that a folder is full again when it is to be removed.
    for _ in 0..TRIES {
        let left = named(parent_of(folder), &prefix);
        if left.is_empty() {
            return;
        }
        for path in left {
            let _ = fs::remove_dir_all(path);
        }
        std::thread::sleep(PAUSE);
    }
}

/// The folder in which `folder` is.
pub(crate) fn parent_of(folder: &Path) -> &Path {
    match folder.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

fn remove_abandoned(parent: &Path) {
    for path in named(parent, PREFIX) {
        let Ok(lock) = File::open(path.join(LOCK)) else { continue };
        let age = lock.metadata().and_then(|found| found.modified()).ok().and_then(|time| time.elapsed().ok());
        if age.is_some_and(|age| age > YOUNG) && lock.try_lock().is_ok() {
            let _ = fs::remove_dir_all(path);
        }
    }
}

/// The folders in `parent` whose names begin so.
fn named(parent: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(parent).into_iter().flatten().flatten();
    let is_meant = |entry: &fs::DirEntry| {
        entry.file_name().to_string_lossy().starts_with(prefix) && entry.file_type().is_ok_and(|kind| kind.is_dir())
    };
    entries.filter(is_meant).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use super::*;

    #[test]
    fn what_a_killed_export_left_is_removed_by_the_next_one() {
        let parent = tempfile::tempdir().unwrap();
        let old = |name: &str| {
            let folder = parent.path().join(name);
            fs::create_dir(&folder).unwrap();
            let lock = File::create(folder.join(LOCK)).unwrap();
            lock.set_modified(SystemTime::now() - 2 * YOUNG).unwrap();
            (folder, lock)
        };
        let (left, lock) = old(".metaqnn-export-1-abc");
        drop(lock);
        let (in_use, held) = old(".metaqnn-export-2-def");
        held.try_lock().unwrap();
        let (other, _) = old("model");
        let scratch = Scratch::make(parent.path()).unwrap();
        assert!(!left.exists() && in_use.exists() && other.exists());
        // One that was begun just now is not old.
        let again = Scratch::make(parent.path()).unwrap();
        assert!(scratch.path().exists() && again.path().exists());
        remove_unfinished(&parent.path().join("out"));
        assert!(!scratch.path().exists() && !again.path().exists() && in_use.exists());
    }
}
