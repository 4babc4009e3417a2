//! The worker pool with workers that die: shell scripts that speak the protocol.

use std::fs;
use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use metaqnn_core::ports::{CandidateJob, CandidateLength, Executor, ExecutorEvent, FinalJob, Job, JobError, TrialJob};
use metaqnn_core::study::{Evaluation, Failure, Outcome, TrialNumber};
use metaqnn_exec::protocol::{PROTOCOL, WorkerSetup};
use metaqnn_exec::{PoolError, WorkerCommand, WorkerPool};

const DONE: &str = r#"{"evaluated":{"outcome":{"state":"complete","valid_accuracy":0.5},"curve":[],"epochs":1,"tries":1,"train_seconds":0.25}}"#;

/// A program whose every process reads greeting and set-up, notes its start in `starts`, and then runs `script`, in which `say` reports, each
/// job read by `job` is noted in `jobs`, and `begun` is the number of jobs begun by all processes so far.
fn program(folder: &Path, script: &str) -> PathBuf {
    let path = folder.join("worker.sh");
    let text = format!(
        "#!/bin/sh\ncd '{}' || exit 9\nread -r greeting\nread -r setup\necho start >> starts\n\
         say() {{ echo \"$1\" >&0; }}\nhello() {{ say '{{\"hello\":{PROTOCOL}}}'; }}\n\
         job() {{ read -r line || exit 0; echo \"$line\" >> jobs; begun=$(wc -l < jobs); }}\n\
         ready() {{ hello; say '\"ready\"'; }}\ndone_() {{ say '{DONE}'; }}\n{script}\n",
        folder.display()
    );
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

fn pool(folder: &Path, script: &str, workers: usize) -> WorkerPool {
    let setup = WorkerSetup {
        data: "digits".into(),
        data_dir: PathBuf::new(),
        reading: "{}".into(),
        data_fingerprint: "0".into(),
        image_size: "8x8".into(),
        settings: "a = 1\n".into(),
        results: folder.join("a.study"),
    };
    let command = WorkerCommand::new(program(folder, script));
    loop {
        match WorkerPool::start(command.clone(), setup.clone(), workers, 1) {
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
            Some(ExecutorEvent::Evaluated(trial, evaluation)) => return Ok((trial.0, evaluation)),
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
    let mut unable = pool(folder.path(), "hello; say '{\"unable\":\"no such data set\"}'; exit 0", 1);
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
    let script = "ready; job; [ \"$begun\" -eq 1 ] && { say nonsense; exec sleep 600; }; done_; exec sleep 600";
    let mut pool = pool(folder.path(), script, 1);
    pool.submit(job(1)).unwrap();
    assert!(matches!(evaluated(&mut pool).unwrap().1.outcome, Outcome::Complete { .. }));
    assert_eq!(noted(folder.path(), "jobs").len(), 2);
}

fn candidate(trial: u64) -> Job {
    let (architecture, length) = ("[C(16,3,1), SM(10)]".parse().unwrap(), CandidateLength::Epochs(1));
    Job::Candidate(CandidateJob { trial: TrialNumber(trial), architecture, seed: 1, length, checkpoint: None })
}

/// What comes of a job of the final phase.
fn finished(pool: &mut WorkerPool, job: Job) -> ExecutorEvent {
    pool.submit(job).unwrap();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(30) {
        match pool.next(Duration::from_millis(50)).unwrap() {
            Some(event) if event.ended().is_some() => return event,
            Some(other) => panic!("{other:?}"),
            None => {}
        }
    }
    panic!("nothing came of the job");
}

#[test]
fn a_candidate_comes_back_with_its_probabilities_or_with_the_reason_why_not() {
    let folder = tempfile::tempdir().unwrap();
    let evaluation = DONE.strip_prefix("{\"evaluated\":").and_then(|rest| rest.strip_suffix('}')).unwrap();
    // 0.5 and 1.0 as 32-bit floats, then a job that fails, one that nobody can do here, and a file that is cut off.
    let script = format!(
        "candidate() {{ say '{{\"candidate\":[{{\"evaluation\":{evaluation},\"mirror_is_safe\":true}},8]}}'; }}
         ready; job; printf '\\0\\0\\0\\077\\0\\0\\200\\077' > a.study.candidate-1.probabilities; candidate
         job; say '{{\"job-failed\":{{\"network\":\"loss not finite\"}}}}'
         job; say '{{\"job-failed\":{{\"storage\":\"a.checkpoint: no space\"}}}}'
         job; printf '\\0\\0' > a.study.candidate-4.probabilities; candidate; read -r more"
    );
    let mut pool = pool(folder.path(), &script, 1);
    let mut result = |trial| match finished(&mut pool, candidate(trial)) {
        ExecutorEvent::Candidate(of, result) => (of.0, result),
        other => panic!("{other:?}"),
    };
    let (trial, found) = result(1);
    let found = found.unwrap();
    assert_eq!((trial, found.evaluation.train_seconds, found.mirror_is_safe), (1, 0.25, Some(true)));
    assert_eq!(found.probabilities, [0.5, 1.0]);
    assert!(!folder.path().join("a.study.candidate-1.probabilities").exists(), "what was taken is left");
    assert_eq!(result(2), (2, Err(JobError::Network("loss not finite".into()))));
    assert_eq!(result(3), (3, Err(JobError::Storage("a.checkpoint: no space".into()))));
    let Err(JobError::Storage(reason)) = result(4).1 else { panic!("a file that is cut off was taken") };
    assert!(reason.contains("a.study.candidate-4.probabilities") && reason.contains("it has 2 bytes, 8"), "{reason}");
}

#[test]
fn what_dead_workers_have_written_of_a_result_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let script = "ready; job; echo > a.study.final-1.weights.tmp; echo > a.study.final-1.weights; kill -9 $$";
    let mut pool = pool(folder.path(), script, 1);
    let job = Job::Final(FinalJob {
        trial: TrialNumber(1),
        architecture: "[C(16,3,1), SM(10)]".parse().unwrap(),
        seed: 1,
        time_limit_seconds: None,
        epochs: None,
        mirror_is_safe: None,
        turning_is_safe: None,
        checkpoint: None,
    });
    let ExecutorEvent::Final(_, Err(JobError::Network(reason))) = finished(&mut pool, job) else {
        panic!("it had no weights")
    };
    assert!(reason.contains("signal: 9"), "{reason}");
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with("a.study")), "{left:?}");
}

#[test]
fn a_worker_of_another_version_is_an_error_that_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let mut newer = pool(folder.path(), "say '{\"hello\":99}'; exec sleep 600", 1);
    newer.submit(job(1)).unwrap();
    let error = evaluated(&mut newer).unwrap_err().to_string();
    assert!(error.contains("worker 0: it is of another version of this program"), "{error}");
    assert!(error.contains(&format!("version 99 of the workers' protocol, not {PROTOCOL}")), "{error}");
    drop(newer);
    // One that does not greet at all.
    let mut older = pool(folder.path(), "say '\"ready\"'; exec sleep 600", 1);
    older.submit(job(1)).unwrap();
    let error = evaluated(&mut older).unwrap_err().to_string();
    assert!(error.contains("worker 0: it ended 5 times without a job in training"), "{error}");
}

#[test]
fn the_result_of_another_job_is_none_of_this_one() {
    let folder = tempfile::tempdir().unwrap();
    // The first process answers a trial as if it were a final training.
    let script = "ready; job; [ \"$begun\" -eq 1 ] && { say '{\"job-failed\":{\"network\":\"a\"}}'; exec sleep 600; }; done_; exec sleep 600";
    let mut pool = pool(folder.path(), script, 1);
    pool.submit(job(1)).unwrap();
    assert!(matches!(evaluated(&mut pool).unwrap().1.outcome, Outcome::Complete { .. }));
    assert_eq!(noted(folder.path(), "jobs").len(), 2);
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
    let script = "ready; job; for i in 1 2 3 4 5 6; do say '\"alive\"'; sleep 0.5; done; done_; exec sleep 600";
    let mut pool = pool(folder.path(), script, 1).with_patience(Duration::from_secs(2));
    pool.submit(job(1)).unwrap();
    assert!(matches!(evaluated(&mut pool).unwrap().1.outcome, Outcome::Complete { .. }));
    assert_eq!(noted(folder.path(), "jobs").len(), 1);
}
