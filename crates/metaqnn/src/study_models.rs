//! The fully trained networks of a study as models, alone and together.

use std::path::Path;

use anyhow::{Context, Result, ensure};
use metaqnn_core::settings::TrainingSettings;
use metaqnn_core::study::{StudyHeader, TrialNumber, balanced_accuracy};
use metaqnn_data::{DataSet, LabelledImages};
use metaqnn_export::{Measured, Model, Provenance, ScoredImages, TrainedNetwork, Weights};
use metaqnn_store::StudyReader;
use metaqnn_train::{ComputeDevice, normalizer};

use crate::final_table::FinalTable;
use crate::setup;
use crate::trained_model::{logits, preparation};

/// Which model of a study is meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Chosen {
    /// The ensemble where one was kept, else the best network: test data choose nothing.
    Best,
    Trial(TrialNumber),
    Ensemble,
}

/// A study with the data that its models can be checked on.
pub(crate) struct StudyModels<'a> {
    path: &'a Path,
    reader: &'a StudyReader,
    header: StudyHeader,
    training: TrainingSettings,
    data: DataSet,
}

impl<'a> StudyModels<'a> {
    /// Reads the data of the study at `path`.
    pub(crate) fn open(path: &'a Path, reader: &'a StudyReader, data_dir: Option<&Path>) -> Result<Self> {
        let header = reader.header()?;
        let settings = setup::checked(&setup::document_of_study(path, &header)?)?;
        let (data, _) = setup::data_of_study(path, &header, data_dir)?;
        Ok(StudyModels { path, reader, header, training: settings.final_phase.training, data })
    }

    /// Its data.
    pub(crate) fn data(&self) -> &DataSet {
        &self.data
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

    /// The model of these trials with the weights that the study keeps of them.
    pub(crate) fn model(&self, members: &[TrialNumber], measured: Option<Measured>) -> Result<Model> {
        let header = &self.header;
        let provenance = Provenance {
            study: self.path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            seed: header.seed,
            data: header.data.clone(),
            data_fingerprint: header.data_fingerprint.clone(),
            study_version: header.version.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
        };
        let networks = members.iter().map(|member| self.network(*member)).collect::<Result<Vec<_>>>()?;
        let preparation = preparation(&normalizer(&self.data, &self.training));
        Ok(Model::new(networks, preparation, header.class_names.clone(), provenance, measured)?)
    }

    fn network(&self, trial: TrialNumber) -> Result<TrainedNetwork> {
        let missing = || format!("{}: trial {trial} has no stored weights", self.path.display());
        let architecture = self.reader.trial(trial)?.with_context(missing)?.record.architecture;
        let weights = self.reader.final_weights(trial)?.with_context(missing)?;
        let weights = Weights::from_safetensors(&weights)
            .map_err(|reason| anyhow::anyhow!("{}: the weights of trial {trial}: {reason}", self.path.display()))?;
        Ok(TrainedNetwork::new(architecture, self.training.batch_norm, self.header.input, weights, Some(trial.0))?)
    }

    /// The test images with the answers of `model` on `device`.
    pub(crate) fn scored(&self, model: &Model, device: &ComputeDevice) -> Result<ScoredImages> {
        let LabelledImages { pixels, labels, .. } = &self.data.test;
        let logits = logits(model, &self.data.test, device)?;
        Ok(ScoredImages { pixels: pixels.clone(), labels: labels.clone(), logits })
    }

    /// The share of the test images that `scored` has right.
    pub(crate) fn accuracy(&self, scored: &ScoredImages) -> f64 {
        metaqnn_export::accuracy(&scored.logits, &scored.labels, self.data.classes())
    }

    /// The mean of that share over the classes.
    pub(crate) fn balanced_accuracy(&self, scored: &ScoredImages) -> f64 {
        let classes = self.data.classes();
        let probabilities = metaqnn_export::probabilities(&scored.logits, classes);
        balanced_accuracy(metaqnn_export::predicted_classes(&probabilities, classes), &scored.labels)
    }

    /// Holds that the weights give the accuracy that was stored with them, but for images on the edge between two classes.
    pub(crate) fn check_score(&self, scored: &ScoredImages, measured: Measured) -> Result<()> {
        let again = self.accuracy(scored);
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
