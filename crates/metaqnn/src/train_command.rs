//! `metaqnn train`.

use std::sync::Arc;

use anyhow::Result;
use metaqnn_core::graph::Graph;
use metaqnn_core::ports::{Evaluator, TrainingProgress, TrialJob};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::TrialNumber;
use metaqnn_data::LoadedData;
use metaqnn_train::{NetworkEvaluator, map_shape};
use serde_json::json;

use crate::arguments::TrainArguments;
use crate::setup;

/// Trains one architecture on the training images and validates it.
pub(crate) fn train_one(arguments: &TrainArguments) -> Result<i32> {
    let architecture: Architecture = arguments.architecture.parse()?;
    let settings = setup::checked(&setup::document(&arguments.settings, &arguments.data, None)?)?;
    let data_dir = arguments.data_dir.data_dir.as_deref();
    let (LoadedData { data, warnings }, _) = setup::data_set(&arguments.data, data_dir, arguments.size.size)?;
    setup::tell(&warnings);
    let input = map_shape(data.shape());
    anyhow::ensure!(
        architecture.classes() as usize == data.classes(),
        "{architecture} has {} classes, {} has {}",
        architecture.classes(),
        data.name,
        data.classes()
    );
    let graph = Graph::new(&architecture, input, settings.training.network_options())?;
    eprintln!("{architecture}: {} parameters, {:.2} MFLOPs", graph.params(), graph.flops() as f64 / 1e6);
    let final_training = settings.final_phase.training.clone();
    let mut evaluator = NetworkEvaluator::new(&arguments.device, Arc::new(data), settings.training, final_training)?;
    let job = TrialJob { trial: TrialNumber(1), architecture: architecture.clone(), seed: arguments.seed, stop: None };
    let mut shown = 0.0;
    let evaluation = evaluator.evaluate(&job, &mut |progress| match progress {
        TrainingProgress::Step { progress, train_loss } => {
            if progress - shown >= 0.02 || progress < shown {
                shown = progress;
                eprintln!("{:5.1} %  loss {train_loss:.4}", 100.0 * progress);
            }
        }
        TrainingProgress::Epoch { point } => {
            eprintln!(
                "epoch {}: loss {:.4}, validation accuracy {:.4}",
                point.epoch, point.train_loss, point.valid_accuracy
            );
        }
        TrainingProgress::Restart { attempt, learning_rate } => {
            eprintln!("no better than chance: try {attempt} with learning rate {learning_rate}");
        }
    });
    if arguments.json {
        println!(
            "{}",
            json!({
                "architecture": architecture,
                "state": evaluation.outcome.state(),
                "valid_accuracy": evaluation.outcome.valid_accuracy(),
                "params": graph.params(),
                "flops": graph.flops(),
                "epochs": evaluation.epochs,
                "train_seconds": evaluation.train_seconds,
                "curve": evaluation.curve,
            })
        );
    } else if let Some(accuracy) = evaluation.outcome.valid_accuracy() {
        println!("validation accuracy {:.4} after {:.1} s", accuracy.value(), evaluation.train_seconds);
    }
    match evaluation.outcome {
        metaqnn_core::study::Outcome::Failed { failure } => Err(anyhow::anyhow!("{failure}")),
        _ => Ok(0),
    }
}
