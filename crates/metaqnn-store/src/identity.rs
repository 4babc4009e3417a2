//! What a file is, whatever it is called: two names of one file must not get two coordinators, and a name that comes to stand for
//! another file must be noticed.

use std::fs;
use std::io;
use std::path::Path;

use crate::error::StoreError;

/// Device and inode of a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Identity(u64, u64);

impl Identity {
    /// Of the file at `path`, symbolic links followed.
    #[cfg(unix)]
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        use std::os::unix::fs::MetadataExt;
        let metadata = fs::metadata(path)?;
        Ok(Identity(metadata.dev(), metadata.ino()))
    }

    /// Elsewhere a file in use keeps its name, so that it is there is all there is to know.
    #[cfg(not(unix))]
    pub(crate) fn at(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|_| Identity(0, 0))
    }
}

/// A study's file as a coordinator found it, locked by what it is.
///
/// The lock is one of the kind that belongs to an open file (`F_OFD_SETLK`), on a byte that SQLite does not lock: closing another handle
/// of this process does not give it up, other names of the file meet it, and the operating system lets go of it however the process ends.
/// Where there are no such locks, the one on the name (`lock`) is all there is.
#[derive(Debug)]
pub(crate) struct HeldFile {
    identity: Identity,
    #[cfg(any(target_os = "linux", target_os = "android"))]
    _lock: Option<linux::FileLock>,
}

impl HeldFile {
    /// Takes the lock of the file at `path`, under any name. To be held until the file's connection is closed: closing this handle gives
    /// up the locks that SQLite has on the file in this process.
    pub(crate) fn take(path: &Path) -> Result<Self, StoreError> {
        let identity = Identity::at(path).map_err(|error| StoreError::io(path, "look at it", error))?;
        Ok(HeldFile {
            identity,
            #[cfg(any(target_os = "linux", target_os = "android"))]
            _lock: linux::FileLock::take(path, identity)?,
        })
    }

    /// Refuses where `path` does not stand for this file any more.
    pub(crate) fn check_at(&self, path: &Path) -> Result<(), StoreError> {
        let found = match Identity::at(path) {
            Ok(found) if found == self.identity => return Ok(()),
            Ok(_) => "another file is in its place",
            Err(error) if error.kind() == io::ErrorKind::NotFound => "it is not there any more",
            Err(error) => return Err(StoreError::io(path, "look at it", error)),
        };
        Err(StoreError::Moved { path: path.into(), found })
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
mod linux {
    use std::collections::HashSet;
    use std::fs::{File, OpenOptions};
    use std::path::Path;
    use std::sync::Mutex;
    use std::time::Duration;

    use nix::errno::Errno;
    use nix::fcntl::{FcntlArg, fcntl};
    use nix::libc;

    use super::Identity;
    use crate::error::StoreError;

    /// Far behind the bytes that SQLite locks, which begin at 1 GiB.
    const LOCKED_BYTE: libc::off_t = 0x7fff_ffff_ffff_fff0;

    /// How often, and after what pause, a lock that is taken is asked for again.
    const PATIENCE: u32 = 15;
    const PAUSE: Duration = Duration::from_millis(20);

    /// The files that this process holds. They must not even be opened a second time: see [`HeldFile::take`](super::HeldFile::take).
    static HELD: Mutex<Option<HashSet<Identity>>> = Mutex::new(None);

    /// A file that is open and locked.
    #[derive(Debug)]
    pub(super) struct FileLock {
        identity: Identity,
        _file: File,
    }

    impl FileLock {
        /// `None` where the file system has no such locks.
        pub(super) fn take(path: &Path, identity: Identity) -> Result<Option<Self>, StoreError> {
            let locked = || StoreError::Locked { path: path.into(), owner: "under another name of the file".into() };
            // A thread that panics while it holds the lock has left it in order.
            let mut held = HELD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            let held = held.get_or_insert_default();
            if held.contains(&identity) {
                return Err(locked());
            }
            // Not to be written here: that it cannot be is said by who wants to.
            let Ok(file) = OpenOptions::new().read(true).write(true).open(path) else { return Ok(None) };
            let range = libc::flock {
                l_type: libc::F_WRLCK as libc::c_short,
                l_whence: libc::SEEK_SET as libc::c_short,
                l_start: LOCKED_BYTE,
                l_len: 1,
                l_pid: 0,
            };
            // A process that another thread is just starting has a copy of every open file, and with it the lock, until it becomes its program.
            let mut taken = fcntl(&file, FcntlArg::F_OFD_SETLK(&range));
            for _ in 0..PATIENCE {
                if !matches!(taken, Err(Errno::EAGAIN | Errno::EACCES)) {
                    break;
                }
                std::thread::sleep(PAUSE);
                taken = fcntl(&file, FcntlArg::F_OFD_SETLK(&range));
            }
            match taken {
                Ok(_) => {
                    held.insert(identity);
                    Ok(Some(FileLock { identity, _file: file }))
                }
                Err(Errno::EAGAIN | Errno::EACCES) => Err(locked()),
                Err(_) => Ok(None),
            }
        }
    }

    impl Drop for FileLock {
        fn drop(&mut self) {
            let mut held = HELD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
            if let Some(held) = held.as_mut() {
                held.remove(&self.identity);
            }
        }
    }
}
