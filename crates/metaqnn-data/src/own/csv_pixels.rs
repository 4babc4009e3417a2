//! Tables that hold the pixels of the images.

use std::collections::BTreeSet;
use std::path::Path;

use csv::StringRecord;

use super::csv_columns::Source;
use super::csv_table::{NO_ROWS, Table};
use super::examples::{Classes, Content, Example, Examples, Origin, Split};
use super::findings::Findings;
use super::pixel_values::{Scale, ValueRange, decide};
use super::reading::Reading;
use crate::data_set::ImageShape;
use crate::image_file::planes;
use crate::resize::ImageSize;

/// Values beyond this are of no class's number.
const MOST_NUMBERED_CLASSES: f64 = 1_000.0;

/// What is gathered from rows.
struct Rows {
    scale: Scale,
    /// The numbers of the rows of each split, and at last of those without.
    ranges: [ValueRange; 4],
    /// NCHW.
    pixels: Vec<u8>,
    examples: Vec<Example>,
    /// The last number of each row.
    last: BTreeSet<u64>,
}

impl Rows {
    fn new(scale: Scale) -> Self {
        let ranges = [ValueRange::new(), ValueRange::new(), ValueRange::new(), ValueRange::new()];
        Self { scale, ranges, pixels: Vec::new(), examples: Vec::new(), last: BTreeSet::new() }
    }
}

/// Reads the images of `tables`.
pub(super) fn read(
    root: &Path,
    tables: &[Table],
    size: Option<ImageSize>,
    reading: &Reading,
    findings: &mut Findings,
) -> Option<Examples> {
    let shape = shape_of(tables.first()?)?;
    for table in &tables[1..] {
        if shape_of(table) != Some(shape) {
            let expected = format!("expected pixels of images of {shape}, as in {}", tables[0].name);
            findings.problem(&table.path, format!("{expected}, found others"));
            return None;
        }
    }
    let mut classes = Classes::default();
    // Read once to see what the numbers are; most often they are bytes, and that is all.
    let mut rows = Rows::new(Scale::Bytes);
    read_all(tables, reading, &mut classes, &mut rows, findings);
    if !findings.is_sound() {
        return None;
    }
    if rows.examples.is_empty() {
        findings.problem(root, NO_ROWS);
        return None;
    }
    if !reading.rules.are_first() {
        demand_labels_first(tables, &classes, &rows.last, findings)?;
    }
    let names = Split::ALL.iter().map(|split| format!("the {} part", split.adjective())).chain(["the rest".to_owned()]);
    let parts: Vec<(String, ValueRange)> = names.zip(rows.ranges.clone()).collect();
    let decided = decide(&parts, reading.rules.are_first());
    let (scale, summary) = decided.map_err(|reason| findings.problem(root, reason)).ok()?;
    findings.pixels = Some(summary);
    if scale != Scale::Bytes {
        rows = Rows::new(scale);
        // What is wrong with rows is known by now.
        read_all(tables, reading, &mut classes, &mut rows, &mut Findings::skipping());
    }
    let Rows { pixels, mut examples, .. } = rows;
    let class_names = classes.into_sorted_names(&mut examples, !reading.rules.are_first(), findings);
    Examples { shape, pixels, examples, class_names }.with_chosen_shape(root, size, findings)
}

fn shape_of(table: &Table) -> Option<ImageShape> {
    match table.columns.source {
        Source::Path(_) => None,
        Source::Pixels(_, shape) | Source::Packed(_, shape) => Some(shape),
    }
}

fn read_all(tables: &[Table], reading: &Reading, classes: &mut Classes, rows: &mut Rows, findings: &mut Findings) {
    for table in tables {
        let before = rows.examples.len();
        table.read_pixels(reading, classes, rows, findings);
        table.warn_if_empty(rows.examples.len() == before, tables.len(), findings);
    }
}

/// Refuses a table without names whose last column looks more like labels than its first.
fn demand_labels_first(
    tables: &[Table],
    classes: &Classes,
    last: &BTreeSet<u64>,
    findings: &mut Findings,
) -> Option<()> {
    let first: Vec<f64> = classes.names().iter().filter_map(|name| name.parse().ok()).collect();
    let last: Vec<f64> = last.iter().map(|bits| f64::from_bits(*bits)).collect();
    let are_numbers = first.len() == classes.names().len();
    match tables.iter().find(|table| table.columns.label == 0 && table.columns.label_is_guessed) {
        Some(table) if are_numbers && !count_up(&first) && count_up(&last) => {
            let reason = "the first column does not look like labels, the last one does: give the table a first line that \
                          names its columns";
            findings.problem(&table.path, reason);
            None
        }
        _ => Some(()),
    }
}

/// Whether these are the numbers of two classes or more: whole, from 0 or 1 on, none left out.
fn count_up(numbers: &[f64]) -> bool {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let from = sorted.first().copied().unwrap_or_default();
    (2.0..MOST_NUMBERED_CLASSES).contains(&(sorted.len() as f64))
        && (from == 0.0 || from == 1.0)
        && sorted.windows(2).all(|pair| pair[1] == pair[0] + 1.0)
}

impl Table {
    fn read_pixels(&self, reading: &Reading, classes: &mut Classes, rows: &mut Rows, findings: &mut Findings) {
        let Some(shape) = shape_of(self) else { return };
        let mut image = Vec::with_capacity(shape.pixels());
        self.for_each_row(findings, &mut |record, line| {
            let (class, split) = self.label(record, reading, classes)?;
            let range = &mut rows.ranges[split.map_or(Split::ALL.len(), |split| split as usize)];
            image.clear();
            let mut last = 0.0;
            self.for_each_number(record, &mut |column, text| {
                let value = text.parse::<f64>().ok().filter(|value| range.see(*value)).ok_or_else(|| {
                    let hint = if text.contains(',') && text.replacen(',', ".", 1).parse::<f64>().is_ok() {
                        ": write it with a point"
                    } else {
                        ""
                    };
                    format!("column {}: expected a number, found {text:?}{hint}", self.column(column))
                })?;
                last = value;
                image.push(rows.scale.byte(value));
                Ok(())
            })?;
            if image.len() != shape.pixels() {
                return Err(format!("expected {} numbers, found {}", shape.pixels(), image.len()));
            }
            if rows.last.len() < MOST_NUMBERED_CLASSES as usize {
                rows.last.insert(last.to_bits());
            }
            rows.pixels.extend(planes(&image, shape.channels));
            rows.examples.push(Example {
                origin: Origin::Row(self.name.clone(), line),
                class,
                split,
                content: Content::default(),
            });
            Ok(())
        });
    }

    /// Calls `each` with the column and the text of each number of a row.
    fn for_each_number(
        &self,
        record: &StringRecord,
        each: &mut dyn FnMut(usize, &str) -> Result<(), String>,
    ) -> Result<(), String> {
        match &self.columns.source {
            Source::Path(_) => Ok(()),
            Source::Pixels(columns, _) => {
                columns.iter().try_for_each(|&column| each(column, record.get(column).unwrap_or_default().trim()))
            }
            Source::Packed(column, _) => {
                record.get(*column).unwrap_or_default().split_whitespace().try_for_each(|text| each(*column, text))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_classes_count_up_from_0_or_1() {
        assert!(count_up(&[1.0, 0.0, 2.0]));
        assert!(count_up(&[1.0, 2.0]));
        assert!(!count_up(&[0.0]));
        assert!(!count_up(&[0.0, 2.0, 3.0]));
        assert!(!count_up(&[0.5, 1.5]));
    }
}
