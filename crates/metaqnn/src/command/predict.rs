//! `metaqnn predict`.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;
use metaqnn_data::{ImageShape, list_images, read_image};
use metaqnn_export::{Model, predicted_classes, probabilities};
use metaqnn_train::ComputeDevice;
use serde_json::{Map, json};

use crate::models::{self, ModelArguments, TrainedModel};
use crate::show::{self, in_words};

#[derive(Args)]
pub(crate) struct PredictArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// Image files, or folders: all images in them and below them.
    #[arg(required = true)]
    pub(crate) files: Vec<PathBuf>,
    /// One JSON object a file.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Probabilities that are printed for people.
const PRINTED_CLASSES: usize = 3;

/// Images that are answered at once: answers come soon, and a folder of any size fits into memory.
const BATCH: usize = 256;

/// Classes and probabilities of image files, a line each. What cannot be answered is said, and the others are answered.
pub(crate) fn predict(arguments: &PredictArguments) -> Result<i32> {
    let TrainedModel { model, device } = models::open(&arguments.model)?;
    let mut all_answered = true;
    let mut failed = |reason: String| {
        eprintln!("error: {reason}");
        all_answered = false;
    };
    let files = image_files(&arguments.files, &mut failed);
    for files in files.chunks(BATCH) {
        answer(files, &model, &device, arguments.json, &mut failed)?;
    }
    Ok(i32::from(!all_answered))
}

/// Reads and answers a batch of files.
fn answer(
    files: &[PathBuf],
    model: &Model,
    device: &ComputeDevice,
    as_json: bool,
    failed: &mut dyn FnMut(String),
) -> Result<()> {
    let shape: ImageShape = models::image_shape(model.preparation().input);
    let (mut read, mut pixels) = (Vec::new(), Vec::new());
    for file in files {
        match read_image(file, shape, model.preparation().max_value) {
            Ok(image) => {
                pixels.extend(image);
                read.push(file);
            }
            Err(error) => failed(error.to_string()),
        }
    }
    let (names, classes) = (model.class_names(), model.class_names().len());
    let images = models::unlabelled(model, pixels);
    let probabilities = probabilities(&models::logits(model, &images, device)?, classes);
    let predicted = predicted_classes(&probabilities, classes);
    for ((file, row), class) in read.into_iter().zip(probabilities.chunks(classes)).zip(predicted) {
        if as_json {
            let each: Map<_, _> = names.iter().zip(row).map(|(name, p)| (name.clone(), json!(p))).collect();
            println!("{}", json!({ "file": show::lossy(file), "class": names[class], "probabilities": each }));
        } else {
            println!("{}: {}", show::path(file), in_line(names, row, class));
        }
    }
    Ok(())
}

/// A class with the most probable ones behind it.
fn in_line(names: &[String], probabilities: &[f32], class: usize) -> String {
    let mut best: Vec<(&String, f32)> = names.iter().zip(probabilities.iter().copied()).collect();
    best.sort_by(|a, b| b.1.total_cmp(&a.1));
    let best = best.iter().take(PRINTED_CLASSES).map(|(name, p)| format!("{} {:.1} %", show::name(name), 100.0 * p));
    format!("{} ({})", show::name(&names[class]), best.collect::<Vec<_>>().join(", "))
}

/// The files, in place of a folder the images in it and below it.
fn image_files(given: &[PathBuf], failed: &mut dyn FnMut(String)) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for path in given {
        if path.is_dir() {
            files.extend(images_in(path, failed));
        } else {
            files.push(path.clone());
        }
    }
    files
}

fn images_in(folder: &Path, failed: &mut dyn FnMut(String)) -> Vec<PathBuf> {
    let list = match list_images(folder) {
        Ok(list) => list,
        Err(error) => {
            failed(in_words(&error.into()));
            return Vec::new();
        }
    };
    list.problems.iter().for_each(|problem| failed(problem.to_string()));
    if !list.left_out.is_empty() {
        let names: Vec<String> = list.left_out.iter().map(|path| show::path(path)).collect();
        eprintln!("left out, being no image: {}", show::first_few(&names));
    }
    if list.images.is_empty() {
        failed(format!("{}: there is no image in it or below it", show::path(folder)));
    }
    list.images
}
