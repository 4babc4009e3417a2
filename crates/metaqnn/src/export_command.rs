//! `metaqnn export`.

use std::path::Path;

use anyhow::Result;
use metaqnn_export::{Export, Format, Verification};
use serde_json::json;

use crate::arguments::ExportArguments;
use crate::trained_model::{self, TrainedModel};

/// Writes a model folder and checks every format in it.
pub(crate) fn export(arguments: &ExportArguments) -> Result<i32> {
    let TrainedModel { model, device, scored } = trained_model::open(&arguments.model)?;
    let mut engine = |model: &metaqnn_export::Model, pixels: &[u8]| {
        let images = trained_model::unlabelled(model, pixels.to_vec());
        trained_model::logits(model, &images, &device).map_err(|error| error.to_string())
    };
    let export = Export {
        model: &model,
        formats: &arguments.format,
        scored: &scored,
        engine: &mut engine,
        python: Path::new(&arguments.python),
    };
    let checks = export.write(&arguments.out)?;
    if arguments.json {
        println!("{}", json!({ "folder": arguments.out, "verification": checks }));
        return Ok(0);
    }
    println!("{}: compared with the model that was scored, on {} images", arguments.out.display(), scored.len());
    for check in &checks {
        println!("  {}", line(check));
    }
    Ok(0)
}

fn line(check: &Verification) -> String {
    let name = Format::ALL.into_iter().find(|format| format.name() == check.format).map_or("", Format::file);
    let scored = 100.0 * check.accuracy_of_the_scored_model;
    match (check.max_difference, check.accuracy) {
        (Some(difference), Some(accuracy)) => format!(
            "{name:<18} largest difference of logits {difference:.1e} (allowed {:.1e}), accuracy {:.2} % (scored model {scored:.2} %)",
            check.tolerance,
            100.0 * accuracy
        ),
        _ => format!("{name:<18} {}", check.note.as_deref().unwrap_or("not run")),
    }
}
