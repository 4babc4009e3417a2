//! What a search settles before it begins.

use std::time::Duration;

use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::{self, Preset, Settings};
use metaqnn_core::space::Architecture;
use metaqnn_exec::MockClock;
use metaqnn_run::{Images, RunError, SearchPlanning, search_space, suit_few_images};

use crate::world::Notices;

fn settings(changes: &[&str]) -> Settings {
    let mut document = Preset::Quick.document("./images").unwrap();
    for assignment in changes {
        settings::set(&mut document, assignment).unwrap();
    }
    Settings::from_toml(&document.to_string()).unwrap()
}

/// Own images in colour.
fn images(train: usize, side: u32) -> Images {
    let shape = MapShape::new(3, side, side);
    Images { train, valid: train / 5, shape, classes: 3, are_own: true }
}

fn with_planning<T>(slowness: f64, work: impl FnOnce(&SearchPlanning<'_>) -> T) -> T {
    let clock = MockClock::default();
    clock.advance(Duration::from_secs(1));
    let begin = Duration::ZERO;
    work(&SearchPlanning { clock: &clock, begin, reading_seconds: 1.0, threads: 1, slowness })
}

const NOTHING: &dyn Fn(&str) -> bool = &|_| false;

#[test]
fn few_own_images_have_smaller_batches_and_are_changed_at_random() {
    let settings = settings(&[]);
    let keys = |images: &Images, is_asked: &dyn Fn(&str) -> bool| -> Vec<&str> {
        suit_few_images(&settings, images, is_asked).into_iter().map(|(key, _)| key).collect()
    };
    let few = images(600, 32);
    assert_eq!(keys(&few, NOTHING).len(), 5);
    assert!(!keys(&few, &|key| key == "training.batch_size").contains(&"training.batch_size"));
    assert!(keys(&images(5_000, 32), NOTHING).is_empty());
    assert!(keys(&Images { are_own: false, ..few }, NOTHING).is_empty());
    let unlimited = self::settings(&["limits.final_epochs=0"]);
    assert!(suit_few_images(&unlimited, &few, NOTHING).is_empty());
}

#[test]
fn images_are_made_smaller_where_there_is_no_time_for_larger_ones() {
    let shape = |budget: &str, slowness: f64| {
        let settings = settings(&[budget]);
        let mut seen = Notices::default();
        let shape =
            with_planning(slowness, |planning| planning.smaller_shape(&settings, &images(3_000, 64), &mut seen));
        (shape.unwrap().map(|shape| shape.height), seen.0)
    };
    let (unchanged, said) = shape("search.budget_seconds=36000.0", 1.0);
    assert!(unchanged.is_none() && said.is_empty(), "{unchanged:?}, {said:?}");
    let (smallest, said) = shape("search.budget_seconds=10.0", 1.0);
    assert_eq!(smallest, Some(24));
    assert!(said[0].starts_with("ImagesAreMadeSmaller("), "{said:?}");
    // The less time, the smaller; a slow machine is as little time.
    let sides: Vec<u32> = [10, 100, 300, 1_000, 3_000, 10_000]
        .map(|seconds| shape(&format!("search.budget_seconds={seconds}.0"), 1.0).0.unwrap_or(64))
        .to_vec();
    assert!(sides.is_sorted() && sides.contains(&64), "{sides:?}");
    assert_eq!(shape("search.budget_seconds=36000.0", 3_600.0).0, Some(24));
}

#[test]
fn the_smaller_images_are_taken_where_networks_do_better_with_them() {
    let settings = settings(&["search.budget_seconds=600.0"]);
    let taken = |images: &Images, accuracies: [f64; 2], slowness: f64| {
        let mut tried: Vec<(MapShape, f64)> = Vec::new();
        let mut accuracy = |shape: MapShape, _: &Architecture, seconds: f64| {
            tried.push((shape, seconds));
            Ok(accuracies[usize::from(shape.height > 32)])
        };
        let mut seen = Notices::default();
        let shape = with_planning(slowness, |planning| {
            planning.shape_by_trial(&settings, images, &mut accuracy, &mut seen).unwrap()
        });
        (shape.map(|shape| shape.height), tried)
    };
    let few = images(600, 64);
    let (shape, tried) = taken(&few, [0.9, 0.5], 0.01);
    assert_eq!(shape, Some(32));
    assert_eq!(tried, [(MapShape::new(3, 32, 32), 30.0), (MapShape::new(3, 64, 64), 30.0)]);
    assert_eq!(taken(&few, [0.5, 0.9], 0.01).0, None);
    // As good: where there is time for them the larger ones are taken.
    assert_eq!(taken(&few, [0.7, 0.7], 0.000_1).0, None);
    assert_eq!(taken(&few, [0.7, 0.7], 100.0).0, Some(32));
    // Small ones, and many, are not tried.
    assert!(taken(&images(600, 32), [0.9, 0.5], 1.0).1.is_empty());
    assert!(taken(&images(2_000, 64), [0.9, 0.5], 1.0).1.is_empty());
    // What cannot be trained ends it.
    let mut fails = |_: MapShape, _: &Architecture, _: f64| Err("no memory".into());
    let error = with_planning(1.0, |planning| {
        planning.shape_by_trial(&settings, &few, &mut fails, &mut Notices::default()).unwrap_err()
    });
    assert_eq!(error.to_string(), "no memory");
}

#[test]
fn the_time_is_divided_and_a_short_one_is_said_to_be() {
    let divided = |budget: &str, is_asked: &dyn Fn(&str) -> bool| {
        let settings = settings(&[budget]);
        let mut seen = Notices::default();
        let assignments =
            with_planning(1.0, |planning| planning.divide(&settings, &images(3_000, 32), is_asked, &mut seen)).unwrap();
        (assignments, seen.0)
    };
    let (long, said) = divided("search.budget_seconds=36000.0", NOTHING);
    assert_eq!(
        long.iter().map(|(key, _)| *key).collect::<Vec<_>>(),
        ["limits.train_microseconds", "final.budget_share", "final.candidates"]
    );
    assert_eq!(&long[1..], [("final.budget_share", "0.650".to_string()), ("final.candidates", "4".to_string())]);
    assert!(said.len() == 1 && said[0].starts_with("TimeIsDivided { search_share: 0.35"), "{said:?}");
    let (short, said) = divided("search.budget_seconds=10.0", NOTHING);
    assert_eq!(short[2].1, "1");
    assert!(said[1].starts_with("TimeIsShort { budget_seconds: 10.0, images: 3600"), "{said:?}");
    // What is asked for stays: the share, and a limit that is lower.
    let (asked, _) = divided("search.budget_seconds=36000.0", &|key| key == "final.");
    assert_eq!(asked.len(), 1);
    let limited = settings(&["limits.train_microseconds=7", "search.budget_seconds=36000.0"]);
    let mut seen = Notices::default();
    let asked = with_planning(1.0, |planning| {
        planning.divide(&limited, &images(3_000, 32), &|key| key.starts_with("limits"), &mut seen)
    });
    assert_eq!(asked.unwrap()[0].1, "7");
}

#[test]
fn a_space_that_is_none_is_refused_with_what_is_wrong() {
    let error = search_space(&settings(&[]), MapShape::new(3, 32, 32), 0).unwrap_err();
    assert!(matches!(error, RunError::Space(_)), "{error:?}");
    assert!(error.to_string().starts_with("the search space is not valid: "), "{error}");
}
