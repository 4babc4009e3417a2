//! What the fuzz targets share. Most parsers take paths, since their errors name files and they read in pieces: a target lays its
//! input down in a folder in memory, where there is one.

use std::path::{Path, PathBuf};

use metaqnn_data::DataError;
use metaqnn_store::{Detail, LoggedEvent, StoreError, StudyReader};

/// A folder of this process; it is removed by the next one that finds it left behind.
pub fn scratch(target: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let parent = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    let prefix = format!("metaqnn-fuzz-{target}-");
    for entry in std::fs::read_dir(&parent).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let owner = name.strip_prefix(&prefix).map(|process| Path::new("/proc").join(process));
        if owner.is_some_and(|process| !process.exists()) {
            let _ = std::fs::remove_dir_all(entry.path());
        }
    }
    let folder = parent.join(format!("{prefix}{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("the scratch folder can be made");
    folder
}

/// Writes a file, and the folders above it.
pub fn lay(path: &Path, bytes: &[u8]) {
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).expect("the folder can be made");
    }
    std::fs::write(path, bytes).expect("the file can be written");
}

/// An error must be words.
pub fn demand_words(error: &impl std::fmt::Display) {
    let text = error.to_string();
    assert!(!text.trim().is_empty(), "an error without words");
}

/// Own data that cannot be used must come with what is wrong with them.
pub fn demand_problems(error: &DataError) {
    demand_words(error);
    if let DataError::Unusable { problems, .. } = error {
        assert!(!problems.is_empty(), "no problem is named");
        for problem in problems {
            assert!(!problem.reason.is_empty() && !problem.reason.contains(['\n', '\r']), "{problem}");
        }
    }
}

/// Asks a study everything that it can be asked, as the verbs that look at studies do.
pub fn ask_everything(path: &Path) -> Result<(), StoreError> {
    let study = StudyReader::open(path)?;
    study.header()?;
    study.counts()?;
    study.costs()?;
    study.top(10)?;
    study.run_seconds()?;
    study.raised_limits()?;
    for record in study.candidates()? {
        study.validation_probabilities(record.trial)?;
    }
    study.final_plan()?;
    study.ensemble()?;
    for record in study.finals()? {
        study.final_weights(record.trial)?;
    }
    let mut trials = Vec::new();
    study.visit_log(Detail::Summary, &mut |event| {
        trials.extend(match event {
            LoggedEvent::Trial(trial) => Some(trial.record.trial),
            LoggedEvent::Repeat(_) => None,
        });
        true
    })?;
    for trial in trials {
        study.trial(trial)?;
    }
    study.visit_events(&mut |_| true)
}
