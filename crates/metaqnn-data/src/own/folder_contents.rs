//! What lies in a folder.

use std::fs;
use std::path::{Path, PathBuf};

use super::findings::Findings;
use super::reading::Reading;
use super::{extension, reason_of};
use crate::image_file::{is_first_image_extension, is_image_extension, kind_of_file};
use crate::image_kind::FileKind;

/// What lies in a folder, each sorted by name; without what systems leave behind.
#[derive(Default)]
pub(super) struct Contents {
    pub(super) folders: Vec<PathBuf>,
    /// Files that are images, or are named so.
    pub(super) images: Vec<PathBuf>,
    /// Images in formats that are not read, with the name of the format.
    pub(super) unread: Vec<(PathBuf, &'static str)>,
    pub(super) others: Vec<PathBuf>,
}

impl Contents {
    pub(super) fn of(folder: &Path, reading: &Reading, findings: &mut Findings) -> Self {
        let mut contents = Self::default();
        let entries = match fs::read_dir(folder) {
            Ok(entries) => entries,
            Err(error) => {
                findings.problem(folder, reason_of(&error));
                return contents;
            }
        };
        for entry in entries {
            let path = match entry {
                Ok(entry) => entry.path(),
                Err(error) => {
                    findings.problem(folder, reason_of(&error));
                    continue;
                }
            };
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if name.starts_with('.') || matches!(name.as_str(), "__MACOSX" | "Thumbs.db" | "desktop.ini" | "lost+found")
            {
                continue;
            }
            if path.is_dir() {
                contents.folders.push(path);
            } else {
                contents.add_file(path, reading);
            }
        }
        contents.folders.sort();
        contents.images.sort();
        contents.unread.sort();
        contents.others.sort();
        contents
    }

    /// What a file is, its contents say; one that is named as an image and is none will be told as such.
    fn add_file(&mut self, path: PathBuf, reading: &Reading) {
        let extension = extension(&path);
        if reading.rules.are_first() {
            if is_first_image_extension(&extension) {
                self.images.push(path);
            } else {
                self.others.push(path);
            }
            return;
        }
        match kind_of_file(&path, &extension) {
            FileKind::Image(_) => self.images.push(path),
            FileKind::Unread(format) => self.unread.push((path, format)),
            FileKind::Other if is_image_extension(&extension) => self.images.push(path),
            FileKind::Other => self.others.push(path),
        }
    }
}
