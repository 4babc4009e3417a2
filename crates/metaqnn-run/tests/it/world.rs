//! Everything that surrounds a run, made up: who trains, what time it is, who looks on and who kills.

use std::cell::{Cell, RefCell};
use std::error::Error;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;
use std::time::Duration;

use metaqnn_core::graph::MapShape;
use metaqnn_core::ports::{
    CandidateEvaluation, CandidateJob, CandidateLength, Clock, Evaluator, FinalEvaluation, FinalJob, Job, JobError,
    Storage, TrainingProgress, TrialJob,
};
use metaqnn_core::settings::{self, Preset, Settings};
use metaqnn_core::space::{Architecture, SearchSpace};
use metaqnn_core::study::{
    Accuracy, Evaluation, EventKind, EventRecord, Failure, Outcome, RaisedLimits, Study, StudyHeader, TrialNumber,
};
use metaqnn_exec::{MockClock, MockExecutor};
use metaqnn_run::{
    FinalPlan, FinalTrainings, Finished, NoCheckpoints, Notice, Observer, Phase, Resumed, Run, RunError, RunPlan,
    SearchStatus, StartExecutor, Surroundings, limits_before, replay,
};
use metaqnn_store::MemoryStudy;

pub(crate) const INPUT: MapShape = MapShape::new(1, 8, 8);
pub(crate) const CLASSES: u32 = 10;

/// A short search in a small space by the agent whose proposals cost least.
const SMALL: [&str; 10] = [
    "search.agent=\"paper\"",
    "search.models=8",
    "search.budget_seconds=0",
    "search.workers=1",
    "space.max_layers=3",
    "space.convolution.out_channels=[8, 16]",
    "space.fully_connected.units=[32]",
    "early_stopping.rule=\"none\"",
    "final.candidates=3",
    "final.training.epochs=10",
];

/// The settings of the quick preset for a small study, with these changed.
pub(crate) fn settings(changes: &[&str]) -> Settings {
    let mut document = Preset::Quick.document("digits").unwrap();
    for assignment in SMALL.iter().chain(changes) {
        settings::set(&mut document, assignment).unwrap();
    }
    Settings::from_toml(&document.to_string()).unwrap()
}

pub(crate) fn header() -> StudyHeader {
    StudyHeader {
        version: "0.1.0".into(),
        created_at: 0,
        settings: String::new(),
        seed: 7,
        data: "digits".into(),
        data_fingerprint: "0".into(),
        input: INPUT,
        class_names: (0..CLASSES).map(|class| class.to_string()).collect(),
    }
}

/// A number in [0, 1) that an architecture has once and for all.
fn share(architecture: &Architecture, what: &str) -> f64 {
    let mut hasher = DefaultHasher::new();
    (architecture.to_string(), what).hash(&mut hasher);
    (hasher.finish() >> 11) as f64 / (1_u64 << 53) as f64
}

/// Seconds of a trial of `architecture`.
pub(crate) fn trial_seconds(architecture: &Architecture) -> f64 {
    5.0 + 10.0 * share(architecture, "seconds")
}

/// Seconds of an epoch of a final training of any network.
pub(crate) const EPOCH_SECONDS: f64 = 2.0;

/// What networks are made to do.
#[derive(Clone, Default)]
pub(crate) struct Nature {
    /// Nothing learns.
    pub(crate) nothing_learns: bool,
    /// The final training of this trial, and its training as a candidate, diverge.
    pub(crate) diverging: Option<u64>,
    /// Nothing can be kept in the final phase.
    pub(crate) disk_is_full: bool,
    /// No worker can work after so many jobs.
    pub(crate) works_for: Option<usize>,
}

/// Trains as [`Nature`] has it, and notes what.
#[derive(Clone)]
pub(crate) struct Trainer {
    nature: Nature,
    trained: Rc<RefCell<Vec<Job>>>,
}

impl Trainer {
    pub(crate) fn new(nature: Nature) -> Self {
        Trainer { nature, trained: Rc::default() }
    }

    fn refuse(&self, trial: TrialNumber) -> Result<(), JobError> {
        if self.nature.disk_is_full {
            return Err(JobError::Storage("the disk is full".into()));
        }
        match self.nature.diverging == Some(trial.0) {
            true => Err(JobError::Network("the loss was not finite".into())),
            false => Ok(()),
        }
    }

    fn evaluation(&self, architecture: &Architecture, epochs: u32, train_seconds: f64) -> Evaluation {
        let accuracy = (1_000.0 * share(architecture, "accuracy")) as usize;
        let outcome = match self.nature.nothing_learns {
            true => Outcome::Failed { failure: Failure::LossNotFinite { epoch: 1 } },
            false => Outcome::Complete { valid_accuracy: Accuracy::of(accuracy, 1_000) },
        };
        Evaluation { outcome, curve: Vec::new(), epochs, tries: 1, train_seconds }
    }
}

fn steps(report: &mut dyn FnMut(TrainingProgress)) {
    for step in 1..4 {
        report(TrainingProgress::Step { progress: f64::from(step) / 4.0, train_loss: 1.0 });
    }
}

impl Evaluator for Trainer {
    fn evaluate(&mut self, job: &TrialJob, report: &mut dyn FnMut(TrainingProgress)) -> Evaluation {
        self.trained.borrow_mut().push(Job::Trial(job.clone()));
        steps(report);
        let seconds = trial_seconds(&job.architecture).min(job.time_limit_seconds.unwrap_or(f64::INFINITY));
        self.evaluation(&job.architecture, 2, seconds)
    }

    fn evaluate_candidate(
        &mut self,
        job: &CandidateJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<CandidateEvaluation, JobError> {
        self.trained.borrow_mut().push(Job::Candidate(job.clone()));
        self.refuse(job.trial)?;
        steps(report);
        let (epochs, seconds) = match job.length {
            CandidateLength::Seconds(seconds) => ((seconds / EPOCH_SECONDS).ceil() as u32, seconds),
            CandidateLength::Epochs(epochs) => (epochs, f64::from(epochs) * EPOCH_SECONDS),
            CandidateLength::ShareOfEpochs(share) => (1, 10.0 * share * EPOCH_SECONDS),
        };
        let evaluation = self.evaluation(&job.architecture, epochs, seconds);
        Ok(CandidateEvaluation {
            evaluation,
            mirror_is_safe: Some(false),
            turning_is_safe: None,
            probabilities: vec![0.1],
        })
    }

    fn evaluate_final(
        &mut self,
        job: &FinalJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<FinalEvaluation, JobError> {
        self.trained.borrow_mut().push(Job::Final(job.clone()));
        self.refuse(job.trial)?;
        steps(report);
        let epochs = job.epochs.unwrap_or(10);
        let seconds = job.time_limit_seconds.unwrap_or(f64::from(epochs) * EPOCH_SECONDS);
        Ok(FinalEvaluation {
            test_accuracy: share(&job.architecture, "test"),
            test_balanced_accuracy: 0.5,
            test_images: 1_000,
            train_losses: vec![1.0],
            epochs,
            train_seconds: seconds,
            weights: job.trial.0.to_le_bytes().into(),
        })
    }
}

/// Starts mock executors, which takes a while.
struct Mocks<'a>(&'a World);

impl StartExecutor for Mocks<'_> {
    type Executor = MockExecutor<Trainer>;

    fn start(&self, places: usize, threads: u32) -> Result<Self::Executor, Box<dyn Error + Send + Sync>> {
        let world = self.0;
        world.started.borrow_mut().push((places, threads));
        world.clock.advance(Duration::from_secs_f64(world.start_seconds));
        let trainer = world.trainer.clone();
        let works_for = trainer.nature.works_for.map(|jobs| jobs.saturating_sub(trainer.trained.borrow().len()));
        let make = move || match works_for {
            Some(0) => Err("no such device".into()),
            _ => Ok(trainer.clone()),
        };
        Ok(MockExecutor::start(world.clock.clone(), places, make))
    }
}

/// What was shown, and when to kill the process that shows it.
struct Spectator<'a> {
    world: &'a World,
    phases: Vec<Phase>,
}

/// What unwinds a run that was killed.
struct Killed;

impl Spectator<'_> {
    /// Each call is a moment at which the process may be killed.
    fn moment(&mut self) {
        let world = self.world;
        match world.moments_left.get() {
            Some(0) => resume_unwind(Box::new(Killed)),
            left => world.moments_left.set(left.map(|left| left - 1)),
        }
    }
}

impl Observer for Spectator<'_> {
    fn phase_begins(&mut self, phase: Phase, places: usize) {
        assert!(self.phases.is_empty(), "{phase} begins within {:?}", self.phases);
        assert!(places >= 1);
        self.phases.push(phase);
        self.world.said.borrow_mut().push(format!("{phase} begins"));
        self.moment();
    }

    fn phase_ends(&mut self) {
        self.phases.pop().expect("a phase has begun");
    }

    fn notice(&mut self, notice: Notice<'_>) {
        self.world.said.borrow_mut().push(format!("{notice:?}"));
        self.moment();
    }

    fn training(&mut self, place: usize, trial: TrialNumber, architecture: &Architecture, _: &TrainingProgress) {
        let phase = self.phases.last().expect("within a phase");
        assert!(trial.0 > 0 && !architecture.layers().is_empty() && place < 8, "{phase}");
        self.moment();
    }

    fn training_ended(&mut self, _: TrialNumber) {
        self.moment();
    }

    fn search_status(&mut self, status: &SearchStatus) {
        assert_eq!(self.phases, [Phase::Search]);
        assert!((0.0..=1.0).contains(&status.epsilon), "{status:?}");
        self.moment();
    }

    fn final_status(&mut self, phase: Phase, seconds_left: Option<f64>) {
        assert_eq!(self.phases, [phase]);
        assert!(seconds_left.is_none_or(|seconds| seconds >= 0.0));
        self.moment();
    }
}

/// Everything that surrounds runs of a study.
pub(crate) struct World {
    pub(crate) clock: MockClock,
    trainer: Trainer,
    /// Places and threads of the executors that were started.
    pub(crate) started: RefCell<Vec<(usize, u32)>>,
    said: RefCell<Vec<String>>,
    /// Seconds that starting an executor takes.
    pub(crate) start_seconds: f64,
    /// Moments until a run is killed.
    pub(crate) moments_left: Cell<Option<usize>>,
    /// When a run is interrupted, by the clock.
    pub(crate) interrupted_at: Cell<Option<Duration>>,
    pub(crate) places: usize,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::of(Nature::default())
    }

    pub(crate) fn of(nature: Nature) -> Self {
        World {
            clock: MockClock::default(),
            trainer: Trainer::new(nature),
            started: RefCell::default(),
            said: RefCell::default(),
            start_seconds: 1.0,
            moments_left: Cell::new(None),
            interrupted_at: Cell::new(None),
            places: 1,
        }
    }

    /// Every job that was begun.
    pub(crate) fn trained(&self) -> Vec<Job> {
        self.trainer.trained.borrow().clone()
    }

    /// What was said so far, to be forgotten.
    pub(crate) fn said(&self) -> Vec<String> {
        std::mem::take(&mut self.said.borrow_mut())
    }

    fn is_interrupted(&self) -> bool {
        self.interrupted_at.get().is_some_and(|at| self.clock.now() >= at)
    }

    /// Does `work` with these surroundings and an observer.
    fn within<S: Storage, T>(
        &self,
        storage: S,
        work: impl FnOnce(Surroundings<'_, S, Mocks<'_>>, &mut dyn Observer) -> T,
    ) -> T {
        let surroundings = Surroundings {
            storage,
            executors: Mocks(self),
            clock: &self.clock,
            checkpoints: &NoCheckpoints,
            is_interrupted: &|| self.is_interrupted(),
        };
        let mut spectator = Spectator { world: self, phases: Vec::new() };
        let done = work(surroundings, &mut spectator);
        assert!(spectator.phases.is_empty(), "every phase has ended");
        done
    }

    /// Begins the study in `storage`, or goes on with it, with these settings; it began with `at_first`.
    pub(crate) fn run<S: Storage>(
        &self,
        mut storage: S,
        settings: &Settings,
        at_first: &Settings,
    ) -> Result<Finished<S>, RunError> {
        let space = SearchSpace::new(settings.space.clone(), INPUT, CLASSES).unwrap();
        let mut study = Study::new(settings.clone(), space, 7);
        let begin = self.clock.now();
        replay(&mut study, |visit| storage.visit_events(visit))?;
        let [at_first, before]: [RaisedLimits; 2] = limits_before(&storage, at_first)?;
        let resumed = Resumed::of(&mut storage, settings, before, at_first)?;
        let plan = RunPlan {
            settings: settings.clone(),
            begin,
            places: self.places,
            start_seconds: self.start_seconds,
            validated_images: 1_000,
            asks_of_symmetry: false,
        };
        self.within(storage, |surroundings, observer| Run::new(surroundings, plan, study, resumed).execute(observer))
    }

    /// Trains the best networks fully; the reasons of those that failed, `None` after an interruption.
    pub(crate) fn train_finally<S: Storage>(
        &self,
        storage: S,
        settings: &Settings,
        models: Option<usize>,
        budget_seconds: Option<f64>,
    ) -> Result<Option<Vec<String>>, RunError> {
        let begin = self.clock.now();
        let plan = FinalPlan { settings: settings.clone(), slower: 1.0, images: [1_500, 1_200], begin, budget_seconds };
        self.within(storage, |surroundings, observer| {
            let mut trainings = FinalTrainings::new(surroundings, plan);
            trainings.extend_plan(models, observer)?;
            trainings.train(observer)
        })
    }

    /// Does `work`, in which the process is killed after so many moments; whether it was.
    pub(crate) fn killed_after(&self, moments: usize, work: impl FnOnce()) -> bool {
        self.moments_left.set(Some(moments));
        let done = catch_unwind(AssertUnwindSafe(work));
        self.moments_left.set(None);
        match done {
            Ok(()) => false,
            Err(panic) if panic.is::<Killed>() => true,
            Err(panic) => resume_unwind(panic),
        }
    }
}

/// An empty study.
pub(crate) fn empty() -> MemoryStudy {
    MemoryStudy::new(header())
}

/// The log, without the times at which events were stored.
pub(crate) fn log(storage: &impl Storage) -> Vec<EventRecord> {
    let mut log = Vec::new();
    storage
        .visit_events(&mut |event| {
            log.push(EventRecord { run_seconds: 0.0, ..event });
            true
        })
        .unwrap();
    log
}

/// The number of trials in the log.
pub(crate) fn trials(storage: &impl Storage) -> usize {
    log(storage).iter().filter(|event| matches!(event.kind, EventKind::Trial(_))).count()
}

/// What is said where nothing is trained.
#[derive(Default)]
pub(crate) struct Notices(pub(crate) Vec<String>);

impl Observer for Notices {
    fn phase_begins(&mut self, phase: Phase, _: usize) {
        panic!("{phase} begins");
    }

    fn phase_ends(&mut self) {
        panic!("no phase has begun");
    }

    fn notice(&mut self, notice: Notice<'_>) {
        self.0.push(format!("{notice:?}"));
    }

    fn training(&mut self, _: usize, trial: TrialNumber, _: &Architecture, _: &TrainingProgress) {
        panic!("trial {trial} is trained");
    }

    fn training_ended(&mut self, trial: TrialNumber) {
        panic!("trial {trial} was trained");
    }

    fn search_status(&mut self, status: &SearchStatus) {
        panic!("{status:?}");
    }

    fn final_status(&mut self, phase: Phase, _: Option<f64>) {
        panic!("{phase} goes on");
    }
}
