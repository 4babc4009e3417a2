//! Tables: a row an image, with the path of its file or with its pixels.
//!
//! Which column is what, `csv_columns` says. Pixels stand row by row; of colour images red, green and blue of each pixel follow one another.
//! The images are square, unless the columns are named `ROWxCOLUMN`.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use csv::{ErrorKind, StringRecord};

use super::csv_columns::{Columns, Source, SplitColumn, Unknown};
use super::csv_files::NamedFiles;
use super::csv_pixels;
use super::decode::{ListedFile, decode};
use super::examples::{Classes, Examples, Split};
use super::findings::Findings;
use super::reading::Reading;
use super::{extension, reason_of};
use crate::resize::ImageSize;

/// Longest line; longer ones are of no table.
const LONGEST_LINE: usize = 1 << 24;

/// Most rows with something wrong that are told; reading ends there.
const MOST_WRONG_ROWS: usize = 1_000;

/// What is said of a table of names alone.
pub(super) const NO_ROWS: &str = "expected rows, found none";

/// What programs write where there is no label.
const NO_LABEL: &[&str] = &["NaN", "nan", "<NA>", "N/A", "#N/A", "null", "NULL"];

/// Reads one table.
pub(super) fn read(
    path: &Path,
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
    read_tables(path, vec![(path.to_owned(), None)], size, reading, findings)
}

/// Reads the tables of a folder: `train.csv` and, where they are there, those of the other splits.
pub(super) fn read_folder(
    folder: &Path,
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
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
            let stem = path.file_stem()?.to_string_lossy().into_owned();
            let is_first = reading.rules.are_first();
            let split = if is_first { Split::of_name(&stem) } else { Split::of_any_name(&stem) }?;
            matches!(extension(&path).as_str(), "csv" | "tsv").then_some((path, Some(split)))
        })
        .collect();
    tables.sort_by(|a, b| a.0.cmp(&b.0));
    read_tables(folder, tables, size, reading, findings)
}

fn read_tables(
    root: &Path,
    tables: Vec<(PathBuf, Option<Split>)>,
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
    let mut opened = Vec::new();
    for (path, split) in tables {
        match Table::open(&path, split, reading) {
            Ok(table) => {
                for note in &table.columns.notes {
                    findings.note(format!("{}: {note}", table.name));
                }
                opened.push(table);
            }
            // Such are the test tables of competitions.
            Err(Unknown { only_labels: true, .. }) if matches!(split, Some(Split::Valid | Split::Test)) => {
                let name = path.file_name().unwrap_or_default().to_string_lossy();
                findings.warning(format!("{name} is left out: it has no column of labels"));
            }
            Err(Unknown { reason, .. }) => findings.problem(&path, reason),
        }
    }
    let first = opened.first()?;
    if !matches!(first.columns.source, Source::Path(_)) {
        return csv_pixels::read(root, &opened, size, reading, findings);
    }
    let mut classes = Classes::default();
    let mut files = Vec::new();
    for table in &opened {
        let before = files.len();
        table.list_files(reading, &mut classes, &mut files, findings)?;
        table.warn_if_empty(files.len() == before, opened.len(), findings);
    }
    if files.is_empty() && findings.is_sound() {
        findings.problem(root, NO_ROWS);
        return None;
    }
    decode(root, files, classes, size, reading, findings)
}

/// A table whose columns are known.
pub(super) struct Table {
    pub(super) path: PathBuf,
    pub(super) name: Arc<str>,
    /// The split that the whole table is for.
    pub(super) split: Option<Split>,
    layout: Layout,
    names: StringRecord,
    pub(super) columns: Columns,
}

impl Table {
    /// Reads the first lines.
    fn open(path: &Path, split: Option<Split>, reading: &Reading) -> Result<Self, Unknown> {
        let layout = Layout::of(path)?;
        let mut reader = reader(path, &layout)?;
        let mut records = Vec::new();
        while records.len() < 2 {
            let mut record = StringRecord::new();
            match reader.read_record(&mut record) {
                Ok(true) => records.push(record),
                Ok(false) if records.is_empty() => return Err("an empty file".into()),
                Ok(false) => break,
                // What is wrong with the second is told with the other rows.
                Err(error) if records.is_empty() => return Err(what_is_wrong(&error, &layout).into()),
                Err(_) => break,
            }
        }
        let columns = Columns::of(&records[0], records.get(1), reading)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().into();
        Ok(Self { path: path.to_owned(), name, split, layout, names: records.swap_remove(0), columns })
    }

    /// The name of a column, or its number from 1.
    pub(super) fn column(&self, i: usize) -> String {
        match self.names.get(i).filter(|_| self.columns.has_names) {
            Some(name) => name.to_owned(),
            None => (i + 1).to_string(),
        }
    }

    /// Tells of a table of a split that has no rows: another split is drawn in its place.
    pub(super) fn warn_if_empty(&self, is_empty: bool, tables: usize, findings: &mut Findings) {
        if let (true, Some(split)) = (is_empty && tables > 1, self.split) {
            findings.warning(format!("{} has no rows: it gives no {} images", self.name, split.adjective()));
        }
    }

    /// Calls `row` with each row and its line. What it says is wrong with one is told, as is a row that cannot be read.
    pub(super) fn for_each_row(
        &self,
        findings: &mut Findings,
        row: &mut dyn FnMut(&StringRecord, u64) -> Result<(), String>,
    ) {
        let mut reader = match reader(&self.path, &self.layout) {
            Ok(reader) => reader,
            Err(reason) => return findings.problem(&self.path, reason),
        };
        let mut record = StringRecord::new();
        let mut skip = self.columns.has_names;
        let mut wrong = 0;
        loop {
            let reason = match reader.read_record(&mut record) {
                Ok(false) => return,
                Ok(true) if std::mem::take(&mut skip) => continue,
                Ok(true) => {
                    let line = record.position().map_or(0, csv::Position::line) + self.layout.lines_before;
                    match row(&record, line) {
                        Ok(()) => continue,
                        Err(reason) => format!("line {line}: {reason}"),
                    }
                }
                Err(error) => {
                    let reason = what_is_wrong(&error, &self.layout);
                    if matches!(error.kind(), ErrorKind::Io(_)) {
                        return findings.problem(&self.path, reason);
                    }
                    reason
                }
            };
            findings.bad(&self.path, reason);
            wrong += 1;
            if wrong == MOST_WRONG_ROWS {
                return findings.problem(&self.path, "not read further, too many lines being wrong");
            }
        }
    }

    /// Class and split of a row.
    pub(super) fn label(
        &self,
        record: &StringRecord,
        reading: &Reading,
        classes: &mut Classes,
    ) -> Result<(usize, Option<Split>), String> {
        let label = record.get(self.columns.label).unwrap_or_default().trim();
        if label.is_empty() || NO_LABEL.contains(&label) && !reading.rules.are_first() {
            let found = if label.is_empty() { "nothing" } else { label };
            return Err(format!("column {}: expected a label, found {found}", self.column(self.columns.label)));
        }
        let split = match (self.split, self.columns.split) {
            (Some(split), _) => Some(split),
            (None, None) => None,
            (None, Some(SplitColumn::Named(column))) => {
                let name = record.get(column).unwrap_or_default();
                let split = Split::of_any_name(name);
                Some(split.ok_or_else(|| format!("expected the split train, valid or test, found {name:?}"))?)
            }
            (None, Some(SplitColumn::Flag(column, split))) => {
                match record.get(column).unwrap_or_default().trim().to_lowercase().as_str() {
                    "true" | "1" | "1.0" | "yes" => Some(split),
                    "false" | "0" | "0.0" | "no" => Some(Split::Train),
                    found => {
                        return Err(format!("column {}: expected True or False, found {found:?}", self.column(column)));
                    }
                }
            }
        };
        Ok((classes.number(label), split))
    }

    /// The files that the rows name; `None` where none of them is where the table says and it is known where they are.
    fn list_files(
        &self,
        reading: &Reading,
        classes: &mut Classes,
        files: &mut Vec<ListedFile>,
        findings: &mut Findings,
    ) -> Option<()> {
        let Source::Path(column) = self.columns.source else {
            findings.problem(&self.path, "expected a column of paths, as in the other tables, found pixels");
            return None;
        };
        let mut named = NamedFiles::new(&self.path, reading.images.as_deref());
        let before = files.len();
        self.for_each_row(findings, &mut |record, line| {
            let path = record.get(column).unwrap_or_default().trim();
            if path.is_empty() {
                return Err("expected the path of an image, found nothing".to_owned());
            }
            let (class, split) = self.label(record, reading, classes)?;
            files.push(ListedFile { path: named.find(path)?, named_in: Some((self.name.clone(), line)), class, split });
            Ok(())
        });
        let (Some(first), Some(last)) = (files.get(before), files.last()) else { return Some(()) };
        if let Some(folder) = named.elsewhere(&first.path).filter(|_| !last.path.is_file()) {
            let name = self.path.parent().and_then(|root| folder.strip_prefix(root).ok()).unwrap_or(&folder);
            let reason = format!(
                "{} is not where column {} says, but in {name}: add --images {name}",
                first.path.file_name().unwrap_or_default().display(),
                self.column(column),
                name = name.display()
            );
            findings.problem(&self.path, reason);
            return None;
        }
        Some(())
    }
}

/// How a file of text is a table.
#[derive(Debug, Clone, Copy)]
struct Layout {
    delimiter: u8,
    /// Bytes and lines before the first of the table.
    bytes_before: u64,
    lines_before: u64,
}

impl Layout {
    /// What separates the columns: what a line `sep=;` of Excel's says, else in the first line the most frequent of comma, semicolon, tab
    /// and bar.
    fn of(path: &Path) -> Result<Self, String> {
        let file = File::open(path).map_err(|error| reason_of(&error))?;
        let mut line = Vec::new();
        let mut input = BufReader::new(file).take(LONGEST_LINE as u64);
        input.read_until(b'\n', &mut line).map_err(|error| reason_of(&error))?;
        if line.starts_with(b"\xff\xfe") || line.starts_with(b"\xfe\xff") {
            return Err("expected text in UTF-8, found UTF-16: save it as UTF-8".to_owned());
        }
        if let [b's', b'e', b'p', b'=', delimiter, b'\n' | b'\r', ..] = line[..] {
            return Ok(Self { delimiter, bytes_before: line.len() as u64, lines_before: 1 });
        }
        let frequency = |delimiter: u8| line.iter().filter(|&&byte| byte == delimiter).count();
        // Of equally frequent ones the last counts.
        let delimiter = [b'|', b'\t', b';', b','].into_iter().max_by_key(|&delimiter| frequency(delimiter));
        Ok(Self { delimiter: delimiter.unwrap_or(b','), bytes_before: 0, lines_before: 0 })
    }
}

fn reader(path: &Path, layout: &Layout) -> Result<csv::Reader<ShortLines<BufReader<File>>>, String> {
    let mut file = File::open(path).map_err(|error| reason_of(&error))?;
    file.seek(SeekFrom::Start(layout.bytes_before)).map_err(|error| reason_of(&error))?;
    let input = ShortLines { input: BufReader::new(file), length: 0 };
    Ok(csv::ReaderBuilder::new().has_headers(false).delimiter(layout.delimiter).from_reader(input))
}

fn what_is_wrong(error: &csv::Error, layout: &Layout) -> String {
    let line = error.position().map_or(0, csv::Position::line) + layout.lines_before;
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
