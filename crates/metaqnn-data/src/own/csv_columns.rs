//! Which column of a table is what.
//!
//! A user's word goes first, then the names of the columns, then what stands in the first row. What stays open is an error that says what to
//! do: a guess would be trained on.

use csv::StringRecord;

use super::examples::Split;
use super::reading::Reading;
use super::{first_few, looks_like_image};
use crate::data_set::ImageShape;

/// Names of columns, in lower case, without what is neither letter nor digit.
const LABEL: &[&str] = &["label", "labels", "class", "classes", "target", "category", "y", "labelname", "classname"];
/// As a message lists them.
const LABEL_NAMES: &str = "label, labels, class, classes, target, category, y";
const PATH: &[&str] = &["file", "filename", "filepath", "path", "image", "imagepath", "img", "imgpath"];
const PATH_NAMES: &str = "file, filename, file_name, filepath, file_path, path, image, image_path, img, img_path";
const SPLIT: &[&str] = &["split", "set", "subset", "partition"];
/// Columns that hold splits if their values name some.
const MAYBE_SPLIT: &[&str] = &["usage", "fold", "phase", "dataset", "mluse"];
/// Columns whose values say of one split whether an image is in it.
const FLAGS: &[(&str, Split)] = &[("isvalid", Split::Valid), ("istest", Split::Test)];
/// Columns that say nothing of an image.
const UNUSED: &[&str] = &["", "id", "index", "unnamed0"];

/// Fewest columns of pixels whose names do not say that they are.
const FEWEST_UNNAMED: usize = 64;
/// Fewest columns of pixels that are numbered, or of a table without names.
const FEWEST_NUMBERED: usize = 4;
/// Fewest columns of which the first line can be taken for their numbers.
const FEWEST_COUNTED: usize = 17;

/// Where a table has what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Columns {
    pub(super) label: usize,
    pub(super) source: Source,
    pub(super) split: Option<SplitColumn>,
    /// Whether the first line is no row.
    pub(super) has_names: bool,
    /// Whether nothing but its place says which column holds the labels.
    pub(super) label_is_guessed: bool,
    /// What was decided that the names do not say.
    pub(super) notes: Vec<String>,
}

/// Where the image of a row is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Source {
    /// In the file that this column names.
    Path(usize),
    /// In these columns, a number each.
    Pixels(Vec<usize>, ImageShape),
    /// In this column, numbers with spaces between.
    Packed(usize, ImageShape),
}

/// Where the split of a row is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SplitColumn {
    /// Its name.
    Named(usize),
    /// Whether it is this one, else training.
    Flag(usize, Split),
}

/// Why the columns are not known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Unknown {
    pub(super) reason: String,
    /// Whether all that is missing are labels.
    pub(super) only_labels: bool,
}

impl From<String> for Unknown {
    fn from(reason: String) -> Self {
        Self { reason, only_labels: false }
    }
}

impl From<&str> for Unknown {
    fn from(reason: &str) -> Self {
        reason.to_owned().into()
    }
}

/// A table's first two lines.
struct Head<'a> {
    names: &'a StringRecord,
    /// The names as they are compared.
    keys: Vec<String>,
    row: Option<&'a StringRecord>,
    reading: &'a Reading,
}

impl Columns {
    /// The columns of a table that begins with `first` and `second`.
    pub(super) fn of(first: &StringRecord, second: Option<&StringRecord>, reading: &Reading) -> Result<Self, Unknown> {
        let keys = first.iter().map(key).collect();
        let head = Head { names: first, keys, row: second, reading };
        if reading.label.is_none() && reading.image.is_none() && !head.has_names() {
            return head.without_names();
        }
        head.with_names()
    }
}

/// A name as it is compared.
fn key(name: &str) -> String {
    name.chars().filter(|letter| letter.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

fn is_number(text: &str) -> bool {
    text.trim().parse::<f64>().is_ok()
}

impl Head<'_> {
    fn find(&self, known: &[&str]) -> Option<usize> {
        self.keys.iter().position(|key| known.contains(&key.as_str()))
    }

    /// What the first row has in a column.
    fn value(&self, column: usize) -> &str {
        self.row.and_then(|row| row.get(column)).unwrap_or_default().trim()
    }

    /// Columns as a message lists them.
    fn listed(&self, columns: &[usize]) -> String {
        first_few(&columns.iter().map(|&column| self.names[column].trim().to_owned()).collect::<Vec<_>>())
    }

    fn all(&self) -> Vec<usize> {
        (0..self.names.len()).collect()
    }

    /// Whether the first line names the columns.
    fn has_names(&self) -> bool {
        self.find(LABEL).is_some()
            || self.find(PATH).is_some()
            || !self.names.iter().any(|name| is_number(name) || looks_like_image(name.trim()))
    }

    /// The column that the user named.
    fn chosen(&self, name: Option<&str>, flag: &str) -> Result<Option<usize>, Unknown> {
        let Some(name) = name else { return Ok(None) };
        let found = self.names.iter().position(|column| column.trim() == name.trim());
        match found.or_else(|| self.keys.iter().position(|column| *column == key(name))) {
            Some(column) => Ok(Some(column)),
            None => Err(format!("{flag} {name}: there is no such column, but {}", self.listed(&self.all())).into()),
        }
    }

    fn split(&self, taken: &[Option<usize>]) -> Option<SplitColumn> {
        let is_current = !self.reading.rules.are_first();
        let is_split = |&column: &usize| {
            let key = self.keys[column].as_str();
            let may_be =
                || is_current && MAYBE_SPLIT.contains(&key) && Split::of_any_name(self.value(column)).is_some();
            !taken.contains(&Some(column)) && (SPLIT.contains(&key) || may_be())
        };
        let flag = || FLAGS.iter().find_map(|&(name, split)| Some(SplitColumn::Flag(self.find(&[name])?, split)));
        let named = self.all().into_iter().find(is_split).map(SplitColumn::Named);
        named.or_else(|| if is_current { flag() } else { None })
    }

    fn with_names(&self) -> Result<Columns, Unknown> {
        let mut notes = Vec::new();
        let label = self.chosen(self.reading.label.as_deref(), "--label")?.or_else(|| self.find(LABEL));
        let mut path = self.chosen(self.reading.image.as_deref(), "--image")?;
        if path.is_none() {
            path = self.find(PATH).filter(|&column| Some(column) != label);
        }
        let split = self.split(&[label, path]);
        let split_column = split.map(|(SplitColumn::Named(column) | SplitColumn::Flag(column, _))| column);
        let is_free = |column: &usize| ![label, path, split_column].contains(&Some(*column));
        let mut others: Vec<usize> = self.all().into_iter().filter(is_free).collect();
        if path.is_none() {
            // Whatever its name, a column of names of images is one.
            let of_images: Vec<usize> =
                others.iter().copied().filter(|&column| looks_like_image(self.value(column))).collect();
            if let [column] = of_images[..] {
                path = Some(column);
                notes.push(format!("column {} is taken for the paths of the images", self.names[column].trim()));
                others.retain(|&other| other != column);
            }
        }
        others.retain(|&column| {
            let key = self.keys[column].as_str();
            let is_no_split = !self.reading.rules.are_first() && MAYBE_SPLIT.contains(&key);
            if is_no_split {
                let (name, value) = (self.names[column].trim(), self.value(column));
                notes
                    .push(format!("column {name} is not used: it names no splits (train, valid, test), but {value:?}"));
            }
            !UNUSED.contains(&key) && !is_no_split
        });
        let label = match (label, path) {
            (Some(label), _) => label,
            (None, _) if !self.reading.rules.are_first() => match self.only_label(&others, path) {
                Some(column) => {
                    notes.push(format!("column {} is taken for the labels", self.names[column].trim()));
                    others.retain(|&other| other != column);
                    column
                }
                None => return Err(self.no_label(&others, path.is_some())),
            },
            (None, _) => return Err(self.no_label(&others, path.is_some())),
        };
        let source = match path {
            Some(path) => Source::Path(path),
            None => self.pixels(&others)?,
        };
        Ok(Columns { label, source, split, has_names: true, label_is_guessed: false, notes })
    }

    /// The one column that can hold the labels, beside that of the images.
    fn only_label(&self, others: &[usize], path: Option<usize>) -> Option<usize> {
        let is_packed = |column: &usize| packed(self.value(*column)).is_some();
        match others {
            [column] if path.is_some() => Some(*column),
            [column, pixels] | [pixels, column] if is_packed(pixels) && !is_packed(column) => Some(*column),
            _ => None,
        }
    }

    fn no_label(&self, others: &[usize], has_path: bool) -> Unknown {
        let is_flag = |&column: &usize| matches!(self.value(column), "0" | "1" | "0.0" | "1.0");
        let one_hot = others.len() > 1 && others.iter().all(is_flag) && has_path;
        let reason = if one_hot {
            format!(
                "a column for each class ({}): expected one column that holds the name of the class; pandas makes it with \
                 table[columns].idxmax(axis=1)",
                self.listed(others)
            )
        } else {
            format!(
                "expected a column of labels ({LABEL_NAMES}), found {}; name it with --label COLUMN",
                self.listed(&self.all())
            )
        };
        Unknown { reason, only_labels: !one_hot }
    }

    /// The columns of pixels.
    fn pixels(&self, others: &[usize]) -> Result<Source, Unknown> {
        if let [column] = others[..]
            && let Some(numbers) = packed(self.value(column))
        {
            return Ok(Source::Packed(column, shape_of_count(numbers).ok_or_else(|| no_square(numbers))?));
        }
        let names: Vec<&str> = others.iter().map(|&column| self.names[column].trim()).collect();
        let are_numbered = are_numbered(&names);
        let are_numbers =
            self.row.is_none() || others.iter().all(|&column| is_number(&self.value(column).replace(',', ".")));
        let fewest = if are_numbered { FEWEST_NUMBERED } else { FEWEST_UNNAMED };
        if !self.reading.rules.are_first() && (!are_numbers || others.len() < fewest) {
            let mut reason = format!("no column of paths: expected {PATH_NAMES}; found {}", self.listed(&self.all()));
            reason += "; name it with --image COLUMN, and the folder of the images with --images FOLDER";
            return Err(reason.into());
        }
        let shape = shape_of(&names).ok_or_else(|| no_square(others.len()))?;
        Ok(Source::Pixels(others.to_vec(), shape))
    }

    fn without_names(&self) -> Result<Columns, Unknown> {
        let columns = |label, source, split| Columns {
            label,
            source,
            split,
            has_names: false,
            label_is_guessed: false,
            notes: Vec::new(),
        };
        let images = |column: &usize| looks_like_image(self.names[*column].trim());
        let path = self.all().into_iter().find(images);
        if let (2, Some(path)) = (self.names.len(), path) {
            return Ok(columns(1 - path, Source::Path(path), None));
        }
        if let (3, Some(path)) = (self.names.len(), path)
            && let Some(split) =
                self.all().into_iter().find(|&column| Split::of_any_name(&self.names[column]).is_some())
            && split != path
        {
            return Ok(columns(3 - path - split, Source::Path(path), Some(SplitColumn::Named(split))));
        }
        let last = self.names.len() - 1;
        let are_numbers = |mut columns: std::ops::Range<usize>| columns.all(|column| is_number(&self.names[column]));
        let label = match () {
            () if last > FEWEST_NUMBERED && are_numbers(1..last + 1) => 0,
            () if last > FEWEST_NUMBERED && are_numbers(0..last) => last,
            () => {
                return Err(
                    "expected a first line that names the columns, or a path and a label, or a label and pixels".into(),
                );
            }
        };
        let pixels: Vec<usize> = self.all().into_iter().filter(|&column| column != label).collect();
        let shape = shape_of_count(pixels.len()).ok_or_else(|| no_square(pixels.len()))?;
        let mut found = columns(label, Source::Pixels(pixels, shape), None);
        found.label_is_guessed = is_number(&self.names[label]);
        if self.counts() && !self.reading.rules.are_first() {
            found.has_names = true;
            found.notes.push(format!(
                "the first line ({}) numbers the columns and is taken for no image",
                first_few(&self.names.iter().map(str::to_owned).collect::<Vec<_>>())
            ));
        }
        found.notes.push(format!(
            "no names of columns: the {} is taken for the label, the other {last} for pixels",
            if label == 0 { "first" } else { "last" }
        ));
        Ok(found)
    }

    /// Whether the first line counts its columns: 0, 1, 2, … or, as pandas spells the names of equal columns, 0, 0.1, 0.2, ….
    fn counts(&self) -> bool {
        let by_one =
            |first: u64| self.names.iter().zip(first..).all(|(name, number)| name.trim() == number.to_string());
        let spelled = || {
            let mut names = self.names.iter().map(str::trim);
            let first = names.next().unwrap_or_default();
            names.zip(1_u64..).all(|(name, number)| name == format!("{first}.{number}"))
        };
        self.names.len() >= FEWEST_COUNTED && (by_one(0) || by_one(1) || spelled())
    }
}

/// How many numbers a text has with spaces between, if it has nothing else.
fn packed(text: &str) -> Option<usize> {
    let numbers = text.split_whitespace().count();
    (numbers >= FEWEST_UNNAMED && text.split_whitespace().all(is_number)).then_some(numbers)
}

/// Whether the names are ROWxCOLUMN, or end in numbers that count up.
fn are_numbered(names: &[&str]) -> bool {
    let number = |name: &&str| {
        let digits = name.len() - name.chars().rev().take_while(char::is_ascii_digit).count();
        name[digits..].parse::<u64>().ok()
    };
    let numbers: Option<Vec<u64>> = names.iter().map(number).collect();
    places(names).is_some() || numbers.is_some_and(|numbers| numbers.windows(2).all(|pair| pair[1] == pair[0] + 1))
}

/// Row and column by the names ROWxCOLUMN.
fn places(names: &[&str]) -> Option<Vec<(usize, usize)>> {
    let place = |name: &&str| {
        let (row, column) = name.split_once('x')?;
        Some((row.parse().ok()?, column.parse().ok()?))
    };
    names.iter().map(place).collect()
}

/// The shape of images with a column of one of these names for each value.
fn shape_of(names: &[&str]) -> Option<ImageShape> {
    if let Some([first, .., last]) = places(names).as_deref() {
        let sides =
            [(first.0, last.0), (first.1, last.1)].map(|(first, last)| last.saturating_sub(first).saturating_add(1));
        if sides[0].checked_mul(sides[1]) == Some(names.len()) {
            return Some(ImageShape { channels: 1, height: sides[0], width: sides[1] });
        }
    }
    shape_of_count(names.len())
}

/// The shape of square images of so many values, grey or else in colour.
pub(super) fn shape_of_count(values: usize) -> Option<ImageShape> {
    [1, 3].into_iter().find_map(|channels| {
        let side = (values / channels).isqrt();
        (side > 0 && side * side * channels == values).then_some(ImageShape { channels, height: side, width: side })
    })
}

fn no_square(values: usize) -> String {
    format!(
        "expected a column of paths ({PATH_NAMES}), or a square number of columns of pixels, or three times one, found {values} \
         other columns"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::own::reading::Rules;

    fn columns(line: &[&str], row: Option<&[&str]>) -> Result<Columns, Unknown> {
        chosen(line, row, &Reading::default())
    }

    fn chosen(line: &[&str], row: Option<&[&str]>, reading: &Reading) -> Result<Columns, Unknown> {
        let row = row.map(|row| StringRecord::from(row.to_vec()));
        Columns::of(&StringRecord::from(line.to_vec()), row.as_ref(), reading)
    }

    fn shape(columns: &Columns) -> String {
        match &columns.source {
            Source::Path(column) => format!("path in {column}"),
            Source::Pixels(columns, shape) => format!("{} of {shape}", columns.len()),
            Source::Packed(column, shape) => format!("{shape} in {column}"),
        }
    }

    fn numbered(first: &str, count: usize) -> Vec<String> {
        [first.to_owned()].into_iter().chain((0..count).map(|i| format!("pixel{i}"))).collect()
    }

    fn strs(names: &[String]) -> Vec<&str> {
        names.iter().map(String::as_str).collect()
    }

    #[test]
    fn columns_are_known_by_name_or_place() {
        let named = columns(&["id", "Path", "Class", "split"], None).unwrap();
        assert!(named.has_names);
        assert_eq!((named.label, named.source, named.split), (2, Source::Path(1), Some(SplitColumn::Named(3))));
        let spelled = columns(&["File Name", "Label"], None).unwrap();
        assert_eq!((spelled.label, spelled.source), (1, Source::Path(0)));
        let pixels = columns(&strs(&numbered("label", 4)), None).unwrap();
        assert_eq!(shape(&pixels), "4 of 1x2x2");
        let wide = columns(&["label", "1x1", "1x2", "1x3", "2x1", "2x2", "2x3"], None).unwrap();
        assert_eq!(shape(&wide), "6 of 1x2x3");
        let colour = columns(&["1"; 13], None).unwrap();
        assert_eq!((colour.label, shape(&colour).as_str()), (0, "12 of 3x2x2"));
        let unnamed = columns(&["cat", "a/b.JPG"], None).unwrap();
        assert_eq!((unnamed.label, unnamed.source, unnamed.has_names), (0, Source::Path(1), false));
        let google = columns(&["TRAIN", "a/b.jpg", "cat"], None).unwrap();
        assert_eq!((google.label, google.source, google.split), (2, Source::Path(1), Some(SplitColumn::Named(0))));
        let last = columns(&[vec!["7"; 16], vec!["cat"]].concat(), None).unwrap();
        assert_eq!((last.label, shape(&last).as_str()), (16, "16 of 1x4x4"));
    }

    #[test]
    fn the_first_row_says_what_names_do_not() {
        let named = columns(&["picture", "label"], Some(&["a.png", "cat"])).unwrap();
        assert_eq!(
            (named.source, named.notes[0].as_str()),
            (Source::Path(0), "column picture is taken for the paths of the images")
        );
        let breed = columns(&["file", "breed"], Some(&["a.png", "boxer"])).unwrap();
        assert_eq!((breed.label, breed.notes[0].as_str()), (1, "column breed is taken for the labels"));
        let numbers = vec!["5"; 64].join(" ");
        let packed = columns(&["label", "pixels", "Usage"], Some(&["0", &numbers, "Training"])).unwrap();
        assert_eq!((shape(&packed).as_str(), packed.split), ("1x8x8 in 1", Some(SplitColumn::Named(2))));
        let valid = columns(&["file", "label", "is_valid"], Some(&["a.png", "cat", "True"])).unwrap();
        assert_eq!(valid.split, Some(SplitColumn::Flag(2, Split::Valid)));
        let fold = columns(&["file", "label", "fold"], Some(&["a.png", "cat", "3"])).unwrap();
        assert_eq!(fold.split, None);
        assert_eq!(fold.notes, ["column fold is not used: it names no splits (train, valid, test), but \"3\""]);
    }

    #[test]
    fn a_user_can_choose() {
        let reading = Reading { label: Some("breed".into()), image: Some("id".into()), ..Reading::default() };
        let found = chosen(&["id", "breed"], Some(&["000a", "boxer"]), &reading).unwrap();
        assert_eq!((found.label, found.source), (1, Source::Path(0)));
        let reading = Reading { label: Some("race".into()), ..Reading::default() };
        let error = chosen(&["id", "breed"], None, &reading).unwrap_err().reason;
        assert_eq!(error, "--label race: there is no such column, but id, breed");
    }

    #[test]
    fn a_line_that_counts_is_no_image() {
        let line: Vec<String> = (0..785).map(|i| i.to_string()).collect();
        let counted = columns(&strs(&line), None).unwrap();
        assert!(counted.has_names);
        assert!(counted.notes[0].starts_with("the first line (0, 1, 2, 3, 4 and 780 more) numbers the columns"));
        let spelled: Vec<String> = ["0".to_owned()].into_iter().chain((1..785).map(|i| format!("0.{i}"))).collect();
        assert!(columns(&strs(&spelled), None).unwrap().has_names);
        let first = Reading { rules: Rules::First, ..Reading::default() };
        assert!(!chosen(&strs(&line), None, &first).unwrap().has_names, "older studies read it as an image");
        assert!(!columns(&["3"; 785], None).unwrap().has_names);
    }

    #[test]
    fn what_is_missing_is_said() {
        let error = |line: &[&str], row: Option<&[&str]>| columns(line, row).unwrap_err().reason;
        assert!(error(&["name", "colour"], None).starts_with("expected a column of labels"));
        assert!(error(&["file", "colour", "size"], None).ends_with("name it with --label COLUMN"));
        assert!(error(&["label", "a", "b"], None).starts_with("no column of paths: expected file, "));
        let ids = error(&["ImageId", "Label"], Some(&["1", "c1"]));
        assert!(ids.contains("found ImageId, Label; name it with --image COLUMN"), "{ids}");
        assert!(error(&["1", "two", "3"], None).starts_with("expected a first line"));
        assert!(error(&strs(&numbered("label", 700)), None).ends_with("found 700 other columns"));
        let one_hot = error(&["filename", "cat", "dog"], Some(&["a.png", "1", "0"]));
        assert!(one_hot.starts_with("a column for each class (cat, dog)"), "{one_hot}");
    }
}
