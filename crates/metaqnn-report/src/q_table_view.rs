//! The Q-table of a study, rebuilt from its log.

use std::path::{Path, PathBuf};

use metaqnn_core::agent::{DecisionProcess, QValue};
use metaqnn_core::settings::Settings;
use metaqnn_core::space::{Architecture, BuildAction, LayerState, SearchSpace};
use metaqnn_core::study::{EventRecord, Study};
use metaqnn_store::StudyReader;

use crate::error::ReportError;
use crate::study_view::CHUNK;

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
    let mut replay = LogReplay::begin(path.as_ref())?;
    loop {
        let events = replay.some_events()?;
        for event in &events {
            replay.learn(event)?;
        }
        if events.len() < CHUNK {
            return Ok(replay.entries());
        }
    }
}

/// Q-values at one step of a trajectory.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct StepValue {
    /// Q(s, u) of the action that was taken.
    pub(crate) q_value: f64,
    /// max over u of Q(s, u).
    pub(crate) highest: f64,
}

/// A study whose log is replayed event by event.
pub(crate) struct LogReplay {
    path: PathBuf,
    space: SearchSpace,
    study: Study,
}

impl LogReplay {
    /// A replay of the study at `path` in which nothing has happened yet.
    pub(crate) fn begin(path: &Path) -> Result<Self, ReportError> {
        let broken = |reason: String| ReportError::Replay { path: path.into(), reason };
        let header = StudyReader::open(path)?.header()?;
        let settings = Settings::from_toml(&header.settings).map_err(|error| broken(error.to_string()))?;
        let space = SearchSpace::new(settings.space.clone(), header.input, header.class_names.len() as u32)
            .map_err(|_| broken("the search space is not valid".into()))?;
        let study = Study::new(settings, space.clone(), header.seed);
        Ok(LogReplay { path: path.into(), space, study })
    }

    /// Events that were replayed.
    pub(crate) fn events(&self) -> u64 {
        self.study.events()
    }

    /// The next events that are stored, at most [`CHUNK`] of them.
    pub(crate) fn some_events(&self) -> Result<Vec<EventRecord>, ReportError> {
        let mut events = Vec::with_capacity(CHUNK);
        StudyReader::open(&self.path)?.visit_events_from(self.events(), &mut |event| {
            events.push(event);
            events.len() < CHUNK
        })?;
        Ok(events)
    }

    /// Replays the next event.
    pub(crate) fn learn(&mut self, event: &EventRecord) -> Result<(), ReportError> {
        let broken = |reason| ReportError::Replay { path: self.path.clone(), reason };
        self.study.replay(event).map_err(|error| broken(error.to_string()))
    }

    /// The Q-values, as they are now, along the trajectory that spells an architecture; empty where the space does not hold it.
    pub(crate) fn q_values_along(&self, architecture: &Architecture) -> Vec<StepValue> {
        let mut values = Vec::new();
        let mut state = Some(self.space.start());
        for action in self.space.actions(architecture).unwrap_or_default() {
            let Some(current) = state else { break };
            let legal = self.space.legal_actions(&current);
            let known = self.study.q_table().q_values(&self.space.observe(&current), &legal);
            let Some(place) = legal.iter().position(|it| *it == action) else { break };
            let highest = known.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            values.push(StepValue { q_value: known[place], highest });
            state = self.space.next_state(&current, &action);
        }
        values
    }

    /// The Q-table as it is now.
    pub(crate) fn entries(&self) -> Vec<QEntry> {
        let entry = |entry: QValue<'_, LayerState, BuildAction>| QEntry {
            state: *entry.observation,
            action: *entry.action,
            q_value: entry.q_value,
            updates: entry.updates,
        };
        self.study.q_table().entries().map(entry).collect()
    }
}
