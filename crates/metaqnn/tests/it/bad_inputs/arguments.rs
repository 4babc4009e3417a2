//! Architectures, settings and arguments that cannot be used.

use super::Case;
use super::made::{shades, write};

pub(super) const CASES: &[Case] = &[
    Case { what: "a bracket that is missing", make: |_| {}, command: "train '[C(64,3,1), SM(10)' --data digits" },
    Case { what: "a layer that there is not", make: |_| {}, command: "train '[C(64,3,1), LSTM(8), SM(10)]'" },
    Case { what: "an even receptive field", make: |_| {}, command: "train '[C(64,4,1), SM(10)]'" },
    Case { what: "a layer after the average", make: |_| {}, command: "train '[GAP(10), FC(8), SM(10)]'" },
    Case { what: "a window larger than the map", make: |_| {}, command: "train '[P(9,1), SM(10)]'" },
    Case { what: "another number of classes", make: |_| {}, command: "train '[C(16,3,1), SM(7)]'" },
    Case {
        what: "a line that is no architecture",
        make: |root| write(root.join("lines.txt"), "nonsense\n"),
        command: "space check lines.txt",
    },
    Case { what: "a file of architectures that is not there", make: |_| {}, command: "space check lines.txt" },
    Case { what: "a mistyped setting", make: |_| {}, command: "search --set search.model=30" },
    Case { what: "a setting out of its range", make: |_| {}, command: "search --set training.learning_rate=-1" },
    Case { what: "a setting of another kind", make: |_| {}, command: "search --set training.epochs=many" },
    Case { what: "a setting without a value", make: |_| {}, command: "search --set training.epochs" },
    Case { what: "a space without an end", make: |_| {}, command: "search --set 'space.follows.P=[]'" },
    Case { what: "a settings file that is not there", make: |_| {}, command: "search --config mine.toml" },
    Case {
        what: "a settings file that is not TOML",
        make: |root| write(root.join("mine.toml"), "[training]\nepochs = = 3\n"),
        command: "search --config mine.toml",
    },
    Case {
        what: "an unknown table in a settings file",
        make: |root| write(root.join("mine.toml"), "[trainings]\nepochs = 3\n"),
        command: "search --config mine.toml",
    },
    Case { what: "a time of which a unit is missing", make: |_| {}, command: "search --budget 1h30" },
    Case { what: "a preset that there is not", make: |_| {}, command: "search --preset fast" },
    Case { what: "an agent that there is not", make: |_| {}, command: "search --agent sarsa" },
    Case { what: "a device that there is not", make: |_| {}, command: "search --device tpu:0" },
    Case { what: "a device that this build does not have", make: |_| {}, command: "search --device cuda:0" },
    Case { what: "a budget in an unknown unit", make: |_| {}, command: "search --budget 5parsecs" },
    Case { what: "no budget at all", make: |_| {}, command: "search --budget 0s" },
    Case {
        what: "a folder for the study that is not there",
        make: shades,
        command: "search shades.csv --models 1 --study nowhere/a.study",
    },
    Case {
        what: "a study that is there already",
        make: |root| {
            shades(root);
            write(root.join("a.study"), "notes");
        },
        command: "search shades.csv --models 1 --study a.study",
    },
    Case { what: "an unknown verb", make: |_| {}, command: "serach digits" },
    Case { what: "a table of accuracies that is not there", make: |_| {}, command: "bench agent --table none.csv" },
];
