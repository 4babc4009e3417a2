//! How own data are read, beyond where they lie.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::image_splits::ImageSplits;

/// By which rules data are read: a study goes on with those that it began with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rules {
    /// Those of the studies that do not say: image files are known by their endings, splits are drawn by the order of the images.
    First,
    /// Those of today: image files are known by their contents, splits are drawn by the contents of the images.
    #[default]
    Current,
}

impl Rules {
    pub(super) fn are_first(self) -> bool {
        self == Self::First
    }
}

impl Reading {
    /// That of the studies that do not say how their data are read.
    #[must_use]
    pub fn first() -> Self {
        Self { rules: Rules::First, ..Self::default() }
    }
}

/// What a user says of own data besides their path. A study keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Reading {
    /// By which rules.
    pub rules: Rules,
    /// Whether to go on without files and rows that cannot be read, if they are few.
    pub skip_bad: bool,
    /// Of a table: the column of the labels.
    pub label: Option<String>,
    /// Of a table: the column that names the image files.
    pub image: Option<String>,
    /// Of a table: the folder in which the image files lie.
    pub images: Option<PathBuf>,
    /// What was drawn when a study began; it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub splits: Option<ImageSplits>,
}
