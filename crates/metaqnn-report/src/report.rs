//! The report: one HTML file that stands alone.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::error::ReportError;
use crate::figure::{self, Figure};
use crate::q_table_view::q_table;
use crate::sections;
use crate::study_view::StudyView;

/// Networks that are shown with their drawing.
const BEST: usize = 10;

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
            figure::comparison(&chapters.iter().map(|chapter| &chapter.study).collect::<Vec<_>>())
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
                    @if let Some(comparison) = &self.comparison { (sections::figure(comparison, "")) }
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
        for (folder, figures) in self.figure_folders(folder) {
            fs::create_dir_all(&folder).map_err(|source| ReportError::Write { path: folder.clone(), source })?;
            for figure in figures {
                write_whole(&svg_path(&folder, figure), &figure.standalone_svg())?;
                write_whole(&csv_path(&folder, figure), &figure.csv)?;
            }
            written += figures.len();
        }
        Ok(written)
    }

    /// The files that [`write_figures`](Self::write_figures) writes, and how each begins.
    pub fn figure_files(&self, folder: &Path) -> Vec<(PathBuf, &str)> {
        let folders = self.figure_folders(folder);
        let mut files = Vec::new();
        for (folder, figures) in folders {
            for figure in figures {
                files.push((svg_path(&folder, figure), "<svg"));
                files.push((csv_path(&folder, figure), figure.csv.lines().next().unwrap_or_default()));
            }
        }
        files
    }

    /// The folders of figures in `folder`, with what belongs there.
    fn figure_folders(&self, folder: &Path) -> Vec<(PathBuf, &[Figure])> {
        let of_chapter = |(number, chapter): (usize, &Chapter)| match self.chapters.len() {
            1 => folder.to_path_buf(),
            // Studies of one name may lie in several folders.
            _ => folder.join(format!("{number}-{}", chapter.study.name())),
        };
        let chapters = (1..).zip(&self.chapters).map(|numbered| (of_chapter(numbered), numbered.1.figures.as_slice()));
        chapters.chain([(folder.to_path_buf(), self.comparison.as_slice())]).collect()
    }
}

fn svg_path(folder: &Path, figure: &Figure) -> PathBuf {
    folder.join(format!("{}.svg", figure.name))
}

fn csv_path(folder: &Path, figure: &Figure) -> PathBuf {
    folder.join(format!("{}.csv", figure.name))
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

impl Chapter {
    /// `number` among several studies.
    fn markup(&self, number: Option<usize>) -> Markup {
        let study = &self.study;
        let prefix = number.map_or_else(String::new, |number| format!("study-{number}-"));
        html! {
            @if number.is_some() { h2 { (study.name()) } }
            (sections::sentences(study))
            @if let Some(reason) = &self.without_q_values { p.warning { "The Q-values cannot be shown. " (reason) } }
            @if study.trials.is_empty() {
                p.warning { "No trial of this study has ended yet." }
            }
            @let best = study.best(BEST);
            @if !best.is_empty() {
                h2 { "The best " (best.len()) }
                (sections::best_table(study, &best, &|trial| html! { (trial) }))
                ol.best { @for ranked in &best { (sections::best_entry(study, ranked)) } }
                p.soft { (sections::DRAWING) }
            }
            @if !self.figures.is_empty() {
                h2 { "Figures" }
                div.figures { @for figure in &self.figures { (sections::figure(figure, &prefix)) } }
            }
            @if !study.trials.is_empty() { (sections::failures(study)) }
        }
    }
}
