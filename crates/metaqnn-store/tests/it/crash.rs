//! A coordinator that is killed at any moment has lost nothing of what it had stored.

use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use metaqnn_store::StudyFile;
use rusqlite::Connection;

use crate::{child, samples};

#[test]
fn what_was_acknowledged_survives_a_kill() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("a.study");
    StudyFile::create(&path, &samples::header()).unwrap().close().unwrap();
    let mut stored = 0;
    // Long enough that the log is moved into the file in between, too, which happens every 1,000 pages.
    for (round, milliseconds) in [0, 3, 17, 60, 140, 330, 700].into_iter().enumerate() {
        let mut writer = child::start("writer", &path);
        let first: u64 = writer.hear().unwrap().parse().unwrap();
        assert_eq!(first, stored, "it goes on after the last event that is stored");
        let (killed, kill) = mpsc::channel();
        let acknowledged = thread::scope(|scope| {
            scope.spawn(|| {
                thread::sleep(Duration::from_millis(milliseconds));
                // Another process sees what is there while the coordinator runs.
                let seen = StudyFile::read(&path).unwrap().counts().unwrap().events;
                killed.send(seen).unwrap();
            });
            let mut last = first;
            let mut seen = None;
            while seen.is_none() {
                last = writer.hear().unwrap().parse().unwrap();
                seen = kill.try_recv().ok();
            }
            writer.kill();
            while let Some(number) = writer.hear() {
                last = number.parse().unwrap();
            }
            assert!(seen.unwrap() > first && seen.unwrap() <= last + 2);
            last + 1
        });

        // Half of the rounds begin with the file as the kill left it, half with one that was put in order.
        if round % 2 == 0 {
            let study = StudyFile::open(&path).unwrap();
            let mut next = 0;
            study
                .reader()
                .visit_events(&mut |event| {
                    assert_eq!(event.number, next);
                    next += 1;
                    true
                })
                .unwrap();
            stored = next;
            study.close().unwrap();
            let left: Vec<_> = folder.path().read_dir().unwrap().map(|entry| entry.unwrap().file_name()).collect();
            assert_eq!(left, ["a.study"]);
        } else {
            stored = StudyFile::read(&path).unwrap().counts().unwrap().events;
        }
        // One event may have been stored that the process had no time to tell of.
        assert!((acknowledged..=acknowledged + 1).contains(&stored), "{acknowledged} acknowledged, {stored} stored");
        let connection = Connection::open(&path).unwrap();
        let check: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
        assert_eq!(check, "ok");
    }
    assert!(stored > 20, "{stored} events in all");
}
