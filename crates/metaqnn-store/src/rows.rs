//! How values are laid down in columns and read back, bit for bit.

use std::path::Path;

use metaqnn_core::study::{
    Accuracy, CurvePoint, Evaluation, Failure, Outcome, PruneReason, Transition, TrialNumber, TrialRecord,
};
use rusqlite::Row;
use rusqlite::types::FromSql;
use serde_json::Value;

use crate::error::StoreError;

/// Puts values into columns; a value that would not come back is refused.
#[derive(Clone, Copy)]
pub(crate) struct Encoder<'a> {
    /// The study, for errors.
    pub(crate) path: &'a Path,
}

impl Encoder<'_> {
    /// A number without sign in SQLite's integer, which has one.
    pub(crate) fn whole(self, what: &'static str, value: u64) -> Result<i64, StoreError> {
        i64::try_from(value).map_err(|_| self.refuse(what, format!("{value} is more than 2^63 - 1")))
    }

    /// A number that must not be NaN, which SQLite would take for absence.
    pub(crate) fn real(self, what: &'static str, value: f64) -> Result<f64, StoreError> {
        if value.is_nan() { Err(self.refuse(what, "it is not a number")) } else { Ok(value) }
    }

    /// The same of a number that may be missing.
    pub(crate) fn real_or_none(self, what: &'static str, value: Option<f64>) -> Result<Option<f64>, StoreError> {
        value.map(|value| self.real(what, value)).transpose()
    }

    /// A failure as JSON.
    pub(crate) fn failure(self, failure: &Failure) -> Result<String, StoreError> {
        let refuse = |error: serde_json::Error| self.refuse("the failure", error);
        let text = serde_json::to_string(failure).map_err(refuse)?;
        // JSON has neither NaN nor infinity: what has one inside would be written, but never read again.
        if serde_json::from_str::<Failure>(&text).map_err(refuse)? != *failure {
            return Err(self.refuse("the failure", "a number in it is not finite"));
        }
        Ok(text)
    }

    /// Why a trial was stopped: a rule's reason as JSON, words as they are.
    pub(crate) fn prune_reason(self, reason: &PruneReason) -> Result<String, StoreError> {
        let rule = match reason {
            PruneReason::Words(words) => return Ok(words.clone()),
            PruneReason::Rule(rule) => rule,
        };
        let refuse = |error: serde_json::Error| self.refuse("why the trial was stopped", error);
        let text = serde_json::to_string(rule).map_err(refuse)?;
        match prune_reason(text.clone()) {
            PruneReason::Rule(read) if read == *rule => Ok(text),
            _ => Err(self.refuse("why the trial was stopped", "a number in it is not finite")),
        }
    }

    pub(crate) fn refuse(self, what: &'static str, reason: impl ToString) -> StoreError {
        StoreError::Unstorable { path: self.path.into(), what, reason: reason.to_string() }
    }
}

/// Why a trial was stopped: what is no JSON of a rule's reason stands in words, as in studies of before.
fn prune_reason(text: String) -> PruneReason {
    serde_json::from_str(&text).map_or(PruneReason::Words(text), PruneReason::Rule)
}

/// Losses as a JSON list, in which numbers that are not finite are texts.
pub(crate) fn losses_to_json(losses: &[f64]) -> String {
    let number = |loss: &f64| match serde_json::Number::from_f64(*loss) {
        Some(number) => Value::Number(number),
        None if loss.is_nan() => Value::from("NaN"),
        None if *loss > 0.0 => Value::from("Infinity"),
        None => Value::from("-Infinity"),
    };
    Value::Array(losses.iter().map(number).collect()).to_string()
}

fn losses_from_json(text: &str) -> Result<Vec<f64>, String> {
    let values: Vec<Value> = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let number = |value: &Value| match value.as_str() {
        Some("NaN") => Some(f64::NAN),
        Some("Infinity") => Some(f64::INFINITY),
        Some("-Infinity") => Some(f64::NEG_INFINITY),
        _ => value.as_f64(),
    };
    values.iter().map(|value| number(value).ok_or_else(|| format!("{value} is no loss"))).collect()
}

/// 32-bit floats as a blob, little-endian.
pub(crate) fn floats_to_blob(values: &[f32]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

/// Takes values out of the columns of a row; what cannot be read is damage, and names its column.
pub(crate) struct Decoder<'a> {
    /// The study, for errors.
    pub(crate) path: &'a Path,
    /// The row.
    pub(crate) row: &'a Row<'a>,
}

impl Decoder<'_> {
    pub(crate) fn get<T: FromSql>(&self, column: &str) -> Result<T, StoreError> {
        self.row.get(column).map_err(|error| match StoreError::sqlite(self.path, error) {
            StoreError::Damaged { reason, .. } => self.damaged(column, reason),
            error => error,
        })
    }

    /// A text that spells a value.
    pub(crate) fn parsed<T, E: ToString>(
        &self,
        column: &str,
        parse: impl FnOnce(&str) -> Result<T, E>,
    ) -> Result<T, StoreError> {
        let text: String = self.get(column)?;
        parse(&text).map_err(|error| self.damaged(column, error))
    }

    pub(crate) fn whole(&self, column: &str) -> Result<u64, StoreError> {
        u64::try_from(self.get::<i64>(column)?).map_err(|_| self.damaged(column, "a number below 0"))
    }

    pub(crate) fn whole_or_none(&self, column: &str) -> Result<Option<u64>, StoreError> {
        match self.get::<Option<i64>>(column)? {
            None => Ok(None),
            Some(_) => self.whole(column).map(Some),
        }
    }

    /// Where NULL stands for NaN.
    fn real_or_nan(&self, column: &str) -> Result<f64, StoreError> {
        Ok(self.get::<Option<f64>>(column)?.unwrap_or(f64::NAN))
    }

    fn accuracy(&self, column: &str) -> Result<Accuracy, StoreError> {
        Accuracy::new(self.get(column)?).map_err(|share| self.damaged(column, format!("{share} is not in [0, 1]")))
    }

    pub(crate) fn losses(&self, column: &str) -> Result<Vec<f64>, StoreError> {
        self.parsed(column, losses_from_json)
    }

    /// What [`floats_to_blob`] wrote.
    pub(crate) fn floats(&self, column: &str) -> Result<Vec<f32>, StoreError> {
        let blob: Vec<u8> = self.get(column)?;
        let (values, rest) = blob.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(self.damaged(column, format!("{} bytes are no 32-bit floats", blob.len())));
        }
        Ok(values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    /// A trial from its row of the table `trial`, without curve and transitions.
    pub(crate) fn trial(&self) -> Result<TrialRecord, StoreError> {
        Ok(TrialRecord {
            trial: TrialNumber(self.whole("trial")?),
            architecture: self.parsed("architecture", str::parse)?,
            seed: self.parsed("seed", str::parse::<u64>)?,
            params: self.whole("params")?,
            flops: self.whole("flops")?,
            evaluation: Evaluation {
                outcome: self.outcome()?,
                curve: Vec::new(),
                epochs: self.get("epochs")?,
                tries: self.get("tries")?,
                train_seconds: self.get("train_seconds")?,
            },
            transitions: Vec::new(),
        })
    }

    fn outcome(&self) -> Result<Outcome, StoreError> {
        match self.get::<String>("state")?.as_str() {
            "complete" => Ok(Outcome::Complete { valid_accuracy: self.accuracy("valid_accuracy")? }),
            "pruned" => Ok(Outcome::Pruned {
                valid_accuracy: self.accuracy("valid_accuracy")?,
                reason: prune_reason(self.get("prune_reason")?),
            }),
            "failed" => Ok(Outcome::Failed { failure: self.parsed("failure", |text| serde_json::from_str(text))? }),
            other => Err(self.damaged("state", format!("{other:?} is no state of a finished trial"))),
        }
    }

    pub(crate) fn curve_point(&self) -> Result<CurvePoint, StoreError> {
        Ok(CurvePoint {
            epoch: self.get("epoch")?,
            train_loss: self.real_or_nan("train_loss")?,
            valid_accuracy: self.real_or_nan("valid_accuracy")?,
        })
    }

    pub(crate) fn transition(&self) -> Result<Transition, StoreError> {
        Ok(Transition {
            state: self.get("state")?,
            action: self.get("action")?,
            reward: self.real_or_nan("reward")?,
            next_state: self.get("next_state")?,
        })
    }

    pub(crate) fn damaged(&self, column: &str, reason: impl ToString) -> StoreError {
        StoreError::Damaged { path: self.path.into(), reason: format!("column {column}: {}", reason.to_string()) }
    }
}

#[cfg(test)]
mod tests {
    use metaqnn_core::early_stopping::StopReason;

    use super::*;

    #[test]
    fn losses_come_back_bit_for_bit() {
        let losses = [0.1, -0.0, 0.0, f64::INFINITY, f64::NEG_INFINITY, 5e-324, f64::MAX, 2.302_585_092_994_045_5];
        let read = losses_from_json(&losses_to_json(&losses)).unwrap();
        assert_eq!(read.map_bits(), losses.to_vec().map_bits());
        assert!(losses_from_json(&losses_to_json(&[f64::NAN])).unwrap()[0].is_nan());
        assert!(losses_from_json("[null]").unwrap_err().contains("null"));
        assert!(losses_from_json("[1").is_err());
    }

    trait MapBits {
        fn map_bits(&self) -> Vec<u64>;
    }

    impl MapBits for Vec<f64> {
        fn map_bits(&self) -> Vec<u64> {
            self.iter().map(|value| value.to_bits()).collect()
        }
    }

    #[test]
    fn a_rules_reason_is_json_and_words_of_before_stay_words() {
        let encoder = Encoder { path: Path::new("a.study") };
        let reason = PruneReason::Rule(StopReason::Predicted {
            epoch: 3,
            accuracy: 0.54,
            predicted: 0.6123,
            deviation: 0.0201,
            to_beat: 0.7,
            probability: 0.9991,
        });
        let text = encoder.prune_reason(&reason).unwrap();
        assert_eq!(
            text,
            r#"{"kind":"predicted","epoch":3,"accuracy":0.54,"predicted":0.6123,"deviation":0.0201,"to_beat":0.7,"probability":0.9991}"#
        );
        assert_eq!(prune_reason(text), reason);
        for words in ["validation accuracy 0.3 after epoch 1 is below 0.4", "", "{", r#"{"kind":"unknown"}"#, "0.5"] {
            assert_eq!(prune_reason(words.into()), PruneReason::Words(words.into()));
            assert_eq!(encoder.prune_reason(&PruneReason::Words(words.into())).unwrap(), words);
        }
        let endless = StopReason::Behind { epoch: 1, accuracy: f64::NAN, least: 0.5 };
        assert!(encoder.prune_reason(&endless.into()).is_err());
    }

    #[test]
    fn failures_that_json_cannot_hold_are_refused() {
        let encoder = Encoder { path: Path::new("a.study") };
        for valid_accuracy in [f64::NAN, f64::INFINITY] {
            let error = encoder.failure(&Failure::FailedToLearn { valid_accuracy, tries: 5 }).unwrap_err();
            assert!(matches!(error, StoreError::Unstorable { .. }), "{error}");
        }
        let text = encoder.failure(&Failure::FailedToLearn { valid_accuracy: 0.1, tries: 5 }).unwrap();
        assert_eq!(text, r#"{"kind":"failed-to-learn","valid_accuracy":0.1,"tries":5}"#);
    }
}
