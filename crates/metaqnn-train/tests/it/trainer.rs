//! The restart rule, losses that are not finite, and trainings that were cut off.

use std::time::Duration;

use metaqnn_core::graph::{Graph, MapShape};
use metaqnn_core::ports::TrainingProgress;
use metaqnn_core::settings::{Optimizer, RestartSettings, TrainingSettings};
use metaqnn_core::study::Failure;
use metaqnn_data::{Augmentation, LabelledImages, Normalizer, Preprocessing};
use metaqnn_train::{TimeLimit, Training, TrainingEnd, TrainingTask, parse_device, train};

use crate::settings::{light_and_dark, plain};

const RESTART: RestartSettings = RestartSettings {
    tries: 3,
    factor: 0.1,
    margin: 0.05,
    scale_margin: false,
    min_steps: 0,
    loss_steps: 0,
    loss_margin: 0.0,
};

/// Trains on images that are easy to tell apart; also gives the learning rates of the restarts.
fn run(settings: &TrainingSettings, train_images: &LabelledImages, valid: &LabelledImages) -> (Training, Vec<f64>) {
    run_within(None, settings, train_images, valid)
}

fn run_within(
    time_limit: Option<TimeLimit>,
    settings: &TrainingSettings,
    train_images: &LabelledImages,
    valid: &LabelledImages,
) -> (Training, Vec<f64>) {
    let architecture = "[C(4,3,1), SM(2)]".parse().unwrap();
    let graph = Graph::new(&architecture, MapShape::new(1, 6, 6), settings.network_options()).unwrap();
    let mut rates = Vec::new();
    let task = TrainingTask {
        graph: &graph,
        settings,
        train: train_images,
        valid: Some(valid),
        normalizer: &Normalizer::fit(Preprocessing::Standardize, train_images, 255),
        augmentation: None,
        seed: 1,
        stop: None,
        time_limit,
        epochs: None,
        checkpoint: None,
        device: &parse_device("cpu").unwrap(),
    };
    let training = train(&task, &mut |progress| {
        if let TrainingProgress::Restart { learning_rate, .. } = progress {
            rates.push(learning_rate);
        }
    })
    .unwrap();
    (training, rates)
}

fn mislabelled(n: usize) -> LabelledImages {
    let mut images = light_and_dark(n);
    images.labels.iter_mut().for_each(|label| *label = 1 - *label);
    images
}

/// Dropout, batch normalization, augmentation and a restart: all that draws random numbers or keeps a state.
#[test]
fn a_training_that_was_cut_off_after_any_epoch_goes_on_to_the_same_bits() {
    let folder = std::env::temp_dir().join(format!("metaqnn-trainer-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.checkpoint");
    let momentum = Optimizer::Sgd { momentum: 0.9, nesterov: false };
    for optimizer in [plain().optimizer, momentum] {
        let settings =
            TrainingSettings { optimizer, max_dropout: 0.5, batch_norm: true, epochs: 4, restart: RESTART, ..plain() };
        let architecture = "[C(4,3,1), P(2,2), C(4,3,1), SM(2)]".parse().unwrap();
        let graph = Graph::new(&architecture, MapShape::new(1, 6, 6), settings.network_options()).unwrap();
        let (images, valid) = (light_and_dark(200), light_and_dark(64));
        let normalizer = Normalizer::fit(Preprocessing::Standardize, &images, 255);
        let device = parse_device("cpu").unwrap();
        let whole = TrainingTask {
            graph: &graph,
            settings: &settings,
            train: &images,
            valid: Some(&valid),
            normalizer: &normalizer,
            augmentation: Some(Augmentation { mirror: true, shift: 1, ..Augmentation::default() }),
            seed: 1,
            stop: None,
            time_limit: None,
            epochs: Some(6),
            checkpoint: None,
            device: &device,
        };
        let expected = train(&whole, &mut |_| {}).unwrap();
        assert_eq!(expected.epochs, 6);
        let kept = TrainingTask { checkpoint: Some(&path), ..whole.clone() };
        for last in 1..6 {
            let _ = std::fs::remove_file(&path);
            // A panic ends the training within the epoch after `last`, as a kill would.
            let cut_off = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                train(&kept, &mut |progress| {
                    let TrainingProgress::Epoch { point } = progress else { return };
                    assert!(point.epoch <= last, "cut off");
                })
            }));
            assert!(cut_off.is_err());
            let mut epochs = Vec::new();
            let resumed = train(&kept, &mut |progress| {
                if let TrainingProgress::Epoch { point } = progress {
                    epochs.push(point.epoch);
                }
            })
            .unwrap();
            assert_eq!(epochs, (last + 1..=6).collect::<Vec<_>>());
            assert_eq!((&resumed.curve, resumed.epochs), (&expected.curve, 6));
            assert!(resumed.learner.to_safetensors().unwrap() == expected.learner.to_safetensors().unwrap());
        }
        // Of another training it is not used.
        let reported = |task: &TrainingTask<'_>| {
            let mut points = Vec::new();
            train(task, &mut |progress| {
                if let TrainingProgress::Epoch { point } = progress {
                    points.push(point);
                }
            })
            .unwrap();
            points
        };
        assert!(path.exists());
        let other = TrainingTask { seed: 2, ..kept.clone() };
        assert_eq!(reported(&other), reported(&TrainingTask { checkpoint: None, ..other.clone() }));
    }
    std::fs::remove_dir_all(&folder).unwrap();
    let lost = folder.join("a.checkpoint");
    let settings = plain();
    let graph = Graph::new(&"[SM(2)]".parse().unwrap(), MapShape::new(1, 6, 6), settings.network_options()).unwrap();
    let images = light_and_dark(64);
    let task = TrainingTask {
        graph: &graph,
        settings: &settings,
        train: &images,
        valid: Some(&images),
        normalizer: &Normalizer::fit(Preprocessing::Standardize, &images, 255),
        augmentation: None,
        seed: 1,
        stop: None,
        time_limit: None,
        epochs: None,
        checkpoint: Some(&lost),
        device: &parse_device("cpu").unwrap(),
    };
    let error = train(&task, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("could not be kept"), "{error}");
}

/// Under a time limit as well a training goes on after its last finished epoch, and the time before counts as it should.
#[test]
fn a_training_with_a_time_limit_goes_on_after_a_kill() {
    let folder = std::env::temp_dir().join(format!("metaqnn-time-limit-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let path = folder.join("a.checkpoint");
    let settings = plain();
    let graph = Graph::new(&"[C(4,3,1), SM(2)]".parse().unwrap(), MapShape::new(1, 6, 6), settings.network_options());
    let graph = graph.unwrap();
    let images = light_and_dark(4_000);
    let normalizer = Normalizer::fit(Preprocessing::Standardize, &images, 255);
    let device = parse_device("cpu").unwrap();
    let half_a_second = Duration::from_millis(500);
    for limit in [TimeLimit::InAll(2 * half_a_second), TimeLimit::FromNow(half_a_second)] {
        let _ = std::fs::remove_file(&path);
        let task = TrainingTask {
            graph: &graph,
            settings: &settings,
            train: &images,
            valid: None,
            normalizer: &normalizer,
            augmentation: None,
            seed: 1,
            stop: None,
            time_limit: Some(limit),
            epochs: None,
            checkpoint: Some(&path),
            device: &device,
        };
        // Killed in the epoch after the one that is over at four tenths of a second.
        let begin = std::time::Instant::now();
        let mut done = 0;
        let cut_off = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            train(&task, &mut |progress| {
                let TrainingProgress::Epoch { point } = progress else { return };
                assert!(begin.elapsed() < Duration::from_millis(400), "cut off");
                done = point.epoch;
            })
        }));
        assert!(cut_off.is_err() && done > 0, "{done} epochs");
        let begin = std::time::Instant::now();
        let training = train(&task, &mut |_| {}).unwrap();
        let [now, in_all] = [begin.elapsed(), training.elapsed].map(|time| time.as_secs_f64());
        assert_eq!(training.curve.len() as u32, training.epochs);
        assert!(training.epochs > done + 1, "{} epochs after {done}", training.epochs);
        // Some of the four tenths may be lost with the epoch that was cut off.
        match limit {
            TimeLimit::InAll(_) => assert!((0.9..2.5).contains(&in_all) && now < in_all - 0.1, "{now} of {in_all}"),
            TimeLimit::FromNow(_) => assert!((0.4..2.0).contains(&now) && now < in_all - 0.1, "{now} of {in_all}"),
            TimeLimit::AtMost(_) => unreachable!("not tried here"),
        }
    }
    std::fs::remove_dir_all(&folder).unwrap();
}

#[test]
fn a_training_that_may_take_only_so_long_hurries_to_its_end_or_is_as_without_a_limit() {
    let (images, valid) = (light_and_dark(256), light_and_dark(64));
    let settings = TrainingSettings { restart: RESTART, ..plain() };
    let run = |settings: &TrainingSettings, limit| run_within(limit, settings, &images, &valid).0;
    let free = run(&settings, None);
    let limited = run(&settings, Some(TimeLimit::AtMost(Duration::from_secs(600))));
    assert_eq!(free.curve, limited.curve, "there is time enough");
    let endless = TrainingSettings { epochs: 1_000_000, ..settings };
    let begin = std::time::Instant::now();
    let cut = run(&endless, Some(TimeLimit::AtMost(Duration::from_millis(400))));
    assert!(begin.elapsed() < Duration::from_secs(3), "{:?}", begin.elapsed());
    assert!(cut.end == TrainingEnd::Complete && cut.epochs > 1 && cut.epochs < 1_000_000, "{} epochs", cut.epochs);
}

#[test]
fn easy_images_are_learned_at_the_first_try() {
    let settings = TrainingSettings { restart: RESTART, ..plain() };
    let (training, rates) = run(&settings, &light_and_dark(256), &light_and_dark(64));
    assert_eq!((training.end, training.tries, training.epochs), (TrainingEnd::Complete, 1, 2));
    assert_eq!(training.best_valid_accuracy.unwrap().value(), 1.0);
    assert!(rates.is_empty());
}

#[test]
fn what_stays_no_better_than_chance_is_begun_again_and_then_fails() {
    // Validation labels are the wrong way round, so the better it learns, the worse it does.
    let settings = TrainingSettings { restart: RESTART, epochs: 5, ..plain() };
    let (training, rates) = run(&settings, &light_and_dark(256), &mislabelled(64));
    assert!(matches!(training.end, TrainingEnd::Failed(Failure::FailedToLearn { tries: 3, .. })), "{training:?}");
    // One epoch a try.
    assert_eq!((training.tries, training.epochs, training.curve.len()), (3, 3, 1));
    assert_eq!(rates.len(), 2);
    assert!((rates[0] - 0.0003).abs() < 1e-12 && (rates[1] - 0.00003).abs() < 1e-12, "{rates:?}");
}

#[test]
fn the_rule_waits_for_its_steps() {
    // 8 steps an epoch.
    for (min_steps, epochs_a_try) in [(0, 1), (8, 1), (9, 2), (16, 2), (20, 3), (1_000, 5)] {
        let restart = RestartSettings { tries: 2, min_steps, ..RESTART };
        let settings = TrainingSettings { restart, epochs: 5, ..plain() };
        let (training, _) = run(&settings, &light_and_dark(256), &mislabelled(64));
        assert_eq!(training.epochs, 2 * epochs_a_try, "{min_steps} steps");
        assert!(matches!(training.end, TrainingEnd::Failed(Failure::FailedToLearn { tries: 2, .. })));
    }
}

#[test]
fn a_training_loss_of_guessing_ends_the_try_within_its_first_epoch() {
    // 8 steps an epoch. With so small a learning rate nothing is learned.
    let restart = |loss_steps| RestartSettings { loss_steps, ..RESTART };
    let settings = |loss_steps| TrainingSettings { restart: restart(loss_steps), learning_rate: 1e-9, ..plain() };
    let (training, rates) = run(&settings(6), &light_and_dark(256), &mislabelled(64));
    let TrainingEnd::Failed(Failure::LossOfGuessing { loss, guessing, steps: 6, tries: 3 }) = training.end else {
        panic!("{training:?}")
    };
    assert!((guessing - 2_f64.ln()).abs() < 1e-12 && loss > guessing, "{loss}");
    assert_eq!((training.tries, training.epochs, training.curve.len(), rates.len()), (3, 3, 0, 2));
    // An epoch ends no later: its accuracy is looked at instead.
    let (training, _) = run(&settings(8), &light_and_dark(256), &mislabelled(64));
    assert!(matches!(training.end, TrainingEnd::Failed(Failure::FailedToLearn { tries: 3, .. })), "{training:?}");
    // What learns goes on, unless more is asked of it than it can do.
    for (loss_margin, tries) in [(0.0, 1), (0.69, 3)] {
        let restart = RestartSettings { loss_margin, ..restart(6) };
        let settings = TrainingSettings { restart, ..plain() };
        let (training, _) = run(&settings, &light_and_dark(256), &light_and_dark(64));
        assert_eq!((training.tries, training.end == TrainingEnd::Complete), (tries, tries == 1), "{training:?}");
    }
}

#[test]
fn a_loss_that_is_not_finite_ends_the_try() {
    let settings = TrainingSettings {
        optimizer: Optimizer::Sgd { momentum: 0.0, nesterov: false },
        learning_rate: 1e30,
        restart: RestartSettings { tries: 1, ..RESTART },
        ..plain()
    };
    let (training, _) = run(&settings, &light_and_dark(256), &light_and_dark(64));
    assert_eq!(training.end, TrainingEnd::Failed(Failure::LossNotFinite { epoch: 1 }));

    // The third try has a learning rate to live with.
    let restart = RestartSettings { tries: 3, factor: 1e-16, ..RESTART };
    let settings = TrainingSettings { restart, epochs: 5, ..settings };
    let (training, rates) = run(&settings, &light_and_dark(256), &light_and_dark(64));
    assert_eq!((training.tries, rates.len()), (3, 2), "{training:?}");
    assert!(!matches!(training.end, TrainingEnd::Failed(Failure::LossNotFinite { .. })), "{training:?}");
}

#[test]
fn the_reward_is_the_best_accuracy_at_the_end_of_an_epoch() {
    // A threshold that only the last epochs pass, and a look at the rule between two epochs of 8 steps.
    let restart = RestartSettings { tries: 1, margin: 0.4, min_steps: 20, ..RESTART };
    let settings = TrainingSettings { restart, epochs: 5, learning_rate: 0.001, ..plain() };
    let (training, _) = run(&settings, &light_and_dark(256), &light_and_dark(64));
    let best = training.curve.iter().map(|point| point.valid_accuracy).fold(0.0, f64::max);
    assert_eq!(training.best_valid_accuracy.map(|accuracy| accuracy.value()), Some(best), "{training:?}");
}
