//! The ensemble of a study's fully trained networks: chosen on validation data, kept where it helps, measured once.

use std::path::Path;

use anyhow::{Result, ensure};
use metaqnn_core::ports::Storage;
use metaqnn_core::settings::Settings;
use metaqnn_core::study::{EnsembleRecord, TrialNumber, balanced_accuracy, choose_ensemble};
use metaqnn_data::DataSet;
use metaqnn_store::{StudyFile, StudyReader};
use metaqnn_train::ComputeDevice;

use super::engine::scored;
use super::study_models::StudyModels;
use crate::setup::StudyDataArguments;
use crate::show::{self, FinalTable};

/// Members of the paper's ensemble (spec 4): its networks are not validated again, so nothing can tell how many are best.
const MEMBERS_OF_PAPER: usize = 5;

/// Where the data lie and what measures.
pub(crate) struct Measuring<'a> {
    pub(crate) study: &'a Path,
    pub(crate) place: &'a StudyDataArguments,
    pub(crate) device: &'a ComputeDevice,
}

/// Chooses the ensemble of the networks that are there and measures it on the test data; one that was measured before stays as it is.
pub(crate) fn settle(file: &mut StudyFile, settings: &Settings, measuring: &Measuring<'_>) -> Result<()> {
    let ranked: Vec<TrialNumber> = FinalTable::read(file.reader())?.trials().collect();
    let before = file.ensemble()?;
    let ensemble = match ranked.len() {
        0 | 1 => None,
        _ => chosen(file.reader(), &ranked, settings, measuring, before.as_ref())?,
    };
    if ensemble != before {
        file.store_ensemble(ensemble.as_ref())?;
    }
    Ok(())
}

fn chosen(
    reader: &StudyReader,
    ranked: &[TrialNumber],
    settings: &Settings,
    measuring: &Measuring<'_>,
    before: Option<&EnsembleRecord>,
) -> Result<Option<EnsembleRecord>> {
    let models = StudyModels::open(measuring.study, reader)?;
    let data = models.data(measuring.place)?;
    let Some((members, valid_accuracy)) = members(reader, ranked, settings, &data)? else { return Ok(None) };
    if let Some(before) = before
        && (&before.members, before.valid_accuracy) == (&members, valid_accuracy)
    {
        return Ok(Some(before.clone()));
    }
    eprintln!("{}: measuring their ensemble", show::count(members.len() as u64, "network"));
    let model = models.model(&members, None, &mut || Ok(data.clone()))?;
    let scored = scored(&model, &data.test, measuring.device)?;
    let probabilities = metaqnn_export::probabilities(&scored.logits, data.classes());
    let predicted = metaqnn_export::predicted_classes(&probabilities, data.classes());
    Ok(Some(EnsembleRecord {
        members,
        valid_accuracy,
        test_accuracy: metaqnn_export::accuracy(&scored.logits, &scored.labels, data.classes()),
        test_balanced_accuracy: Some(balanced_accuracy(predicted, &scored.labels)),
        test_images: scored.len() as u64,
    }))
}

/// The best of the networks, as many as do best together on the validation data, and how they do there; `None` where that is one
/// alone.
fn members(
    reader: &StudyReader,
    ranked: &[TrialNumber],
    settings: &Settings,
    data: &DataSet,
) -> Result<Option<(Vec<TrialNumber>, Option<f64>)>> {
    let (valid, classes) = (&data.valid, data.classes());
    let (mut trials, mut networks) = (Vec::new(), Vec::new());
    for &trial in ranked {
        // Networks that an earlier version has validated left none.
        let Some(probabilities) = reader.validation_probabilities(trial)? else { continue };
        let (found, expected) = (probabilities.len(), valid.labels.len() * classes);
        ensure!(
            found == expected,
            "{}: {found} probabilities of trial {trial} on the validation images are stored, expected {expected}",
            reader.path().display()
        );
        trials.push(trial);
        networks.push(probabilities);
    }
    if networks.is_empty() && settings.final_phase.share_of_candidates() == 0.0 {
        return Ok(Some((ranked[..ranked.len().min(MEMBERS_OF_PAPER)].to_vec(), None)));
    }
    let choice = choose_ensemble(&networks, &valid.labels, classes).filter(|choice| choice.members > 1);
    Ok(choice.map(|choice| {
        trials.truncate(choice.members);
        (trials, Some(choice.accuracy))
    }))
}
