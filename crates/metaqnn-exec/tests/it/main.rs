//! The worker pool with workers that die: shell scripts that speak the protocol.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use metaqnn_core::ports::{CandidateJob, CandidateLength, JobError, TrialJob};
use metaqnn_core::study::{Evaluation, Failure, Outcome, TrialNumber};
use metaqnn_exec::protocol::{Job, WorkerSetup};
use metaqnn_exec::{PoolError, PoolEvent, WorkerPool};

const DONE: &str = r#"{"evaluated":{"outcome":{"state":"complete","valid_accuracy":0.5},"curve":[],"epochs":1,"tries":1,"train_seconds":0.25}}"#;

/// A program whose every process reads the set-up, notes its start in `starts`, and then runs `script`, in which each job
/// read by `job` is noted in `jobs`, and `begun` is the number of jobs begun by all processes so far.
fn program(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("worker.sh");
    let text = format!(
        "#!/bin/sh\ncd '{}' || exit 9\nread -r setup\necho start >> starts\n\
         job() {{ read -r line || exit 0; echo \"$line\" >> jobs; begun=$(wc -l < jobs); }}\n\
         ready() {{ echo '\"ready\"'; }}\ndone_() {{ echo '{DONE}'; }}\n{script}\n",
        folder.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn pool(folder: &Path, script: &str, workers: usize) -> WorkerPool {
    let setup = WorkerSetup {
        data: "digits".into(),
        data_dir: String::new(),
        reading: "{}".into(),
        data_fingerprint: "0".into(),
        image_size: "8x8".into(),
        settings: "a = 1\n".into(),
    };
    let program = program(folder, script);
    loop {
        match WorkerPool::start(program.clone(), setup.clone(), workers, 1) {
            // Another test's fork may still hold the script open for writing.
            Err(PoolError::Start { source, .. }) if source.kind() == ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(10));
            }
            pool => break pool.unwrap(),
        }
    }
}

fn job(trial: u64) -> Job {
    let architecture = "[C(16,3,1), SM(10)]".parse().unwrap();
    Job::Trial(TrialJob {
        trial: TrialNumber(trial),
        architecture,
        seed: 7 + trial,
        stop: None,
        time_limit_seconds: None,
    })
}

/// The next event that is an evaluation.
fn evaluated(pool: &mut WorkerPool) -> Result<(u64, Evaluation), PoolError> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) {
        match pool.next(Duration::from_millis(50))? {
            Some(PoolEvent::Evaluated(trial, evaluation)) => return Ok((trial.0, evaluation)),
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    panic!("nothing came of the job");
}

fn noted(folder: &Path, file: &str) -> Vec<String> {
    fs::read_to_string(folder.join(file)).unwrap_or_default().lines().map(ToOwned::to_owned).collect()
}

#[test]
fn the_trial_of_a_worker_that_died_is_begun_again_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    // The first two processes die of their first job.
    let script = "ready; while true; do job; [ \"$begun\" -le 2 ] && kill -9 $$; done_; done";
    let mut pool = pool(folder.path(), script, 1);
    pool.submit(job(1)).unwrap();
    assert!(pool.submit(job(2)).is_err(), "its worker is busy");
    let (trial, evaluation) = evaluated(&mut pool).unwrap();
    assert_eq!((trial, evaluation.train_seconds), (1, 0.25));
    let jobs = noted(folder.path(), "jobs");
    assert_eq!(jobs.len(), 3);
    assert!(jobs[0].contains("\"seed\":8") && jobs[1..].iter().all(|job| *job == jobs[0]), "{jobs:?}");
    assert_eq!(noted(folder.path(), "starts").len(), 3);
    // The third one is there for the next trial.
    pool.submit(job(2)).unwrap();
    assert_eq!(evaluated(&mut pool).unwrap().0, 2);
    assert_eq!(noted(folder.path(), "starts").len(), 3);
}

#[test]
fn a_trial_that_kills_three_workers_is_a_failure_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    // Deadly are the jobs of trial 1.
    let script = "ready; while true; do job; case $line in *'\"trial\":1,'*) kill -9 $$;; esac; done_; done";
    let mut pool = pool(folder.path(), script, 1);
    pool.submit(job(1)).unwrap();
    let (trial, evaluation) = evaluated(&mut pool).unwrap();
    let Outcome::Failed { failure: Failure::WorkerDied { attempts, how } } = evaluation.outcome else {
        panic!("{evaluation:?}");
    };
    assert_eq!((trial, attempts, noted(folder.path(), "jobs").len()), (1, 3, 3));
    assert!(how.contains("signal: 9"), "{how}");
    assert_eq!(pool.idle(), 1);
    pool.submit(job(2)).unwrap();
    assert!(matches!(evaluated(&mut pool).unwrap().1.outcome, Outcome::Complete { .. }));
}

#[test]
fn a_worker_that_dies_before_it_is_ready_costs_the_trial_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let script = "[ \"$(wc -l < starts)\" -le 4 ] && exit 3; ready; while true; do job; done_; done";
    let mut pool = pool(folder.path(), script, 1);
    pool.submit(job(1)).unwrap();
    assert!(matches!(evaluated(&mut pool).unwrap().1.outcome, Outcome::Complete { .. }));
    assert_eq!(noted(folder.path(), "starts").len(), 5);
}

#[test]
fn workers_that_never_work_are_an_error_and_not_failed_trials() {
    let folder = tempfile::tempdir().unwrap();
    let mut dying = pool(folder.path(), "exit 3", 1);
    dying.submit(job(1)).unwrap();
    let error = evaluated(&mut dying).unwrap_err().to_string();
    assert!(error.contains("worker 0: it ended 5 times without a job in training: exit status: 3"), "{error}");
    drop(dying);
    let mut unable = pool(folder.path(), "echo '{\"unable\":\"no such data set\"}'; exit 0", 1);
    unable.submit(job(1)).unwrap();
    assert_eq!(evaluated(&mut unable).unwrap_err().to_string(), "worker 0: no such data set");
}

#[test]
fn a_worker_that_dies_between_jobs_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    // Every process works on one job and dies after it.
    let mut pool = pool(folder.path(), "ready; job; done_; kill -9 $$", 2);
    for trial in 1..=12 {
        pool.submit(job(trial)).unwrap();
        let (told, evaluation) = evaluated(&mut pool).unwrap();
        assert_eq!(told, trial);
        assert!(matches!(evaluation.outcome, Outcome::Complete { .. }), "{evaluation:?}");
    }
}

#[test]
fn a_worker_that_talks_nonsense_is_ended_and_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let script = "ready; job; [ \"$begun\" -eq 1 ] && { echo nonsense; exec sleep 600; }; done_; exec sleep 600";
    let mut pool = pool(folder.path(), script, 1);
    pool.submit(job(1)).unwrap();
    assert!(matches!(evaluated(&mut pool).unwrap().1.outcome, Outcome::Complete { .. }));
    assert_eq!(noted(folder.path(), "jobs").len(), 2);
}

fn candidate(trial: u64) -> Job {
    let (architecture, length) = ("[C(16,3,1), SM(10)]".parse().unwrap(), CandidateLength::Epochs(1));
    Job::Candidate(CandidateJob { trial: TrialNumber(trial), architecture, seed: 1, length, checkpoint: None })
}

#[test]
fn a_candidate_comes_back_with_its_probabilities_or_with_the_reason_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let evaluation = DONE.strip_prefix("{\"evaluated\":").and_then(|rest| rest.strip_suffix('}')).unwrap();
    // 0.5 and 1.0 as 32-bit floats, then a job that fails, and one that nobody can do here.
    let script = format!(
        "ready; job; printf '{{\"candidate\":[{{\"evaluation\":%s,\"mirror_is_safe\":true}},8]}}\\n\\0\\0\\0\\077\\0\\0\\200\\077' '{evaluation}'
         job; echo '{{\"job-failed\":{{\"network\":\"loss not finite\"}}}}'
         job; echo '{{\"job-failed\":{{\"storage\":\"a.checkpoint: no space\"}}}}'; read -r more"
    );
    let mut pool = pool(folder.path(), &script, 1);
    let mut result = |trial| {
        pool.submit(candidate(trial)).unwrap();
        let begin = Instant::now();
        loop {
            assert!(begin.elapsed() < Duration::from_secs(30), "nothing came of the job");
            match pool.next(Duration::from_millis(50)).unwrap() {
                Some(PoolEvent::Candidate(of, result)) => break (of.0, result),
                Some(other) => panic!("{other:?}"),
                None => {}
            }
        }
    };
    let (trial, found) = result(1);
    let found = found.unwrap();
    assert_eq!((trial, found.evaluation.train_seconds, found.mirror_is_safe), (1, 0.25, Some(true)));
    assert_eq!(found.probabilities, [0.5, 1.0]);
    assert_eq!(result(2), (2, Err(JobError::Network("loss not finite".into()))));
    assert_eq!(result(3), (3, Err(JobError::Storage("a.checkpoint: no space".into()))));
}

#[test]
fn a_frozen_worker_is_killed_and_its_trial_begun_again() {
    let folder = tempfile::tempdir().unwrap();
    // Stopped as by Ctrl-Z, the first one in the middle of its job.
    let script = "ready; job; [ \"$begun\" -eq 1 ] && kill -STOP $$; done_; exec sleep 600";
    let mut pool = pool(folder.path(), script, 1).with_patience(Duration::from_secs(2));
    pool.submit(job(1)).unwrap();
    assert!(matches!(evaluated(&mut pool).unwrap().1.outcome, Outcome::Complete { .. }));
    assert_eq!(noted(folder.path(), "jobs").len(), 2);
}

#[test]
fn a_worker_that_freezes_again_and_again_has_failed() {
    let folder = tempfile::tempdir().unwrap();
    let mut pool = pool(folder.path(), "ready; job; kill -STOP $$", 1).with_patience(Duration::from_secs(1));
    pool.submit(job(1)).unwrap();
    let (_, evaluation) = evaluated(&mut pool).unwrap();
    let Outcome::Failed { failure: Failure::WorkerDied { attempts: 3, how } } = evaluation.outcome else {
        panic!("{evaluation:?}");
    };
    assert_eq!(how, "it was frozen, silent for 1 s, and was killed");
}

#[test]
fn a_worker_that_shows_life_is_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    let script = "ready; job; for i in 1 2 3 4 5 6; do echo '\"alive\"'; sleep 0.5; done; done_; exec sleep 600";
    let mut pool = pool(folder.path(), script, 1).with_patience(Duration::from_secs(2));
    pool.submit(job(1)).unwrap();
    assert!(matches!(evaluated(&mut pool).unwrap().1.outcome, Outcome::Complete { .. }));
    assert_eq!(noted(folder.path(), "jobs").len(), 1);
}
