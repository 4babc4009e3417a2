//! `serve` beside a search that runs.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::program::{TINY, log_len, metaqnn, search, verify};

/// Minutes where the machine is busy.
const PATIENCE: Duration = Duration::from_secs(120);

/// A process that is killed when a test fails.
struct Running(Child);

impl Running {
    fn start(arguments: &[&str]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_metaqnn"));
        Running(command.args(arguments).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap())
    }

    /// Ctrl-C; gives the exit status.
    fn interrupt(mut self) -> Option<i32> {
        let kill = format!("kill -INT {}", self.0.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        self.0.wait().unwrap().code()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A live view, and what it said of itself.
fn serve(study: &Path) -> (Running, Value) {
    let mut server = Running::start(&["serve", study.to_str().unwrap(), "--port", "0", "--json"]);
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    (server, serde_json::from_str(&line).unwrap())
}

fn get(port: u64, path: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

fn wait_for(what: &str, mut found: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !found() {
        assert!(begin.elapsed() < PATIENCE, "{what} does not come");
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn beside(study: &Path, suffix: &str) -> PathBuf {
    format!("{}{suffix}", study.display()).into()
}

#[test]
fn a_search_is_watched_while_it_runs_and_leaves_nothing_beside_its_study() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("watched.study");
    let mut arguments =
        vec!["search", "--models", "1000", "--workers", "1", "--seed", "3", "--study", study.to_str().unwrap()];
    arguments.extend(TINY);
    // Trainings long enough to be seen.
    arguments.extend(["--set", "training.epochs=60"]);
    let coordinator = Running::start(&arguments);
    wait_for("a trial", || study.exists() && log_len(&study) > 0);
    let (server, said) = serve(&study);
    let port = said["port"].as_u64().unwrap();
    assert_eq!(said["url"], format!("http://127.0.0.1:{port}/"));
    assert_eq!(said["studies"][0], study.to_str().unwrap());
    let status = || get(port, "/study/1/part/status");
    wait_for("a training", || status().contains("Running: search, 1 training going on."));
    let models = || -> u64 {
        let page = status();
        let number = page.split("<dt>models trained</dt><dd>").nth(1).unwrap().split(' ').next().unwrap();
        number.parse().unwrap()
    };
    let before = models();
    wait_for("another model", || models() > before);
    assert!(beside(&study, ".running").exists());
    assert_eq!(coordinator.interrupt(), Some(130));
    wait_for("the end", || status().contains("Not running; `metaqnn resume"));
    assert_eq!(server.interrupt(), Some(0));
    assert!(!beside(&study, ".running").exists() && !beside(&study, ".running.tmp").exists());
    let verified = verify(&study);
    assert_eq!(verified["verified_events"], verified["events"], "the log of a study that was watched replays");
}

#[test]
fn a_run_that_was_killed_is_told_of_and_the_study_is_only_read() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    search(&study, &["--models", "3", "--workers", "1", "--seed", "1"]);
    // What a run of long ago left behind.
    fs::write(
        beside(&study, ".running"),
        r#"{"process":1,"written_at":1.0,"phase":"search","epsilon":null,"run_seconds":null,"seconds_left":null,"trainings":[]}"#,
    )
    .unwrap();
    let before = fs::read(&study).unwrap();
    let (server, said) = serve(&study);
    let port = said["port"].as_u64().unwrap();
    assert!(get(port, "/study/1/part/status").contains("the last run was killed"));
    wait_for("the figures", || get(port, "/study/1/part/figures").contains("figure-accuracy"));
    assert_eq!(server.interrupt(), Some(0));
    assert_eq!(fs::read(&study).unwrap(), before);
}

#[test]
fn what_cannot_be_served_is_said_with_its_reason() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("none.study");
    let said = |arguments: &[&str]| {
        let output = metaqnn(arguments);
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    let (code, text) = said(&["serve", study.to_str().unwrap()]);
    assert!(code == Some(1) && text.contains("none.study: there is no such study"), "{text}");
    let (code, text) = said(&["serve", study.to_str().unwrap(), "--host", "example"]);
    assert!(code == Some(2) && text.contains("an IP address of this machine"), "{text}");
    let (code, text) = said(&["serve", study.to_str().unwrap(), "--token", "short"]);
    assert!(code == Some(1) && text.contains("at least 16 characters"), "{text}");
    assert_eq!(said(&["serve"]).0, Some(2));
}

#[test]
fn silent_connections_and_a_pipe_beside_the_study_hold_nothing_up() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("quiet.study");
    search(&study, &["--models", "1", "--workers", "1", "--seed", "3"]);
    assert!(Command::new("mkfifo").arg(beside(&study, ".running")).status().unwrap().success());
    let command = format!(
        "ulimit -n 64; exec {} serve {} --port 0 --json",
        env!("CARGO_BIN_EXE_metaqnn"),
        study.to_str().unwrap()
    );
    let mut server = Running(
        Command::new("sh").args(["-c", &command]).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap(),
    );
    let mut line = String::new();
    BufReader::new(server.0.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let port = serde_json::from_str::<Value>(&line).unwrap()["port"].as_u64().unwrap();
    let mut silent = Vec::new();
    for _ in 0..120 {
        let mut stream = TcpStream::connect(("127.0.0.1", port as u16)).unwrap();
        // Some are closed by then.
        let _ = stream.write_all(b"GET / HT");
        silent.push(stream);
    }
    let begin = Instant::now();
    let page = get(port, "/");
    assert!(page.starts_with("HTTP/1.1 200"), "{page}");
    assert!(!page.contains("cannot be read now"), "{page}");
    assert!(begin.elapsed() < Duration::from_secs(8), "{:?}", begin.elapsed());
    drop(silent);
    assert!(get(port, "/").starts_with("HTTP/1.1 200"));
}
