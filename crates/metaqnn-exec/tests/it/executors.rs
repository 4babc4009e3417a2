//! Each executor keeps the contract.

use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use metaqnn_core::ports::Evaluator;
use metaqnn_exec::protocol::{ReportChannel, WorkerSetup};
use metaqnn_exec::{InProcess, MockClock, MockExecutor, Worker, WorkerCommand, WorkerPool};

use crate::contract::{Trainer, dropped_in_the_middle, executor_contract};

/// Says to a process of this test program that it is a worker.
const IS_WORKER: &str = "METAQNN_TEST_IS_WORKER";

#[test]
fn the_mock_executor_keeps_the_contract() {
    executor_contract(|places, settings| {
        let settings = settings.to_owned();
        MockExecutor::start(MockClock::default(), places, move || Trainer::of(&settings))
    });
}

fn in_process(_: usize, settings: &str) -> InProcess {
    let settings = settings.to_owned();
    InProcess::start(move || Trainer::of(&settings))
}

#[test]
fn the_one_in_this_process_keeps_the_contract() {
    executor_contract(in_process);
    dropped_in_the_middle(in_process);
}

/// A pool of processes of this test program, of which each runs [`works_where_it_is_a_worker`] alone.
fn pool(folder: &Path, reports: ReportChannel, places: usize, settings: &str) -> WorkerPool {
    let setup = WorkerSetup {
        data: String::new(),
        data_dir: PathBuf::new(),
        reading: String::new(),
        data_fingerprint: String::new(),
        image_size: String::new(),
        settings: settings.into(),
        results: folder.join("a.study"),
    };
    let program = std::env::current_exe().unwrap();
    let worker = "executors::works_where_it_is_a_worker";
    let arguments = ["--exact", worker, "--nocapture", "--test-threads=1"].map(Into::into).to_vec();
    let command = WorkerCommand { program, arguments, reports, environment: vec![(IS_WORKER.into(), "1".into())] };
    WorkerPool::start(command, setup, places, 1).unwrap()
}

#[test]
fn works_where_it_is_a_worker() {
    if std::env::var_os(IS_WORKER).is_none() {
        return;
    }
    // The test program has printed a line or two by now.
    let worked = catch_unwind(|| {
        let worker = Worker::connect().unwrap();
        let mut trainer = Trainer::of(&worker.setup().settings);
        worker.serve(trainer.as_mut().map(|trainer| trainer as &mut dyn Evaluator).map_err(|why| why.clone())).unwrap();
    });
    // Ended here, so that the end of a worker is not told as that of a test.
    std::process::exit(if worked.is_ok() { 0 } else { 101 });
}

fn the_pool_keeps_the_contract(reports: ReportChannel) {
    let folder = tempfile::tempdir().unwrap();
    let start = |places, settings: &str| pool(folder.path(), reports, places, settings);
    executor_contract(start);
    dropped_in_the_middle(start);
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.is_empty(), "{left:?} were left behind");
}

#[test]
fn the_worker_pool_keeps_the_contract() {
    the_pool_keeps_the_contract(ReportChannel::default());
}

#[test]
fn the_worker_pool_keeps_the_contract_where_reports_are_among_what_is_printed() {
    the_pool_keeps_the_contract(ReportChannel::StandardOutput);
}
