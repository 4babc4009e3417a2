//! What can go wrong with a report.

use std::io;
use std::path::PathBuf;

use metaqnn_store::StoreError;

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A study cannot be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The settings of a study cannot be read.
    #[error("{path}: the study's settings cannot be read: {reason}", path = .path.display())]
    Settings {
        /// The study.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// The log does not give the Q-tables that it says.
    #[error("{path}: its log cannot be replayed: {reason}", path = .path.display())]
    Replay {
        /// The study.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// A file cannot be written; nothing half-written was left under its name.
    #[error("{path}: cannot be written: {source}", path = .path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
