//! The command line.

mod bench;
mod inspect;
mod models;
mod time;

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};
use metaqnn_core::graph::MapShape;
use metaqnn_core::settings::Preset;
use metaqnn_data::ImageSize;

use self::time::parse_seconds;

pub(crate) use self::bench::{
    BenchAgentArguments, BenchEarlyStopArguments, BenchTrainArguments, BenchVerb, StopRuleName, Switch,
};
pub(crate) use self::inspect::{
    CopyArguments, LogArguments, ReportArguments, ServeArguments, ShowArguments, StudyArguments, TopArguments,
};
pub(crate) use self::models::{
    CheckArguments, EvaluateArguments, ExportArguments, FinalArguments, ModelArguments, PredictArguments,
};

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
    #[command(
        after_help = "Examples:\n  metaqnn resume studies/digits-2026-01-31-1.study --budget 5m\n  metaqnn resume studies/my-images-2026-01-31-1.study --data ./moved/my-images"
    )]
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
    /// Copy a study, also one that runs; a plain copy of its file lacks what is still in the log beside it.
    ///
    /// The copy is of one moment. What is in training is not part of it: resumed, it trains those networks from the beginning.
    #[command(after_help = "Example: metaqnn copy studies/digits-2026-01-31-1.study /backup/digits.study")]
    Copy(CopyArguments),
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
    ///
    /// As a search trains its trials, or with --final as it trains the network that it chooses. With --final, --test and the --budget of a search a
    /// fixed network has all of the time: what the search is to be judged beside.
    #[command(
        after_help = "Examples:\n  metaqnn train '[C(32,3,1), P(2,2), C(64,3,1), GAP(10), SM(10)]' --data digits\n  metaqnn train '[C(32,3,1), P(2,2), C(64,3,1), P(2,2), FC(128), SM(10)]' --data mnist --final --test --budget 10m"
    )]
    Train(TrainArguments),
    /// Train the best networks of a study fully, measure each once on the test data, and the best of them together.
    ///
    /// First for a part of the epochs on the training images alone, to be validated, then on training and validation images. What
    /// was trained and measured already, for as many epochs, is not trained again. After an interruption or a kill the same command goes on after the
    /// last finished epoch, with the plan that the first one made. At the end the best k networks are made an ensemble where the
    /// mean of their probabilities does better on the validation data than the best network.
    #[command(
        after_help = "Examples:\n  metaqnn final studies/digits-2026-01-31-1.study --budget 30m\n  metaqnn final studies/digits-2026-01-31-1.study --models 3 --json"
    )]
    Final(FinalArguments),
    /// Write a trained model as ONNX, safetensors and PyTorch code, each checked against the model that was scored.
    #[command(after_help = "Example: metaqnn export studies/digits-2026-01-31-1.study --out my-model")]
    Export(ExportArguments),
    /// Check a model folder: its files, and what each format in it answers for its reference batch.
    #[command(after_help = "Example: metaqnn check my-model")]
    Check(CheckArguments),
    /// Accuracy, figures of each class and confusion matrix of a trained model on labelled images.
    ///
    /// Of a folder, a table or arrays without splits every image is measured; where there are splits, the test images; of the data that the
    /// model was trained on, those that were kept from the training. It says which. The images may show some of the model's classes only.
    #[command(
        after_help = "Examples:\n  metaqnn evaluate my-model digits --json\n  metaqnn evaluate my-model ./new-images"
    )]
    Evaluate(EvaluateArguments),
    /// Classes and probabilities of image files.
    ///
    /// A file that cannot be read is named on standard error, and the others are answered; the exit status is then 1.
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

#[derive(Args, Clone)]
pub(crate) struct DataArguments {
    /// Folder of the data sets [default: $METAQNN_DATA, else the platform's data folder].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) data_dir: Option<PathBuf>,
}

/// Where the data of a study are.
#[derive(Args, Clone)]
pub(crate) struct StudyDataArguments {
    #[command(flatten)]
    pub(crate) data_dir: DataArguments,
    /// Where the data of the study are now, if they have moved; they must be the same.
    #[arg(long = "data", value_name = "PATH")]
    pub(crate) moved_data: Option<String>,
}

/// How own data are read.
#[derive(Args, Clone, Default)]
pub(crate) struct ReadingArguments {
    /// Leave out files and rows of own data that cannot be read, if they are at most a tenth.
    #[arg(long)]
    pub(crate) skip_bad: bool,
    /// Of a table: the column of the labels.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) label: Option<String>,
    /// Of a table: the column that names the image files, with or without their endings.
    #[arg(long, value_name = "COLUMN")]
    pub(crate) image: Option<String>,
    /// Of a table: the folder of the image files [default: the table's].
    #[arg(long, value_name = "FOLDER")]
    pub(crate) images: Option<PathBuf>,
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
    pub(crate) reading: ReadingArguments,
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
    pub(crate) place: StudyDataArguments,
    #[command(flatten)]
    pub(crate) run: RunArguments,
}

/// How long a run goes on and with what: what `search` and `resume` share.
#[derive(Args)]
pub(crate) struct RunArguments {
    /// Stop after so many unique models; `resume` can raise it.
    #[arg(long, value_name = "N")]
    pub(crate) models: Option<u64>,
    /// Stop when the time of all runs is up, final training included: 90s, 30m, 1h30m; a number alone is seconds; `resume` can raise it.
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
    pub(crate) reading: ReadingArguments,
    #[command(flatten)]
    pub(crate) size: SizeArguments,
    /// Train for this time, reading the data included: 90s, 30m, 2h; the learning rate schedule is stretched over it [default: the
    /// epochs of the settings].
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    pub(crate) budget: Option<f64>,
    /// Train as a search trains the network that it chooses: with the settings in [final.training].
    #[arg(long = "final")]
    pub(crate) fully: bool,
    /// Train on training and validation images, measure once on the test images, and keep the network.
    #[arg(long, requires = "fully")]
    pub(crate) test: bool,
    /// With --test, the model folder to keep the network in; nothing may be there [default: models/DATA-DATE-N].
    #[arg(long, value_name = "FOLDER", requires = "test")]
    pub(crate) out: Option<PathBuf>,
    /// Threads [default: one a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
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
        after_help = "Examples:\n  metaqnn data check digits\n  metaqnn data check ./my-images\n  metaqnn data check labels.csv --label breed --image id --images photos\n  metaqnn data check arrays.npz --json"
    )]
    Check {
        /// Its name or path.
        data: String,
        #[command(flatten)]
        reading: ReadingArguments,
        #[command(flatten)]
        size: SizeArguments,
        #[command(flatten)]
        data_dir: DataArguments,
        /// JSON.
        #[arg(long)]
        json: bool,
    },
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
