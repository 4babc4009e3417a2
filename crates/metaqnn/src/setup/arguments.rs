//! What several verbs are told in the same words.

use std::path::PathBuf;

use clap::Args;
use metaqnn_core::settings::Preset;
use metaqnn_data::ImageSize;

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
