//! The report of a search from the command line.

use std::fs;

use crate::program::{lines, log, metaqnn, search};

#[test]
fn a_search_is_reported_as_one_page_and_its_figures() {
    let folder = tempfile::tempdir().unwrap();
    let (study, out) = (folder.path().join("a.study"), folder.path().join("report.html"));
    let figures = folder.path().join("figures");
    search(&study, &["--models", "5", "--workers", "1", "--seed", "7"]);
    let before = fs::read(&study).unwrap();
    let paths = [study.to_str().unwrap(), "--out", out.to_str().unwrap(), "--figures", figures.to_str().unwrap()];
    let result = lines(&metaqnn(&[&["report", "--json"], &paths[..]].concat())).remove(0);
    let files = fs::read_dir(&figures).unwrap().count() as u64;
    assert_eq!(2 * result["figures_written"].as_u64().unwrap(), files);
    let page = fs::read_to_string(&out).unwrap();
    for trial in log(&study) {
        let architecture = trial["architecture"].as_str().unwrap();
        assert_eq!(page.contains(architecture), !trial["valid_accuracy"].is_null(), "{architecture}");
    }
    assert_eq!(fs::read(&study).unwrap(), before, "the study is only read");
    // What cannot be read leaves the report as it was.
    fs::write(folder.path().join("b.study"), "no study").unwrap();
    let failed = metaqnn(&["report", folder.path().join("b.study").to_str().unwrap(), "--out", out.to_str().unwrap()]);
    assert_eq!(failed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&failed.stderr).contains("not a metaqnn study"));
    assert_eq!(fs::read_to_string(&out).unwrap(), page);
}

#[test]
fn a_report_is_written_over_nothing_but_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    let study = at("a.study");
    search(&study, &["--models", "5", "--workers", "1", "--seed", "7"]);
    fs::copy(&study, at("other.study")).unwrap();
    fs::write(at("photo.png"), "\x7fPNG").unwrap();
    fs::create_dir(at("folder")).unwrap();
    fs::write(at("accuracy.csv"), "mine\n1\n").unwrap();
    let before = fs::read(&study).unwrap();
    let report = |out: &str, more: &[&str]| {
        let out = at(out);
        metaqnn(&[&["report", study.to_str().unwrap(), "--out", out.to_str().unwrap()], more].concat())
    };
    for (out, expected) in [
        ("a.study", "this is what is read"),
        ("a.study-wal", "this name belongs to"),
        ("a.study.running", "this name belongs to"),
        ("other.study", "there is another file already"),
        ("photo.png", "there is another file already"),
        ("folder", "this is a folder"),
        ("/dev/null", "a device"),
    ] {
        let refused = report(out, &[]);
        let said = String::from_utf8_lossy(&refused.stderr).into_owned();
        assert_eq!(refused.status.code(), Some(1), "{out}: {said}");
        assert!(said.contains(expected), "{out}: {said}");
    }
    let refused = report("report.html", &["--figures", folder.path().to_str().unwrap()]);
    assert_eq!(refused.status.code(), Some(1), "{refused:?}");
    assert!(!at("report.html").exists());
    assert_eq!(fs::read(&study).unwrap(), before);
    assert_eq!(fs::read_to_string(at("photo.png")).unwrap(), "\x7fPNG");
    for _ in 0..2 {
        assert!(report("report.html", &["--figures", at("figures").to_str().unwrap()]).status.success());
    }
}
