//! A run of a study: a search, then its final phase.

use std::time::Duration;

use metaqnn_core::ports::Storage;
use metaqnn_core::settings::Settings;
use metaqnn_core::study::{StoredTrial, Study, TrialStopping};

use crate::error::RunError;
use crate::observer::{Notice, Observer, Reached};
use crate::resumed::Resumed;
use crate::run_clock::RunClock;
use crate::surroundings::{StartExecutor, Surroundings};

/// What is settled before a run begins.
#[derive(Clone, Debug)]
pub struct RunPlan {
    /// The settings, checked, with what the run raises.
    pub settings: Settings,
    /// When the run began, by the clock of its surroundings.
    pub begin: Duration,
    /// Trials to train at a time, at least one.
    pub places: usize,
    /// Seconds that starting an executor takes: about as long as this process took to read the data.
    pub start_seconds: f64,
    /// Images that candidates are validated on.
    pub validated_images: usize,
    /// Whether nobody knows if images may be mirrored or turned, and a candidate is to show it.
    pub asks_of_symmetry: bool,
}

/// A run, whether it begins a study or goes on with one.
pub struct Run<'a, S, X> {
    pub(crate) surroundings: Surroundings<'a, S, X>,
    pub(crate) study: Study,
    pub(crate) stopping: TrialStopping,
    pub(crate) plan: RunPlan,
    pub(crate) clock: RunClock<'a>,
    /// The budget before it was last raised; 0: it was not.
    pub(crate) budget_before: f64,
    /// The shortest training of a trial in this run; infinite before there was one.
    pub(crate) shortest_trial_seconds: f64,
    /// Why jobs of the final phase have no result.
    pub(crate) failures: Vec<String>,
}

/// What a run has come to, and the storage, to be asked and closed.
#[derive(Debug)]
pub struct Finished<S> {
    /// Where the study is kept.
    pub storage: S,
    /// The network that was chosen, with what was measured of it.
    pub trained_finally: Option<StoredTrial>,
    /// Whether it was interrupted.
    pub interrupted: bool,
    /// Why it has not given what it is for; `None` where it has, or was interrupted.
    pub fruitless: Option<Fruitless>,
    /// Models of all runs.
    pub models: u64,
    /// Those of them that failed.
    pub failed: u64,
    /// Seconds of all runs.
    pub seconds: f64,
}

/// Why a run that came to its end has not given what it is for: a network, trained finally where the settings say so.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fruitless {
    /// No network was trained.
    NothingTrained,
    /// So many were trained, and none has learned.
    NoneLearned(u64),
    /// The final training has no result, for these reasons.
    NoFinalTraining(Vec<String>),
}

impl<'a, S: Storage, X: StartExecutor> Run<'a, S, X> {
    /// A run of `study`, which is what the storage tells, as is `resumed`.
    pub fn new(surroundings: Surroundings<'a, S, X>, plan: RunPlan, study: Study, resumed: Resumed) -> Self {
        let Resumed { stopping, seconds_before, budget_before } = resumed;
        let (clock, begin) = (surroundings.clock, plan.begin);
        let budget_seconds = plan.settings.search.budget_seconds;
        let clock = RunClock { clock, begin, seconds_before, budget_seconds };
        let (shortest_trial_seconds, failures) = (f64::INFINITY, Vec::new());
        Run { surroundings, study, stopping, plan, clock, budget_before, shortest_trial_seconds, failures }
    }

    /// Searches, chooses a network and trains it finally, as far as it comes until it is interrupted.
    ///
    /// # Errors
    ///
    /// [`RunError`] where it cannot go on. What was stored before is kept.
    pub fn execute(mut self, observer: &mut dyn Observer) -> Result<Finished<S>, RunError> {
        if !self.wants_more() {
            observer.notice(Notice::NothingToSearch(self.what_is_reached()));
        }
        let ended_by_itself = self.search(observer)?;
        let mut trained_finally = None;
        if ended_by_itself && self.plan.settings.final_phase.enabled {
            trained_finally = self.final_phase(observer)?;
        }
        let seconds = self.clock.seconds();
        self.surroundings.storage.note_run_seconds(seconds).map_err(RunError::storage)?;
        let interrupted = (self.surroundings.is_interrupted)();
        let fruitless = if interrupted { None } else { self.why_fruitless(trained_finally.is_some())? };
        Ok(Finished {
            trained_finally,
            interrupted,
            fruitless,
            models: self.study.models(),
            failed: self.study.failed(),
            seconds,
            storage: self.surroundings.storage,
        })
    }

    fn why_fruitless(&self, is_trained_finally: bool) -> Result<Option<Fruitless>, RunError> {
        let has_learned = !self.surroundings.storage.top(1).map_err(RunError::storage)?.is_empty();
        Ok(match (self.study.models(), has_learned) {
            (0, _) => Some(Fruitless::NothingTrained),
            (models, false) => Some(Fruitless::NoneLearned(models)),
            (_, true) if !is_trained_finally && self.plan.settings.final_phase.enabled => {
                Some(Fruitless::NoFinalTraining(self.failures.clone()))
            }
            _ => None,
        })
    }

    fn what_is_reached(&self) -> Reached {
        let search = &self.plan.settings.search;
        if search.models > 0 && self.begun() >= search.models {
            Reached::Models(search.models)
        } else {
            Reached::Budget(search.budget_seconds)
        }
    }

    /// Models trained and in training.
    pub(crate) fn begun(&self) -> u64 {
        self.study.models() + self.study.pending().count() as u64
    }
}
