//! From what a table says of an image's file to the file.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Finds the files of a table.
pub(super) struct NamedFiles {
    /// What names are below.
    folder: PathBuf,
    /// Whether the user named that folder; then files may lie in it whatever folder the table says.
    is_chosen: bool,
    /// The files of folders by their names without endings.
    listed: HashMap<PathBuf, HashMap<String, Vec<PathBuf>>>,
}

impl NamedFiles {
    /// Of the table at `table`, in the folder that the user named, if any.
    pub(super) fn new(table: &Path, images: Option<&Path>) -> Self {
        let beside = table.parent().unwrap_or(Path::new(""));
        let folder = match images {
            // As on every command line from where it is given, or else from where the table lies.
            Some(images) if images.is_dir() => images.to_owned(),
            Some(images) => beside.join(images),
            None => beside.to_owned(),
        };
        Self { folder, is_chosen: images.is_some(), listed: HashMap::new() }
    }

    /// The file of this name, with or without its ending; one that is not there is left to whoever opens it.
    ///
    /// # Errors
    /// Where it can be no file, or may be several.
    pub(super) fn find(&mut self, name: &str) -> Result<PathBuf, String> {
        if name.starts_with("http://") || name.starts_with("https://") {
            return Err(format!("{name} is an address in the web: download the images and name their files"));
        }
        let name = name.strip_prefix("file://").unwrap_or(name);
        // Tables written on Windows are read elsewhere too.
        let name = if cfg!(windows) { name.to_owned() } else { name.replace('\\', "/") };
        let path = self.folder.join(&name);
        if path.is_file() {
            return Ok(path);
        }
        if let Some(found) = self.without_ending(&path)? {
            return Ok(found);
        }
        if let Some(file_name) = Path::new(&name).file_name().filter(|_| self.is_chosen) {
            let inside = self.folder.join(file_name);
            if inside.is_file() {
                return Ok(inside);
            }
            if let Some(found) = self.without_ending(&inside)? {
                return Ok(found);
            }
        }
        Ok(path)
    }

    /// The one file whose name without its ending is that of `path`.
    fn without_ending(&mut self, path: &Path) -> Result<Option<PathBuf>, String> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|name| name.to_str())) else {
            return Ok(None);
        };
        let files = self.listed.entry(folder.to_owned()).or_insert_with(|| files_by_stem(folder));
        match files.get(name).map(Vec::as_slice) {
            None | Some([]) => Ok(None),
            Some([file]) => Ok(Some(file.clone())),
            Some([file, other, ..]) => {
                Err(format!("{name} may be {} or {}: name the file with its ending", file.display(), other.display()))
            }
        }
    }

    /// The folder below that of the table in which the file `name` lies, if it does not lie where the table says.
    pub(super) fn elsewhere(&self, name: &Path) -> Option<PathBuf> {
        if self.is_chosen || name.is_file() {
            return None;
        }
        let file = name.file_name()?;
        let mut folders: Vec<PathBuf> =
            fs::read_dir(if self.folder.as_os_str().is_empty() { Path::new(".") } else { &self.folder })
                .ok()?
                .filter_map(|entry| Some(entry.ok()?.path()).filter(|path| path.is_dir()))
                .collect();
        folders.sort();
        folders.into_iter().find(|folder| {
            folder.join(file).is_file() || file.to_str().is_some_and(|file| files_by_stem(folder).contains_key(file))
        })
    }
}

fn files_by_stem(folder: &Path) -> HashMap<String, Vec<PathBuf>> {
    let mut files: HashMap<String, Vec<PathBuf>> = HashMap::new();
    for path in fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())) {
        if let Some(stem) = path.file_stem().and_then(|stem| stem.to_str()).filter(|stem| !stem.starts_with('.')) {
            files.entry(stem.to_owned()).or_default().push(path.clone());
        }
    }
    files.values_mut().for_each(|paths| paths.sort());
    files
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_found_without_their_endings_and_in_the_folder_that_is_named() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let images = root.join("images");
        fs::create_dir(&images).unwrap();
        for name in ["a.png", "b.jpg", "two.png", "two.jpg", "v1.2.png"] {
            fs::write(images.join(name), "x").unwrap();
        }
        let table = root.join("t.csv");
        let mut beside = NamedFiles::new(&table, None);
        assert_eq!(beside.find("images/a.png").unwrap(), images.join("a.png"));
        assert_eq!(beside.find(r".\images\a.png").unwrap(), root.join("./images/a.png"));
        assert_eq!(beside.find("images/b").unwrap(), images.join("b.jpg"));
        assert_eq!(beside.find("images/v1.2").unwrap(), images.join("v1.2.png"));
        assert!(beside.find("images/two").unwrap_err().contains("name the file with its ending"));
        assert!(beside.find("https://example.org/a.png").unwrap_err().contains("download"));
        let absolute = format!("file://{}", images.join("a.png").display());
        assert_eq!(beside.find(&absolute).unwrap(), images.join("a.png"));
        assert_eq!(beside.elsewhere(&root.join("a.png")), Some(images.clone()));
        assert_eq!(beside.elsewhere(&root.join("b")), Some(images.clone()));
        assert_eq!(beside.elsewhere(&root.join("none")), None);
        let mut chosen = NamedFiles::new(&table, Some(Path::new("images")));
        assert_eq!(chosen.find("a").unwrap(), images.join("a.png"));
        assert_eq!(chosen.find("C:/data/a.png").unwrap(), images.join("a.png"));
        assert_eq!(chosen.find("gone.png").unwrap(), images.join("gone.png"));
    }
}
