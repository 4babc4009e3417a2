//! Another process: this test binary, run again to play one part.

use std::io::{BufRead, BufReader, ErrorKind, Lines, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use metaqnn_core::ports::Storage;
use metaqnn_store::StudyFile;

use crate::samples;

/// Tells the process which part to play, on which study.
const PART: &str = "METAQNN_STORE_TEST_PART";
const STUDY: &str = "METAQNN_STORE_TEST_STUDY";

/// Before each line of a part, to tell it from what the test harness prints.
const MARK: &str = "child: ";

/// A process that plays a part; killed when dropped.
pub(crate) struct Part {
    child: Child,
    lines: Lines<BufReader<ChildStdout>>,
}

/// A command that plays `part` on the study at `path`, by the program at `program`, a copy of this one.
pub(crate) fn command(program: &Path, part: &str, path: &Path) -> Command {
    let mut command = Command::new(program);
    command.args(["child::play_a_part", "--exact", "--ignored", "--nocapture"]);
    command.env(PART, part).env(STUDY, path).stdin(Stdio::piped()).stdout(Stdio::piped());
    command
}

/// Plays `part` on the study at `path`.
pub(crate) fn start(part: &str, path: &Path) -> Part {
    Part::start(command(&std::env::current_exe().unwrap(), part, path))
}

impl Part {
    pub(crate) fn start(mut command: Command) -> Part {
        let mut child = loop {
            match command.spawn() {
                // Another test's fork may still hold the copy of the program open for writing.
                Err(error) if error.kind() == ErrorKind::ExecutableFileBusy => sleep(Duration::from_millis(10)),
                child => break child.unwrap(),
            }
        };
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Part { child, lines }
    }

    /// The next line it says; `None` when it has ended.
    pub(crate) fn hear(&mut self) -> Option<String> {
        // A process that was killed may end in the middle of a line.
        self.lines
            .by_ref()
            .map_while(Result::ok)
            .find_map(|line| line.split_once(MARK).map(|(_, said)| said.to_string()))
    }

    /// Ends it as if the plug was pulled.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// The exit status of one that ends by itself.
    #[cfg(unix)]
    pub(crate) fn exit_status(&mut self) -> Option<i32> {
        self.child.wait().unwrap().code()
    }

    /// Lets it end by itself.
    pub(crate) fn dismiss(mut self) {
        drop(self.child.stdin.take());
        assert!(self.child.wait().unwrap().success());
    }
}

impl Drop for Part {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Only what ends in a line break was said.
pub(crate) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{MARK}{}", text.replace('\n', " ")).and_then(|()| out.flush()).unwrap();
}

fn wait_to_be_dismissed() {
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

#[test]
#[ignore = "played by a process that other tests start"]
fn play_a_part() {
    let Some(path) = std::env::var_os(STUDY) else { return };
    let path = Path::new(&path);
    match std::env::var(PART).unwrap().as_str() {
        "coordinator" => match StudyFile::open(path) {
            Ok(study) => {
                say("open");
                wait_to_be_dismissed();
                study.close().unwrap();
            }
            Err(error) => say(&format!("{error}")),
        },
        "reader" => match StudyFile::read(path) {
            Ok(reader) => {
                say(&format!("{} events", reader.counts().unwrap().events));
                wait_to_be_dismissed();
            }
            Err(error) => say(&format!("{error}")),
        },
        // Two trials, a repeat, and so on, until it is killed.
        "writer" => {
            let mut study = StudyFile::open(path).unwrap();
            for number in study.reader().counts().unwrap().events.. {
                let event = match number % 3 {
                    // Of the trial of the event before.
                    2 => samples::repeat_event(number, number),
                    _ => samples::trial_event(number, number + 1),
                };
                study.append(&event).unwrap();
                say(&number.to_string());
            }
        }
        #[cfg(unix)]
        "fail-each-call" => crate::faults::fail_each_call(path),
        #[cfg(unix)]
        "be-cut" => crate::faults::be_cut(path),
        other => panic!("no part {other}"),
    }
}
