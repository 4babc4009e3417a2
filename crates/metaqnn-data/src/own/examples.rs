//! What every reader of own data gives: labelled images of one shape, not yet split.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::findings::Findings;
use crate::data_set::{ImageShape, LabelledImages};
use crate::resize::{ImageSize, resize_all};

/// Most classes that a data set may have.
pub(super) const MOST_CLASSES: usize = 1_000;

/// What an image is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Split {
    Train,
    Valid,
    Test,
}

impl Split {
    pub(super) const ALL: [Self; 3] = [Self::Train, Self::Valid, Self::Test];

    /// The split that a folder, a file or a value of this name stands for.
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name.trim().to_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "valid" | "val" | "validation" | "dev" => Some(Self::Valid),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }

    /// As [`Self::of_name`], with what people call folders of splits besides: `test_set`, `val2017`, `eval`, `holdout`, `PublicTest`.
    pub(super) fn of_any_name(name: &str) -> Option<Self> {
        let name = name.trim().to_lowercase().replace(['-', ' '], "_");
        let name = name.trim_end_matches(|letter: char| letter.is_ascii_digit() || letter == '_');
        let name = ["set", "data", "images"].iter().find_map(|end| name.strip_suffix(end)).unwrap_or(name);
        match name.trim_end_matches('_') {
            "validate" | "eval" | "evaluation" | "publictest" => Some(Self::Valid),
            "holdout" | "hold_out" | "privatetest" => Some(Self::Test),
            name => Self::of_name(name),
        }
    }

    /// Its name.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Valid => "valid",
            Self::Test => "test",
        }
    }

    /// As a word before "images".
    pub(super) fn adjective(self) -> &'static str {
        match self {
            Self::Train => "training",
            Self::Valid => "validation",
            Self::Test => "test",
        }
    }
}

/// Where an image came from, for messages.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Origin {
    /// A file of its own.
    File(PathBuf),
    /// A row of a table, by its line.
    Row(Arc<str>, u64),
    /// An image of an array, counted from 0.
    Element(Arc<str>, u64),
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Row(table, line) => write!(f, "{table} line {line}"),
            Self::Element(array, index) => write!(f, "{array}[{index}]"),
        }
    }
}

/// What an image holds, by a hash of its values before it is resized: it is the same however the image is stored, and whatever size
/// is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Content(pub(super) [u8; 16]);

impl Content {
    /// Of the values of an image, which has these dimensions.
    pub(super) fn of(dimensions: [usize; 3], values: &[u8]) -> Self {
        let mut hash = Sha256::new();
        for side in dimensions {
            hash.update((side as u64).to_le_bytes());
        }
        hash.update(values);
        let mut content = [0; 16];
        content.iter_mut().zip(hash.finalize()).for_each(|(byte, of_hash)| *byte = of_hash);
        Self(content)
    }
}

/// What is known of one image besides its pixels.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Example {
    pub(super) origin: Origin,
    /// Index into the class names.
    pub(super) class: usize,
    /// `None` where the data do not say.
    pub(super) split: Option<Split>,
    pub(super) content: Content,
}

/// Labelled images of one shape.
#[derive(Debug, Clone)]
pub(super) struct Examples {
    pub(super) shape: ImageShape,
    /// NCHW, one for each of `examples`.
    pub(super) pixels: Vec<u8>,
    pub(super) examples: Vec<Example>,
    pub(super) class_names: Vec<String>,
}

impl Examples {
    /// These images resized to `size`, or else to the size chosen from theirs, with 1 channel where all of them are grey.
    pub(super) fn with_chosen_shape(
        mut self,
        path: &Path,
        size: Option<ImageSize>,
        findings: &mut Findings,
    ) -> Option<Self> {
        let ImageShape { channels, height, width } = self.shape;
        let plane = height * width;
        self.note_contents();
        let is_grey = |image: &[u8]| image[..plane] == image[plane..2 * plane] && image[..plane] == image[2 * plane..];
        if channels == 3 && self.pixels.chunks_exact(3 * plane).all(is_grey) {
            self.pixels = self.pixels.chunks_exact(3 * plane).flat_map(|image| &image[..plane]).copied().collect();
            self.shape.channels = 1;
        }
        let size = match size {
            Some(size) => size,
            None => {
                let size = ImageSize::chosen_for(&[(height, width)])?;
                warn_of_resizing(&[(height, width)], size, findings);
                size
            }
        };
        if (height, width) != (size.height(), size.width()) {
            let images = LabelledImages { shape: self.shape, pixels: self.pixels, labels: Vec::new() };
            match resize_all(&images, u8::MAX, size) {
                Ok(resized) => (self.shape, self.pixels) = (resized.shape, resized.pixels),
                Err(error) => {
                    findings.problem(path, error.to_string());
                    return None;
                }
            }
        }
        Some(self)
    }
}

impl Examples {
    /// Notes what each image holds; of one that is grey one channel, for it is the same image among colour ones and among grey ones.
    fn note_contents(&mut self) {
        let ImageShape { channels, height, width } = self.shape;
        let plane = height * width;
        let images = self.pixels.chunks_exact(self.shape.pixels().max(1));
        for (example, image) in self.examples.iter_mut().zip(images) {
            let is_grey =
                channels == 3 && image[..plane] == image[plane..2 * plane] && image[..plane] == image[2 * plane..];
            let (channels, values) = if is_grey { (1, &image[..plane]) } else { (channels, image) };
            example.content = Content::of([height, width, channels], values);
        }
    }
}

/// Tells that images of these sizes get another one that nobody asked for.
pub(super) fn warn_of_resizing(sizes: &[(usize, usize)], size: ImageSize, findings: &mut Findings) {
    if sizes.iter().all(|&known| known == (size.height(), size.width())) {
        return;
    }
    let range = |sides: &dyn Fn(&(usize, usize)) -> usize| {
        let (least, most) = (sizes.iter().map(sides).min(), sizes.iter().map(sides).max());
        match (least.unwrap_or(0), most.unwrap_or(0)) {
            (least, most) if least == most => least.to_string(),
            (least, most) => format!("{least} to {most}"),
        }
    };
    findings.warning(format!(
        "images with {} rows and {} columns are resized to {size}, without regard to their proportions; choose another \
         size with --size",
        range(&|size| size.0),
        range(&|size| size.1)
    ));
}

/// Class names, numbered in the order in which they are met.
#[derive(Debug, Default)]
pub(super) struct Classes {
    names: Vec<String>,
    numbers: HashMap<String, usize>,
}

impl Classes {
    /// The number of the class `name`.
    pub(super) fn number(&mut self, name: &str) -> usize {
        if let Some(&number) = self.numbers.get(name) {
            return number;
        }
        let number = self.names.len();
        self.names.push(name.to_owned());
        self.numbers.insert(name.to_owned(), number);
        number
    }

    /// The names, in the order in which they were met.
    pub(super) fn names(&self) -> &[String] {
        &self.names
    }

    /// The names in their final order, the classes of `examples` renumbered to it: by value if all names are numbers, else
    /// by their letters' code points. Where they are `values`, numbers that are whole are spelled so, and two spellings are one class.
    pub(super) fn into_sorted_names(
        mut self,
        examples: &mut [Example],
        are_values: bool,
        findings: &mut Findings,
    ) -> Vec<String> {
        if are_values {
            self = self.with_whole_numbers(examples, findings);
        }
        let mut order: Vec<usize> = (0..self.names.len()).collect();
        let values: Option<Vec<f64>> =
            self.names.iter().map(|name| name.parse().ok().filter(|value: &f64| value.is_finite())).collect();
        order.sort_by(|&a, &b| {
            let by_value = values.as_ref().map_or(std::cmp::Ordering::Equal, |values| values[a].total_cmp(&values[b]));
            by_value.then_with(|| self.names[a].cmp(&self.names[b]))
        });
        let mut place = vec![0; order.len()];
        for (new, &old) in order.iter().enumerate() {
            place[old] = new;
        }
        for example in examples {
            example.class = place[example.class];
        }
        order.into_iter().map(|old| self.names[old].clone()).collect()
    }
}

impl Classes {
    /// With `1.0` spelled as `1`, where all names are numbers.
    fn with_whole_numbers(self, examples: &mut [Example], findings: &mut Findings) -> Self {
        let whole = |name: &str| {
            let (number, zeros) = name.split_once('.').unwrap_or((name, ""));
            let digits = number.strip_prefix('-').unwrap_or(number);
            let is_whole = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            (is_whole && zeros.bytes().all(|byte| byte == b'0')).then(|| number.to_owned())
        };
        let is_number = |name: &String| name.parse::<f64>().is_ok_and(f64::is_finite);
        if !self.names.iter().all(is_number) {
            return self;
        }
        let mut classes = Self::default();
        let mut first_spelled: HashMap<usize, &String> = HashMap::new();
        let mut numbers = Vec::with_capacity(self.names.len());
        for name in &self.names {
            let number = classes.number(&whole(name).unwrap_or_else(|| name.clone()));
            let first = *first_spelled.entry(number).or_insert(name);
            if first != name {
                findings.note(format!("labels {first} and {name} are one class, {}", classes.names[number]));
            }
            numbers.push(number);
        }
        for example in examples {
            example.class = numbers[example.class];
        }
        classes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sorted(names: &[&str]) -> (Vec<String>, Vec<usize>) {
        sorted_as(names, false).0
    }

    fn sorted_as(names: &[&str], are_values: bool) -> ((Vec<String>, Vec<usize>), Vec<String>) {
        let mut classes = Classes::default();
        let mut examples: Vec<Example> = names
            .iter()
            .map(|name| Example {
                origin: Origin::File(PathBuf::new()),
                class: classes.number(name),
                split: None,
                content: Content::default(),
            })
            .collect();
        let mut findings = Findings::default();
        let names = classes.into_sorted_names(&mut examples, are_values, &mut findings);
        ((names, examples.iter().map(|example| example.class).collect()), findings.notes)
    }

    #[test]
    fn labels_0_and_0_point_0_are_one_class() {
        let (sorted, notes) = sorted_as(&["1.0", "0", "0.0", "1", "0.5", "01"], true);
        assert_eq!(sorted.0, ["0", "0.5", "01", "1"]);
        assert_eq!(sorted.1, [3, 0, 0, 3, 1, 2]);
        assert_eq!(notes, ["labels 0 and 0.0 are one class, 0", "labels 1.0 and 1 are one class, 1"]);
        // Versions are no numbers.
        assert_eq!(sorted_as(&["1.0", "1", "beta"], true).0.0, ["1", "1.0", "beta"]);
    }

    #[test]
    fn splits_go_by_many_names() {
        for (name, split) in [
            ("train", Some(Split::Train)),
            ("Training_Set", Some(Split::Train)),
            ("train_images", Some(Split::Train)),
            ("val2017", Some(Split::Valid)),
            ("eval", Some(Split::Valid)),
            ("PublicTest", Some(Split::Valid)),
            ("test1", Some(Split::Test)),
            ("test-set", Some(Split::Test)),
            ("PrivateTest", Some(Split::Test)),
            ("set", None),
            ("7", None),
            ("trainer", None),
            ("contest", None),
        ] {
            assert_eq!(Split::of_any_name(name), split, "{name}");
        }
        assert_eq!(Split::of_name("eval"), None);
    }

    #[test]
    fn numbers_are_sorted_by_value_and_words_by_letters() {
        assert_eq!(sorted(&["10", "9", "10", "1"]), (vec!["1".into(), "9".into(), "10".into()], vec![2, 1, 2, 0]));
        assert_eq!(sorted(&["dog", "cat", "10", "9"]).0, ["10", "9", "cat", "dog"]);
        assert_eq!(sorted(&["1", "01"]).0, ["01", "1"]);
    }
}
