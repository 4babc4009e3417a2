//! The images in a folder, for who labels nothing.

use std::path::{Path, PathBuf};

use super::findings::Findings;
use super::folder_contents::Contents;
use super::image_folder::DEEPEST;
use super::reading::Reading;
use crate::error::{DataError, Problem};

/// The images in a folder and below it, for who labels nothing: what hides, as systems leave it behind, is passed over, as it is in
/// a folder of class folders.
///
/// # Errors
/// [`DataError::Unusable`] where the folder cannot be read.
pub fn list_images(folder: &Path) -> Result<ImageList, DataError> {
    let mut findings = Findings::default();
    let mut list = ImageList::default();
    list.add(folder, 0, &mut findings);
    let problem_count = findings.problem_count();
    match findings.problems {
        problems if list.images.is_empty() && !problems.is_empty() => {
            Err(DataError::Unusable { path: folder.to_owned(), problems, problem_count })
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
        let contents = Contents::of(folder, &Reading::default(), findings);
        self.images.extend(contents.images);
        // Asked about, they are told to be in a format that is not read.
        self.images.extend(contents.unread.into_iter().map(|(path, _)| path));
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::own::image_folder::within;

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
