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
