//! `metaqnn report`: studies as one HTML file, and their figures.

use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};
use metaqnn_report::Report;
use serde_json::json;

use crate::arguments::ReportArguments;
use crate::{display, output_path};

/// How a report begins.
const HTML: &str = "<!DOCTYPE html>";

/// Writes the report and, where asked for, the figures.
pub(crate) fn report(arguments: &ReportArguments) -> Result<i32> {
    let inputs: Vec<&Path> = arguments.studies.iter().map(PathBuf::as_path).collect();
    output_path::check_file(&arguments.out, &inputs, HTML)?;
    let report = Report::of(&arguments.studies)?;
    if let Some(folder) = &arguments.figures {
        ensure!(folder != &arguments.out, "{}: --out and --figures are one place", display::path(folder));
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
        let folder = arguments.figures.as_deref().map(display::lossy);
        println!("{}", json!({ "out": display::lossy(&arguments.out), "figures": folder, "figures_written": figures }));
    } else {
        eprintln!("{}", display::path(&arguments.out));
        if let (Some(folder), Some(figures)) = (&arguments.figures, figures) {
            eprintln!("{}: {figures} figures as SVG and CSV", display::path(folder));
        }
    }
    Ok(0)
}
