//! The Q-table of a study, rebuilt from its log.

use std::path::Path;

use metaqnn_core::settings::Settings;
use metaqnn_core::space::{BuildAction, LayerState, SearchSpace};
use metaqnn_core::study::{EventRecord, Study};
use metaqnn_store::StudyReader;

use crate::error::ReportError;

/// Events read at once: a reader that keeps its moment for long would let the write-ahead log of a running study grow.
const CHUNK: usize = 500;

/// An entry of the Q-table.
#[derive(Clone, Debug, PartialEq)]
pub struct QEntry {
    /// The state.
    pub state: LayerState,
    /// The action.
    pub action: BuildAction,
    /// Q(s, u).
    pub q_value: f64,
    /// How often it was updated.
    pub updates: u64,
}

/// The Q-table after the last event that is stored, in the order in which the states were first learned of.
///
/// # Errors
///
/// When the study cannot be read, or replaying its log does not give the Q-tables that it says: it was written by another version.
pub fn q_table(path: impl AsRef<Path>) -> Result<Vec<QEntry>, ReportError> {
    let path = path.as_ref();
    let broken = |reason: String| ReportError::Replay { path: path.into(), reason };
    let header = StudyReader::open(path)?.header()?;
    let settings = Settings::from_toml(&header.settings).map_err(|error| broken(error.to_string()))?;
    let space = SearchSpace::new(settings.space.clone(), header.input, header.class_names.len() as u32)
        .map_err(|_| broken("the search space is not valid".into()))?;
    let mut study = Study::new(settings, space, header.seed);
    loop {
        let events = some_events(path, study.events())?;
        for event in &events {
            study.replay(event).map_err(|error| broken(error.to_string()))?;
        }
        if events.len() < CHUNK {
            break;
        }
    }
    let entry = |entry: metaqnn_core::agent::QValue<'_, LayerState, BuildAction>| QEntry {
        state: *entry.observation,
        action: *entry.action,
        q_value: entry.q_value,
        updates: entry.updates,
    };
    Ok(study.q_table().entries().map(entry).collect())
}

fn some_events(path: &Path, first: u64) -> Result<Vec<EventRecord>, ReportError> {
    let mut events = Vec::with_capacity(CHUNK);
    StudyReader::open(path)?.visit_events_from(first, &mut |event| {
        events.push(event);
        events.len() < CHUNK
    })?;
    Ok(events)
}
