//! Inputs that cannot be used: what the program says of each, its exit status, and that it leaves everything as it was.
//!
//! [docs/errors.md](../../../../docs/errors.md) is the table as users read it and, in one, what is expected here: `METAQNN_WRITE_DOCS=1`
//! writes it anew.

mod arguments;
mod data;
mod made;
mod models;
mod studies;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

/// An input that cannot be used.
struct Case {
    /// What is wrong with it.
    what: &'static str,
    /// Makes it in the working folder.
    make: fn(&Path),
    /// What is run there, without the program's name; parts that hold spaces stand in single quotes.
    command: &'static str,
}

/// A row of the table.
struct Row {
    what: &'static str,
    command: &'static str,
    said: String,
    status: i32,
}

const DOCUMENT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/errors.md");

const INTRODUCTION: &str = "# What is said of inputs that cannot be used

Each line of the tables was made by running the command; a test runs them all again, so what stands here is what the program says. It says it on standard
error (`space check` judges lines, on standard output) and ends with status 1; with status 2 where the command line itself is wrong, and then also how to get help. Whatever was there before is there after, and
nothing else: no half-written study or model is left. `/data` stands for the folder in which the commands were given.

Where own images have several things wrong with them, all are told at once, one a line ([own-images.md](own-images.md)).
";

/// The parts of a command line.
fn parts(command: &str) -> Vec<String> {
    // Every other piece between quotes was quoted.
    let pieces = command.split('\'').enumerate();
    let of_piece = |(i, piece): (usize, &str)| -> Vec<String> {
        if i % 2 == 1 { vec![piece.to_owned()] } else { piece.split_whitespace().map(ToOwned::to_owned).collect() }
    };
    pieces.flat_map(of_piece).collect()
}

/// Every file and folder below `folder`, with the bytes of the files.
fn everything_in(folder: &Path) -> BTreeMap<PathBuf, Option<Vec<u8>>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(everything_in(&path));
            found.insert(path, None);
        } else {
            let mut bytes = fs::read(&path).unwrap();
            if bytes.starts_with(b"SQLite format 3\0") && bytes.len() > 100 {
                // A coordinator turns SQLite's log on and off, which counts as a change though nothing is another: the counter,
                // and with which version of SQLite it was last raised.
                bytes[24..28].fill(0);
                bytes[92..100].fill(0);
            }
            found.insert(path, Some(bytes));
        }
    }
    found
}

fn run(case: &Case) -> Row {
    let &Case { what, make, command } = case;
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().canonicalize().unwrap();
    make(&root);
    let before = everything_in(&root);
    let output = Command::new(env!("CARGO_BIN_EXE_metaqnn"))
        .args(parts(command))
        .current_dir(&root)
        .env_remove("METAQNN_DATA")
        .env("XDG_DATA_HOME", "nothing-here")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let after = everything_in(&root);
    let changed: Vec<&PathBuf> =
        before.keys().chain(after.keys()).filter(|path| before.get(*path) != after.get(*path)).collect();
    assert!(changed.is_empty(), "{what}: {changed:?} changed");
    let (said, told) = (String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap());
    let status = output.status.code().unwrap();
    // What judges lines says so of each on standard output.
    assert!(told.is_empty() || command.starts_with("space check"), "{what}: {told}");
    let said = if said.is_empty() { told } else { said };
    // What was decided about sound data stands before what is wrong with the rest.
    let lines: Vec<&str> = said.trim_end().lines().filter(|line| !line.starts_with("pixels: ")).collect();
    // A command line that is wrong is followed by how it is used.
    assert!(lines.len() == 1 || status == 2, "{what}: more than a line:\n{said}");
    let said =
        lines[0].replace(root.to_str().unwrap(), "/data").replace(made::first_folder().to_str().unwrap(), "/data");
    Row { what, command, said, status }
}

/// All cases, on two threads: each waits for a process most of the time.
fn run_all(cases: &[Case]) -> Vec<Row> {
    thread::scope(|scope| {
        let half = cases.len().div_ceil(2);
        let halves: Vec<_> =
            cases.chunks(half).map(|cases| scope.spawn(|| cases.iter().map(run).collect::<Vec<_>>())).collect();
        halves.into_iter().flat_map(|half| half.join().unwrap()).collect()
    })
}

fn table(title: &str, rows: &[Row]) -> String {
    let mut text =
        format!("\n## {title}\n\n| what is wrong | `metaqnn` … | is answered | status |\n|---|---|---|---|\n");
    for Row { what, command, said, status } in rows {
        // Text with backticks stands between two.
        let cell = |text: &str| {
            let (begin, end) = if text.contains('`') { ("`` ", " ``") } else { ("`", "`") };
            format!("{begin}{}{end}", text.replace('|', "\\|"))
        };
        text += &format!("| {what} | {} | {} | {status} |\n", cell(command), cell(said));
    }
    text
}

#[test]
fn every_bad_input_is_answered_in_a_line_and_leaves_nothing() {
    let groups = [
        ("Images and data sets", data::CASES),
        ("Architectures, settings, arguments", arguments::CASES),
        ("Studies", studies::CASES),
        ("Models", models::CASES),
    ];
    let mut document = INTRODUCTION.to_owned();
    let mut all = 0;
    for (title, cases) in groups {
        let rows = run_all(cases);
        for row in &rows {
            assert!([1, 2].contains(&row.status), "{}: status {}: {}", row.what, row.status, row.said);
            assert!(!row.said.contains("panicked"), "{}: {}", row.what, row.said);
            assert!(row.said.len() < 400, "{}: {}", row.what, row.said);
        }
        document += &table(title, &rows);
        all += rows.len();
    }
    assert!(all >= 40, "{all}");
    if std::env::var_os("METAQNN_WRITE_DOCS").is_some_and(|set| set == "1") {
        fs::write(DOCUMENT, &document).unwrap();
    }
    let written = fs::read_to_string(DOCUMENT).unwrap();
    let differing: Vec<(&str, &str)> =
        written.lines().zip(document.lines()).filter(|(written, said)| written != said).collect();
    let first = differing.first();
    assert!(
        written == document,
        "docs/errors.md is not what is said (METAQNN_WRITE_DOCS=1 writes it anew); first of it {first:#?}"
    );
}
