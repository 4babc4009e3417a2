//! Early stopping on the recorded curves.

use std::io::Read;

use flate2::read::GzDecoder;
use metaqnn_core::benchmark::{RecordedCurves, StopReplay, replay_early_stopping};
use metaqnn_core::early_stopping::{LearningCurve, PredictionSettings, RankSettings, RuleSettings};

fn recorded() -> Vec<LearningCurve> {
    let mut text = String::new();
    let bytes: &[u8] = include_bytes!("../data/metaqnn_cifar10.csv.gz");
    GzDecoder::new(bytes).read_to_string(&mut text).expect("a text");
    let read = RecordedCurves::from_csv(&text).expect("curves");
    assert_eq!((read.curves.len(), read.without_accuracies, read.percents), (1000, 0, false));
    read.curves
}

fn replays(curves: &[LearningCurve], settings: &RuleSettings, orders: u64) -> Vec<StopReplay> {
    (0..orders).map(|order| replay_early_stopping(curves, settings, 1, order)).collect()
}

fn prediction() -> RuleSettings {
    RuleSettings::Prediction(PredictionSettings::default())
}

#[test]
fn four_times_fewer_epochs_keep_the_ten_best() {
    let replays = replays(&recorded(), &prediction(), 4);
    for replay in &replays {
        assert!(replay.speedup() > 4.0, "{replay:?}");
    }
    let whole = replays.iter().filter(|replay| replay.kept_top == 10).count();
    assert!(whole >= 3, "{replays:?}");
}

#[test]
fn the_scale_of_the_accuracies_does_not_matter() {
    let curves = recorded();
    let scaled: Vec<LearningCurve> = curves
        .iter()
        .map(|curve| {
            let accuracies = curve.accuracies.iter().map(|it| it.map(|accuracy| 0.5 * accuracy)).collect();
            LearningCurve { accuracies, ..curve.clone() }
        })
        .collect();
    let (a, b) =
        (replay_early_stopping(&curves, &prediction(), 3, 0), replay_early_stopping(&scaled, &prediction(), 3, 0));
    assert_eq!((a.epochs, a.kept_top), (b.epochs, b.kept_top));
}

#[test]
fn fewer_epochs_missing_values_and_unknown_networks_do_no_harm() {
    let shorter: Vec<LearningCurve> = recorded()
        .into_iter()
        .enumerate()
        .map(|(i, curve)| {
            let mut accuracies = curve.accuracies[..10].to_vec();
            accuracies[i % 9] = None;
            LearningCurve { accuracies, network: Default::default() }
        })
        .collect();
    let replay = replay_early_stopping(&shorter, &prediction(), 1, 0);
    assert!(replay.speedup() > 2.5 && replay.kept_top >= 9, "{replay:?}");
}

#[test]
fn without_a_rule_nothing_is_stopped() {
    let replay = replay_early_stopping(&recorded(), &RuleSettings::Off, 1, 0);
    assert_eq!((replay.epochs, replay.stopped, replay.kept_top, replay.regret), (20_000, 0, 10, 0.0));
}

#[test]
fn by_rank_fewer_epochs_are_trained_too() {
    let replays = replays(&recorded(), &RuleSettings::Rank(RankSettings::default()), 2);
    for replay in &replays {
        assert!(replay.speedup() > 4.0 && replay.regret < 0.02, "{replay:?}");
    }
}
