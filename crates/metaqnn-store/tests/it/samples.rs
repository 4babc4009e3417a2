//! Headers, events and final trainings to store.

use metaqnn_core::graph::MapShape;
use metaqnn_core::study::{
    Accuracy, CandidateRecord, CurvePoint, DataReading, EnsembleRecord, Evaluation, EventKind, EventRecord, Failure,
    FinalRecord, Outcome, PlannedTraining, PruneReason, RaisedLimits, StudyHeader, Transition, TrialNumber,
    TrialRecord,
};
use metaqnn_store::StudyFile;

pub(crate) fn header() -> StudyHeader {
    StudyHeader {
        version: "0.1.0".into(),
        created_at: 1_767_225_600,
        settings: "# a comment\n[search]\nmodels = 100\n".into(),
        // Neither fits into 63 bits, nor into a float.
        seed: u64::MAX - 2,
        data: "a folder/with 'quotes' and ü".into(),
        data_fingerprint: "0123456789abcdef".into(),
        input: MapShape::new(3, 32, 48),
        class_names: vec!["cat".into(), "dog, \"big\"".into(), String::new()],
    }
}

pub(crate) fn data_reading() -> DataReading {
    DataReading { reading: r#"{"rules":"current"}"#.into(), image_splits: (0..42).collect() }
}

/// The event in which a trial, complete, ended; the architecture is the trial's own.
pub(crate) fn trial_event(number: u64, trial: u64) -> EventRecord {
    let evaluation = Evaluation {
        outcome: Outcome::Complete { valid_accuracy: accuracy(0.25 + (trial % 8) as f64 / 16.0) },
        curve: vec![point(1, 2.3, 0.1), point(2, 1.1, 0.25 + (trial % 8) as f64 / 16.0)],
        epochs: 2,
        tries: 1,
        train_seconds: 1.5,
    };
    event(number, trial, evaluation)
}

pub(crate) fn repeat_event(number: u64, trial: u64) -> EventRecord {
    EventRecord {
        number,
        epsilon: 0.1,
        kind: EventKind::Repeat { trial: TrialNumber(trial) },
        q_table_hash: format!("{number:016x}"),
        run_seconds: number as f64 + 0.25,
    }
}

pub(crate) fn event(number: u64, trial: u64, evaluation: Evaluation) -> EventRecord {
    let transition = |state: &str, action: &str, reward, next_state: &str| Transition {
        state: state.into(),
        action: action.into(),
        reward,
        next_state: next_state.into(),
    };
    let layer = format!("C({trial},3,1)");
    let record = TrialRecord {
        trial: TrialNumber(trial),
        architecture: format!("[{layer}, SM(3)]").parse().unwrap(),
        seed: u64::MAX / 2 + trial,
        params: 28 * trial,
        flops: 1_000 * trial,
        evaluation,
        transitions: vec![transition("start", &layer, 0.0, &layer), transition(&layer, "SM", 0.1 + 0.2, "")],
    };
    EventRecord { kind: EventKind::Trial(Box::new(record)), ..repeat_event(number, trial) }
}

/// The trial's record in its event.
pub(crate) fn record(event: &mut EventRecord) -> &mut TrialRecord {
    match &mut event.kind {
        EventKind::Trial(record) => record,
        EventKind::Repeat { .. } => panic!("a repeat"),
    }
}

/// Trials of every outcome, with the numbers that are hard to keep, and a repeat; trial numbers are not in order.
pub(crate) fn every_kind_of_event() -> Vec<EventRecord> {
    let with = |outcome, curve| Evaluation { outcome, curve, epochs: u32::MAX, tries: 3, train_seconds: -0.0 };
    let failed = |failure| with(Outcome::Failed { failure }, Vec::new());
    let strange = vec![
        point(1, f64::NAN, 0.1),
        point(2, f64::INFINITY, f64::NEG_INFINITY),
        point(5, -0.0, f64::NAN),
        point(7, f64::MIN_POSITIVE / 2.0, 0.1 + 0.2),
        point(u32::MAX, f64::MAX, 1.0),
    ];
    let evaluations = vec![
        with(Outcome::Complete { valid_accuracy: accuracy(0.1 + 0.2) }, strange),
        with(Outcome::Complete { valid_accuracy: accuracy(-0.0) }, Vec::new()),
        with(
            Outcome::Pruned { valid_accuracy: accuracy(1.0), reason: PruneReason::Words("slow, 'it' said".into()) },
            vec![point(1, 2.0, 1.0)],
        ),
        failed(Failure::FailedToLearn { valid_accuracy: 0.1 + 0.2, tries: 5 }),
        failed(Failure::LossNotFinite { epoch: 3 }),
        failed(Failure::OverLimit { what: "parameters".into(), predicted: u64::MAX, limit: 1 << 60 }),
        failed(Failure::WorkerDied { attempts: 2, how: "signal 9".into() }),
        failed(Failure::Worker { message: "out of memory\n\u{1F4A5} \0".into() }),
    ];
    let mut events: Vec<_> =
        (0_u64..).zip(evaluations).map(|(number, evaluation)| event(number, 100 - 7 * number, evaluation)).collect();
    let first = record(&mut events[0]);
    (first.params, first.flops) = (i64::MAX as u64, 0);
    first.transitions[0].reward = -0.0;
    first.transitions[1].reward = f64::NAN;
    record(&mut events[1]).transitions.clear();
    events[1].epsilon = -0.0;
    events[2].run_seconds = f64::MAX;
    for trial in [100, 51] {
        events.push(repeat_event(events.len() as u64, trial));
    }
    events
}

pub(crate) fn final_record(trial: u64) -> FinalRecord {
    FinalRecord {
        trial: TrialNumber(trial),
        test_accuracy: 0.1 + 0.2,
        test_balanced_accuracy: Some(0.25),
        test_images: 10_000,
        epochs: 3,
        train_seconds: 7.5,
        train_losses: vec![2.302_585_092_994_045_5, -0.0, f64::INFINITY, f64::NAN],
        weights: (0..=255).collect(),
    }
}

pub(crate) fn candidate_record(trial: u64, valid_accuracy: Option<f64>) -> CandidateRecord {
    CandidateRecord {
        trial: TrialNumber(trial),
        valid_accuracy,
        epochs: 2,
        train_seconds: 3.25,
        mirror_is_safe: valid_accuracy.map(|accuracy| accuracy < 0.5),
        turning_is_safe: valid_accuracy.map(|accuracy| accuracy >= 0.5),
        probabilities: Vec::new(),
    }
}

/// The numbers that are hard to keep among them.
pub(crate) fn probabilities() -> Vec<f32> {
    vec![0.1, 0.9, -0.0, 1.0, f32::MIN_POSITIVE / 2.0, f32::INFINITY]
}

pub(crate) fn ensemble_record(members: &[u64]) -> EnsembleRecord {
    EnsembleRecord {
        members: members.iter().copied().map(TrialNumber).collect(),
        valid_accuracy: Some(0.1 + 0.2),
        test_accuracy: 0.7,
        test_balanced_accuracy: Some(0.6),
        test_images: 10_000,
    }
}

pub(crate) fn planned_training(trial: u64) -> PlannedTraining {
    PlannedTraining { trial: TrialNumber(trial), candidate_epochs: 4, final_epochs: 20 }
}

pub(crate) fn raised_limits() -> RaisedLimits {
    RaisedLimits { models: 0, budget_seconds: 0.1 + 0.2 }
}

/// Stores events, two candidates and final trainings of them, their ensemble, a plan, and raised limits.
pub(crate) fn fill(study: &mut StudyFile) {
    use metaqnn_core::ports::Storage;
    for event in every_kind_of_event() {
        study.append(&event).unwrap();
    }
    study.store_final(&final_record(100)).unwrap();
    study.store_final(&FinalRecord { test_accuracy: 0.5, ..final_record(86) }).unwrap();
    study.store_candidate(&candidate_record(86, None)).unwrap();
    let validated = CandidateRecord { probabilities: probabilities(), ..candidate_record(100, Some(0.1 + 0.2)) };
    study.store_candidate(&validated).unwrap();
    study.store_ensemble(Some(&ensemble_record(&[100, 86]))).unwrap();
    study.extend_final_plan(&[planned_training(100), planned_training(86)]).unwrap();
    study.note_run_seconds(12.5).unwrap();
    study.raise_limits(raised_limits()).unwrap();
}

fn accuracy(share: f64) -> Accuracy {
    Accuracy::new(share).unwrap()
}

fn point(epoch: u32, train_loss: f64, valid_accuracy: f64) -> CurvePoint {
    CurvePoint { epoch, train_loss, valid_accuracy }
}
