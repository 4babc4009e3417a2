//! The MODEL argument: a model folder, a STUDY, STUDY:TRIAL or STUDY:ensemble; and the engine that answers with its weights.

use std::path::{Path, PathBuf};

use anyhow::{Result, bail};
use metaqnn_core::graph::MapShape;
use metaqnn_core::study::TrialNumber;
use metaqnn_data::{ImageShape, LabelledImages, Normalizer, Preprocessing};
use metaqnn_export::{Logits, Model, Normalization, Preparation, ScoredImages, TrainedNetwork};
use metaqnn_store::StudyReader;
use metaqnn_train::{ComputeDevice, parse_device};

use crate::arguments::ModelArguments;
use crate::study_models::{Chosen, StudyModels};

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
        let (path, chosen) = study_and_chosen(&arguments.model)?;
        of_study(&path, chosen, arguments.data_dir.data_dir.as_deref(), &device)?
    };
    Ok(TrainedModel { model, device, scored })
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

/// The model of a study that was trained fully, with the test images.
fn of_study(
    path: &Path,
    chosen: Chosen,
    data_dir: Option<&Path>,
    device: &ComputeDevice,
) -> Result<(Model, ScoredImages)> {
    let reader = StudyReader::open(path)?;
    let models = StudyModels::open(path, &reader, data_dir)?;
    let (members, measured) = models.members(chosen)?;
    let model = models.model(&members, Some(measured))?;
    let scored = models.scored(&model, device)?;
    models.check_score(&scored, measured)?;
    Ok((model, scored))
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
