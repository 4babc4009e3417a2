//! From arguments to checked settings.

use std::path::Path;

use anyhow::{Context, Result};
use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::{self, Preset, Settings};
use metaqnn_core::space::SearchSpace;
use metaqnn_core::study::StudyHeader;
use toml_edit::DocumentMut;

use super::arguments::SettingsArguments;

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
