//! Studies of every schema there was must be read for good.
//!
//! `cargo test --release -p metaqnn-store -- --ignored make_the_fixture` makes the one of the current schema.

use std::fs;
use std::path::{Path, PathBuf};

use metaqnn_core::ports::Storage;
use metaqnn_core::study::EnsembleRecord;
use metaqnn_store::{SCHEMA_VERSION, StudyFile};

use crate::samples;
use crate::storage_contract::log;

/// A study of that schema as it was written then.
pub(crate) fn fixture(schema: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/fixtures/schema-{schema}.sqlite"))
}

#[test]
#[ignore = "writes the fixture of the current schema; run it once, when the schema is new"]
fn make_the_fixture() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    let data = samples::data_reading();
    let mut study = StudyFile::create_of_data(&path, &samples::header(), Some(&data)).unwrap();
    samples::fill(&mut study);
    study.close().unwrap();
    assert!(!fixture(SCHEMA_VERSION).exists(), "a fixture is made once: what it holds is what was written then");
    fs::copy(path, fixture(SCHEMA_VERSION)).unwrap();
}

#[test]
fn studies_of_every_schema_are_read() {
    let expected: Vec<_> = samples::every_kind_of_event().iter().map(|event| format!("{event:?}")).collect();
    for schema in 1..=SCHEMA_VERSION {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.study");
        fs::copy(fixture(schema), &path).unwrap();
        let mut study = StudyFile::open(&path).unwrap();
        assert_eq!(study.header().unwrap(), samples::header());
        assert_eq!(log(&study), expected);
        // It came with schema 10.
        assert_eq!(study.reader().data_reading().unwrap(), (schema >= 10).then(samples::data_reading));
        assert_eq!(study.run_seconds().unwrap(), 12.5);
        // They came with schema 2.
        assert_eq!(study.raised_limits().unwrap(), (schema >= 2).then(samples::raised_limits));
        // They came with schema 3.
        let mut candidates = [samples::candidate_record(100, Some(0.1 + 0.2)), samples::candidate_record(86, None)];
        // Whether images may be mirrored came with schema 7.
        candidates[0].mirror_is_safe = candidates[0].mirror_is_safe.filter(|_| schema >= 7);
        // And whether they may be turned with schema 9.
        candidates[0].turning_is_safe = candidates[0].turning_is_safe.filter(|_| schema >= 9);
        assert_eq!(study.candidates().unwrap(), if schema >= 3 { candidates.to_vec() } else { Vec::new() });
        // It came with schema 4.
        let plan = [samples::planned_training(100), samples::planned_training(86)];
        assert_eq!(study.final_plan().unwrap(), if schema >= 4 { plan.to_vec() } else { Vec::new() });
        // They came with schema 5.
        let probabilities = study.reader().validation_probabilities(candidates[0].trial).unwrap();
        assert_eq!(probabilities, (schema >= 5).then(samples::probabilities));
        // It came with schema 6.
        let balanced = |accuracy| if schema >= 6 { accuracy } else { None };
        let ensemble = samples::ensemble_record(&[100, 86]);
        let ensemble = EnsembleRecord { test_balanced_accuracy: balanced(ensemble.test_balanced_accuracy), ..ensemble };
        assert_eq!(study.ensemble().unwrap(), (schema >= 5).then_some(ensemble));
        let finals = study.finals().unwrap();
        assert_eq!(finals[1].test_balanced_accuracy, balanced(samples::final_record(100).test_balanced_accuracy));
        assert_eq!(finals.iter().map(|record| record.trial.0).collect::<Vec<_>>(), [86, 100]);
        assert_eq!(study.reader().final_weights(finals[1].trial).unwrap(), Some(samples::final_record(100).weights));
        // And goes on.
        study.append(&samples::trial_event(expected.len() as u64, 1_000)).unwrap();
        study.close().unwrap();
        let reader = StudyFile::read(&path).unwrap();
        assert_eq!(reader.counts().unwrap().events, expected.len() as u64 + 1);
    }
}
