//! From arguments to checked settings, data and space.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};
use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::{self, Preset, Settings};
use metaqnn_core::space::SearchSpace;
use metaqnn_data::{DEFAULT_SPLIT_SEED, DataSet, DataSource, ImageSize, SplitSettings, data_dir, load};
use toml_edit::DocumentMut;

use crate::arguments::SettingsArguments;

/// The settings, with their comments, of preset, file, `--set` and `--max-layers`.
pub(crate) fn document(arguments: &SettingsArguments, data: &str) -> Result<DocumentMut> {
    let mut document = arguments.preset.unwrap_or(Preset::Quick).document(data)?;
    if let Some(path) = &arguments.config {
        let text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let overlay = text.parse::<DocumentMut>().with_context(|| path.display().to_string())?;
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

/// The checked settings of a document.
pub(crate) fn checked(document: &DocumentMut) -> Result<Settings> {
    Settings::from_toml(&document.to_string()).context("the settings are not valid")
}

/// Worker processes of a search.
pub(crate) fn workers(settings: &Settings) -> usize {
    match settings.search.workers {
        0 => std::thread::available_parallelism().map_or(1, usize::from),
        workers => workers as usize,
    }
}

/// The search space of `settings`.
pub(crate) fn space(settings: &Settings, input: MapShape, classes: u32) -> Result<SearchSpace> {
    SearchSpace::new(settings.space.clone(), input, classes).map_err(|violations| {
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        anyhow!("the search space is not valid\n{}", lines.join("\n"))
    })
}

/// Reads a data set by the text of the DATA argument, its images resized where a size is given.
pub(crate) fn data_set(data: &str, folder: Option<&Path>, size: Option<ImageSize>) -> Result<(DataSet, PathBuf)> {
    let source: DataSource = data.parse()?;
    let folder = data_dir(folder)?;
    let set = load(&source, &folder, &split_settings())?;
    let set = match size {
        Some(size) => set.resized(size)?,
        None => set,
    };
    Ok((set, folder))
}

/// The split that every study shares.
pub(crate) fn split_settings() -> SplitSettings {
    SplitSettings { valid_images: None, seed: DEFAULT_SPLIT_SEED }
}
