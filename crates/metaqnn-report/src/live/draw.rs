//! What takes longer than a look: the replay of the log for the Q-values, and the figures.

use std::collections::HashMap;
use std::sync::{PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use metaqnn_core::study::{EventKind, EventRecord, StudyHeader, TrialNumber};

use super::watch::{Site, StudyState, Watched};
use crate::error::ReportError;
use crate::figure::{self, Figure};
use crate::q_table_view::{LogReplay, QEntry, StepValue};
use crate::study_view::{CHUNK, StudyView};

/// Between two looks for something to draw.
const INTERVAL: Duration = Duration::from_millis(250);

/// Least time between two drawings, and how many times longer than a drawing takes they are apart.
const LEAST_PAUSE: Duration = Duration::from_secs(3);
const PAUSES: u32 = 20;

/// What was drawn last.
#[derive(Default)]
pub(crate) struct Drawn {
    pub(crate) figures: Vec<Figure>,
    /// The version of the trials that were drawn; `None` where nothing was drawn yet.
    of: Option<u64>,
    /// The Q-table, and the number of events after which it is that; `None` while the log is being replayed for the first time.
    pub(crate) q_table: Option<(Vec<QEntry>, u64)>,
    /// Why there are no Q-values.
    pub(crate) without_q_values: Option<String>,
}

/// Q-values along each trial's trajectory when the agent learned of it: before and after.
pub(crate) type QHistory = HashMap<TrialNumber, [Vec<StepValue>; 2]>;

/// The replay of one study as it grows.
enum Replay {
    Goes(StudyHeader, Box<LogReplay>),
    /// It does not give what the log says, or that cannot be replayed.
    Broken(StudyHeader, String),
}

impl Replay {
    fn is_of(&self, header: &StudyHeader) -> bool {
        let (Replay::Goes(of, _) | Replay::Broken(of, _)) = self;
        of == header
    }
}

/// Replays and draws what is new of a study, again and again.
pub(crate) fn draw(site: &Weak<Site>, index: usize) {
    let mut replay = None;
    let mut next = Instant::now();
    while let Some(site) = site.upgrade() {
        let study = &site.studies[index];
        let state = study.now();
        let is_old = state.drawn.of != Some(state.stamps.trials) || state.drawn.lags();
        if is_old && state.problem.is_none() && Instant::now() >= next && site.is_watched() {
            let begin = Instant::now();
            if !state.drawn.is_drawn() {
                // The replay may take seconds: first what needs none.
                publish(&site, study, &state, None);
            }
            // What cannot be read now is tried again.
            if learn(&mut replay, study, &state.view).is_ok() {
                publish(&site, study, &state, replay.as_ref());
            }
            next = Instant::now() + LEAST_PAUSE.max(begin.elapsed() * PAUSES);
        }
        drop((state, site));
        thread::sleep(INTERVAL);
    }
}

impl Drawn {
    /// Whether anything was drawn yet.
    pub(crate) fn is_drawn(&self) -> bool {
        self.of.is_some()
    }

    /// Whether there is neither a Q-table nor a reason why there is none.
    fn lags(&self) -> bool {
        self.q_table.is_none() && self.without_q_values.is_none()
    }
}

/// Draws the figures and publishes them with the Q-table.
fn publish(site: &Site, study: &Watched, state: &StudyState, replay: Option<&Replay>) {
    let view = &state.view;
    let mut drawn = Drawn { of: Some(state.stamps.trials), ..Drawn::default() };
    match replay {
        Some(Replay::Goes(_, replay)) => drawn.q_table = Some((replay.entries(), replay.events())),
        Some(Replay::Broken(_, reason)) => drawn.without_q_values = Some(reason.clone()),
        None => {}
    }
    let entries = drawn.q_table.as_ref().map(|(entries, _)| entries.as_slice());
    let Ok(figures) = figure::of_study(view, entries) else { return };
    drawn.figures = figures;
    site.change(study, |state, version| {
        if state.view.header == view.header {
            state.drawn = drawn.into();
            state.stamps.figures = version;
        }
    });
}

/// Replays what the log holds.
fn learn(replay: &mut Option<Replay>, study: &Watched, view: &StudyView) -> Result<(), ReportError> {
    if replay.as_ref().is_none_or(|replay| !replay.is_of(&view.header)) {
        *replay = Some(match LogReplay::begin(&study.path) {
            Ok(begun) => Replay::Goes(view.header.clone(), begun.into()),
            Err(error @ ReportError::Replay { .. }) => Replay::Broken(view.header.clone(), error.to_string()),
            Err(error) => return Err(error),
        });
    }
    let Some(Replay::Goes(_, log)) = replay else { return Ok(()) };
    loop {
        let events = log.some_events()?;
        for event in &events {
            match learn_one(log, study, event) {
                Ok(()) => {}
                Err(error @ ReportError::Replay { .. }) => {
                    *replay = Some(Replay::Broken(view.header.clone(), error.to_string()));
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        if events.len() < CHUNK {
            return Ok(());
        }
    }
}

/// Replays an event, and notes the Q-values along its trajectory before and after it.
fn learn_one(log: &mut LogReplay, study: &Watched, event: &EventRecord) -> Result<(), ReportError> {
    let EventKind::Trial(record) = &event.kind else { return log.learn(event) };
    let before = log.q_values_along(&record.architecture);
    log.learn(event)?;
    let after = log.q_values_along(&record.architecture);
    study.q_history.write().unwrap_or_else(PoisonError::into_inner).insert(record.trial, [before, after]);
    Ok(())
}
