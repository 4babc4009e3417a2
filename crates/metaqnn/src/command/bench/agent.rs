//! `metaqnn bench agent`: agents against known rewards, without training.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use clap::Args;
use flate2::read::GzDecoder;
use metaqnn_core::agent::{AgentName, AgentSettings, EpsilonSchedule, Reward, new_agent};
use metaqnn_core::benchmark::{ArchitectureTable, Surrogate, Tried, replay};
use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::{self, Preset, Settings};
use metaqnn_core::space::{BuildAction, SearchSpace, SpaceSettings};
use rayon::prelude::*;
use serde_json::{Value, json};

use crate::setup;

#[derive(Args)]
pub(crate) struct BenchAgentArguments {
    #[command(flatten)]
    pub(crate) against: Against,
    #[arg(long, value_name = "NAME,NAME", help = AgentName::all_names(), value_delimiter = ',', default_value = "default")]
    pub(crate) agents: Vec<String>,
    /// Different networks that each search tries.
    #[arg(long, value_name = "N", default_value_t = 300, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(crate) models: u32,
    /// Searches of each agent.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub(crate) seeds: u32,
    /// With a surrogate: whether rewards have the noise of a training.
    #[arg(long, value_name = "0|1", default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    pub(crate) noise: u8,
    /// One setting, for example agent.evolution.sample_size=10; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Searches at once; 0: one a core. The figures do not depend on it.
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u32).range(..=1024))]
    pub(crate) threads: u32,
    /// One JSON object an agent.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What agents are measured against.
#[derive(Args)]
#[group(id = "against", required = true, multiple = false)]
pub(crate) struct Against {
    /// A table of every network of a small space with its accuracies.
    #[arg(long, value_name = "FILE")]
    pub(crate) table: Option<PathBuf>,
    /// A reward model of the paper's space.
    #[arg(long, value_name = "FILE")]
    pub(crate) surrogate: Option<PathBuf>,
}

/// Models after which the figures are taken; and at the end.
const MILESTONES: [usize; 7] = [10, 25, 50, 100, 150, 200, 300];

/// The images of the space that a surrogate speaks of, and their classes.
const SURROGATE_INPUT: MapShape = MapShape::new(3, 32, 32);
const SURROGATE_CLASSES: u32 = 10;

/// What an agent searches.
enum Subject {
    Table(Box<ArchitectureTable>),
    Surrogate { surrogate: Box<Surrogate>, space: Box<SearchSpace>, noise: f64 },
}

/// An agent as it is measured.
struct Candidate {
    /// As it was asked for.
    text: String,
    name: AgentName,
    settings: AgentSettings,
    schedule: EpsilonSchedule,
}

/// What one search gave.
#[derive(Default)]
struct Search {
    /// By the number of models: regret in a table; highest reward and the accuracy of that model on a surrogate.
    at: BTreeMap<usize, [f64; 2]>,
    /// ε and reward of each model.
    rewards: Vec<(f64, f64)>,
    failed: usize,
}

/// Runs every agent with every seed and prints a line an agent.
pub(crate) fn run(arguments: &BenchAgentArguments) -> Result<i32> {
    let subject = subject(arguments)?;
    let candidates = arguments.agents.iter().map(|name| candidate(name, arguments)).collect::<Result<Vec<_>>>()?;
    let threads = rayon::ThreadPoolBuilder::new().num_threads(arguments.threads as usize).build()?;
    for candidate in &candidates {
        let seeds = (0..u64::from(arguments.seeds)).into_par_iter();
        let searches: Vec<Search> =
            threads.install(|| seeds.map(|seed| search(&subject, candidate, arguments, seed)).collect());
        let line = match (&subject, arguments.json) {
            (Subject::Table(_), true) => table_json(candidate, arguments, &searches),
            (Subject::Surrogate { .. }, true) => surrogate_json(candidate, arguments, &searches),
            (_, false) => words(&subject, candidate, &searches),
        };
        println!("{line}");
    }
    Ok(0)
}

fn subject(arguments: &BenchAgentArguments) -> Result<Subject> {
    if let Some(path) = &arguments.against.table {
        let text = read(path)?;
        let is_json = text.trim_start().starts_with('{');
        let table =
            if is_json { ArchitectureTable::from_macro_json(&text) } else { ArchitectureTable::from_csv(&text) };
        return Ok(Subject::Table(Box::new(table.with_context(|| path.display().to_string())?)));
    }
    let path = arguments.against.surrogate.as_ref().context("--table or --surrogate must be given")?;
    let surrogate = Surrogate::from_json(&read(path)?).with_context(|| path.display().to_string())?;
    let paper = Settings::from_toml(&Preset::Paper.document("")?.to_string())?;
    let space = SpaceSettings { max_layers: surrogate.limit, ..paper.space.clone() };
    let settings = Settings { space, ..paper };
    let space =
        setup::space(&settings, SURROGATE_INPUT, SURROGATE_CLASSES).with_context(|| path.display().to_string())?;
    let noise = f64::from(arguments.noise);
    Ok(Subject::Surrogate { surrogate: Box::new(surrogate), space: Box::new(space), noise })
}

/// The text of a file, gzipped or not.
pub(crate) fn read(path: &Path) -> Result<String> {
    let bytes = std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
    let mut text = String::new();
    let read = if bytes.starts_with(&[0x1f, 0x8b]) {
        GzDecoder::new(bytes.as_slice()).read_to_string(&mut text)
    } else {
        bytes.as_slice().read_to_string(&mut text)
    };
    read.with_context(|| format!("{} is not a text", path.display()))?;
    Ok(text)
}

/// The published agent as it was published, its schedule scaled to the models; the others as the quick preset has them.
fn candidate(text: &str, arguments: &BenchAgentArguments) -> Result<Candidate> {
    let read = |preset: Preset| -> Result<Settings> {
        let mut document = preset.document("")?;
        settings::set(&mut document, &format!("search.agent={text:?}"))?;
        for assignment in &arguments.set {
            settings::set(&mut document, assignment).with_context(|| format!("--set {assignment}"))?;
        }
        Ok(Settings::from_toml(&document.to_string())?)
    };
    let mut settings = read(Preset::Quick)?;
    if settings.search.agent == AgentName::Paper {
        settings = read(Preset::Paper)?;
    }
    let schedule = settings.agent.epsilon_schedule.scaled(arguments.models.into());
    Ok(Candidate { text: text.to_string(), name: settings.search.agent, settings: settings.agent, schedule })
}

fn search(subject: &Subject, candidate: &Candidate, arguments: &BenchAgentArguments, seed: u64) -> Search {
    let models = arguments.models as usize;
    let epsilon = |models: usize| match candidate.name {
        AgentName::Random => 1.0,
        _ => candidate.schedule.epsilon(models as u64, models as f64 / f64::from(arguments.models)),
    };
    match subject {
        Subject::Table(table) => {
            let column = (seed % table.reward_columns() as u64) as usize;
            let mut agent = new_agent::<ArchitectureTable>(candidate.name, &candidate.settings);
            let design = |actions: &[char]| table.design(&actions.iter().collect::<String>());
            // Every trajectory of the process is a row of the table.
            let reward = |actions: &[char]| Reward::Learned(table.reward(actions, column).unwrap_or(0.0));
            let tried = replay(table.as_ref(), agent.as_mut(), models, seed, epsilon, design, reward);
            let regret = |actions: &[char]| table.test(actions).map_or(f64::NAN, |test| table.best_test() - test);
            summary(&tried, models, |best| [regret(&best.actions), 0.0])
        }
        Subject::Surrogate { surrogate, space, noise } => {
            let mut agent = new_agent::<SearchSpace>(candidate.name, &candidate.settings);
            let architecture = |actions: &[BuildAction]| space.architecture(actions).ok();
            let reward = |actions: &[BuildAction]| {
                // Agents propose what is legal.
                architecture(actions).map_or(Reward::Failed(0.0), |it| surrogate.reward(&it, seed, *noise))
            };
            let tried = replay(space.as_ref(), agent.as_mut(), models, seed, epsilon, architecture, reward);
            let accuracy =
                |actions: &[BuildAction]| architecture(actions).map_or(f64::NAN, |it| surrogate.expect(&it).accuracy);
            summary(&tried, models, |best| [best.reward.value(), accuracy(&best.actions)])
        }
    }
}

/// What became of the tried models; `figures` of the best of the first ones.
fn summary<A>(tried: &[Tried<A>], models: usize, figures: impl Fn(&Tried<A>) -> [f64; 2]) -> Search {
    let mut search = Search::default();
    let milestones = MILESTONES.into_iter().filter(|&n| n < models).chain([models]);
    for n in milestones {
        // Of equals the first.
        let best = tried.iter().take(n).rev().max_by(|a, b| a.reward.value().total_cmp(&b.reward.value()));
        if let Some(best) = best {
            search.at.insert(n, figures(best));
        }
    }
    search.rewards = tried.iter().map(|one| (one.epsilon, one.reward.value())).collect();
    search.failed = tried.iter().filter(|one| matches!(one.reward, Reward::Failed(_))).count();
    search
}

/// Mean and standard error.
pub(crate) fn mean_and_error(values: &[f64]) -> [f64; 2] {
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    [mean, if values.len() > 1 { (squares / (n - 1.0) / n).sqrt() } else { 0.0 }]
}

/// Mean and standard error over the searches, by the number of models.
fn by_models(searches: &[Search], figure: usize) -> BTreeMap<usize, [f64; 2]> {
    let milestones = searches.first().map(|search| search.at.keys().copied().collect::<Vec<_>>()).unwrap_or_default();
    let values = |n| searches.iter().filter_map(|search| search.at.get(&n)).map(|at| at[figure]).collect::<Vec<f64>>();
    milestones.into_iter().map(|n| (n, mean_and_error(&values(n)))).collect()
}

/// The same as JSON, the numbers of models being its keys.
fn object(figures: &BTreeMap<usize, [f64; 2]>) -> Value {
    figures.iter().map(|(n, figure)| (n.to_string(), json!(figure))).collect::<serde_json::Map<_, _>>().into()
}

fn table_json(candidate: &Candidate, arguments: &BenchAgentArguments, searches: &[Search]) -> String {
    json!({
        "agent": candidate.text, "table": arguments.against.table, "seeds": arguments.seeds,
        "regret": object(&by_models(searches, 0)),
    })
    .to_string()
}

fn surrogate_json(candidate: &Candidate, arguments: &BenchAgentArguments, searches: &[Search]) -> String {
    let epsilons: Vec<Value> = by_epsilon(searches)
        .into_iter()
        .map(|(epsilon, [mean, error])| json!({ "epsilon": epsilon, "mean_reward": mean, "standard_error": error }))
        .collect();
    json!({
        "agent": candidate.text, "surrogate": arguments.against.surrogate, "seeds": arguments.seeds,
        "noise": arguments.noise, "best_reward": object(&by_models(searches, 0)),
        "best_accuracy": object(&by_models(searches, 1)), "mean_reward": mean_reward(searches),
        "failed": failed(searches), "by_epsilon": epsilons,
    })
    .to_string()
}

fn models(searches: &[Search]) -> f64 {
    searches.iter().map(|search| search.rewards.len()).sum::<usize>().max(1) as f64
}

fn mean_reward(searches: &[Search]) -> f64 {
    searches.iter().flat_map(|search| &search.rewards).map(|(_, reward)| reward).sum::<f64>() / models(searches)
}

fn failed(searches: &[Search]) -> f64 {
    searches.iter().map(|search| search.failed).sum::<usize>() as f64 / models(searches)
}

/// Mean reward of the models at each ε, highest ε first, with its standard error over the searches.
fn by_epsilon(searches: &[Search]) -> Vec<(f64, [f64; 2])> {
    let mut means: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for search in searches {
        let mut sums: BTreeMap<u64, (f64, f64)> = BTreeMap::new();
        for (epsilon, reward) in &search.rewards {
            // The bits of numbers that are not negative are in the numbers' order.
            let (sum, count) = sums.entry(epsilon.to_bits()).or_default();
            *sum += reward;
            *count += 1.0;
        }
        for (epsilon, (sum, count)) in sums {
            means.entry(epsilon).or_default().push(sum / count);
        }
    }
    means.into_iter().rev().map(|(epsilon, means)| (f64::from_bits(epsilon), mean_and_error(&means))).collect()
}

fn words(subject: &Subject, candidate: &Candidate, searches: &[Search]) -> String {
    let row = |what: &str, figure: usize| {
        let figures = by_models(searches, figure);
        let columns: Vec<String> =
            figures.iter().map(|(n, [mean, error])| format!("{n}: {mean:.3} ±{error:.3}")).collect();
        format!("{:<14} {what:<13} {}", candidate.text, columns.join("  "))
    };
    match subject {
        Subject::Table(_) => row("regret", 0),
        Subject::Surrogate { .. } => {
            let epsilons: Vec<String> = by_epsilon(searches)
                .iter()
                .map(|(epsilon, [mean, error])| format!("{epsilon}: {mean:.3} ±{error:.3}"))
                .collect();
            format!(
                "{}\n{}\n{:<14} {:<13} {}\n{:<14} mean reward {:.3}, failed {:.1} %",
                row("best reward", 0),
                row("its accuracy", 1),
                candidate.text,
                "by epsilon",
                epsilons.join("  "),
                candidate.text,
                mean_reward(searches),
                100.0 * failed(searches)
            )
        }
    }
}
