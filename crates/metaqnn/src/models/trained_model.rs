//! The MODEL argument: a model folder, a STUDY, STUDY:TRIAL or STUDY:ensemble.

use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow, bail};
use clap::Args;
use metaqnn_core::study::TrialNumber;
use metaqnn_export::{Model, ScoredImages};
use metaqnn_store::StudyReader;
use metaqnn_train::{ComputeDevice, parse_device};

use super::engine::{logits, scored, unlabelled};
use super::study_models::{Chosen, StudyModels};
use crate::setup::StudyDataArguments;
use crate::show::in_words;

/// A trained model and where it answers.
#[derive(Args)]
pub(crate) struct ModelArguments {
    /// A model folder, a study, STUDY:TRIAL or STUDY:ensemble; of a study alone its ensemble where one was kept, else the best
    /// network that was trained fully.
    pub(crate) model: String,
    #[command(flatten)]
    pub(crate) place: StudyDataArguments,
    /// Device.
    #[arg(long, default_value = "cpu")]
    pub(crate) device: String,
}

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
            let scored = scored(&model, &data.test, &device)?;
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
