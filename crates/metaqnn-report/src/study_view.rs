//! What the figures need of a study.

use std::path::{Path, PathBuf};

use metaqnn_core::settings::Settings;
use metaqnn_core::study::{CandidateRecord, EnsembleRecord, FinalRecord, RaisedLimits, StudyHeader, TrialNumber};
use metaqnn_store::{Detail, LoggedEvent, StoredTrial, StudyReader};

use crate::error::ReportError;

/// A study as it was read: everything but curves and transitions, which are asked for one trial at a time.
#[derive(Clone, Debug)]
pub struct StudyView {
    /// Where it is.
    pub path: PathBuf,
    /// What it says of itself.
    pub header: StudyHeader,
    /// Its settings, as it began.
    pub settings: Settings,
    /// What ends it, where a later run raised that.
    pub raised_limits: Option<RaisedLimits>,
    /// Every finished trial, in the order in which the agent learned of them.
    pub trials: Vec<StoredTrial>,
    /// Events that were read: one a trial, and those in which an architecture was drawn again.
    pub events: u64,
    /// Candidates for the final training, best first.
    pub candidates: Vec<CandidateRecord>,
    /// Final trainings, best test accuracy first, without their weights.
    pub finals: Vec<FinalRecord>,
    /// The ensemble of some of them, where there is one.
    pub ensemble: Option<EnsembleRecord>,
    /// Seconds that the study has run, over all its runs.
    pub run_seconds: f64,
}

/// Events read at once: a reader that keeps its moment for long would let the write-ahead log of a running study grow.
pub(crate) const CHUNK: usize = 500;

/// What a study has stored since it was last read.
pub(crate) struct Addition {
    header: StudyHeader,
    raised_limits: Option<RaisedLimits>,
    trials: Vec<StoredTrial>,
    events: u64,
    candidates: Vec<CandidateRecord>,
    finals: Vec<FinalRecord>,
    ensemble: Option<EnsembleRecord>,
    run_seconds: f64,
}

impl Addition {
    /// Reads the study at `path` from the event numbered `first` on.
    pub(crate) fn read(path: &Path, first: u64) -> Result<Self, ReportError> {
        let reader = StudyReader::open(path)?;
        let mut trials = Vec::new();
        let mut events = 0;
        loop {
            let mut found = 0;
            reader.visit_log_from(first + events, Detail::Summary, &mut |event| {
                found += 1;
                if let LoggedEvent::Trial(trial) = event {
                    trials.push(trial);
                }
                found < CHUNK
            })?;
            events += found as u64;
            if found < CHUNK {
                break;
            }
        }
        Ok(Addition {
            header: reader.header()?,
            raised_limits: reader.raised_limits()?,
            trials,
            events,
            candidates: reader.candidates()?,
            finals: reader.finals()?,
            ensemble: reader.ensemble()?,
            run_seconds: reader.run_seconds()?,
        })
    }

    /// Whether there is an event that was not there before.
    pub(crate) fn has_events(&self) -> bool {
        self.events > 0
    }

    /// Number of final trainings.
    pub(crate) fn finals(&self) -> usize {
        self.finals.len()
    }
}

impl StudyView {
    /// Reads the study at `path`, which may be running.
    ///
    /// # Errors
    ///
    /// When it cannot be read, or its settings are not those of this version.
    pub fn read(path: impl AsRef<Path>) -> Result<Self, ReportError> {
        let path = path.as_ref();
        let addition = Addition::read(path, 0)?;
        let settings = Settings::from_toml(&addition.header.settings)
            .map_err(|error| ReportError::Settings { path: path.into(), reason: error.to_string() })?;
        let mut view = StudyView {
            path: path.into(),
            header: addition.header.clone(),
            settings,
            raised_limits: None,
            trials: Vec::new(),
            events: 0,
            candidates: Vec::new(),
            finals: Vec::new(),
            ensemble: None,
            run_seconds: 0.0,
        };
        view.add(addition);
        Ok(view)
    }

    /// Whether `addition` is of the study that this is a view of: another may have taken its place.
    pub(crate) fn goes_on_with(&self, addition: &Addition) -> bool {
        self.header == addition.header
    }

    /// Whether `addition` tells anything new, events left out.
    pub(crate) fn differs(&self, addition: &Addition) -> bool {
        self.raised_limits != addition.raised_limits
            || self.candidates != addition.candidates
            || self.finals != addition.finals
            || self.ensemble != addition.ensemble
            || self.run_seconds != addition.run_seconds
    }

    /// Takes up what was read from the event numbered [`events`](Self::events) on.
    pub(crate) fn add(&mut self, addition: Addition) {
        let Addition { raised_limits, trials, events, candidates, finals, ensemble, run_seconds, .. } = addition;
        self.trials.extend(trials);
        self.events += events;
        (self.raised_limits, self.candidates, self.finals) = (raised_limits, candidates, finals);
        self.ensemble = ensemble;
        self.run_seconds = run_seconds;
    }

    /// Events in which an architecture was drawn again.
    pub fn repeats(&self) -> u64 {
        self.events - self.trials.len() as u64
    }

    /// The finished trial of that number, as it was read.
    pub(crate) fn trial(&self, trial: TrialNumber) -> Option<&StoredTrial> {
        self.trials.iter().find(|stored| stored.record.trial == trial)
    }

    /// The name of its file.
    pub fn name(&self) -> String {
        self.path.file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned())
    }

    /// Number of classes.
    pub fn classes(&self) -> u32 {
        self.header.class_names.len() as u32
    }

    /// The name of the agent, which is not that of the default.
    pub fn agent(&self) -> &'static str {
        self.settings.search.agent.resolved().name()
    }

    /// Models and seconds that end the study, 0 where there is no such end.
    pub fn limits(&self) -> (u64, f64) {
        match self.raised_limits {
            Some(limits) => (limits.models, limits.budget_seconds),
            None => (self.settings.search.models, self.settings.search.budget_seconds),
        }
    }

    /// Trials that count as models.
    pub fn models(&self) -> impl Iterator<Item = &StoredTrial> {
        self.trials.iter().filter(|trial| trial.record.evaluation.outcome.counts_as_model())
    }

    /// The best networks, at most `n`: first the one that was chosen and trained on all data, where there is one, then the others by
    /// their rank.
    pub fn best(&self, n: usize) -> Vec<Ranked<'_>> {
        let chosen = self.best_final().map(|record| record.trial);
        let mut best: Vec<Ranked<'_>> = (1..)
            .zip(self.ranked())
            .map(|(rank, trial)| Ranked { rank, trial, chosen: Some(trial.record.trial) == chosen })
            .collect();
        // Stable: the others keep their order.
        best.sort_by_key(|ranked| !ranked.chosen);
        best.truncate(n);
        best
    }

    /// The trials that learned, the best validation accuracy first, at equal accuracy the earlier trial first.
    pub fn ranked(&self) -> Vec<&StoredTrial> {
        let mut learned: Vec<&StoredTrial> =
            self.trials.iter().filter(|trial| valid_accuracy(trial).is_some()).collect();
        learned.sort_by(|a, b| {
            let by_accuracy = valid_accuracy(b).partial_cmp(&valid_accuracy(a));
            by_accuracy.unwrap_or(std::cmp::Ordering::Equal).then(a.record.trial.cmp(&b.record.trial))
        });
        learned
    }

    /// The final training of the best network, by its validation as a candidate or else by that of its trial.
    pub fn best_final(&self) -> Option<&FinalRecord> {
        let of_candidates = self.candidates.iter().find_map(|candidate| self.final_training(candidate.trial));
        of_candidates.or_else(|| self.ranked().iter().find_map(|trial| self.final_training(trial.record.trial)))
    }

    /// The final training of a trial.
    pub fn final_training(&self, trial: TrialNumber) -> Option<&FinalRecord> {
        self.finals.iter().find(|record| record.trial == trial)
    }
}

/// A network with its place among those that learned.
#[derive(Clone, Copy, Debug)]
pub struct Ranked<'a> {
    /// Its rank by validation accuracy in the search, from 1.
    pub rank: usize,
    /// Its trial.
    pub trial: &'a StoredTrial,
    /// Whether it is the one that was chosen and trained on all data.
    pub chosen: bool,
}

/// Validation accuracy of a network that learned.
pub(crate) fn valid_accuracy(trial: &StoredTrial) -> Option<f64> {
    trial.record.evaluation.outcome.valid_accuracy().map(|accuracy| accuracy.value())
}
