//! How a run keeps to its time.

use std::time::Duration;

use metaqnn_core::ports::{CandidateLength, Clock, Job, Storage};
use metaqnn_core::settings::Settings;

use crate::world::{World, empty, log, settings, trial_seconds, trials};

fn of_budget(seconds: u32, more: &[&str]) -> Settings {
    let budget = format!("search.budget_seconds={seconds}");
    let mut changes = vec!["search.models=0", budget.as_str(), "final.budget_share=0.5", "final.candidates_share=0.2"];
    changes.extend(more);
    settings(&changes)
}

fn seconds(world: &World) -> f64 {
    world.clock.now().as_secs_f64()
}

#[test]
fn search_and_final_phase_share_the_budget() {
    let settings = of_budget(600, &[]);
    let (world, study) = (World::new(), empty());
    let finished = world.run(study.clone(), &settings, &settings).unwrap();
    assert!(finished.trained_finally.is_some() && finished.fruitless.is_none() && !finished.interrupted);
    assert!((560.0..=600.0).contains(&seconds(&world)), "{} s", seconds(&world));
    assert_eq!(finished.seconds, seconds(&world));
    // The search has half of it, and no trial is begun that does not come to its end in it.
    let mut last = 0.0;
    study
        .visit_events(&mut |event| {
            last = event.run_seconds;
            true
        })
        .unwrap();
    assert!((270.0..=300.0).contains(&last), "the last trial ended after {last} s");
    let jobs = world.trained();
    assert_eq!(trials(&study), jobs.iter().filter(|job| matches!(job, Job::Trial(_))).count());
    // Of the other half the candidates have a fifth, start of the workers included, the network chosen among them the rest.
    // They share it by what a pass over the images takes with each.
    let candidates: Vec<(f64, f64)> = jobs
        .iter()
        .filter_map(|job| match job {
            Job::Candidate(job) => Some(job),
            _ => None,
        })
        .map(|job| match job.length {
            CandidateLength::Seconds(seconds) => {
                let evaluation = study.trial(job.trial).unwrap().unwrap().record.evaluation;
                (seconds, evaluation.train_seconds / f64::from(evaluation.epochs))
            }
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(candidates.len(), 3);
    let mean = candidates.iter().map(|(seconds, _)| seconds).sum::<f64>() / 3.0;
    assert!((17.0..=22.0).contains(&mean), "{candidates:?}");
    let passes: Vec<f64> = candidates.iter().map(|(seconds, pass)| seconds / pass).collect();
    assert!(passes.iter().all(|passes_of| (passes_of / passes[0] - 1.0).abs() < 1e-9), "{candidates:?}");
    assert!(candidates.iter().any(|(_, pass)| *pass != candidates[0].1), "passes of the same length show nothing");
    let Some(Job::Final(last)) = jobs.last() else { panic!("{:?}", jobs.last()) };
    assert!(last.time_limit_seconds.is_some_and(|seconds| (210.0..=240.0).contains(&seconds)), "{last:?}");
}

#[test]
fn a_trial_ends_with_the_search_at_the_latest() {
    let settings = of_budget(60, &["final.budget_share=0.1"]);
    let world = World::new();
    world.run(empty(), &settings, &settings).unwrap();
    for job in world.trained() {
        if let Job::Trial(job) = job {
            let limit = job.time_limit_seconds.unwrap();
            assert!(limit <= 0.95 * 54.0, "{limit}");
        }
    }
    assert!(seconds(&world) <= 60.0, "{} s", seconds(&world));
}

#[test]
fn however_short_the_time_one_network_is_tried_and_trained() {
    for budget in [1, 2, 5, 20] {
        let settings = of_budget(budget, &["final.budget_share=0.9"]);
        let (mut world, study) = (World::new(), empty());
        world.start_seconds = 0.0;
        let finished = world.run(study.clone(), &settings, &settings).unwrap();
        assert!(finished.trained_finally.is_some(), "of {budget} s");
        assert!(trials(&study) >= 1 && seconds(&world) <= f64::from(budget) + 0.5, "{budget}: {}", seconds(&world));
    }
}

#[test]
fn of_time_that_is_added_later_the_search_has_its_share() {
    let at_first = of_budget(200, &[]);
    let (world, study) = (World::new(), empty());
    world.run(study.clone(), &at_first, &at_first).unwrap();
    let (before, trials_before) = (seconds(&world), trials(&study));
    let raised = of_budget(600, &[]);
    let finished = world.run(study.clone(), &raised, &at_first).unwrap();
    assert_eq!(study.raised_limits().unwrap().map(|limits| limits.budget_seconds), Some(600.0));
    let mut last = 0.0;
    study
        .visit_events(&mut |event| {
            last = event.run_seconds;
            true
        })
        .unwrap();
    // Half of the 400 seconds that were added.
    assert!((370.0..=400.0).contains(&last), "the last trial ended after {last} s");
    assert!(trials(&study) > trials_before && before <= 200.0);
    assert!((560.0..=600.0).contains(&finished.seconds), "{}", finished.seconds);
    // The run after that has nothing left to do, and says so.
    world.said();
    let jobs = world.trained().len();
    let again = world.run(study.clone(), &raised, &at_first).unwrap();
    assert_eq!(world.trained().len(), jobs, "{:?}", world.said());
    assert!(again.trained_finally.is_some() && again.fruitless.is_none());
    assert!(world.said()[0].contains("NothingToSearch(Budget(600.0))"));
}

#[test]
fn an_interrupt_is_heard_and_the_time_until_then_counts() {
    let settings = of_budget(600, &[]);
    for at in [0.5, 33.0, 299.0, 310.0, 480.0] {
        let (world, study) = (World::new(), empty());
        world.interrupted_at.set(Some(Duration::from_secs_f64(at)));
        let finished = world.run(study.clone(), &settings, &settings).unwrap();
        assert!(finished.interrupted && finished.fruitless.is_none(), "at {at} s");
        // Heard at once, or when the workers have started.
        assert!((at..=at + 1.3).contains(&seconds(&world)), "at {at} s, not {}", seconds(&world));
        assert_eq!(study.run_seconds().unwrap(), finished.seconds);
        let before = log(&study);
        world.interrupted_at.set(None);
        let finished = world.run(study.clone(), &settings, &settings).unwrap();
        assert_eq!(before, log(&study)[..before.len()]);
        assert!(finished.trained_finally.is_some());
        assert!((560.0..=600.0).contains(&finished.seconds), "at {at} s, all in all {}", finished.seconds);
    }
}

#[test]
fn several_places_train_at_a_time() {
    let settings = of_budget(600, &[]);
    let (mut world, study) = (World::new(), empty());
    world.places = 4;
    world.run(study.clone(), &settings, &settings).unwrap();
    let alone = (World::new(), empty());
    alone.0.run(alone.1.clone(), &settings, &settings).unwrap();
    assert!(trials(&study) > 3 * trials(&alone.1), "{} and {}", trials(&study), trials(&alone.1));
    assert!(seconds(&world) <= 600.0);
    // The candidates are trained side by side, the chosen one on the threads of all.
    assert_eq!(*world.started.borrow(), [(4, 1), (3, 1), (1, 4)]);
}

#[test]
fn a_search_by_models_takes_the_time_that_it_takes() {
    let settings = settings(&["search.models=20", "final.enabled=false"]);
    let (world, study) = (World::new(), empty());
    let finished = world.run(study.clone(), &settings, &settings).unwrap();
    let expected: f64 = world.trained().iter().map(|job| trial_seconds(job.architecture())).sum();
    assert_eq!((finished.models, world.trained().len()), (20, 20));
    assert!((seconds(&world) - expected - world.start_seconds).abs() < 1e-3, "{} and {expected}", seconds(&world));
}
