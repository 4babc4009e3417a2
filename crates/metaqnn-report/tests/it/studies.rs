//! Studies made by the project's own ask, tell and storage; only the accuracies are made up.

use std::fs;
use std::path::{Path, PathBuf};

use metaqnn_core::early_stopping::StopReason;
use metaqnn_core::graph::MapShape;
use metaqnn_core::ports::Storage;
use metaqnn_core::settings::{Preset, Settings};
use metaqnn_core::space::SearchSpace;
use metaqnn_core::study::{
    Accuracy, Ask, CurvePoint, Evaluation, EventRecord, Failure, Outcome, Study, StudyHeader, TrialNumber,
};
use metaqnn_store::StudyFile;

/// The quick preset with the agent of the paper, which learns fast enough for thousands of trials.
pub(crate) fn settings_text() -> String {
    let mut document = Preset::Quick.document_with_agent("digits", "paper").unwrap();
    // Without limits every trial is a model; with kernels of 1 the networks are those that the tests were written with.
    let limits = ["limits.params=0", "limits.memory_mib=0", "limits.train_microseconds=0"];
    for setting in limits.into_iter().chain(["search.models=100000", "space.convolution.kernel_sizes=[1, 3, 5]"]) {
        metaqnn_core::settings::set(&mut document, setting).unwrap();
    }
    document.to_string()
}

pub(crate) fn header(seed: u64) -> StudyHeader {
    StudyHeader {
        version: "0.1.0".into(),
        created_at: 1_767_225_600,
        settings: settings_text(),
        seed,
        data: "digits".into(),
        data_fingerprint: "0".into(),
        input: MapShape::new(3, 32, 32),
        class_names: (0..10).map(|digit| digit.to_string()).collect(),
    }
}

/// A study that is being written.
pub(crate) struct Grown {
    pub(crate) file: StudyFile,
    study: Study,
    models: u64,
    pub(crate) planned: u64,
}

/// A study at `path` in which nothing has happened yet.
pub(crate) fn grown(path: &Path, seed: u64) -> Grown {
    let header = header(seed);
    let settings = Settings::from_toml(&header.settings).unwrap();
    let space = SearchSpace::new(settings.space.clone(), header.input, 10).unwrap();
    Grown {
        file: StudyFile::create(path, &header).unwrap(),
        study: Study::new(settings, space, seed),
        models: 0,
        planned: 40,
    }
}

/// A closed study with so many models; every ninth failed to learn, every seventh was stopped.
pub(crate) fn finished(folder: &Path, name: &str, models: u64, seed: u64) -> PathBuf {
    let path = folder.join(name);
    let mut study = grown(&path, seed);
    study.planned = models;
    study.add(models);
    study.file.close().unwrap();
    path
}

impl Grown {
    /// Adds so many models.
    pub(crate) fn add(&mut self, models: u64) {
        let until = self.models + models;
        while self.models < until {
            let event = self.next();
            self.file.append(&event).unwrap();
        }
    }

    /// Adds an event that says of the Q-table what is not so.
    pub(crate) fn add_with_hash(&mut self, hash: &str) {
        let event = EventRecord { q_table_hash: hash.into(), ..self.next() };
        self.file.append(&event).unwrap();
    }

    fn next(&mut self) -> EventRecord {
        let progress = self.models as f64 / self.planned as f64;
        let seconds = self.models as f64;
        match self.study.ask(progress.min(1.0), seconds) {
            Ask::Trial(asked) => {
                self.models += 1;
                self.study.tell(asked.trial, evaluation(asked.trial, asked.seed), seconds + 1.0).unwrap()
            }
            Ask::Event(event) => *event,
            other => panic!("{other:?}"),
        }
    }
}

fn evaluation(trial: TrialNumber, seed: u64) -> Evaluation {
    let share = 0.3 + 0.6 * (seed >> 11) as f64 / (1u64 << 53) as f64;
    let valid_accuracy = Accuracy::new(share).unwrap();
    let outcome = match trial.0 {
        n if n % 9 == 0 => Outcome::Failed { failure: Failure::FailedToLearn { valid_accuracy: 0.1, tries: 5 } },
        n if n % 7 == 0 => Outcome::Pruned {
            valid_accuracy,
            reason: StopReason::Behind { epoch: 1, accuracy: 0.3, least: 0.4 }.into(),
        },
        _ => Outcome::Complete { valid_accuracy },
    };
    let point = |epoch: u32| CurvePoint {
        epoch,
        train_loss: 2.3 / f64::from(epoch),
        valid_accuracy: share * (1.0 - 0.5f64.powi(epoch as i32)),
    };
    Evaluation { outcome, curve: (1..=4).map(point).collect(), epochs: 4, tries: 1, train_seconds: 0.5 }
}

/// A file with this content.
pub(crate) fn made(folder: &Path, name: &str, content: &[u8]) -> PathBuf {
    let path = folder.join(name);
    fs::write(&path, content).unwrap();
    path
}

/// Files that are no whole study, with what is said of each; `whole` is the content of one that is.
pub(crate) fn no_whole_studies(folder: &Path, whole: &[u8]) -> Vec<(PathBuf, &'static str)> {
    vec![
        (made(folder, "empty.study", b""), "an empty file"),
        (made(folder, "text.study", "no study\n".repeat(200).as_bytes()), "not a metaqnn study"),
        (made(folder, "half.study", &whole[..whole.len() / 2 / 4096 * 4096]), "damaged"),
        (made(folder, "cut.study", &whole[..whole.len() - 1000]), "cut off"),
        (folder.join("absent.study"), "no such study"),
    ]
}

/// A study of the first schema.
pub(crate) fn of_schema_1(folder: &Path) -> PathBuf {
    let old = Path::new(env!("CARGO_MANIFEST_DIR")).join("../metaqnn-store/tests/fixtures/schema-1.sqlite");
    let copy = folder.join("old.study");
    fs::copy(old, &copy).unwrap();
    copy
}
