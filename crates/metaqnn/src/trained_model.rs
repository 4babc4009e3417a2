//! The MODEL argument: a model folder, a STUDY, STUDY:TRIAL or STUDY:ensemble; and the engine that answers with its weights.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use metaqnn_core::graph::MapShape;
use metaqnn_core::study::TrialNumber;
use metaqnn_data::{ImageShape, LabelledImages, Normalizer, Preprocessing};
use metaqnn_export::{Logits, Model, Normalization, Preparation, ScoredImages, TrainedNetwork};
use metaqnn_store::StudyReader;
use metaqnn_train::{ComputeDevice, parse_device};

use crate::arguments::ModelArguments;
use crate::in_words;
use crate::study_models::{self, Chosen, StudyModels};

/// Made images on which a model is compared where its data are not at hand.
const MADE_IMAGES: usize = 32;

/// A model and where it answers.
pub(crate) struct TrainedModel {
    pub(crate) model: Model,
    pub(crate) device: ComputeDevice,
}

/// Reads the model that the arguments name. The data of a study are not needed, but for networks of an earlier version.
pub(crate) fn open(arguments: &ModelArguments) -> Result<TrainedModel> {
    let device = parse_device(&arguments.device)?;
    let folder = Path::new(&arguments.model);
    let model = if folder.is_dir() {
        metaqnn_export::read(folder)?.0
    } else {
        let (path, chosen) = study_and_chosen(&arguments.model)?;
        let reader = StudyReader::open(&path)?;
        let models = StudyModels::open(&path, &reader)?;
        let (members, measured) = models.members(chosen)?;
        models.model(&members, Some(measured), &mut || models.data(&arguments.place))?
    };
    Ok(TrainedModel { model, device })
}

/// The same with images that it can be checked on: the reference batch of a folder, the test data of a study, on which the model is
/// measured again, or made images where those data are not at hand.
pub(crate) fn open_scored(arguments: &ModelArguments) -> Result<(TrainedModel, ScoredImages)> {
    let device = parse_device(&arguments.device)?;
    let folder = Path::new(&arguments.model);
    if folder.is_dir() {
        let (model, scored) = metaqnn_export::read(folder)?;
        return Ok((TrainedModel { model, device }, scored));
    }
    let (path, chosen) = study_and_chosen(&arguments.model)?;
    let reader = StudyReader::open(&path)?;
    let models = StudyModels::open(&path, &reader)?;
    let (members, measured) = models.members(chosen)?;
    let data = models.data(&arguments.place);
    let mut lent = || match &data {
        Ok(data) => Ok(data.clone()),
        Err(error) => Err(anyhow!("{error:#}")),
    };
    let model = models.model(&members, Some(measured), &mut lent)?;
    let scored = match data {
        Ok(data) => {
            let scored = study_models::scored(&model, &data.test, &device)?;
            models.check_score(&model, &scored, measured)?;
            scored
        }
        // Who names data means them.
        Err(error) if arguments.place.moved_data.is_some() => return Err(error),
        Err(error) => {
            eprintln!(
                "warning: {}; what is written is compared on made images instead of the test images",
                in_words(&error)
            );
            ScoredImages::made(&model, MADE_IMAGES, &mut |model, pixels| {
                logits(model, &unlabelled(model, pixels.to_vec()), &device).map_err(|error| error.to_string())
            })
            .map_err(anyhow::Error::msg)?
        }
    };
    Ok((TrainedModel { model, device }, scored))
}

/// The files and folders that are read for a model.
pub(crate) fn inputs(arguments: &ModelArguments) -> Vec<PathBuf> {
    let model = match study_and_chosen(&arguments.model) {
        Ok((path, _)) => path,
        Err(_) => PathBuf::from(&arguments.model),
    };
    std::iter::once(model).chain(arguments.place.moved_data.as_ref().map(PathBuf::from)).collect()
}

/// STUDY, STUDY:TRIAL or STUDY:ensemble.
fn study_and_chosen(text: &str) -> Result<(PathBuf, Chosen)> {
    if Path::new(text).exists() {
        return Ok((text.into(), Chosen::Best));
    }
    let chosen = |part: &str| match part {
        "ensemble" => Some(Chosen::Ensemble),
        number => number.parse().ok().map(|number| Chosen::Trial(TrialNumber(number))),
    };
    match text.rsplit_once(':').map(|(path, part)| (path, chosen(part))) {
        Some((path, Some(chosen))) if Path::new(path).exists() => Ok((path.into(), chosen)),
        _ => bail!(
            "{text}: there is no such model folder or study; a trial of one is named STUDY:TRIAL, its ensemble STUDY:ensemble"
        ),
    }
}

/// The logits of each network of a model.
///
/// # Errors
///
/// Where an answer is not finite: the weights may be, and yet be none that training gives.
pub(crate) fn logits(model: &Model, images: &LabelledImages, device: &ComputeDevice) -> Result<Logits> {
    let normalizer = normalizer_of(model.preparation())?;
    let of_network = |network: &TrainedNetwork| -> Result<Vec<f32>> {
        let weights = network.weights().to_safetensors().map_err(anyhow::Error::msg)?;
        let logits = metaqnn_train::logits(network.graph(), &weights, images, &normalizer, device)?;
        if let Some(logit) = logits.iter().find(|logit| !logit.is_finite()) {
            let architecture = network.architecture();
            bail!(
                "the network {architecture} answers with {logit}: its weights are damaged, or are not those that were trained"
            );
        }
        Ok(logits)
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
pub(crate) fn preparation(normalizer: &Normalizer) -> Preparation {
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
