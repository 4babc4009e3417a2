//! An ONNX file run as a user would run it, by the runtime [rten](https://docs.rs/rten).

use std::path::Path;

use metaqnn_core::graph::MapShape;
use rten::{NodeId, ValueView};
use rten_tensor::prelude::*;
use rten_tensor::{NdTensorView, Tensor};

use crate::answers::Logits;
use crate::error::ExportError;
use crate::model::Model;
use crate::onnx::{INPUT, PROBABILITIES, logits_name};

/// Images that go through at a time.
const BATCH: usize = 100;

/// A loaded ONNX file.
pub struct OnnxRuntime {
    loaded: rten::Model,
    input: NodeId,
    probabilities: NodeId,
    logits: Vec<NodeId>,
    shape: MapShape,
    classes: usize,
}

/// What the file answers.
#[derive(Clone, Debug, PartialEq)]
pub struct OnnxAnswers {
    /// Images × classes.
    pub probabilities: Vec<f32>,
    /// Those of each network.
    pub logits: Logits,
}

impl OnnxRuntime {
    /// Loads the file that was written of `model`.
    ///
    /// # Errors
    ///
    /// [`ExportError::Runtime`] where it cannot be loaded, or lacks an input or output.
    pub fn load(file: &Path, model: &Model) -> Result<Self, ExportError> {
        Self::of(rten::Model::load_file(file).map_err(failed)?, model)
    }

    /// The same with the file's bytes.
    pub(crate) fn from_bytes(bytes: Vec<u8>, model: &Model) -> Result<Self, ExportError> {
        Self::of(rten::Model::load(bytes).map_err(failed)?, model)
    }

    fn of(loaded: rten::Model, model: &Model) -> Result<Self, ExportError> {
        let node = |name: &str| loaded.node_id(name).map_err(failed);
        let logits = (0..model.networks().len()).map(|index| node(&logits_name(model, index)));
        let logits = logits.collect::<Result<Vec<_>, _>>()?;
        let (input, probabilities) = (node(INPUT)?, node(PROBABILITIES)?);
        let (shape, classes) = (model.preparation().input, model.class_names().len());
        Ok(OnnxRuntime { loaded, input, probabilities, logits, shape, classes })
    }

    /// Answers for images: pixels as stored, NCHW.
    ///
    /// # Errors
    ///
    /// [`ExportError::Runtime`] where the file cannot be run or answers in another shape.
    pub fn answers(&self, pixels: &[u8]) -> Result<OnnxAnswers, ExportError> {
        let mut answers = OnnxAnswers { probabilities: Vec::new(), logits: vec![Vec::new(); self.logits.len()] };
        let [channels, height, width] = [self.shape.channels, self.shape.height, self.shape.width].map(|n| n as usize);
        let size = channels * height * width;
        let outputs: Vec<NodeId> = std::iter::once(self.probabilities).chain(self.logits.iter().copied()).collect();
        for batch in pixels.chunks(BATCH * size) {
            let images = batch.len() / size;
            let values: Vec<f32> = batch.iter().copied().map(f32::from).collect();
            let input = NdTensorView::from_data([images, channels, height, width], values.as_slice());
            let input = ValueView::from(input.as_dyn());
            let results = self.loaded.run(vec![(self.input, input.into())], &outputs, None).map_err(failed)?;
            let parts = std::iter::once(&mut answers.probabilities).chain(&mut answers.logits);
            for (to, result) in parts.zip(results) {
                let result: Tensor<f32> = result.try_into().map_err(failed)?;
                if result.shape() != [images, self.classes] {
                    return Err(failed(format!("an output of shape {:?}", result.shape())));
                }
                to.extend(result.to_vec());
            }
        }
        Ok(answers)
    }
}

fn failed(reason: impl ToString) -> ExportError {
    ExportError::Runtime { format: "onnx", reason: reason.to_string() }
}
