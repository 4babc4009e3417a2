//! The model card, README.md of a model folder.

use std::fmt::Write;

use metaqnn_core::graph::MapShape;

use crate::format::Format;
use crate::model::Model;
use crate::verification::Verification;

/// Classes that the card names; a list of a thousand helps nobody.
const NAMED_CLASSES: usize = 50;

/// The text of the card, Markdown.
pub(crate) fn text(model: &Model, formats: &[Format], verifications: &[Verification]) -> String {
    let mut card = String::new();
    // Writing to a string cannot fail.
    let _ = fill(&mut card, model, formats, verifications);
    card
}

fn fill(card: &mut String, model: &Model, formats: &[Format], verifications: &[Verification]) -> std::fmt::Result {
    let (preparation, provenance) = (model.preparation(), model.provenance());
    let MapShape { channels, height, width } = preparation.input;
    let names = model.class_names();
    writeln!(card, "# An image classifier for {}\n", one_line(&provenance.data))?;
    let listed: Vec<String> = names.iter().take(NAMED_CLASSES).map(|name| one_line(name)).collect();
    let more = if names.len() > NAMED_CLASSES { ", …" } else { "" };
    writeln!(
        card,
        "Designed and trained by metaqnn {}. It tells {} classes apart: {}{more}.\n",
        provenance.version,
        names.len(),
        listed.join(", ")
    )?;
    writeln!(card, "## How well it does\n")?;
    match model.measured() {
        Some(measured) => {
            let (low, high) = measured.interval();
            writeln!(
                card,
                "Accuracy on {} test images: **{:.2} %** (95 % confidence interval {:.2} to {:.2} %). It was measured once, after training, and chose nothing.\n",
                measured.test_images,
                100.0 * measured.test_accuracy,
                100.0 * low,
                100.0 * high
            )?;
        }
        None => writeln!(card, "It was not measured on test data.\n")?,
    }
    writeln!(card, "## What goes in\n\n{}\n", preparation.in_words())?;
    writeln!(card, "Part of the model: {}.\n", preparation.normalization.in_words())?;
    writeln!(card, "## What it is\n")?;
    if model.networks().len() > 1 {
        writeln!(card, "An ensemble of {} networks: the mean of their probabilities.\n", model.networks().len())?;
    }
    for network in model.networks() {
        let norm = if network.batch_norm() { ", with batch normalization" } else { "" };
        let trial = network.trial().map(|trial| format!("Trial {trial}: ")).unwrap_or_default();
        writeln!(card, "- {trial}`{}`{norm}", network.architecture())?;
    }
    let flops = model.flops() as f64 / 1e6;
    writeln!(
        card,
        "\n{} parameters, {flops:.2} MFLOPs (2 x multiply-adds) an image of {channels}x{height}x{width}.\n",
        model.params()
    )?;
    writeln!(card, "## Files\n")?;
    writeln!(card, "| file | what it is |\n|---|---|")?;
    writeln!(
        card,
        "| `model.json`, `model.safetensors` | the model: `metaqnn predict`, `evaluate` and `export` take this folder |"
    )?;
    for format in formats {
        match format {
            Format::Onnx => writeln!(
                card,
                "| `model.onnx` | the model in ONNX: input `images`, outputs `probabilities` and logits |"
            )?,
            Format::Pytorch => writeln!(
                card,
                "| `model.py` | the model in PyTorch: `from model import Model; model = Model.load()` |"
            )?,
            Format::Safetensors => {}
        }
    }
    writeln!(card, "| `reference.safetensors` | a few images with the answers of the model that was scored |")?;
    writeln!(card, "| `verification.json` | the comparison below |\n")?;
    writeln!(card, "Each format was loaded again and compared with the model that was scored:\n")?;
    writeln!(
        card,
        "| format | images | largest difference of logits | accuracy | of the scored model |\n|---|---|---|---|---|"
    )?;
    let percent =
        |accuracy: Option<f64>| accuracy.map_or("–".to_owned(), |accuracy| format!("{:.2} %", 100.0 * accuracy));
    for check in verifications {
        let (format, images, scored) = (check.format, check.images, percent(check.accuracy_of_the_scored_model));
        match check.max_difference {
            Some(difference) => {
                let accuracy = percent(check.accuracy);
                writeln!(card, "| {format} | {images} | {difference:.1e} | {accuracy} | {scored} |")?;
            }
            None => writeln!(card, "| {format} | {images} | not run here | | {scored} |")?,
        }
    }
    if let Some(note) =
        verifications.iter().find_map(|check| check.note.as_deref().filter(|_| check.max_difference.is_some()))
    {
        writeln!(card, "\nThere is no accuracy here: {note}.")?;
    }
    if formats.contains(&Format::Onnx) {
        writeln!(
            card,
            "\nAn image file through the model in ONNX:\n\n```python\nimport numpy, onnxruntime\nfrom PIL import Image, ImageOps\n\n{}\nsession = onnxruntime.InferenceSession(\"model.onnx\")\nprobabilities = session.run([\"probabilities\"], {{\"images\": prepare(\"photo.png\")}})[0]\n```",
            preparation.in_python()
        )?;
    }
    writeln!(card, "\n## Where it comes from\n")?;
    writeln!(card, "- data: {} (fingerprint {})", one_line(&provenance.data), provenance.data_fingerprint)?;
    writeln!(
        card,
        "- study: {} (seed {}, begun by metaqnn {})",
        one_line(&provenance.study),
        provenance.seed,
        provenance.study_version
    )?;
    if let Some(measured) = model.measured() {
        writeln!(card, "- training: {} epochs, {:.0} s", measured.epochs, measured.train_seconds)?;
    }
    writeln!(
        card,
        "\n## Limits\n\nIt answers every image with one of its classes, also one that shows none of them, and its probabilities are not calibrated. The accuracy above holds for images like the test images; others should be measured first: `metaqnn evaluate`."
    )
}

/// A name that others chose, without what would begin another line or be obeyed by a terminal.
fn one_line(name: &str) -> String {
    name.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter }).collect()
}
