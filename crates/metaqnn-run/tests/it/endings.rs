//! How runs end, well or not.

use metaqnn_core::ports::Storage;
use metaqnn_core::study::RaisedLimits;
use metaqnn_run::{Fruitless, RunError};

use crate::world::{Nature, World, empty, log, settings, trials};

#[test]
fn a_search_of_networks_over_the_limits_trains_none_and_says_so() {
    let settings = settings(&["limits.params=1"]);
    let (world, study) = (World::new(), empty());
    let finished = world.run(study.clone(), &settings, &settings).unwrap();
    assert_eq!((finished.fruitless, finished.models), (Some(Fruitless::NothingTrained), 0));
    assert!(world.trained().is_empty() && !log(&study).is_empty());
    assert!(world.said().contains(&"Exhausted { models: 0 }".to_string()));
}

#[test]
fn a_search_in_which_nothing_learns_has_no_final_phase() {
    let settings = settings(&["search.models=4"]);
    let world = World::of(Nature { nothing_learns: true, ..Nature::default() });
    let finished = world.run(empty(), &settings, &settings).unwrap();
    assert_eq!(finished.fruitless, Some(Fruitless::NoneLearned(4)));
    assert_eq!((finished.models, finished.failed, world.trained().len()), (4, 4, 4));
    assert!(finished.trained_finally.is_none());
    assert_eq!(world.said().iter().filter(|said| said.starts_with("Failed(")).count(), 4);
}

#[test]
fn a_final_training_without_a_result_is_tried_again() {
    let settings = settings(&[]);
    let expected = (World::new(), empty());
    let chosen = expected.0.run(expected.1.clone(), &settings, &settings).unwrap().trained_finally.unwrap();
    let trial = chosen.record.trial;
    // Alone, so that it is trained finally whatever comes of it as a candidate.
    let alone = crate::world::settings(&["final.candidates=1"]);
    let (whole, study) = (World::new(), empty());
    let best = whole.run(study, &alone, &alone).unwrap().trained_finally.unwrap().record.trial;
    let (world, study) = (World::of(Nature { diverging: Some(best.0), ..Nature::default() }), empty());
    let finished = world.run(study.clone(), &alone, &alone).unwrap();
    let reason = format!("trial {best}: the loss was not finite");
    assert_eq!(finished.fruitless, Some(Fruitless::NoFinalTraining(vec![reason])));
    assert!(study.finals().unwrap().is_empty());
    let finished = World::new().run(study.clone(), &alone, &alone).unwrap();
    assert_eq!(finished.fruitless, None);
    assert_eq!(study.finals().unwrap().len(), 1);
    // A candidate that diverges leaves the choice to the others.
    let (world, study) = (World::of(Nature { diverging: Some(trial.0), ..Nature::default() }), empty());
    let finished = world.run(study.clone(), &settings, &settings).unwrap();
    assert!(finished.trained_finally.is_some_and(|other| other.record.trial != trial));
    assert_eq!(finished.fruitless, None);
}

#[test]
fn where_nothing_can_be_kept_the_run_ends_with_that() {
    let settings = settings(&[]);
    let (world, study) = (World::of(Nature { disk_is_full: true, ..Nature::default() }), empty());
    let error = world.run(study.clone(), &settings, &settings).unwrap_err();
    assert!(matches!(&error, RunError::NothingIsKept(reason) if reason == "the disk is full"), "{error:?}");
    assert_eq!(trials(&study), 8);
}

#[test]
fn an_executor_that_fails_ends_the_run_and_what_is_stored_stays() {
    let settings = settings(&["final.enabled=false"]);
    let (world, study) = (World::of(Nature { works_for: Some(0), ..Nature::default() }), empty());
    let error = world.run(study.clone(), &settings, &settings).unwrap_err();
    assert!(matches!(&error, RunError::Executor(_)) && error.to_string() == "no such device", "{error:?}");
    assert_eq!(trials(&study), 0);
    assert_eq!(World::new().run(study, &settings, &settings).unwrap().models, 8);
}

#[test]
fn a_log_of_another_study_is_refused() {
    let settings = settings(&["final.enabled=false"]);
    let study = empty();
    World::new().run(study.clone(), &settings, &settings).unwrap();
    let before = log(&study);
    let other = crate::world::settings(&["space.max_layers=2", "final.enabled=false"]);
    let error = World::new().run(study.clone(), &other, &other).unwrap_err();
    assert!(matches!(error, RunError::Replay(_)), "{error:?}");
    assert_eq!(log(&study), before);
}

#[test]
fn more_models_can_be_asked_for_later() {
    let at_first = settings(&["final.enabled=false"]);
    let (world, study) = (World::new(), empty());
    world.run(study.clone(), &at_first, &at_first).unwrap();
    world.said();
    let again = world.run(study.clone(), &at_first, &at_first).unwrap();
    assert_eq!((again.models, world.trained().len()), (8, 8));
    assert_eq!(world.said(), ["NothingToSearch(Models(8))"]);
    let more = settings(&["search.models=11", "final.enabled=false"]);
    assert_eq!(world.run(study.clone(), &more, &at_first).unwrap().models, 11);
    assert_eq!(study.raised_limits().unwrap(), Some(RaisedLimits { models: 11, budget_seconds: 0.0 }));
    // What was raised once need not be raised again.
    assert_eq!(world.run(study.clone(), &more, &at_first).unwrap().models, 11);
    assert_eq!(study.raised_limits_before().unwrap(), None);
}
