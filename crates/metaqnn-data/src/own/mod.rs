//! People's own data: a folder of images, a table or arrays, read with one rule for everything that can differ.
//!
//! Reading order:
//! - [`load_own`]: from a path to a [`DataSet`];
//! - `examples`: [`Examples`](examples::Examples), what every reader gives, and `findings`, what is wrong with it;
//! - `image_folder`, `csv_table`, `arrays`: one kind of data each; `array_file` is one array of the last;
//! - `decode`: many image files at once; `crate::image_file` is one of them;
//! - `pixel_values`: from stored numbers to bytes;
//! - `evaluation`: [`load_for_evaluation`], labelled images to measure a model on;
//! - `division`: training, validation and test images, where they are not given, and images that occur twice.

mod array_file;
mod arrays;
mod csv_table;
mod decode;
mod division;
mod evaluation;
mod examples;
mod findings;
mod image_folder;
mod pixel_values;

use std::path::Path;

use crate::data_set::DataSet;
use crate::error::{DataError, Problem};
use crate::resize::ImageSize;

pub use self::evaluation::{EvaluationData, MeasuredPart, load_for_evaluation};
pub use self::image_folder::{ImageList, list_images};

use self::examples::Examples;
use self::findings::Findings;

/// Data, read and split.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoadedData {
    /// The data set.
    pub data: DataSet,
    /// What should be known before something is trained on it, a line each.
    pub warnings: Vec<String>,
}

/// Reads a folder of class folders, a table (`.csv`, `.tsv`) or arrays (`.npy`, `.npz`).
///
/// The images get `size`, or else a size chosen from them: the one they have, if it is one with sides of 8 to 64; else
/// the median height and the median width, shrunk in proportion until no side is above 64, and no side below 8. They
/// have 1 channel if all of them are grey, else 3. Which images are for training, validation and testing is taken
/// from the data where they say so, and else drawn, stratified by class, by a ChaCha8 generator of `seed`: the same
/// data and the same seed give the same data set.
///
/// # Errors
/// [`DataError::Unusable`] with everything that is wrong with the data.
pub fn load_own(path: &Path, size: Option<ImageSize>, seed: u64) -> Result<LoadedData, DataError> {
    let mut findings = Findings::default();
    let examples = read(path, size, &mut findings);
    let data = examples.and_then(|examples| division::divide(examples, path, seed, &mut findings));
    match data {
        Some(data) if findings.problems.is_empty() => Ok(LoadedData { data, warnings: findings.warnings }),
        _ => Err(DataError::Unusable { path: path.to_owned(), problems: findings.problems }),
    }
}

/// The kinds of files that are read, for messages.
const KINDS: &str = "a folder of class folders, or a .csv, .tsv, .npy or .npz file";

fn read(path: &Path, size: Option<ImageSize>, findings: &mut Findings) -> Option<Examples> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            findings.problem(path, reason_of(&error));
            return None;
        }
    };
    if metadata.is_dir() {
        return match folder_kind(path) {
            FolderKind::Tables => csv_table::read_folder(path, size, findings),
            FolderKind::Arrays => arrays::read_folder(path, size, findings),
            FolderKind::Images => image_folder::read(path, size, findings),
        };
    }
    match extension(path).as_str() {
        "csv" | "tsv" => csv_table::read(path, size, findings),
        "npz" => arrays::read_archive(path, size, findings),
        "npy" => arrays::read_file(path, size, findings),
        _ => {
            findings.problem(path, format!("not a kind of data that is read: expected {KINDS}"));
            None
        }
    }
}

enum FolderKind {
    Images,
    Tables,
    Arrays,
}

/// A folder with a `train.csv` holds tables, one with `.npy` files arrays.
fn folder_kind(folder: &Path) -> FolderKind {
    let names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().to_lowercase())).collect()
        })
        .unwrap_or_default();
    if names.iter().any(|name| name == "train.csv" || name == "train.tsv") {
        FolderKind::Tables
    } else if names.iter().any(|name| name.ends_with(".npy")) {
        FolderKind::Arrays
    } else {
        FolderKind::Images
    }
}

/// A file's extension in lower case; empty if it has none.
fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// What the operating system said, in a few words.
fn reason_of(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file or folder".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read: check the permissions".to_owned(),
        _ => format!("it cannot be read: {error}"),
    }
}

/// `1 image`, `2 images`.
fn count(n: usize, what: &str) -> String {
    match n {
        1 => format!("1 {what}"),
        _ if what.ends_with("ss") => format!("{n} {what}es"),
        _ => format!("{n} {what}s"),
    }
}

/// The first few of `names`, and how many more there are.
fn first_few(names: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = names.iter().take(SHOWN).map(String::as_str).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} and {} more", names.len() - SHOWN) } else { shown }
}
