//! Runs that are killed at any moment.

use metaqnn_core::ports::{Job, Storage};
use metaqnn_store::{MemoryStudy, StudyFile};

use crate::world::{World, empty, header, log, settings};

/// Everything that was stored, times aside.
fn stored(storage: &impl Storage) -> String {
    format!("{:?} {:?} {:?}", log(storage), storage.candidates().unwrap(), storage.finals().unwrap())
}

#[test]
fn a_run_killed_at_any_moment_goes_on_to_the_same_end() {
    let settings = settings(&[]);
    let whole = World::new();
    let expected = empty();
    let finished = whole.run(expected.clone(), &settings, &settings).unwrap();
    let chosen = finished.trained_finally.unwrap();
    let jobs_of_whole = whole.trained().len();
    let mut moments = 0;
    loop {
        let (world, study) = (World::new(), empty());
        let is_killed = world.killed_after(moments, || {
            world.run(study.clone(), &settings, &settings).unwrap();
        });
        if !is_killed {
            break;
        }
        let before = log(&study);
        assert_eq!(before, log(&expected)[..before.len()], "killed at moment {moments}");
        let begun = world.trained().len();
        let finished = world.run(study.clone(), &settings, &settings).unwrap();
        assert_eq!(stored(&study), stored(&expected), "killed at moment {moments}");
        assert_eq!(finished.trained_finally.map(|trial| trial.test_accuracy), Some(chosen.test_accuracy));
        // Nothing is lost but what was in training.
        assert!(begun <= world.trained().len() && world.trained().len() <= jobs_of_whole + 1, "at moment {moments}");
        moments += 1;
    }
    assert!(moments > 100, "{moments} moments are few");
    assert_eq!(whole.trained().iter().filter(|job| matches!(job, Job::Final(_))).count(), 1);
}

#[test]
fn a_run_killed_again_and_again_comes_to_its_end() {
    let settings = settings(&[]);
    let expected = empty();
    World::new().run(expected.clone(), &settings, &settings).unwrap();
    // So many moments are enough for a training or two.
    for moments in [130, 150, 200, 400] {
        let (world, study) = (World::new(), empty());
        let mut runs = 0;
        while world.killed_after(moments, || {
            world.run(study.clone(), &settings, &settings).unwrap();
        }) {
            runs += 1;
            assert!(runs < 200, "no run of {moments} moments gets anywhere");
        }
        assert!(runs > 0, "it was over before moment {moments}");
        assert_eq!(stored(&study), stored(&expected), "{moments} moments a run");
    }
}

#[test]
fn with_several_places_nothing_stored_is_lost_or_trained_twice() {
    let settings = settings(&["search.models=12", "final.enabled=false"]);
    for moments in (5..300).step_by(7) {
        let (mut world, study) = (World::new(), empty());
        world.places = 3;
        let is_killed = world.killed_after(moments, || {
            world.run(study.clone(), &settings, &settings).unwrap();
        });
        let before = log(&study);
        let finished = world.run(study.clone(), &settings, &settings).unwrap();
        assert_eq!((finished.models, finished.fruitless), (12, None));
        let after = log(&study);
        assert_eq!(before, after[..before.len()]);
        let mut trained: Vec<String> = world.trained().iter().map(|job| job.architecture().to_string()).collect();
        let count = trained.len();
        trained.sort();
        trained.dedup();
        // Once more are only those begun that were in training.
        assert!(count - trained.len() <= if is_killed { 3 } else { 0 }, "killed at moment {moments}");
    }
}

#[test]
fn a_study_in_a_file_comes_to_the_same_as_one_in_memory() {
    let settings = settings(&["search.models=5"]);
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    let world = World::new();
    // Killed in the middle of the search, and of the final phase.
    for moments in [30, 60] {
        let is_killed = world.killed_after(moments, || {
            let file = match path.exists() {
                true => StudyFile::open(&path).unwrap(),
                false => StudyFile::create(&path, &header()).unwrap(),
            };
            world.run(file, &settings, &settings).unwrap();
        });
        assert!(is_killed, "it was over before moment {moments}");
    }
    let finished = world.run(StudyFile::open(&path).unwrap(), &settings, &settings).unwrap();
    let in_memory: MemoryStudy = empty();
    World::new().run(in_memory.clone(), &settings, &settings).unwrap();
    assert_eq!(stored(&finished.storage), stored(&in_memory));
    finished.storage.close().unwrap();
}
