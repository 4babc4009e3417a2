//! A table of every design of a small space with its accuracies, as a decision process.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::fmt;

use crate::agent::DecisionProcess;

/// Designs, each a text of one character an operation, with what their trainings gave.
#[derive(Clone, Debug)]
pub struct ArchitectureTable {
    /// Rows by the text of their design.
    rows: HashMap<String, usize>,
    /// For each row the columns that can be the reward, in [0, 1].
    rewards: Vec<Vec<f64>>,
    /// For each row the column that designs are judged by, in the file's unit.
    tests: Vec<f64>,
    identity: Identity,
    /// Every beginning of a design, with the operations that may follow.
    beginnings: HashMap<String, Vec<char>>,
    complete: bool,
    length: usize,
}

/// Which texts are one design.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Identity {
    /// None but themselves.
    Text,
    /// Those of NAS-Bench-Macro: `0` leaves a layer out, and where in its stage it stands does not matter, the first layer of a
    /// stage excepted.
    Macro,
}

/// Layers of the stages of NAS-Bench-Macro.
const MACRO_STAGES: [usize; 3] = [2, 3, 3];

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// Not JSON of NAS-Bench-Macro's form.
    #[error("not a table: {0}")]
    Json(#[from] serde_json::Error),
    /// Not CSV.
    #[error("not a table: {0}")]
    Csv(#[from] csv::Error),
    /// A column is not there.
    #[error("not a table: there is no column {expected}; there are: {}", .found.join(", "))]
    Column {
        /// The column.
        expected: &'static str,
        /// Those that are there.
        found: Vec<String>,
    },
    /// A value that is not a number.
    #[error("line {line}, column {column}: {found:?} is not a finite number")]
    Number {
        /// Line of the file, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        found: String,
    },
    /// A design of another length than the others, an empty one, or one that stands there twice.
    #[error("design {design:?}: {reason}")]
    Design {
        /// Its text.
        design: String,
        /// What is wrong.
        reason: String,
    },
    /// A reward below 0 or above 100.
    #[error("rewards must be shares or percents; found {found}")]
    Reward {
        /// The value.
        found: f64,
    },
    /// No rows.
    #[error("not a table: it has no rows")]
    Empty,
}

struct Row {
    design: String,
    rewards: Vec<f64>,
    test: f64,
}

impl ArchitectureTable {
    /// Reads NAS-Bench-Macro: an object of designs with `test_acc`, three accuracies in percent, and `mean_acc`.
    ///
    /// # Errors
    ///
    /// [`TableError`] where the text has another form.
    pub fn from_macro_json(text: &str) -> Result<Self, TableError> {
        #[derive(serde::Deserialize)]
        struct Entry {
            test_acc: Vec<f64>,
            mean_acc: f64,
        }
        let entries: std::collections::BTreeMap<String, Entry> = serde_json::from_str(text)?;
        let row = |(design, entry): (String, Entry)| Row { design, rewards: entry.test_acc, test: entry.mean_acc };
        let rows: Vec<Row> = entries.into_iter().map(row).collect();
        let stages_fit = rows.iter().all(|row| row.design.len() == MACRO_STAGES.iter().sum::<usize>());
        ArchitectureTable::new(rows, if stages_fit { Identity::Macro } else { Identity::Text })
    }

    /// Reads CSV with a header: `architecture`, one or more columns whose names begin with `reward`, and `test`.
    ///
    /// # Errors
    ///
    /// [`TableError`] names what is missing, or the line and column of what cannot be read.
    pub fn from_csv(text: &str) -> Result<Self, TableError> {
        let mut reader = csv::ReaderBuilder::new().trim(csv::Trim::All).from_reader(text.as_bytes());
        let headers: Vec<String> = reader.headers()?.iter().map(str::to_string).collect();
        let column = |expected: &'static str, wanted: &dyn Fn(&str) -> bool| {
            let places: Vec<usize> = (0..headers.len()).filter(|&i| wanted(&headers[i])).collect();
            if places.is_empty() { Err(TableError::Column { expected, found: headers.clone() }) } else { Ok(places) }
        };
        let design = column("architecture", &|name| name == "architecture")?[0];
        let test = column("test", &|name| name == "test")?[0];
        let reward = column("reward", &|name| name.starts_with("reward"))?;
        let mut rows = Vec::new();
        for record in reader.records() {
            let record = record?;
            let number = |place: usize| {
                let found = record.get(place).unwrap_or_default();
                found.parse::<f64>().ok().filter(|number| number.is_finite()).ok_or_else(|| TableError::Number {
                    line: record.position().map_or(0, csv::Position::line),
                    column: headers[place].clone(),
                    found: found.to_string(),
                })
            };
            let rewards = reward.iter().map(|&place| number(place)).collect::<Result<Vec<f64>, _>>()?;
            let design = record.get(design).unwrap_or_default().to_string();
            rows.push(Row { design, rewards, test: number(test)? });
        }
        ArchitectureTable::new(rows, Identity::Text)
    }

    fn new(rows: Vec<Row>, identity: Identity) -> Result<Self, TableError> {
        let first = rows.first().ok_or(TableError::Empty)?;
        let length = first.design.chars().count();
        let columns = first.rewards.len();
        let highest = rows.iter().flat_map(|row| &row.rewards).copied().fold(0.0, f64::max);
        let lowest = rows.iter().flat_map(|row| &row.rewards).copied().fold(0.0, f64::min);
        if !(lowest >= 0.0 && highest <= 100.0) {
            return Err(TableError::Reward { found: if lowest < 0.0 { lowest } else { highest } });
        }
        let unit = if highest > 1.0 { 100.0 } else { 1.0 };
        let mut table = ArchitectureTable {
            rows: HashMap::new(),
            rewards: Vec::new(),
            tests: Vec::new(),
            identity,
            beginnings: HashMap::new(),
            complete: false,
            length,
        };
        let mut operations: Vec<BTreeSet<char>> = vec![BTreeSet::new(); length];
        let mut beginnings: HashMap<String, BTreeSet<char>> = HashMap::new();
        for (number, row) in rows.into_iter().enumerate() {
            let broken = |reason: String| Err(TableError::Design { design: row.design.clone(), reason });
            let found = row.design.chars().count();
            if found != length || length == 0 {
                return broken(format!("{found} operations, the first design has {length}"));
            }
            if row.rewards.len() != columns || columns == 0 {
                return broken(format!("{} rewards, the first design has {columns}", row.rewards.len()));
            }
            let mut beginning = String::new();
            for (position, operation) in row.design.chars().enumerate() {
                operations[position].insert(operation);
                beginnings.entry(beginning.clone()).or_default().insert(operation);
                beginning.push(operation);
            }
            if table.rows.insert(row.design.clone(), number).is_some() {
                return broken("it stands there twice".into());
            }
            table.rewards.push(row.rewards.iter().map(|reward| reward / unit).collect());
            table.tests.push(row.test);
        }
        let product = operations.iter().try_fold(1usize, |product, set| product.checked_mul(set.len()));
        table.complete = product == Some(table.rows.len());
        table.beginnings =
            beginnings.into_iter().map(|(beginning, set)| (beginning, set.into_iter().collect())).collect();
        Ok(table)
    }

    /// Number of columns that can be the reward.
    pub fn reward_columns(&self) -> usize {
        self.rewards[0].len()
    }

    /// Number of different designs.
    pub fn designs(&self) -> usize {
        self.rows.keys().map(|text| self.design(text)).collect::<HashSet<String>>().len()
    }

    /// The reward of a design in a column, in [0, 1].
    pub fn reward(&self, actions: &[char], column: usize) -> Option<f64> {
        Some(self.rewards[self.row(actions)?][column])
    }

    /// What a design is judged by, in the file's unit.
    pub fn test(&self, actions: &[char]) -> Option<f64> {
        Some(self.tests[self.row(actions)?])
    }

    /// The best of what designs are judged by.
    pub fn best_test(&self) -> f64 {
        self.tests.iter().copied().fold(f64::NEG_INFINITY, f64::max)
    }

    fn row(&self, actions: &[char]) -> Option<usize> {
        self.rows.get(&actions.iter().collect::<String>()).copied()
    }

    /// The text that stands for all those of the same design.
    pub fn design(&self, text: &str) -> String {
        match self.identity {
            Identity::Text => text.to_string(),
            Identity::Macro => {
                let mut design = String::with_capacity(text.len());
                let mut rest: Vec<char> = text.chars().collect();
                for length in MACRO_STAGES {
                    let stage: Vec<char> = rest.drain(..length).collect();
                    design.push(stage[0]);
                    let kept = stage[1..].iter().filter(|&&operation| operation != '0');
                    let left_out = stage[1..].iter().filter(|&&operation| operation == '0');
                    design.extend(kept.chain(left_out));
                }
                design
            }
        }
    }
}

/// What the agent sees: position and last operation; in a table that lacks combinations, the whole beginning.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TableState(String);

impl fmt::Display for TableState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl DecisionProcess for ArchitectureTable {
    type State = String;
    type Observation = TableState;
    type Action = char;

    fn start(&self) -> String {
        String::new()
    }

    fn observe(&self, state: &String) -> TableState {
        if !self.complete {
            return TableState(state.clone());
        }
        let last = state.chars().last().map(String::from).unwrap_or_default();
        TableState(format!("{}:{last}", state.chars().count()))
    }

    fn legal_actions(&self, state: &String) -> Vec<char> {
        self.beginnings.get(state).cloned().unwrap_or_default()
    }

    fn next_state(&self, state: &String, action: &char) -> Option<String> {
        let next = format!("{state}{action}");
        (next.chars().count() < self.length).then_some(next)
    }
}
