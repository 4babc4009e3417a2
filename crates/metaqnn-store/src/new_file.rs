//! Files that appear whole or not at all, and replace nothing.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::StoreError;

/// The one name of a file that is not there yet, in a folder that is.
pub(crate) fn new_path(path: &Path) -> Result<PathBuf, StoreError> {
    // Looks at the name itself: a link that leads nowhere is something, too.
    if path.symlink_metadata().is_ok() {
        return Err(StoreError::Exists { path: path.into() });
    }
    let failed =
        |source| StoreError::Io { path: path.into(), action: "create the study: its folder is not there", source };
    let Some(name) = path.file_name() else {
        return Err(failed(std::io::ErrorKind::InvalidInput.into()));
    };
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    Ok(folder.canonicalize().map_err(failed)?.join(name))
}

/// Has `fill` write a file under another name and gives it the name `path`, of [`new_path`], when it is whole and on the disk.
pub(crate) fn create_whole(
    path: &Path,
    action: &'static str,
    fill: impl FnOnce(&Path) -> Result<(), StoreError>,
) -> Result<(), StoreError> {
    let folder = path.parent().unwrap_or(Path::new("/"));
    let failed = |error| StoreError::io(path, action, error);
    let mut builder = tempfile::Builder::new();
    builder.prefix(".metaqnn-").suffix(".tmp");
    #[cfg(unix)]
    {
        // As of any new file: what the user's umask leaves of this.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let file = builder.tempfile_in(folder).map_err(failed)?;
    fill(file.path())?;
    file.as_file().sync_all().map_err(failed)?;
    file.persist_noclobber(path).map_err(|error| failed(error.error))?;
    // The name, too, must survive the loss of power.
    #[cfg(unix)]
    fs::File::open(folder).and_then(|folder| folder.sync_all()).map_err(failed)?;
    Ok(())
}
