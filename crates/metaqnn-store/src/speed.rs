//! How fast events are asked for, told, stored and read in a large study, and what memory that takes; the samples for it.
//!
//! docs/performance.md has the commands and the figures. One test a process: each measures the memory of all of it.

use std::fs;
use std::process::Command;
use std::time::Instant;

use metaqnn_core::graph::MapShape;
use metaqnn_core::ports::Storage;
use metaqnn_core::settings::{self, Preset, Settings};
use metaqnn_core::space::{Architecture, SearchSpace};
use metaqnn_core::study::{
    Accuracy, Ask, CurvePoint, Evaluation, EventKind, EventRecord, Outcome, Study, StudyHeader, Transition,
    TrialNumber, TrialRecord,
};

use crate::{Detail, StudyFile};

pub(crate) fn header() -> StudyHeader {
    StudyHeader {
        version: "0.1.0".into(),
        created_at: 1_767_225_600,
        settings: "[search]\nmodels = 100000\n".into(),
        seed: u64::MAX,
        data: "digits".into(),
        data_fingerprint: "0123456789abcdef".into(),
        input: MapShape::new(3, 32, 32),
        class_names: (0..10).map(|class| class.to_string()).collect(),
    }
}

/// A typical trial: 10 transitions, 20 points; every number its own architecture, in no order.
pub(crate) fn trial_event(number: u64) -> EventRecord {
    let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let channels = |position: u64| 1 + (mixed >> (8 * position)) % 250;
    let layers: Vec<String> = (0..7).map(|position| format!("C({},3,1)", channels(position))).collect();
    let architecture = format!("[{}, P(2,2), FC({}), SM(10)]", layers.join(", "), number + 1);
    let state = |step: u64| format!("C({},3,1) size=32 depth={step} fc=0", channels(step % 8));
    let step = |step: u64| Transition {
        state: state(step),
        action: format!("C({},3,1)", channels((step + 1) % 8)),
        reward: if step == 9 { 0.5 } else { 0.0 },
        next_state: state(step + 1),
    };
    let valid_accuracy = 0.1 + 0.8 * (mixed >> 11) as f64 / (1_u64 << 53) as f64;
    let point = |epoch: u32| CurvePoint {
        epoch,
        train_loss: 2.3 / f64::from(epoch),
        valid_accuracy: valid_accuracy * f64::from(epoch) / 20.0,
    };
    let record = TrialRecord {
        trial: TrialNumber(number + 1),
        architecture: architecture.parse().unwrap(),
        seed: mixed,
        params: 1_000_000 + number,
        flops: 100_000_000,
        evaluation: Evaluation {
            outcome: Outcome::Complete { valid_accuracy: Accuracy::new(valid_accuracy).unwrap() },
            curve: (1..=20).map(point).collect(),
            epochs: 20,
            tries: 1,
            train_seconds: 12.5,
        },
        transitions: (0..10).map(step).collect(),
    };
    EventRecord {
        number,
        epsilon: 0.5,
        kind: EventKind::Trial(Box::new(record)),
        q_table_hash: format!("{mixed:016x}"),
        run_seconds: number as f64,
    }
}

/// Seconds that this thread has spent on a processor, in the system included; waiting for the disk is not.
#[cfg(target_os = "linux")]
fn cpu_seconds() -> f64 {
    let text = fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    text.split_whitespace().next().unwrap().parse::<f64>().unwrap() / 1e9
}

/// Largest memory of the process until now, in MiB.
#[cfg(target_os = "linux")]
fn peak_memory() -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() / 1024.0
}

#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes a minute; prints figures"]
fn speed_at_100_000_trials() {
    const TRIALS: u64 = 100_000;
    const MEASURED: u64 = 1_000;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.study");
    let mut study = StudyFile::create(&path, &header()).unwrap();
    let set_synchronous = |study: &StudyFile, mode| {
        study.reader.connection.pragma_update(None, "synchronous", mode).unwrap();
    };
    let append = |study: &mut StudyFile, from: u64, count: u64| {
        let events: Vec<_> = (from..from + count).map(trial_event).collect();
        let (cpu, wall) = (cpu_seconds(), Instant::now());
        for event in &events {
            study.append(event).unwrap();
        }
        let micros = |seconds: f64| seconds / count as f64 * 1e6;
        (micros(cpu_seconds() - cpu), micros(wall.elapsed().as_secs_f64()))
    };
    set_synchronous(&study, "OFF");
    for from in (0..TRIALS).step_by(MEASURED as usize) {
        let (cpu, _) = append(&mut study, from, MEASURED);
        if from == 0 || from + MEASURED == TRIALS {
            println!("append at {from} trials, without sync: {cpu:.0} µs of CPU");
            assert!(cpu < 500.0, "appending takes {cpu} µs of CPU");
        }
    }
    set_synchronous(&study, "FULL");
    let (cpu, wall) = append(&mut study, TRIALS, MEASURED);
    println!("append at {TRIALS} trials, with sync: {cpu:.0} µs of CPU, {wall:.0} µs in all");
    study.close().unwrap();
    println!("file: {:.1} MB", fs::metadata(&path).unwrap().len() as f64 / 1e6);

    // In a process of its own, of which the peak of memory is that of reading.
    let reading = ["--exact", "speed::speed_of_reading", "--ignored", "--nocapture"];
    let program = std::env::current_exe().unwrap();
    assert!(Command::new(program).args(reading).env(STUDY, &path).status().unwrap().success());
}

/// Memory of the process now, in bytes.
#[cfg(target_os = "linux")]
fn resident_memory() -> f64 {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<f64>().unwrap() * 1024.0
}

/// What a coordinator does for a trial beside training: ask, tell, store; in the paper's space and with its learning.
#[cfg(target_os = "linux")]
#[test]
#[ignore = "takes minutes; prints figures"]
fn speed_at_100_000_trials_of_ask_tell_and_store() {
    const TRIALS: u64 = 100_000;
    const MEASURED: u64 = 1_000;
    let mut document = Preset::Paper.document("svhn").unwrap();
    // So many different architectures are found at random only.
    settings::set(&mut document, "agent.epsilon_schedule=[{ epsilon = 1.0, models = 10000000 }]").unwrap();
    settings::set(&mut document, "limits.memory_mib=0").unwrap();
    let settings = Settings::from_toml(&document.to_string()).unwrap();
    let space = || SearchSpace::new(settings.space.clone(), MapShape::new(3, 32, 32), 10).unwrap();

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.study");
    let before = resident_memory();
    let mut file = StudyFile::create(&path, &header()).unwrap();
    let mut study = Study::new(settings.clone(), space(), 1);
    file.reader.connection.pragma_update(None, "synchronous", "OFF").unwrap();
    let mut stored = 0;
    let mut search = |study: &mut Study, file: &mut StudyFile, until: u64| {
        let (first, cpu, wall) = (stored, cpu_seconds(), Instant::now());
        while stored < until {
            match study.ask(0.0, 0.0) {
                Ask::Trial(asked) => {
                    let evaluation = made_up(&asked.architecture);
                    file.append(&study.tell(asked.trial, evaluation, 0.0).unwrap()).unwrap();
                    stored += 1;
                }
                Ask::Event(event) => file.append(&event).unwrap(),
                other => panic!("{other:?}"),
            }
        }
        let micros = |seconds: f64| seconds / (until - first) as f64 * 1e6;
        (micros(cpu_seconds() - cpu), micros(wall.elapsed().as_secs_f64()))
    };
    let (cpu, _) = search(&mut study, &mut file, TRIALS);
    println!("ask, tell and store, the first {TRIALS} trials, without sync: {cpu:.0} µs of CPU a trial");
    let memory = (resident_memory() - before) / TRIALS as f64;
    println!("memory of study and file: {memory:.0} bytes a trial (SQLite's cache of 32 MiB included)");
    let (cpu, _) = search(&mut study, &mut file, TRIALS + MEASURED);
    println!("ask, tell and store at {TRIALS} trials, without sync: {cpu:.0} µs of CPU a trial");
    assert!(cpu < 1_000.0, "a trial takes {cpu} µs of CPU");
    file.reader.connection.pragma_update(None, "synchronous", "FULL").unwrap();
    let (cpu, wall) = search(&mut study, &mut file, TRIALS + 2 * MEASURED);
    println!("ask, tell and store at {TRIALS} trials, with sync: {cpu:.0} µs of CPU, {wall:.0} µs in all");
    assert!(memory < 1024.0, "a trial takes {memory} bytes");

    // A study that goes on is read from the file.
    let (wall, mut study) = (Instant::now(), Study::new(settings.clone(), space(), 1));
    file.reader
        .visit_events(&mut |event| {
            study.replay(&event).unwrap();
            true
        })
        .unwrap();
    println!("replay: {:.0} µs an event", wall.elapsed().as_secs_f64() / study.events() as f64 * 1e6);
}

/// A result that is a matter of the architecture alone.
#[cfg(target_os = "linux")]
fn made_up(architecture: &Architecture) -> Evaluation {
    let hash = architecture
        .to_string()
        .bytes()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3));
    let valid_accuracy = 0.1 + 0.8 * (hash >> 11) as f64 / (1_u64 << 53) as f64;
    let point = |epoch: u32| CurvePoint {
        epoch,
        train_loss: 2.3 / f64::from(epoch),
        valid_accuracy: valid_accuracy * f64::from(epoch) / 20.0,
    };
    Evaluation {
        outcome: Outcome::Complete { valid_accuracy: Accuracy::new(valid_accuracy).unwrap() },
        curve: (1..=20).map(point).collect(),
        epochs: 20,
        tries: 1,
        train_seconds: 12.5,
    }
}

/// Names the study that [`speed_of_reading`] reads.
#[cfg(target_os = "linux")]
const STUDY: &str = "METAQNN_STORE_SPEED_STUDY";

#[cfg(target_os = "linux")]
#[test]
#[ignore = "run by speed_at_100_000_trials"]
fn speed_of_reading() {
    let Some(path) = std::env::var_os(STUDY) else { return };
    let before = peak_memory();
    let reader = StudyFile::read(&path).unwrap();
    let timed = |name: &str, ask: &mut dyn FnMut()| {
        let start = Instant::now();
        ask();
        println!("{name}: {:.1} ms", start.elapsed().as_secs_f64() * 1e3);
    };
    let (mut events, mut trials, mut counted) = (0, 0, 0);
    timed("every event", &mut || {
        reader
            .visit_events(&mut |_| {
                events += 1;
                true
            })
            .unwrap();
    });
    timed("every trial, summaries", &mut || {
        reader
            .visit_trials(Detail::Summary, &mut |_| {
                trials += 1;
                true
            })
            .unwrap();
    });
    timed("top 10", &mut || assert_eq!(reader.top(10).unwrap().len(), 10));
    timed("one trial", &mut || assert!(reader.trial(TrialNumber(77_777)).unwrap().is_some()));
    timed("counts", &mut || counted = reader.counts().unwrap().trials());
    assert_eq!((events, trials), (counted, counted));
    assert!(counted > 100_000);
    let grown = peak_memory() - before;
    println!("memory taken by reading: {grown:.1} MiB");
    assert!(grown < 32.0, "reading takes {grown} MiB");
}
