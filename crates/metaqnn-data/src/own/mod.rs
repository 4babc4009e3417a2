//! People's own data: a folder of images, a table or arrays, read with one rule for everything that can differ.
//!
//! Reading order:
//! - [`load_own`]: from a path to a [`DataSet`];
//! - `reading`: [`Reading`], what a user says of data besides their path;
//! - `examples`: [`Examples`](examples::Examples), what every reader gives, and `findings`, what is wrong with it;
//! - `image_folder`, `csv_table`, `arrays`: one kind of data each; `folder_contents` is one folder, `csv_columns`, `csv_files` and
//!   `csv_pixels` are parts of a table, `array_names` and `array_file` one array;
//! - `decode`: many image files at once; `crate::image_file` is one of them;
//! - `pixel_values`: from stored numbers to bytes;
//! - `evaluation`: [`load_for_evaluation`], labelled images to measure a model on; `image_list`: [`list_images`], for who labels nothing;
//! - `division`: training, validation and test images, and images that occur twice; where the splits are not given, `drawing` draws
//!   them, of older studies `drawing_by_order`; `image_splits` is what a study keeps of it.

mod array_file;
mod array_names;
mod arrays;
mod csv_columns;
mod csv_files;
mod csv_pixels;
mod csv_table;
mod decode;
mod division;
mod drawing;
mod drawing_by_order;
mod evaluation;
mod examples;
mod findings;
mod folder_contents;
mod image_folder;
mod image_list;
mod image_splits;
mod pixel_values;
mod reading;

use std::path::Path;

use crate::data_set::DataSet;
use crate::error::{DataError, Problem};
use crate::resize::ImageSize;

pub use self::evaluation::{EvaluationData, MeasuredPart, load_for_evaluation};
pub use self::image_list::{ImageList, list_images};

use self::division::Drawn;
use self::examples::Examples;
use self::findings::Findings;

pub use self::image_splits::{ImageSplit, ImageSplits};
pub use self::pixel_values::PixelSummary;
pub use self::reading::{Reading, Rules};

/// Data, read and split.
#[derive(Debug, Clone, PartialEq)]
pub struct LoadedData {
    /// The data set.
    pub data: DataSet,
    /// What each image is for, to be stored and handed to later readings; nothing of published data, which are always split alike.
    pub splits: ImageSplits,
    /// What should be known before something is trained on it, a line each.
    pub warnings: Vec<String>,
    /// What was decided about it, a line each.
    pub notes: Vec<String>,
    /// In what numbers its pixels are stored, and what becomes of them; `None` of published data.
    pub pixels: Option<PixelSummary>,
    /// Files and rows that were left out, since they cannot be read.
    pub skipped: Vec<Problem>,
}

/// Reads a folder of class folders, a table (`.csv`, `.tsv`) or arrays (`.npy`, `.npz`).
///
/// The images get `size`, or else a size chosen from them: the one they have, if it is one with sides of 8 to 64; else
/// the median height and the median width, shrunk in proportion until no side is above 64, and no side below 8. They
/// have 1 channel if all of them are grey, else 3. Which images are for training, validation and testing is taken
/// from the data where they say so, and else drawn by a hash of each image and of `seed`: the same data and the same seed
/// give the same data set, and an image that is added moves no other.
///
/// `reading` has what the user says besides. With [`Reading::skip_bad`] files and rows that cannot be read are left out, where they
/// are no more than a tenth.
///
/// # Errors
/// [`DataError::Unusable`] with everything that is wrong with the data.
pub fn load_own(path: &Path, size: Option<ImageSize>, reading: &Reading, seed: u64) -> Result<LoadedData, DataError> {
    let mut findings = if reading.skip_bad { Findings::skipping() } else { Findings::default() };
    let examples = read(path, size, reading, &mut findings);
    findings.judge_skipped(path, examples.as_ref().map_or(0, |examples| examples.examples.len()));
    let rules = Drawn { first_rules: reading.rules.are_first(), stored: reading.splits.as_ref(), seed };
    let divided = examples.and_then(|examples| division::divide(examples, path, &rules, &mut findings));
    let problem_count = findings.problem_count();
    let Findings { problems, warnings, notes, pixels, skipped, .. } = findings;
    match divided {
        Some((data, splits)) if problems.is_empty() => {
            Ok(LoadedData { data, splits, warnings, notes, pixels, skipped })
        }
        _ => Err(DataError::Unusable { path: path.to_owned(), problems, problem_count }),
    }
}

/// The kinds of files that are read, for messages.
const KINDS: &str = "a folder of class folders, or a .csv, .tsv, .npy or .npz file";

fn read(path: &Path, size: Option<ImageSize>, reading: &Reading, findings: &mut Findings) -> Option<Examples> {
    let metadata = match std::fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(error) => {
            findings.problem(path, reason_of(&error));
            return None;
        }
    };
    let kind = if metadata.is_dir() { folder_kind(path) } else { file_kind(path) };
    let is_table = matches!(kind, Some(Kind::Table | Kind::Tables));
    if !is_table && (reading.label.is_some() || reading.image.is_some() || reading.images.is_some()) {
        findings.problem(path, "--label, --image and --images are for tables, and this is none");
        return None;
    }
    match kind {
        Some(Kind::Table) => csv_table::read(path, size, reading, findings),
        Some(Kind::Tables) => csv_table::read_folder(path, size, reading, findings),
        Some(Kind::Archive) => arrays::read_archive(path, size, reading, findings),
        Some(Kind::Array) => arrays::read_file(path, size, reading, findings),
        Some(Kind::Arrays) => arrays::read_folder(path, size, reading, findings),
        Some(Kind::Images) => image_folder::read(path, size, reading, findings),
        None => {
            let hint = match extension(path).as_str() {
                "gz" | "zip" | "tar" | "tgz" | "rar" | "7z" | "xz" => "; unpack it first",
                _ => "",
            };
            findings.problem(path, format!("not a kind of data that is read: expected {KINDS}{hint}"));
            None
        }
    }
}

/// How data lie in files.
enum Kind {
    Images,
    Table,
    Tables,
    Archive,
    Array,
    Arrays,
}

fn file_kind(path: &Path) -> Option<Kind> {
    match extension(path).as_str() {
        "csv" | "tsv" => Some(Kind::Table),
        "npz" => Some(Kind::Archive),
        "npy" => Some(Kind::Array),
        _ => None,
    }
}

/// A folder with a `train.csv` holds tables, one with `.npy` files arrays.
fn folder_kind(folder: &Path) -> Option<Kind> {
    let names: Vec<String> = std::fs::read_dir(folder)
        .map(|entries| {
            entries.filter_map(|entry| Some(entry.ok()?.file_name().to_string_lossy().to_lowercase())).collect()
        })
        .unwrap_or_default();
    if names.iter().any(|name| name == "train.csv" || name == "train.tsv") {
        Some(Kind::Tables)
    } else if names.iter().any(|name| name.ends_with(".npy")) {
        Some(Kind::Arrays)
    } else {
        Some(Kind::Images)
    }
}

/// A file's extension in lower case; empty if it has none.
fn extension(path: &Path) -> String {
    path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default()
}

/// Whether a text ends like the name of an image file.
fn looks_like_image(text: &str) -> bool {
    crate::image_file::is_image_extension(&extension(Path::new(text)))
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
