//! Tables: a row an image, with the path of its file or with its pixels.
//!
//! Columns are known by their names (`label`, `file`, `split`, …; all spellings in [`NAMES`]), which the first line gives. A table
//! without such a line has a path and a label, in whatever order, or a label and then pixels. All columns that are not known hold
//! pixels, row by row; of colour images red, green and blue of each pixel follow one another. The images are square, unless
//! the columns are named `ROWxCOLUMN`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ErrorKind, StringRecord};

use super::decode::{ListedFile, decode};
use super::examples::{Classes, Example, Examples, Origin, Split};
use super::findings::Findings;
use super::pixel_values::{Scale, ValueRange};
use super::{extension, first_few, reason_of};
use crate::data_set::ImageShape;
use crate::image_file::{is_image_extension, planes};
use crate::resize::ImageSize;

/// Column names, in lower case.
struct Names {
    label: &'static [&'static str],
    path: &'static [&'static str],
    split: &'static [&'static str],
    /// Columns that say nothing of an image.
    unused: &'static [&'static str],
}

const NAMES: Names = Names {
    label: &["label", "labels", "class", "classes", "target", "category", "y"],
    path: &["file", "filename", "file_name", "filepath", "file_path", "path", "image", "image_path", "img", "img_path"],
    split: &["split", "set", "subset", "partition"],
    unused: &["", "id", "index", "unnamed: 0"],
};

/// Longest line; longer ones are of no table.
const LONGEST_LINE: usize = 1 << 24;

/// Most rows with something wrong that are told; reading ends there.
const MOST_WRONG_ROWS: usize = 1_000;

/// What is said of a table of names alone.
const NO_ROWS: &str = "expected rows, found none";

/// Reads one table.
pub(super) fn read(path: &Path, size: Option<ImageSize>, findings: &mut Findings) -> Option<Examples> {
    read_tables(path, vec![(path.to_owned(), None)], size, findings)
}

/// Reads the tables of a folder: `train.csv` and, where they are there, those of the other splits.
pub(super) fn read_folder(folder: &Path, size: Option<ImageSize>, findings: &mut Findings) -> Option<Examples> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            findings.problem(folder, reason_of(&error));
            return None;
        }
    };
    let mut tables: Vec<(PathBuf, Option<Split>)> = entries
        .filter_map(|entry| {
            let path = entry.ok()?.path();
            let split = Split::of_name(&path.file_stem()?.to_string_lossy())?;
            matches!(extension(&path).as_str(), "csv" | "tsv").then_some((path, Some(split)))
        })
        .collect();
    tables.sort_by(|a, b| a.0.cmp(&b.0));
    read_tables(folder, tables, size, findings)
}

fn read_tables(
    root: &Path,
    tables: Vec<(PathBuf, Option<Split>)>,
    size: Option<ImageSize>,
    findings: &mut Findings,
) -> Option<Examples> {
    let tables: Vec<Table> = tables
        .into_iter()
        .filter_map(|(path, split)| {
            let table = Table::open(&path, split);
            table.map_err(|reason| findings.problem(&path, reason)).ok()
        })
        .collect();
    let first = tables.first()?;
    let mut classes = Classes::default();
    if first.columns.path.is_some() {
        let mut files = Vec::new();
        for table in &tables {
            table.list_files(&mut classes, &mut files, findings);
        }
        if files.is_empty() && findings.problems.is_empty() {
            findings.problem(root, NO_ROWS);
            return None;
        }
        return decode(root, files, classes, size, findings);
    }
    let shape = first.columns.shape;
    for table in &tables[1..] {
        if table.columns.shape != shape || table.columns.path.is_some() {
            let expected = format!("expected pixels of images of {shape}, as in {}", first.name);
            findings.problem(&table.path, format!("{expected}, found others"));
            return None;
        }
    }
    let mut range = ValueRange::new();
    let mut rows = Rows { scale: Scale::Bytes, range: &mut range, pixels: Vec::new(), examples: Vec::new() };
    for table in &tables {
        table.read_pixels(&mut classes, &mut rows, findings);
    }
    let (mut pixels, mut examples) = (rows.pixels, rows.examples);
    if !findings.problems.is_empty() {
        return None;
    }
    if examples.is_empty() {
        findings.problem(root, NO_ROWS);
        return None;
    }
    let scale = range.scale().map_err(|reason| findings.problem(root, reason)).ok()?;
    if scale != Scale::Bytes {
        // Only now is it known what the numbers mean.
        let mut rows = Rows { scale, range: &mut range, pixels: Vec::new(), examples: Vec::new() };
        for table in &tables {
            table.read_pixels(&mut classes, &mut rows, findings);
        }
        pixels = rows.pixels;
    }
    let class_names = classes.into_sorted_names(&mut examples);
    Examples { shape, pixels, examples, class_names }.with_chosen_shape(root, size, findings)
}

/// Where a table has what.
#[derive(Debug, PartialEq, Eq)]
struct Columns {
    label: usize,
    path: Option<usize>,
    split: Option<usize>,
    pixels: Vec<usize>,
    /// Of the images that the pixels are of.
    shape: ImageShape,
}

const NO_SHAPE: ImageShape = ImageShape { channels: 0, height: 0, width: 0 };

impl Columns {
    /// The columns of a table that begins with `first`, and whether that is a line of names.
    fn of(first: &StringRecord) -> Result<(Self, bool), String> {
        let names: Vec<String> = first.iter().map(|name| name.trim().to_lowercase()).collect();
        let find = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str()));
        let (label, path, split) = (find(NAMES.label), find(NAMES.path), find(NAMES.split));
        let looks_like_data =
            |name: &String| name.parse::<f64>().is_ok() || is_image_extension(&extension(Path::new(name)));
        if label.is_none() && path.is_none() {
            if names.iter().any(looks_like_data) {
                return Self::without_names(&names).map(|columns| (columns, false));
            }
            return Err(format!(
                "expected a column of labels ({}), found {}",
                NAMES.label.join(", "),
                first_few(&names)
            ));
        }
        let Some(label) = label else {
            return Err(format!(
                "expected a column of labels ({}), found {}",
                NAMES.label.join(", "),
                first_few(&names)
            ));
        };
        let mut columns = Self { label, path, split, pixels: Vec::new(), shape: NO_SHAPE };
        if path.is_none() {
            columns.pixels = (0..names.len())
                .filter(|&i| i != label && Some(i) != split && !NAMES.unused.contains(&names[i].as_str()))
                .collect();
            columns.shape = shape_of(&columns.pixels.iter().map(|&i| names[i].as_str()).collect::<Vec<_>>())?;
        }
        Ok((columns, true))
    }

    fn without_names(first: &[String]) -> Result<Self, String> {
        let is_path = |value: &String| is_image_extension(&extension(Path::new(value)));
        if let (2, Some(path)) = (first.len(), first.iter().position(is_path)) {
            return Ok(Self { label: 1 - path, path: Some(path), split: None, pixels: Vec::new(), shape: NO_SHAPE });
        }
        if first.len() > 2 && first[1..].iter().all(|value| value.parse::<f64>().is_ok()) {
            let shape = shape_of(&vec![""; first.len() - 1])?;
            return Ok(Self { label: 0, path: None, split: None, pixels: (1..first.len()).collect(), shape });
        }
        Err("expected a first line that names the columns, or a path and a label, or a label and pixels".to_owned())
    }
}

/// The shape of images with a column of one of these names for each value.
fn shape_of(names: &[&str]) -> Result<ImageShape, String> {
    let places: Option<Vec<(usize, usize)>> = names
        .iter()
        .map(|name| {
            let (row, column) = name.split_once('x')?;
            Some((row.parse().ok()?, column.parse().ok()?))
        })
        .collect();
    if let Some([first, .., last]) = places.as_deref() {
        let sides =
            [(first.0, last.0), (first.1, last.1)].map(|(first, last)| last.saturating_sub(first).saturating_add(1));
        if sides[0].checked_mul(sides[1]) == Some(names.len()) {
            return Ok(ImageShape { channels: 1, height: sides[0], width: sides[1] });
        }
    }
    for channels in [1, 3] {
        let side = (names.len() / channels).isqrt();
        if side > 0 && side * side * channels == names.len() {
            return Ok(ImageShape { channels, height: side, width: side });
        }
    }
    Err(format!(
        "expected a column of paths ({}), or a square number of columns of pixels, or three times one, found {} other columns",
        NAMES.path.join(", "),
        names.len()
    ))
}

/// A table whose columns are known.
struct Table {
    path: PathBuf,
    name: Arc<str>,
    /// The split that the whole table is for.
    split: Option<Split>,
    delimiter: u8,
    has_names: bool,
    names: StringRecord,
    columns: Columns,
}

/// What is gathered from rows of pixels.
struct Rows<'a> {
    scale: Scale,
    range: &'a mut ValueRange,
    /// NCHW.
    pixels: Vec<u8>,
    examples: Vec<Example>,
}

impl Table {
    /// Reads the first line.
    fn open(path: &Path, split: Option<Split>) -> Result<Self, String> {
        let delimiter = delimiter(path)?;
        let mut first = StringRecord::new();
        match reader(path, delimiter)?.read_record(&mut first) {
            Ok(true) => {}
            Ok(false) => return Err("an empty file".to_owned()),
            Err(error) => return Err(what_is_wrong(&error)),
        }
        let (columns, has_names) = Columns::of(&first)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into();
        Ok(Self { path: path.to_owned(), name, split, delimiter, has_names, names: first, columns })
    }

    /// The name of a column, or its number from 1.
    fn column(&self, i: usize) -> String {
        match self.names.get(i).filter(|_| self.has_names) {
            Some(name) => name.to_owned(),
            None => (i + 1).to_string(),
        }
    }

    /// Calls `row` with each row and its line. What it says is wrong with one is a problem, as is a row that cannot be read.
    fn for_each_row(&self, findings: &mut Findings, row: &mut dyn FnMut(&StringRecord, u64) -> Result<(), String>) {
        let mut reader = match reader(&self.path, self.delimiter) {
            Ok(reader) => reader,
            Err(reason) => return findings.problem(&self.path, reason),
        };
        let mut record = StringRecord::new();
        let mut skip = self.has_names;
        let mut wrong = 0;
        loop {
            let reason = match reader.read_record(&mut record) {
                Ok(false) => return,
                Ok(true) if std::mem::take(&mut skip) => continue,
                Ok(true) => {
                    let line = record.position().map_or(0, csv::Position::line);
                    match row(&record, line) {
                        Ok(()) => continue,
                        Err(reason) => format!("line {line}: {reason}"),
                    }
                }
                Err(error) => {
                    let reason = what_is_wrong(&error);
                    if matches!(error.kind(), ErrorKind::Io(_)) {
                        return findings.problem(&self.path, reason);
                    }
                    reason
                }
            };
            findings.problem(&self.path, reason);
            wrong += 1;
            if wrong == MOST_WRONG_ROWS {
                return findings.problem(&self.path, "not read further, too many lines being wrong");
            }
        }
    }

    /// Class and split of a row.
    fn label(&self, record: &StringRecord, classes: &mut Classes) -> Result<(usize, Option<Split>), String> {
        let label = record.get(self.columns.label).unwrap_or_default().trim();
        if label.is_empty() {
            return Err(format!("column {}: expected a label, found nothing", self.column(self.columns.label)));
        }
        let split = match self.columns.split.and_then(|column| record.get(column)) {
            Some(name) if self.split.is_none() => Some(
                Split::of_name(name)
                    .ok_or_else(|| format!("expected the split train, valid or test, found {name:?}"))?,
            ),
            _ => self.split,
        };
        Ok((classes.number(label), split))
    }

    fn list_files(&self, classes: &mut Classes, files: &mut Vec<ListedFile>, findings: &mut Findings) {
        let folder = self.path.parent().unwrap_or(Path::new(""));
        self.for_each_row(findings, &mut |record, line| {
            let path = self.columns.path.and_then(|column| record.get(column)).unwrap_or_default().trim();
            if path.is_empty() {
                return Err("expected the path of an image, found nothing".to_owned());
            }
            let (class, split) = self.label(record, classes)?;
            // Tables written on Windows are read elsewhere too.
            let path = if cfg!(windows) { path.to_owned() } else { path.replace('\\', "/") };
            files.push(ListedFile { path: folder.join(path), named_in: Some((self.name.clone(), line)), class, split });
            Ok(())
        });
    }

    fn read_pixels(&self, classes: &mut Classes, rows: &mut Rows<'_>, findings: &mut Findings) {
        let mut image = Vec::with_capacity(self.columns.pixels.len());
        self.for_each_row(findings, &mut |record, line| {
            image.clear();
            for &column in &self.columns.pixels {
                let text = record.get(column).unwrap_or_default().trim();
                let value = text.parse::<f64>().ok().filter(|value| rows.range.see(*value));
                let value = value
                    .ok_or_else(|| format!("column {}: expected a number, found {text:?}", self.column(column)))?;
                image.push(rows.scale.byte(value));
            }
            let (class, split) = self.label(record, classes)?;
            rows.pixels.extend(planes(&image, self.columns.shape.channels));
            rows.examples.push(Example { origin: Origin::Row(self.name.clone(), line), class, split });
            Ok(())
        });
    }
}

/// What separates the columns of a table: in the first line, the most frequent of comma, semicolon and tab.
fn delimiter(path: &Path) -> Result<u8, String> {
    let file = File::open(path).map_err(|error| reason_of(&error))?;
    let mut line = Vec::new();
    BufReader::new(file).take(LONGEST_LINE as u64).read_until(b'\n', &mut line).map_err(|error| reason_of(&error))?;
    let frequency = |delimiter: u8| line.iter().filter(|&&byte| byte == delimiter).count();
    // Of equally frequent ones the last counts.
    Ok([b'\t', b';', b','].into_iter().max_by_key(|&delimiter| frequency(delimiter)).unwrap_or(b','))
}

fn reader(path: &Path, delimiter: u8) -> Result<csv::Reader<ShortLines<BufReader<File>>>, String> {
    let file = File::open(path).map_err(|error| reason_of(&error))?;
    let input = ShortLines { input: BufReader::new(file), length: 0 };
    Ok(csv::ReaderBuilder::new().has_headers(false).delimiter(delimiter).from_reader(input))
}

fn what_is_wrong(error: &csv::Error) -> String {
    let line = error.position().map_or(0, csv::Position::line);
    match error.kind() {
        ErrorKind::UnequalLengths { expected_len, len, .. } => {
            format!("line {line}: expected {expected_len} columns, found {len}")
        }
        ErrorKind::Utf8 { .. } => format!("line {line}: expected text in UTF-8, found other bytes"),
        ErrorKind::Io(error) if error.kind() != io::ErrorKind::InvalidData => reason_of(error),
        _ => error.to_string(),
    }
}

/// A reader that fails at a line too long to be one, instead of taking room for it.
struct ShortLines<R> {
    input: R,
    /// Of the line so far.
    length: usize,
}

impl<R: Read> Read for ShortLines<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.length = match buffer[..count].iter().rposition(|&byte| byte == b'\n') {
            Some(end) => count - end,
            None => self.length + count,
        };
        if self.length > LONGEST_LINE {
            let reason = format!("expected lines of at most {LONGEST_LINE} bytes, found a longer one");
            return Err(io::Error::new(io::ErrorKind::InvalidData, reason));
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn columns(line: &[&str]) -> Result<(Columns, bool), String> {
        Columns::of(&StringRecord::from(line.to_vec()))
    }

    #[test]
    fn columns_are_known_by_name_or_place() {
        let (named, has_names) = columns(&["id", "Path", "Class", "split"]).unwrap();
        assert!(has_names);
        assert_eq!((named.label, named.path, named.split), (2, Some(1), Some(3)));
        let (pixels, _) = columns(&["label", "pixel0", "pixel1", "pixel2", "pixel3", "index"]).unwrap();
        assert_eq!((pixels.pixels, pixels.shape.to_string().as_str()), (vec![1, 2, 3, 4], "1x2x2"));
        let (wide, _) = columns(&["label", "1x1", "1x2", "1x3", "2x1", "2x2", "2x3"]).unwrap();
        assert_eq!(wide.shape.to_string(), "1x2x3");
        let (colour, _) = columns(&["1", "2", "3", "4"]).unwrap();
        assert_eq!((colour.label, colour.shape.to_string().as_str()), (0, "3x1x1"));
        let (unnamed, has_names) = columns(&["cat", "a/b.JPG"]).unwrap();
        assert_eq!((unnamed.label, unnamed.path, has_names), (0, Some(1), false));
    }

    #[test]
    fn what_is_missing_is_said() {
        assert!(columns(&["name", "colour"]).unwrap_err().starts_with("expected a column of labels"));
        assert!(columns(&["file", "colour"]).unwrap_err().starts_with("expected a column of labels"));
        assert!(columns(&["label", "a", "b"]).unwrap_err().ends_with("found 2 other columns"));
        assert!(columns(&["1", "two", "3"]).unwrap_err().starts_with("expected a first line"));
    }
}
