//! `metaqnn copy`.

use anyhow::Result;
use metaqnn_store::copy_study;
use serde_json::json;

use crate::arguments::CopyArguments;
use crate::{display, output_path};

/// Copies a study.
pub(crate) fn copy(arguments: &CopyArguments) -> Result<i32> {
    output_path::check_place(&arguments.to, &[&arguments.study])?;
    let copy = copy_study(&arguments.study, &arguments.to)?;
    if arguments.json {
        let bytes = std::fs::metadata(&copy)?.len();
        println!(
            "{}",
            json!({ "study": display::lossy(&arguments.study), "copy": display::lossy(&arguments.to), "bytes": bytes })
        );
    } else {
        eprintln!("{}", arguments.to.display());
    }
    Ok(0)
}
