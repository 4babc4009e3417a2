//! What is known of the studies, and the threads that keep it up to date.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock, Weak};
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use metaqnn_store::{RunningState, beside};
use tokio::sync::watch;

use super::draw::{self, Drawn, QHistory};
use super::guard::Guard;
use crate::error::ReportError;
use crate::study_view::{Addition, StudyView};

/// Between two looks at a study's files.
const INTERVAL: Duration = Duration::from_millis(250);

/// After which a study is read though its files seem the same: two changes may lie within one tick of the file system's clock.
const LONGEST: Duration = Duration::from_secs(5);

/// Everything that is served.
pub(crate) struct Site {
    pub(crate) studies: Vec<Watched>,
    pub(crate) guard: Guard,
    /// Counts changes; the number is the stamp of what changed.
    version: AtomicU64,
    changed: watch::Sender<u64>,
    /// Pages that listen for changes.
    pub(crate) viewers: AtomicUsize,
    begun: Instant,
    /// Milliseconds since the beginning at the last request.
    last_request: AtomicU64,
}

/// A study that is served.
pub(crate) struct Watched {
    /// From 1, as in addresses.
    pub(crate) number: usize,
    /// As it was named.
    pub(crate) path: PathBuf,
    state: RwLock<StudyState>,
    /// Q-values along each trial's trajectory when the agent learned of it.
    pub(crate) q_history: RwLock<QHistory>,
}

/// What is known of a study at a moment; cheap to clone.
#[derive(Clone)]
pub(crate) struct StudyState {
    pub(crate) view: Arc<StudyView>,
    /// What its run wrote last, where one was begun that has not ended.
    pub(crate) running: Option<Arc<RunningState>>,
    /// Why it cannot be read now.
    pub(crate) problem: Option<String>,
    pub(crate) drawn: Arc<Drawn>,
    pub(crate) stamps: Stamps,
}

/// Versions in which parts of the state changed last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stamps {
    pub(crate) status: u64,
    pub(crate) trials: u64,
    pub(crate) figures: u64,
}

impl StudyState {
    /// The state of the run that goes on now.
    pub(crate) fn run(&self) -> Option<&RunningState> {
        self.running.as_deref().filter(|state| state.is_current())
    }
}

impl Site {
    /// Reads the studies.
    pub(crate) fn open(paths: &[PathBuf], guard: Guard) -> Result<Arc<Self>, ReportError> {
        let mut studies = Vec::new();
        for (number, path) in (1..).zip(paths) {
            let view = Arc::new(StudyView::read(path)?);
            let running = read_running(path).map(Arc::new);
            let state = StudyState { view, running, problem: None, drawn: Arc::default(), stamps: Stamps::default() };
            let (state, q_history) = (RwLock::new(state), RwLock::default());
            studies.push(Watched { number, path: path.clone(), state, q_history });
        }
        Ok(Arc::new(Site {
            studies,
            guard,
            version: AtomicU64::new(0),
            changed: watch::Sender::new(0),
            viewers: AtomicUsize::new(0),
            begun: Instant::now(),
            last_request: AtomicU64::new(0),
        }))
    }

    /// Tells of every change.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.changed.subscribe()
    }

    /// The version in which the latest change was made.
    pub(crate) fn version(&self) -> u64 {
        self.version.load(Ordering::SeqCst)
    }

    /// Changes what is known of `study`; `change` is given the version in which that is.
    pub(crate) fn change(&self, study: &Watched, change: impl FnOnce(&mut StudyState, u64)) {
        let version = self.version.fetch_add(1, Ordering::SeqCst) + 1;
        // A page that panicked while it read has changed nothing.
        change(&mut study.state.write().unwrap_or_else(PoisonError::into_inner), version);
        self.changed.send_replace(version);
    }

    /// A page was asked for.
    pub(crate) fn note_request(&self) {
        self.last_request.store(self.begun.elapsed().as_millis() as u64, Ordering::Relaxed);
    }

    /// Whether anybody looks. What costs much is not done for nobody: the search needs the processor.
    pub(crate) fn is_watched(&self) -> bool {
        let since = self.begun.elapsed().as_millis() as u64 - self.last_request.load(Ordering::Relaxed);
        self.viewers.load(Ordering::Relaxed) > 0 || since < 60_000
    }
}

impl Watched {
    /// What is known now.
    pub(crate) fn now(&self) -> StudyState {
        self.state.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Starts the threads that follow each study; they end with the site.
pub(crate) fn follow_all(site: &Arc<Site>) {
    for index in 0..site.studies.len() {
        let weak = Arc::downgrade(site);
        thread::spawn(move || follow(&weak, index));
        let weak = Arc::downgrade(site);
        thread::spawn(move || draw::draw(&weak, index));
    }
}

/// Reads what is new of a study, again and again.
fn follow(site: &Weak<Site>, index: usize) {
    let mut seen = None;
    let mut read_at = Instant::now();
    while let Some(site) = site.upgrade() {
        let study = &site.studies[index];
        let found = Fingerprint::of(&study.path);
        if seen.as_ref() != Some(&found) || read_at.elapsed() >= LONGEST {
            seen = Some(found);
            read_at = Instant::now();
            refresh(&site, study);
        }
        drop(site);
        thread::sleep(INTERVAL);
    }
}

/// Reads what is new and says what has changed.
pub(crate) fn refresh(site: &Site, study: &Watched) {
    let before = study.now();
    let running = read_running(&study.path).map(Arc::new);
    match Addition::read(&study.path, before.view.events) {
        Ok(addition) if !before.view.goes_on_with(&addition) => replace(site, study),
        Ok(addition) => {
            let has_trials = addition.has_events() || before.view.finals.len() != addition.finals();
            let is_news = running != before.running || before.problem.is_some() || before.view.differs(&addition);
            // Or every change would copy the whole view.
            drop(before);
            if is_news || has_trials {
                site.change(study, |state, version| {
                    Arc::make_mut(&mut state.view).add(addition);
                    (state.running, state.problem) = (running, None);
                    state.stamps.status = version;
                    if has_trials {
                        state.stamps.trials = version;
                    }
                });
            }
        }
        Err(error) => tell(site, study, error.to_string()),
    }
}

/// Another study has taken the place of the one that was read.
fn replace(site: &Site, study: &Watched) {
    match StudyView::read(&study.path) {
        Ok(view) => {
            *study.q_history.write().unwrap_or_else(PoisonError::into_inner) = QHistory::default();
            site.change(study, |state, version| {
                *state = StudyState {
                    view: Arc::new(view),
                    running: read_running(&study.path).map(Arc::new),
                    problem: None,
                    drawn: Arc::default(),
                    stamps: Stamps { status: version, trials: version, figures: version },
                };
            });
        }
        Err(error) => tell(site, study, error.to_string()),
    }
}

fn tell(site: &Site, study: &Watched, problem: String) {
    if study.now().problem.as_ref() != Some(&problem) {
        site.change(study, |state, version| {
            state.problem = Some(problem);
            state.running = None;
            state.stamps.status = version;
        });
    }
}

/// What is in training: of no importance where it cannot be read.
fn read_running(path: &Path) -> Option<RunningState> {
    RunningState::read(&path.canonicalize().ok()?).ok().flatten()
}

/// By what it is seen that a study's files have changed.
#[derive(Debug, PartialEq, Eq)]
struct Fingerprint([Option<(u64, Option<SystemTime>)>; 3]);

impl Fingerprint {
    fn of(path: &Path) -> Self {
        let path = path.canonicalize().unwrap_or_else(|_| path.into());
        Fingerprint(["", "-wal", ".running"].map(|suffix| {
            let metadata = fs::metadata(beside(&path, suffix)).ok()?;
            Some((metadata.len(), metadata.modified().ok()))
        }))
    }
}
