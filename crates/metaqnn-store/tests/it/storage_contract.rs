//! What every storage of a study must do, whatever it keeps it in.

use std::fmt::Debug;

use metaqnn_core::ports::Storage;
use metaqnn_core::study::{
    CandidateRecord, Detail, EnsembleRecord, EventKind, EventRecord, FinalRecord, RaisedLimits, TrialNumber,
};

use crate::samples;

/// Tries out the contract of [`Storage`] on storages that `make` makes: empty ones, of the study of [`samples::header`].
pub(crate) fn storage_contract<S: Storage>(make: impl Fn() -> S) {
    a_new_study_is_empty(make());
    events_come_back_in_order_bit_for_bit(make());
    visiting_stops_when_told_to(make());
    trials_are_read_as_they_were_stored(make());
    what_breaks_the_order_is_refused_whole(make());
    candidates_are_replaced_and_come_best_first(make());
    a_final_plan_grows_and_nothing_in_it_changes(make());
    finals_are_replaced_and_come_best_first(make());
    an_ensemble_lasts_as_long_as_its_members(make());
    run_seconds_never_fall(make());
    the_limits_raised_last_hold(make());
}

/// Every event as text. `Debug` spells each number that is not NaN so that it can be told from every other, -0.0 included.
pub(crate) fn log(storage: &impl Storage) -> Vec<String> {
    let mut events = Vec::new();
    storage
        .visit_events(&mut |event| {
            events.push(spelled(&event));
            true
        })
        .unwrap();
    events
}

fn spelled(value: &impl Debug) -> String {
    format!("{value:?}")
}

fn a_new_study_is_empty(storage: impl Storage) {
    assert_eq!(storage.header().unwrap(), samples::header());
    assert!(log(&storage).is_empty());
    assert!(storage.finals().unwrap().is_empty());
    assert!(storage.candidates().unwrap().is_empty());
    assert_eq!(storage.run_seconds().unwrap(), 0.0);
}

fn events_come_back_in_order_bit_for_bit(mut storage: impl Storage) {
    let events = samples::every_kind_of_event();
    for (stored, event) in events.iter().enumerate() {
        storage.append(event).unwrap();
        assert_eq!(log(&storage).len(), stored + 1);
    }
    assert_eq!(log(&storage), events.iter().map(spelled).collect::<Vec<_>>());
    assert_eq!(storage.header().unwrap(), samples::header());
}

fn visiting_stops_when_told_to(mut storage: impl Storage) {
    for event in samples::every_kind_of_event() {
        storage.append(&event).unwrap();
    }
    let mut seen = 0;
    storage
        .visit_events(&mut |event| {
            assert_eq!(event.number, seen);
            seen += 1;
            seen < 3
        })
        .unwrap();
    assert_eq!(seen, 3);
}

fn trials_are_read_as_they_were_stored(mut storage: impl Storage) {
    let mut events = samples::every_kind_of_event();
    for event in &events {
        storage.append(event).unwrap();
    }
    let trials: Vec<_> = events
        .iter_mut()
        .filter(|event| matches!(event.kind, EventKind::Trial(_)))
        .map(|event| (event.number, samples::record(event).clone()))
        .collect();
    let visited = |detail| {
        let mut visited = Vec::new();
        storage
            .visit_trials(detail, &mut |trial| {
                visited.push((trial.event, trial.record));
                true
            })
            .unwrap();
        visited
    };
    assert_eq!(spelled(&visited(Detail::Full)), spelled(&trials));
    let mut summaries = trials.clone();
    for (_, record) in &mut summaries {
        record.evaluation.curve.clear();
        record.transitions.clear();
    }
    assert_eq!(spelled(&visited(Detail::Summary)), spelled(&summaries));
    let mut seen = 0;
    storage
        .visit_trials(Detail::Summary, &mut |_| {
            seen += 1;
            seen < 2
        })
        .unwrap();
    assert_eq!(seen, 2);
    for (number, record) in &trials {
        let stored = storage.trial(record.trial).unwrap().unwrap();
        assert_eq!((stored.event, spelled(&stored.record)), (*number, spelled(record)));
        assert_eq!((stored.test_accuracy, stored.test_images), (None, None));
    }
    assert!(
        storage.trial(TrialNumber(1)).unwrap().is_none() && storage.trial(TrialNumber(u64::MAX)).unwrap().is_none()
    );
    // The best first; those that did not learn are not among them.
    let accuracies = |n| {
        let top = storage.top(n).unwrap();
        top.iter().map(|trial| trial.record.evaluation.outcome.valid_accuracy().unwrap().value()).collect::<Vec<_>>()
    };
    assert_eq!(accuracies(9), [1.0, 0.1 + 0.2, 0.0]);
    assert_eq!((accuracies(1), accuracies(0)), (vec![1.0], Vec::new()));
    let best = storage.top(1).unwrap().remove(0);
    assert!(best.record.evaluation.curve.is_empty() && best.record.transitions.is_empty());
    storage.store_final(&samples::final_record(best.record.trial.0)).unwrap();
    let best = storage.trial(best.record.trial).unwrap().unwrap();
    assert_eq!(
        (best.test_accuracy, best.test_balanced_accuracy, best.test_images),
        (Some(0.1 + 0.2), Some(0.25), Some(10_000))
    );
    storage.check_in_place().unwrap();
}

fn what_breaks_the_order_is_refused_whole(mut storage: impl Storage) {
    let in_the_way = |mut event: EventRecord, change: &dyn Fn(&mut EventRecord)| {
        change(&mut event);
        event
    };
    let trial = samples::trial_event;
    storage.append(&trial(0, 1)).unwrap();
    storage.append(&trial(1, 2)).unwrap();
    let before = log(&storage);
    let refused = [
        ("the number of the last event", in_the_way(trial(1, 3), &|_| ())),
        ("a number with a gap", in_the_way(trial(3, 3), &|_| ())),
        ("the largest number", in_the_way(trial(u64::MAX, 3), &|_| ())),
        ("a repeat out of order", in_the_way(samples::repeat_event(1, 1), &|_| ())),
        ("a trial that is there", in_the_way(trial(2, 3), &|event| samples::record(event).trial = TrialNumber(2))),
        (
            "an architecture that is there",
            in_the_way(trial(2, 3), &|event| {
                samples::record(event).architecture = samples::record(&mut trial(0, 1)).architecture.clone();
            }),
        ),
    ];
    for (what, event) in &refused {
        assert!(storage.append(event).is_err(), "{what} was stored");
        assert_eq!(log(&storage), before, "{what} left something behind");
    }
    // None of them is in the way of the event that comes next.
    storage.append(&trial(2, 3)).unwrap();
    storage.append(&samples::repeat_event(3, 3)).unwrap();
    assert_eq!(log(&storage).len(), 4);
}

fn finals_are_replaced_and_come_best_first(mut storage: impl Storage) {
    for number in 0..3 {
        storage.append(&samples::trial_event(number, number + 1)).unwrap();
    }
    let of = |trial, test_accuracy| FinalRecord { test_accuracy, ..samples::final_record(trial) };
    assert!(storage.store_final(&of(4, 0.9)).is_err(), "a final training of no trial was stored");
    for (trial, test_accuracy) in [(3, 0.5), (1, 0.8), (2, 0.7), (3, 0.8)] {
        storage.store_final(&of(trial, test_accuracy)).unwrap();
    }
    let finals = storage.finals().unwrap();
    let expected: Vec<_> = [(1, 0.8), (3, 0.8), (2, 0.7)]
        .map(|(trial, test_accuracy)| FinalRecord { weights: Vec::new(), ..of(trial, test_accuracy) })
        .iter()
        .map(spelled)
        .collect();
    assert_eq!(finals.iter().map(spelled).collect::<Vec<_>>(), expected);
    assert_eq!(log(&storage).len(), 3);
}

fn candidates_are_replaced_and_come_best_first(mut storage: impl Storage) {
    for number in 0..4 {
        storage.append(&samples::trial_event(number, number + 1)).unwrap();
    }
    let of = samples::candidate_record;
    assert!(storage.store_candidate(&of(9, Some(0.9))).is_err(), "a candidate of no trial was stored");
    for (trial, valid_accuracy) in [(4, None), (3, Some(0.5)), (1, Some(0.8)), (2, Some(0.7)), (3, Some(0.8))] {
        storage.store_candidate(&of(trial, valid_accuracy)).unwrap();
    }
    let kept = CandidateRecord { probabilities: samples::probabilities(), ..of(2, Some(0.7)) };
    storage.store_candidate(&kept).unwrap();
    // What was kept of one comes when it is asked for.
    assert_eq!(storage.validation_probabilities(TrialNumber(2)).unwrap(), Some(samples::probabilities()));
    assert_eq!(storage.validation_probabilities(TrialNumber(1)).unwrap(), None);
    let expected = [of(1, Some(0.8)), of(3, Some(0.8)), of(2, Some(0.7)), of(4, None)];
    assert_eq!(storage.candidates().unwrap(), expected);
    assert_eq!(log(&storage).len(), 4);
}

fn an_ensemble_lasts_as_long_as_its_members(mut storage: impl Storage) {
    for number in 0..4 {
        storage.append(&samples::trial_event(number, number + 1)).unwrap();
    }
    for trial in 1..4 {
        storage.store_final(&samples::final_record(trial)).unwrap();
    }
    let of = samples::ensemble_record;
    assert_eq!(storage.ensemble().unwrap(), None);
    storage.store_ensemble(Some(&of(&[3, 1]))).unwrap();
    assert!(storage.store_ensemble(Some(&of(&[2, 4]))).is_err(), "a network that was not trained finally is a member");
    assert!(storage.store_ensemble(Some(&of(&[2, 2]))).is_err(), "a network is a member twice");
    assert_eq!(storage.ensemble().unwrap(), Some(of(&[3, 1])));
    let by_rule = EnsembleRecord { valid_accuracy: None, ..of(&[1, 2, 3]) };
    storage.store_ensemble(Some(&by_rule)).unwrap();
    assert_eq!(storage.ensemble().unwrap(), Some(by_rule.clone()));
    storage.store_ensemble(None).unwrap();
    assert_eq!(storage.ensemble().unwrap(), None);
    // Other weights make another ensemble.
    storage.store_ensemble(Some(&of(&[3, 1]))).unwrap();
    storage.store_final(&samples::final_record(2)).unwrap();
    assert_eq!(storage.ensemble().unwrap(), Some(of(&[3, 1])));
    storage.store_final(&samples::final_record(1)).unwrap();
    assert_eq!(storage.ensemble().unwrap(), None);
}

fn a_final_plan_grows_and_nothing_in_it_changes(mut storage: impl Storage) {
    for number in 0..4 {
        storage.append(&samples::trial_event(number, number + 1)).unwrap();
    }
    let of = samples::planned_training;
    assert!(storage.final_plan().unwrap().is_empty());
    storage.extend_final_plan(&[of(3), of(1)]).unwrap();
    assert!(storage.extend_final_plan(&[of(2), of(9)]).is_err(), "a training of no trial was planned");
    assert!(storage.extend_final_plan(&[of(4), of(3)]).is_err(), "a training was planned twice");
    storage.extend_final_plan(&[of(2)]).unwrap();
    assert_eq!(storage.final_plan().unwrap(), [of(3), of(1), of(2)]);
}

fn run_seconds_never_fall(mut storage: impl Storage) {
    storage.note_run_seconds(7.25).unwrap();
    storage.note_run_seconds(7.0).unwrap();
    assert_eq!(storage.run_seconds().unwrap(), 7.25);
    let event = EventRecord { run_seconds: 8.5, ..samples::trial_event(0, 1) };
    assert!(matches!(event.kind, EventKind::Trial(_)));
    storage.append(&event).unwrap();
    // Who is killed after an event has not noted the time, but the event tells of it.
    assert_eq!(storage.run_seconds().unwrap(), 8.5);
    storage.note_run_seconds(8.0).unwrap();
    assert_eq!(storage.run_seconds().unwrap(), 8.5);
    storage.note_run_seconds(9.0).unwrap();
    assert_eq!(storage.run_seconds().unwrap(), 9.0);
}

fn the_limits_raised_last_hold(mut storage: impl Storage) {
    assert_eq!(storage.raised_limits().unwrap(), None);
    let mut before = None;
    for limits in [
        RaisedLimits { models: 7, budget_seconds: 0.0 },
        RaisedLimits { models: 9, budget_seconds: 0.1 + 0.2 },
        // Not this storage's business which is higher.
        RaisedLimits { models: 8, budget_seconds: 60.0 },
    ] {
        storage.raise_limits(limits).unwrap();
        assert_eq!(storage.raised_limits().unwrap(), Some(limits));
        assert_eq!(storage.raised_limits_before().unwrap(), before);
        before = Some(limits);
        storage.append(&samples::trial_event(log(&storage).len() as u64, limits.models)).unwrap();
    }
    assert!(storage.raise_limits(RaisedLimits { models: u64::MAX, budget_seconds: 1.0 }).is_err());
    assert!(storage.raise_limits(RaisedLimits { models: 1, budget_seconds: f64::NAN }).is_err());
    assert_eq!(storage.raised_limits().unwrap().map(|limits| limits.models), Some(8));
    assert_eq!(storage.header().unwrap(), samples::header());
}
