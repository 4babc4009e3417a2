//! `metaqnn evaluate`.

use anyhow::{Result, bail, ensure};
use clap::Args;
use metaqnn_core::study::balanced_accuracy;
use metaqnn_data::{DataArgument, EvaluationData, MeasuredPart, load_for_evaluation};
use metaqnn_export::{Measured, Model, predicted_classes, probabilities};
use serde_json::json;

use crate::models::{self, ModelArguments, TrainedModel, image_shape};
use crate::setup::{self, ReadingArguments};
use crate::show;

#[derive(Args)]
pub(crate) struct EvaluateArguments {
    #[command(flatten)]
    pub(crate) model: ModelArguments,
    /// digits, mnist, fashion-mnist, cifar10, cifar100, svhn, or the path of your own images: a folder of class folders, a .csv,
    /// .npy or .npz file.
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) reading: ReadingArguments,
    /// The result as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
    /// With --json also the probabilities of every image.
    #[arg(long, requires = "json")]
    pub(crate) probabilities: bool,
}

/// Classes up to which the confusion matrix is printed for people.
const PRINTED_CLASSES: usize = 20;

/// How a class fares.
struct ClassFigures {
    images: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
}

/// Measures a model on labelled images, and says which of them these were.
pub(crate) fn evaluate(arguments: &EvaluateArguments) -> Result<i32> {
    let TrainedModel { model, device } = models::open(&arguments.model)?;
    let data = labelled_images(arguments, &model)?;
    let classes = model.class_names().len();
    let logits = models::logits(&model, &data.images, &device)?;
    let probabilities = probabilities(&logits, classes);
    let labels = &data.images.labels;
    let mut confusion = vec![vec![0_u64; classes]; classes];
    for (class, &label) in predicted_classes(&probabilities, classes).zip(labels) {
        confusion[usize::from(label)][class] += 1;
    }
    let images = labels.len();
    let right: u64 = (0..classes).map(|class| confusion[class][class]).sum();
    let accuracy = right as f64 / images as f64;
    let figures = class_figures(&confusion);
    let balanced = balanced_accuracy(predicted_classes(&probabilities, classes), labels);
    let measured = Measured { test_accuracy: accuracy, test_images: images as u64, epochs: 0, train_seconds: 0.0 };
    let (low, high) = measured.interval();
    if arguments.json {
        let of_class = |(name, figures): (&String, &ClassFigures)| {
            json!({
                "class": name, "images": figures.images, "precision": figures.precision, "recall": figures.recall,
                "f1": figures.f1,
            })
        };
        let mut value = json!({
            "accuracy": accuracy, "images": images, "confusion": confusion, "interval": [low, high],
            "balanced_accuracy": balanced, "measured": part_name(data.part),
            "classes": model.class_names().iter().zip(&figures).map(of_class).collect::<Vec<_>>(),
        });
        if arguments.probabilities {
            value["probabilities"] = json!(probabilities.chunks(classes).collect::<Vec<_>>());
        }
        println!("{value}");
        return Ok(0);
    }
    println!("{}", part_in_words(arguments, &data));
    println!(
        "accuracy {:.2} % of {images} images (95 % confidence interval {:.2} to {:.2} %), balanced accuracy {:.2} %",
        100.0 * accuracy,
        100.0 * low,
        100.0 * high,
        100.0 * balanced
    );
    print_classes(model.class_names(), &figures);
    if classes <= PRINTED_CLASSES {
        println!("\nconfusion matrix, a row a true class, a column a predicted one:");
        for (name, row) in model.class_names().iter().zip(&confusion) {
            let row: String = row.iter().map(|count| format!("{count:>6}")).collect();
            println!("{:>16} {row}", show::name(name));
        }
    }
    Ok(0)
}

/// Reads the images as the model takes them; their labels become those of the model.
fn labelled_images(arguments: &EvaluateArguments, model: &Model) -> Result<EvaluationData> {
    let argument: DataArgument = arguments.data.parse()?;
    let data_dir = setup::data_folder(&argument, arguments.model.place.data_dir.data_dir.as_deref())?;
    let preparation = model.preparation();
    let mut data = load_for_evaluation(
        &argument,
        &data_dir,
        image_shape(preparation.input),
        preparation.max_value,
        Some(&model.provenance().data_fingerprint),
        &setup::reading(&arguments.reading),
        &setup::split_settings(),
    )?;
    setup::warn(&data.warnings);
    ensure!(!data.images.is_empty(), "{}: it has no test images", arguments.data);
    let names = model.class_names();
    let classes: Vec<Option<usize>> =
        data.class_names.iter().map(|class| names.iter().position(|name| name == class)).collect();
    let unknown: Vec<String> = data
        .class_names
        .iter()
        .zip(&classes)
        .filter(|(_, class)| class.is_none())
        .map(|(name, _)| show::name(name))
        .collect();
    if !unknown.is_empty() {
        let known: Vec<String> = names.iter().map(|name| show::name(name)).collect();
        bail!(
            "{}: {} not among the classes of the model, which are {}",
            arguments.data,
            match unknown.as_slice() {
                [name] => format!("class {name} is"),
                names => format!("classes {} are", show::first_few(names)),
            },
            show::first_few(&known)
        );
    }
    for label in &mut data.images.labels {
        // Every class was found, and there are no more than fit.
        *label = classes[usize::from(*label)].unwrap_or_default() as u16;
    }
    Ok(data)
}

/// The key of what is measured.
fn part_name(part: MeasuredPart) -> &'static str {
    match part {
        MeasuredPart::Test => "test",
        MeasuredPart::Valid => "valid",
        MeasuredPart::Train => "train",
        MeasuredPart::KeptFromTraining => "kept-from-training",
        _ => "all",
    }
}

/// Which images are measured.
fn part_in_words(arguments: &EvaluateArguments, data: &EvaluationData) -> String {
    let (name, images) = (show::name(&arguments.data), data.images.len() as u64);
    let others = show::count(data.others as u64, "other image");
    let of = |what: &str| match data.others {
        0 => format!("{name}: all {}", show::count(images, what)),
        _ => format!("{name}: its {}, {others} left aside", show::count(images, what)),
    };
    match data.part {
        MeasuredPart::Test => of("test image"),
        MeasuredPart::Valid => format!("{}; it has no test images", of("validation image")),
        MeasuredPart::Train => {
            format!(
                "{}; it has no test images: a model does better on images that it was trained on",
                of("training image")
            )
        }
        MeasuredPart::KeptFromTraining => format!(
            "{name}: the model was trained on these data, so only the {} kept from the training are measured",
            show::count(images, "test image")
        ),
        _ => of("image"),
    }
}

fn print_classes(names: &[String], figures: &[ClassFigures]) {
    let percent = |share: Option<f64>| share.map_or("-".into(), |share| format!("{:.2}", 100.0 * share));
    println!("\n{:>16} {:>7} {:>10} {:>8} {:>8}", "class", "images", "precision", "recall", "F1");
    for (name, figures) in names.iter().zip(figures) {
        let [precision, recall, f1] = [figures.precision, figures.recall, figures.f1].map(percent);
        println!("{:>16} {:>7} {precision:>10} {recall:>8} {f1:>8}", show::name(name), figures.images);
    }
}

/// Figures of each class; those that have no meaning, since a class has no images or is never predicted, are `None`.
fn class_figures(confusion: &[Vec<u64>]) -> Vec<ClassFigures> {
    let share = |part: u64, all: u64| (all > 0).then(|| part as f64 / all as f64);
    let of_class = |(class, row): (usize, &Vec<u64>)| {
        let right = row[class];
        let images: u64 = row.iter().sum();
        let predicted: u64 = confusion.iter().map(|row| row[class]).sum();
        ClassFigures {
            images,
            precision: share(right, predicted),
            recall: share(right, images),
            f1: share(2 * right, images + predicted),
        }
    };
    confusion.iter().enumerate().map(of_class).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_classes_follow_from_the_confusion() {
        let figures = class_figures(&[vec![3, 1, 0], vec![1, 5, 0], vec![0, 0, 0]]);
        assert_eq!((figures[0].images, figures[0].precision, figures[0].recall), (4, Some(0.75), Some(0.75)));
        assert_eq!((figures[1].f1, figures[1].images), (Some(10.0 / 12.0), 6));
        assert_eq!((figures[2].precision, figures[2].recall, figures[2].f1), (None, None, None));
    }
}
