//! Named tensors, and which of them a network has.

use std::collections::BTreeMap;

use metaqnn_core::graph::Graph;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

/// A tensor of 32-bit floats in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Tensor {
    /// Its dimensions.
    pub shape: Vec<usize>,
    /// Its values, as many as the product of the dimensions.
    pub values: Vec<f32>,
}

impl Tensor {
    /// The values as little-endian bytes.
    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.values.iter().flat_map(|value| value.to_le_bytes()).collect()
    }
}

/// Tensors by name.
///
/// The names of a network start with those of its graph's nodes: `conv1.weight` (OIHW), `conv1.bias` (O),
/// `norm1.weight|bias|running_mean|running_var` (C), `fc1.weight` and `softmax.weight` (outputs × inputs), `gap.weight` (OIHW).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    tensors: BTreeMap<String, Tensor>,
}

impl Weights {
    /// The tensors in bytes of the format safetensors.
    ///
    /// # Errors
    ///
    /// Says in words what is wrong with the bytes, or names the tensor that is not one of 32-bit floats.
    pub fn from_safetensors(bytes: &[u8]) -> Result<Self, String> {
        let read = SafeTensors::deserialize(bytes).map_err(|error| in_words(&error))?;
        let mut tensors = BTreeMap::new();
        for (name, view) in read.iter() {
            if view.dtype() != Dtype::F32 {
                return Err(format!("tensor {name}: expected F32, found {:?}", view.dtype()));
            }
            let (values, _) = view.data().as_chunks::<4>();
            let values = values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect();
            tensors.insert(name.to_owned(), Tensor { shape: view.shape().to_vec(), values });
        }
        Ok(Weights { tensors })
    }

    /// The tensors as bytes of the format safetensors.
    ///
    /// # Errors
    ///
    /// Says in words why the format cannot hold them.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, String> {
        let bytes: Vec<Vec<u8>> = self.tensors.values().map(Tensor::bytes).collect();
        let views = self
            .tensors
            .iter()
            .zip(&bytes)
            .map(|((name, tensor), bytes)| {
                Ok((name.as_str(), TensorView::new(Dtype::F32, tensor.shape.clone(), bytes)?))
            })
            .collect::<Result<Vec<_>, SafeTensorError>>();
        views.and_then(|views| safetensors::serialize(views, None)).map_err(|error| in_words(&error))
    }

    /// Adds a tensor, or replaces the one of that name.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) {
        self.tensors.insert(name.into(), tensor);
    }

    /// The tensor of that name.
    pub fn get(&self, name: &str) -> Option<&Tensor> {
        self.tensors.get(name)
    }

    /// All tensors, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.tensors.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Takes out the tensors whose names begin with `prefix`, and takes it off their names.
    pub(crate) fn split_off(&mut self, prefix: &str) -> Weights {
        let (taken, left) =
            std::mem::take(&mut self.tensors).into_iter().partition(|(name, _)| name.starts_with(prefix));
        self.tensors = left;
        let taken: BTreeMap<String, Tensor> = taken;
        Weights { tensors: taken.into_iter().map(|(name, tensor)| (name[prefix.len()..].to_owned(), tensor)).collect() }
    }

    /// Whether these are the tensors of `graph`, no more and no fewer, of its shapes, and finite.
    pub(crate) fn check(&self, graph: &Graph) -> Result<(), String> {
        let wanted = weight_shapes(graph);
        for (name, shape) in &wanted {
            let tensor = self.get(name).ok_or_else(|| format!("there is no tensor {name}"))?;
            if tensor.shape != *shape {
                return Err(format!("tensor {name} has shape {:?}, expected {shape:?}", tensor.shape));
            }
            if let Some(value) = tensor.values.iter().find(|value| !value.is_finite()) {
                return Err(format!("tensor {name} holds {value}"));
            }
            if name.ends_with(".running_var")
                && let Some(value) = tensor.values.iter().find(|&&value| value < 0.0)
            {
                return Err(format!("tensor {name} holds a variance of {value}"));
            }
        }
        match self.tensors.keys().find(|name| !wanted.iter().any(|(wanted, _)| wanted == *name)) {
            Some(name) => Err(format!("tensor {name} does not belong to it")),
            None => Ok(()),
        }
    }
}

/// Names and shapes of the tensors of a network, in the order of its layers.
pub fn weight_shapes(graph: &Graph) -> Vec<(String, Vec<usize>)> {
    let tensors = graph
        .nodes()
        .iter()
        .flat_map(|node| node.operation.tensors().into_iter().map(|tensor| (tensor.name(&node.name), tensor.shape)));
    tensors.collect()
}

/// What the format's reader found, in words of users.
pub(crate) fn in_words(error: &SafeTensorError) -> String {
    match error {
        SafeTensorError::MetadataIncompleteBuffer => {
            "it was cut off, or bytes were added: its size is not the one that its header says".into()
        }
        SafeTensorError::HeaderTooSmall | SafeTensorError::InvalidHeaderLength => {
            "it was cut off within its header".into()
        }
        error => format!("not in safetensors format: {error}"),
    }
}
