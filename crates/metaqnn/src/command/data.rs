//! `metaqnn data`.

use anyhow::Result;
use clap::Subcommand;
use indicatif::{ProgressBar, ProgressStyle};
use metaqnn_data::{DataArgument, DataError, DataSource, FetchProgress, check_argument, data_dir, fetch, list};
use serde_json::json;

use crate::setup::{self, DataArguments, ReadingArguments, SizeArguments};

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

/// Runs one of the verbs.
pub(crate) fn run(verb: &DataVerb) -> Result<i32> {
    match verb {
        DataVerb::List { data_dir: folder, json } => {
            let folder = data_dir(folder.data_dir.as_deref())?;
            let known = list(&folder);
            if *json {
                println!("{}", json!(known));
            } else {
                println!("Data sets in {}:", folder.display());
                for set in known {
                    let value = json!(&set);
                    println!(
                        "  {:<14} {:<8} {}",
                        text(&value["name"]),
                        set.shape,
                        if value["present"] == json!(true) { "here" } else { "not here" }
                    );
                }
                println!("Your own are read from a path: a folder of class folders, a .csv, .npy or .npz file.");
            }
        }
        DataVerb::Fetch { name, data_dir: folder } => {
            let source: DataSource = name.parse()?;
            let folder = data_dir(folder.data_dir.as_deref())?;
            let bar = ProgressBar::new(0);
            if let Ok(style) = ProgressStyle::with_template("{msg} {bar:30} {bytes}/{total_bytes} {eta}") {
                bar.set_style(style);
            }
            fetch(&source, &folder, &mut |progress| show(&bar, &progress))?;
            bar.finish_and_clear();
            eprintln!("{name} is in {}", folder.display());
        }
        DataVerb::Check { data, reading, size, data_dir: folder, json } => {
            let reading = setup::reading(reading);
            let argument: DataArgument = data.parse()?;
            let folder = setup::data_folder(&argument, folder.data_dir.as_deref())?;
            match check_argument(&argument, &folder, size.size, &reading, &setup::split_settings()) {
                Ok(report) if *json => println!("{}", json!(report)),
                Ok(report) => println!("{report}"),
                Err(DataError::Unusable { path, problems, problem_count }) if *json => {
                    println!("{}", json!({ "name": path, "problems": problems, "problem_count": problem_count }));
                    return Ok(1);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(0)
}

fn text(value: &serde_json::Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned)
}

fn show(bar: &ProgressBar, progress: &FetchProgress<'_>) {
    match progress {
        FetchProgress::Started { file, bytes, total, .. } | FetchProgress::Advanced { file, bytes, total } => {
            bar.set_message((*file).to_string());
            if let Some(total) = total {
                bar.set_length(*total);
            }
            bar.set_position(*bytes);
        }
        FetchProgress::Retrying { file, reason, wait } => {
            bar.println(format!("{file}: {reason}; next try in {} s", wait.as_secs()));
        }
        FetchProgress::Checking { file } | FetchProgress::Unpacking { file } => bar.set_message((*file).to_string()),
        _ => {}
    }
}
