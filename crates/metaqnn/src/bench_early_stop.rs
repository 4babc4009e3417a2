//! `metaqnn bench early-stop`: early stopping on recorded learning curves.

use anyhow::{Context, Result};
use metaqnn_core::benchmark::{RecordedCurves, StopReplay, TOP, replay_early_stopping};
use metaqnn_core::early_stopping::{PredictionSettings, RankSettings, RuleSettings};
use rayon::prelude::*;
use serde_json::json;

use crate::arguments::{BenchEarlyStopArguments, StopRuleName};
use crate::bench_agent::{mean_and_error, read};
use crate::display;

/// Replays the curves in every order and prints what came of them.
pub(crate) fn run(arguments: &BenchEarlyStopArguments) -> Result<i32> {
    let path = &arguments.curves;
    let recorded = RecordedCurves::from_csv(&read(path)?).with_context(|| path.display().to_string())?;
    if recorded.without_accuracies > 0 {
        let rows = display::count(recorded.without_accuracies as u64, "row");
        eprintln!("warning: {}: {rows} without any accuracy left out", path.display());
    }
    if recorded.percents {
        eprintln!("{}: accuracies above 1 are there, so all are taken for percents", path.display());
    }
    let settings = settings(arguments);
    let orders = (0..u64::from(arguments.orders)).into_par_iter();
    let replays: Vec<StopReplay> =
        orders.map(|order| replay_early_stopping(&recorded.curves, &settings, arguments.seed, order)).collect();
    let [speedup, speedup_error] = mean_and_error(&figures(&replays, StopReplay::speedup));
    let [regret, _] = mean_and_error(&figures(&replays, |replay| replay.regret));
    let kept: Vec<u64> = replays.iter().map(|replay| replay.kept_top).collect();
    let curves = recorded.curves.len();
    if arguments.json {
        let line = json!({
            "curves": curves, "orders": arguments.orders, "speedup": speedup, "kept_top10": kept, "regret": regret,
            "left_out": recorded.without_accuracies, "seed": arguments.seed, "settings": settings,
        });
        println!("{line}");
        return Ok(0);
    }
    println!("{:>5} {:>9} {:>9} {:>8} {:>9} {:>8}", "order", "epochs", "speed-up", "stopped", "kept", "regret");
    let top = TOP.min(curves);
    for (order, replay) in (1..).zip(&replays) {
        println!(
            "{order:>5} {:>9} {:>9.2} {:>8} {:>9} {:>8.4}",
            replay.epochs,
            replay.speedup(),
            replay.stopped,
            format!("{} of {top}", replay.kept_top),
            replay.regret
        );
    }
    let full = replays.first().map_or(0, |replay| replay.full_epochs);
    let whole = kept.iter().filter(|kept| **kept == top as u64).count();
    println!(
        "{curves} curves of {full} epochs: {speedup:.2} (±{speedup_error:.2}) times fewer epochs, the {top} best all kept in {whole} of {}, regret {regret:.4}",
        display::count(arguments.orders.into(), "order")
    );
    Ok(0)
}

fn figures(replays: &[StopReplay], figure: impl Fn(&StopReplay) -> f64) -> Vec<f64> {
    replays.iter().map(figure).collect()
}

fn settings(arguments: &BenchEarlyStopArguments) -> RuleSettings {
    match arguments.rule {
        StopRuleName::Off => RuleSettings::Off,
        StopRuleName::Prediction => {
            let usual = PredictionSettings::default();
            RuleSettings::Prediction(PredictionSettings {
                probability: arguments.delta.unwrap_or(usual.probability),
                full_curves: arguments.full_curves.map_or(usual.full_curves, |n| n as usize),
                best: arguments.best.map_or(usual.best, |n| n as usize),
                ..usual
            })
        }
        StopRuleName::Rank => {
            let usual = RankSettings::default();
            let mut epochs = arguments
                .rungs
                .as_ref()
                .map_or(usual.epochs, |rungs| rungs.iter().map(|&epoch| epoch as usize).collect());
            epochs.sort_unstable();
            epochs.dedup();
            RuleSettings::Rank(RankSettings { share: arguments.share.unwrap_or(usual.share), epochs, ..usual })
        }
    }
}
