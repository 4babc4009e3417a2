//! The store on a file system that fails: what was acknowledged is there, once, as it was, whichever call fails and whenever the power is cut.
//!
//! A part of the calls by default, more with `METAQNN_SLOW_TESTS=1`. With `METAQNN_FAULT_ROUNDS=500` every call, and the power is cut so many times
//! more, at random calls.

use std::fs;
use std::path::Path;

use metaqnn_core::ports::Storage;
use metaqnn_core::study::{FinalRecord, TrialNumber};
use metaqnn_store::{StoreError, StudyFile};

use crate::child::{self, say};
use crate::faulty_disk::{self, Fault};
use crate::samples;

/// Events of the story.
const EVENTS: u64 = 6;

/// What was said to be stored.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Acknowledged {
    study: bool,
    events: u64,
    candidate: bool,
    weights: bool,
    ensemble: bool,
}

impl Acknowledged {
    fn note(&mut self, said: &str) {
        match said {
            "study" => self.study = true,
            "candidate" => self.candidate = true,
            "weights" => self.weights = true,
            "ensemble" => self.ensemble = true,
            event => self.events = 1 + event.parse::<u64>().unwrap(),
        }
    }
}

/// A final training whose weights take several pages.
fn final_record() -> FinalRecord {
    FinalRecord { weights: (0..20_000_u32).map(|byte| (byte % 251) as u8).collect(), ..samples::final_record(1) }
}

/// Creates a study or goes on with it, as search and final do, and tells of each thing that is stored.
fn story(path: &Path, acknowledge: &mut dyn FnMut(&str)) -> Result<(), StoreError> {
    let mut study = match path.exists() {
        true => StudyFile::open(path)?,
        false => StudyFile::create(path, &samples::header())?,
    };
    acknowledge("study");
    for number in study.reader().counts()?.events..EVENTS / 2 {
        study.append(&samples::trial_event(number, number + 1))?;
        acknowledge(&number.to_string());
    }
    study.close()?;
    let mut study = StudyFile::open(path)?;
    for number in study.reader().counts()?.events..EVENTS {
        study.append(&samples::trial_event(number, number + 1))?;
        acknowledge(&number.to_string());
    }
    study.raise_limits(samples::raised_limits())?;
    study.note_run_seconds(100.0)?;
    study.store_candidate(&samples::candidate_record(1, Some(0.5)))?;
    acknowledge("candidate");
    study.store_final(&samples::final_record(2))?;
    study.store_final(&final_record())?;
    acknowledge("weights");
    study.store_ensemble(Some(&samples::ensemble_record(&[1, 2])))?;
    acknowledge("ensemble");
    study.close()
}

/// What must hold of a study after any fault.
fn check(path: &Path, acknowledged: Acknowledged, what: &str) {
    if !path.exists() {
        assert!(!acknowledged.study, "{what}: the study is gone");
        return;
    }
    let mut study = StudyFile::open(path).unwrap_or_else(|error| panic!("{what}: {error}"));
    study.begin_writing().unwrap();
    let reader = study.reader();
    reader.verify().unwrap_or_else(|error| panic!("{what}: {error}"));
    let mut events = Vec::new();
    reader
        .visit_events(&mut |event| {
            events.push(event);
            true
        })
        .unwrap();
    let stored = events.len() as u64;
    assert!(stored >= acknowledged.events && stored <= EVENTS, "{what}: {stored} events, {acknowledged:?}");
    for (number, event) in (0..).zip(&events) {
        assert_eq!(*event, samples::trial_event(number, number + 1), "{what}");
    }
    let candidates = reader.candidates().unwrap();
    assert!(!acknowledged.candidate || candidates.len() == 1, "{what}");
    match reader.final_weights(TrialNumber(1)).unwrap() {
        Some(weights) => assert!(weights == final_record().weights, "{what}: other weights"),
        None => assert!(!acknowledged.weights, "{what}: the weights are gone"),
    }
    assert!(!acknowledged.ensemble || reader.ensemble().unwrap().is_some(), "{what}");
    study.close().unwrap_or_else(|error| panic!("{what}: {error}"));
    StudyFile::read(path).unwrap_or_else(|error| panic!("{what}: {error}")).verify().unwrap();
    // And the story goes on.
    story(path, &mut |_| {}).unwrap_or_else(|error| panic!("{what}: {error}"));
}

fn is_slow() -> bool {
    std::env::var_os("METAQNN_SLOW_TESTS").is_some_and(|set| set == "1")
}

fn rounds() -> u64 {
    std::env::var("METAQNN_FAULT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(0)
}

/// Every so many calls are tried.
fn stride() -> usize {
    match rounds() {
        0 if is_slow() => 5,
        0 => 23,
        _ => 1,
    }
}

/// Has each call of the story fail once; played by a process of its own.
pub(crate) fn fail_each_call(path: &Path) {
    faulty_disk::install();
    let folder = path.parent().unwrap();
    let mut met = 0;
    for call in (1..).step_by(stride()) {
        let path = folder.join(format!("{call}.study"));
        let mut acknowledged = Acknowledged::default();
        faulty_disk::arm(Fault::Call(call));
        let told = story(&path, &mut |said| acknowledged.note(said));
        let is_over = faulty_disk::calls() < call;
        faulty_disk::arm(Fault::None);
        if let Err(error) = &told {
            assert!(error.to_string().contains(".study"), "{error}");
            met += 1;
        }
        check(&path, acknowledged, &format!("call {call} failed ({told:?})"));
        // It may never have been made.
        let _ = fs::remove_file(&path);
        if is_over {
            say(&format!("{call} calls, {met} of them told of the failure"));
            return;
        }
    }
}

/// Plays the story until the power is cut.
pub(crate) fn be_cut(path: &Path) {
    let number = |name: &str| std::env::var(name).unwrap().parse().unwrap();
    faulty_disk::install();
    faulty_disk::arm(Fault::PowerCut(number("METAQNN_TEST_CALL"), number("METAQNN_TEST_SEED")));
    story(path, &mut |said| say(said)).unwrap();
    say("end");
}

#[test]
fn whichever_call_fails_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let mut part = child::start("fail-each-call", &folder.path().join("a.study"));
    let said = part.hear().expect("a check failed: its reason is above");
    part.dismiss();
    println!("{said}");
    assert!(fs::read_dir(folder.path()).unwrap().count() == 0, "something was left behind");
}

/// Cuts the power at a call and checks what is left; false where the story was over before.
fn cut(folder: &Path, call: u64, seed: u64) -> bool {
    let path = folder.join(format!("{call}-{seed}.study"));
    let mut command = child::command(&std::env::current_exe().unwrap(), "be-cut", &path);
    command.env("METAQNN_TEST_CALL", call.to_string()).env("METAQNN_TEST_SEED", seed.to_string());
    let mut part = child::Part::start(command);
    let mut acknowledged = Acknowledged::default();
    let mut is_over = false;
    while let Some(said) = part.hear() {
        if said == "end" {
            is_over = true;
        } else {
            acknowledged.note(&said);
        }
    }
    assert!(is_over || part.exit_status() == Some(faulty_disk::CUT), "call {call}: the part failed");
    check(&path, acknowledged, &format!("power cut at call {call}, seed {seed}"));
    !is_over
}

#[test]
fn whenever_the_power_is_cut_nothing_acknowledged_is_lost() {
    let folder = tempfile::tempdir().unwrap();
    let last = (1..).step_by(stride()).take_while(|call| cut(folder.path(), *call, *call)).last().unwrap();
    // Other parts of what was not synced are lost at the same calls.
    for round in 0..rounds() {
        cut(folder.path(), 1 + round.wrapping_mul(0x9e37_79b9_7f4a_7c15) % last, 1_000_000 + round);
    }
    println!("{last} calls at which the power was cut, and {} more times", rounds());
}
