//! The command line.

use std::net::{IpAddr, Ipv4Addr};
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::Preset;
use metaqnn_data::ImageSize;
use metaqnn_export::Format;

/// Designs convolutional neural networks by reinforcement learning (MetaQNN, Baker et al., ICLR 2017).
#[derive(Parser)]
#[command(version, after_help = "Example: metaqnn search --budget 2m")]
pub(crate) struct Arguments {
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Subcommand)]
pub(crate) enum Verb {
    /// Design networks for a data set.
    #[command(
        after_help = "Examples:\n  metaqnn search\n  metaqnn search mnist --budget 10m\n  metaqnn search ./my-images --size 32x32 --budget 10m\n  metaqnn search mnist --models 20 --set training.epochs=1 --json"
    )]
    Search(SearchArguments),
    /// Go on with a study where it stopped.
    #[command(after_help = "Example: metaqnn resume studies/digits-2026-01-31-1.study --budget 5m")]
    Resume(ResumeArguments),
    /// The best models of a study.
    #[command(after_help = "Example: metaqnn top studies/digits-2026-01-31-1.study -n 5")]
    Top(TopArguments),
    /// A study, or one trial of it with its learning curve.
    #[command(after_help = "Example: metaqnn show studies/digits-2026-01-31-1.study 17")]
    Show(ShowArguments),
    /// Every trial in the order in which the agent learned of it.
    #[command(
        after_help = "Examples:\n  metaqnn log studies/digits-2026-01-31-1.study --json\n  metaqnn log studies/digits-2026-01-31-1.study --events"
    )]
    Log(LogArguments),
    /// The Q-table: state, action, value, updates.
    #[command(after_help = "Example: metaqnn qvalues studies/digits-2026-01-31-1.study --json")]
    Qvalues(StudyArguments),
    /// Studies as one HTML file that stands alone, and their figures as SVG and CSV.
    #[command(
        after_help = "Examples:\n  metaqnn report studies/digits-2026-01-31-1.study --out report.html\n  metaqnn report paper-*.study random-*.study --out agents.html --figures figures"
    )]
    Report(ReportArguments),
    /// Studies live in a browser, also while they search in another process.
    ///
    /// Progress, what each worker trains with its curve, every trial, the figures of the report, the Q-table. It only reads, and needs no
    /// network: by default it is to be had on this machine alone, at http://127.0.0.1:8642. Ctrl-C ends it.
    #[command(
        after_help = "Examples:\n  metaqnn serve studies/digits-2026-01-31-1.study\n  metaqnn serve paper-*.study random-*.study --port 9000\n  metaqnn serve studies/digits-2026-01-31-1.study --host 0.0.0.0"
    )]
    Serve(ServeArguments),
    /// All settings with comments.
    #[command(after_help = "Example: metaqnn config --preset paper --data cifar10 > paper.toml")]
    Config(ConfigArguments),
    /// Train one architecture.
    #[command(after_help = "Example: metaqnn train '[C(32,3,1), P(2,2), C(64,3,1), GAP(10), SM(10)]' --data digits")]
    Train(TrainArguments),
    /// Train the best networks of a study fully, measure each once on the test data, and the best of them together.
    ///
    /// First for a part of the epochs on the training images alone, to be validated, then on training and validation images. What
    /// was trained and measured already is not trained again. After an interruption or a kill the same command goes on after the
    /// last finished epoch, with the plan that the first one made. At the end the best k networks are made an ensemble where the
    /// mean of their probabilities does better on the validation data than the best network.
    #[command(
        after_help = "Examples:\n  metaqnn final studies/digits-2026-01-31-1.study --budget 30m\n  metaqnn final studies/digits-2026-01-31-1.study --models 3 --json"
    )]
    Final(FinalArguments),
    /// Write a trained model as ONNX, safetensors and PyTorch code, each checked against the model that was scored.
    #[command(after_help = "Example: metaqnn export studies/digits-2026-01-31-1.study --out my-model")]
    Export(ExportArguments),
    /// Accuracy, figures of each class and confusion matrix of a trained model on the test images of a data set.
    #[command(after_help = "Example: metaqnn evaluate my-model digits --json")]
    Evaluate(EvaluateArguments),
    /// Classes and probabilities of image files.
    #[command(after_help = "Example: metaqnn predict my-model photo.png more-photos/")]
    Predict(PredictArguments),
    /// The search space.
    #[command(subcommand)]
    Space(SpaceVerb),
    /// Data sets.
    #[command(subcommand)]
    Data(DataVerb),
    /// The measurements behind the claims of speed.
    #[command(subcommand)]
    Bench(BenchVerb),
    /// Started by search, not by people.
    #[command(hide = true)]
    Worker,
}

/// Where settings come from: preset, then the file, then `--set`, then the flags.
#[derive(Args, Clone, Default)]
pub(crate) struct SettingsArguments {
    /// quick: minutes on a CPU; paper: the method as published.
    #[arg(long, value_name = "quick|paper")]
    pub(crate) preset: Option<Preset>,
    /// Settings to lay over the preset (`metaqnn config` prints them all).
    #[arg(long, value_name = "FILE.toml")]
    pub(crate) config: Option<PathBuf>,
    /// One setting, for example training.epochs=3; may be given several times.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(crate) set: Vec<String>,
    /// Most layers of an architecture.
    #[arg(long, value_name = "N")]
    pub(crate) max_layers: Option<u32>,
}

#[derive(Args)]
pub(crate) struct DataArguments {
    /// Folder of the data sets [default: $METAQNN_DATA, else the platform's data folder].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
}

#[derive(Args)]
pub(crate) struct SearchArguments {
    /// digits, mnist, fashion-mnist, cifar10, cifar100, svhn, or the path of your own images: a folder of class folders, a .csv,
    /// .npy or .npz file.
    #[arg(default_value = "digits")]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    #[command(flatten)]
    pub(crate) data_dir: DataArguments,
    #[command(flatten)]
    pub(crate) size: SizeArguments,
    #[command(flatten)]
    pub(crate) run: RunArguments,
    /// The study's file [default: studies/DATA-DATE-N.study].
    #[arg(long, value_name = "FILE")]
    pub(crate) study: Option<PathBuf>,
    /// Seed of everything random.
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,
    /// default, model-based, paper, random, evolution, local-search.
    #[arg(long, value_name = "NAME")]
    pub(crate) agent: Option<String>,
}

#[derive(Args)]
pub(crate) struct ResumeArguments {
    /// The study's file.
    pub(crate) study: PathBuf,
    #[command(flatten)]
    pub(crate) data_dir: DataArguments,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

/// How long a run goes on and with what: what `search` and `resume` share.
#[derive(Args)]
pub(crate) struct RunArguments {
    /// Stop after so many unique models; `resume` can raise it.
    #[arg(long, value_name = "N")]
    pub(crate) models: Option<u64>,
    /// Stop when the time of all runs is up, final training included: 90s, 30m, 2h; `resume` can raise it.
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    pub(crate) budget: Option<f64>,
    /// Worker processes [default: one a core].
    #[arg(long, value_name = "N")]
    pub(crate) workers: Option<u32>,
    /// Threads of each worker.
    #[arg(long, value_name = "N")]
    pub(crate) threads: Option<u32>,
    /// cpu, cuda:0, vulkan:0, metal:0, rocm:0.
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The result as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct SizeArguments {
    /// Resize the images: HEIGHTxWIDTH, or one number for both, each in 8..=224 [default: the images' own size; of own images
    /// their median, at most 64].
    #[arg(long, value_name = "HxW")]
    pub(crate) size: Option<ImageSize>,
}

#[derive(Args)]
pub(crate) struct StudyArguments {
    /// The study's file.
    pub(crate) study: PathBuf,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct LogArguments {
    #[command(flatten)]
    pub(crate) study: StudyArguments,
    /// Also the events in which the agent drew an architecture again and learned from its stored result.
    #[arg(long)]
    pub(crate) events: bool,
}

#[derive(Args)]
pub(crate) struct TopArguments {
    #[command(flatten)]
    pub(crate) study: StudyArguments,
    /// How many.
    #[arg(short, default_value_t = 10)]
    pub(crate) n: usize,
}

#[derive(Args)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    pub(crate) study: StudyArguments,
    /// Number of a trial.
    pub(crate) trial: Option<u64>,
    /// Replay the log and compare the Q-table's hash at every event.
    #[arg(long)]
    pub(crate) verify: bool,
}

#[derive(Args)]
pub(crate) struct ReportArguments {
    /// The studies' files; several are also compared, those of one data set and agent as runs of different seeds.
    #[arg(required = true)]
    pub(crate) studies: Vec<PathBuf>,
    /// The HTML file to write; what is there is replaced.
    #[arg(long, value_name = "FILE.html")]
    pub(crate) out: PathBuf,
    /// A folder for each figure as SVG and what it shows as CSV.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) figures: Option<PathBuf>,
    /// What was written, as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ServeArguments {
    /// The studies' files; several are shown side by side.
    #[arg(required = true)]
    pub(crate) studies: Vec<PathBuf>,
    /// The port; 0 for any that is free.
    #[arg(long, value_name = "N", default_value_t = metaqnn_report::live::DEFAULT_PORT)]
    pub(crate) port: u16,
    /// The address of this machine to listen on; 0.0.0.0 for all of them. On another than this machine's own, 127.0.0.1 or ::1, a browser needs a
    /// token.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1", value_parser = parse_host)]
    pub(crate) host: IpAddr,
    /// What a browser must know, 16 characters or more of A-Z, a-z, 0-9, - and _ [default: one made up where --host needs one].
    #[arg(long, value_name = "TEXT")]
    pub(crate) token: Option<String>,
    /// The address as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct ConfigArguments {
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// The data set, since some settings of the paper depend on it.
    #[arg(long, default_value = "digits")]
    pub(crate) data: String,
}

#[derive(Args)]
pub(crate) struct TrainArguments {
    /// The architecture in the notation.
    pub(crate) architecture: String,
    /// digits, mnist, fashion-mnist, cifar10, cifar100, svhn, or the path of your own images: a folder of class folders, a .csv,
    /// .npy or .npz file.
    #[arg(long, default_value = "digits")]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    #[command(flatten)]
    pub(crate) data_dir: DataArguments,
    #[command(flatten)]
    pub(crate) size: SizeArguments,
    /// Device.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// The result as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct FinalArguments {
    /// The study's file.
    pub(crate) study: PathBuf,
    /// Plan for this time: 90s, 30m, 2h: so many networks, best first, and so many epochs as it allows, going by the speed of the
    /// trials and of the first steps; a network for which no time is left is not begun [default: the epochs of the settings].
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    pub(crate) budget: Option<f64>,
    /// How many of the best networks [default: 10].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) models: Option<u64>,
    #[command(flatten)]
    pub(crate) data_dir: DataArguments,
    /// Threads [default: as many as the workers of the search had together].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// cpu, cuda:0, vulkan:0, metal:0, rocm:0 [default: that of the study].
    #[arg(long)]
    pub(crate) device: Option<String>,
    /// The table as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// A trained model and where it answers.
#[derive(Args)]
pub(crate) struct ModelArguments {
    /// A model folder, a study, STUDY:TRIAL or STUDY:ensemble; of a study alone its ensemble where one was kept, else the best
    /// network that was trained fully.
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) data_dir: DataArguments,
    /// Device.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
}

#[derive(Args)]
pub(crate) struct ExportArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// onnx, safetensors, pytorch; several with commas between.
    #[arg(long, value_delimiter = ',', default_values = ["onnx", "safetensors", "pytorch"])]
    pub(crate) format: Vec<Format>,
    /// The model folder to write; nothing may be there.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) out: PathBuf,
    /// The Python program that checks the PyTorch module, if it has torch.
    #[arg(long, value_name = "PROGRAM", default_value = "python3")]
    pub(crate) python: String,
    /// The comparisons as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args)]
pub(crate) struct EvaluateArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// digits, mnist, fashion-mnist, cifar10, cifar100, svhn, or the path of your own images: its test images are taken.
    pub(crate) data: String,
    /// The result as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// With --json also the probabilities of every image.
    #[arg(long, requires = "json")]
    pub(crate) probabilities: bool,
}

#[derive(Args)]
pub(crate) struct PredictArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Image files, or folders of them.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// One JSON object a file.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum SpaceVerb {
    /// Numbers of states, state–action pairs and architectures, exact.
    #[command(after_help = "Example: metaqnn space count --preset paper --input 3x32x32 --classes 10 --max-layers 12")]
    Count(SpaceArguments),
    /// Random members, one a line.
    #[command(after_help = "Example: metaqnn space sample 5 --seed 1")]
    Sample {
        /// How many.
        n: usize,
        #[command(flatten)]
        space: SpaceArguments,
    },
    /// Whether each line of a file is legal.
    #[command(after_help = "Example: echo '[C(64,3,1), SM(10)]' | metaqnn space check -")]
    Check {
        /// The file, - for standard input.
        file: PathBuf,
        #[command(flatten)]
        space: SpaceArguments,
    },
}

#[derive(Args)]
pub(crate) struct SpaceArguments {
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    /// Shape of the images, CHANNELSxHEIGHTxWIDTH.
    #[arg(long, default_value = "3x32x32")]
    pub(crate) input: MapShape,
    /// Number of classes.
    #[arg(long, default_value_t = 10)]
    pub(crate) classes: u32,
    /// Seed of the sample.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// JSON, a value a line.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum DataVerb {
    /// The known data sets, and whether they are here.
    #[command(after_help = "Example: metaqnn data list")]
    List {
        #[command(flatten)]
        data_dir: DataArguments,
        /// JSON.
        #[arg(long)]
        json: bool,
    },
    /// Download a data set from its public home.
    #[command(after_help = "Example: metaqnn data fetch mnist")]
    Fetch {
        /// Its name.
        name: String,
        #[command(flatten)]
        data_dir: DataArguments,
    },
    /// What a data set holds, or everything that is wrong with it.
    ///
    /// Own images lie in class folders (my-images/cat/1.jpg), with or without train, valid and test above them, or are named
    /// in a table or held in arrays; docs/own-images.md has the rules.
    #[command(
        after_help = "Examples:\n  metaqnn data check digits\n  metaqnn data check ./my-images\n  metaqnn data check labels.csv --size 32x32\n  metaqnn data check arrays.npz --json"
    )]
    Check {
        /// Its name or path.
        data: String,
        #[command(flatten)]
        size: SizeArguments,
        #[command(flatten)]
        data_dir: DataArguments,
        /// JSON.
        #[arg(long)]
        json: bool,
    },
}

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
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(crate) threads: usize,
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

fn parse_host(text: &str) -> Result<IpAddr, String> {
    match text {
        "localhost" => Ok(Ipv4Addr::LOCALHOST.into()),
        _ => text.parse().map_err(|_| "an IP address of this machine, for example 127.0.0.1, 0.0.0.0 or ::1".into()),
    }
}

fn parse_seconds(text: &str) -> Result<f64, String> {
    let (number, unit) = text.split_at(text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len()));
    let factor = match unit {
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        "d" => 86_400.0,
        _ => return Err(format!("{unit:?} is not a unit of time: s, m, h, d")),
    };
    match number.parse::<f64>() {
        Ok(number) if number.is_finite() && number > 0.0 => Ok(number * factor),
        _ => Err("a time is a number above 0 with a unit, for example 90s, 30m, 2h".into()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn times_are_read_with_their_unit() {
        assert_eq!(parse_seconds("90s"), Ok(90.0));
        assert_eq!(parse_seconds("1.5m"), Ok(90.0));
        assert_eq!(parse_seconds("2h"), Ok(7200.0));
        for text in ["", "m", "-3m", "0s", "3weeks", "nan"] {
            assert!(parse_seconds(text).is_err(), "{text}");
        }
    }
}
