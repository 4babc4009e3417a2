//! `metaqnn predict`.

use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use metaqnn_data::read_image;
use metaqnn_export::{predicted_classes, probabilities};
use serde_json::{Map, json};

use crate::arguments::PredictArguments;
use crate::trained_model::{self, TrainedModel};

/// Probabilities that are printed for people.
const PRINTED_CLASSES: usize = 3;

/// Classes and probabilities of image files, a line each.
pub(crate) fn predict(arguments: &PredictArguments) -> Result<i32> {
    let TrainedModel { model, device, .. } = trained_model::open(&arguments.model)?;
    let shape = trained_model::image_shape(model.preparation().input);
    let (mut files, mut pixels) = (Vec::new(), Vec::new());
    let mut failed = false;
    for file in image_files(&arguments.files)? {
        match read_image(&file, shape, model.preparation().max_value) {
            Ok(image) => {
                pixels.extend(image);
                files.push(file);
            }
            Err(error) => {
                eprintln!("error: {error}");
                failed = true;
            }
        }
    }
    let classes = model.class_names().len();
    let images = trained_model::unlabelled(&model, pixels);
    let probabilities = probabilities(&trained_model::logits(&model, &images, &device)?, classes);
    let predicted = predicted_classes(&probabilities, classes);
    for ((file, row), class) in files.iter().zip(probabilities.chunks(classes)).zip(predicted) {
        let name = &model.class_names()[class];
        if arguments.json {
            let each = model.class_names().iter().zip(row).map(|(name, p)| (name.clone(), json!(p)));
            println!("{}", json!({ "file": file, "class": name, "probabilities": each.collect::<Map<_, _>>() }));
        } else {
            let mut best: Vec<(&String, f32)> = model.class_names().iter().zip(row.iter().copied()).collect();
            best.sort_by(|a, b| b.1.total_cmp(&a.1));
            let best = best.iter().take(PRINTED_CLASSES).map(|(name, p)| format!("{name} {:.1} %", 100.0 * p));
            println!("{}: {name} ({})", file.display(), best.collect::<Vec<_>>().join(", "));
        }
    }
    Ok(i32::from(failed))
}

/// The files, in place of a folder those directly in it, sorted by name.
fn image_files(given: &[PathBuf]) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for path in given {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let entries = std::fs::read_dir(path).with_context(|| format!("{} cannot be read", path.display()))?;
        let mut inside: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        inside.retain(|path| path.is_file());
        inside.sort();
        if inside.is_empty() {
            bail!("{}: there is no file in it", path.display());
        }
        files.extend(inside);
    }
    Ok(files)
}
