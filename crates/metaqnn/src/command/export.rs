//! `metaqnn export`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use metaqnn_export::{Export, Format, Verification};
use serde_json::json;

use crate::models::{self, ModelArguments, TrainedModel};
use crate::setup::{INTERRUPTED, output_path};
use crate::show;

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

/// Writes a model folder and checks every format in it.
pub(crate) fn export(arguments: &ExportArguments) -> Result<i32> {
    // Before anything is read, which can take long.
    output_path::check_place(&arguments.out, &models::inputs(&arguments.model))?;
    let (TrainedModel { model, device }, scored) = models::open_scored(&arguments.model)?;
    let mut engine = |model: &metaqnn_export::Model, pixels: &[u8]| {
        let images = models::unlabelled(model, pixels.to_vec());
        models::logits(model, &images, &device).map_err(|error| error.to_string())
    };
    let export = Export {
        model: &model,
        formats: &arguments.format,
        scored: &scored,
        engine: &mut engine,
        python: Path::new(&arguments.python),
    };
    let out = arguments.out.clone();
    ctrlc::set_handler(move || {
        metaqnn_export::remove_unfinished(&out);
        std::process::exit(INTERRUPTED);
    })?;
    let checks = export.write(&arguments.out)?;
    if arguments.json {
        println!("{}", json!({ "folder": show::lossy(&arguments.out), "verification": checks }));
        return Ok(0);
    }
    let images = if scored.are_made { "made images" } else { "images" };
    let out = show::path(&arguments.out);
    println!("{out}: compared with the model that was scored, on {} {images}", scored.len());
    for check in &checks {
        println!("  {}", line(check));
    }
    Ok(0)
}

/// How a format came out, in a line.
pub(crate) fn line(check: &Verification) -> String {
    let name = Format::ALL.into_iter().find(|format| format.name() == check.format).map_or("", Format::file);
    let Some(difference) = check.max_difference else {
        return format!("{name:<18} {}", check.note.as_deref().unwrap_or("not run"));
    };
    let difference =
        format!("{name:<18} largest difference of logits {difference:.1e} (allowed {:.1e})", check.tolerance);
    match (check.accuracy, check.accuracy_of_the_scored_model) {
        (Some(accuracy), Some(scored)) => {
            format!("{difference}, accuracy {:.2} % (scored model {:.2} %)", 100.0 * accuracy, 100.0 * scored)
        }
        _ => difference,
    }
}
