//! Reports and live views of study files: made here, and damaged on purpose.

#![allow(clippy::unwrap_used)]

mod live;
mod studies;

use std::fs;
use std::path::{Path, PathBuf};

use metaqnn_report::{Report, ReportError, StudyView};
use metaqnn_store::StudyFile;

use studies::{finished, grown, header, no_whole_studies, of_schema_1};

fn html(path: &Path) -> String {
    Report::of(&[path.into()]).unwrap().html()
}

#[test]
fn a_report_stands_alone_and_shows_every_figure() {
    let folder = tempfile::tempdir().unwrap();
    let path = finished(folder.path(), "digits.study", 40, 1);
    let report = Report::of(std::slice::from_ref(&path)).unwrap();
    let page = report.html();
    let figures = [
        "accuracy",
        "histograms",
        "first-and-last",
        "q-by-layer",
        "q-by-convolution",
        "error-by-params",
        "error-by-flops",
        "curves",
        "outcomes",
        "time",
    ];
    for figure in figures {
        assert!(page.contains(&format!(r#"<figure id="{figure}">"#)), "{figure}");
    }
    for loads in ["<script", "http-equiv=\"refresh", " src=", "@import", "url("] {
        assert!(!page.contains(loads), "{loads}");
    }
    let addresses = page.matches("http").count();
    let known = page.matches("http://www.w3.org/2000/svg").count() + page.matches("http-equiv").count();
    assert_eq!(addresses, known, "no address but that of SVG");
    let out = folder.path().join("figures");
    assert_eq!(report.write_figures(&out).unwrap(), figures.len());
    for figure in figures {
        let svg = fs::read_to_string(out.join(format!("{figure}.svg"))).unwrap();
        assert!(svg.starts_with("<svg xmlns=") && svg.contains("<style>") && svg.ends_with("</svg>"), "{figure}");
        let csv = fs::read_to_string(out.join(format!("{figure}.csv"))).unwrap();
        assert!(csv.lines().count() > 1, "{figure}: {csv}");
    }
}

#[test]
fn the_figures_have_the_numbers_of_the_study() {
    let folder = tempfile::tempdir().unwrap();
    let path = finished(folder.path(), "digits.study", 40, 2);
    let study = StudyView::read(&path).unwrap();
    let out = folder.path().join("figures");
    Report::of(&[path]).unwrap().write_figures(&out).unwrap();
    let rows = |name: &str| -> Vec<Vec<String>> {
        let text = fs::read_to_string(out.join(name)).unwrap();
        text.lines().skip(1).map(|line| line.split(',').map(String::from).collect()).collect()
    };
    let accuracies: Vec<f64> = study
        .trials
        .iter()
        .map(|trial| trial.record.evaluation.outcome.valid_accuracy().map_or(0.1, |accuracy| accuracy.value()))
        .collect();
    let drawn: Vec<f64> = rows("accuracy.csv").iter().map(|row| row[3].parse().unwrap()).collect();
    assert_eq!(drawn, accuracies);
    let counted: usize = rows("histograms.csv").iter().map(|row| row[5].parse::<usize>().unwrap()).sum();
    assert_eq!(counted, accuracies.len());
    let trials: usize = rows("outcomes.csv").iter().map(|row| row[2].parse::<usize>().unwrap()).sum();
    assert_eq!(trials, study.trials.len());
}

#[test]
fn names_of_the_study_stay_text() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("<img src=x onerror=alert(1)>.study");
    let mut header = header(3);
    header.data = "<script>alert(1)</script>".into();
    header.version = "\"><script>alert(2)</script>".into();
    let file = StudyFile::create(&path, &header).unwrap();
    file.close().unwrap();
    let second = finished(folder.path(), "second.study", 10, 4);
    for page in [html(&path), Report::of(&[path.clone(), second]).unwrap().html()] {
        assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)"), "{page}");
    }
}

#[test]
fn a_study_without_trials_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("new.study");
    StudyFile::create(&path, &header(5)).unwrap().close().unwrap();
    let page = html(&path);
    assert!(page.contains("No trial of this study has ended yet."), "{page}");
    assert!(!page.contains("<figure"));
}

#[test]
fn a_study_that_runs_is_read_without_holding_it_up() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("running.study");
    let mut study = grown(&path, 6);
    let mut before = 0;
    for _ in 0..5 {
        study.add(3);
        let found = StudyView::read(&path).unwrap().trials.len();
        assert_eq!(found, before + 3);
        assert!(html(&path).contains("<figure"));
        before = found;
    }
    study.file.close().unwrap();
    assert_eq!(StudyView::read(&path).unwrap().trials.len(), before);
}

#[test]
fn several_studies_are_compared_by_data_and_agent() {
    let folder = tempfile::tempdir().unwrap();
    let paths: Vec<PathBuf> =
        (1..=3).map(|seed| finished(folder.path(), &format!("{seed}.study"), 10 + seed, seed)).collect();
    let report = Report::of(&paths).unwrap();
    assert!(report.html().contains("(3 studies)"));
    let out = folder.path().join("figures");
    report.write_figures(&out).unwrap();
    let csv = fs::read_to_string(out.join("comparison.csv")).unwrap();
    assert_eq!(csv.lines().count(), 1 + 11, "as long as the shortest study\n{csv}");
    assert!(out.join("1-1.study/accuracy.svg").exists());
}

#[test]
fn what_is_no_whole_study_is_named_and_nothing_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let whole = finished(folder.path(), "whole.study", 30, 7);
    let mut cases = no_whole_studies(folder.path(), &fs::read(&whole).unwrap());
    cases.push((folder.path().to_path_buf(), "a folder"));
    for (path, expected) in cases {
        let error = Report::of(std::slice::from_ref(&path)).err().unwrap();
        let text = error.to_string();
        assert!(matches!(error, ReportError::Store(_)), "{text}");
        assert!(text.contains(expected) && text.contains(&path.display().to_string()), "{text}");
    }
    let text = Report::of(&[of_schema_1(folder.path())]).err().unwrap().to_string();
    assert!(text.contains("its schema is 1") && text.contains("metaqnn resume"), "{text}");
}

#[test]
fn a_log_that_does_not_replay_is_shown_without_q_values() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("other.study");
    let mut study = grown(&path, 8);
    study.add_with_hash("0000000000000000");
    study.file.close().unwrap();
    let page = html(&path);
    assert!(page.contains("The Q-values cannot be shown.") && page.contains("another version"), "{page}");
    assert!(page.contains(r#"<figure id="accuracy">"#) && !page.contains(r#"<figure id="q-by-layer">"#));
}

#[test]
fn a_file_that_cannot_be_written_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let path = finished(folder.path(), "whole.study", 5, 9);
    let report = Report::of(&[path]).unwrap();
    let absent = folder.path().join("no/such/report.html");
    let error = report.write_html(&absent).unwrap_err().to_string();
    assert!(error.contains("report.html"), "{error}");
}

/// 10,000 trials: the page is small and made in seconds. Prints figures.
#[test]
#[ignore = "takes a minute; prints figures"]
fn a_large_study_makes_a_small_report() {
    let folder = tempfile::tempdir().unwrap();
    let begin = std::time::Instant::now();
    let path = finished(folder.path(), "large.study", 10_000, 10);
    println!("made in {:.1} s", begin.elapsed().as_secs_f64());
    let begin = std::time::Instant::now();
    let view = StudyView::read(&path).unwrap();
    println!("{} trials read in {:.3} s", view.trials.len(), begin.elapsed().as_secs_f64());
    let begin = std::time::Instant::now();
    let page = html(&path);
    println!("report of {:.2} MB in {:.2} s", page.len() as f64 / 1e6, begin.elapsed().as_secs_f64());
    assert!(page.len() < 5_000_000, "{}", page.len());
}
