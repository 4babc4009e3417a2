//! `metaqnn predict`.

use std::io::Cursor;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use image::imageops::FilterType;
use image::{ImageReader, Limits};
use metaqnn_export::{Preparation, predicted_classes, probabilities};
use metaqnn_train::parse_device;
use serde_json::{Map, json};

use crate::arguments::PredictArguments;
use crate::trained_model;

/// Probabilities that are printed for people.
const PRINTED_CLASSES: usize = 3;

/// Largest side of an image file, in pixels.
const LARGEST_SIDE: u32 = 16_384;

/// Most bytes that reading an image may take.
const LARGEST_ALLOCATION: u64 = 512 << 20;

/// Classes and probabilities of image files, a line each.
pub(crate) fn predict(arguments: &PredictArguments) -> Result<i32> {
    let device = parse_device(&arguments.device)?;
    let data_dir = arguments.data_dir.data_dir.as_deref();
    let model = trained_model::open(&arguments.model, data_dir, &device)?.model;
    let (mut files, mut pixels) = (Vec::new(), Vec::new());
    let mut failed = false;
    for file in image_files(&arguments.files)? {
        match read_image(&file, model.preparation()) {
            Ok(image) => {
                pixels.extend(image);
                files.push(file);
            }
            Err(error) => {
                eprintln!("error: {error:#}");
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

/// The pixels of an image file as the model's training images were stored, CHW: grey or red, green, blue, resized, and white
/// as the greatest value.
fn read_image(path: &Path, preparation: &Preparation) -> Result<Vec<u8>> {
    let named = || path.display().to_string();
    let bytes = std::fs::read(path).with_context(named)?;
    let mut reader = ImageReader::new(Cursor::new(bytes)).with_guessed_format().with_context(named)?;
    let mut limits = Limits::default();
    (limits.max_image_width, limits.max_image_height) = (Some(LARGEST_SIDE), Some(LARGEST_SIDE));
    limits.max_alloc = Some(LARGEST_ALLOCATION);
    reader.limits(limits);
    let decoded = reader.decode().with_context(named)?;
    let input = preparation.input;
    let resized = if (decoded.width(), decoded.height()) == (input.width, input.height) {
        decoded
    } else {
        decoded.resize_exact(input.width, input.height, FilterType::Triangle)
    };
    let interleaved = match input.channels {
        1 => resized.to_luma8().into_raw(),
        3 => resized.to_rgb8().into_raw(),
        channels => {
            bail!("{}: the model is for images of {channels} channels, which no image file has", path.display())
        }
    };
    let (channels, max_value) = (input.channels as usize, u32::from(preparation.max_value));
    let scaled = |value: &u8| ((u32::from(*value) * max_value + 127) / 255) as u8;
    Ok((0..channels).flat_map(|c| interleaved.iter().skip(c).step_by(channels).map(scaled)).collect())
}
