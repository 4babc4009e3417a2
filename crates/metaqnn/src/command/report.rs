//! `metaqnn report`: studies as one HTML file, and their figures.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use clap::Args;
use metaqnn_report::Report;
use serde_json::json;

use crate::setup::output_path;
use crate::show;

#[derive(Args)]
pub(crate) struct ReportArguments {
    /// The studies' files; several are also compared, those of one data set and agent as runs of different seeds.
    #[arg(required = true)]
    pub(crate) studies: Vec<PathBuf>,
    /// The HTML file to write; what is there is replaced.
    #[arg(long, value_name = "FILE.html")]
    pub(crate) out: PathBuf,
    /// A folder for each figure as SVG and what it shows as CSV.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) figures: Option<PathBuf>,
    /// What was written, as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// How a report begins.
const HTML: &str = "<!DOCTYPE html>";

/// Writes the report and, where asked for, the figures.
pub(crate) fn report(arguments: &ReportArguments) -> Result<i32> {
    let inputs: Vec<&Path> = arguments.studies.iter().map(PathBuf::as_path).collect();
    output_path::check_file(&arguments.out, &inputs, HTML)?;
    let report = Report::of(&arguments.studies)?;
    if let Some(folder) = &arguments.figures {
        ensure!(folder != &arguments.out, "{}: --out and --figures are one place", show::path(folder));
        output_path::check_folder(folder, &inputs)?;
        for (path, beginning) in report.figure_files(folder) {
            output_path::check_file(&path, &inputs, beginning)?;
        }
    }
    report.write_html(&arguments.out)?;
    let figures = match &arguments.figures {
        Some(folder) => Some(report.write_figures(folder)?),
        None => None,
    };
    if arguments.json {
        let folder = arguments.figures.as_deref().map(show::lossy);
        println!("{}", json!({ "out": show::lossy(&arguments.out), "figures": folder, "figures_written": figures }));
    } else {
        eprintln!("{}", show::path(&arguments.out));
        if let (Some(folder), Some(figures)) = (&arguments.figures, figures) {
            eprintln!("{}: {figures} figures as SVG and CSV", show::path(folder));
        }
    }
    Ok(0)
}
