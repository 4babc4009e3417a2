//! `metaqnn copy`.

use anyhow::Result;
use metaqnn_store::copy_study;
use serde_json::json;

use crate::arguments::CopyArguments;

/// Copies a study.
pub(crate) fn copy(arguments: &CopyArguments) -> Result<i32> {
    let copy = copy_study(&arguments.study, &arguments.to)?;
    if arguments.json {
        let bytes = std::fs::metadata(&copy)?.len();
        println!("{}", json!({ "study": arguments.study, "copy": arguments.to, "bytes": bytes }));
    } else {
        eprintln!("{}", arguments.to.display());
    }
    Ok(0)
}
