//! A trained model: one network or several, and all that is needed to use them.

use std::path::Path;

use metaqnn_core::graph::{Graph, MapShape, NetworkOptions};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::wilson_interval;
use serde::{Deserialize, Serialize};

use crate::error::ExportError;
use crate::preparation::Preparation;
use crate::weights::{Tensor, Weights};

/// A network with its weights.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainedNetwork {
    architecture: Architecture,
    batch_norm: bool,
    trial: Option<u64>,
    graph: Graph,
    weights: Weights,
}

impl TrainedNetwork {
    /// The network of `architecture` for images of shape `input`, of the trial of that number.
    ///
    /// # Errors
    ///
    /// [`ExportError::Model`] where the architecture does not fit the input, [`ExportError::Weights`] naming the tensor that
    /// is missing, of another shape, not finite, or not of this network.
    pub fn new(
        architecture: Architecture,
        batch_norm: bool,
        input: MapShape,
        weights: Weights,
        trial: Option<u64>,
    ) -> Result<Self, ExportError> {
        // Dropout is not part of a trained network.
        let options = NetworkOptions { batch_norm, max_dropout: 0.0 };
        let graph = Graph::new(&architecture, input, options).map_err(ExportError::model)?;
        Self::of_graph(architecture, batch_norm, graph, weights, trial)
    }

    /// The same for a graph that may be another than the architecture's: for tests of operations that no layer has.
    ///
    /// # Errors
    ///
    /// [`ExportError::Weights`] as [`TrainedNetwork::new`].
    #[doc(hidden)]
    pub fn of_graph(
        architecture: Architecture,
        batch_norm: bool,
        graph: Graph,
        weights: Weights,
        trial: Option<u64>,
    ) -> Result<Self, ExportError> {
        let misfit = |reason| ExportError::Weights { architecture: architecture.to_string(), reason };
        weights.check(&graph).map_err(misfit)?;
        Ok(TrainedNetwork { architecture, batch_norm, trial, graph, weights })
    }

    /// Its architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// Whether batch normalization stands between each convolution or fully connected layer and its ReLU.
    pub fn batch_norm(&self) -> bool {
        self.batch_norm
    }

    /// Number of the trial that it comes from.
    pub fn trial(&self) -> Option<u64> {
        self.trial
    }

    /// Its layers.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// Its tensors.
    pub fn weights(&self) -> &Weights {
        &self.weights
    }
}

/// Where a model comes from.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Provenance {
    /// Name of the study's file.
    pub study: String,
    /// Seed of the study.
    pub seed: u64,
    /// The data set; of own data the name of the file or folder, without where it lay.
    pub data: String,
    /// Fingerprint of shape, labels and pixels of the data's splits.
    pub data_fingerprint: String,
    /// Version of the program that began the study.
    pub study_version: String,
    /// Version of the program that wrote the model.
    pub version: String,
}

/// What was measured on the test data, once, with these weights.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Measured {
    /// Share of the test images classified right.
    pub test_accuracy: f64,
    /// Number of test images.
    pub test_images: u64,
    /// Epochs trained, all networks together.
    pub epochs: u64,
    /// Seconds trained, all networks together.
    pub train_seconds: f64,
}

impl Measured {
    /// The 95 % confidence interval of the accuracy (Wilson's score interval).
    pub fn interval(&self) -> (f64, f64) {
        wilson_interval(self.test_accuracy, self.test_images)
    }
}

/// A model: images as they are stored in, probabilities of classes out.
///
/// Of several networks, an ensemble, the probabilities are the mean of the networks' softmax outputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Model {
    networks: Vec<TrainedNetwork>,
    preparation: Preparation,
    class_names: Vec<String>,
    provenance: Provenance,
    measured: Option<Measured>,
}

impl Model {
    /// A model of at least one network.
    ///
    /// # Errors
    ///
    /// [`ExportError::Model`] where there is no network, or shapes or numbers of classes differ.
    pub fn new(
        networks: Vec<TrainedNetwork>,
        preparation: Preparation,
        class_names: Vec<String>,
        provenance: Provenance,
        measured: Option<Measured>,
    ) -> Result<Self, ExportError> {
        preparation.check()?;
        if networks.is_empty() {
            return Err(ExportError::model("it has no network"));
        }
        for network in &networks {
            let (input, classes) = (network.graph.input(), network.graph.classes() as usize);
            if input != preparation.input {
                let expected = preparation.input;
                return Err(ExportError::model(format!("a network for {input}, images of {expected} (CxHxW)")));
            }
            if classes != class_names.len() {
                let names = class_names.len();
                return Err(ExportError::model(format!("a network with {classes} classes, {names} names of classes")));
            }
        }
        // Where the data lay says much of whoever trained it, and nothing to whoever gets it.
        let data = Path::new(&provenance.data).file_name().map(|name| name.to_string_lossy().into_owned());
        let provenance = Provenance { data: data.unwrap_or_else(|| provenance.data.clone()), ..provenance };
        Ok(Model { networks, preparation, class_names, provenance, measured })
    }

    /// The networks, one or more.
    pub fn networks(&self) -> &[TrainedNetwork] {
        &self.networks
    }

    /// What is done to images.
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    /// Names of the classes, in the order of the outputs.
    pub fn class_names(&self) -> &[String] {
        &self.class_names
    }

    /// Where it comes from.
    pub fn provenance(&self) -> &Provenance {
        &self.provenance
    }

    /// What was measured on the test data; `None` where it was not.
    pub fn measured(&self) -> Option<Measured> {
        self.measured
    }

    /// Trainable values of all networks.
    pub fn params(&self) -> u64 {
        self.networks.iter().map(|network| network.graph.params()).sum()
    }

    /// 2 × multiply-adds of all networks, for one image.
    pub fn flops(&self) -> u64 {
        self.networks.iter().map(|network| network.graph.flops()).sum()
    }

    /// All tensors: those of the networks with `network1.` and so on before their names, and the constants of the preparation.
    pub fn weights(&self) -> Weights {
        let mut all = Weights::default();
        for (index, network) in self.networks.iter().enumerate() {
            for (name, tensor) in network.weights.iter() {
                all.insert(format!("{}{name}", prefix(index)), tensor.clone());
            }
        }
        for (name, shape, values) in self.preparation.normalization.constants(self.preparation.input) {
            all.insert(format!("preparation.{name}"), Tensor { shape, values: values.to_vec() });
        }
        all
    }
}

/// What the names of a network's tensors begin with in a model, counted from 0.
pub(crate) fn prefix(network: usize) -> String {
    format!("network{}.", network + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_wilsons() {
        let measured = Measured { test_accuracy: 0.9, test_images: 100, epochs: 1, train_seconds: 1.0 };
        let (low, high) = measured.interval();
        // Values of statsmodels' proportion_confint(90, 100, method="wilson").
        assert!((low - 0.825_634_4).abs() < 1e-6, "{low}");
        assert!((high - 0.944_771_1).abs() < 1e-6, "{high}");
        let perfect = Measured { test_accuracy: 1.0, ..measured };
        assert!(perfect.interval().0 < 1.0);
        assert_eq!(perfect.interval().1, 1.0);
    }
}
