//! From arguments to checked settings, data and space.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::{self, Preset, Settings};
use metaqnn_core::space::SearchSpace;
use metaqnn_core::study::{Study, StudyHeader};
use metaqnn_data::{
    DEFAULT_SPLIT_SEED, DataArgument, DataSet, ImageSize, ImageSplits, LoadedData, Reading, SplitSettings, data_dir,
    load_argument,
};
use metaqnn_run::RunError;
use metaqnn_store::StudyReader;
use toml_edit::DocumentMut;

use crate::arguments::{ReadingArguments, SettingsArguments, StudyDataArguments};
use crate::display;

/// The settings, with their comments, of preset, agent, file, `--set` and `--max-layers`.
pub(crate) fn document(arguments: &SettingsArguments, data: &str, agent: Option<&str>) -> Result<DocumentMut> {
    let preset = arguments.preset.unwrap_or(Preset::Quick);
    let mut document = match agent {
        Some(agent) => preset.document_with_agent(data, agent)?,
        None => preset.document(data)?,
    };
    if let Some(path) = &arguments.config {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let overlay = settings::parse(&text).with_context(|| path.display().to_string())?;
        settings::merge(&mut document, &overlay).with_context(|| path.display().to_string())?;
    }
    for assignment in &arguments.set {
        settings::set(&mut document, assignment).with_context(|| format!("--set {assignment}"))?;
    }
    if let Some(layers) = arguments.max_layers {
        settings::set(&mut document, &format!("space.max_layers={layers}"))?;
    }
    Ok(document)
}

/// The settings that a study began with.
pub(crate) fn document_of_study(path: &Path, header: &StudyHeader) -> Result<DocumentMut> {
    let unreadable = || format!("{}: its settings cannot be read", path.display());
    let document = settings::parse(&header.settings).with_context(unreadable)?;
    Settings::from_toml(&header.settings).with_context(unreadable)?;
    Ok(document)
}

/// The checked settings of a document.
pub(crate) fn checked(document: &DocumentMut) -> Result<Settings> {
    Settings::from_toml(&document.to_string()).context("the settings are not valid")
}

/// The search space of `settings`.
pub(crate) fn space(settings: &Settings, input: MapShape, classes: u32) -> Result<SearchSpace> {
    Ok(metaqnn_run::search_space(settings, input, classes)?)
}

/// Reads a data set by the text of the DATA argument, its images resized where a size is given.
pub(crate) fn data_set(
    data: &str,
    folder: Option<&Path>,
    size: Option<ImageSize>,
    reading: &Reading,
) -> Result<(LoadedData, PathBuf)> {
    let argument: DataArgument = data.parse()?;
    let folder = data_folder(&argument, folder)?;
    Ok((load_argument(&argument, &folder, size, reading, &split_settings())?, folder))
}

/// How a user wants own data to be read.
pub(crate) fn reading(arguments: &ReadingArguments) -> Reading {
    let ReadingArguments { skip_bad, label, image, images } = arguments.clone();
    // A folder that is not here lies where the table does.
    let images =
        images.map(|folder| if folder.is_dir() { std::path::absolute(&folder).unwrap_or(folder) } else { folder });
    Reading { skip_bad, label, image, images, ..Reading::default() }
}

/// How the data of a study are read: as when it began.
pub(crate) fn reading_of_study(reader: &StudyReader) -> Result<Reading> {
    let Some(stored) = reader.data_reading()? else { return Ok(Reading::first()) };
    let unreadable = || format!("{}: how its data are read is not known to this version", reader.path().display());
    let reading: Reading = serde_json::from_str(&stored.reading).with_context(unreadable)?;
    let splits = ImageSplits::from_bytes(&stored.image_splits).with_context(unreadable)?;
    Ok(Reading { splits: (!splits.images.is_empty()).then_some(splits), ..reading })
}

/// Rebuilds the agent from the stored log.
pub(crate) fn replay(reader: &StudyReader, study: &mut Study) -> Result<()> {
    match metaqnn_run::replay(study, |visit| reader.visit_events(visit)) {
        Err(error @ RunError::Replay(_)) => bail!("{}: {error}", reader.path().display()),
        done => Ok(done?),
    }
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
        (new, gone) => format!("; {} new, {gone} gone", display::count(new, "image")),
    }
}

/// What of `data` is not as it was when the study began, in words.
fn difference(header: &StudyHeader, data: &DataSet) -> Option<String> {
    // A class folder that was renamed leaves the images, and so the fingerprint, as they were.
    let (before, now) = (&header.class_names, &data.class_names);
    if before != now {
        let only_in = |names: &[String], others: &[String]| -> Vec<String> {
            names.iter().filter(|name| !others.contains(name)).map(|name| display::name(name)).collect()
        };
        let (gone, new) = (only_in(before, now), only_in(now, before));
        let part = |what: &str, names: &[String]| match names {
            [] => None,
            names => Some(format!("{what} {}", display::first_few(names))),
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

/// The size of the images of a shape.
pub(crate) fn image_size(input: MapShape) -> Result<ImageSize> {
    Ok(ImageSize::new(input.height as usize, input.width as usize)?)
}

/// The folder of the known data sets; for own data, which do not lie there, it need not exist.
pub(crate) fn data_folder(argument: &DataArgument, folder: Option<&Path>) -> Result<PathBuf> {
    match (argument, data_dir(folder)) {
        (DataArgument::Own(_), Err(_)) => Ok(PathBuf::new()),
        (_, folder) => Ok(folder?),
    }
}

/// The DATA argument as a study keeps it: a path from the root, so that a `resume` finds the data from any folder.
pub(crate) fn lasting(data: &str) -> Result<String> {
    let DataArgument::Own(path) = data.parse()? else { return Ok(data.to_owned()) };
    let whole = std::path::absolute(&path).with_context(|| path.display().to_string())?;
    whole.into_os_string().into_string().map_err(|path| anyhow!("{}: the path of data must be UTF-8", path.display()))
}

/// A canonical path as one writes it here.
pub(crate) fn seen_from_here(path: &Path) -> &Path {
    let here = std::env::current_dir().and_then(|folder| folder.canonicalize());
    here.ok().and_then(|here| path.strip_prefix(here).ok()).unwrap_or(path)
}

/// Tells on standard error what was decided about the data and what should be known of them.
pub(crate) fn tell(loaded: &LoadedData) {
    if let Some(pixels) = &loaded.pixels {
        eprintln!("pixels: {pixels}");
    }
    for note in &loaded.notes {
        eprintln!("note: {note}");
    }
    warn(&loaded.warnings);
}

/// Tells on standard error what should be known of data.
pub(crate) fn warn(warnings: &[String]) {
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
}

/// The split that every study shares.
pub(crate) fn split_settings() -> SplitSettings {
    SplitSettings { valid_images: None, seed: DEFAULT_SPLIT_SEED }
}
