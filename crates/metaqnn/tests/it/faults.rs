//! What happens to programs and files at random moments of a search, of the final trainings and of an export: kills, pauses, renames, deletions, second
//! coordinators, full disks, readers that leave. What was seen in the log stays there, once, as it was.
//!
//! Some rounds by default; for a minute with `METAQNN_SLOW_TESTS=1`, `N` rounds with `METAQNN_FAULT_ROUNDS=N`.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use serde_json::Value;

use crate::kills::{Coordinator, below};
use crate::program::{TINY, lines, log, metaqnn, verify};

/// Rounds of one study; then another one is begun.
const ROUNDS_A_STUDY: u64 = 25;

/// Settings of a final phase of a second.
const FINAL: [&str; 8] = [
    "--set",
    "final.training.train_images=200",
    "--set",
    "final.training.epochs=4",
    "--set",
    "final.training.min_steps=0",
    "--set",
    "final.candidates_share=0.5",
];

/// What is done to a program and its files.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    Nothing,
    Kill,
    KillWorker,
    Interrupt,
    Terminate,
    Pause,
    PauseWorker,
    Rename,
    Delete,
    SecondName,
    FullDisk,
    NoReader,
    FullOutput,
}

const FAULTS: [Fault; 13] = [
    Fault::Nothing,
    Fault::Kill,
    Fault::KillWorker,
    Fault::Interrupt,
    Fault::Terminate,
    Fault::Pause,
    Fault::PauseWorker,
    Fault::Rename,
    Fault::Delete,
    Fault::SecondName,
    Fault::FullDisk,
    Fault::NoReader,
    Fault::FullOutput,
];

/// A study and what was seen of it.
struct History {
    folder: tempfile::TempDir,
    study: PathBuf,
    names: u64,
    /// The log as seen last.
    log: Vec<Value>,
    generator: ChaCha8Rng,
}

impl History {
    fn new(seed: u64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let study = folder.path().join("0.study");
        History { folder, study, names: 0, log: Vec::new(), generator: ChaCha8Rng::seed_from_u64(seed) }
    }

    fn below(&mut self, n: u64) -> u64 {
        below(n, &mut self.generator)
    }

    fn another_name(&mut self) -> PathBuf {
        self.names += 1;
        self.folder.path().join(format!("{}.study", self.names))
    }

    /// Takes up what a reader sees now: everything seen before is there, as it was.
    fn look(&mut self, what: &str) {
        if !self.study.exists() {
            assert!(self.log.is_empty(), "{what}: the study is gone");
            return;
        }
        let seen = log(&self.study);
        assert!(seen.len() >= self.log.len(), "{what}: {} of {} trials are there", seen.len(), self.log.len());
        for (before, now) in self.log.iter().zip(&seen) {
            // It is measured later.
            let measured = |trial: &Value| trial["test_accuracy"].as_f64();
            assert!(measured(before).is_none() || measured(before) == measured(now), "{what}: {before} became {now}");
            let without = |trial: &Value| {
                let mut trial = trial.clone();
                let fields = trial.as_object_mut().unwrap();
                fields.retain(|key, _| !key.starts_with("test_"));
                trial
            };
            assert_eq!(without(before), without(now), "{what}");
        }
        let mut architectures: Vec<String> = seen.iter().map(|trial| trial["architecture"].to_string()).collect();
        architectures.sort();
        architectures.dedup();
        assert_eq!(architectures.len(), seen.len(), "{what}: a network was trained twice");
        self.log = seen;
    }

    /// The program of a round.
    fn arguments(&mut self) -> Vec<String> {
        let study = self.study.to_str().unwrap().to_owned();
        let own = |words: &[&str]| words.iter().map(ToString::to_string).collect::<Vec<_>>();
        if !self.study.exists() {
            let mut arguments = own(&["search", "--models", "3", "--workers", "2", "--study", &study]);
            arguments.extend(own(&TINY));
            arguments.extend(own(&FINAL));
            if self.below(2) == 0 {
                arguments.extend(own(&["--set", "final.enabled=true", "--set", "final.candidates=2"]));
            }
            return arguments;
        }
        match self.below(6) {
            0 => own(&["final", &study, "--models", "1", "--threads", "1"]),
            1 => own(&["export", &study, "--out", &format!("{study}.model"), "--python", "/no/python"]),
            _ => {
                let models = (self.log.len() + 3).to_string();
                own(&["resume", &study, "--models", &models, "--workers", "2"])
            }
        }
    }

    /// Runs a program that meets `fault`, and checks what it leaves.
    fn round(&mut self, number: u64, fault: Fault) {
        let arguments = self.arguments();
        let what = format!("round {number}, {fault:?}, {}", arguments[0]);
        let messages = self.folder.path().join("messages");
        let mut command = match fault {
            Fault::FullDisk => {
                let mut command = Command::new("sh");
                let blocks = (100 + self.below(400)).to_string();
                let script = "trap '' XFSZ; ulimit -f \"$0\"; exec \"$@\"";
                command.args(["-c", script, &blocks, env!("CARGO_BIN_EXE_metaqnn")]);
                command
            }
            _ => Command::new(env!("CARGO_BIN_EXE_metaqnn")),
        };
        command.args(&arguments).stdin(Stdio::null()).stdout(Stdio::null());
        match fault {
            Fault::NoReader => drop(command.stdout(closed_pipe()).stderr(closed_pipe())),
            Fault::FullOutput => drop(command.stdout(full()).stderr(full())),
            _ => drop(command.stderr(File::create(&messages).unwrap())),
        }
        let mut program = Coordinator(command.spawn().unwrap());
        std::thread::sleep(Duration::from_millis(self.below(1_200)));
        self.look(&what);
        let copy = self.meet(fault, &mut program, &what);
        let Some(status) = end_of(&mut program) else { panic!("{what}: it does not end") };
        let said = std::fs::read_to_string(&messages).unwrap_or_default();
        assert!(!said.contains("panicked"), "{what}: {said}");
        assert!(matches!(status.code(), None | Some(0 | 1 | 130)), "{what}: {status}: {said}");
        if matches!(fault, Fault::Nothing | Fault::Pause | Fault::PauseWorker | Fault::KillWorker | Fault::NoReader) {
            let may_fail = ["final", "export"].contains(&arguments[0].as_str());
            assert!(may_fail || status.success(), "{what}: {status}: {said}");
        }
        if let Some(copy) = copy {
            // Deleted: the copy takes its place.
            assert!(!self.study.exists());
            self.study = copy;
        }
        self.look(&what);
        if self.study.exists() {
            verify(&self.study);
        }
    }

    /// Has a program that runs meet a fault; gives the copy that takes the place of a study that was deleted.
    fn meet(&mut self, fault: Fault, program: &mut Coordinator, what: &str) -> Option<PathBuf> {
        let id = program.0.id();
        let is_there = self.study.exists();
        match fault {
            Fault::Nothing | Fault::FullDisk | Fault::NoReader | Fault::FullOutput => {}
            Fault::Kill => drop(program.0.kill()),
            Fault::Interrupt => signal("INT", id),
            Fault::Terminate => signal("TERM", id),
            Fault::KillWorker => program.workers().first().iter().for_each(|worker| signal("KILL", **worker)),
            Fault::Pause => pause(id),
            Fault::PauseWorker => program.workers().first().iter().for_each(|worker| pause(**worker)),
            Fault::Rename if is_there => {
                let name = self.another_name();
                std::fs::rename(&self.study, &name).unwrap();
                self.study = name;
                // What was in the log beside it comes to the file when the program has ended.
                end_of(program).unwrap_or_else(|| panic!("{what}: it does not end"));
            }
            Fault::Delete if is_there => {
                let copy = self.another_name();
                let arguments = ["copy", self.study.to_str().unwrap(), copy.to_str().unwrap()];
                assert!(metaqnn(&arguments).status.success(), "{what}");
                // What was stored since is deleted too.
                std::fs::remove_file(&self.study).unwrap();
                return Some(copy);
            }
            Fault::SecondName if is_there => {
                let name = self.another_name();
                std::fs::hard_link(&self.study, &name).unwrap();
                let runs = !program.is_over();
                let second = metaqnn(&["resume", name.to_str().unwrap(), "--models", "1"]);
                let said = String::from_utf8_lossy(&second.stderr).into_owned();
                // The first may be about to begin or to end; models are only raised.
                assert!(!second.status.success() || !runs, "{what}: {said}");
                std::fs::remove_file(&name).unwrap();
            }
            Fault::Rename | Fault::Delete | Fault::SecondName => {}
        }
        None
    }
}

fn signal(name: &str, process: u32) {
    // It may have ended by itself.
    let _ = Command::new("kill").args([&format!("-{name}"), &process.to_string()]).stderr(Stdio::null()).status();
}

fn pause(process: u32) {
    signal("STOP", process);
    std::thread::sleep(Duration::from_millis(400));
    signal("CONT", process);
}

/// Waits for the end of a program.
fn end_of(program: &mut Coordinator) -> Option<ExitStatus> {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(120) {
        if let Some(status) = program.0.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    None
}

fn closed_pipe() -> Stdio {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    writer.into()
}

fn full() -> Stdio {
    File::options().write(true).open("/dev/full").unwrap().into()
}

/// How long, and for how many rounds.
fn extent() -> (Duration, u64) {
    let rounds = std::env::var("METAQNN_FAULT_ROUNDS").ok().and_then(|rounds| rounds.parse().ok());
    let slow = std::env::var_os("METAQNN_SLOW_TESTS").is_some_and(|set| set == "1");
    match rounds {
        Some(rounds) => (Duration::MAX, rounds),
        None if slow => (Duration::from_secs(60), u64::MAX),
        None => (Duration::MAX, FAULTS.len() as u64),
    }
}

/// Nothing but the study, and what belongs to it, is beside it.
fn check_folder(folder: &Path) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        // An export that was killed leaves what it had written, under a hidden name.
        assert!(name == "messages" || name.contains(".study") || name.starts_with('.'), "{name} was left behind");
    }
}

#[test]
fn whatever_happens_to_programs_and_files_nothing_seen_is_lost() {
    let (longest, rounds) = extent();
    let begin = Instant::now();
    let mut history = History::new(0);
    let mut done = 0;
    while done < rounds && begin.elapsed() < longest {
        if done > 0 && done % ROUNDS_A_STUDY == 0 {
            check_folder(history.folder.path());
            history = History::new(done);
        }
        // Each in turn, beside other programs from study to study.
        let fault = FAULTS[((done + done / ROUNDS_A_STUDY) % FAULTS.len() as u64) as usize];
        history.round(done, fault);
        done += 1;
    }
    if history.study.exists() {
        lines(&metaqnn(&["resume", history.study.to_str().unwrap(), "--json"]));
        history.look("at the end");
    }
    println!("{done} rounds in {:.0} s", begin.elapsed().as_secs_f64());
}
