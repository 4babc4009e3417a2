//! What can be asked of a study.

use std::path::Path;

use metaqnn_core::ports::Storage;
use metaqnn_core::study::{
    Accuracy, EventKind, EventRecord, Failure, FinalRecord, Outcome, PruneReason, TrialNumber, TrialState,
    wilson_interval,
};
use metaqnn_store::{Cost, Counts, Detail, LoggedEvent, StoreError, StoredTrial, StudyFile, StudyReader};
use proptest::prelude::*;

use crate::samples;
use crate::storage_contract::log;

fn study(folder: &Path) -> StudyFile {
    let mut study = StudyFile::create(folder.join("a.study"), &samples::header()).unwrap();
    samples::fill(&mut study);
    study
}

fn trials(reader: &StudyReader, detail: Detail) -> Vec<StoredTrial> {
    let mut trials = Vec::new();
    reader
        .visit_trials(detail, &mut |trial| {
            trials.push(trial);
            true
        })
        .unwrap();
    trials
}

#[test]
fn a_trial_is_found_with_everything_stored_of_it() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path());
    let mut events = samples::every_kind_of_event();
    let found = study.reader().trial(TrialNumber(100)).unwrap().unwrap();
    assert_eq!(format!("{:?}", found.record), format!("{:?}", samples::record(&mut events[0])));
    assert_eq!((found.event, found.epsilon, found.run_seconds), (0, 0.1, 0.25));
    assert_eq!(found.q_table_hash, "0000000000000000");
    assert_eq!((found.test_accuracy, found.test_images), (Some(0.1 + 0.2), Some(10_000)));
    assert_eq!(found.test_interval(), Some(wilson_interval(0.1 + 0.2, 10_000)));
    assert_eq!(study.reader().trial(TrialNumber(93)).unwrap().unwrap().test_accuracy, None);
    for absent in [0, 99, u64::MAX] {
        assert_eq!(study.reader().trial(TrialNumber(absent)).unwrap(), None);
    }
}

#[test]
fn trials_come_in_the_order_of_their_events() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path());
    let full = trials(study.reader(), Detail::Full);
    let numbers: Vec<_> = full.iter().map(|trial| trial.record.trial.0).collect();
    assert_eq!(numbers, [100, 93, 86, 79, 72, 65, 58, 51]);
    let mut events = samples::every_kind_of_event();
    for (trial, event) in full.iter().zip(&mut events) {
        assert_eq!((trial.event, trial.epsilon.to_bits()), (event.number, event.epsilon.to_bits()));
        assert_eq!(format!("{:?}", trial.record), format!("{:?}", samples::record(event)));
    }
    for (summary, mut full) in trials(study.reader(), Detail::Summary).into_iter().zip(full) {
        full.record.evaluation.curve.clear();
        full.record.transitions.clear();
        assert_eq!(summary, full);
    }
    let mut seen = 0;
    study
        .reader()
        .visit_trials(Detail::Summary, &mut |_| {
            seen += 1;
            seen < 2
        })
        .unwrap();
    assert_eq!(seen, 2);
}

#[test]
fn the_log_holds_repeats_between_the_trials() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path());
    let mut entries = Vec::new();
    study
        .reader()
        .visit_log(Detail::Summary, &mut |entry| {
            entries.push(entry);
            true
        })
        .unwrap();
    let seen: Vec<_> = entries
        .iter()
        .map(|entry| match entry {
            LoggedEvent::Trial(trial) => ("trial", trial.event, trial.record.trial.0),
            LoggedEvent::Repeat(trial) => ("repeat", trial.event, trial.record.trial.0),
        })
        .collect();
    assert_eq!(seen[7..], [("trial", 7, 51), ("repeat", 8, 100), ("repeat", 9, 51)]);
    let LoggedEvent::Repeat(repeat) = &entries[8] else { panic!("{:?}", entries[8]) };
    // What is said of the event is the repeat's own, the rest is of the trial.
    assert_eq!((repeat.run_seconds, repeat.q_table_hash.as_str()), (8.25, "0000000000000008"));
    assert_eq!(repeat.test_accuracy, Some(0.1 + 0.2));
    assert_eq!(repeat.record, study.reader().top(10).unwrap().iter().find(|t| t.record.trial.0 == 100).unwrap().record);
}

#[test]
fn the_log_can_be_read_on_from_where_it_was_left() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path());
    let reader = study.reader();
    let all = log(&study);
    for first in [0, 3, all.len() as u64, u64::MAX] {
        let (mut numbers, mut logged) = (Vec::new(), Vec::new());
        let note = &mut |event: EventRecord| {
            numbers.push(event.number);
            true
        };
        reader.visit_events_from(first, note).unwrap();
        let note = &mut |event: LoggedEvent| {
            let (LoggedEvent::Trial(trial) | LoggedEvent::Repeat(trial)) = event;
            logged.push(trial.event);
            true
        };
        reader.visit_log_from(first, Detail::Summary, note).unwrap();
        let expected: Vec<u64> = (0..all.len() as u64).filter(|number| *number >= first).collect();
        assert_eq!((&numbers, &logged), (&expected, &expected), "from {first}");
    }
}

#[test]
fn the_best_come_first_and_at_equal_accuracy_the_earlier() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = StudyFile::create(folder.path().join("a.study"), &samples::header()).unwrap();
    // Trials 1 to 20 in another order; the accuracy repeats after eight.
    for number in 0..20 {
        study.append(&samples::trial_event(number, 1 + (number * 7) % 20)).unwrap();
    }
    study.append(&samples::repeat_event(20, 7)).unwrap();
    study.store_final(&samples::final_record(15)).unwrap();
    let top = study.reader().top(5).unwrap();
    assert_eq!(top.iter().map(|trial| trial.record.trial.0).collect::<Vec<_>>(), [7, 15, 6, 14, 5]);
    assert_eq!(top[1].test_accuracy, Some(0.1 + 0.2));
    assert_eq!(study.reader().top(0).unwrap(), []);
    let all = study.reader().top(usize::MAX).unwrap();
    assert_eq!(all.len(), 20);
    let accuracy = |trial: &StoredTrial| trial.record.evaluation.outcome.valid_accuracy().unwrap().value();
    assert!(all.windows(2).all(|pair| {
        let order = accuracy(&pair[1]).total_cmp(&accuracy(&pair[0]));
        order.then(pair[0].record.trial.cmp(&pair[1].record.trial)).is_lt()
    }));
}

#[test]
fn failed_trials_are_not_among_the_best() {
    let folder = tempfile::tempdir().unwrap();
    let top = study(folder.path()).reader().top(100).unwrap();
    let states: Vec<_> = top.iter().map(|trial| trial.record.evaluation.outcome.state()).collect();
    assert_eq!(states, [TrialState::Pruned, TrialState::Complete, TrialState::Complete]);
}

#[test]
fn costs_are_those_of_failed_and_of_stopped_trials() {
    let folder = tempfile::tempdir().unwrap();
    let study = StudyFile::create(folder.path().join("empty.study"), &samples::header()).unwrap();
    let none = study.reader().costs().unwrap();
    assert_eq!((none.all, none.share(&none.failed)), (Cost::default(), 0.0));
    let mut study = StudyFile::create(folder.path().join("a.study"), &samples::header()).unwrap();
    for mut event in samples::every_kind_of_event() {
        if let EventKind::Trial(record) = &mut event.kind {
            let evaluation = &mut record.evaluation;
            let is_untrained = matches!(evaluation.outcome, Outcome::Failed { failure: Failure::OverLimit { .. } });
            evaluation.train_seconds = if is_untrained { 0.0 } else { 2.0 };
            if is_untrained {
                (evaluation.tries, evaluation.epochs) = (0, 0);
            }
        }
        study.append(&event).unwrap();
    }
    let costs = study.reader().costs().unwrap();
    let cost = |trials: u64| Cost {
        trials,
        trainings: 3 * trials,
        epochs: trials * u64::from(u32::MAX),
        seconds: 2.0 * trials as f64,
    };
    assert_eq!([costs.all, costs.failed, costs.pruned], [7, 4, 1].map(cost));
    assert_eq!(costs.share(&costs.failed), 4.0 / 7.0);
}

#[test]
fn counts_tell_models_from_what_was_over_the_limit() {
    let folder = tempfile::tempdir().unwrap();
    let counts = study(folder.path()).reader().counts().unwrap();
    let expected = Counts { events: 10, repeats: 2, complete: 2, pruned: 1, failed: 4, over_limit: 1 };
    assert_eq!(counts, expected);
    assert_eq!((counts.trials(), counts.models()), (8, 7));
    let counting = samples::every_kind_of_event().into_iter().filter(|event| match &event.kind {
        EventKind::Trial(record) => record.evaluation.outcome.counts_as_model(),
        EventKind::Repeat { .. } => false,
    });
    assert_eq!(counting.count(), 7);
}

#[test]
fn weights_come_back_and_are_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = study(folder.path());
    let weights = |study: &StudyFile, trial| study.reader().final_weights(TrialNumber(trial)).unwrap();
    assert_eq!(weights(&study, 100), Some((0..=255).collect()));
    assert_eq!(weights(&study, 93), None);
    assert_eq!(weights(&study, u64::MAX), None);
    study.store_final(&FinalRecord { weights: vec![7; 100_000], ..samples::final_record(100) }).unwrap();
    assert_eq!(weights(&study, 100), Some(vec![7; 100_000]));
}

#[test]
fn a_visitor_may_ask_for_more() {
    let folder = tempfile::tempdir().unwrap();
    let study = study(folder.path());
    let mut asked = 0;
    study
        .reader()
        .visit_events(&mut |event| {
            if let EventKind::Trial(record) = event.kind {
                let found = study.reader().trial(record.trial).unwrap().unwrap();
                assert_eq!(found.record.architecture, record.architecture);
                let mut nested = 0;
                study
                    .visit_events(&mut |_| {
                        nested += 1;
                        true
                    })
                    .unwrap();
                assert_eq!(nested, 10);
                asked += 1;
            }
            true
        })
        .unwrap();
    assert_eq!(asked, 8);
}

#[test]
fn refusals_name_what_is_in_the_way() {
    let folder = tempfile::tempdir().unwrap();
    let mut study = StudyFile::create(folder.path().join("a.study"), &samples::header()).unwrap();
    study.append(&samples::trial_event(0, 5)).unwrap();
    let mut refused = |event: EventRecord| study.append(&event).unwrap_err();
    let changed = |change: &dyn Fn(&mut EventRecord)| {
        let mut event = samples::trial_event(1, 6);
        change(&mut event);
        event
    };
    let error = refused(samples::trial_event(3, 6));
    assert!(matches!(error, StoreError::EventNumber { expected: 1, found: 3, .. }));
    assert!(error.to_string().ends_with("a.study: event 3 was to be stored, the next one is 1"), "{error}");
    let error = refused(samples::trial_event(1, 5));
    assert!(matches!(error, StoreError::TrialExists { trial: TrialNumber(5), .. }), "{error}");
    let error = refused(changed(&|event| samples::record(event).architecture = "[C(5,3,1), SM(3)]".parse().unwrap()));
    assert!(error.to_string().ends_with("a.study: [C(5,3,1), SM(3)] is stored already, as trial 5"), "{error}");
    let error = refused(samples::repeat_event(1, 6));
    assert!(error.to_string().ends_with("a.study: there is no trial 6"), "{error}");
    assert!(matches!(refused(samples::repeat_event(1, u64::MAX)), StoreError::NoSuchTrial { .. }));
    let unstorable: [&dyn Fn(&mut EventRecord); 8] = [
        &|event| event.epsilon = f64::NAN,
        &|event| event.run_seconds = f64::NAN,
        &|event| samples::record(event).trial = TrialNumber(u64::MAX),
        &|event| samples::record(event).params = u64::MAX,
        &|event| samples::record(event).flops = 1 << 63,
        &|event| samples::record(event).evaluation.train_seconds = f64::NAN,
        &|event| samples::record(event).evaluation.curve[1].epoch = 1,
        &|event| samples::record(event).evaluation.curve.reverse(),
    ];
    for change in unstorable {
        let error = refused(changed(change));
        assert!(matches!(error, StoreError::Unstorable { .. }), "{error}");
    }
    assert_eq!(log(&study).len(), 1);
    let error = study.store_final(&FinalRecord { test_accuracy: f64::NAN, ..samples::final_record(5) }).unwrap_err();
    assert!(error.to_string().contains("the test accuracy cannot be stored: it is not a number"), "{error}");
    assert!(study.note_run_seconds(f64::NAN).is_err());
    assert!(study.finals().unwrap().is_empty());
}

fn not_nan() -> impl Strategy<Value = f64> {
    any::<u64>().prop_map(f64::from_bits).prop_filter("NaN is refused", |value| !value.is_nan())
}

/// A trial with numbers of any bits and texts of any characters; its event is number 0, to be changed.
fn any_event() -> impl Strategy<Value = EventRecord> {
    let reals = (not_nan(), not_nan(), not_nan());
    let bits = (any::<u64>(), any::<u64>(), any::<u64>());
    let whole = (any::<u64>(), 0..=i64::MAX as u64);
    let texts = (any::<String>(), any::<String>(), any::<String>());
    (reals, bits, whole, 0.0..=1.0_f64, texts).prop_map(|(reals, bits, whole, share, (state, reason, hash))| {
        let mut event =
            EventRecord { epsilon: reals.0, run_seconds: reals.1, q_table_hash: hash, ..samples::trial_event(0, 1) };
        let record = samples::record(&mut event);
        (record.seed, record.params) = whole;
        record.transitions[0].reward = f64::from_bits(bits.0);
        record.transitions[0].state = state;
        record.evaluation.train_seconds = reals.2;
        record.evaluation.outcome =
            Outcome::Pruned { valid_accuracy: Accuracy::new(share).unwrap(), reason: PruneReason::Words(reason) };
        record.evaluation.curve[0].train_loss = f64::from_bits(bits.1);
        record.evaluation.curve[0].valid_accuracy = f64::from_bits(bits.2);
        event
    })
}

proptest! {
    // Each event is synced to the disk, so many go into one study.
    #![proptest_config(ProptestConfig::with_cases(4))]

    #[test]
    fn any_event_comes_back_bit_for_bit(events in prop::collection::vec(any_event(), 1..30)) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.study");
        let mut study = StudyFile::create(&path, &samples::header()).unwrap();
        let mut expected = Vec::new();
        for (number, mut event) in (0..).zip(events) {
            event.number = number;
            let record = samples::record(&mut event);
            record.trial = TrialNumber(number + 1);
            record.architecture = format!("[C({},3,1), SM(3)]", number + 1).parse().unwrap();
            study.append(&event).unwrap();
            expected.push(format!("{event:?}"));
        }
        prop_assert_eq!(log(&study), expected.clone());
        study.close().unwrap();
        prop_assert_eq!(log(&StudyFile::open(&path).unwrap()), expected);
    }
}
