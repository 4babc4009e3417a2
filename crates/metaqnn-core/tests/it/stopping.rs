//! Early stopping inside a study: the rule follows from the log, and so does what the agent learns of a stopped trial.

use metaqnn_core::early_stopping::{LearningCurve, NetworkFeatures, StopRule};
use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_core::settings::{Preset, Settings, StoppedReward, StoppingRule};
use metaqnn_core::space::{Architecture, SearchSpace};
use metaqnn_core::study::{
    Accuracy, Ask, CurvePoint, Evaluation, EventKind, EventRecord, Outcome, Study, TrialStopping,
};

use crate::fixture::preset;

const MODELS: u64 = 60;
const EPOCHS: u32 = 6;
const INPUT: MapShape = MapShape::new(1, 8, 8);

fn settings(rule: StoppingRule, reward: StoppedReward) -> Settings {
    let mut settings = preset(Preset::Quick, "digits");
    let table = &mut settings.early_stopping;
    (table.rule, table.reward, table.burn_in, table.best) = (rule, reward, 10, 3);
    (table.share, table.rungs) = (0.5, vec![1, 2, 4]);
    settings
}

fn study(settings: &Settings) -> Study {
    let space = SearchSpace::new(settings.space.clone(), INPUT, 10).unwrap();
    Study::new(settings.clone(), space, 5)
}

/// A curve that is a matter of the architecture alone: it rises to its end, with a little of its own on the way.
fn accuracy(architecture: &Architecture, epoch: u32) -> f64 {
    let hash = architecture.to_string().bytes().fold(7_u64, |hash, byte| hash.wrapping_mul(31) + u64::from(byte));
    let end = 0.3 + (hash % 1_009) as f64 / 1_009.0 * 0.6;
    let own = ((hash >> 8) % 17 + u64::from(epoch)) as f64 % 5.0 / 1_000.0;
    end * (1.0 - 0.5_f64.powi(epoch as i32)) + own
}

/// What a worker that is given `rule` makes of it.
fn train(settings: &Settings, architecture: &Architecture, rule: Option<&StopRule>) -> Evaluation {
    let graph = Graph::new(architecture, INPUT, settings.training.network_options()).unwrap();
    let network = NetworkFeatures::of(architecture, graph.params(), settings.training.learning_rate);
    let mut curve = Vec::new();
    let mut stopped = None;
    for epoch in 1..=EPOCHS {
        curve.push(CurvePoint { epoch, train_loss: 1.0, valid_accuracy: accuracy(architecture, epoch) });
        if epoch < EPOCHS {
            stopped = rule.and_then(|rule| rule.decide(&LearningCurve::of(network, &curve), epoch as usize));
            if stopped.is_some() {
                break;
            }
        }
    }
    let best = curve.iter().map(|point| point.valid_accuracy).fold(0.0, f64::max);
    let valid_accuracy = Accuracy::new(best).unwrap();
    let outcome = match stopped {
        Some(reason) => Outcome::Pruned { valid_accuracy, reason: reason.into() },
        None => Outcome::Complete { valid_accuracy },
    };
    Evaluation { outcome, epochs: curve.len() as u32, curve, tries: 1, train_seconds: 1.0 }
}

/// Goes on until there are `MODELS` models.
fn go_on(settings: &Settings, study: &mut Study, stopping: &mut TrialStopping) -> Vec<EventRecord> {
    let mut events = Vec::new();
    while study.models() < MODELS {
        let event = match study.ask(0.0, 0.0) {
            Ask::Trial(asked) => {
                let evaluation = train(settings, &asked.architecture, stopping.rule().as_ref());
                study.tell(asked.trial, evaluation, 0.0).unwrap()
            }
            Ask::Event(event) => *event,
            other => panic!("{other:?}"),
        };
        note(stopping, &event);
        events.push(event);
    }
    events
}

fn note(stopping: &mut TrialStopping, event: &EventRecord) {
    if let EventKind::Trial(record) = &event.kind {
        stopping.note(record);
    }
}

fn outcomes(events: &[EventRecord]) -> impl Iterator<Item = &Outcome> {
    events.iter().filter_map(|event| match &event.kind {
        EventKind::Trial(record) => Some(&record.evaluation.outcome),
        EventKind::Repeat { .. } => None,
    })
}

#[test]
fn a_study_with_early_stopping_goes_on_after_any_event_as_if_never_stopped() {
    for rule in [StoppingRule::Prediction, StoppingRule::Rank] {
        let settings = settings(rule, StoppedReward::Predicted);
        let whole = go_on(&settings, &mut study(&settings), &mut TrialStopping::new(&settings));
        let stopped = outcomes(&whole).filter(|outcome| matches!(outcome, Outcome::Pruned { .. })).count();
        assert!((5..55).contains(&stopped), "{rule:?}: {stopped}");
        for events in [0, 1, 12, whole.len() / 2, whole.len() - 1] {
            let (mut study, mut stopping) = (study(&settings), TrialStopping::new(&settings));
            for event in &whole[..events] {
                study.replay(event).unwrap();
                note(&mut stopping, event);
            }
            assert_eq!(go_on(&settings, &mut study, &mut stopping), whole[events..], "{rule:?} after {events} events");
        }
    }
}

#[test]
fn the_agent_learns_the_prediction_or_what_was_reached() {
    for reward in [StoppedReward::Predicted, StoppedReward::Reached] {
        let settings = settings(StoppingRule::Prediction, reward);
        let events = go_on(&settings, &mut study(&settings), &mut TrialStopping::new(&settings));
        let mut stopped = 0;
        for event in &events {
            let EventKind::Trial(record) = &event.kind else { continue };
            let Outcome::Pruned { valid_accuracy, reason } = &record.evaluation.outcome else { continue };
            let predicted = reason.predicted().unwrap();
            // Half of the rest is still to come after each epoch, so the prediction is well above what was reached.
            assert!(predicted > *valid_accuracy, "{reason}");
            let expected = if reward == StoppedReward::Predicted { predicted } else { *valid_accuracy };
            assert_eq!(record.transitions.last().unwrap().reward, expected.value());
            stopped += 1;
        }
        assert!(stopped > 0);
    }
}

#[test]
fn nothing_is_stopped_without_a_rule_or_within_the_burn_in() {
    let off = settings(StoppingRule::None, StoppedReward::Predicted);
    assert!(TrialStopping::new(&off).rule().is_none());
    let prediction = settings(StoppingRule::Prediction, StoppedReward::Predicted);
    let events = go_on(&prediction, &mut study(&prediction), &mut TrialStopping::new(&prediction));
    assert!(outcomes(&events).take(10).all(|outcome| matches!(outcome, Outcome::Complete { .. })));
}
