//! `metaqnn report`: studies as one HTML file, and their figures.

use anyhow::Result;
use metaqnn_report::Report;
use serde_json::json;

use crate::arguments::ReportArguments;

/// Writes the report and, where asked for, the figures.
pub(crate) fn report(arguments: &ReportArguments) -> Result<i32> {
    let report = Report::of(&arguments.studies)?;
    report.write_html(&arguments.out)?;
    let figures = match &arguments.figures {
        Some(folder) => Some(report.write_figures(folder)?),
        None => None,
    };
    if arguments.json {
        let written = json!({ "out": arguments.out, "figures": arguments.figures, "figures_written": figures });
        println!("{written}");
    } else {
        eprintln!("{}", arguments.out.display());
        if let (Some(folder), Some(figures)) = (&arguments.figures, figures) {
            eprintln!("{}: {figures} figures as SVG and CSV", folder.display());
        }
    }
    Ok(0)
}
