//! Studies that cannot be used.

use std::fs;

use super::Case;
use super::made::{changed_study, pets, shades, study, write};

pub(super) const CASES: &[Case] = &[
    Case { what: "a study that is not there", make: |_| {}, command: "resume none.study" },
    Case {
        what: "a text in the place of a study",
        make: |root| write(root.join("a.study"), "some notes\n".repeat(50)),
        command: "show a.study",
    },
    Case { what: "an empty file", make: |root| write(root.join("a.study"), ""), command: "top a.study" },
    Case {
        what: "a study that was cut off",
        make: |root| {
            study(root);
            let bytes = fs::read(root.join("shades.study")).unwrap();
            fs::write(root.join("shades.study"), &bytes[..bytes.len() / 2]).unwrap();
        },
        command: "resume shades.study",
    },
    Case {
        what: "a study of a newer version",
        make: |root| {
            let history = "INSERT INTO schema_history (schema, version) VALUES (99, '9.8.7')";
            changed_study(root, &format!("{history}; PRAGMA user_version = 99"));
        },
        command: "resume shades.study",
    },
    Case {
        what: "a value that means nothing",
        make: |root| {
            changed_study(
                root,
                "DROP TRIGGER trial_changed; UPDATE trial SET architecture = '[nonsense]' WHERE trial = 1",
            );
        },
        command: "log shades.study",
    },
    Case {
        what: "settings that cannot be read",
        make: |root| changed_study(root, "DROP TRIGGER study_changed; UPDATE study SET settings = 'x = 1'"),
        command: "resume shades.study",
    },
    Case {
        what: "a log that was tampered with",
        make: |root| {
            shades(root);
            changed_study(
                root,
                "DROP TRIGGER trial_changed; DROP TRIGGER event_changed; UPDATE event SET q_table_hash = '0' WHERE event = 0",
            );
        },
        command: "show shades.study --verify",
    },
    Case { what: "a trial that there is not", make: study, command: "show shades.study 99" },
    Case { what: "data that are gone", make: study, command: "resume shades.study --models 9" },
    Case {
        what: "data of other classes where they are said to be",
        make: |root| {
            study(root);
            pets(root);
        },
        command: "resume shades.study --models 9 --data pets",
    },
    Case { what: "fewer models than there are", make: study, command: "resume shades.study --models 1" },
    Case { what: "a final phase without the data", make: study, command: "final shades.study" },
    Case { what: "a final phase of no networks", make: study, command: "final shades.study --models 0" },
    Case {
        what: "a report into a folder that is not there",
        make: study,
        command: "report shades.study --out nowhere/report.html",
    },
    Case { what: "a report over its study", make: study, command: "report shades.study --out shades.study" },
    Case {
        what: "a report over a picture",
        make: |root| {
            study(root);
            write(root.join("photo.png"), b"\x89PNG\r\n\x1a\n");
        },
        command: "report shades.study --out photo.png",
    },
    Case { what: "a report of what is no study", make: shades, command: "report shades.csv --out report.html" },
];
