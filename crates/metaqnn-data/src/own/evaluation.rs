//! Labelled images to measure a trained model on.
//!
//! No split is drawn: new images are measured, all of them. Where the data say which images are for testing, those are measured, and
//! of the very data that a model was trained on those that were kept from it.

use std::fs;
use std::path::{Path, PathBuf};

use super::division::{self, Drawn};
use super::examples::{Examples, Split};
use super::findings::Findings;
use super::read;
use super::reading::Reading;
use crate::data_set::{ImageShape, LabelledImages};
use crate::error::DataError;
use crate::image_file::with_channels;
use crate::load::{load, load_argument};
use crate::resize::ImageSize;
use crate::source::DataArgument;
use crate::split::SplitSettings;

/// Which images of a data set are measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum MeasuredPart {
    /// All of them: the data say of none what it is for.
    All,
    /// Those that the data say are for testing.
    Test,
    /// Those that the data say are for validation; they have none for testing.
    Valid,
    /// All of them, though the data say that they are for training; they have no others.
    Train,
    /// The test images that were drawn when the model was trained on the same data.
    KeptFromTraining,
}

/// Labelled images of the shape that a model takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvaluationData {
    /// The images to be measured; a label is an index into `class_names`.
    pub images: LabelledImages,
    /// The classes of the data.
    pub class_names: Vec<String>,
    /// Which images of the data these are.
    pub part: MeasuredPart,
    /// Images of the data that are not measured.
    pub others: usize,
    /// What should be known of them, a line each.
    pub warnings: Vec<String>,
}

/// Reads what the DATA argument names as images of `shape`, white as `max_value`: resized, grey or colour as the shape has it.
///
/// `trained_on` is the fingerprint of the data that the model was trained on: of those only the test images are measured.
///
/// # Errors
/// As [`load`] for a published data set; [`DataError::Unusable`] with everything that is wrong with own data.
pub fn load_for_evaluation(
    argument: &DataArgument,
    data_dir: &Path,
    shape: ImageShape,
    max_value: u8,
    trained_on: Option<&str>,
    reading: &Reading,
    settings: &SplitSettings,
) -> Result<EvaluationData, DataError> {
    let size = ImageSize::new(shape.height, shape.width)?;
    let (mut data, stored_max_value) = match argument {
        DataArgument::Known(source) => {
            // At its own size pixels stay as they were stored.
            let data = match source.shape() {
                known if (known.height, known.width) == (shape.height, shape.width) => {
                    load(source, data_dir, settings)?
                }
                _ => load_argument(argument, data_dir, Some(size), reading, settings)?.data,
            };
            let others = data.train.len() + data.valid.len();
            let (images, class_names, part) = (data.test, data.class_names, MeasuredPart::Test);
            (EvaluationData { images, class_names, part, others, warnings: Vec::new() }, data.max_value)
        }
        DataArgument::Own(path) => (load_own_for_evaluation(path, size, trained_on, reading, settings.seed)?, u8::MAX),
    };
    data.images = with_shape(data.images, stored_max_value, shape.channels, max_value);
    Ok(data)
}

fn load_own_for_evaluation(
    path: &Path,
    size: ImageSize,
    trained_on: Option<&str>,
    reading: &Reading,
    seed: u64,
) -> Result<EvaluationData, DataError> {
    let mut findings = if reading.skip_bad { Findings::skipping() } else { Findings::default() };
    let (folder, known_part) = match lone_split(path) {
        Some((part, folder)) => (folder, Some(part)),
        None => (path.to_owned(), None),
    };
    let examples = read(&folder, Some(size), reading, &mut findings);
    findings.judge_skipped(path, examples.as_ref().map_or(0, |examples| examples.examples.len()));
    let examples = match examples {
        Some(examples) if findings.problems.is_empty() && !examples.examples.is_empty() => examples,
        _ => {
            if findings.problems.is_empty() {
                findings.problem(path, "expected labelled images, found none");
            }
            let problem_count = findings.problem_count();
            return Err(DataError::Unusable { path: path.to_owned(), problems: findings.problems, problem_count });
        }
    };
    let warnings = findings.warnings;
    if let Some(expected) = trained_on {
        // What is said of this division was said when the model was trained.
        // Models of studies of older versions were trained on splits that were drawn otherwise.
        let divided = [false, true].into_iter().find_map(|first_rules| {
            let rules = Drawn { first_rules, stored: None, seed };
            let (data, _) = division::divide(examples.clone(), path, &rules, &mut Findings::default())?;
            Some(data).filter(|data| data.fingerprint == expected && !data.test.is_empty())
        });
        if let Some(data) = divided {
            let others = data.train.len() + data.valid.len();
            let drawn = examples.examples.iter().all(|example| example.split != Some(Split::Test));
            let part = if drawn { MeasuredPart::KeptFromTraining } else { MeasuredPart::Test };
            return Ok(EvaluationData { images: data.test, class_names: data.class_names, part, others, warnings });
        }
    }
    let (part, wanted) = part_of(&examples);
    let all = examples.examples.len();
    let images = selected(&examples, wanted);
    let others = all - images.len();
    let part = known_part.filter(|_| part == MeasuredPart::All).unwrap_or(part);
    Ok(EvaluationData { images, class_names: examples.class_names, part, others, warnings })
}

/// The folder of the one split that `path` holds, where it holds class folders below nothing else: `test/cat/1.jpg`.
fn lone_split(path: &Path) -> Option<(MeasuredPart, PathBuf)> {
    let mut folders = fs::read_dir(path).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    let folders: Vec<PathBuf> = folders.by_ref().filter(|path| path.is_dir() && !is_hidden(path)).collect();
    let [folder] = folders.as_slice() else { return None };
    let split = Split::of_name(&folder.file_name()?.to_string_lossy())?;
    let mut inside = fs::read_dir(folder).ok()?.filter_map(|entry| Some(entry.ok()?.path()));
    // A class that is named like a split holds images.
    if !inside.any(|path| path.is_dir() && !is_hidden(&path)) {
        return None;
    }
    let part = match split {
        Split::Train => MeasuredPart::Train,
        Split::Valid => MeasuredPart::Valid,
        Split::Test => MeasuredPart::Test,
    };
    Some((part, folder.clone()))
}

fn is_hidden(path: &Path) -> bool {
    path.file_name().is_some_and(|name| name.to_string_lossy().starts_with('.'))
}

/// Which images are measured, and the split that they have; `None` for all.
fn part_of(examples: &Examples) -> (MeasuredPart, Option<Split>) {
    let has = |split: Split| examples.examples.iter().any(|example| example.split == Some(split));
    if has(Split::Test) {
        (MeasuredPart::Test, Some(Split::Test))
    } else if has(Split::Valid) {
        (MeasuredPart::Valid, Some(Split::Valid))
    } else if has(Split::Train) {
        (MeasuredPart::Train, None)
    } else {
        (MeasuredPart::All, None)
    }
}

fn selected(examples: &Examples, wanted: Option<Split>) -> LabelledImages {
    let mut selected = LabelledImages::empty(examples.shape);
    let images = examples.pixels.chunks_exact(examples.shape.pixels().max(1));
    for (example, image) in examples.examples.iter().zip(images) {
        if wanted.is_none() || example.split == wanted {
            selected.pixels.extend_from_slice(image);
            // The readers give at most MOST_CLASSES, which `divide` demands only of data to train on.
            selected.labels.push(u16::try_from(example.class).unwrap_or(u16::MAX));
        }
    }
    selected
}

/// The images with so many channels and white as `max_value`, where it was stored as `stored_max_value`.
fn with_shape(images: LabelledImages, stored_max_value: u8, channels: usize, max_value: u8) -> LabelledImages {
    let LabelledImages { shape, mut pixels, labels } = images;
    if shape.channels != channels {
        let images = pixels.chunks_exact(shape.pixels().max(1));
        pixels = images.flat_map(|image| with_channels(image.to_vec(), shape.channels, channels)).collect();
    }
    if stored_max_value != max_value {
        let (from, to) = (u32::from(stored_max_value.max(1)), u32::from(max_value));
        for value in &mut pixels {
            *value = ((u32::from(*value) * to + from / 2) / from).min(to) as u8;
        }
    }
    LabelledImages { shape: ImageShape { channels, ..shape }, pixels, labels }
}

#[cfg(test)]
mod tests {
    use image::{Rgb, RgbImage};

    use super::*;
    use crate::own::load_own;
    use crate::split::DEFAULT_SPLIT_SEED;

    const SHAPE: ImageShape = ImageShape { channels: 3, height: 8, width: 8 };

    /// `count` images of each class in `folder`, of a grey that none other has.
    fn write(folder: &Path, classes: &[&str], count: u8) {
        for (number, class) in (0_u8..).zip(classes) {
            fs::create_dir_all(folder.join(class)).unwrap();
            for i in 0..count {
                let value = 100 * number + i;
                let image = RgbImage::from_pixel(8, 8, Rgb([value; 3]));
                image.save(folder.join(class).join(format!("{i}.png"))).unwrap();
            }
        }
    }

    fn load(path: &Path, trained_on: Option<&str>) -> Result<EvaluationData, DataError> {
        let settings = SplitSettings { valid_images: None, seed: DEFAULT_SPLIT_SEED };
        load_for_evaluation(
            &DataArgument::Own(path.into()),
            Path::new(""),
            SHAPE,
            255,
            trained_on,
            &Reading::default(),
            &settings,
        )
    }

    #[test]
    fn of_a_folder_without_splits_every_image_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, &["cat", "dog"], 20);
        let data = load(root, None).unwrap();
        assert_eq!((data.images.len(), data.part, data.others), (40, MeasuredPart::All, 0));
        // Grey images for a model of colour.
        assert_eq!(data.images.shape, SHAPE);
        assert_eq!(data.images.image(1)[..3], [1; 3]);
        // One image of one class is enough.
        let one = tempfile::tempdir().unwrap();
        write(one.path(), &["dog"], 1);
        assert_eq!(load(one.path(), None).unwrap().images.len(), 1);
    }

    #[test]
    fn of_the_data_of_the_training_only_what_was_kept_from_it_is_measured() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, &["cat", "dog"], 20);
        let trained =
            load_own(root, Some(ImageSize::new(8, 8).unwrap()), &Reading::default(), DEFAULT_SPLIT_SEED).unwrap().data;
        let data = load(root, Some(&trained.fingerprint)).unwrap();
        let others = trained.train.len() + trained.valid.len();
        assert_eq!((data.part, data.others), (MeasuredPart::KeptFromTraining, others));
        assert_eq!(data.images.labels, trained.test.labels);
        assert_eq!(load(root, Some("another")).unwrap().part, MeasuredPart::All);
    }

    #[test]
    fn where_there_are_splits_the_test_images_are_measured() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(&root.join("test"), &["cat", "dog"], 3);
        let data = load(root, None).unwrap();
        assert_eq!((data.images.len(), data.part, data.class_names.len()), (6, MeasuredPart::Test, 2));
        write(&root.join("train"), &["cat", "dog"], 5);
        let data = load(root, None).unwrap();
        assert_eq!((data.images.len(), data.part, data.others), (6, MeasuredPart::Test, 10));
        fs::rename(root.join("test"), root.join("val")).unwrap();
        assert_eq!(load(root, None).unwrap().part, MeasuredPart::Valid);
        fs::remove_dir_all(root.join("val")).unwrap();
        let data = load(root, None).unwrap();
        assert_eq!((data.images.len(), data.part), (10, MeasuredPart::Train));
    }

    #[test]
    fn images_get_the_range_of_the_model() {
        let images = LabelledImages {
            shape: ImageShape { channels: 1, height: 1, width: 2 },
            pixels: vec![0, 255],
            labels: vec![0],
        };
        assert_eq!(with_shape(images.clone(), 255, 1, 16).pixels, [0, 16]);
        assert_eq!(with_shape(images.clone(), 255, 3, 255).pixels, [0, 255, 0, 255, 0, 255]);
        let small = LabelledImages { pixels: vec![8, 16], ..images };
        assert_eq!(with_shape(small, 16, 1, 255).pixels, [128, 255]);
    }

    #[test]
    fn what_holds_no_images_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(load(folder.path(), None).is_err());
    }
}
