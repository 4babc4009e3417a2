//! The report: one HTML file that stands alone.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use maud::{DOCTYPE, Markup, PreEscaped, html};
use metaqnn_core::study::Outcome;
use metaqnn_store::StoredTrial;

use crate::error::ReportError;
use crate::figure::{self, Figure};
use crate::figures::costs;
use crate::figures::outcomes::{self, Fate};
use crate::format::{count, date, duration, percent};
use crate::q_table_view::q_table;
use crate::study_view::{StudyView, valid_accuracy};

/// Networks that are shown with their drawing.
const BEST: usize = 10;

/// Stopped trials that are shown with the reason.
const STOPPED: usize = 20;

/// A study with its figures.
struct Chapter {
    study: StudyView,
    figures: Vec<Figure>,
    /// Why there are no figures of Q-values.
    without_q_values: Option<String>,
}

/// The report on one or more studies.
pub struct Report {
    chapters: Vec<Chapter>,
    comparison: Option<Figure>,
}

impl Report {
    /// Reads the studies, which may be running, and computes the figures.
    ///
    /// # Errors
    ///
    /// When one of them cannot be read; the error names it.
    pub fn of(paths: &[PathBuf]) -> Result<Self, ReportError> {
        let mut chapters = Vec::new();
        for path in paths {
            let study = StudyView::read(path)?;
            // A study of another version can still be shown, but for what its agent knew.
            let (entries, without_q_values) = match q_table(path) {
                Ok(entries) => (Some(entries), None),
                Err(error @ ReportError::Replay { .. }) => (None, Some(error.to_string())),
                Err(error) => return Err(error),
            };
            let figures = figure::of_study(&study, entries.as_deref())?;
            chapters.push(Chapter { study, figures, without_q_values });
        }
        let comparison = if chapters.len() > 1 {
            figure::comparison(&chapters.iter().map(|chapter| chapter.study.clone()).collect::<Vec<_>>())
        } else {
            None
        };
        Ok(Report { chapters, comparison })
    }

    /// The page. It holds everything that it shows: nothing is loaded, and there is no script in it.
    pub fn html(&self) -> String {
        let title = match self.chapters.as_slice() {
            [chapter] => format!("metaqnn: {}", chapter.study.name()),
            chapters => format!("metaqnn: {} studies", chapters.len()),
        };
        let page = html! {
            (DOCTYPE)
            html lang="en" {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; img-src data:";
                    link rel="icon" href="data:,";
                    title { (title) }
                    style { (PreEscaped(include_str!("report.css"))) (PreEscaped(include_str!("figure.css"))) }
                }
                body { main {
                    h1 { (title) }
                    @if let Some(comparison) = &self.comparison { (figure_markup(comparison, "")) }
                    @for (number, chapter) in (1..).zip(&self.chapters) { (chapter.markup((self.chapters.len() > 1).then_some(number))) }
                    p.soft { "Made by metaqnn " (env!("CARGO_PKG_VERSION")) "." }
                } }
            }
        };
        page.into_string()
    }

    /// Writes the page to `path`, whole or not at all; what is there is replaced.
    ///
    /// # Errors
    ///
    /// When it cannot be written.
    pub fn write_html(&self, path: &Path) -> Result<(), ReportError> {
        write_whole(path, &self.html())
    }

    /// Writes each figure as SVG and its data as CSV to `folder`, which is made where it is not there; of several studies each has
    /// a folder in it. Returns the number of figures.
    ///
    /// # Errors
    ///
    /// When a file cannot be written.
    pub fn write_figures(&self, folder: &Path) -> Result<usize, ReportError> {
        let mut written = 0;
        for (number, chapter) in (1..).zip(&self.chapters) {
            let folder = match self.chapters.len() {
                1 => folder.to_path_buf(),
                // Studies of one name may lie in several folders.
                _ => folder.join(format!("{number}-{}", chapter.study.name())),
            };
            written += write_all(&folder, &chapter.figures)?;
        }
        Ok(written + write_all(folder, self.comparison.as_slice())?)
    }
}

fn write_all(folder: &Path, figures: &[Figure]) -> Result<usize, ReportError> {
    fs::create_dir_all(folder).map_err(|source| ReportError::Write { path: folder.into(), source })?;
    for figure in figures {
        write_whole(&folder.join(format!("{}.svg", figure.name)), &figure.standalone_svg())?;
        write_whole(&folder.join(format!("{}.csv", figure.name)), &figure.csv)?;
    }
    Ok(figures.len())
}

/// Writes under another name in the same folder first, so that a kill leaves no half of a file.
fn write_whole(path: &Path, text: &str) -> Result<(), ReportError> {
    let failed = |source| ReportError::Write { path: path.into(), source };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.is_dir() {
        return Err(failed(std::io::Error::new(
            std::io::ErrorKind::NotFound,
            "its folder is not there; make it first",
        )));
    }
    let mut builder = tempfile::Builder::new();
    builder.prefix(".metaqnn-").suffix(".tmp");
    #[cfg(unix)]
    {
        // As of any new file: what the user's umask leaves of this.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let mut file = builder.tempfile_in(folder).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)?;
    file.persist(path).map_err(|error| failed(error.error))?;
    Ok(())
}

/// `chapter` tells the figures of several studies apart.
fn figure_markup(figure: &Figure, chapter: &str) -> Markup {
    html! {
        figure id=(format!("{chapter}{}", figure.name)) {
            h3 { (figure.title) }
            div.scroll { (PreEscaped(&figure.svg)) }
            figcaption { (figure.caption) }
        }
    }
}

impl Chapter {
    /// `number` among several studies.
    fn markup(&self, number: Option<usize>) -> Markup {
        let study = &self.study;
        let prefix = number.map_or_else(String::new, |number| format!("study-{number}-"));
        html! {
            @if number.is_some() { h2 { (study.name()) } }
            (sentences(study))
            @if let Some(reason) = &self.without_q_values { p.warning { "The Q-values cannot be shown. " (reason) } }
            @if study.trials.is_empty() {
                p.warning { "No trial of this study has ended yet." }
            }
            @let best = study.best(BEST);
            @if !best.is_empty() {
                h2 { "The best " (best.len()) }
                (best_table(study, &best))
                ol.best { @for (rank, trial) in (1..).zip(&best) { (best_entry(study, rank, trial)) } }
                p.soft {
                    "A block is a feature map: its height the root of its side, its width the root of its channels. Colours: \
                     convolution blue, pooling vermilion, fully connected green, global average pooling pink, softmax orange."
                }
            }
            @if !self.figures.is_empty() {
                h2 { "Figures" }
                div.figures { @for figure in &self.figures { (figure_markup(figure, &prefix)) } }
            }
            @if !study.trials.is_empty() { (failures(study)) }
        }
    }
}

fn sentences(study: &StudyView) -> Markup {
    let header = &study.header;
    let settings = &study.settings;
    let models = study.models().count();
    let (model_limit, budget) = study.limits();
    let end = match (model_limit, budget) {
        (0, seconds) => duration(seconds),
        (models, 0.0) => format!("{models} models"),
        (models, seconds) => format!("{models} models or {}", duration(seconds)),
    };
    let space = &settings.space;
    let fates = outcomes::by_fate(&study.trials);
    let lost = fates.iter().filter(|(fate, _)| !matches!(fate, Fate::Complete | Fate::Stopped));
    let (failed, seconds) = lost.fold((0, 0.0), |(n, s), (_, (count, seconds))| (n + count, s + seconds));
    let all_seconds: f64 = fates.values().map(|(_, seconds)| seconds).sum();
    let stopped = fates.get(&Fate::Stopped).map_or(0, |(count, _)| *count);
    let share = if all_seconds > 0.0 { 100.0 * seconds / all_seconds } else { 0.0 };
    html! {
        p {
            "A search for networks that tell the " (header.class_names.len()) " classes of " code { (header.data) }
            " apart, images of " (header.input.to_string()) " (channels × height × width), with the agent "
            strong { (study.agent()) } " and seed " (header.seed) ". The space holds networks of up to "
            (space.max_layers) " layers. The search was to end after " (end) "."
        }
        p {
            "It has run for " (duration(study.run_seconds)) " since " (date(header.created_at)) " with metaqnn " (header.version)
            " (device " code { (settings.search.device) } ") and trained " (models) " different networks; "
            (study.repeats) " times the agent drew one that it knew. " (stopped) " were stopped early. "
            (failed) " trials failed, which took " (duration(seconds)) " of training (" (format!("{share:.1}")) " % of all)."
        }
        @if let Some(last) = study.best_final() {
            @let (low, high) = costs::interval(last.test_accuracy, last.test_images).unwrap_or((0.0, 1.0));
            p {
                "Trial " (last.trial) ", trained finally, has a test error of " strong { (percent(Some(1.0 - last.test_accuracy))) }
                " on " (last.test_images) " images (95 % interval " (percent(Some(1.0 - high))) " to " (percent(Some(1.0 - low)))
                "). Test data had no part in choosing it."
            }
        }
        @if let Some(ensemble) = &study.ensemble {
            @let (low, high) = costs::interval(ensemble.test_accuracy, ensemble.test_images).unwrap_or((0.0, 1.0));
            @let members: Vec<String> = ensemble.members.iter().map(ToString::to_string).collect();
            p {
                "The ensemble of the trials " (members.join(", ")) " has a test error of "
                strong { (percent(Some(1.0 - ensemble.test_accuracy))) } " (95 % interval " (percent(Some(1.0 - high))) " to "
                (percent(Some(1.0 - low))) ")."
            }
        }
    }
}

/// Test error with its interval, where it was measured.
fn test_error(study: &StudyView, trial: &StoredTrial) -> String {
    let Some(record) = study.final_training(trial.record.trial) else { return "–".into() };
    let error = percent(Some(1.0 - record.test_accuracy));
    match costs::interval(record.test_accuracy, record.test_images) {
        Some((low, high)) => format!("{error} ({:.2}–{:.2})", 100.0 * (1.0 - high), 100.0 * (1.0 - low)),
        None => error,
    }
}

fn best_table(study: &StudyView, best: &[&StoredTrial]) -> Markup {
    html! {
        div.scroll { table {
            thead { tr {
                th { "rank" } th { "trial" } th { "validation error" } th { "test error (95 % interval)" } th { "parameters" }
                th { "FLOPs" } th { "epochs" } th { "training" }
            } }
            tbody { @for (rank, trial) in (1..).zip(best) { @let record = &trial.record; tr {
                td { (rank) } td { (record.trial) } td { (percent(valid_accuracy(trial).map(|a| 1.0 - a))) }
                td { (test_error(study, trial)) } td { (count(record.params)) } td { (count(record.flops)) }
                td { (record.evaluation.epochs) } td { (duration(record.evaluation.train_seconds)) }
            } } }
        } }
    }
}

fn best_entry(study: &StudyView, rank: usize, trial: &StoredTrial) -> Markup {
    html! {
        li {
            h3 { (rank) ". Trial " (trial.record.trial) }
            div.scroll { (PreEscaped(figure::network(study, trial))) }
            code { (trial.record.architecture.to_string()) }
        }
    }
}

/// Why trials were stopped, of the last ones.
fn stopped(study: &StudyView) -> Markup {
    let trials = study.trials.iter().rev().filter_map(|trial| match &trial.record.evaluation.outcome {
        Outcome::Pruned { reason, .. } => Some((trial.record.trial, reason)),
        Outcome::Complete { .. } | Outcome::Failed { .. } => None,
    });
    let last: Vec<_> = trials.take(STOPPED).collect();
    html! {
        @if !last.is_empty() {
            h2 { "Stopped early" }
            p { "Why a trial was stopped before its last epoch; accuracies as fractions; the last of them first, at most " (STOPPED) "." }
            div.scroll { table {
                thead { tr { th { "trial" } th.words { "why" } } }
                tbody { @for (trial, reason) in &last { tr { td { (trial) } td.words { (reason.to_string()) } } } }
            } }
        }
    }
}

fn failures(study: &StudyView) -> Markup {
    let fates = outcomes::by_fate(&study.trials);
    html! {
        h2 { "Outcomes" }
        div.scroll { table {
            thead { tr { th.words { "outcome" } th { "trials" } th { "training" } } }
            tbody { @for (fate, (count, seconds)) in &fates {
                tr { td.words { (fate.name()) } td { (count) } td { (duration(*seconds)) } }
            } }
        } }
        (stopped(study))
    }
}
