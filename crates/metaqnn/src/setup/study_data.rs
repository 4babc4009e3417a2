//! A study that is there: its data, found again, and its agent, rebuilt.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use metaqnn_core::study::{Study, StudyHeader};
use metaqnn_data::{DataSet, ImageSplits, LoadedData, Reading};
use metaqnn_run::RunError;
use metaqnn_store::StudyReader;

use super::arguments::StudyDataArguments;
use super::data::{data_set, image_size, lasting};
use super::settings::{checked, document_of_study, space};
use crate::show;

/// Rebuilds the agent from the stored log.
pub(crate) fn replay(reader: &StudyReader, study: &mut Study) -> Result<()> {
    match metaqnn_run::replay(study, |visit| reader.visit_events(visit)) {
        Err(error @ RunError::Replay(_)) => bail!("{}: {error}", reader.path().display()),
        done => Ok(done?),
    }
}

/// The study in memory, replayed from its log.
pub(crate) fn rebuilt(reader: &StudyReader) -> Result<Study> {
    let header = reader.header()?;
    let settings = checked(&document_of_study(reader.path(), &header)?)?;
    let space = space(&settings, header.input, header.class_names.len() as u32)?;
    let mut study = Study::new(settings, space, header.seed);
    replay(reader, &mut study)?;
    Ok(study)
}

/// How the data of a study are read: as when it began.
pub(crate) fn reading_of_study(reader: &StudyReader) -> Result<Reading> {
    let Some(stored) = reader.data_reading()? else { return Ok(Reading::first()) };
    let unreadable = || format!("{}: how its data are read is not known to this version", reader.path().display());
    let reading: Reading = serde_json::from_str(&stored.reading).with_context(unreadable)?;
    let splits = ImageSplits::from_bytes(&stored.image_splits).with_context(unreadable)?;
    Ok(Reading { splits: (!splits.images.is_empty()).then_some(splits), ..reading })
}

/// The data of a study, read, and where they are.
pub(crate) struct StudyData {
    pub(crate) data: DataSet,
    /// The DATA argument with which they are found.
    pub(crate) argument: String,
    /// The folder of the known data sets.
    pub(crate) data_dir: PathBuf,
}

/// Reads the data set of the study at `path`, its images of the size that the study began with, from where it was or is now.
pub(crate) fn data_of_study(
    path: &Path,
    header: &StudyHeader,
    reading: &Reading,
    place: &StudyDataArguments,
) -> Result<StudyData> {
    let argument = match &place.moved_data {
        Some(moved) => lasting(moved)?,
        None => header.data.clone(),
    };
    let folder = place.data_dir.data_dir.as_deref();
    let (LoadedData { data, splits, .. }, data_dir) =
        data_set(&argument, folder, Some(image_size(header.input)?), reading).with_context(|| {
            match &place.moved_data {
                Some(_) => format!("{}: the data named with --data cannot be read", path.display()),
                None => {
                    format!(
                        "{}: its data cannot be read; if they have moved, give the new path with --data",
                        path.display()
                    )
                }
            }
        })?;
    let images = reading.splits.as_ref().map(|before| changed_images(before, &splits)).unwrap_or_default();
    match difference(header, &data) {
        Some(difference) => {
            bail!(
                "{}: {argument} does not hold the data that the study began with: {difference}{images}",
                path.display()
            )
        }
        None => Ok(StudyData { data, argument, data_dir }),
    }
}

/// What images were added and taken away, in words.
fn changed_images(before: &ImageSplits, now: &ImageSplits) -> String {
    match (now.missing_in(before), before.missing_in(now)) {
        (0, 0) => String::new(),
        (new, gone) => format!("; {} new, {gone} gone", show::count(new, "image")),
    }
}

/// What of `data` is not as it was when the study began, in words.
fn difference(header: &StudyHeader, data: &DataSet) -> Option<String> {
    // A class folder that was renamed leaves the images, and so the fingerprint, as they were.
    let (before, now) = (&header.class_names, &data.class_names);
    if before != now {
        let only_in = |names: &[String], others: &[String]| -> Vec<String> {
            names.iter().filter(|name| !others.contains(name)).map(|name| show::name(name)).collect()
        };
        let (gone, new) = (only_in(before, now), only_in(now, before));
        let part = |what: &str, names: &[String]| match names {
            [] => None,
            names => Some(format!("{what} {}", show::first_few(names))),
        };
        let parts: Vec<String> = [part("missing", &gone), part("new", &new)].into_iter().flatten().collect();
        return Some(format!(
            "other classes: {}",
            if parts.is_empty() { "their order".into() } else { parts.join("; ") }
        ));
    }
    let channels = data.shape().channels;
    if channels != header.input.channels as usize {
        let colour = |channels: usize| if channels == 1 { "grey" } else { "in colour" };
        let before = colour(header.input.channels as usize);
        return Some(format!("its images are {}, those of the study are {before}", colour(channels)));
    }
    (data.fingerprint != header.data_fingerprint).then(|| {
        format!(
            "other images, labels or splits; it has {} training, {} validation and {} test images",
            data.train.len(),
            data.valid.len(),
            data.test.len()
        )
    })
}
