//! `metaqnn evaluate`.

use anyhow::{Result, ensure};
use metaqnn_core::study::balanced_accuracy;
use metaqnn_data::{ImageSize, LoadedData};
use metaqnn_export::{Measured, predicted_classes, probabilities};
use serde_json::json;

use crate::arguments::EvaluateArguments;
use crate::trained_model::{TrainedModel, image_shape};
use crate::{setup, trained_model};

/// Classes up to which the confusion matrix is printed for people.
const PRINTED_CLASSES: usize = 20;

/// How a class fares.
struct ClassFigures {
    images: u64,
    precision: Option<f64>,
    recall: Option<f64>,
    f1: Option<f64>,
}

/// Measures a model on the test images of a data set.
pub(crate) fn evaluate(arguments: &EvaluateArguments) -> Result<i32> {
    let TrainedModel { model, device, .. } = trained_model::open(&arguments.model)?;
    let data_dir = arguments.model.data_dir.data_dir.as_deref();
    let input = image_shape(model.preparation().input);
    let (LoadedData { data, .. }, _) =
        setup::data_set(&arguments.data, data_dir, Some(ImageSize::new(input.height, input.width)?))?;
    ensure!(data.shape() == input, "{}: images of {}, the model is for {input}", arguments.data, data.shape());
    ensure!(
        data.class_names == model.class_names(),
        "{}: its classes are not those of the model ({} and {})",
        arguments.data,
        data.class_names.join(", "),
        model.class_names().join(", ")
    );
    let max_value = model.preparation().max_value;
    ensure!(
        data.max_value == max_value,
        "{}: white is stored as {}, the model is for {max_value}",
        arguments.data,
        data.max_value
    );
    ensure!(!data.test.is_empty(), "{}: it has no test images", arguments.data);
    let classes = data.classes();
    let probabilities = probabilities(&trained_model::logits(&model, &data.test, &device)?, classes);
    let mut confusion = vec![vec![0_u64; classes]; classes];
    for (class, &label) in predicted_classes(&probabilities, classes).zip(&data.test.labels) {
        confusion[usize::from(label)][class] += 1;
    }
    let images = data.test.len();
    let right: u64 = (0..classes).map(|class| confusion[class][class]).sum();
    let accuracy = right as f64 / images as f64;
    let figures = class_figures(&confusion);
    let balanced = balanced_accuracy(predicted_classes(&probabilities, classes), &data.test.labels);
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
            "balanced_accuracy": balanced,
            "classes": model.class_names().iter().zip(&figures).map(of_class).collect::<Vec<_>>(),
        });
        if arguments.probabilities {
            value["probabilities"] = json!(probabilities.chunks(classes).collect::<Vec<_>>());
        }
        println!("{value}");
        return Ok(0);
    }
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
            println!("{name:>16} {row}");
        }
    }
    Ok(0)
}

fn print_classes(names: &[String], figures: &[ClassFigures]) {
    let percent = |share: Option<f64>| share.map_or("-".into(), |share| format!("{:.2}", 100.0 * share));
    println!("\n{:>16} {:>7} {:>10} {:>8} {:>8}", "class", "images", "precision", "recall", "F1");
    for (name, figures) in names.iter().zip(figures) {
        let [precision, recall, f1] = [figures.precision, figures.recall, figures.f1].map(percent);
        println!("{name:>16} {:>7} {precision:>10} {recall:>8} {f1:>8}", figures.images);
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
