//! A model folder checked again, wherever it has been since it was written.

use std::path::Path;

use crate::answers::ScoredImages;
use crate::error::ExportError;
use crate::folder::{Engine, read, read_file};
use crate::format::Format;
use crate::model::Model;
use crate::onnx_runtime::OnnxRuntime;
use crate::pytorch;
use crate::verification::{Verification, check_pytorch, compare, not_run};

/// Longest ONNX file that is loaded: the format itself allows no more.
const LARGEST_ONNX: u64 = 2 << 30;

/// Longest module that is looked at.
const LARGEST_MODULE: u64 = 16 << 20;

/// What came of a model folder that was checked.
pub struct FolderCheck {
    /// The model.
    pub model: Model,
    /// What each format in the folder answers for the reference batch, or why that cannot be told.
    pub formats: Vec<(Format, Result<Verification, ExportError>)>,
}

/// Reads the model folder `folder` with every check, and compares what each format in it answers for the images of its reference batch with
/// the answers that stand there. `engine` answers with the weights; `python` runs the module, but only one that is word for word what
/// this program writes: a module from elsewhere is a program that may do anything.
///
/// # Errors
///
/// Those of [`read`]. What is wrong with one format is said of that format.
pub fn check_folder(folder: &Path, engine: &mut Engine<'_>, python: &Path) -> Result<FolderCheck, ExportError> {
    let (model, scored) = read(folder)?;
    let mut formats = Vec::new();
    for format in Format::ALL {
        let file = folder.join(format.file());
        if file.symlink_metadata().is_err() {
            continue;
        }
        let checked = match format {
            Format::Safetensors => {
                let failed = |reason| ExportError::Runtime { format: format.name(), reason };
                let answers = engine(&model, &scored.pixels).map_err(failed);
                answers.and_then(|answers| compare(format, &model, &scored, &answers))
            }
            Format::Onnx => check_onnx(&file, &model, &scored),
            Format::Pytorch => check_module(&file, folder, &model, &scored, python),
        };
        formats.push((format, checked));
    }
    Ok(FolderCheck { model, formats })
}

fn check_onnx(file: &Path, model: &Model, scored: &ScoredImages) -> Result<Verification, ExportError> {
    let bytes = read_file(file, LARGEST_ONNX)?;
    let answers = OnnxRuntime::from_bytes(bytes, model)?.answers(&scored.pixels)?;
    compare(Format::Onnx, model, scored, &answers.logits)
}

fn check_module(
    file: &Path,
    folder: &Path,
    model: &Model,
    scored: &ScoredImages,
    python: &Path,
) -> Result<Verification, ExportError> {
    if read_file(file, LARGEST_MODULE)? == pytorch::source(model).as_bytes() {
        return check_pytorch(python, folder, model, scored);
    }
    let note = format!(
        "not run: it is not what this version of metaqnn writes; if you trust it, run `python {}`",
        Format::Pytorch.file()
    );
    Ok(not_run(Format::Pytorch, model, scored, note))
}
