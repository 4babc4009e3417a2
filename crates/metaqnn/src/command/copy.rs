//! `metaqnn copy`.

use std::path::PathBuf;

use anyhow::Result;
use clap::Args;
use metaqnn_store::copy_study;
use serde_json::json;

use crate::setup::output_path;
use crate::show;

#[derive(Args)]
pub(crate) struct CopyArguments {
    /// The study's file.
    pub(crate) study: PathBuf,
    /// The copy, a new file.
    pub(crate) to: PathBuf,
    /// What was copied, as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Copies a study.
pub(crate) fn copy(arguments: &CopyArguments) -> Result<i32> {
    output_path::check_place(&arguments.to, &[&arguments.study])?;
    let copy = copy_study(&arguments.study, &arguments.to)?;
    if arguments.json {
        let bytes = std::fs::metadata(&copy)?.len();
        println!(
            "{}",
            json!({ "study": show::lossy(&arguments.study), "copy": show::lossy(&arguments.to), "bytes": bytes })
        );
    } else {
        eprintln!("{}", arguments.to.display());
    }
    Ok(0)
}
