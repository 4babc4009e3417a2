//! The study file from outside: what every storage must do, what is asked of it, and what goes wrong with files,
//! processes and machines.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests too")]

mod child;
mod crash;
mod damage;
#[cfg(unix)]
mod faults;
#[cfg(unix)]
mod faulty_disk;
mod fixture;
mod locking;
mod queries;
mod reading;
mod samples;
mod storage_contract;
mod unchanging;

use std::cell::Cell;

/// The study file is a storage like any other.
#[test]
fn the_study_file_keeps_the_contract_of_storage() {
    let folder = tempfile::tempdir().unwrap();
    let made = Cell::new(0);
    storage_contract::storage_contract(|| {
        made.set(made.get() + 1);
        let path = folder.path().join(format!("{}.study", made.get()));
        metaqnn_store::StudyFile::create(path, &samples::header()).unwrap()
    });
}

#[test]
fn the_study_in_memory_keeps_the_contract_of_storage() {
    storage_contract::storage_contract(|| metaqnn_store::MemoryStudy::new(samples::header()));
}
