//! What there is to say about data sets: which are known, and what one looks like once read.

use std::collections::HashSet;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::data_set::{DataSet, ImageShape, LabelledImages};
use crate::error::{DataError, Problem, printable};
use crate::fetch::address;
use crate::files::{Part, locate};
use crate::load::{load, load_argument};
use crate::own::{LoadedData, PixelSummary, Reading};
use crate::resize::ImageSize;
use crate::source::{DataArgument, DataSource};
use crate::split::SplitSettings;

/// A known data set, as [`list`] tells of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KnownDataSet {
    /// Its name on the command line.
    pub name: &'static str,
    /// The shape of its images.
    pub shape: ImageShape,
    /// How many classes it has.
    pub classes: usize,
    /// Images of the training part as published, validation images included.
    pub train_images: usize,
    /// Images of the test part as published.
    pub test_images: usize,
    /// Its public home; `None` if it is embedded in the program.
    pub home: Option<&'static str>,
    /// Whether its files are there (or it is embedded). Whether they are whole, [`check`] tells.
    pub present: bool,
}

/// The known data sets, and which of them are in `data_dir`.
#[must_use]
pub fn list(data_dir: &Path) -> Vec<KnownDataSet> {
    DataSource::ALL
        .into_iter()
        .map(|source| {
            let (train_images, test_images) = source.published_images();
            KnownDataSet {
                name: source.name(),
                shape: source.shape(),
                classes: source.class_names().len(),
                train_images,
                test_images,
                home: address(source),
                present: locate(source, &[Part::Train, Part::Test], data_dir).is_ok(),
            }
        })
        .collect()
}

/// What a data set looks like once read and split.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DataReport {
    /// Its name.
    pub name: String,
    /// The shape of its images.
    pub shape: ImageShape,
    /// How many classes it has.
    pub classes: usize,
    /// Images of each class in each split.
    pub class_counts: Vec<ClassCount>,
    /// Images of all classes in each split.
    pub total: SplitCounts,
    /// SHA-256 of the data as split, see [`DataSet::fingerprint`].
    pub fingerprint: String,
    /// Images that occur in more than one split.
    pub duplicates: Duplicates,
    /// Whether there are as many training and test images as were published; `None` of own data.
    pub as_published: Option<bool>,
    /// The files read; none of the embedded digits, and of own data only the file that was named.
    pub files: Vec<ReportedFile>,
    /// What should be known before something is trained on it, a line each.
    pub warnings: Vec<String>,
    /// What was decided about it, a line each.
    pub notes: Vec<String>,
    /// In what numbers the pixels of own data are stored, and what becomes of them.
    pub pixels: Option<PixelSummary>,
    /// Files and rows that were left out, since they cannot be read.
    pub skipped: Vec<Problem>,
}

/// Images in each split.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct SplitCounts {
    /// For training.
    pub train: usize,
    /// For validation.
    pub valid: usize,
    /// For testing.
    pub test: usize,
}

/// Images of one class.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ClassCount {
    /// The name of the class.
    pub class: String,
    /// How many there are.
    #[serde(flatten)]
    pub images: SplitCounts,
}

/// Images whose every pixel equals that of an image of another split, whatever their labels. Test images among them
/// make a test accuracy look better than it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct Duplicates {
    /// Validation images that are training images too.
    pub valid_in_train: usize,
    /// Test images that are training images too.
    pub test_in_train: usize,
    /// Test images that are validation images too.
    pub test_in_valid: usize,
}

/// A file of a data set.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReportedFile {
    /// Where it lies.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Reads a data set, every byte of it, and reports.
///
/// # Errors
/// As [`load`].
pub fn check(source: &DataSource, data_dir: &Path, settings: &SplitSettings) -> Result<DataReport, DataError> {
    let data = load(source, data_dir, settings)?;
    let files = locate(*source, &[Part::Train, Part::Test], data_dir)?
        .into_iter()
        .map(|(_, path)| {
            let bytes = fs::metadata(&path).map_err(DataError::io("read", &path))?.len();
            Ok(ReportedFile { path, bytes })
        })
        .collect::<Result<_, DataError>>()?;
    let found = (data.train.len() + data.valid.len(), data.test.len());
    Ok(DataReport::new(&data, Some(found == source.published_images()), files, Vec::new()))
}

/// Reads what the DATA argument names, as [`load_argument`] does, and reports.
///
/// # Errors
/// As [`load_argument`].
pub fn check_argument(
    argument: &DataArgument,
    data_dir: &Path,
    size: Option<ImageSize>,
    reading: &Reading,
    settings: &SplitSettings,
) -> Result<DataReport, DataError> {
    let path = match argument {
        DataArgument::Known(source) if size.is_none() => return check(source, data_dir, settings),
        DataArgument::Known(_) => None,
        DataArgument::Own(path) => Some(path),
    };
    let loaded = load_argument(argument, data_dir, size, reading, settings)?;
    let mut files = Vec::new();
    if let Some(path) = path.filter(|path| path.is_file()) {
        let bytes = fs::metadata(path).map_err(DataError::io("read", path))?.len();
        files.push(ReportedFile { path: path.clone(), bytes });
    }
    let LoadedData { data, warnings, notes, pixels, skipped, .. } = loaded;
    Ok(DataReport { notes, pixels, skipped, ..DataReport::new(&data, None, files, warnings) })
}

impl DataReport {
    fn new(data: &DataSet, as_published: Option<bool>, files: Vec<ReportedFile>, warnings: Vec<String>) -> Self {
        let classes = data.classes();
        let [train, valid, test] = [&data.train, &data.valid, &data.test].map(|images| images.class_counts(classes));
        let class_counts = data
            .class_names
            .iter()
            .enumerate()
            .map(|(i, class)| ClassCount {
                class: class.clone(),
                images: SplitCounts { train: train[i], valid: valid[i], test: test[i] },
            })
            .collect();
        let in_train = distinct(&data.train);
        let in_valid = distinct(&data.valid);
        Self {
            name: data.name.clone(),
            shape: data.shape(),
            classes,
            class_counts,
            total: SplitCounts { train: data.train.len(), valid: data.valid.len(), test: data.test.len() },
            fingerprint: data.fingerprint.clone(),
            duplicates: Duplicates {
                valid_in_train: count_in(&data.valid, &in_train),
                test_in_train: count_in(&data.test, &in_train),
                test_in_valid: count_in(&data.test, &in_valid),
            },
            as_published,
            files,
            warnings,
            notes: Vec::new(),
            pixels: None,
            skipped: Vec::new(),
        }
    }
}

fn distinct(images: &LabelledImages) -> HashSet<&[u8]> {
    (0..images.len()).map(|i| images.image(i)).collect()
}

fn count_in(images: &LabelledImages, others: &HashSet<&[u8]>) -> usize {
    (0..images.len()).filter(|&i| others.contains(images.image(i))).count()
}

impl fmt::Display for DataReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}: images of {}, {} classes", printable(&self.name), self.shape, self.classes)?;
        let names: Vec<String> = self.class_counts.iter().map(|count| printable(&count.class)).collect();
        let width = names.iter().map(|name| name.chars().count()).max().unwrap_or(0).max("class".len());
        writeln!(f, "{:width$}  {:>8}  {:>8}  {:>8}", "class", "train", "valid", "test")?;
        let mut row = |name: &str, SplitCounts { train, valid, test }: SplitCounts| {
            writeln!(f, "{name:width$}  {train:>8}  {valid:>8}  {test:>8}")
        };
        for (name, count) in names.iter().zip(&self.class_counts) {
            row(name, count.images)?;
        }
        row("all", self.total)?;
        let Duplicates { valid_in_train, test_in_train, test_in_valid } = self.duplicates;
        writeln!(
            f,
            "equal images: {valid_in_train} validation in training, {test_in_train} test in training, {test_in_valid} test in validation"
        )?;
        if let Some(pixels) = &self.pixels {
            writeln!(f, "pixels: {pixels}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        if self.as_published == Some(false) {
            writeln!(f, "not as many images as were published")?;
        }
        for ReportedFile { path, bytes } in &self.files {
            writeln!(f, "{}  {bytes} bytes", printable(&path.to_string_lossy()))?;
        }
        write!(f, "fingerprint {}", self.fingerprint)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_images_in_two_splits_are_counted() {
        let shape = DataSource::Digits.shape();
        let images = |values: &[u8]| LabelledImages {
            shape,
            pixels: values.iter().flat_map(|&value| vec![value; shape.pixels()]).collect(),
            labels: vec![0; values.len()],
        };
        let data = DataSet::new(DataSource::Digits, images(&[1, 2, 2]), images(&[2, 3]), images(&[1, 1, 3, 4]));
        let report = DataReport::new(&data, Some(false), Vec::new(), Vec::new());
        assert_eq!(report.duplicates, Duplicates { valid_in_train: 1, test_in_train: 2, test_in_valid: 1 });
        assert_eq!(report.class_counts[0].images, SplitCounts { train: 3, valid: 2, test: 4 });
        assert_eq!(report.class_counts[1].images, SplitCounts::default());
        assert!(report.to_string().contains("not as many images as were published"));
    }
}
