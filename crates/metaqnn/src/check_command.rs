//! `metaqnn check`: a model folder compared with its reference batch again.

use std::path::Path;

use anyhow::{Result, bail};
use metaqnn_export::{FolderCheck, check_folder};
use metaqnn_train::parse_device;
use serde_json::{Value, json};

use crate::arguments::CheckArguments;
use crate::export_command::line;
use crate::{display, trained_model};

/// Checks every file of a model folder, and what each format in it answers.
pub(crate) fn check(arguments: &CheckArguments) -> Result<i32> {
    let folder = arguments.model.as_path();
    if folder.is_file() {
        bail!(
            "{0}: this is no model folder; a study is checked with `metaqnn show {0} --verify`",
            display::path(folder)
        );
    }
    let device = parse_device(&arguments.device)?;
    let mut engine = |model: &metaqnn_export::Model, pixels: &[u8]| {
        let images = trained_model::unlabelled(model, pixels.to_vec());
        trained_model::logits(model, &images, &device).map_err(|error| error.to_string())
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
        println!("{}", json!({ "model": display::lossy(folder), "ok": failed == 0, "formats": formats }));
    } else {
        println!(
            "{}: its files are whole and belong together; compared with its reference batch:",
            display::path(folder)
        );
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
            display::path(folder),
            match failed {
                1 => "1 format is".to_owned(),
                failed => format!("{failed} formats are"),
            }
        );
    }
    Ok(0)
}
