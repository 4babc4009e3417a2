//! `metaqnn bench early-stop`: early stopping on recorded learning curves.

use std::path::PathBuf;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use metaqnn_core::benchmark::{RecordedCurves, StopReplay, TOP, replay_early_stopping};
use metaqnn_core::early_stopping::{PredictionSettings, RankSettings, RuleSettings};
use rayon::prelude::*;
use serde_json::json;

use super::agent::{mean_and_error, read};
use crate::show;

#[derive(Args)]
pub(crate) struct BenchEarlyStopArguments {
    /// Recorded learning curves.
    #[arg(long, value_name = "FILE.csv")]
    pub(crate) curves: PathBuf,
    /// How trainings are stopped.
    #[arg(long, value_name = "off|prediction|rank", default_value = "prediction")]
    pub(crate) rule: StopRuleName,
    /// prediction: stop where the final accuracy is not among the best with at least this probability [default: 0.99].
    #[arg(long, value_name = "PROBABILITY", value_parser = parse_probability)]
    pub(crate) delta: Option<f64>,
    /// prediction: trainings that go to their end before any is stopped [default: 30].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(2..=1_000_000))]
    pub(crate) full_curves: Option<u32>,
    /// prediction: a training goes on while it may get among so many best ones; 1: it must beat the best, as published [default: 10].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) best: Option<u32>,
    /// rank: at each rung a training must not be behind this share of those before it [default: 0.5].
    #[arg(long, value_name = "SHARE", value_parser = parse_probability)]
    pub(crate) share: Option<f64>,
    /// rank: the epochs after which trainings are compared [default: 1,2,4,8,…].
    #[arg(long, value_name = "EPOCH,EPOCH", value_delimiter = ',', value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) rungs: Option<Vec<u32>>,
    /// Random orders.
    #[arg(long, value_name = "N", default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) orders: u32,
    /// Seed of the orders.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A rule of early stopping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StopRuleName {
    /// Every training goes to its end.
    Off,
    /// By the predicted final accuracy.
    Prediction,
    /// By rank among those that got as far.
    Rank,
}

fn parse_probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number < 1.0 => Ok(number),
        _ => Err("a number between 0 and 1, for example 0.95".into()),
    }
}

/// Replays the curves in every order and prints what came of them.
pub(crate) fn run(arguments: &BenchEarlyStopArguments) -> Result<i32> {
    let path = &arguments.curves;
    let recorded = RecordedCurves::from_csv(&read(path)?).with_context(|| path.display().to_string())?;
    if recorded.without_accuracies > 0 {
        let rows = show::count(recorded.without_accuracies as u64, "row");
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
        show::count(arguments.orders.into(), "order")
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
