//! What people see of a run.

use std::path::PathBuf;

use metaqnn_core::ports::TrainingProgress;
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{CandidateRecord, Failure, Outcome, TrialNumber, TrialRecord};
use metaqnn_run::{Notice, Observer, Phase, Reached, SearchStatus};

use super::progress::Progress;
use super::{trial, trial_table, words};

/// Shows a run on standard error, and to `serve` in a file beside the study.
pub(crate) struct RunDisplay {
    /// The study's canonical path; none before there is one.
    study: PathBuf,
    /// The view of the phase that goes on.
    progress: Option<Progress>,
}

impl RunDisplay {
    /// Of a run of the study at `study`, its canonical path.
    pub(crate) fn new(study: PathBuf) -> Self {
        RunDisplay { study, progress: None }
    }

    /// Of what comes before there is a study.
    pub(crate) fn before_a_study() -> Self {
        Self::new(PathBuf::new())
    }

    /// A message that stays.
    fn say(&self, text: &str) {
        match &self.progress {
            Some(progress) => progress.say(text),
            None => eprintln!("{text}"),
        }
    }
}

impl Observer for RunDisplay {
    fn phase_begins(&mut self, phase: Phase, places: usize) {
        self.progress = Some(Progress::new(places, &self.study, &phase.to_string()));
    }

    fn phase_ends(&mut self) {
        self.progress = None;
    }

    fn notice(&mut self, notice: Notice<'_>) {
        // Said aloud only where it is the best so far.
        if let (Notice::Learned(record), Some(progress)) = (&notice, &mut self.progress)
            && !progress.is_best(record)
        {
            return;
        }
        self.say(&in_words(&notice));
    }

    fn training(&mut self, place: usize, trial: TrialNumber, architecture: &Architecture, step: &TrainingProgress) {
        if let Some(progress) = &mut self.progress {
            progress.worker(place, trial, architecture, step);
        }
    }

    fn training_ended(&mut self, trial: TrialNumber) {
        if let Some(progress) = &mut self.progress {
            progress.ended(trial);
        }
    }

    fn search_status(&mut self, status: &SearchStatus) {
        if let Some(progress) = &mut self.progress {
            progress.status(status);
        }
    }

    fn final_status(&mut self, phase: Phase, seconds_left: Option<f64>) {
        if let Some(progress) = &mut self.progress {
            progress.final_status(&phase.to_string(), seconds_left);
        }
    }
}

/// A notice as people read it.
fn in_words(notice: &Notice<'_>) -> String {
    match *notice {
        Notice::ImagesAreMadeSmaller(shape) => format!(
            "images are made {}, since in this time networks would see larger ones too seldom; --size says otherwise",
            words::size(shape)
        ),
        Notice::ShapesAreCompared { shapes: [small, large], seconds, accuracies, smaller_is_taken } => format!(
            "images of {} and {}, {} each: {:.1} and {:.1} % validation accuracy, so {} are taken; --size says otherwise",
            words::size(small),
            words::size(large),
            words::duration(seconds),
            100.0 * accuracies[0],
            100.0 * accuracies[1],
            if smaller_is_taken { "the smaller" } else { "the larger" }
        ),
        Notice::TimeIsDivided { search_share, microseconds } => format!(
            "{:.0} % of the time to search, among networks that train on an image in up to {microseconds:.0} µs here; the rest to train the best",
            100.0 * search_share
        ),
        Notice::TimeIsShort { budget_seconds, images, shape, passes, needed, enough_seconds } => format!(
            "warning: {} is short for {} of {}: the final training sees each about {passes:.0} times, where {needed:.0} would do; give it --budget {}{}",
            words::duration(budget_seconds),
            words::count(images as u64, "image"),
            words::size(shape),
            words::budget(enough_seconds),
            if shape.height.max(shape.width) > 32 { ", or make the images smaller with --size 32" } else { "" }
        ),
        Notice::NothingToSearch(reached) => {
            let (reached, flag) = match reached {
                Reached::Models(models) => (format!("{models} models"), "--models"),
                Reached::Budget(seconds) => (format!("budget of {}", words::duration(seconds)), "--budget"),
            };
            format!("the search has reached its {reached}; to search on, raise it with {flag}")
        }
        Notice::Exhausted { models: 0 } => {
            "no network that the agent proposes is within the limits: raise those of the table [limits]".into()
        }
        Notice::Exhausted { .. } => {
            "every architecture that the agent proposes was trained or is over a limit: the space is exhausted".into()
        }
        Notice::Learned(record) => {
            let accuracy = record.evaluation.outcome.valid_accuracy().map_or(0.0, |accuracy| accuracy.value());
            let text =
                format!("trial {:>4}: {:.2} % validation accuracy, best so far:", record.trial, 100.0 * accuracy);
            trial_table::with_architecture(&text, &record.architecture)
        }
        Notice::Failed(record) => failure_line(record),
        Notice::KnownHasTheRest(trial) => format!(
            "no network has learned in the time of a trial; trial {trial}, known to be good, has the rest of the time"
        ),
        Notice::LookingAtSymmetry => "looking at whether images may be mirrored or turned".into(),
        Notice::ChoosingAmong(many) => format!("choosing among {many} candidates, each trained for longer"),
        Notice::Candidate(record) => candidate_line(record),
        Notice::TrainingFinally(trial, architecture) => {
            format!("training trial {trial} on all training data: {architecture}")
        }
        Notice::JobFailed(trial, phase, error) => format!("trial {trial}, {phase}: {error}"),
        Notice::PlanIsMade => {
            "the study's plan is made already: --budget changes nothing; more networks with --models".into()
        }
        Notice::PlanGoesOn => "going on with the study's plan; --budget is for what is planned when it is done".into(),
        Notice::MeasuringSpeed(trial) => format!("measuring how fast trial {trial} trains"),
        Notice::Planned { networks, epochs } => format!(
            "{} to train for {} each",
            words::count(networks as u64, "network"),
            words::count(epochs.into(), "epoch")
        ),
        Notice::TrainingPlanned { place, of, seconds_left, trial, architecture } => {
            let left = words::duration(seconds_left);
            trial_table::with_architecture(&format!("{place} of {of}, about {left} left: trial {trial}"), architecture)
        }
        Notice::LeftOut(trials) => {
            let numbers: Vec<String> = trials.iter().map(ToString::to_string).collect();
            format!(
                "no time is left for {} of the plan (trials {}); without --budget the same command trains them",
                words::count(trials.len() as u64, "network"),
                numbers.join(", ")
            )
        }
    }
}

/// A network that failed; its architecture is left to `show`, since in a terminal many of them would push the best away.
fn failure_line(record: &TrialRecord) -> String {
    let reason = match &record.evaluation.outcome {
        // The one that is nothing out of the ordinary, in short.
        Outcome::Failed { failure: Failure::FailedToLearn { valid_accuracy, .. } } => {
            format!("failed to learn, {:.2} % validation accuracy", 100.0 * valid_accuracy)
        }
        Outcome::Failed { failure: Failure::LossOfGuessing { loss, .. } } => {
            format!("failed to learn, training loss {loss:.3} is that of guessing")
        }
        _ => trial::failure(record).unwrap_or_default(),
    };
    format!("trial {:>4}: {reason}", record.trial)
}

fn candidate_line(record: &CandidateRecord) -> String {
    let trial = record.trial;
    let mirrored = match record.mirror_is_safe {
        Some(true) => "; mirrored images are recognized as well and will be trained on",
        Some(false) => "; mirrored images are not recognized as well",
        None => "",
    };
    let turned = if record.turning_is_safe == Some(true) { "; so are turned ones" } else { "" };
    match record.valid_accuracy {
        Some(accuracy) => {
            format!("candidate {trial:>4}: {:.2} % validation accuracy{mirrored}{turned}", 100.0 * accuracy)
        }
        None => format!("candidate {trial:>4}: failed to learn"),
    }
}
