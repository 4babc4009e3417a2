//! What is written to a study, and when it is refused.

use std::path::{Path, PathBuf};

use metaqnn_core::ports::Storage;
use metaqnn_core::study::{
    CandidateRecord, Detail, EnsembleRecord, EventKind, EventRecord, FinalRecord, Outcome, PlannedTraining,
    RaisedLimits, StoredTrial, StudyHeader, TrialNumber, TrialRecord,
};
use rusqlite::{Connection, OptionalExtension, Transaction, TransactionBehavior};

use crate::checksums::{
    CANDIDATE, Checksums, ENSEMBLE, ENSEMBLE_MEMBER, FINAL, FINAL_PLAN, RAISED_LIMITS, RUN, VALIDATION,
};
use crate::error::StoreError;
use crate::rows::{Encoder, floats_to_blob, losses_to_json};
use crate::study_file::StudyFile;

impl Storage for StudyFile {
    type Error = StoreError;

    fn header(&self) -> Result<StudyHeader, StoreError> {
        self.reader.header()
    }

    fn append(&mut self, event: &EventRecord) -> Result<(), StoreError> {
        self.write(|writer| writer.event(event))
    }

    fn visit_events(&self, visit: &mut dyn FnMut(EventRecord) -> bool) -> Result<(), StoreError> {
        self.reader.visit_events(visit)
    }

    fn visit_trials(&self, detail: Detail, visit: &mut dyn FnMut(StoredTrial) -> bool) -> Result<(), StoreError> {
        self.reader.visit_trials(detail, visit)
    }

    fn trial(&self, trial: TrialNumber) -> Result<Option<StoredTrial>, StoreError> {
        self.reader.trial(trial)
    }

    fn top(&self, n: usize) -> Result<Vec<StoredTrial>, StoreError> {
        self.reader.top(n)
    }

    fn check_in_place(&self) -> Result<(), StoreError> {
        StudyFile::check_in_place(self)
    }

    fn store_candidate(&mut self, record: &CandidateRecord) -> Result<(), StoreError> {
        self.write(|writer| writer.candidate(record))
    }

    fn candidates(&self) -> Result<Vec<CandidateRecord>, StoreError> {
        self.reader.candidates()
    }

    fn validation_probabilities(&self, trial: TrialNumber) -> Result<Option<Vec<f32>>, StoreError> {
        self.reader.validation_probabilities(trial)
    }

    fn store_final(&mut self, record: &FinalRecord) -> Result<(), StoreError> {
        self.write(|writer| writer.final_training(record))
    }

    fn finals(&self) -> Result<Vec<FinalRecord>, StoreError> {
        self.reader.finals()
    }

    fn store_ensemble(&mut self, ensemble: Option<&EnsembleRecord>) -> Result<(), StoreError> {
        self.write(|writer| writer.ensemble(ensemble))
    }

    fn ensemble(&self) -> Result<Option<EnsembleRecord>, StoreError> {
        self.reader.ensemble()
    }

    fn extend_final_plan(&mut self, plan: &[PlannedTraining]) -> Result<(), StoreError> {
        self.write(|writer| plan.iter().try_for_each(|planned| writer.planned_training(planned)))
    }

    fn final_plan(&self) -> Result<Vec<PlannedTraining>, StoreError> {
        self.reader.final_plan()
    }

    fn raise_limits(&mut self, limits: RaisedLimits) -> Result<(), StoreError> {
        self.write(|writer| writer.raised_limits(limits))
    }

    fn raised_limits(&self) -> Result<Option<RaisedLimits>, StoreError> {
        self.reader.raised_limits()
    }

    fn raised_limits_before(&self) -> Result<Option<RaisedLimits>, StoreError> {
        self.reader.raised_limits_before()
    }

    fn note_run_seconds(&mut self, seconds: f64) -> Result<(), StoreError> {
        self.write(|writer| writer.run_seconds(seconds))
    }

    fn run_seconds(&self) -> Result<f64, StoreError> {
        self.reader.run_seconds()
    }
}

impl StudyFile {
    /// Does `change` in one transaction: all of it is stored, or nothing.
    fn write(&mut self, change: impl FnOnce(Writer<'_>) -> Result<(), StoreError>) -> Result<(), StoreError> {
        self.check_in_place()?;
        self.begin_writing()?;
        let path = PathBuf::from(self.reader.path());
        let failed = |error| StoreError::sqlite(&path, error);
        let connection = &mut self.reader.connection;
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        change(Writer::new(&transaction, &path))?;
        transaction.commit().map_err(failed)
    }
}

/// Writes rows within a transaction, which whoever made it commits if all went well.
struct Writer<'a> {
    connection: &'a Connection,
    path: &'a Path,
    encoder: Encoder<'a>,
    checksums: Checksums<'a>,
}

impl<'a> Writer<'a> {
    fn new(transaction: &'a Transaction<'_>, path: &'a Path) -> Self {
        let checksums = Checksums { connection: transaction, path };
        Writer { connection: transaction, path, encoder: Encoder { path }, checksums }
    }

    fn event(&self, event: &EventRecord) -> Result<(), StoreError> {
        let expected = self.find("SELECT coalesce(max(event), -1) + 1 FROM event", [])?.unwrap_or(0);
        if event.number != expected {
            return Err(StoreError::EventNumber { path: self.path.into(), expected, found: event.number });
        }
        let (kind, trial) = match &event.kind {
            EventKind::Trial(record) => {
                self.trial(record)?;
                ("trial", record.trial)
            }
            EventKind::Repeat { trial } => {
                self.require(*trial)?;
                ("repeat", *trial)
            }
        };
        // Last, since it is what makes the trial a finished one.
        self.execute(
            "INSERT INTO event (event, kind, trial, epsilon, q_table_hash, run_seconds) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
            (
                self.encoder.whole("the number of the event", event.number)?,
                kind,
                self.encoder.whole("the number of the trial", trial.0)?,
                self.encoder.real("epsilon", event.epsilon)?,
                &event.q_table_hash,
                self.encoder.real("the time the study has run", event.run_seconds)?,
            ),
        )?;
        self.checksums.seal_event(self.encoder.whole("the number of the event", event.number)?)
    }

    fn trial(&self, record: &TrialRecord) -> Result<(), StoreError> {
        let encoder = self.encoder;
        let trial = encoder.whole("the number of the trial", record.trial.0)?;
        let architecture = record.architecture.to_string();
        if self.find("SELECT trial FROM trial WHERE trial = ?1", [trial])?.is_some() {
            return Err(StoreError::TrialExists { path: self.path.into(), trial: record.trial });
        }
        if let Some(trial) = self.find("SELECT trial FROM trial WHERE architecture = ?1", [&architecture])? {
            return Err(StoreError::ArchitectureExists {
                path: self.path.into(),
                architecture,
                trial: TrialNumber(trial),
            });
        }
        let evaluation = &record.evaluation;
        let (prune_reason, failure) = match &evaluation.outcome {
            Outcome::Complete { .. } => (None, None),
            Outcome::Pruned { reason, .. } => (Some(encoder.prune_reason(reason)?), None),
            Outcome::Failed { failure } => (None, Some(encoder.failure(failure)?)),
        };
        self.execute(
            "INSERT INTO trial (trial, architecture, seed, params, flops, state, valid_accuracy, prune_reason, failure,
                                epochs, tries, train_seconds)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)",
            (
                trial,
                architecture,
                record.seed.to_string(),
                encoder.whole("the number of parameters", record.params)?,
                encoder.whole("the number of FLOPs", record.flops)?,
                evaluation.outcome.state().to_string(),
                evaluation.outcome.valid_accuracy().map(|accuracy| accuracy.value()),
                prune_reason,
                failure,
                evaluation.epochs,
                evaluation.tries,
                encoder.real("the time of the training", evaluation.train_seconds)?,
            ),
        )?;
        let mut last = None;
        for point in &evaluation.curve {
            if last.is_some_and(|last| point.epoch <= last) {
                return Err(encoder.refuse("the learning curve", format!("epoch {} is not in order", point.epoch)));
            }
            last = Some(point.epoch);
            // A loss that is NaN becomes NULL.
            self.execute(
                "INSERT INTO curve (trial, epoch, train_loss, valid_accuracy) VALUES (?1, ?2, ?3, ?4)",
                (trial, point.epoch, point.train_loss, point.valid_accuracy),
            )?;
        }
        for (step, transition) in (0_i64..).zip(&record.transitions) {
            self.execute(
                "INSERT INTO transition (trial, step, state, action, reward, next_state) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                (trial, step, &transition.state, &transition.action, transition.reward, &transition.next_state),
            )?;
        }
        Ok(())
    }

    fn candidate(&self, record: &CandidateRecord) -> Result<(), StoreError> {
        self.require(record.trial)?;
        let encoder = self.encoder;
        self.execute(
            "INSERT INTO candidate (trial, valid_accuracy, epochs, train_seconds, mirror_is_safe, turning_is_safe)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (trial) DO UPDATE SET
                 valid_accuracy = excluded.valid_accuracy, epochs = excluded.epochs, train_seconds = excluded.train_seconds,
                 mirror_is_safe = excluded.mirror_is_safe, turning_is_safe = excluded.turning_is_safe",
            (
                encoder.whole("the number of the trial", record.trial.0)?,
                encoder.real_or_none("the validation accuracy", record.valid_accuracy)?,
                record.epochs,
                encoder.real("the time of the training", record.train_seconds)?,
                record.mirror_is_safe,
                record.turning_is_safe,
            ),
        )?;
        let trial = encoder.whole("the number of the trial", record.trial.0)?;
        self.checksums.seal(CANDIDATE, trial)?;
        if record.probabilities.is_empty() {
            self.checksums.unseal(VALIDATION, Some(trial))?;
            return self.execute("DELETE FROM validation WHERE trial = ?1", [trial]);
        }
        self.execute(
            "INSERT INTO validation (trial, probabilities) VALUES (?1, ?2)
             ON CONFLICT (trial) DO UPDATE SET probabilities = excluded.probabilities",
            (trial, floats_to_blob(&record.probabilities)),
        )?;
        self.checksums.seal(VALIDATION, trial)
    }

    fn final_training(&self, record: &FinalRecord) -> Result<(), StoreError> {
        self.require(record.trial)?;
        let encoder = self.encoder;
        let trial = encoder.whole("the number of the trial", record.trial.0)?;
        if self.find("SELECT trial FROM ensemble_member WHERE trial = ?1", [trial])?.is_some() {
            self.ensemble(None)?;
        }
        self.execute(
            "INSERT INTO final
                 (trial, test_accuracy, test_balanced_accuracy, test_images, epochs, train_seconds, train_losses, weights)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (trial) DO UPDATE SET
                 test_accuracy = excluded.test_accuracy, test_balanced_accuracy = excluded.test_balanced_accuracy,
                 test_images = excluded.test_images, epochs = excluded.epochs, train_seconds = excluded.train_seconds,
                 train_losses = excluded.train_losses, weights = excluded.weights",
            (
                trial,
                encoder.real("the test accuracy", record.test_accuracy)?,
                encoder.real_or_none("the balanced test accuracy", record.test_balanced_accuracy)?,
                encoder.whole("the number of test images", record.test_images)?,
                record.epochs,
                encoder.real("the time of the training", record.train_seconds)?,
                losses_to_json(&record.train_losses),
                &record.weights,
            ),
        )?;
        self.checksums.seal(FINAL, trial)
    }

    fn ensemble(&self, ensemble: Option<&EnsembleRecord>) -> Result<(), StoreError> {
        self.execute("DELETE FROM ensemble_member", [])?;
        self.execute("DELETE FROM ensemble", [])?;
        [ENSEMBLE_MEMBER, ENSEMBLE].iter().try_for_each(|part| self.checksums.unseal(*part, None))?;
        let Some(record) = ensemble else { return Ok(()) };
        let encoder = self.encoder;
        self.execute(
            "INSERT INTO ensemble (ensemble, valid_accuracy, test_accuracy, test_balanced_accuracy, test_images)
             VALUES (1, ?1, ?2, ?3, ?4)",
            (
                encoder.real_or_none("the validation accuracy", record.valid_accuracy)?,
                encoder.real("the test accuracy", record.test_accuracy)?,
                encoder.real_or_none("the balanced test accuracy", record.test_balanced_accuracy)?,
                encoder.whole("the number of test images", record.test_images)?,
            ),
        )?;
        self.checksums.seal(ENSEMBLE, 1)?;
        for (place, member) in (1_i64..).zip(&record.members) {
            self.require(*member)?;
            let trial = encoder.whole("the number of the trial", member.0)?;
            self.execute("INSERT INTO ensemble_member (place, trial) VALUES (?1, ?2)", (place, trial))?;
            self.checksums.seal(ENSEMBLE_MEMBER, place)?;
        }
        Ok(())
    }

    fn planned_training(&self, planned: &PlannedTraining) -> Result<(), StoreError> {
        self.require(planned.trial)?;
        self.execute(
            "INSERT INTO final_plan (place, trial, candidate_epochs, final_epochs)
             VALUES ((SELECT coalesce(max(place), 0) + 1 FROM final_plan), ?1, ?2, ?3)",
            (
                self.encoder.whole("the number of the trial", planned.trial.0)?,
                planned.candidate_epochs,
                planned.final_epochs,
            ),
        )?;
        self.checksums.seal(FINAL_PLAN, self.encoder.whole("the number of the trial", planned.trial.0)?)
    }

    fn raised_limits(&self, limits: RaisedLimits) -> Result<(), StoreError> {
        self.execute(
            "INSERT INTO raised_limits (before_event, models, budget_seconds)
             VALUES ((SELECT coalesce(max(event), -1) + 1 FROM event), ?1, ?2)",
            (
                self.encoder.whole("the number of models", limits.models)?,
                self.encoder.real("the budget", limits.budget_seconds)?,
            ),
        )?;
        self.checksums.seal(RAISED_LIMITS, self.connection.last_insert_rowid())
    }

    fn run_seconds(&self, seconds: f64) -> Result<(), StoreError> {
        let seconds = self.encoder.real("the time the study has run", seconds)?;
        self.execute("UPDATE run SET run_seconds = ?1 WHERE run_seconds < ?1", [seconds])?;
        self.checksums.seal(RUN, 1)
    }

    fn require(&self, trial: TrialNumber) -> Result<(), StoreError> {
        let found = match i64::try_from(trial.0) {
            Ok(number) => self.find("SELECT trial FROM trial WHERE trial = ?1", [number])?,
            Err(_) => None,
        };
        found.map(|_| ()).ok_or_else(|| StoreError::NoSuchTrial { path: self.path.into(), trial })
    }

    fn execute(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<(), StoreError> {
        let result = self.connection.prepare_cached(sql).and_then(|mut statement| statement.execute(parameters));
        result.map(|_| ()).map_err(|error| StoreError::sqlite(self.path, error))
    }

    /// The whole number that a query gives, where it gives one.
    fn find(&self, sql: &str, parameters: impl rusqlite::Params) -> Result<Option<u64>, StoreError> {
        let mut statement =
            self.connection.prepare_cached(sql).map_err(|error| StoreError::sqlite(self.path, error))?;
        let found = statement.query_row(parameters, |row| row.get::<_, i64>(0)).optional();
        Ok(found.map_err(|error| StoreError::sqlite(self.path, error))?.map(i64::unsigned_abs))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::speed::{header, trial_event};

    #[test]
    fn is_durable_while_it_runs() {
        let folder = tempfile::tempdir().unwrap();
        let study = StudyFile::create(folder.path().join("a.study"), &header()).unwrap();
        let pragma = |name: &str| -> String {
            study
                .reader
                .connection
                .query_row(&format!("SELECT CAST({name} AS TEXT) FROM pragma_{name}"), [], |row| row.get(0))
                .unwrap()
        };
        assert_eq!(pragma("journal_mode"), "wal");
        assert_eq!(pragma("synchronous"), "2");
        assert_eq!(pragma("foreign_keys"), "1");
    }

    #[test]
    fn a_full_disk_is_named_and_loses_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.study");
        let mut study = StudyFile::create(&path, &header()).unwrap();
        study.append(&trial_event(0)).unwrap();
        let pages: i64 = study.reader.connection.pragma_query_value(None, "page_count", |row| row.get(0)).unwrap();
        let set_limit = |study: &StudyFile, limit: i64| {
            study.reader.connection.query_row(&format!("PRAGMA max_page_count = {limit}"), [], |_| Ok(())).unwrap();
        };
        set_limit(&study, pages + 2);
        let mut stored = 1;
        let error = loop {
            match study.append(&trial_event(stored)) {
                Ok(()) => stored += 1,
                Err(error) => break error,
            }
            assert!(stored < 1_000);
        };
        assert!(matches!(error, StoreError::DiskFull { .. }), "{error}");
        assert!(error.to_string().contains("a.study: no space left"), "{error}");
        let count = |study: &StudyFile| study.reader.counts().unwrap().events;
        assert_eq!(count(&study), stored);
        // Room was made: it goes on with the same event.
        set_limit(&study, 1_000_000);
        study.append(&trial_event(stored)).unwrap();
        study.close().unwrap();
        let study = StudyFile::open(&path).unwrap();
        assert_eq!(count(&study), stored + 1);
    }
}
