//! `metaqnn train`: one architecture, trained as a search trains a trial, or as it trains the network that it chooses.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use metaqnn_core::graph::Graph;
use metaqnn_core::ports::{
    CandidateJob, CandidateLength, Evaluator, FinalEvaluation, FinalJob, TrainingProgress, TrialJob,
};
use metaqnn_core::settings::TrainingSettings;
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{Evaluation, Outcome, TrialNumber, wilson_interval};
use metaqnn_data::{DataSet, LabelledImages, LoadedData};
use metaqnn_export::{Export, Format, Measured, Model, Provenance, ScoredImages, StoredNetwork, TrainedNetwork};
use metaqnn_train::{NetworkEvaluator, map_shape, normalizer, parse_device};
use serde_json::json;

use crate::models::{self, preparation};
use crate::setup::{
    self, DataArguments, ReadingArguments, SettingsArguments, SizeArguments, default_model, parse_seconds,
};
use crate::show;

#[derive(Args)]
pub(crate) struct TrainArguments {
    /// The architecture in the notation.
    pub(crate) architecture: String,
    /// digits, mnist, fashion-mnist, cifar10, cifar100, svhn, or the path of your own images: a folder of class folders, a .csv,
    /// .npy or .npz file.
    #[arg(long, default_value = "digits")]
    pub(crate) data: String,
    #[command(flatten)]
    pub(crate) settings: SettingsArguments,
    #[command(flatten)]
    pub(crate) data_dir: DataArguments,
    #[command(flatten)]
    pub(crate) reading: ReadingArguments,
    #[command(flatten)]
    pub(crate) size: SizeArguments,
    /// Train for this time, reading the data included: 90s, 30m, 2h; the learning rate schedule is stretched over it [default: the
    /// epochs of the settings].
    #[arg(long, value_name = "TIME", value_parser = parse_seconds)]
    pub(crate) budget: Option<f64>,
    /// Train as a search trains the network that it chooses: with the settings in [final.training].
    #[arg(long = "final")]
    pub(crate) fully: bool,
    /// Train on training and validation images, measure once on the test images, and keep the network.
    #[arg(long, requires = "fully")]
    pub(crate) test: bool,
    /// With --test, the model folder to keep the network in; nothing may be there [default: models/DATA-DATE-N].
    #[arg(long, value_name = "FOLDER", requires = "test")]
    pub(crate) out: Option<PathBuf>,
    /// Threads [default: one a core].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub(crate) threads: Option<u32>,
    /// Device.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
    /// Seed.
    #[arg(long, default_value_t = 0)]
    pub(crate) seed: u64,
    /// The result as JSON on standard output.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Share of the time that measuring on the test images may take.
const MEASURING: f64 = 0.02;

/// A training is a single trial.
const TRIAL: TrialNumber = TrialNumber(1);

/// Trains one architecture.
pub(crate) fn train_one(arguments: &TrainArguments) -> Result<i32> {
    let begin = Instant::now();
    if let Some(threads) = arguments.threads {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads as usize);
        pool.build_global().context("the threads cannot be started")?;
    }
    let architecture: Architecture = arguments.architecture.parse()?;
    let settings = setup::checked(&setup::document(&arguments.settings, &arguments.data, None)?)?;
    let data_dir = arguments.data_dir.data_dir.as_deref();
    let reading = setup::reading(&arguments.reading);
    let (loaded, _) = setup::data_set(&arguments.data, data_dir, arguments.size.size, &reading)?;
    setup::tell(&loaded);
    let LoadedData { data, .. } = loaded;
    ensure!(
        architecture.classes() as usize == data.classes(),
        "{architecture} has {} classes, {} has {}",
        architecture.classes(),
        data.name,
        data.classes()
    );
    let training = if arguments.fully { settings.final_phase.training } else { settings.training.clone() };
    let graph = Graph::new(&architecture, map_shape(data.shape()), training.network_options())?;
    eprintln!("{architecture}: {} parameters, {:.2} MFLOPs", graph.params(), graph.flops() as f64 / 1e6);
    // Refused before the training, not after it.
    let folder = match (&arguments.out, arguments.test) {
        (_, false) => None,
        (Some(folder), true) => Some(folder.clone()),
        (None, true) => Some(default_model(&data.name)?),
    };
    if let Some(folder) = folder.as_deref().filter(|folder| folder.symlink_metadata().is_ok()) {
        return Err(anyhow!("{} is there already: name a folder that is not", folder.display()));
    }
    let data = Arc::new(data);
    // What is trained for a given time is trained as a candidate is, with the settings that were asked for.
    let evaluator = NetworkEvaluator::new(&arguments.device, data.clone(), settings.training, training.clone())?;
    let seconds = arguments.budget.map(|budget| {
        let measuring = if arguments.test { MEASURING * budget } else { 0.0 };
        budget - measuring - begin.elapsed().as_secs_f64()
    });
    if let (Some(seconds), Some(budget)) = (seconds, arguments.budget) {
        ensure!(
            seconds > 0.0,
            "reading the data alone took {}, of a budget of {}: give --budget more",
            show::duration(begin.elapsed().as_secs_f64()),
            show::duration(budget)
        );
    }
    let one = One { arguments, architecture, graph, evaluator, seconds };
    match folder {
        Some(folder) => one.measured_once(&data, &training, &folder),
        None => one.validated(),
    }
}

/// One network to train.
struct One<'a> {
    arguments: &'a TrainArguments,
    architecture: Architecture,
    graph: Graph,
    evaluator: NetworkEvaluator,
    /// How long to train; `None`: the epochs of the settings.
    seconds: Option<f64>,
}

impl One<'_> {
    /// Trains on the training images and validates.
    fn validated(mut self) -> Result<i32> {
        let (architecture, seed) = (self.architecture.clone(), self.arguments.seed);
        let report = &mut show(true);
        let evaluation = if self.arguments.fully || self.seconds.is_some() {
            let length = self.seconds.map_or(CandidateLength::ShareOfEpochs(1.0), CandidateLength::Seconds);
            let job = CandidateJob { trial: TRIAL, architecture, seed, length, checkpoint: None };
            self.evaluator.evaluate_candidate(&job, report)?.evaluation
        } else {
            let job = TrialJob { trial: TRIAL, architecture, seed, stop: None, time_limit_seconds: None };
            self.evaluator.evaluate(&job, report)
        };
        if self.arguments.json {
            println!("{}", self.validated_json(&evaluation));
        } else if let Some(accuracy) = evaluation.outcome.valid_accuracy() {
            println!("validation accuracy {:.4} after {:.1} s", accuracy.value(), evaluation.train_seconds);
        }
        match evaluation.outcome {
            Outcome::Failed { failure } => Err(anyhow!("{failure}")),
            _ => Ok(0),
        }
    }

    fn validated_json(&self, evaluation: &Evaluation) -> serde_json::Value {
        json!({
            "architecture": self.architecture,
            "state": evaluation.outcome.state(),
            "valid_accuracy": evaluation.outcome.valid_accuracy(),
            "params": self.graph.params(),
            "flops": self.graph.flops(),
            "epochs": evaluation.epochs,
            "train_seconds": evaluation.train_seconds,
            "curve": evaluation.curve,
        })
    }

    /// Trains on training and validation images, measures once on the test images and keeps the network in `folder`.
    fn measured_once(mut self, data: &DataSet, settings: &TrainingSettings, folder: &Path) -> Result<i32> {
        let job = FinalJob {
            trial: TRIAL,
            architecture: self.architecture.clone(),
            seed: self.arguments.seed,
            time_limit_seconds: self.seconds,
            epochs: None,
            mirror_is_safe: None,
            turning_is_safe: None,
            checkpoint: None,
        };
        let trained = self.evaluator.evaluate_final(&job, &mut show(false))?;
        self.keep(data, settings, &trained, folder)?;
        let (low, high) = wilson_interval(trained.test_accuracy, trained.test_images);
        if self.arguments.json {
            let result = json!({
                "architecture": self.architecture,
                "model": folder,
                "test_accuracy": trained.test_accuracy,
                "test_balanced_accuracy": trained.test_balanced_accuracy,
                "test_images": trained.test_images,
                "params": self.graph.params(),
                "flops": self.graph.flops(),
                "epochs": trained.epochs,
                "train_seconds": trained.train_seconds,
                "train_losses": trained.train_losses,
            });
            println!("{result}");
        } else {
            println!(
                "test accuracy {:.2} % of {} images (95 % interval {:.2} to {:.2} %) after {} and {:.1} s",
                100.0 * trained.test_accuracy,
                trained.test_images,
                100.0 * low,
                100.0 * high,
                show::count(u64::from(trained.epochs), "epoch"),
                trained.train_seconds
            );
            println!("kept in {0}; for other formats: metaqnn export {0} --out FOLDER", folder.display());
        }
        Ok(0)
    }

    /// Writes the model folder and compares it with the network that was measured.
    fn keep(
        &self,
        data: &DataSet,
        settings: &TrainingSettings,
        trained: &FinalEvaluation,
        folder: &Path,
    ) -> Result<()> {
        let input = self.graph.input();
        let StoredNetwork { weights, .. } =
            StoredNetwork::from_safetensors(&trained.weights, input).map_err(anyhow::Error::msg)?;
        let network = TrainedNetwork::new(self.architecture.clone(), settings.batch_norm, input, weights, None)?;
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let provenance = Provenance {
            study: "none: trained alone".into(),
            seed: self.arguments.seed,
            data: self.arguments.data.clone(),
            data_fingerprint: data.fingerprint.clone(),
            study_version: version.clone(),
            version,
        };
        let measured = Measured {
            test_accuracy: trained.test_accuracy,
            test_images: trained.test_images,
            epochs: trained.epochs.into(),
            train_seconds: trained.train_seconds,
        };
        let preparation = preparation(&normalizer(data, settings));
        let model = Model::new(vec![network], preparation, data.class_names.clone(), provenance, Some(measured))?;
        let device = parse_device(&self.arguments.device)?;
        let LabelledImages { pixels, labels, .. } = &data.test;
        let logits = models::logits(&model, &data.test, &device)?;
        let scored = ScoredImages { are_made: false, pixels: pixels.clone(), labels: labels.clone(), logits };
        let mut engine = |model: &Model, pixels: &[u8]| {
            let images = models::unlabelled(model, pixels.to_vec());
            models::logits(model, &images, &device).map_err(|error| error.to_string())
        };
        let (formats, python) = (&[Format::Safetensors], Path::new("python3"));
        Export { model: &model, formats, scored: &scored, engine: &mut engine, python }.write(folder)?;
        Ok(())
    }
}

/// Shows a training on standard error; with `validated` also the accuracy after each epoch.
fn show(validated: bool) -> impl FnMut(TrainingProgress) {
    let mut shown = 0.0;
    move |progress| match progress {
        TrainingProgress::Step { progress, train_loss } => {
            if progress - shown >= 0.02 || progress < shown {
                shown = progress;
                eprintln!("{:5.1} %  loss {train_loss:.4}", 100.0 * progress);
            }
        }
        TrainingProgress::Epoch { point } if validated => {
            eprintln!(
                "epoch {}: loss {:.4}, validation accuracy {:.4}",
                point.epoch, point.train_loss, point.valid_accuracy
            );
        }
        // Where there are few images there are hundreds of epochs.
        TrainingProgress::Epoch { .. } => {}
        TrainingProgress::Restart { attempt, learning_rate } => {
            eprintln!("no better than chance: try {attempt} with learning rate {learning_rate}");
        }
    }
}
