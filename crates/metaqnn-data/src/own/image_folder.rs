//! A folder of class folders: `cat/1.jpg`, or `train/cat/1.jpg` or `cat/train/1.jpg` where the splits are given.
//!
//! A folder is a class, its name the class's, and all images in it and below it are the class's. Above the class folders, or in each of
//! them, there may be folders for the splits (`train`, and any of `valid` and `test`, also spelled as [`Split::of_any_name`] has
//! them). What else lies there is told, and left out.

use std::path::{Path, PathBuf};

use super::decode::{ListedFile, decode};
use super::examples::{Classes, Examples, Split};
use super::findings::Findings;
use super::folder_contents::Contents;
use super::reading::Reading;
use super::{count, extension, first_few};
use crate::image_kind::advice;
use crate::resize::ImageSize;

/// How deep images may lie below a class folder.
pub(super) const DEEPEST: usize = 8;

/// How many folders may lie around the data, each alone in the one above.
const MOST_WRAPPERS: usize = 4;

/// Reads the images of a folder.
pub(super) fn read(
    root: &Path,
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
    let (data, contents) = unwrapped(root, reading, findings);
    let mut listing =
        Listing { root, reading, findings, classes: Classes::default(), files: Vec::new(), ignored: Vec::new() };
    match split_folders(&contents.folders, reading) {
        Some(splits) => listing.split_folders(&contents, &splits),
        None => listing.class_folders(&data, &contents, None),
    }
    let Listing { findings, classes, mut files, ignored, .. } = listing;
    if !ignored.is_empty() {
        let names: Vec<String> = ignored.iter().map(|path| within(root, path).display().to_string()).collect();
        findings.warning(format!("left out, being no image in a class folder: {}", first_few(&names)));
    }
    if files.is_empty() && !findings.is_sound() {
        return None;
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    decode(root, files, classes, size, reading, findings)
}

/// `path` below `root`.
pub(super) fn within<'a>(root: &Path, path: &'a Path) -> &'a Path {
    path.strip_prefix(root).unwrap_or(path)
}

fn name_of(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The split that a folder of this name stands for.
fn split_of(path: &Path, reading: &Reading) -> Option<Split> {
    let name = name_of(path);
    if reading.rules.are_first() { Split::of_name(&name) } else { Split::of_any_name(&name) }
}

/// The folder of the data and what is in it: `root`, or what lies alone in it, as archives are often packed.
fn unwrapped(root: &Path, reading: &Reading, findings: &mut Findings) -> (PathBuf, Contents) {
    let mut data = root.to_owned();
    let mut contents = Contents::of(root, reading, findings);
    for _ in 0..MOST_WRAPPERS {
        let [inner] = contents.folders.as_slice() else { break };
        if reading.rules.are_first() || !contents.images.is_empty() || split_of(inner, reading).is_some() {
            break;
        }
        let inside = Contents::of(inner, reading, &mut Findings::default());
        if inside.folders.is_empty() || !inside.images.is_empty() {
            break;
        }
        (data, contents) = (inner.clone(), inside);
    }
    if data != root {
        if contents.folders.len() < 2 && !contents.folders.iter().any(|folder| split_of(folder, reading).is_some()) {
            // Folders within folders, but no classes: told of the folder that was named.
            return (root.to_owned(), Contents::of(root, reading, findings));
        }
        findings.note(format!("the data are in {}, which lies alone in the folder", within(root, &data).display()));
    }
    (data, contents)
}

/// The folders of splits among `folders`: there are some if one is named `train` and all others are named for splits too, or it holds
/// folders and no images itself (a class of trains holds images).
fn split_folders(folders: &[PathBuf], reading: &Reading) -> Option<Vec<(Split, PathBuf)>> {
    let splits: Vec<(Split, PathBuf)> =
        folders.iter().filter_map(|folder| Some((split_of(folder, reading)?, folder.clone()))).collect();
    let is_split = splits.iter().any(|(split, folder)| {
        let holds_classes = || {
            let contents = Contents::of(folder, reading, &mut Findings::default());
            contents.images.is_empty() && !contents.folders.is_empty()
        };
        *split == Split::Train && (splits.len() == folders.len() || holds_classes())
    });
    is_split.then_some(splits)
}

struct Listing<'a> {
    root: &'a Path,
    reading: &'a Reading,
    findings: &'a mut Findings,
    classes: Classes,
    files: Vec<ListedFile>,
    /// What lies where no image belongs, or is none.
    ignored: Vec<PathBuf>,
}

impl Listing<'_> {
    fn within(&self, path: &Path) -> String {
        within(self.root, path).display().to_string()
    }

    /// Lists the class folders in the folders of splits.
    fn split_folders(&mut self, contents: &Contents, splits: &[(Split, PathBuf)]) {
        let mut others = Vec::new();
        for folder in &contents.folders {
            let Some(&(split, _)) = splits.iter().find(|(_, path)| path == folder) else {
                others.push(self.within(folder));
                continue;
            };
            let inside = Contents::of(folder, self.reading, self.findings);
            // So are the test images of competitions.
            let is_unlabelled = split != Split::Train && inside.folders.is_empty() && !inside.images.is_empty();
            if is_unlabelled && !self.reading.rules.are_first() {
                self.findings.warning(format!(
                    "{} is left out: {} without class folders, so without labels",
                    self.within(folder),
                    count(inside.images.len(), "image")
                ));
                continue;
            }
            self.class_folders(folder, &inside, Some(split));
        }
        if !others.is_empty() {
            self.findings.warning(format!(
                "left out, beside the folders of the splits ({}): {}",
                first_few(&splits.iter().map(|(_, path)| name_of(path)).collect::<Vec<_>>()),
                first_few(&others)
            ));
        }
        for split in Split::ALL {
            let names: Vec<String> =
                splits.iter().filter(|(of, _)| *of == split).map(|(_, path)| name_of(path)).collect();
            let is_spelled_otherwise =
                |name: &String| Split::of_name(name).is_none() && Split::of_any_name(name).is_some();
            if names.len() > 1 || names.iter().any(is_spelled_otherwise) {
                self.findings.note(format!("{} taken for {} images", names.join(" and "), split.adjective()));
            }
        }
        self.ignored.extend(contents.images.iter().chain(&contents.others).cloned());
        self.tell_unread(contents);
    }

    /// Lists the class folders in `folder`.
    fn class_folders(&mut self, folder: &Path, contents: &Contents, split: Option<Split>) {
        if contents.folders.is_empty() {
            let found = match contents.images.len() {
                0 => "an empty one".to_owned(),
                images => format!("{} without class folders", count(images, "image")),
            };
            let hint = self.hint_at_table(folder, contents);
            self.findings.problem(folder, format!("expected a folder of class folders, found {found}{hint}"));
            return;
        }
        let is_divided = split.is_none() && !self.reading.rules.are_first() && self.has_splits_in_classes(contents);
        self.ignored.extend(contents.images.iter().chain(&contents.others).cloned());
        self.tell_unread(contents);
        for class_folder in &contents.folders {
            let Some(name) = class_folder.file_name().and_then(|name| name.to_str()).map(str::to_owned) else {
                self.findings.problem(class_folder, "a class's name must be UTF-8");
                continue;
            };
            let before = (self.files.len(), self.findings.problem_count() + self.findings.skipped.len());
            let class = self.classes.number(&name);
            if is_divided {
                for inner in Contents::of(class_folder, self.reading, self.findings).folders {
                    self.images_below(&inner, class, split_of(&inner, self.reading), 1);
                }
            } else {
                self.images_below(class_folder, class, split, 0);
            }
            if before == (self.files.len(), self.findings.problem_count() + self.findings.skipped.len()) {
                self.findings.problem(class_folder, "a class folder without images: fill it or remove it");
            }
        }
    }

    /// Whether every class folder holds folders of splits, among them one for training, and nothing else. That only some do is told.
    fn has_splits_in_classes(&mut self, classes: &Contents) -> bool {
        let mut divided = Vec::new();
        for class in &classes.folders {
            let inside = Contents::of(class, self.reading, &mut Findings::default());
            let splits: Vec<Split> =
                inside.folders.iter().filter_map(|folder| split_of(folder, self.reading)).collect();
            let all = splits.len() == inside.folders.len() && inside.images.is_empty();
            if all && splits.contains(&Split::Train) {
                divided.push(self.within(class));
            } else if !splits.is_empty() {
                self.findings.warning(format!(
                    "{}: {} in it are taken for images of the class, whatever split their name means",
                    self.within(class),
                    count(splits.len(), "folder")
                ));
            }
        }
        let is_divided = divided.len() == classes.folders.len();
        if is_divided {
            self.findings.note("the splits are taken from the folders in the class folders");
        } else if !divided.is_empty() {
            self.findings.warning(format!(
                "only some class folders hold folders of splits ({}): they are not used, and splits are drawn",
                first_few(&divided)
            ));
        }
        is_divided
    }

    /// Where labels may be, of images that lie in no class folders.
    fn hint_at_table(&self, folder: &Path, contents: &Contents) -> String {
        let beside = if folder == self.root { None } else { folder.parent() };
        let of_parent = beside.map(|parent| Contents::of(parent, self.reading, &mut Findings::default()).others);
        let is_table = |path: &&PathBuf| matches!(extension(path).as_str(), "csv" | "tsv");
        let Some(table) = contents.others.iter().chain(of_parent.iter().flatten()).find(is_table).cloned() else {
            return String::new();
        };
        let images =
            if table.parent() == Some(folder) { String::new() } else { format!(" --images {}", name_of(folder)) };
        format!(
            "; if {} has the labels, name it: {} --label COLUMN --image COLUMN{images}",
            name_of(&table),
            table.display()
        )
    }

    fn images_below(&mut self, folder: &Path, class: usize, split: Option<Split>, depth: usize) {
        let contents = Contents::of(folder, self.reading, self.findings);
        self.tell_unread(&contents);
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

    /// Tells of images in formats that are not read, a line a format.
    fn tell_unread(&mut self, contents: &Contents) {
        let mut formats: Vec<&str> = contents.unread.iter().map(|(_, format)| *format).collect();
        formats.sort_unstable();
        formats.dedup();
        for format in formats {
            let files: Vec<&PathBuf> =
                contents.unread.iter().filter(|(_, of)| *of == format).map(|(path, _)| path).collect();
            if self.reading.skip_bad {
                for path in files {
                    self.findings.bad(path, format!("{format} is not read: {}", advice(format)));
                }
                continue;
            }
            let Some(first) = files.first() else { continue };
            let (place, what) = match files.len() {
                1 => (first.as_path(), "this file is".to_owned()),
                files => (first.parent().unwrap_or(self.root), format!("{files} files are")),
            };
            self.findings.problem(
                place,
                format!(
                    "{what} {format}, which is not read: {}, or leave such files out with --skip-bad",
                    advice(format)
                ),
            );
        }
    }
}
