//! The MODEL argument: a model folder, a STUDY or STUDY:TRIAL; and the engine that answers with its weights.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use metaqnn_core::graph::MapShape;
use metaqnn_core::study::TrialNumber;
use metaqnn_data::{DataSet, ImageShape, LabelledImages, Normalizer, Preprocessing};
use metaqnn_export::{
    Logits, Measured, Model, Normalization, Preparation, Provenance, ScoredImages, TrainedNetwork, Weights,
};
use metaqnn_store::{StoredTrial, StudyReader};
use metaqnn_train::{ComputeDevice, normalizer, parse_device};

use crate::arguments::ModelArguments;
use crate::setup;

/// A model with the images that it can be checked on, and where it answers.
pub(crate) struct TrainedModel {
    pub(crate) model: Model,
    pub(crate) device: ComputeDevice,
    /// The reference batch of a folder, the test data of a study.
    pub(crate) scored: ScoredImages,
}

/// Reads the model that the arguments name. One of a study is measured again on the test data.
pub(crate) fn open(arguments: &ModelArguments) -> Result<TrainedModel> {
    let device = parse_device(&arguments.device)?;
    let folder = Path::new(&arguments.model);
    let (model, scored) = if folder.is_dir() {
        metaqnn_export::read(folder)?
    } else {
        let (path, trial) = study_and_trial(&arguments.model)?;
        of_study(&path, trial, arguments.data_dir.data_dir.as_deref(), &device)?
    };
    Ok(TrainedModel { model, device, scored })
}

/// STUDY or STUDY:TRIAL.
fn study_and_trial(text: &str) -> Result<(PathBuf, Option<TrialNumber>)> {
    if Path::new(text).exists() {
        return Ok((text.into(), None));
    }
    match text.rsplit_once(':').map(|(path, trial)| (path, trial.parse())) {
        Some((path, Ok(trial))) if Path::new(path).exists() => Ok((path.into(), Some(TrialNumber(trial)))),
        _ => bail!("{text}: there is no such model folder or study; a trial of one is named STUDY:TRIAL"),
    }
}

/// The model of a trial that was trained fully.
fn of_study(
    path: &Path,
    trial: Option<TrialNumber>,
    data_dir: Option<&Path>,
    device: &ComputeDevice,
) -> Result<(Model, ScoredImages)> {
    let reader = StudyReader::open(path)?;
    let header = reader.header()?;
    let trial = trained_fully(&reader, path, trial)?;
    let number = trial.record.trial;
    let untrained = || format!("{}: trial {number} has no stored weights", path.display());
    let weights = reader.final_weights(number)?.with_context(untrained)?;
    let measured = reader.finals()?.into_iter().find(|record| record.trial == number).with_context(untrained)?;
    let settings = setup::checked(&setup::document_of_study(path, &header)?)?;
    let training = settings.final_phase.training;
    let (data, _) = setup::data_of_study(path, &header, data_dir)?;
    let weights = Weights::from_safetensors(&weights)
        .map_err(|reason| anyhow::anyhow!("{}: the weights of trial {number}: {reason}", path.display()))?;
    let architecture = trial.record.architecture.clone();
    let network = TrainedNetwork::new(architecture, training.batch_norm, header.input, weights, Some(number.0))?;
    let provenance = Provenance {
        study: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        seed: header.seed,
        data: header.data.clone(),
        data_fingerprint: header.data_fingerprint.clone(),
        study_version: header.version.clone(),
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let measured = Measured {
        test_accuracy: measured.test_accuracy,
        test_images: measured.test_images,
        epochs: u64::from(measured.epochs),
        train_seconds: measured.train_seconds,
    };
    let preparation = preparation(&normalizer(&data, &training));
    let model = Model::new(vec![network], preparation, header.class_names, provenance, Some(measured))?;
    let scored = scored(&model, &data.test, device)?;
    check_score(path, &scored, measured, &data)?;
    Ok((model, scored))
}

/// The trial of that number; without one, of those trained fully the one of the best validation accuracy: test data choose nothing.
fn trained_fully(reader: &StudyReader, path: &Path, trial: Option<TrialNumber>) -> Result<StoredTrial> {
    match trial {
        Some(number) => {
            let trial = reader.trial(number)?;
            let trial = trial.with_context(|| format!("{} has no trial {number}", path.display()))?;
            ensure!(
                trial.test_accuracy.is_some(),
                "{}: trial {number} was not trained fully, so there are no weights of it",
                path.display()
            );
            Ok(trial)
        }
        None => {
            let ranked = reader.top(usize::MAX)?;
            let is_trained = |trial: &&StoredTrial| trial.test_accuracy.is_some();
            // Candidates were validated after a longer training than trials.
            let candidates = reader.candidates()?;
            let of_candidates = candidates
                .iter()
                .filter_map(|record| ranked.iter().find(|trial| trial.record.trial == record.trial).filter(is_trained));
            let trained = of_candidates.chain(ranked.iter().filter(is_trained)).next().cloned();
            trained.with_context(|| {
                format!("{}: no network of it was trained fully yet; `metaqnn resume` does that", path.display())
            })
        }
    }
}

/// The weights must give the accuracy that was stored with them, but for images on the edge between two classes.
fn check_score(path: &Path, scored: &ScoredImages, measured: Measured, data: &DataSet) -> Result<()> {
    let again = metaqnn_export::accuracy(&scored.logits, &scored.labels, data.classes());
    let images = scored.len() as f64;
    let differing = (again - measured.test_accuracy).abs() * images;
    ensure!(
        differing <= (images / 1000.0).max(1.0) + 1e-6,
        "{}: the stored weights classify {again:.4} of the test images right, {:.4} was stored",
        path.display(),
        measured.test_accuracy
    );
    Ok(())
}

/// Images with the answers of the model on `device`.
fn scored(model: &Model, images: &LabelledImages, device: &ComputeDevice) -> Result<ScoredImages> {
    let logits = logits(model, images, device)?;
    Ok(ScoredImages { pixels: images.pixels.clone(), labels: images.labels.clone(), logits })
}

/// The logits of each network of a model.
pub(crate) fn logits(model: &Model, images: &LabelledImages, device: &ComputeDevice) -> Result<Logits> {
    let normalizer = normalizer_of(model.preparation())?;
    let of_network = |network: &TrainedNetwork| -> Result<Vec<f32>> {
        let weights = network.weights().to_safetensors().map_err(anyhow::Error::msg)?;
        Ok(metaqnn_train::logits(network.graph(), &weights, images, &normalizer, device)?)
    };
    model.networks().iter().map(of_network).collect()
}

/// Unlabelled images of the model's shape.
pub(crate) fn unlabelled(model: &Model, pixels: Vec<u8>) -> LabelledImages {
    let labels = vec![0; pixels.len() / model.preparation().pixels().max(1)];
    LabelledImages { shape: image_shape(model.preparation().input), pixels, labels }
}

/// The same shape as the data have it.
pub(crate) fn image_shape(input: MapShape) -> ImageShape {
    let [channels, height, width] = [input.channels, input.height, input.width].map(|n| n as usize);
    ImageShape { channels, height, width }
}

/// The same preparation as plain values.
fn preparation(normalizer: &Normalizer) -> Preparation {
    let normalization = match normalizer.kind() {
        Preprocessing::MeanImage => Normalization::MeanImage { mean: normalizer.mean().to_vec() },
        Preprocessing::GlobalContrast => Normalization::GlobalContrast,
        Preprocessing::LocalContrast => Normalization::LocalContrast,
        // Standardize; what is to come has to be added here, or the check of the export fails.
        _ => {
            Normalization::Standardize { mean: normalizer.mean().to_vec(), deviation: normalizer.deviation().to_vec() }
        }
    };
    let input = metaqnn_train::map_shape(normalizer.shape());
    Preparation { input, max_value: normalizer.max_value(), normalization }
}

/// The preparation as the engines apply it.
fn normalizer_of(preparation: &Preparation) -> Result<Normalizer> {
    let (kind, mean, deviation): (_, &[f32], &[f32]) = match &preparation.normalization {
        Normalization::Standardize { mean, deviation } => (Preprocessing::Standardize, mean, deviation),
        Normalization::MeanImage { mean } => (Preprocessing::MeanImage, mean, &[]),
        Normalization::GlobalContrast => (Preprocessing::GlobalContrast, &[], &[]),
        Normalization::LocalContrast => (Preprocessing::LocalContrast, &[], &[]),
    };
    let shape = image_shape(preparation.input);
    Normalizer::with_constants(kind, shape, preparation.max_value, mean, deviation).map_err(anyhow::Error::msg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn preparations_and_normalizers_are_the_same() {
        let shape = ImageShape { channels: 2, height: 3, width: 4 };
        let pixels = (0..48).map(|i| i * 5).collect();
        let images = LabelledImages { shape, pixels, labels: vec![0, 1] };
        for kind in [
            Preprocessing::Standardize,
            Preprocessing::MeanImage,
            Preprocessing::GlobalContrast,
            Preprocessing::LocalContrast,
        ] {
            let normalizer = Normalizer::fit(kind, &images, 250);
            assert_eq!(normalizer_of(&preparation(&normalizer)).unwrap(), normalizer);
        }
    }
}
