//! The command line of `metaqnn bench`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};
use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::Preset;

#[derive(Subcommand)]
pub(crate) enum BenchVerb {
    /// Lets agents search where every reward is known, without training.
    ///
    /// A table gives the regret after so many models: the best network's test accuracy less that of the network with the highest
    /// reward seen, mean and standard error over the seeds. Each seed has one column of rewards. A surrogate, a reward model of the paper's
    /// search space, gives the highest reward seen and what that network's accuracy is without noise. `paper` has the settings of the paper preset with
    /// its schedule of epsilon scaled to the models (2,700 models: as published); the others have those of the quick preset.
    #[command(
        after_help = "Tables: NAS-Bench-Macro's JSON, or CSV with the columns architecture (one character an operation, all of one length), one or more\nwhose names begin with reward, and test; gzipped or not.\n\nExamples:\n  metaqnn bench agent --table nas-bench-macro_cifar10.json.gz --agents default,random,evolution --models 300 --seeds 100\n  metaqnn bench agent --surrogate surrogate-cifar10.json.gz --agents default --models 300 --seeds 30 --noise 0 --json\n  metaqnn bench agent --surrogate surrogate-cifar10.json.gz --agents paper --models 2700 --seeds 10"
    )]
    Agent(BenchAgentArguments),
    /// Stops the trainings of recorded learning curves early: epochs saved, and whether the best networks are kept.
    ///
    /// The networks are trained in random orders. The speed-up is the epochs of all full trainings over those trained, the first
    /// full curves included; kept are those of the ten best, by the highest accuracy over their epochs, that are not stopped; the regret is
    /// the accuracy of the best network less that of the best one kept. docs/early-stopping.md explains the rules.
    #[command(
        after_help = "Curves: CSV, gzipped or not, its columns in any order: acc_1, acc_2, … (validation accuracy after each epoch) and, where they are known,\nnum_params, depth and lr. Values may be missing.\n\nExamples:\n  metaqnn bench early-stop --curves metaqnn_cifar10.csv.gz\n  metaqnn bench early-stop --curves metaqnn_cifar10.csv.gz --delta 0.95 --best 1 --full-curves 100 --json\n  metaqnn bench early-stop --curves metaqnn_cifar10.csv.gz --rule rank"
    )]
    EarlyStop(BenchEarlyStopArguments),
    /// The time of a training step (forward, backward, optimizer) on made-up images, without dropout.
    ///
    /// GFLOP/s and images a second are by wall time. GFLOP count the nominal operations: three times those of the forward
    /// pass with direct convolution, whatever the program computes instead.
    #[command(
        after_help = "Example: metaqnn bench train --arch '[C(64,3,1), P(2,2), C(128,3,1), GAP(10), SM(10)]' --input 1x28x28 --batch 128 --steps 5 --threads 1 --json"
    )]
    Train(BenchTrainArguments),
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

#[derive(Args)]
pub(crate) struct BenchAgentArguments {
    #[command(flatten)]
    pub(crate) against: Against,
    /// default, model-based, paper, random, evolution, local-search.
    #[arg(long, value_name = "NAME,NAME", value_delimiter = ',', default_value = "default")]
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

#[derive(Args)]
#[group(id = "networks", required = true, multiple = true)]
pub(crate) struct Networks {
    /// An architecture in the notation; may be given several times.
    #[arg(long, value_name = "ARCHITECTURE")]
    pub(crate) arch: Vec<String>,
    /// A list of networks, a line each: INPUT, tab, norm or plain (with or without batch normalization), tab, ARCHITECTURE; - for
    /// standard input.
    #[arg(long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct BenchTrainArguments {
    #[command(flatten)]
    pub(crate) networks: Networks,
    /// Shape of the images for --arch, CHANNELSxHEIGHTxWIDTH.
    #[arg(long, default_value = "3x32x32")]
    pub(crate) input: MapShape,
    /// Whether the networks of --arch have batch normalization [default: as the preset has it].
    #[arg(long, value_name = "on|off")]
    pub(crate) norm: Option<Switch>,
    /// Images a step [default: as the preset has it].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    pub(crate) batch: Option<u32>,
    /// Steps measured.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) steps: u32,
    /// Steps before the measured ones; the first makes the optimizer's state, and a GPU tunes its kernels in them.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) warm_up: u32,
    /// Threads.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: u32,
    /// Where the optimizer, the learning rate and the batch come from.
    #[arg(long, value_name = "quick|paper", default_value = "paper")]
    pub(crate) preset: Preset,
    /// Device.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Seed of weights, images and labels.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) seed: u64,
    /// One JSON object a network.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A choice between yes and no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Switch {
    /// Yes.
    On,
    /// No.
    Off,
}

fn parse_probability(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(number) if number > 0.0 && number < 1.0 => Ok(number),
        _ => Err("a number between 0 and 1, for example 0.95".into()),
    }
}
