//! Whether what was written answers as the model that was scored.

use std::path::Path;
use std::process::Command;

use serde::Serialize;
use serde_json::Value;

use crate::answers::ScoredImages;
use crate::error::ExportError;
use crate::format::Format;
use crate::model::Model;

/// The comparison of one format with the model that was scored.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Verification {
    /// The format: `onnx`, `safetensors`, `pytorch`.
    pub format: &'static str,
    /// Number of images compared.
    pub images: usize,
    /// The largest difference of two logits; `None` where the format could not be run here.
    pub max_difference: Option<f64>,
    /// Share of the images classified right by what was written; `None` also where the images were made and show nothing.
    pub accuracy: Option<f64>,
    /// The same of the model that was scored.
    pub accuracy_of_the_scored_model: Option<f64>,
    /// The largest difference that is allowed: 1e-4 · max(1, the largest |logit|).
    pub tolerance: f64,
    /// Why it could not be run, or why there is no accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Compares the answers of what was written.
///
/// # Errors
///
/// [`ExportError::Difference`] where logits differ by more than 1e-4 · max(1, the largest |logit|) or are not finite;
/// [`ExportError::Runtime`] where there is another number of them.
pub(crate) fn compare(
    format: Format,
    model: &Model,
    scored: &ScoredImages,
    logits: &[Vec<f32>],
) -> Result<Verification, ExportError> {
    let found: Vec<usize> = logits.iter().map(Vec::len).collect();
    let expected: Vec<usize> = scored.logits.iter().map(Vec::len).collect();
    if found != expected {
        let reason = format!("expected {expected:?} logits, found {found:?}");
        return Err(ExportError::Runtime { format: format.name(), reason });
    }
    let pairs = scored.logits.iter().flatten().zip(logits.iter().flatten());
    // Not `max`, which leaves out what is not a number.
    let difference = pairs.fold(0.0_f64, |most, (a, b)| {
        let difference = (f64::from(*a) - f64::from(*b)).abs();
        if difference.is_nan() || difference > most { difference } else { most }
    });
    let verification = Verification {
        max_difference: Some(difference),
        accuracy: scored.accuracy_of(logits, model),
        ..unverified(format, model, scored, made_note(scored))
    };
    verification.within_tolerance()
}

/// Why there is no accuracy, where the images are no images of the data.
fn made_note(scored: &ScoredImages) -> Option<String> {
    scored.are_made.then(|| "compared on made images: the data of the study were not at hand".to_owned())
}

/// The comparison of a format that was not run, and why.
pub(crate) fn not_run(format: Format, model: &Model, scored: &ScoredImages, why: String) -> Verification {
    unverified(format, model, scored, Some(why))
}

/// What is known of a format that was not run.
fn unverified(format: Format, model: &Model, scored: &ScoredImages, note: Option<String>) -> Verification {
    let largest = scored.logits.iter().flatten().fold(1.0_f64, |most, logit| most.max(f64::from(logit.abs())));
    Verification {
        format: format.name(),
        images: scored.len(),
        max_difference: None,
        accuracy: None,
        accuracy_of_the_scored_model: scored.accuracy(model),
        tolerance: 1e-4 * largest,
        note,
    }
}

impl Verification {
    fn within_tolerance(self) -> Result<Self, ExportError> {
        match self.max_difference {
            Some(difference) if difference.is_nan() || difference > self.tolerance => {
                Err(ExportError::Difference { format: self.format, difference, tolerance: self.tolerance })
            }
            _ => Ok(self),
        }
    }
}

/// Lets the Python program `python` run the module in `folder` on the images; where it has no torch, that is noted.
pub(crate) fn check_pytorch(
    python: &Path,
    folder: &Path,
    model: &Model,
    scored: &ScoredImages,
) -> Result<Verification, ExportError> {
    let format = Format::Pytorch;
    let has_torch =
        Command::new(python).args(["-c", "import torch"]).output().is_ok_and(|output| output.status.success());
    if !has_torch {
        // The name alone: the note travels with the model.
        let name = python.file_name().unwrap_or(python.as_os_str()).to_string_lossy();
        let note = format!("not run: {name} has no torch; run `python {}` where there is one", format.file());
        return Ok(unverified(format, model, scored, Some(note)));
    }
    let failed = |reason: String| ExportError::Runtime { format: format.name(), reason };
    let images = tempfile::NamedTempFile::new().map_err(|error| failed(error.to_string()))?;
    let bytes = scored.to_safetensors(model).map_err(failed)?;
    std::fs::write(images.path(), bytes).map_err(ExportError::io(images.path(), "write it"))?;
    let output = Command::new(python)
        .arg("-B")
        .arg(folder.join(format.file()))
        .arg(images.path())
        .output()
        .map_err(|error| failed(error.to_string()))?;
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim().lines().last().unwrap_or_default().to_owned();
    let result: Value = serde_json::from_str(&said(&output.stdout)).map_err(|_| failed(said(&output.stderr)))?;
    let number = |key: &str| result[key].as_f64().ok_or_else(|| failed(format!("it printed {result}")));
    let verification = Verification {
        max_difference: Some(number("max_difference")?),
        accuracy: if scored.are_made { None } else { Some(number("accuracy")?) },
        ..unverified(format, model, scored, made_note(scored))
    };
    verification.within_tolerance()
}
