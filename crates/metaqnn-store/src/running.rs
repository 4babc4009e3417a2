//! What is in training now: a small file beside the study, for those who watch.
//!
//! It is no part of the study: nothing is rebuilt from it, and it is gone when the run has ended. That is why it is not a table of
//! the study (docs/decisions/0004).

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use metaqnn_core::ports::TrainingProgress;
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{CurvePoint, TrialNumber};
use serde::{Deserialize, Serialize};

use crate::beside::beside;

/// Between two writes.
const INTERVAL: Duration = Duration::from_secs(1);

/// After which what was written last counts as left behind by a run that was killed: a run writes once a second.
const STALE_SECONDS: f64 = 20.0;

/// Points of the training loss that are kept of a training; at twice as many every second one is dropped.
const LOSSES: usize = 60;

/// Bytes of the largest file that is read.
const LARGEST_FILE: u64 = 4 << 20;

/// The state of a run: what is in training, and what the coordinator alone knows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunningState {
    /// The coordinator's process.
    pub process: u32,
    /// Seconds since 1970-01-01 UTC when this was written.
    pub written_at: f64,
    /// What the run is about now, in words: `search`, `choosing a network`, `final training`.
    pub phase: String,
    /// ε of the next trial; `None` after the search.
    pub epsilon: Option<f64>,
    /// Seconds that the study has run, over all its runs.
    pub run_seconds: Option<f64>,
    /// Seconds of the budget that are left to the phase; `None` where time does not end it.
    pub seconds_left: Option<f64>,
    /// What each worker trains, by its number. A worker that has not yet reported of its training is not among them.
    pub trainings: Vec<RunningTraining>,
}

/// A training that goes on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct RunningTraining {
    /// The worker, from 0.
    pub worker: usize,
    /// The trial.
    pub trial: TrialNumber,
    /// What is trained.
    pub architecture: Architecture,
    /// Seconds since 1970-01-01 UTC of its first report.
    pub begun_at: f64,
    /// The try, from 1.
    pub attempt: u32,
    /// Share of the training that is over, in [0, 1].
    pub progress: f64,
    /// Running mean of the training loss in this try, as (share of the training that was over, loss); thinned out.
    pub losses: Vec<(f64, f64)>,
    /// The learning curve of this try. Numbers that are not finite are left out.
    pub curve: Vec<CurvePoint>,
}

impl RunningState {
    /// What the run of the study at `study` wrote last; `None` where no run is going on or it has not written yet.
    ///
    /// # Errors
    ///
    /// When there is a file that cannot be read or understood.
    pub fn read(study: &Path) -> io::Result<Option<RunningState>> {
        let path = running_path(study);
        // A pipe would be waited for, and where a link leads is not ours to read.
        let file = match path.symlink_metadata() {
            Ok(found) if found.is_file() => fs::File::open(path)?,
            Ok(_) => return Err(io::Error::new(io::ErrorKind::InvalidData, "it is no file")),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut text = String::new();
        file.take(LARGEST_FILE).read_to_string(&mut text)?;
        serde_json::from_str(&text).map(Some).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
    }

    /// Whether the run that wrote this still goes on, as far as can be told.
    pub fn is_current(&self) -> bool {
        (now() - self.written_at).abs() < STALE_SECONDS
    }

    /// Takes up what a worker reports. What it says of another trial than before is the beginning of that one's training.
    fn note(&mut self, worker: usize, trial: TrialNumber, architecture: &Architecture, step: &TrainingProgress) {
        let place = match self.trainings.iter().position(|training| training.worker >= worker) {
            Some(place) if self.trainings[place].worker == worker => place,
            place => {
                let place = place.unwrap_or(self.trainings.len());
                self.trainings.insert(place, RunningTraining::new(worker, trial, architecture));
                place
            }
        };
        let training = &mut self.trainings[place];
        if training.trial != trial {
            *training = RunningTraining::new(worker, trial, architecture);
        }
        training.note(step);
    }
}

impl RunningTraining {
    fn new(worker: usize, trial: TrialNumber, architecture: &Architecture) -> Self {
        RunningTraining {
            worker,
            trial,
            architecture: architecture.clone(),
            begun_at: now(),
            attempt: 1,
            progress: 0.0,
            losses: Vec::new(),
            curve: Vec::new(),
        }
    }

    fn note(&mut self, step: &TrainingProgress) {
        match *step {
            TrainingProgress::Step { progress, train_loss } => {
                if progress < self.progress {
                    // Its worker died and it was begun again.
                    self.begin_again();
                }
                self.progress = progress;
                if train_loss.is_finite() {
                    self.losses.push((progress, train_loss));
                    self.thin_out();
                }
            }
            TrainingProgress::Epoch { point } => {
                if point.train_loss.is_finite() && point.valid_accuracy.is_finite() {
                    self.curve.retain(|known| known.epoch < point.epoch);
                    self.curve.push(point);
                }
            }
            TrainingProgress::Restart { attempt, .. } => {
                self.begin_again();
                self.attempt = attempt;
            }
        }
    }

    fn begin_again(&mut self) {
        self.progress = 0.0;
        self.losses.clear();
        self.curve.clear();
    }

    fn thin_out(&mut self) {
        if self.losses.len() >= 2 * LOSSES {
            let mut place = 0;
            self.losses.retain(|_| {
                place += 1;
                place % 2 == 0
            });
        }
    }
}

/// Writes the state of a run beside its study, once a second at most.
///
/// Whoever closes the [`StudyFile`](crate::StudyFile) removes it. That it cannot be written is no error of the run.
#[derive(Debug)]
pub struct RunningFile {
    study: PathBuf,
    state: RunningState,
    written: Option<Instant>,
}

impl RunningFile {
    /// The state of a run of the study at `study`, which must be its canonical path, in `phase`.
    pub fn new(study: &Path, phase: &str) -> Self {
        let state = RunningState {
            process: std::process::id(),
            written_at: 0.0,
            phase: phase.into(),
            epsilon: None,
            run_seconds: None,
            seconds_left: None,
            trainings: Vec::new(),
        };
        RunningFile { study: study.into(), state, written: None }
    }

    /// Takes up what a worker reports of its training.
    pub fn note(&mut self, worker: usize, trial: TrialNumber, architecture: &Architecture, step: &TrainingProgress) {
        self.state.note(worker, trial, architecture, step);
    }

    /// A training has ended.
    pub fn ended(&mut self, trial: TrialNumber) {
        self.state.trainings.retain(|training| training.trial != trial);
    }

    /// Notes what the coordinator knows and writes the state where the last write is long enough ago. To be called several times a second.
    pub fn tick(&mut self, epsilon: Option<f64>, run_seconds: Option<f64>, seconds_left: Option<f64>) {
        (self.state.epsilon, self.state.run_seconds) = (epsilon, run_seconds);
        self.state.seconds_left = seconds_left.map(|seconds| seconds.max(0.0));
        if self.written.is_none_or(|written| written.elapsed() >= INTERVAL) {
            self.written = Some(Instant::now());
            // A view that lags, or sees none of this, is all that can come of a failure.
            let _ = self.write();
        }
    }

    /// Removes what a run of the study at `study`, its canonical path, wrote beside it. For a run that ends without closing the study.
    pub fn remove(study: &Path) {
        remove(study);
    }

    /// Under another name first, so that no one reads half of it. Not synced: it tells of now.
    fn write(&mut self) -> io::Result<()> {
        self.state.written_at = now();
        let temporary = temporary_path(&self.study);
        // Made anew, so that a link in its place is not followed.
        let _ = fs::remove_file(&temporary);
        fs::File::create_new(&temporary)?.write_all(&serde_json::to_vec(&self.state)?)?;
        fs::rename(&temporary, running_path(&self.study))
    }
}

/// Removes what the run of a study, which has ended, wrote beside it.
pub(crate) fn remove(study: &Path) {
    let _ = fs::remove_file(running_path(study));
    let _ = fs::remove_file(temporary_path(study));
}

fn running_path(study: &Path) -> PathBuf {
    beside(study, ".running")
}

fn temporary_path(study: &Path) -> PathBuf {
    beside(study, ".running.tmp")
}

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |since| since.as_secs_f64())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn architecture() -> Architecture {
        "[C(32,3,1), SM(10)]".parse().unwrap()
    }

    fn step(progress: f64, train_loss: f64) -> TrainingProgress {
        TrainingProgress::Step { progress, train_loss }
    }

    fn epoch(epoch: u32) -> TrainingProgress {
        TrainingProgress::Epoch { point: CurvePoint { epoch, train_loss: 1.5, valid_accuracy: 0.25 } }
    }

    #[test]
    fn what_is_written_is_read_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let study = folder.path().join("a.study");
        assert_eq!(RunningState::read(&study).unwrap(), None);
        let mut file = RunningFile::new(&study, "search");
        file.note(1, TrialNumber(8), &architecture(), &step(0.5, 2.0));
        file.note(0, TrialNumber(7), &architecture(), &epoch(1));
        file.tick(Some(0.5), Some(3.0), Some(-1.0));
        let state = RunningState::read(&study).unwrap().unwrap();
        assert_eq!(state, file.state);
        assert!(state.is_current());
        assert_eq!((state.epsilon, state.seconds_left, state.process), (Some(0.5), Some(0.0), std::process::id()));
        assert_eq!(state.trainings.iter().map(|training| training.trial.0).collect::<Vec<_>>(), [7, 8]);
        // Within a second nothing is written again.
        file.ended(TrialNumber(7));
        file.tick(None, None, None);
        assert_eq!(RunningState::read(&study).unwrap().unwrap(), state);
        file.written = None;
        file.tick(None, None, None);
        assert_eq!(RunningState::read(&study).unwrap().unwrap().trainings.len(), 1);
        remove(&study);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_training_begun_again_has_a_new_curve() {
        let mut state = RunningFile::new(Path::new("a.study"), "search").state;
        let mut note = |trial, step: &TrainingProgress| {
            state.note(0, TrialNumber(trial), &architecture(), step);
            state.trainings[0].clone()
        };
        note(1, &step(0.5, 2.0));
        note(1, &epoch(1));
        let training = note(1, &TrainingProgress::Restart { attempt: 2, learning_rate: 0.1 });
        assert_eq!((training.attempt, training.progress, training.curve.len(), training.losses.len()), (2, 0.0, 0, 0));
        note(1, &step(0.5, 2.0));
        // Its worker died.
        let training = note(1, &step(0.1, 2.0));
        assert_eq!((training.attempt, training.losses), (2, vec![(0.1, 2.0)]));
        note(1, &step(0.2, f64::NAN));
        let training = note(2, &epoch(1));
        assert_eq!((training.trial.0, training.attempt, training.curve.len()), (2, 1, 1));
        assert_eq!(note(2, &epoch(1)).curve.len(), 1);
    }

    #[test]
    fn a_long_training_stays_small() {
        let mut training = RunningTraining::new(0, TrialNumber(1), &architecture());
        for share in 1..=100_000 {
            training.note(&step(f64::from(share) / 1e5, 1.0));
        }
        assert!((LOSSES..2 * LOSSES).contains(&training.losses.len()), "{}", training.losses.len());
        assert_eq!(training.losses.last(), Some(&(1.0, 1.0)));
        assert!(training.losses.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }

    #[test]
    fn what_an_old_run_left_is_not_current_and_nonsense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let study = folder.path().join("a.study");
        let mut state = RunningFile::new(&study, "search").state;
        state.written_at = now() - 60.0;
        fs::write(running_path(&study), serde_json::to_vec(&state).unwrap()).unwrap();
        assert!(!RunningState::read(&study).unwrap().unwrap().is_current());
        state.written_at = now() + 60.0;
        fs::write(running_path(&study), serde_json::to_vec(&state).unwrap()).unwrap();
        assert!(!RunningState::read(&study).unwrap().unwrap().is_current(), "from the future");
        fs::write(running_path(&study), "{").unwrap();
        assert!(RunningState::read(&study).is_err());
        fs::remove_file(running_path(&study)).unwrap();
        fs::create_dir(running_path(&study)).unwrap();
        assert!(RunningState::read(&study).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_neither_read_nor_written_through() {
        use std::os::unix::fs::symlink;
        let folder = tempfile::tempdir().unwrap();
        let (study, other) = (folder.path().join("a.study"), folder.path().join("other"));
        fs::write(&other, "mine").unwrap();
        symlink(&other, temporary_path(&study)).unwrap();
        symlink(&other, running_path(&study)).unwrap();
        assert!(RunningState::read(&study).is_err());
        RunningFile::new(&study, "search").tick(None, None, None);
        assert_eq!(fs::read_to_string(&other).unwrap(), "mine");
        assert!(RunningState::read(&study).unwrap().is_some());
    }

    /// What the coordinator pays once a second. Prints figures.
    #[test]
    #[ignore = "prints figures"]
    fn speed_of_writing() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = RunningFile::new(&folder.path().join("a.study"), "search");
        for worker in 0..8 {
            for share in 0..1_000 {
                let progress = step(f64::from(share) / 1e3, 1.0 / 3.0);
                file.note(worker, TrialNumber(worker as u64), &architecture(), &progress);
            }
            for number in 1..=20 {
                file.note(worker, TrialNumber(worker as u64), &architecture(), &epoch(number));
            }
        }
        let begin = Instant::now();
        for _ in 0..1_000 {
            file.write().unwrap();
        }
        let bytes = fs::metadata(running_path(&file.study)).unwrap().len();
        println!("8 trainings of 20 epochs: {bytes} bytes, {:.0} µs a write", begin.elapsed().as_secs_f64() * 1e3);
    }
}
