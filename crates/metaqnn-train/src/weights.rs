//! The tensors of a network by name: drawn, read and written.

use std::convert::Infallible;

use metaqnn_core::operation::{Init, TensorSpec};
use rand::Rng;
use safetensors::tensor::{Dtype, TensorView};
use safetensors::{SafeTensorError, SafeTensors};

/// Why bytes are not the weights of a network.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// Not in safetensors format.
    #[error("the weights are not in safetensors format: {0}")]
    Format(#[from] SafeTensorError),
    /// A tensor has another shape or type than the network's.
    #[error("tensor {name}: expected F32 of shape {expected:?}, found {found}")]
    Mismatch {
        /// Name of the tensor.
        name: String,
        /// Shape that the network has.
        expected: Vec<usize>,
        /// Type and shape that were found.
        found: String,
    },
    /// A tensor that the network does not have.
    #[error("tensor {name} does not belong to the network")]
    Unexpected {
        /// Name of the tensor.
        name: String,
    },
}

/// A named tensor on the host, as PyTorch shapes it.
pub(crate) struct HostTensor {
    name: String,
    shape: Vec<usize>,
    bytes: Vec<u8>,
}

impl HostTensor {
    pub(crate) fn new(name: String, shape: Vec<usize>, values: impl IntoIterator<Item = f32>) -> Self {
        HostTensor { name, shape, bytes: values.into_iter().flat_map(f32::to_le_bytes).collect() }
    }
}

/// The tensors as safetensors bytes.
pub(crate) fn serialized(tensors: &[HostTensor]) -> Result<Vec<u8>, WeightsError> {
    let views = tensors
        .iter()
        .map(|tensor| {
            TensorView::new(Dtype::F32, tensor.shape.clone(), &tensor.bytes).map(|view| (tensor.name.as_str(), view))
        })
        .collect::<Result<Vec<_>, _>>()?;
    Ok(safetensors::serialize(views, None)?)
}

/// Gives a network's tensors one after the other, in the order of its layers.
///
/// No more than one of them is held at a time, so that a network in training starts with little more memory than it trains with.
pub(crate) trait InitialWeights {
    /// Why there is no such tensor.
    type Error;

    /// This tensor of the node of that name.
    fn tensor(&mut self, node: &str, tensor: &TensorSpec) -> Result<Vec<f32>, Self::Error>;

    /// Called after the last tensor was taken.
    fn end(&self) -> Result<(), Self::Error>;
}

/// Fresh ones, drawn from a generator where they are not all the same and have no other start.
pub(crate) struct Drawn<'a, R: ?Sized> {
    /// The generator.
    pub(crate) rng: &'a mut R,
    /// What is not drawn.
    pub(crate) start: &'a WeightsStart,
}

/// Weights that are not drawn at random.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct WeightsStart {
    /// Whether every convolution but the first begins as the identity on as many channels as there are.
    pub(crate) identity: bool,
    /// The first filters of the first convolution, each of dimensions I·kernel_size².
    pub(crate) first_filters: Vec<f32>,
}

impl WeightsStart {
    /// Puts what is not drawn into the weights of a convolution.
    fn apply(&self, node: &str, shape: &[usize], values: &mut [f32]) {
        let &[_, inputs, height, width] = shape else { return };
        if node == "conv1" {
            let given = self.first_filters.len().min(values.len());
            values[..given].copy_from_slice(&self.first_filters[..given]);
        } else if self.identity && node.starts_with("conv") {
            let taps = height * width;
            for (channel, filter) in values.chunks_exact_mut(inputs * taps).take(inputs).enumerate() {
                filter.fill(0.0);
                filter[channel * taps + taps / 2] = 1.0;
            }
        }
    }
}

impl<R: Rng + ?Sized> InitialWeights for Drawn<'_, R> {
    type Error = Infallible;

    fn tensor(&mut self, node: &str, tensor: &TensorSpec) -> Result<Vec<f32>, Infallible> {
        let n = tensor.shape.iter().product();
        Ok(match (tensor.init, tensor.shape.as_slice()) {
            (Init::Zeros, _) => vec![0.0; n],
            (Init::Ones, _) => vec![1.0; n],
            // Of matrices the values are drawn input by input, so that a seed gives the weights that it always gave.
            (Init::Glorot { fan_in, fan_out }, &[outputs, inputs]) => {
                transposed(&glorot_uniform(n, fan_in, fan_out, self.rng), inputs, outputs)
            }
            (Init::Glorot { fan_in, fan_out }, shape) => {
                let mut values = glorot_uniform(n, fan_in, fan_out, self.rng);
                // Drawn all the same, so that what is drawn next does not depend on the start.
                self.start.apply(node, shape, &mut values);
                values
            }
        })
    }

    fn end(&self) -> Result<(), Infallible> {
        Ok(())
    }
}

/// Those of a trained network.
pub(crate) struct Stored<'a> {
    tensors: SafeTensors<'a>,
    taken: Vec<String>,
}

impl<'a> Stored<'a> {
    /// Those in `bytes`, as [`Learner::to_safetensors`](crate::Learner::to_safetensors) writes them.
    pub(crate) fn new(bytes: &'a [u8]) -> Result<Self, WeightsError> {
        Ok(Stored { tensors: SafeTensors::deserialize(bytes)?, taken: Vec::new() })
    }
}

impl InitialWeights for Stored<'_> {
    type Error = WeightsError;

    fn tensor(&mut self, node: &str, tensor: &TensorSpec) -> Result<Vec<f32>, WeightsError> {
        let name = tensor.name(node);
        let view = self.tensors.tensor(&name)?;
        if view.dtype() != Dtype::F32 || view.shape() != tensor.shape {
            let found = format!("{:?} of shape {:?}", view.dtype(), view.shape());
            return Err(WeightsError::Mismatch { name, expected: tensor.shape.clone(), found });
        }
        self.taken.push(name);
        let (values, _) = view.data().as_chunks::<4>();
        Ok(values.iter().map(|&bytes| f32::from_le_bytes(bytes)).collect())
    }

    /// An error where the file has a tensor that was not taken.
    fn end(&self) -> Result<(), WeightsError> {
        match self.tensors.names().into_iter().find(|name| !self.taken.iter().any(|taken| taken == name)) {
            Some(name) => Err(WeightsError::Unexpected { name: name.to_owned() }),
            None => Ok(()),
        }
    }
}

/// `n` values, uniform in ±√(6 / (fan_in + fan_out)) (Glorot and Bengio, 2010, equation 16), with 24 random bits each.
fn glorot_uniform<R: Rng + ?Sized>(n: usize, fan_in: usize, fan_out: usize, rng: &mut R) -> Vec<f32> {
    let bound = (6.0 / (fan_in + fan_out) as f64).sqrt();
    (0..n).map(|_| (bound * (f64::from(rng.next_u32() >> 8) / f64::from(1 << 23) - 1.0)) as f32).collect()
}

/// The Frobenius norm to be expected of such weights, whatever the kernel size, for linear layers and convolutions alike: √(2·I·O / (I + O)).
pub(crate) fn glorot_norm(inputs: usize, outputs: usize) -> f32 {
    let [inputs, outputs] = [inputs, outputs].map(|n| n as f64);
    (2.0 * inputs * outputs / (inputs + outputs)).sqrt() as f32
}

/// The transpose of a matrix of `rows` × `columns`.
pub(crate) fn transposed(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    (0..columns).flat_map(|column| (0..rows).map(move |row| values[row * columns + column])).collect()
}

#[cfg(test)]
mod tests {
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    fn weight(shape: &[usize]) -> TensorSpec {
        let taps: usize = shape[2..].iter().product();
        let init = Init::Glorot { fan_in: shape[1] * taps, fan_out: shape[0] * taps };
        TensorSpec { field: "weight", shape: shape.to_vec(), init, trainable: true }
    }

    #[test]
    fn a_start_takes_the_place_of_what_is_drawn_and_of_nothing_else() {
        let tensor = |start: &WeightsStart, node: &str, shape: &[usize]| {
            let mut rng = ChaCha8Rng::seed_from_u64(1);
            let Ok(values) = Drawn { rng: &mut rng, start }.tensor(node, &weight(shape));
            (values, rng.next_u64())
        };
        let drawn = WeightsStart::default();
        let start = WeightsStart { identity: true, first_filters: vec![7.0; 2 * 27] };
        let (plain, after) = tensor(&drawn, "conv1", &[4, 3, 3, 3]);
        let (first, after_first) = tensor(&start, "conv1", &[4, 3, 3, 3]);
        assert_eq!((&first[..54], &first[54..]), (&[7.0; 54][..], &plain[54..]));
        assert_eq!(after, after_first, "what is drawn next must not depend on the start");

        let (plain, _) = tensor(&drawn, "conv2", &[3, 2, 3, 3]);
        let (second, _) = tensor(&start, "conv2", &[3, 2, 3, 3]);
        let ones: Vec<usize> = (0..36).filter(|&i| second[i] != 0.0).collect();
        assert_eq!((ones, second[4], second[31]), (vec![4, 31], 1.0, 1.0));
        assert_eq!(&second[36..], &plain[36..]);
        for name in ["gap", "fc1"] {
            assert_eq!(tensor(&drawn, name, &[3, 4]), tensor(&start, name, &[3, 4]));
        }
    }

    #[test]
    fn the_norm_of_drawn_weights_is_the_expected_one() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let mut drawn = Drawn { rng: &mut rng, start: &WeightsStart::default() };
        for (shape, inputs, outputs) in [(&[64, 32, 3, 3][..], 32, 64), (&[40, 400][..], 400, 40)] {
            let Ok(values) = drawn.tensor("fc1", &weight(shape));
            let norm = values.iter().map(|value| value * value).sum::<f32>().sqrt();
            assert!((norm / glorot_norm(inputs, outputs) - 1.0).abs() < 0.02, "{shape:?}: {norm}");
        }
    }
}
