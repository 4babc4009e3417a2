//! What can be asked of a study's final phase: candidates, plan, final trainings, ensemble.

use metaqnn_core::study::{CandidateRecord, EnsembleRecord, FinalRecord, PlannedTraining, TrialNumber};

use super::StudyReader;
use crate::checksums::{ENSEMBLE, ENSEMBLE_MEMBER, FINAL, VALIDATION};
use crate::error::StoreError;
use crate::rows::Decoder;

impl StudyReader {
    /// The candidates for the final training, best validation accuracy first, at equal accuracy the earlier trial first, those
    /// that failed last, without their probabilities.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn candidates(&self) -> Result<Vec<CandidateRecord>, StoreError> {
        let sql = "
            SELECT trial, valid_accuracy, epochs, train_seconds, mirror_is_safe, turning_is_safe
            FROM candidate ORDER BY valid_accuracy DESC NULLS LAST, trial";
        let mut candidates = Vec::new();
        self.visit(sql, [], |row| {
            candidates.push(CandidateRecord {
                trial: TrialNumber(row.whole("trial")?),
                valid_accuracy: row.get("valid_accuracy")?,
                epochs: row.get("epochs")?,
                train_seconds: row.get("train_seconds")?,
                mirror_is_safe: row.get("mirror_is_safe")?,
                turning_is_safe: row.get("turning_is_safe")?,
                probabilities: Vec::new(),
            });
            Ok(true)
        })?;
        Ok(candidates)
    }

    /// A candidate's class probabilities of the validation images, images × classes; `None` where there are none of it.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or they are not what was stored.
    pub fn validation_probabilities(&self, trial: TrialNumber) -> Result<Option<Vec<f32>>, StoreError> {
        let Ok(number) = i64::try_from(trial.0) else { return Ok(None) };
        self.first("SELECT probabilities FROM validation WHERE trial = ?1", [number], |row| {
            self.checksums().check_whole(VALIDATION, number)?;
            row.floats("probabilities")
        })
    }

    /// The ensemble of networks that were trained finally, where there is one.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or it is not what was stored.
    pub fn ensemble(&self) -> Result<Option<EnsembleRecord>, StoreError> {
        let read = |row: &Decoder<'_>| {
            self.checksums().check_row(ENSEMBLE, 1)?;
            let mut members = Vec::new();
            self.visit("SELECT place, trial FROM ensemble_member ORDER BY place", [], |row| {
                self.checksums().check_row(ENSEMBLE_MEMBER, row.get("place")?)?;
                members.push(TrialNumber(row.whole("trial")?));
                Ok(true)
            })?;
            Ok(EnsembleRecord {
                members,
                valid_accuracy: row.get("valid_accuracy")?,
                test_accuracy: row.get("test_accuracy")?,
                test_balanced_accuracy: row.get("test_balanced_accuracy")?,
                test_images: row.whole("test_images")?,
            })
        };
        self.first("SELECT * FROM ensemble", [], read)
    }

    /// The final trainings, best test accuracy first, at equal accuracy the earlier trial first, without their weights.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn finals(&self) -> Result<Vec<FinalRecord>, StoreError> {
        let sql = "
            SELECT trial, test_accuracy, test_balanced_accuracy, test_images, epochs, train_seconds, train_losses
            FROM final ORDER BY test_accuracy DESC, trial";
        let mut finals = Vec::new();
        self.visit(sql, [], |row| {
            finals.push(FinalRecord {
                trial: TrialNumber(row.whole("trial")?),
                test_accuracy: row.get("test_accuracy")?,
                test_balanced_accuracy: row.get("test_balanced_accuracy")?,
                test_images: row.whole("test_images")?,
                epochs: row.get("epochs")?,
                train_seconds: row.get("train_seconds")?,
                train_losses: row.losses("train_losses")?,
                weights: Vec::new(),
            });
            Ok(true)
        })?;
        Ok(finals)
    }

    /// The plan of what is trained fully, in the order in which it was made.
    ///
    /// # Errors
    ///
    /// When the file cannot be read.
    pub fn final_plan(&self) -> Result<Vec<PlannedTraining>, StoreError> {
        let mut plan = Vec::new();
        self.visit("SELECT trial, candidate_epochs, final_epochs FROM final_plan ORDER BY place", [], |row| {
            plan.push(PlannedTraining {
                trial: TrialNumber(row.whole("trial")?),
                candidate_epochs: row.get("candidate_epochs")?,
                final_epochs: row.get("final_epochs")?,
            });
            Ok(true)
        })?;
        Ok(plan)
    }

    /// The weights, in safetensors format, that a trial's final training was measured with; `None` where there was none.
    ///
    /// # Errors
    ///
    /// When the file cannot be read, or they, or what was measured with them, are not what was stored.
    pub fn final_weights(&self, trial: TrialNumber) -> Result<Option<Vec<u8>>, StoreError> {
        let Ok(number) = i64::try_from(trial.0) else { return Ok(None) };
        self.first("SELECT weights FROM final WHERE trial = ?1", [number], |row| {
            self.checksums().check_whole(FINAL, number)?;
            row.get("weights")
        })
    }
}
