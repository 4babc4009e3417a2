//! Coordinators and workers killed at random moments.
//!
//! Two of each by default; with `METAQNN_SLOW_TESTS=1` ten of each.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde_json::Value;

use crate::program::{TINY, lines, log, log_len, metaqnn, search, verify};

/// Longest time for a trial, a start or an end; minutes where the machine is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// Trials of some tenths of a second, so that a moment is often in the middle of one.
const LONGER: [&str; 4] = ["--set", "training.epochs=60", "--set", "training.restart.min_steps=150"];

fn kills() -> u64 {
    if std::env::var_os("METAQNN_SLOW_TESTS").is_some_and(|set| set == "1") { 10 } else { 2 }
}

/// Models enough that the search is not over before the last kill: each waits for one more trial, or two.
fn models(kills: u64) -> u64 {
    4 * kills + 4
}

/// A process that is killed when a test fails.
pub(crate) struct Coordinator(pub(crate) Child);

impl Coordinator {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_metaqnn"));
        Coordinator(command.args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }

    fn begin(study: &Path, models: &str, workers: &str) -> Self {
        let mut arguments = vec!["search", "--models", models, "--workers", workers, "--seed", "5"];
        arguments.extend(["--study", study.to_str().unwrap()]);
        arguments.extend(TINY);
        arguments.extend(LONGER);
        Self::start(&arguments)
    }

    pub(crate) fn is_over(&mut self) -> bool {
        self.0.try_wait().unwrap().is_some()
    }

    /// The processes that it started and that still run.
    pub(crate) fn workers(&self) -> Vec<u32> {
        let parent = format!("PPid:\t{}", self.0.id());
        let runs = |status: &str| status.lines().any(|line| line == parent) && !status.contains("State:\tZ");
        processes().filter(|pid| status(*pid).is_some_and(|status| runs(&status))).collect()
    }
}

impl Drop for Coordinator {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn processes() -> impl Iterator<Item = u32> {
    std::fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

fn status(pid: u32) -> Option<String> {
    std::fs::read_to_string(PathBuf::from(format!("/proc/{pid}/status"))).ok()
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !holds() {
        assert!(begin.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A whole number below `n`.
pub(crate) fn below(n: u64, generator: &mut ChaCha8Rng) -> u64 {
    generator.next_u64() % n
}

/// Waits for none, one or two more trials, and then up to 0.4 seconds: somewhere in a start or a training.
fn random_moment(study: &Path, coordinator: &mut Coordinator, generator: &mut ChaCha8Rng) {
    let stored = if study.exists() { log_len(study) } else { 0 };
    let wanted = stored + below(3, generator) as usize;
    wait_until("more trials", || (study.exists() && log_len(study) >= wanted) || coordinator.is_over());
    std::thread::sleep(Duration::from_millis(below(400, generator)));
}

/// What must hold of a study at its end.
fn check(study: &Path, models: u64) {
    let shown = verify(study);
    assert_eq!((&shown["models"], &shown["verified_events"]), (&models.into(), &shown["events"]));
    let trials = log(study);
    let distinct = |key: &str| trials.iter().map(|trial| trial[key].to_string()).collect::<HashSet<_>>().len();
    assert_eq!((distinct("trial"), distinct("architecture")), (trials.len(), trials.len()));
    for trial in trials.iter().filter(|trial| trial["state"] == "failed") {
        assert!(trial["failure"].as_str().is_some_and(|reason| !reason.is_empty()), "{trial}");
    }
    let trained = trials.iter().filter(|trial| !trial["failure"].to_string().contains("over the limit")).count();
    assert_eq!(trained as u64, models);
}

#[test]
fn a_coordinator_killed_at_random_moments_loses_no_trial_and_trains_none_twice() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("killed.study");
    let path = study.to_str().unwrap();
    let (kills, mut generator) = (kills(), ChaCha8Rng::seed_from_u64(1));
    let models = models(kills);
    let mut before: Vec<Value> = Vec::new();
    for kill in 0..kills {
        let mut coordinator = match kill {
            0 => Coordinator::begin(&study, &models.to_string(), "2"),
            _ => Coordinator::start(&["resume", path]),
        };
        // Before the study is there nothing can be lost.
        wait_until("a study", || study.exists());
        random_moment(&study, &mut coordinator, &mut generator);
        assert!(!coordinator.is_over(), "kill {kill}: the search was over before");
        let workers = coordinator.workers();
        coordinator.0.kill().unwrap();
        coordinator.0.wait().unwrap();
        // Nobody waits for what its workers train.
        wait_until("no worker of a dead coordinator", || workers.iter().all(|pid| status(*pid).is_none()));
        let stored = log(&study);
        assert!(stored.len() >= before.len());
        assert_eq!(stored[..before.len()], before, "kill {kill}: a finished trial never changes");
        before = stored;
    }
    lines(&metaqnn(&["resume", path, "--json"]));
    assert_eq!(log(&study)[..before.len()], before);
    check(&study, models);
}

/// Searches while `kills` workers are killed at random moments; the coordinator goes on by itself.
fn search_with_killed_workers(study: &Path, models: u64, workers: &str, kills: u64) {
    let mut generator = ChaCha8Rng::seed_from_u64(2);
    let mut coordinator = Coordinator::begin(study, &models.to_string(), workers);
    let count: usize = workers.parse().unwrap();
    for kill in 0..kills {
        random_moment(study, &mut coordinator, &mut generator);
        let mut running = Vec::new();
        wait_until("every worker", || {
            running = coordinator.workers();
            running.len() == count || coordinator.is_over()
        });
        assert!(!coordinator.is_over(), "kill {kill}: the search was over before");
        let victim = running[below(count as u64, &mut generator) as usize].to_string();
        assert!(Command::new("kill").args(["-9", &victim]).status().unwrap().success());
    }
    wait_until("the end of the search", || coordinator.is_over());
    assert!(coordinator.0.wait().unwrap().success(), "the search did not go on by itself");
    check(study, models);
}

#[test]
fn a_search_whose_workers_are_killed_at_random_moments_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let kills = kills();
    search_with_killed_workers(&folder.path().join("workers.study"), models(kills), "2", kills);
}

#[test]
fn with_one_worker_its_death_leaves_no_trace() {
    let folder = tempfile::tempdir().unwrap();
    let (killed, whole) = (folder.path().join("killed.study"), folder.path().join("whole.study"));
    search_with_killed_workers(&killed, models(2), "1", 2);
    let models = models(2).to_string();
    let mut arguments = vec!["--models", &models, "--workers", "1", "--seed", "5"];
    arguments.extend(LONGER);
    search(&whole, &arguments);
    assert_eq!(log(&killed), log(&whole));
}

/// Settings of a final phase of some seconds, the choice among two candidates included.
const FINAL_PHASE: [&str; 12] = [
    "--set",
    "final.enabled=true",
    "--set",
    "final.candidates=2",
    "--set",
    "final.training.train_images=1200",
    "--set",
    "final.training.epochs=12",
    "--set",
    "final.training.min_steps=0",
    "--set",
    "final.candidates_share=0.5",
];

/// The states of trainings that lie in a folder.
fn checkpoints(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().filter_map(|entry| Some(entry.ok()?.path()));
    entries.filter(|path| path.extension().is_some_and(|extension| extension == "checkpoint")).collect()
}

#[test]
fn a_search_killed_in_its_final_phase_ends_as_one_that_was_not() {
    let folder = tempfile::tempdir().unwrap();
    let (whole, killed) = (folder.path().join("whole.study"), folder.path().join("killed.study"));
    let mut more = vec!["--models", "3", "--workers", "1", "--seed", "5"];
    more.extend(FINAL_PHASE);
    let expected = search(&whole, &more).pop().unwrap();
    assert!(expected["test_accuracy"].as_f64().is_some());
    let mut arguments = vec!["search", "--study", killed.to_str().unwrap()];
    arguments.extend(TINY);
    arguments.extend(&more);
    // In the training of a candidate, then in the final one.
    for stage in ["candidate", "final"] {
        let mut coordinator = Coordinator::start(&arguments);
        let is_in = |path: &PathBuf| path.to_str().unwrap().contains(&format!("killed.study.{stage}-"));
        wait_until(stage, || {
            assert!(!coordinator.is_over(), "over before {stage}");
            checkpoints(folder.path()).iter().any(is_in)
        });
        coordinator.0.kill().unwrap();
        coordinator.0.wait().unwrap();
        assert!(checkpoints(folder.path()).iter().any(is_in));
        arguments = vec!["resume", killed.to_str().unwrap()];
    }
    let mut resumed = lines(&metaqnn(&["resume", killed.to_str().unwrap(), "--json"])).remove(0);
    assert_eq!((&resumed["test_accuracy"], &resumed["models"]), (&expected["test_accuracy"], &expected["models"]));
    let mut best = expected["best"].clone();
    for trial in [&mut best, &mut resumed["best"]] {
        trial["train_seconds"].take();
    }
    assert_eq!(resumed["best"], best);
    assert!(checkpoints(folder.path()).is_empty());
}

#[test]
fn a_final_training_whose_workers_all_die_is_an_error_and_can_be_tried_again() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    let path = study.to_str().unwrap();
    let mut arguments = vec!["search", "--models", "1", "--workers", "1", "--study", path];
    arguments.extend(TINY);
    arguments.extend(FINAL_PHASE);
    arguments.extend(["--set", "final.candidates=1"]);
    let mut command = Command::new(env!("CARGO_BIN_EXE_metaqnn"));
    command.args(&arguments).stdout(Stdio::null()).stderr(Stdio::piped());
    let mut coordinator = Coordinator(command.spawn().unwrap());
    for _ in 0..3 {
        wait_until("a final training", || !checkpoints(folder.path()).is_empty());
        let mut running = Vec::new();
        wait_until("its worker", || {
            running = coordinator.workers();
            !running.is_empty()
        });
        assert!(Command::new("kill").args(["-9", &running[0].to_string()]).status().unwrap().success());
        wait_until("its end", || status(running[0]).is_none());
        // The next one begins with the state that is there: only what it stores itself says that it trains.
        let states = checkpoints(folder.path());
        let begun = std::fs::metadata(&states[0]).unwrap().modified().unwrap();
        let goes_on = |path: &PathBuf| std::fs::metadata(path).is_ok_and(|file| file.modified().unwrap() != begun);
        wait_until("the next one", || coordinator.is_over() || checkpoints(folder.path()).iter().any(goes_on));
    }
    wait_until("the end of the search", || coordinator.is_over());
    let mut said = String::new();
    std::io::Read::read_to_string(&mut coordinator.0.stderr.take().unwrap(), &mut said).unwrap();
    assert_eq!(coordinator.0.wait().unwrap().code(), Some(1), "{said}");
    assert!(said.contains("error: the final training has no result; `metaqnn resume "), "{said}");
    assert!(said.contains("the worker died"), "{said}");
    let resumed = lines(&metaqnn(&["resume", path, "--json"])).remove(0);
    assert!(resumed["test_accuracy"].as_f64().is_some());
    assert!(checkpoints(folder.path()).is_empty());
}
