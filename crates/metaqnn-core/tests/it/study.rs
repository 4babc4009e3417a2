//! Studies: ask, tell and replay, with rewards made up from the architecture's text.

use std::collections::HashSet;

use metaqnn_core::agent::{EpsilonSchedule, EpsilonStretch};
use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::{AgentName, Preset, Settings, StoppedReward};
use metaqnn_core::space::{Architecture, LayerKind, SearchSpace};
use metaqnn_core::study::{Accuracy, Ask, AskedTrial, Evaluation, EventKind, EventRecord, Failure, Outcome, Study};
use metaqnn_core::study::{ReplayError, TrialNumber};

use crate::fixture::{COLOUR_32, preset};

const MODELS: u64 = 60;

/// A space and the settings to search it with.
#[derive(Clone)]
struct Setup {
    settings: Settings,
    input: MapShape,
}

impl Setup {
    fn with(mut self, agent: AgentName) -> Self {
        self.settings.search.agent = agent;
        self
    }

    fn space(&self) -> SearchSpace {
        SearchSpace::new(self.settings.space.clone(), self.input, 10).expect("sound")
    }

    fn study(&self, seed: u64) -> Study {
        Study::new(self.settings.clone(), self.space(), seed)
    }
}

/// The paper's space, with so tight a limit that some networks are over it.
fn large() -> Setup {
    let mut settings = preset(Preset::Paper, "cifar10");
    settings.agent.epsilon_schedule = short_schedule();
    settings.limits.params = 3_000_000;
    Setup { settings, input: COLOUR_32 }
}

/// A space of 390 architectures, so that many are sampled again.
fn small() -> Setup {
    let mut settings = preset(Preset::Quick, "digits");
    settings.space.max_layers = 3;
    settings.space.convolution.out_channels = vec![8, 16];
    settings.space.fully_connected.units = vec![32];
    settings.agent.epsilon_schedule = short_schedule();
    Setup { settings, input: MapShape::new(1, 8, 8) }
}

/// A space of six architectures: one or two layers, each C(4,1,1) or C(4,3,1).
fn tiny() -> Setup {
    let mut setup = small();
    setup.settings.space.max_layers = 2;
    setup.settings.space.convolution.out_channels = vec![4];
    setup.settings.space.convolution.kernel_sizes = vec![1, 3];
    *setup.settings.space.follows.after_mut(LayerKind::Convolution) = vec![LayerKind::Convolution, LayerKind::Softmax];
    setup
}

fn short_schedule() -> EpsilonSchedule {
    let stretch = |epsilon| EpsilonStretch::Models { epsilon, models: 20 };
    EpsilonSchedule { stretches: vec![stretch(1.0), stretch(0.5), stretch(0.1)] }
}

/// What comes of a trial: a matter of its architecture alone. One in eleven fails to learn, one in thirteen loses its worker.
fn evaluate(architecture: &Architecture) -> Evaluation {
    let hash = architecture
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    if hash % 11 == 0 {
        return Evaluation::failed(Failure::FailedToLearn { valid_accuracy: 0.1, tries: 5 });
    }
    if hash % 13 == 0 {
        return Evaluation::failed(Failure::WorkerDied { attempts: 3, how: "signal 9".into() });
    }
    let valid_accuracy = Accuracy::new((hash % 1001) as f64 / 1000.0).expect("in [0, 1]");
    Evaluation {
        outcome: Outcome::Complete { valid_accuracy },
        curve: Vec::new(),
        epochs: 1,
        tries: 1,
        train_seconds: 1.0,
    }
}

/// Trains until `models` models are finished or nothing is left, with up to `at_once` trials in training.
fn search(study: &mut Study, models: u64, at_once: usize) -> (Vec<EventRecord>, bool) {
    let mut events: Vec<EventRecord> = Vec::new();
    let mut training: Vec<AskedTrial> = Vec::new();
    let mut exhausted = false;
    loop {
        while !exhausted && training.len() < at_once && study.models() + (training.len() as u64) < models {
            match study.ask(0.0, 0.0) {
                Ask::Trial(asked) => {
                    let twin = training.iter().find(|other| other.architecture == asked.architecture);
                    assert_eq!(twin, None, "in training already");
                    training.push(asked);
                }
                Ask::Event(event) => events.push(*event),
                Ask::Busy => break,
                Ask::Exhausted => exhausted = true,
            }
            assert_eq!(study.pending().count(), training.len());
        }
        if training.is_empty() {
            break;
        }
        // Not in the order of asking.
        let done = training.swap_remove(events.len() % training.len());
        let event = study.tell(done.trial, evaluate(&done.architecture), 0.0);
        events.push(event.expect("it was in training"));
    }
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event.number, number as u64);
    }
    (events, exhausted)
}

/// The architectures of the trials, in order.
fn trained(events: &[EventRecord]) -> Vec<&Architecture> {
    let mut numbers = HashSet::new();
    let mut architectures = Vec::new();
    for event in events {
        if let EventKind::Trial(record) = &event.kind {
            assert!(numbers.insert(record.trial), "the number {} was given twice", record.trial);
            architectures.push(&record.architecture);
        }
    }
    architectures
}

fn repeats(events: &[EventRecord]) -> usize {
    events.iter().filter(|event| matches!(event.kind, EventKind::Repeat { .. })).count()
}

fn setups() -> [(&'static str, Setup); 8] {
    [
        ("large, paper", large().with(AgentName::Paper)),
        ("large, model-based", large().with(AgentName::ModelBased)),
        ("large, evolution", large().with(AgentName::Evolution)),
        ("large, local search", large().with(AgentName::LocalSearch)),
        ("large, random", large().with(AgentName::Random)),
        ("small, paper", small().with(AgentName::Paper)),
        ("small, default", small()),
        ("small, random", small().with(AgentName::Random)),
    ]
}

#[test]
fn replaying_the_events_rebuilds_the_agent_at_every_event() {
    for (name, setup) in setups() {
        for at_once in [1, 3] {
            let mut study = setup.study(7);
            let (events, exhausted) = search(&mut study, MODELS, at_once);
            assert!(!exhausted && study.models() == MODELS, "{name}");
            let mut replayed = setup.study(7);
            for event in &events {
                replayed.replay(event).unwrap_or_else(|error| panic!("{name}, {at_once} at once: {error}"));
                assert_eq!(replayed.q_table_hash(), event.q_table_hash, "{name}, {at_once} at once");
            }
            assert_eq!(replayed.q_table_hash(), study.q_table_hash());
            let state = |study: &Study| (study.events(), study.models(), study.failed(), study.epsilon(0.0).to_bits());
            assert_eq!(state(&replayed), state(&study), "{name}, {at_once} at once");
            assert!(study.failed() > 0, "{name}: the made-up failures happen");
        }
    }
}

#[test]
fn the_same_seed_gives_the_same_events() {
    for (name, setup) in setups() {
        for at_once in [1, 3] {
            let run = |seed| search(&mut setup.study(seed), MODELS, at_once).0;
            let events = run(7);
            assert_eq!(events, run(7), "{name}, {at_once} at once");
            assert_ne!(trained(&events), trained(&run(8)), "{name}, {at_once} at once");
        }
    }
}

#[test]
fn a_study_goes_on_after_any_event_as_if_never_stopped() {
    for (name, setup) in setups() {
        let (events, _) = search(&mut setup.study(3), MODELS, 1);
        for stop in [0, 1, events.len() / 3, events.len() / 2, events.len() - 1] {
            let mut study = setup.study(3);
            for event in &events[..stop] {
                study.replay(event).unwrap();
            }
            let mut rest = events[..stop].to_vec();
            while study.models() < MODELS {
                rest.push(match study.ask(0.0, 0.0) {
                    Ask::Event(event) => *event,
                    Ask::Trial(asked) => study.tell(asked.trial, evaluate(&asked.architecture), 0.0).unwrap(),
                    other => panic!("{other:?}"),
                });
            }
            assert_eq!(rest, events, "{name}, stopped after {stop}");
        }
    }
}

#[test]
fn nothing_is_trained_twice_and_repeats_are_logged() {
    for (name, setup) in setups() {
        for at_once in [1, 3] {
            let (events, _) = search(&mut setup.study(5), MODELS, at_once);
            let architectures = trained(&events);
            let unique: HashSet<&&Architecture> = architectures.iter().collect();
            assert_eq!(unique.len(), architectures.len(), "{name}");
            let over_limit = |event: &&EventRecord| match &event.kind {
                EventKind::Trial(record) => !record.evaluation.outcome.counts_as_model(),
                EventKind::Repeat { .. } => false,
            };
            let over = events.iter().filter(over_limit).count();
            assert_eq!(architectures.len() - over, MODELS as usize, "{name}");
            if name == "small, default" {
                assert_eq!(repeats(&events), 0, "the model ranks only what is new");
            } else if name.starts_with("small") {
                assert!(repeats(&events) > 0, "{name}");
            }
            // The agent of the paper learns from networks over a limit; the others propose others.
            assert_eq!(over > 0, name == "large, paper", "{name}");
        }
    }
}

#[test]
fn q_values_stay_in_the_unit_interval_and_only_learners_have_them() {
    for (name, setup) in setups() {
        let mut study = setup.study(11);
        search(&mut study, MODELS, 3);
        let entries = study.q_table().entries().count();
        if !["paper", "model-based", "default"].iter().any(|learner| name.ends_with(learner)) {
            assert_eq!(entries, 0, "{name}");
            assert_eq!(study.epsilon(0.0), if name.ends_with("random") { 1.0 } else { 0.1 });
        } else {
            assert!(entries > 0);
            assert_eq!(study.epsilon(0.0), 0.1);
            assert!(study.q_table().entries().any(|entry| entry.updates > 0 && entry.q_value != 0.5), "{name}");
        }
        for entry in study.q_table().entries() {
            assert!(
                (0.0..=1.0).contains(&entry.q_value),
                "{name}: {} {} {}",
                entry.observation,
                entry.action,
                entry.q_value
            );
        }
    }
}

#[test]
fn transitions_spell_the_architecture_and_end_with_the_reward() {
    let setup = small();
    let (events, _) = search(&mut setup.study(2), 20, 1);
    for event in &events {
        let EventKind::Trial(record) = &event.kind else { continue };
        let actions: Vec<&str> = record.transitions.iter().map(|step| step.action.as_str()).collect();
        let text = format!("[{}]", actions.join(", ")).replace("GAP", "GAP(10)").replace("SM", "SM(10)");
        assert_eq!(text, record.architecture.to_string());
        assert!(record.transitions.windows(2).all(|pair| pair[0].next_state == pair[1].state && pair[0].reward == 0.0));
        let last = record.transitions.last().unwrap();
        assert_eq!(last.next_state, "");
        assert_eq!(last.reward, record.evaluation.outcome.reward(10, StoppedReward::Reached).unwrap_or(0.0));
    }
}

#[test]
fn a_tiny_space_becomes_exhausted() {
    for agent in [AgentName::Default, AgentName::Random, AgentName::Paper] {
        for at_once in [1, 3] {
            let setup = tiny().with(agent);
            let size: usize = setup.space().count().architectures.try_into().unwrap();
            assert_eq!(size, 6);
            let mut study = setup.study(1);
            let (events, exhausted) = search(&mut study, 1_000, at_once);
            assert!(exhausted);
            assert_eq!(trained(&events).len(), size, "{agent:?}, {at_once} at once");
            // The published agent repeats; of the others the end is known when nothing is left.
            let repeats = repeats(&events);
            assert!(if agent == AgentName::Paper { repeats >= 10_000 } else { repeats < 100 }, "{agent:?}: {repeats}");
            // A trial that ends after the space was found exhausted counts the repeats anew.
            let answer = study.ask(0.0, 0.0);
            assert!(at_once > 1 || answer == Ask::Exhausted, "{answer:?}");
            let mut replayed = setup.study(1);
            for event in &events {
                replayed.replay(event).unwrap();
            }
            assert_eq!(replayed.ask(0.0, 0.0), answer, "the log alone says whether the space is exhausted");
        }
    }
}

#[test]
fn a_log_that_does_not_fit_is_refused() {
    let setup = large();
    let (events, _) = search(&mut setup.study(7), 5, 1);
    let mut study = setup.study(7);
    assert!(matches!(study.replay(&events[1]), Err(ReplayError::Event { event: 1, .. })), "a gap");
    let mut changed = events[0].clone();
    changed.q_table_hash = "0123456789abcdef".into();
    assert!(matches!(study.replay(&changed), Err(ReplayError::Hash { event: 0, .. })), "another hash");
    let mut unknown = events[0].clone();
    unknown.kind = EventKind::Repeat { trial: TrialNumber(99) };
    let error = setup.study(7).replay(&unknown).unwrap_err().to_string();
    assert!(error.contains("trial 99 is not there"), "{error}");
    assert_eq!(setup.study(7).tell(TrialNumber(1), evaluate(&"[SM(10)]".parse().unwrap()), 0.0), None);
}

#[test]
fn after_a_kill_the_same_is_proposed_next() {
    for (name, setup) in setups() {
        let (events, _) = search(&mut setup.study(9), 40, 1);
        for stop in [1, 15, events.len()] {
            let rebuilt = || {
                let mut study = setup.study(9);
                for event in &events[..stop] {
                    study.replay(event).unwrap();
                }
                study
            };
            let (mut one, mut other) = (rebuilt(), rebuilt());
            for _ in 0..3 {
                // The second and third while those before are in training.
                let proposed = one.ask(0.5, 0.0);
                assert_eq!(proposed, other.ask(0.5, 0.0), "{name}, stopped after {stop}");
            }
        }
    }
}

#[test]
fn what_a_worker_died_on_is_not_proposed_again() {
    let setup = tiny().with(AgentName::ModelBased);
    let mut study = setup.study(1);
    let mut trained = HashSet::new();
    while let Ask::Trial(asked) = study.ask(0.0, 0.0) {
        assert!(trained.insert(asked.architecture), "once each");
        study.tell(asked.trial, Evaluation::failed(Failure::WorkerDied { attempts: 3, how: "signal 9".into() }), 0.0);
    }
    assert_eq!(trained.len(), 6);
}

#[test]
fn limits_that_nothing_fits_exhaust_the_space() {
    for agent in [AgentName::Default, AgentName::Paper, AgentName::Random, AgentName::Evolution, AgentName::LocalSearch]
    {
        let mut setup = large().with(agent);
        setup.settings.limits.params = 1;
        let mut study = setup.study(3);
        let (events, exhausted) = search(&mut study, 10, 1);
        assert!(exhausted && study.models() == 0, "{agent:?}");
        let mut replayed = setup.study(3);
        for event in &events {
            replayed.replay(event).unwrap();
        }
        assert_eq!(replayed.ask(0.0, 0.0), Ask::Exhausted, "{agent:?}");
    }
}

#[test]
fn an_ask_that_is_interrupted_changes_nothing() {
    let mut setup = large();
    setup.settings.limits.params = 1;
    for agent in [AgentName::Default, AgentName::Paper] {
        let (mut interrupted, mut whole) = (setup.clone().with(agent).study(3), setup.clone().with(agent).study(3));
        assert_eq!(interrupted.ask_while(0.0, 0.0, &|| false), Ask::Busy);
        let asked = std::cell::Cell::new(0);
        interrupted.ask_while(0.0, 0.0, &|| {
            asked.set(asked.get() + 1);
            asked.get() < 500
        });
        if agent == AgentName::Default {
            assert_eq!(interrupted.events(), 0);
            assert_eq!(interrupted.ask(0.0, 0.0), whole.ask(0.0, 0.0));
        }
    }
}
