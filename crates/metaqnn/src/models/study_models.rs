//! The fully trained networks of a study as models, alone and together.

use std::path::Path;

use anyhow::{Context, Result, anyhow, ensure};
use metaqnn_core::settings::TrainingSettings;
use metaqnn_core::study::{StudyHeader, TrialNumber};
use metaqnn_data::DataSet;
use metaqnn_export::{Measured, Model, Preparation, Provenance, ScoredImages, StoredNetwork, TrainedNetwork};
use metaqnn_store::StudyReader;
use metaqnn_train::normalizer;

use super::engine::preparation;
use crate::setup::{self, StudyDataArguments};
use crate::show::FinalTable;

/// Which model of a study is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The ensemble where one was kept, else the best network: test data choose nothing.
    Best,
    Trial(TrialNumber),
    Ensemble,
}

/// A study of which networks were trained fully.
pub(crate) struct StudyModels<'a> {
    path: &'a Path,
    reader: &'a StudyReader,
    header: StudyHeader,
    training: TrainingSettings,
}

impl<'a> StudyModels<'a> {
    /// The study at `path`. Its data are not needed to use its models.
    pub(crate) fn open(path: &'a Path, reader: &'a StudyReader) -> Result<Self> {
        let header = reader.header()?;
        let settings = setup::checked(&setup::document_of_study(path, &header)?)?;
        Ok(StudyModels { path, reader, header, training: settings.final_phase.training })
    }

    /// Reads its data.
    pub(crate) fn data(&self, place: &StudyDataArguments) -> Result<DataSet> {
        let reading = setup::reading_of_study(self.reader)?;
        Ok(setup::data_of_study(self.path, &self.header, &reading, place)?.data)
    }

    /// The trials of which a model consists, and what was measured with their weights.
    pub(crate) fn members(&self, chosen: Chosen) -> Result<(Vec<TrialNumber>, Measured)> {
        let path = self.path.display();
        let ensemble = self.reader.ensemble()?;
        let (members, test_accuracy, test_images) = match (chosen, ensemble) {
            (Chosen::Ensemble, None) => anyhow::bail!(
                "{path}: it has no ensemble; `metaqnn final` makes one of two networks or more where that helps"
            ),
            (Chosen::Ensemble, Some(ensemble)) => (ensemble.members, ensemble.test_accuracy, ensemble.test_images),
            (Chosen::Best, Some(ensemble)) if ensemble.valid_accuracy.is_some() => {
                (ensemble.members, ensemble.test_accuracy, ensemble.test_images)
            }
            (Chosen::Best, _) => {
                let best = FinalTable::read(self.reader)?.trials().next();
                let best = best.with_context(|| {
                    format!("{path}: no network of it was trained fully yet; `metaqnn final` does that")
                })?;
                self.single(best)?
            }
            (Chosen::Trial(trial), _) => self.single(trial)?,
        };
        let finals = self.reader.finals()?;
        let of_members = || finals.iter().filter(|record| members.contains(&record.trial));
        let measured = Measured {
            test_accuracy,
            test_images,
            epochs: of_members().map(|record| u64::from(record.epochs)).sum(),
            train_seconds: of_members().map(|record| record.train_seconds).sum(),
        };
        Ok((members, measured))
    }

    fn single(&self, trial: TrialNumber) -> Result<(Vec<TrialNumber>, f64, u64)> {
        let path = self.path.display();
        self.reader.trial(trial)?.with_context(|| format!("{path} has no trial {trial}"))?;
        let record = self.reader.finals()?.into_iter().find(|record| record.trial == trial);
        let record = record
            .with_context(|| format!("{path}: trial {trial} was not trained fully, so there are no weights of it"))?;
        Ok((vec![trial], record.test_accuracy, record.test_images))
    }

    /// The model of these trials with the weights that the study keeps of them. Its `data` are asked for only where an earlier version
    /// trained the networks: it did not keep how images are prepared for them.
    pub(crate) fn model(
        &self,
        members: &[TrialNumber],
        measured: Option<Measured>,
        data: &mut dyn FnMut() -> Result<DataSet>,
    ) -> Result<Model> {
        let header = &self.header;
        let provenance = Provenance {
            study: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            seed: header.seed,
            data: header.data.clone(),
            data_fingerprint: header.data_fingerprint.clone(),
            study_version: header.version.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let (mut networks, mut kept) = (Vec::new(), None);
        for member in members {
            let (network, preparation) = self.network(*member)?;
            networks.push(network);
            kept = preparation;
        }
        let preparation = match kept {
            Some(preparation) => preparation,
            None => preparation(&normalizer(&data()?, &self.training)),
        };
        Ok(Model::new(networks, preparation, header.class_names.clone(), provenance, measured)?)
    }

    fn network(&self, trial: TrialNumber) -> Result<(TrainedNetwork, Option<Preparation>)> {
        let missing = || format!("{}: trial {trial} has no stored weights", self.path.display());
        let architecture = self.reader.trial(trial)?.with_context(missing)?.record.architecture;
        let bytes = self.reader.final_weights(trial)?.with_context(missing)?;
        let StoredNetwork { weights, preparation } = StoredNetwork::from_safetensors(&bytes, self.header.input)
            .map_err(|reason| anyhow!("{}: the weights of trial {trial}: {reason}", self.path.display()))?;
        let batch_norm = self.training.batch_norm;
        let network = TrainedNetwork::new(architecture, batch_norm, self.header.input, weights, Some(trial.0))?;
        Ok((network, preparation))
    }

    /// Holds that the weights give the accuracy that was stored with them, but for images on the edge between two classes.
    pub(crate) fn check_score(&self, model: &Model, scored: &ScoredImages, measured: Measured) -> Result<()> {
        let again = metaqnn_export::accuracy(&scored.logits, &scored.labels, model.class_names().len());
        let images = scored.len() as f64;
        let differing = (again - measured.test_accuracy).abs() * images;
        ensure!(
            differing <= (images / 1000.0).max(1.0) + 1e-6,
            "{}: the stored weights classify {again:.4} of the test images right, {:.4} was stored",
            self.path.display(),
            measured.test_accuracy
        );
        Ok(())
    }
}
