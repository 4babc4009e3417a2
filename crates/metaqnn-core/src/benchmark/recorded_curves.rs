//! Learning curves from a CSV.

use crate::early_stopping::{LearningCurve, NetworkFeatures};

/// Curves as they stand in a file, and what was made of it.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordedCurves {
    /// The curves, in the file's order.
    pub curves: Vec<LearningCurve>,
    /// Rows left out, since no accuracy stands in them.
    pub without_accuracies: usize,
    /// Whether the file has percents, which were taken for shares of 1.
    pub percents: bool,
}

/// Why curves cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CurvesError {
    /// Not CSV.
    #[error("not a table of curves: {0}")]
    Csv(#[from] csv::Error),
    /// No accuracies.
    #[error("not a table of curves: there are no columns acc_1, acc_2, …; there are: {}", .found.join(", "))]
    NoColumns {
        /// The columns there are.
        found: Vec<String>,
    },
    /// Two columns of one name.
    #[error("column {column} stands there twice")]
    Twice {
        /// Its name.
        column: String,
    },
    /// A value that is not a number.
    #[error("line {line}, column {column}: {found:?} is not a number")]
    Number {
        /// Line of the file, from 1.
        line: u64,
        /// The column.
        column: String,
        /// What stands there.
        found: String,
    },
    /// An accuracy that cannot be one.
    #[error("line {line}, column {column}: {found} is neither a share nor a percent")]
    Accuracy {
        /// Line of the file, from 1.
        line: u64,
        /// The column.
        column: String,
        /// The value.
        found: f64,
    },
    /// No curves.
    #[error("not a table of curves: no row has an accuracy")]
    Empty,
}

/// Ways in which tables say that there is no value.
const MISSING: [&str; 9] = ["", "nan", "na", "n/a", "null", "none", "-", "inf", "-inf"];

impl RecordedCurves {
    /// Reads CSV with a header, its columns in any order: `acc_1`, `acc_2`, … the validation accuracy after each epoch, in shares or, where any is
    /// above 1, in percents; `num_params`, `depth` and `lr` where they are known. Other columns are not looked at. A value may be missing; a
    /// network's training ends at its last accuracy. Epochs may be left out, and may be counted from 0.
    ///
    /// # Errors
    ///
    /// [`CurvesError`] names what is missing, or the line and column of what cannot be read.
    pub fn from_csv(text: &str) -> Result<Self, CurvesError> {
        let mut reader = csv::ReaderBuilder::new()
            .trim(csv::Trim::All)
            .flexible(true)
            .from_reader(text.trim_start_matches('\u{feff}').as_bytes());
        let headers: Vec<String> = reader.headers()?.iter().map(str::to_lowercase).collect();
        if let Some(column) =
            headers.iter().enumerate().find(|(i, name)| !name.is_empty() && headers[..*i].contains(name))
        {
            return Err(CurvesError::Twice { column: column.1.clone() });
        }
        let epoch_of = |name: &String| name.strip_prefix("acc_").and_then(|number| number.parse::<u16>().ok());
        let mut columns: Vec<(usize, usize)> = headers
            .iter()
            .enumerate()
            .filter_map(|(i, name)| epoch_of(name).map(|epoch| (usize::from(epoch), i)))
            .collect();
        columns.sort_unstable();
        if columns.first().is_some_and(|(first, _)| *first == 0) {
            columns.iter_mut().for_each(|(epoch, _)| *epoch += 1);
        }
        let Some(&(last, _)) = columns.last() else { return Err(CurvesError::NoColumns { found: headers }) };
        let named = |name: &str| headers.iter().position(|header| header == name);
        let (params, layers, learning_rate) = (named("num_params"), named("depth"), named("lr"));

        let mut read = RecordedCurves { curves: Vec::new(), without_accuracies: 0, percents: false };
        let mut highest: f64 = 0.0;
        for record in reader.records() {
            let record = record?;
            let line = record.position().map_or(0, csv::Position::line);
            let value = |column: usize| -> Result<Option<f64>, CurvesError> {
                let text = record.get(column).unwrap_or("");
                if MISSING.contains(&text.to_lowercase().as_str()) {
                    return Ok(None);
                }
                let number = text.parse().ok().filter(|number: &f64| number.is_finite());
                let column = || headers[column].clone();
                number.map(Some).ok_or_else(|| CurvesError::Number { line, column: column(), found: text.into() })
            };
            let feature = |column: Option<usize>| column.map_or(Ok(None), value);
            let network = NetworkFeatures {
                params: feature(params)?,
                layers: feature(layers)?,
                learning_rate: feature(learning_rate)?,
            };
            let mut accuracies = vec![None; last];
            for &(epoch, column) in &columns {
                accuracies[epoch - 1] = value(column)?;
                if let Some(found) = accuracies[epoch - 1] {
                    if !(0.0..=100.0).contains(&found) {
                        return Err(CurvesError::Accuracy { line, column: headers[column].clone(), found });
                    }
                    highest = highest.max(found);
                }
            }
            accuracies.truncate(accuracies.iter().rposition(Option::is_some).map_or(0, |last| last + 1));
            if accuracies.is_empty() {
                read.without_accuracies += 1;
            } else {
                read.curves.push(LearningCurve { network, accuracies });
            }
        }
        if read.curves.is_empty() {
            return Err(CurvesError::Empty);
        }
        read.percents = highest > 1.0;
        if read.percents {
            let all = read.curves.iter_mut().flat_map(|curve| &mut curve.accuracies);
            all.flatten().for_each(|accuracy| *accuracy /= 100.0);
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_may_stand_anywhere_and_values_be_missing() {
        let text = "lr,acc_2,net,acc_10,num_params,ACC_1\n0.1,0.5,\"[C(1\",0.9,100,0.4\n,,x,,,0.3\n,,,nan,,\n";
        let read = RecordedCurves::from_csv(text).unwrap();
        assert_eq!((read.curves.len(), read.without_accuracies, read.percents), (2, 1, false));
        let first = &read.curves[0];
        assert_eq!(first.network, NetworkFeatures { params: Some(100.0), layers: None, learning_rate: Some(0.1) });
        assert_eq!((first.epochs(), first.accuracies[1], first.accuracies[4]), (10, Some(0.5), None));
        assert_eq!(read.curves[1].accuracies, [Some(0.3)]);
    }

    #[test]
    fn percents_and_epochs_from_0_are_understood() {
        let read = RecordedCurves::from_csv("acc_0,acc_1\n40,50\n0.5,75\n").unwrap();
        assert!(read.percents);
        assert_eq!(read.curves[0].accuracies, [Some(0.4), Some(0.5)]);
        assert_eq!(read.curves[1].accuracies, [Some(0.005), Some(0.75)]);
    }

    #[test]
    fn errors_name_line_and_column() {
        for (text, part) in [
            ("net,accuracy\nx,1\n", "no columns acc_1"),
            ("acc_1,acc_2\n0.1,0.2\n0.1,many\n", "line 3, column acc_2: \"many\""),
            ("acc_1\n-0.1\n", "line 2, column acc_1: -0.1"),
            ("acc_1,acc_1\n0.1,0.2\n", "twice"),
            ("acc_1\n\"\"\n", "no row has"),
        ] {
            let error = RecordedCurves::from_csv(text).unwrap_err().to_string();
            assert!(error.contains(part), "{error}");
        }
    }
}
