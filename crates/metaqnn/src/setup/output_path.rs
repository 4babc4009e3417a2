//! Where a verb may write: never to what it reads, nor beside that where a study keeps its own, nor over what no verb has written.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::show;

/// What a study keeps beside it, or SQLite does.
const BESIDE_A_STUDY: [&str; 6] = ["-wal", "-shm", "-journal", ".lock", ".running", ".running.tmp"];

/// Holds that a file may be written at `path`: there is nothing, an empty file, or one that begins as what is to be written, with
/// `beginning`, and it is none of `inputs`.
///
/// # Errors
///
/// Says what is there instead.
pub(crate) fn check_file(path: &Path, inputs: &[impl AsRef<Path>], beginning: &str) -> Result<()> {
    check_place(path, inputs)?;
    let shown = show::path(path);
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    let found =
        path.metadata().with_context(|| format!("{shown}: what is there cannot be looked at; choose another name"))?;
    if found.is_dir() {
        bail!("{shown}: this is a folder; name a file in it");
    }
    // Not opened before: a pipe would have to be waited for.
    if !found.is_file() {
        bail!("{shown}: this is no file, but a device, a pipe or a socket; name a file");
    }
    let mut bytes = Vec::new();
    let mut file = File::open(path).with_context(|| format!("{shown}: it cannot be read"))?;
    file.by_ref()
        .take(beginning.len() as u64)
        .read_to_end(&mut bytes)
        .with_context(|| format!("{shown}: it cannot be read"))?;
    if bytes.is_empty() || bytes.eq_ignore_ascii_case(beginning.as_bytes()) {
        return Ok(());
    }
    bail!("{shown}: there is another file already, and it would be lost; choose another name, or remove it first")
}

/// Holds that files may be written to the folder `path`: it is a folder or not there yet.
///
/// # Errors
///
/// Says what is there instead.
pub(crate) fn check_folder(path: &Path, inputs: &[impl AsRef<Path>]) -> Result<()> {
    check_place(path, inputs)?;
    if path.symlink_metadata().is_ok() && !path.is_dir() {
        bail!("{}: this is no folder; name one, or one that is not there yet", show::path(path));
    }
    Ok(())
}

/// Holds that `path` is none of `inputs`, lies in none, and is not where a study keeps what belongs to it.
pub(crate) fn check_place(path: &Path, inputs: &[impl AsRef<Path>]) -> Result<()> {
    let shown = show::path(path);
    let place = place(path);
    for input in inputs {
        let input = input.as_ref();
        let Ok(known) = input.canonicalize() else { continue };
        if is_same(path, input) || place == known {
            bail!("{shown}: this is what is read; choose another name for what is written");
        }
        if known.is_dir() && place.starts_with(&known) {
            bail!(
                "{shown}: this lies in {}, which is read; choose another place for what is written",
                show::path(input)
            );
        }
        let beside = |suffix: &str| {
            let mut name = known.clone().into_os_string();
            name.push(suffix);
            place.as_os_str() == name
        };
        if BESIDE_A_STUDY.into_iter().any(beside) {
            bail!("{shown}: this name belongs to {}; choose another", show::path(input));
        }
    }
    Ok(())
}

/// `path` from the root, links in its folder resolved; what it names need not be there.
fn place(path: &Path) -> PathBuf {
    let parent = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match (path.canonicalize(), parent.canonicalize(), path.file_name()) {
        (Ok(place), ..) => place,
        (_, Ok(parent), Some(name)) => parent.join(name),
        _ => std::path::absolute(path).unwrap_or_else(|_| path.into()),
    }
}

/// Whether both name one file, by whatever name.
#[cfg(unix)]
fn is_same(a: &Path, b: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    match (fs::metadata(a), fs::metadata(b)) {
        (Ok(a), Ok(b)) => (a.dev(), a.ino()) == (b.dev(), b.ino()),
        _ => false,
    }
}

/// Whether both name one file.
#[cfg(not(unix))]
fn is_same(a: &Path, b: &Path) -> bool {
    fs::canonicalize(a).is_ok_and(|a| fs::canonicalize(b).is_ok_and(|b| a == b))
}

#[cfg(test)]
mod tests {
    use super::*;

    const HTML: &str = "<!DOCTYPE html>";
    const NONE: &[&Path] = &[];

    #[test]
    fn what_is_read_and_what_belongs_to_it_is_not_written() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let study = at("a.study");
        fs::write(&study, "SQLite format 3").unwrap();
        fs::create_dir(at("model")).unwrap();
        let (model, inputs) = (at("model"), [study.as_path()]);
        assert!(check_file(&at("report.html"), &inputs, HTML).is_ok());
        for name in ["a.study", "a.study-wal", "a.study.running", "a.study.lock"] {
            assert!(check_file(&at(name), &inputs, HTML).is_err(), "{name}");
        }
        assert!(check_place(&at("model/again"), &[&model]).is_err());
        assert!(check_place(&at("model2"), &[&model]).is_ok());
        #[cfg(unix)]
        {
            fs::hard_link(&study, at("same")).unwrap();
            std::os::unix::fs::symlink(&study, at("link")).unwrap();
            for name in ["same", "link"] {
                let error = check_file(&at(name), &inputs, HTML).unwrap_err().to_string();
                assert!(error.contains("this is what is read"), "{error}");
            }
        }
    }

    #[test]
    fn only_what_looks_like_the_output_is_replaced() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for (name, content, may) in [
            ("old.html", "<!doctype html><html>", true),
            ("empty", "", true),
            ("photo.png", "\x7fPNG", false),
            ("short", "<!d", false),
        ] {
            fs::write(at(name), content).unwrap();
            assert_eq!(check_file(&at(name), NONE, HTML).is_ok(), may, "{name}");
        }
        assert!(check_file(folder.path(), NONE, HTML).unwrap_err().to_string().contains("this is a folder"));
        assert!(check_folder(folder.path(), NONE).is_ok());
        assert!(check_folder(&at("new"), NONE).is_ok());
        assert!(check_folder(&at("photo.png"), NONE).is_err());
        #[cfg(unix)]
        assert!(check_file(Path::new("/dev/null"), NONE, HTML).unwrap_err().to_string().contains("a device"));
    }
}
