//! From a name to a data set in memory.

use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::data_set::{DataSet, LabelledImages};
use crate::digits;
use crate::error::DataError;
use crate::files::{Part, locate, read_part};
use crate::own::{ImageSplits, LoadedData, Reading, load_own};
use crate::resize::ImageSize;
use crate::source::{DataArgument, DataSource};
use crate::split::{SplitSettings, stratified_subset};

/// Validation images taken from the training part of a published data set (Baker et al. 2017).
const VALID_IMAGES: usize = 5_000;

/// Reads a data set from its folder in `data_dir` and splits it.
///
/// The test part is the one published. [`SplitSettings::valid_images`] images are drawn from the published training
/// part for validation, stratified by class, by a ChaCha8 generator of [`SplitSettings::seed`]; the rest are for
/// training. The digits are embedded in the program and, unless a number of validation images is set, split by rule:
/// of each class the last 30 are test images, the 30 before them validation images.
///
/// # Errors
/// [`DataError::MissingFiles`] if files are not there, [`DataError::Split`] if too many validation images are asked
/// for, and what is wrong with a file that cannot be read.
pub fn load(source: &DataSource, data_dir: &Path, settings: &SplitSettings) -> Result<DataSet, DataError> {
    let (train, test) = match source {
        DataSource::Digits => {
            let (train, valid, test) = digits::read_split()?;
            if settings.valid_images.is_none() {
                return Ok(DataSet::new(*source, train, valid, test));
            }
            (train.concat(&valid), test)
        }
        _ => {
            let files = locate(*source, &[Part::Train, Part::Test], data_dir)?;
            (read_part(*source, Part::Train, &files)?, read_part(*source, Part::Test, &files)?)
        }
    };
    let (train, valid) = split_off(*source, &train, settings)?;
    Ok(DataSet::new(*source, train, valid, test))
}

/// Reads what the DATA argument names, its images resized to `size` where one is given. Own data, whose sizes can differ, get a
/// size of their own where none is given, and are read as `reading` says.
///
/// # Errors
/// As [`load`] and [`DataSet::resized`], or as [`load_own`].
pub fn load_argument(
    argument: &DataArgument,
    data_dir: &Path,
    size: Option<ImageSize>,
    reading: &Reading,
    settings: &SplitSettings,
) -> Result<LoadedData, DataError> {
    match argument {
        DataArgument::Known(source) => {
            let data = load(source, data_dir, settings)?;
            let data = match size {
                Some(size) => data.resized(size)?,
                None => data,
            };
            let (warnings, notes, skipped) = (Vec::new(), Vec::new(), Vec::new());
            Ok(LoadedData { data, splits: ImageSplits::default(), warnings, notes, pixels: None, skipped })
        }
        DataArgument::Own(path) => load_own(path, size, reading, settings.seed),
    }
}

/// Reads the 531,131 extra training images of SVHN, easier ones than the others, which only the final phase uses.
///
/// # Errors
/// [`DataError::MissingFiles`] if `svhn/extra_32x32.mat` is not in `data_dir`, and what is wrong with it if it cannot
/// be read.
pub fn load_svhn_extra(data_dir: &Path) -> Result<LabelledImages, DataError> {
    let files = locate(DataSource::Svhn, &[Part::Extra], data_dir)?;
    read_part(DataSource::Svhn, Part::Extra, &files)
}

/// Splits the training part of a data set into training and validation images.
fn split_off(
    source: DataSource,
    images: &LabelledImages,
    settings: &SplitSettings,
) -> Result<(LabelledImages, LabelledImages), DataError> {
    let wanted = settings.valid_images.unwrap_or(VALID_IMAGES);
    if wanted >= images.len() {
        return Err(DataError::Split { wanted, available: images.len() });
    }
    let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
    let valid = stratified_subset(&images.labels, source.class_names().len(), wanted, &mut rng);
    let mut is_valid = vec![false; images.len()];
    for &i in &valid {
        is_valid[i] = true;
    }
    let train: Vec<usize> = (0..images.len()).filter(|&i| !is_valid[i]).collect();
    Ok((images.select(&train), images.select(&valid)))
}
