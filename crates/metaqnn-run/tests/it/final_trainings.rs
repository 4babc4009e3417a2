//! The best networks trained fully.

use std::time::Duration;

use metaqnn_core::ports::{Clock, Job, Storage};
use metaqnn_core::settings::Settings;
use metaqnn_run::RunError;
use metaqnn_store::MemoryStudy;

use crate::world::{EPOCH_SECONDS, Nature, World, empty, settings};

fn searched() -> (Settings, MemoryStudy) {
    let settings = settings(&["final.enabled=false", "final.training.min_steps=0", "final.candidates_share=0.2"]);
    let study = empty();
    World::new().run(study.clone(), &settings, &settings).unwrap();
    (settings, study)
}

/// What was trained: trials, and whether finally.
fn trained(world: &World) -> Vec<(u64, bool)> {
    world.trained().iter().map(|job| (job.trial().0, matches!(job, Job::Final(_)))).collect()
}

#[test]
fn the_best_are_validated_and_trained_once_as_planned() {
    let (settings, study) = searched();
    let world = World::new();
    assert_eq!(world.train_finally(study.clone(), &settings, Some(3), None).unwrap(), Some(Vec::new()));
    let best: Vec<u64> = study.top(3).unwrap().iter().map(|trial| trial.record.trial.0).collect();
    let expected: Vec<(u64, bool)> = best.iter().flat_map(|trial| [(*trial, false), (*trial, true)]).collect();
    assert_eq!(trained(&world), expected);
    assert_eq!((study.finals().unwrap().len(), study.final_plan().unwrap().len()), (3, 3));
    assert_eq!(*world.started.borrow(), [(1, 1)], "one executor trains them all");
    // Once more there is nothing to do; one more is trained where more are asked for.
    assert_eq!(world.train_finally(study.clone(), &settings, None, None).unwrap(), Some(Vec::new()));
    assert_eq!(trained(&world).len(), 6);
    world.train_finally(study.clone(), &settings, Some(4), None).unwrap();
    assert_eq!((trained(&world).len(), study.finals().unwrap().len()), (8, 4));
}

#[test]
fn killed_at_any_moment_they_go_on_to_the_same_end() {
    let (settings, _) = searched();
    let expected = searched().1;
    World::new().train_finally(expected.clone(), &settings, Some(3), None).unwrap();
    let mut moments = 0;
    loop {
        let (world, study) = (World::new(), searched().1);
        let is_killed = world.killed_after(moments, || {
            world.train_finally(study.clone(), &settings, Some(3), None).unwrap();
        });
        if !is_killed {
            break;
        }
        let done: Vec<u64> = study.finals().unwrap().iter().map(|record| record.trial.0).collect();
        let before = trained(&world).len();
        world.train_finally(study.clone(), &settings, None, None).unwrap();
        // Without a stored plan the second run plans ten networks, else what the first one has planned.
        if study.final_plan().unwrap().len() == 3 {
            assert_eq!(study.finals().unwrap(), expected.finals().unwrap(), "killed at moment {moments}");
        }
        let again = &trained(&world)[before..];
        assert!(again.iter().all(|(trial, _)| !done.contains(trial)), "{done:?} were trained again: {again:?}");
        moments += 1;
    }
    assert!(moments > 20, "{moments} moments are few");
}

#[test]
fn a_budget_is_divided_among_them_and_kept_to() {
    let (settings, study) = searched();
    let world = World::new();
    // Ten epochs of two seconds each for eight networks, and the validations, would take more.
    assert_eq!(world.train_finally(study.clone(), &settings, None, Some(60.0)).unwrap(), Some(Vec::new()));
    let said = world.said();
    assert!(said[0].starts_with("MeasuringSpeed("), "{said:?}");
    assert!(said.iter().any(|said| said.starts_with("Planned {")), "{said:?}");
    let plan = study.final_plan().unwrap();
    assert!(
        !plan.is_empty() && plan.len() < 8 && plan.iter().all(|planned| planned.final_epochs == plan[0].final_epochs)
    );
    let seconds = world.clock.now().as_secs_f64();
    assert!((40.0..=66.0).contains(&seconds), "{seconds} s for {plan:?}");
    // The plan stands, whatever is given to it later.
    world.train_finally(study.clone(), &settings, None, Some(500.0)).unwrap();
    assert_eq!(study.final_plan().unwrap(), plan);
    assert_eq!(world.said(), ["PlanIsMade"]);
}

#[test]
fn those_for_which_no_time_is_left_are_left_out_until_there_is_more() {
    let (settings, study) = searched();
    let world = World::new();
    // Planned without a limit, then interrupted, and gone on with in a hurry.
    world.interrupted_at.set(Some(Duration::from_secs(5)));
    assert_eq!(world.train_finally(study.clone(), &settings, Some(4), None).unwrap(), None);
    world.interrupted_at.set(None);
    world.said();
    assert_eq!(study.final_plan().unwrap().len(), 4);
    world.train_finally(study.clone(), &settings, Some(5), Some(10.0 * EPOCH_SECONDS)).unwrap();
    let said = world.said();
    assert_eq!(said[0], "PlanGoesOn");
    assert!(said.last().is_some_and(|last| last.starts_with("LeftOut(")), "{said:?}");
    let done = study.finals().unwrap().len();
    assert!((1..4).contains(&done), "{done}");
    world.train_finally(study.clone(), &settings, None, None).unwrap();
    assert_eq!(study.finals().unwrap().len(), 4);
}

#[test]
fn one_that_fails_is_named_and_the_others_are_trained() {
    let (settings, study) = searched();
    let best = study.top(1).unwrap().remove(0).record.trial;
    let world = World::of(Nature { diverging: Some(best.0), ..Nature::default() });
    let failures = world.train_finally(study.clone(), &settings, Some(3), None).unwrap().unwrap();
    assert_eq!(failures, [format!("trial {best}: the loss was not finite")]);
    assert_eq!(study.finals().unwrap().len(), 2);
}

#[test]
fn without_a_network_that_learned_there_is_nothing_to_train() {
    let error = World::new().train_finally(empty(), &settings(&[]), None, None).unwrap_err();
    assert!(matches!(error, RunError::NoneLearned), "{error:?}");
}
