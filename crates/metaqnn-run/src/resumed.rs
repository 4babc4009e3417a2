//! What a run goes on from.

use metaqnn_core::ports::Storage;
use metaqnn_core::settings::Settings;
use metaqnn_core::study::{Detail, EventRecord, RaisedLimits, Study, TrialStopping};

use crate::error::RunError;

/// What a study has come to, for the run that goes on with it.
pub struct Resumed {
    pub(crate) stopping: TrialStopping,
    /// Seconds of the runs before.
    pub(crate) seconds_before: f64,
    /// The budget before it was last raised; 0: it was not.
    pub(crate) budget_before: f64,
}

impl Resumed {
    /// A study in which nothing has happened.
    pub fn nothing(settings: &Settings) -> Self {
        Resumed { stopping: TrialStopping::new(settings), seconds_before: 0.0, budget_before: 0.0 }
    }

    /// What `storage` tells. Stores what this run raises: `settings` say what ends the study now, `before` what ended it until now, and
    /// `at_first` what ended it when it began.
    ///
    /// # Errors
    ///
    /// Where the storage cannot be read or written.
    pub fn of<S: Storage>(
        storage: &mut S,
        settings: &Settings,
        before: RaisedLimits,
        at_first: RaisedLimits,
    ) -> Result<Self, RunError> {
        let now = limits_of(settings);
        let budget_before = if now.budget_seconds > before.budget_seconds {
            before.budget_seconds
        } else if storage.raised_limits().map_err(RunError::storage)?.is_some() {
            // Raised by an earlier run.
            storage.raised_limits_before().map_err(RunError::storage)?.unwrap_or(at_first).budget_seconds
        } else {
            0.0
        };
        if now != before {
            storage.raise_limits(now).map_err(RunError::storage)?;
        }
        let mut stopping = TrialStopping::new(settings);
        storage
            .visit_trials(Detail::Full, &mut |trial| {
                stopping.note(&trial.record);
                true
            })
            .map_err(RunError::storage)?;
        let seconds_before = storage.run_seconds().map_err(RunError::storage)?;
        Ok(Resumed { stopping, seconds_before, budget_before })
    }
}

fn limits_of(settings: &Settings) -> RaisedLimits {
    RaisedLimits { models: settings.search.models, budget_seconds: settings.search.budget_seconds }
}

/// What ends a study by its `settings`, and as last raised.
///
/// # Errors
///
/// Where the storage cannot be read.
pub fn limits_before<S: Storage>(storage: &S, settings: &Settings) -> Result<[RaisedLimits; 2], RunError> {
    let at_first = limits_of(settings);
    Ok([at_first, storage.raised_limits().map_err(RunError::storage)?.unwrap_or(at_first)])
}

/// Rebuilds the agent from the stored log, which `visit_events` goes through.
///
/// # Errors
///
/// Where the log cannot be read, or is not one of this program.
pub fn replay<E: std::error::Error + Send + Sync + 'static>(
    study: &mut Study,
    visit_events: impl FnOnce(&mut dyn FnMut(EventRecord) -> bool) -> Result<(), E>,
) -> Result<(), RunError> {
    let mut broken = None;
    visit_events(&mut |event| {
        broken = study.replay(&event).err();
        broken.is_none()
    })
    .map_err(RunError::storage)?;
    broken.map_or(Ok(()), |error| Err(RunError::Replay(error)))
}
