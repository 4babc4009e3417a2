//! From arguments to data.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use metaqnn_core::graph::MapShape;
use metaqnn_data::{
    DEFAULT_SPLIT_SEED, DataArgument, ImageSize, LoadedData, Reading, SplitSettings, data_dir, load_argument,
};

use super::arguments::ReadingArguments;

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
