//! A folder of class folders: `cat/1.jpg`, or `train/cat/1.jpg` where the splits are given.
//!
//! A folder is a class, its name the class's, and all images in it and below it are the class's. Above the class folders there may
//! be folders for the splits (`train`, and any of `valid` and `test`, also spelled as [`Split::of_name`] has them).

use std::fs;
use std::path::{Path, PathBuf};

use super::decode::{ListedFile, decode};
use super::examples::{Classes, Examples, Split};
use super::findings::Findings;
use super::{count, extension, first_few, reason_of};
use crate::error::{DataError, Problem};
use crate::image_file::is_image_extension;
use crate::resize::ImageSize;

/// How deep images may lie below a class folder.
const DEEPEST: usize = 8;

/// Reads the images of a folder.
pub(super) fn read(root: &Path, size: Option<ImageSize>, findings: &mut Findings) -> Option<Examples> {
    let mut listing = Listing { findings, classes: Classes::default(), files: Vec::new(), ignored: Vec::new() };
    let contents = Contents::of(root, listing.findings);
    match split_folders(&contents.folders) {
        Some(splits) => {
            for folder in &contents.folders {
                match splits.iter().find(|(_, path)| path == folder) {
                    Some(&(split, _)) => listing.class_folders(folder, Some(split)),
                    None => listing.ignored.push(folder.clone()),
                }
            }
            listing.ignored.extend(contents.images.iter().chain(&contents.others).cloned());
        }
        None => {
            listing.class_folders(root, None);
        }
    }
    let Listing { findings, classes, mut files, ignored } = listing;
    if !ignored.is_empty() {
        let names: Vec<String> = ignored.iter().map(|path| within(root, path).display().to_string()).collect();
        findings.warning(format!("left out, being no image in a class folder: {}", first_few(&names)));
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    decode(root, files, classes, size, findings)
}

/// `path` below `root`.
pub(super) fn within<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

/// The folders of splits among `folders`: there are some if one is named `train` and all others are named for splits too, or it holds
/// folders and no images itself (a class of trains holds images).
fn split_folders(folders: &[PathBuf]) -> Option<Vec<(Split, PathBuf)>> {
    let splits: Vec<(Split, PathBuf)> = folders
        .iter()
        .filter_map(|folder| {
            let split = Split::of_name(&folder.file_name()?.to_string_lossy())?;
            Some((split, folder.clone()))
        })
        .collect();
    let is_split = splits.iter().any(|(split, folder)| {
        let holds_classes = || {
            let contents = Contents::of(folder, &mut Findings::default());
            contents.images.is_empty() && !contents.folders.is_empty()
        };
        *split == Split::Train && (splits.len() == folders.len() || holds_classes())
    });
    is_split.then_some(splits)
}

struct Listing<'a> {
    findings: &'a mut Findings,
    classes: Classes,
    files: Vec<ListedFile>,
    /// What lies where no image belongs, or is none.
    ignored: Vec<PathBuf>,
}

impl Listing<'_> {
    /// Lists the class folders in `folder`.
    fn class_folders(&mut self, folder: &Path, split: Option<Split>) {
        let contents = Contents::of(folder, self.findings);
        if contents.folders.is_empty() {
            let found = match contents.images.len() {
                0 => "an empty one".to_owned(),
                images => format!("{} without class folders", count(images, "image")),
            };
            self.findings.problem(folder, format!("expected a folder of class folders, found {found}"));
            return;
        }
        self.ignored.extend(contents.images);
        self.ignored.extend(contents.others);
        for class_folder in contents.folders {
            let Some(name) = class_folder.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
                self.findings.problem(&class_folder, "a class's name must be UTF-8");
                continue;
            };
            let before = self.files.len();
            let class = self.classes.number(&name);
            self.images_below(&class_folder, class, split, 0);
            if self.files.len() == before {
                self.findings.problem(&class_folder, "a class folder without images: fill it or remove it");
            }
        }
    }

    fn images_below(&mut self, folder: &Path, class: usize, split: Option<Split>, depth: usize) {
        let contents = Contents::of(folder, self.findings);
        self.ignored.extend(contents.others);
        self.files.extend(contents.images.into_iter().map(|path| ListedFile { path, named_in: None, class, split }));
        for inner in contents.folders {
            // A link to a folder above would go round for ever.
            if depth < DEEPEST && !inner.is_symlink() {
                self.images_below(&inner, class, split, depth + 1);
            } else {
                self.ignored.push(inner);
            }
        }
    }
}

/// The images in a folder and below it, for who labels nothing: what hides, as systems leave it behind, is passed over, as it is in
/// a folder of class folders.
///
/// # Errors
/// [`DataError::Unusable`] where the folder cannot be read.
pub fn list_images(folder: &Path) -> Result<ImageList, DataError> {
    let mut findings = Findings::default();
    let mut list = ImageList::default();
    list.add(folder, 0, &mut findings);
    match findings.problems {
        problems if list.images.is_empty() && !problems.is_empty() => {
            Err(DataError::Unusable { path: folder.to_owned(), problems })
        }
        problems => Ok(ImageList { problems, ..list }),
    }
}

/// What [`list_images`] finds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImageList {
    /// The images: those of a folder before those of the folders in it, each sorted by name.
    pub images: Vec<PathBuf>,
    /// Files that are no images, and folders that lie too deep or are links.
    pub left_out: Vec<PathBuf>,
    /// Folders that could not be read.
    pub problems: Vec<Problem>,
}

impl ImageList {
    fn add(&mut self, folder: &Path, depth: usize, findings: &mut Findings) {
        let contents = Contents::of(folder, findings);
        self.images.extend(contents.images);
        self.left_out.extend(contents.others);
        for inner in contents.folders {
            // A link to a folder above would go round for ever.
            if depth < DEEPEST && !inner.is_symlink() {
                self.add(&inner, depth + 1, findings);
            } else {
                self.left_out.push(inner);
            }
        }
    }
}

/// What lies in a folder, each sorted by name; without what systems leave behind.
#[derive(Default)]
struct Contents {
    folders: Vec<PathBuf>,
    images: Vec<PathBuf>,
    others: Vec<PathBuf>,
}

impl Contents {
    fn of(folder: &Path, findings: &mut Findings) -> Self {
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
            if name.starts_with('.') || matches!(name.as_str(), "__MACOSX" | "Thumbs.db" | "desktop.ini") {
                continue;
            }
            if path.is_dir() {
                contents.folders.push(path);
            } else if is_image_extension(&extension(&path)) {
                contents.images.push(path);
            } else {
                contents.others.push(path);
            }
        }
        contents.folders.sort();
        contents.images.sort();
        contents.others.sort();
        contents
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_listed_below_a_folder_and_what_hides_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        fs::create_dir_all(root.join("b/c")).unwrap();
        fs::create_dir(root.join(".cache")).unwrap();
        for name in ["2.png", "1.jpg", "b/c/3.webp", "notes.txt", ".DS_Store", "._1.jpg", ".cache/4.png", "Thumbs.db"] {
            fs::write(root.join(name), PNG).unwrap();
        }
        fs::write(root.join("notes.txt"), "no image").unwrap();
        let list = list_images(root).unwrap();
        let names = |paths: &[PathBuf]| -> Vec<String> {
            paths.iter().map(|path| within(root, path).display().to_string()).collect()
        };
        assert_eq!(names(&list.images), ["1.jpg", "2.png", "b/c/3.webp"]);
        assert_eq!(names(&list.left_out), ["notes.txt"]);
        assert!(list.problems.is_empty());
        let error = list_images(&root.join("none")).unwrap_err().to_string();
        assert!(error.contains("there is no such file or folder"), "{error}");
    }

    /// The beginning of one.
    const PNG: &[u8] = b"\x89PNG\r\n\x1a\n";
}
