//! What there is to show of a run.

use std::fmt;

use metaqnn_core::graph::MapShape;
use metaqnn_core::ports::{JobError, TrainingProgress};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{CandidateRecord, TrialNumber, TrialRecord};

/// What networks are trained for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// To learn what makes a good network.
    Search,
    /// To choose one among candidates.
    Choosing,
    /// To be validated before they are trained fully.
    Validation,
    /// On all data, to be measured.
    FinalTraining,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Phase::Search => "search",
            Phase::Choosing => "choosing a network",
            Phase::Validation => "validation",
            Phase::FinalTraining => "final training",
        })
    }
}

/// What ended a search before this run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Reached {
    /// So many models.
    Models(u64),
    /// So many seconds.
    Budget(f64),
}

/// Something that people want to know when it happens.
#[derive(Clone, Debug, PartialEq)]
pub enum Notice<'a> {
    /// Own images are made smaller, since there is no time for larger ones.
    ImagesAreMadeSmaller(MapShape),
    /// A network was trained on smaller and on larger images, for so many seconds each.
    ShapesAreCompared {
        /// The smaller and the larger one.
        shapes: [MapShape; 2],
        /// Of each training.
        seconds: f64,
        /// The validation accuracy on each.
        accuracies: [f64; 2],
        /// Which of them are taken.
        smaller_is_taken: bool,
    },
    /// How the time of a search is divided.
    TimeIsDivided {
        /// Share for searching.
        search_share: f64,
        /// Microseconds that networks may take to train on an image, on this machine.
        microseconds: f64,
    },
    /// The budget is short for the images.
    TimeIsShort {
        /// What it is.
        budget_seconds: f64,
        /// How many they are.
        images: usize,
        /// Their shape.
        shape: MapShape,
        /// How often the final training sees each.
        passes: f64,
        /// How often would do.
        needed: f64,
        /// What would be enough.
        enough_seconds: f64,
    },
    /// The search is over already.
    NothingToSearch(Reached),
    /// The agent proposes nothing new; so many models were trained.
    Exhausted {
        /// Models so far.
        models: u64,
    },
    /// A network that learned.
    Learned(&'a TrialRecord),
    /// A network that failed.
    Failed(&'a TrialRecord),
    /// None has learned, so a network known to be good has the rest of the time.
    KnownHasTheRest(TrialNumber),
    /// A single candidate shows whether images may be mirrored or turned.
    LookingAtSymmetry,
    /// So many candidates are trained for longer.
    ChoosingAmong(usize),
    /// What came of a candidate.
    Candidate(&'a CandidateRecord),
    /// A network is trained on all training data.
    TrainingFinally(TrialNumber, &'a Architecture),
    /// A job of the final phase has no result.
    JobFailed(TrialNumber, Phase, &'a JobError),
    /// There is a plan for which a budget comes too late.
    PlanIsMade,
    /// There is a plan that is not done, for which a budget comes too late.
    PlanGoesOn,
    /// One network is trained for a moment, to see how long the others will take.
    MeasuringSpeed(TrialNumber),
    /// So many networks are planned to be trained for so many epochs each.
    Planned {
        /// How many.
        networks: usize,
        /// On all images.
        epochs: u32,
    },
    /// The next network of the plan is trained.
    TrainingPlanned {
        /// Its place, from 1.
        place: usize,
        /// How many there are.
        of: usize,
        /// Seconds that it and all behind it are likely to take.
        seconds_left: f64,
        /// The trial.
        trial: TrialNumber,
        /// What is trained.
        architecture: &'a Architecture,
    },
    /// For these networks of the plan no time is left.
    LeftOut(&'a [TrialNumber]),
}

/// How far a search is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SearchStatus {
    /// Of the next trial.
    pub epsilon: f64,
    /// Models done.
    pub models: u64,
    /// Models asked for; 0: the time ends the search.
    pub of: u64,
    /// Seconds of all runs.
    pub run_seconds: f64,
    /// Seconds of the search that are left.
    pub seconds_left: Option<f64>,
}

/// Shows a run to whoever wants to see it.
///
/// Contract: it changes nothing of the run and returns soon. Within a phase it is called several times a second.
pub trait Observer {
    /// From now on networks are trained for this, so many at a time.
    fn phase_begins(&mut self, phase: Phase, places: usize);

    /// What has begun last is over, be it by an error.
    fn phase_ends(&mut self);

    /// Something has happened, in a phase or between two.
    fn notice(&mut self, notice: Notice<'_>);

    /// The training of a trial goes on, at this place.
    fn training(&mut self, place: usize, trial: TrialNumber, architecture: &Architecture, progress: &TrainingProgress);

    /// A training has ended.
    fn training_ended(&mut self, trial: TrialNumber);

    /// How far the search is.
    fn search_status(&mut self, status: &SearchStatus);

    /// How far a later phase is: seconds of the budget that are left, where there is one.
    fn final_status(&mut self, phase: Phase, seconds_left: Option<f64>);
}

/// An observer in a phase, which ends with it.
pub(crate) struct InPhase<'a>(&'a mut dyn Observer);

impl<'a> InPhase<'a> {
    pub(crate) fn begin(observer: &'a mut dyn Observer, phase: Phase, places: usize) -> Self {
        observer.phase_begins(phase, places);
        InPhase(observer)
    }
}

impl<'a> std::ops::Deref for InPhase<'a> {
    type Target = dyn Observer + 'a;

    fn deref(&self) -> &Self::Target {
        self.0
    }
}

impl std::ops::DerefMut for InPhase<'_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.0
    }
}

impl Drop for InPhase<'_> {
    fn drop(&mut self) {
        self.0.phase_ends();
    }
}
