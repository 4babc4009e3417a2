//! `metaqnn check`: a model folder compared with its reference batch again.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use clap::Args;
use metaqnn_export::{FolderCheck, check_folder};
use metaqnn_train::parse_device;
use serde_json::{Value, json};

use super::export::line;
use crate::models;
use crate::show;

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

/// Checks every file of a model folder, and what each format in it answers.
pub(crate) fn check(arguments: &CheckArguments) -> Result<i32> {
    let folder = arguments.model.as_path();
    if folder.is_file() {
        bail!("{0}: this is no model folder; a study is checked with `metaqnn show {0} --verify`", show::path(folder));
    }
    let device = parse_device(&arguments.device)?;
    let mut engine = |model: &metaqnn_export::Model, pixels: &[u8]| {
        let images = models::unlabelled(model, pixels.to_vec());
        models::logits(model, &images, &device).map_err(|error| error.to_string())
    };
    let FolderCheck { formats, .. } = check_folder(folder, &mut engine, Path::new(&arguments.python))?;
    let failed = formats.iter().filter(|(_, result)| result.is_err()).count() as u64;
    if arguments.json {
        let of_format = |(format, result): &(metaqnn_export::Format, Result<_, _>)| -> Value {
            match result {
                Ok(check) => json!(check),
                Err(error) => {
                    json!({ "format": format.name(), "error": metaqnn_export::ExportError::to_string(error) })
                }
            }
        };
        let formats: Vec<Value> = formats.iter().map(of_format).collect();
        println!("{}", json!({ "model": show::lossy(folder), "ok": failed == 0, "formats": formats }));
    } else {
        println!("{}: its files are whole and belong together; compared with its reference batch:", show::path(folder));
        for (format, result) in &formats {
            match result {
                Ok(check) => println!("  {}", line(check)),
                Err(error) => println!("  {:<18} {error}", format.file()),
            }
        }
    }
    if failed > 0 {
        bail!(
            "{}: {} of it not as written",
            show::path(folder),
            match failed {
                1 => "1 format is".to_owned(),
                failed => format!("{failed} formats are"),
            }
        );
    }
    Ok(0)
}
