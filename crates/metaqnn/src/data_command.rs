//! `metaqnn data`.

use anyhow::Result;
use indicatif::{ProgressBar, ProgressStyle};
use metaqnn_data::{DataSource, FetchProgress, check, data_dir, fetch, list};
use serde_json::json;

use crate::arguments::DataVerb;
use crate::setup::split_settings;

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
                    let value = json!(set);
                    println!(
                        "  {:<14} {:<8} {}",
                        text(&value["name"]),
                        text(&value["shape"]),
                        if value["present"] == json!(true) { "here" } else { "not here" }
                    );
                }
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
        DataVerb::Check { data, data_dir: folder, json } => {
            let source: DataSource = data.parse()?;
            let report = check(&source, &data_dir(folder.data_dir.as_deref())?, &split_settings())?;
            if *json {
                println!("{}", json!(report));
            } else {
                println!("{report}");
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
