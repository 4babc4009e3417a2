//! The command line of what makes and uses trained models: `final`, `export`, `evaluate`, `predict`.

use std::path::PathBuf;

use clap::Args;
use metaqnn_export::Format;

use super::time::parse_seconds;
use super::{ReadingArguments, StudyDataArguments};

#[derive(Args)]
pub(crate) struct FinalArguments {
    /// The study's file.
    pub(crate) study: PathBuf,
    /// Plan for this time, 90s, 30m or 1h30m, a number alone being seconds: so many networks, best first, and so many epochs as it allows, going by the speed of the
    /// trials and of the first steps; a network for which no time is left is not begun [default: the epochs of the settings].
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    pub(crate) budget: Option<f64>,
    /// How many of the best networks [default: 10].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..=1_000))]
    pub(crate) models: Option<u64>,
    #[command(flatten)]
    pub(crate) place: StudyDataArguments,
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
    pub(crate) place: StudyDataArguments,
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
pub(crate) struct CheckArguments {
    /// The model folder.
    pub(crate) model: PathBuf,
    /// Device.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// The Python program that runs the PyTorch module, if it has torch; a module that metaqnn did not write is not run.
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
    /// digits, mnist, fashion-mnist, cifar10, cifar100, svhn, or the path of your own images: a folder of class folders, a .csv,
    /// .npy or .npz file.
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) reading: ReadingArguments,
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
    /// Image files, or folders: all images in them and below them.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// One JSON object a file.
    #[arg(long)]
    pub(crate) json: bool,
}
