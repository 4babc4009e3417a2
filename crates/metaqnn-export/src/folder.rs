//! The model folder: all that another machine needs.
//!
//! | file | what it is |
//! |---|---|
//! | `model.json` | architecture, preparation, classes, provenance, what was measured |
//! | `model.safetensors` | weights and the constants of the preparation |
//! | `reference.safetensors` | a few images with the answers of the scored model |
//! | `README.md` | the model card |
//! | `verification.json` | how far each format's answers are from the scored model's |
//! | `model.onnx`, `model.py` | the formats asked for |

use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::answers::{Logits, ScoredImages};
use crate::description::{Description, VERSION};
use crate::error::ExportError;
use crate::format::Format;
use crate::model::Model;
use crate::onnx_runtime::OnnxRuntime;
use crate::scratch::{Scratch, parent_of};
use crate::verification::{Verification, check_pytorch, compare};
use crate::weights::Weights;
use crate::{card, onnx, pytorch};

const DESCRIPTION: &str = "model.json";
const REFERENCE: &str = "reference.safetensors";
const CARD: &str = "README.md";
const VERIFICATION: &str = "verification.json";

/// Images of the reference batch.
const REFERENCE_IMAGES: usize = 32;

/// A description is a few KiB; what is larger is none.
const LARGEST_DESCRIPTION: u64 = 16 << 20;

/// A reference batch of the largest images, of three channels of 224x224 pixels, has 5 MB.
const LARGEST_REFERENCE: u64 = 64 << 20;

/// Gives the logits of each network of a model for pixels as stored, NCHW: the engine that scored it.
pub type Engine<'a> = dyn FnMut(&Model, &[u8]) -> Result<Logits, String> + 'a;

/// What to write and how to check it.
pub struct Export<'a> {
    /// The model.
    pub model: &'a Model,
    /// The formats; [`Format::Safetensors`] is always written.
    pub formats: &'a [Format],
    /// Images and the answers of the model that was scored.
    pub scored: &'a ScoredImages,
    /// The engine that scored the model: answers again with the weights that were read back.
    pub engine: &'a mut Engine<'a>,
    /// The Python program that checks the PyTorch module.
    pub python: &'a Path,
}

impl Export<'_> {
    /// Writes the model folder `folder`, loads each format again, and compares its answers.
    ///
    /// Everything is written to a folder beside it, which gets its name when it is whole and was found equal: after an error,
    /// a full disk for example, nothing is left, and what a program that was killed has left is removed by the next one.
    ///
    /// # Errors
    ///
    /// [`ExportError::Exists`] where there is something, [`ExportError::Io`] where a file cannot be written,
    /// [`ExportError::Runtime`] and [`ExportError::Difference`] where a format does not give the answers of the scored model.
    pub fn write(self, folder: &Path) -> Result<Vec<Verification>, ExportError> {
        self.scored.check(self.model).map_err(ExportError::model)?;
        let (parent, name) = free_place(folder)?;
        fs::create_dir_all(&parent).map_err(ExportError::io(&parent, "create the folder"))?;
        let temporary = Scratch::make(&parent).map_err(ExportError::io(&parent, "write in it"))?;
        let inside = temporary.path().join(name);
        fs::create_dir(&inside).map_err(ExportError::io(&inside, "create the folder"))?;
        let verifications = self.fill(&inside).map_err(|error| error.seen_from(&inside, folder))?;
        fs::rename(&inside, folder).map_err(ExportError::io(folder, "create the folder"))?;
        Ok(verifications)
    }

    fn fill(self, folder: &Path) -> Result<Vec<Verification>, ExportError> {
        let Export { model, formats, scored, engine, python } = self;
        let weights = model.weights().to_safetensors().map_err(ExportError::model)?;
        let description = Description::of(model, sha256(&weights));
        let description = serde_json::to_vec_pretty(&description).map_err(ExportError::model)?;
        write(&folder.join(Format::Safetensors.file()), &weights)?;
        drop(weights);
        write(&folder.join(DESCRIPTION), &description)?;
        let reference = scored.part(REFERENCE_IMAGES).to_safetensors(model).map_err(ExportError::model)?;
        write(&folder.join(REFERENCE), &reference)?;
        let mut all: Vec<Format> = formats.to_vec();
        all.push(Format::Safetensors);
        all.sort_unstable();
        all.dedup();
        let mut verifications = Vec::new();
        for &format in &all {
            let file = folder.join(format.file());
            verifications.push(match format {
                Format::Safetensors => {
                    let again = read(folder)?.0;
                    let failed = |reason| ExportError::Runtime { format: format.name(), reason };
                    compare(format, model, scored, &engine(&again, &scored.pixels).map_err(failed)?)?
                }
                Format::Onnx => {
                    write(&file, &onnx::encode(model)?)?;
                    let answers = OnnxRuntime::load(&file, model)?.answers(&scored.pixels)?;
                    compare(format, model, scored, &answers.logits)?
                }
                Format::Pytorch => {
                    write(&file, pytorch::source(model).as_bytes())?;
                    check_pytorch(python, folder, model, scored)?
                }
            });
        }
        let text = serde_json::to_vec_pretty(&summary(&verifications)).map_err(ExportError::model)?;
        write(&folder.join(VERIFICATION), &text)?;
        write(&folder.join(CARD), card::text(model, &all, &verifications).as_bytes())?;
        Ok(verifications)
    }
}

/// `verification.json`: the keys of the format that is farthest off, with all formats beside them.
fn summary(verifications: &[Verification]) -> Value {
    let worst = verifications
        .iter()
        .max_by(|a, b| a.max_difference.partial_cmp(&b.max_difference).unwrap_or(std::cmp::Ordering::Equal));
    let mut value = json!(worst);
    value["formats"] = json!(verifications);
    value
}

/// Reads a model folder: the model, and the reference batch.
///
/// # Errors
///
/// [`ExportError::NotAModel`] where the folder holds none, [`ExportError::Damaged`] and [`ExportError::Weights`] where a file was cut
/// off, changed, or is of another model.
pub fn read(folder: &Path) -> Result<(Model, ScoredImages), ExportError> {
    let path = folder.join(DESCRIPTION);
    if path.symlink_metadata().is_err() {
        let reason = format!("it has no {DESCRIPTION}");
        return Err(ExportError::NotAModel { path: folder.into(), reason });
    }
    let text = read_file(&path, LARGEST_DESCRIPTION)?;
    let unreadable = |error| ExportError::damaged(&path, format!("it was cut off or changed ({error})"));
    let value: Value = serde_json::from_slice(&text).map_err(unreadable)?;
    match value["metaqnn_model"].as_u64() {
        None => return Err(ExportError::damaged(&path, "it does not describe a model of metaqnn")),
        Some(version) if version > u64::from(VERSION) => {
            let reason =
                format!("its version is {version}, this metaqnn knows versions up to {VERSION}: update metaqnn");
            return Err(ExportError::damaged(&path, reason));
        }
        Some(_) => {}
    }
    let description: Description = serde_json::from_value(value).map_err(unreadable)?;
    let weights_path = folder.join(Format::Safetensors.file());
    let bytes = read_file(&weights_path, description.largest_weights())?;
    let weights = Weights::from_safetensors(&bytes).map_err(|reason| ExportError::damaged(&weights_path, reason))?;
    let expected = description.weights_sha256.clone();
    let model = description.model(weights).map_err(|error| match error {
        ExportError::Weights { .. } => ExportError::damaged(&weights_path, error),
        error => ExportError::damaged(&path, error),
    })?;
    if sha256(&bytes) != expected {
        return Err(ExportError::damaged(
            &weights_path,
            format!("its SHA-256 is not the one in {DESCRIPTION}: it was changed"),
        ));
    }
    let reference_path = folder.join(REFERENCE);
    let reference = read_file(&reference_path, LARGEST_REFERENCE)?;
    let reference = ScoredImages::from_safetensors(&reference, &model);
    Ok((model, reference.map_err(|reason| ExportError::damaged(&reference_path, reason))?))
}

impl ExportError {
    /// The same with the name that a folder was to get, instead of the one that it had while it was written.
    fn seen_from(self, temporary: &Path, folder: &Path) -> Self {
        let seen = |path: PathBuf| path.strip_prefix(temporary).map_or(path.clone(), |rest| folder.join(rest));
        match self {
            ExportError::Io { path, action, source } => ExportError::Io { path: seen(path), action, source },
            ExportError::DiskFull { path, reason } => ExportError::DiskFull { path: seen(path), reason },
            error => error,
        }
    }
}

/// Folder and name of a model folder that is not there yet; an empty folder may be.
fn free_place(folder: &Path) -> Result<(PathBuf, std::ffi::OsString), ExportError> {
    let is_empty = || fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_none());
    if folder.symlink_metadata().is_ok() && !is_empty() {
        return Err(ExportError::Exists { path: folder.into() });
    }
    let Some(name) = folder.file_name() else { return Err(ExportError::Exists { path: folder.into() }) };
    Ok((parent_of(folder).to_owned(), name.to_owned()))
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), ExportError> {
    File::create(path)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .map_err(ExportError::io(path, "write it"))
}

/// Reads a file of at most `largest` bytes: not a pipe, which would have to be waited for, nor a device, which has no end.
pub(crate) fn read_file(path: &Path, largest: u64) -> Result<Vec<u8>, ExportError> {
    let failed = || ExportError::io(path, "read it");
    if !fs::metadata(path).map_err(failed())?.is_file() {
        return Err(ExportError::damaged(path, "expected a file, found something else"));
    }
    let file = File::open(path).map_err(failed())?;
    let length = file.metadata().map_err(failed())?.len();
    if length > largest {
        return Err(ExportError::damaged(path, format!("expected at most {largest} bytes, found {length}")));
    }
    let mut bytes = Vec::new();
    file.take(largest).read_to_end(&mut bytes).map_err(failed())?;
    Ok(bytes)
}

fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
