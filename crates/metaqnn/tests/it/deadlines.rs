//! No value of a setting makes the program hang: it ends or says something within 20 s, and an interrupt is heard within a second.

use std::io::Read;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use toml_edit::{DocumentMut, Item, TableLike};

use crate::program::{lines, metaqnn, search, text, verify};

/// Until when a line is said, or the end has come.
const A_LINE: Duration = Duration::from_secs(20);

/// Until when an interrupt is heard.
const HEARD: Duration = Duration::from_secs(1);

/// How often a machine that is busy with other tests may have been the reason.
const TRIES: usize = 3;

/// A short search with a final phase.
const SHORT: [&str; 10] = [
    "training.train_images=100",
    "training.valid_images=100",
    "training.min_steps=5",
    "limits.mflops=2",
    "space.max_layers=4",
    "final.candidates=2",
    "final.training.train_images=100",
    "final.training.epochs=1",
    "final.training.min_steps=5",
    "final.training.restart.tries=1",
];

/// What a key is set to: nothing, less than nothing, the most that the types hold, no number, and what is none of this.
const VALUES: [&str; 8] = ["0", "-1", "4000000000", "9000000000000000000", "1e300", "nan", "\"wrong\"", "[[]]"];

/// The keys of all settings, those of values that are tables themselves included.
fn keys(table: &dyn TableLike, path: &str) -> Vec<String> {
    let mut keys = Vec::new();
    for (key, item) in table.iter() {
        let path = if path.is_empty() { key.to_string() } else { format!("{path}.{key}") };
        match item.as_table_like() {
            Some(inner) => {
                keys.extend(self::keys(inner, &path));
                keys.extend(matches!(item, Item::Value(_)).then_some(path));
            }
            None => keys.push(path),
        }
    }
    keys
}

/// The assignments that are tried of a key: of a list, lists of the values too.
fn assignments(document: &DocumentMut, key: &str) -> Vec<String> {
    let mut item = document.as_item();
    for part in key.split('.') {
        item = &item[part];
    }
    let mut assignments: Vec<String> = VALUES.iter().map(|value| format!("{key}={value}")).collect();
    if item.is_array() {
        assignments.extend(VALUES[..6].iter().map(|value| format!("{key}=[{value}]")));
        assignments.extend(VALUES[..6].iter().map(|value| format!("{key}=[1, {value}]")));
        assignments.extend(VALUES[..6].iter().map(|value| format!("{key}=[[{value}, {value}]]")));
    }
    assignments
}

/// A process that is killed when a test fails.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Running {
    fn end_within(&mut self, patience: Duration) -> Option<ExitStatus> {
        let begin = Instant::now();
        loop {
            match self.0.try_wait().unwrap() {
                Some(status) => return Some(status),
                None if begin.elapsed() > patience => return None,
                None => std::thread::sleep(Duration::from_millis(10)),
            }
        }
    }
}

/// Runs a short search with one setting changed, interrupts it after a while, and says what was wrong.
fn try_one(assignment: &str, study: &Path, runs_for: Duration) -> Result<(), String> {
    let messages = study.with_extension("messages");
    let mut command = Command::new(env!("CARGO_BIN_EXE_metaqnn"));
    command.args(["search", "--models", "2", "--workers", "1", "--study", study.to_str().unwrap()]);
    for short in SHORT.iter().chain([&assignment]) {
        command.args(["--set", short]);
    }
    let file = std::fs::File::create(&messages).unwrap();
    let mut running = Running(command.stdout(Stdio::null()).stderr(file).spawn().unwrap());
    let said = || {
        let mut said = String::new();
        std::fs::File::open(&messages).unwrap().read_to_string(&mut said).unwrap();
        said
    };
    let mut status = running.end_within(runs_for);
    let begin = Instant::now();
    while status.is_none() && said().is_empty() && begin.elapsed() < A_LINE {
        status = running.end_within(Duration::from_millis(100));
    }
    let was_interrupted = status.is_none();
    if was_interrupted {
        if said().is_empty() {
            return Err(format!("no line within {A_LINE:?}"));
        }
        assert!(Command::new("kill").args(["-INT", &running.0.id().to_string()]).status().unwrap().success());
        status = running.end_within(HEARD);
    }
    let said = said();
    match status.map(|status| status.code()) {
        _ if said.contains("panicked") => Err(said),
        None => Err(format!("the interrupt was not heard within {HEARD:?}: {said}")),
        Some(Some(0 | 1)) if !said.is_empty() => Ok(()),
        Some(Some(130)) if was_interrupted => Ok(()),
        // Before the study is there, nobody need listen.
        Some(None) if was_interrupted => Ok(()),
        Some(code) => Err(format!("exit status {code:?}: {said}")),
    }
}

#[test]
fn no_value_of_a_setting_hangs_and_interrupts_are_heard() {
    let document: DocumentMut = text(&["config"]).parse().unwrap();
    let keys = keys(document.as_table(), "");
    assert!(keys.len() > 80 && keys.iter().any(|key| key == "training.restart.tries"), "{keys:?}");
    let assignments: Vec<String> = keys.iter().flat_map(|key| assignments(&document, key)).collect();
    let slow = std::env::var_os("METAQNN_SLOW_TESTS").is_some_and(|set| set == "1");
    let runs_for = Duration::from_millis(if slow { 2_000 } else { 300 });
    let folder = tempfile::tempdir().unwrap();
    let (next, wrong) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..std::thread::available_parallelism().map_or(1, usize::from) {
            scope.spawn(|| {
                while let Some((place, assignment)) =
                    Some(next.fetch_add(1, Ordering::SeqCst)).and_then(|n| Some((n, assignments.get(n)?)))
                {
                    let tried = (0..TRIES).try_fold(String::new(), |_, number| {
                        let study = folder.path().join(format!("{place}-{number}.study"));
                        match try_one(assignment, &study, runs_for) {
                            Ok(()) => Err(()),
                            Err(reason) => Ok(reason),
                        }
                    });
                    if let Ok(reason) = tried {
                        wrong.lock().unwrap().push(format!("{assignment}: {reason}"));
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), assignments.len(), wrong.join("\n"));
}

/// Runs a search that must end by itself with an error, and gives that.
fn fails(more: &[&str]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    let mut arguments = vec!["search", "--workers", "1", "--study", study.to_str().unwrap()];
    for short in &SHORT {
        arguments.extend(["--set", short]);
    }
    arguments.extend(more);
    let output = metaqnn(&arguments);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_search_in_which_nothing_fits_ends_and_says_why() {
    for agent in ["default", "random", "evolution", "local-search"] {
        let said = fails(&["--models", "3", "--set", "limits.params=1", "--agent", agent]);
        assert!(said.contains("no network that the agent proposes is within the limits"), "{agent}: {said}");
        assert!(said.ends_with("error: no network was trained\n"), "{agent}: {said}");
    }
}

#[test]
fn a_search_in_which_nothing_learns_has_failed() {
    let said = fails(&["--models", "2", "--set", "training.restart.margin=0.99", "--set", "training.restart.tries=1"]);
    assert!(said.contains("error: 2 networks trained, none has learned; `metaqnn log` says why each failed"), "{said}");
}

#[test]
fn a_small_space_is_searched_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    let more = ["--models", "500", "--workers", "2", "--set", "space.max_layers=1", "--set", "limits.mflops=1"];
    let result = search(&study, &more).remove(0);
    let models = result["models"].as_u64().unwrap();
    assert!((2..20).contains(&models), "{result}");
    // Nothing is left to do, so nothing is done.
    let events = verify(&study)["events"].clone();
    let again = lines(&metaqnn(&["resume", study.to_str().unwrap(), "--json"])).remove(0);
    assert_eq!((&again["models"], &verify(&study)["events"]), (&models.into(), &events));
}

#[test]
fn more_threads_than_the_machine_bears_are_refused_before_anything_is_begun() {
    let folder = tempfile::tempdir().unwrap();
    let study = folder.path().join("a.study");
    let output = metaqnn(&["search", "--study", study.to_str().unwrap(), "--workers", "1000", "--threads", "1000"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(said.contains("1000 workers of 1000 threads are 1000000 threads; on "), "{said}");
    assert!(!study.exists());
}
