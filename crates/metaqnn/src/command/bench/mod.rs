//! `metaqnn bench`: the measurements behind the claims of speed.

mod agent;
mod early_stop;
mod train;

use anyhow::Result;
use clap::Subcommand;

use self::agent::BenchAgentArguments;
use self::early_stop::BenchEarlyStopArguments;
use self::train::BenchTrainArguments;

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

/// Runs one of the measurements.
pub(crate) fn run(verb: &BenchVerb) -> Result<i32> {
    match verb {
        BenchVerb::Agent(arguments) => agent::run(arguments),
        BenchVerb::EarlyStop(arguments) => early_stop::run(arguments),
        BenchVerb::Train(arguments) => train::train(arguments),
    }
}
