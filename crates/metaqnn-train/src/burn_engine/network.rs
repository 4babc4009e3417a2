//! A graph as a network of tensors, and its weights by name.

use burn::module::{Module, Param, ParamId, RunningState};
use burn::nn::conv::Conv2d;
use burn::nn::pool::{AvgPool2d, AvgPool2dConfig, MaxPool2d, MaxPool2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, PaddingConfig2d, Relu};
use burn::tensor::module::{batch_norm_train, conv2d, linear};
use burn::tensor::ops::ConvOptions;
use burn::tensor::{Device, Distribution, Tensor, TensorData};
use metaqnn_core::graph::{Graph, Node};
use metaqnn_core::operation::{
    AveragePool, BatchNorm as BatchNormOf, Convolution, Dropout as DropoutOf, Linear as LinearOf, MaxPool, Operation,
    TensorSpec,
};
use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::is_cpu;
use crate::weights::{Drawn, HostTensor, InitialWeights, Stored, WeightsError, WeightsStart, serialized, transposed};

/// A network: one layer for each operation of its [`Graph`], in order.
#[derive(Module, Debug)]
pub struct Network {
    layers: Vec<Layer>,
    /// Of each layer what its graph says.
    #[module(skip)]
    steps: Vec<Step>,
}

/// What the graph says of a layer.
#[derive(Clone, Debug)]
struct Step {
    /// Name of the node.
    name: String,
    tensors: Vec<TensorSpec>,
    /// Which values it takes: 0 for the images, then the outputs in order.
    inputs: Vec<usize>,
    /// How often its output is taken.
    readers: usize,
}

/// One operation; the variants are those of [`Operation`].
#[derive(Module, Debug)]
enum Layer {
    Convolution(Conv2d),
    BatchNorm(BatchNorm),
    Relu(Relu),
    MaxPool(MaxPool2d),
    AveragePool(AvgPool2d),
    Dropout(Dropout),
    Flatten(Flatten),
    Linear(Linear),
    GlobalAverage(GlobalAverage),
    Add(Add),
}

#[derive(Module, Debug)]
struct Dropout {
    probability: f64,
}

#[derive(Module, Debug)]
struct Flatten;

#[derive(Module, Debug)]
struct GlobalAverage;

#[derive(Module, Debug)]
struct Add;

/// What flows between layers.
#[derive(Clone, Debug)]
enum Activation {
    /// Feature maps, NCHW.
    Maps(Tensor<4>),
    /// Vectors, NC.
    Vectors(Tensor<2>),
}

impl Network {
    /// The network of `graph` on `device`, with fresh weights: Glorot uniform, ±√(6 / (fan_in + fan_out)), drawn from `rng`
    /// alone; biases 0; scale 1 and shift 0 of batch normalization.
    ///
    /// On an autodiff device the parameters require gradients.
    pub fn new<R: Rng + ?Sized>(graph: &Graph, device: &Device, rng: &mut R) -> Self {
        Self::drawn(graph, device, Drawn { rng, start: &WeightsStart::default() })
    }

    /// The same, with weights that are not all drawn.
    pub(super) fn drawn<R: Rng + ?Sized>(graph: &Graph, device: &Device, weights: Drawn<'_, R>) -> Self {
        let Ok(network) = Self::begin(graph, device, weights);
        network
    }

    /// The same with the weights in `bytes`, as [`Network::to_safetensors`] writes them.
    ///
    /// # Errors
    ///
    /// [`WeightsError`] names the tensor that is missing, of another shape or type, or not of this network.
    pub fn with_weights(graph: &Graph, device: &Device, bytes: &[u8]) -> Result<Self, WeightsError> {
        Self::begin(graph, device, Stored::new(bytes)?)
    }

    fn begin<W: InitialWeights>(graph: &Graph, device: &Device, mut weights: W) -> Result<Self, W::Error> {
        let nodes = graph.nodes();
        let layers = nodes.iter().map(|node| Layer::new(node, device, &mut weights));
        let layers = layers.collect::<Result<_, _>>()?;
        weights.end()?;
        let step = |(node, &readers): (&Node, &usize)| Step {
            name: node.name.clone(),
            tensors: node.operation.tensors(),
            inputs: node.inputs.iter().map(|input| input.value()).collect(),
            readers,
        };
        let steps = nodes.iter().zip(&graph.readers()[1..]).map(step).collect();
        Ok(Network { layers, steps })
    }

    /// A network without layers, the identity.
    pub(crate) fn empty() -> Self {
        Network { layers: Vec::new(), steps: Vec::new() }
    }

    /// Logits of shape (N, classes) of `images`, NCHW.
    ///
    /// Nothing is dropped out. On an autodiff device batch normalization takes the statistics of the batch, as in training.
    pub fn forward(&self, images: Tensor<4>) -> Tensor<2> {
        self.run(images, None, |_| ())
    }

    /// The same in training: dropout is drawn, on the CPU from `dropout`, on other devices from their own generator.
    /// On an autodiff device batch normalization takes the statistics of the batch and notes them.
    pub(crate) fn forward_in_training(&self, images: Tensor<4>, dropout: &mut ChaCha8Rng) -> Tensor<2> {
        self.run(images, Some(dropout), |_| ())
    }

    /// The same with `see` called with every output. A value is given back when nothing takes it any more.
    fn run(
        &self,
        images: Tensor<4>,
        mut dropout: Option<&mut ChaCha8Rng>,
        mut see: impl FnMut(&Activation),
    ) -> Tensor<2> {
        let images_readers = self.steps.iter().flat_map(|step| &step.inputs).filter(|&&input| input == 0).count();
        let mut values = vec![(Some(Activation::Maps(images)), images_readers)];
        for (layer, step) in self.layers.iter().zip(&self.steps) {
            let mut inputs = step.inputs.iter().filter_map(|&input| {
                let (value, left) = &mut values[input];
                *left -= 1;
                if *left == 0 { value.take() } else { value.clone() }
            });
            let Some(input) = inputs.next() else { continue };
            let other = inputs.next();
            let output = layer.forward(input, other, dropout.as_deref_mut());
            see(&output);
            values.push((Some(output), step.readers));
        }
        match values.pop() {
            Some((Some(last), _)) => last.flat(),
            // Every value is there until the last that takes it, and nothing takes the last.
            _ => unreachable!("a value was taken more often than it is read"),
        }
    }

    /// The output shape of every layer for `images`, NCHW: [N, C, H, W], after flattening [N, C].
    pub fn output_shapes(&self, images: Tensor<4>) -> Vec<Vec<usize>> {
        let mut shapes = Vec::with_capacity(self.layers.len());
        self.run(images, None, |value| {
            shapes.push(match value {
                Activation::Maps(maps) => maps.dims().to_vec(),
                Activation::Vectors(vectors) => vectors.dims().to_vec(),
            });
        });
        shapes
    }

    /// All weights and statistics as safetensors bytes, 32-bit floats.
    ///
    /// Names start with those of the graph's nodes: `conv1.weight` (OIHW), `conv1.bias`,
    /// `norm1.weight|bias|running_mean|running_var`, `fc1.weight` (outputs × inputs, as PyTorch has it), `gap.weight`, `softmax.weight`.
    ///
    /// # Errors
    ///
    /// When the format cannot hold them.
    pub fn to_safetensors(&self) -> Result<Vec<u8>, WeightsError> {
        serialized(&self.host_tensors())
    }

    /// The weights of all convolutions and linear layers but the last.
    pub(super) fn matrices(&self) -> Vec<ParamId> {
        let mut weights: Vec<ParamId> = self
            .layers
            .iter()
            .filter_map(|layer| match layer {
                Layer::Convolution(convolution) => Some(convolution.weight.id),
                Layer::Linear(linear) => Some(linear.weight.id),
                Layer::BatchNorm(_)
                | Layer::Relu(_)
                | Layer::MaxPool(_)
                | Layer::AveragePool(_)
                | Layer::Dropout(_)
                | Layer::Flatten(_)
                | Layer::GlobalAverage(_)
                | Layer::Add(_) => None,
            })
            .collect();
        weights.pop();
        weights
    }

    fn host_tensors(&self) -> Vec<HostTensor> {
        let layers = self.steps.iter().zip(&self.layers);
        let tensors = layers.flat_map(|(step, layer)| {
            let tensors = step.tensors.iter().zip(layer.values());
            tensors.map(|(tensor, values)| HostTensor::new(tensor.name(&step.name), tensor.shape.clone(), values))
        });
        tensors.collect()
    }
}

impl Activation {
    fn maps(self) -> Tensor<4> {
        match self {
            Activation::Maps(maps) => maps,
            // A graph has no operation on maps after flattening.
            Activation::Vectors(vectors) => {
                let [images, channels] = vectors.dims();
                vectors.reshape([images, channels, 1, 1])
            }
        }
    }

    fn flat(self) -> Tensor<2> {
        match self {
            Activation::Maps(maps) => maps.flatten(1, 3),
            Activation::Vectors(vectors) => vectors,
        }
    }

    fn each(self, maps: impl FnOnce(Tensor<4>) -> Tensor<4>, vectors: impl FnOnce(Tensor<2>) -> Tensor<2>) -> Self {
        match self {
            Activation::Maps(value) => Activation::Maps(maps(value)),
            Activation::Vectors(value) => Activation::Vectors(vectors(value)),
        }
    }
}

impl Layer {
    fn new<W: InitialWeights>(node: &Node, device: &Device, weights: &mut W) -> Result<Self, W::Error> {
        let tensors = node.operation.tensors();
        let tensors: Vec<Vec<f32>> =
            tensors.iter().map(|tensor| weights.tensor(&node.name, tensor)).collect::<Result<_, _>>()?;
        let mut tensors = tensors.into_iter();
        // There are as many as the operation says, in its order.
        let mut next = || tensors.next().unwrap_or_default();
        Ok(match node.operation {
            Operation::Convolution(convolution) => {
                let Convolution { in_channels, out_channels, kernel_size, stride, bias } = convolution;
                let [inputs, outputs, side, stride] = [in_channels, out_channels, kernel_size, stride].map(size);
                let padding = size(convolution.padding());
                Layer::Convolution(Conv2d {
                    weight: parameter(next(), [outputs, inputs, side, side], device),
                    bias: bias.then(|| vector(next(), device)),
                    stride: [stride; 2],
                    kernel_size: [side; 2],
                    dilation: [1; 2],
                    groups: 1,
                    padding: PaddingConfig2d::Explicit(padding, padding, padding, padding),
                })
            }
            Operation::BatchNorm(BatchNormOf { channels }) => {
                let shape = [size(channels)];
                let mut norm = BatchNormConfig::new(shape[0]).with_epsilon(BatchNormOf::EPSILON).init(device);
                norm.gamma = vector(next(), device);
                norm.beta = vector(next(), device);
                // They are no parameters: an autodiff device must not follow them.
                let device = norm.gamma.val().device();
                let mut statistics = || RunningState::new(Tensor::from_data(TensorData::new(next(), shape), &device));
                norm.running_mean = statistics();
                norm.running_var = statistics();
                Layer::BatchNorm(norm)
            }
            Operation::Relu(_) => Layer::Relu(Relu::new()),
            Operation::MaxPool(MaxPool { kernel_size, stride }) => {
                Layer::MaxPool(MaxPool2dConfig::new([size(kernel_size); 2]).with_strides([size(stride); 2]).init())
            }
            Operation::AveragePool(AveragePool { kernel_size, stride }) => {
                let config = AvgPool2dConfig::new([size(kernel_size); 2]).with_strides([size(stride); 2]);
                Layer::AveragePool(config.init())
            }
            Operation::Dropout(DropoutOf { probability }) => Layer::Dropout(Dropout { probability }),
            Operation::Flatten(_) => Layer::Flatten(Flatten),
            Operation::Linear(LinearOf { inputs, outputs, bias }) => {
                let [inputs, outputs] = [inputs, outputs].map(size);
                // Burn has inputs × outputs.
                let values = transposed(&next(), outputs, inputs);
                Layer::Linear(Linear {
                    weight: parameter(values, [inputs, outputs], device),
                    bias: bias.then(|| vector(next(), device)),
                })
            }
            Operation::GlobalAverage(_) => Layer::GlobalAverage(GlobalAverage),
            Operation::Add(_) => Layer::Add(Add),
        })
    }

    /// Values of its tensors, in the order of the operation's.
    fn values(&self) -> Vec<Vec<f32>> {
        let with_bias = |weight, bias: &Option<Param<Tensor<1>>>| {
            std::iter::once(weight).chain(bias.as_ref().map(|bias| host(bias.val()))).collect()
        };
        match self {
            Layer::Convolution(layer) => with_bias(host(layer.weight.val()), &layer.bias),
            // Burn has inputs × outputs.
            Layer::Linear(layer) => with_bias(host(layer.weight.val().transpose()), &layer.bias),
            Layer::BatchNorm(layer) => {
                let statistics = [&layer.running_mean, &layer.running_var].map(|values| host(values.value_sync()));
                [&layer.gamma, &layer.beta].map(|values| host(values.val())).into_iter().chain(statistics).collect()
            }
            Layer::Relu(_)
            | Layer::MaxPool(_)
            | Layer::AveragePool(_)
            | Layer::Dropout(_)
            | Layer::Flatten(_)
            | Layer::GlobalAverage(_)
            | Layer::Add(_) => Vec::new(),
        }
    }

    /// The output for `input`, and for `other` where the operation takes two.
    fn forward(&self, input: Activation, other: Option<Activation>, dropout: Option<&mut ChaCha8Rng>) -> Activation {
        match self {
            Layer::Convolution(layer) => Activation::Maps(convolve(layer, input.maps())),
            Layer::BatchNorm(layer) => input.each(|maps| normalize(layer, maps), |vectors| normalize(layer, vectors)),
            Layer::Relu(layer) => input.each(|maps| layer.forward(maps), |vectors| layer.forward(vectors)),
            Layer::MaxPool(layer) => Activation::Maps(layer.forward(input.maps())),
            Layer::AveragePool(layer) => Activation::Maps(layer.forward(input.maps())),
            Layer::Dropout(layer) => match (dropout, input) {
                (None, input) => input,
                (Some(rng), Activation::Maps(maps)) => Activation::Maps(drop_out(maps, layer.probability, rng)),
                (Some(rng), Activation::Vectors(vectors)) => {
                    Activation::Vectors(drop_out(vectors, layer.probability, rng))
                }
            },
            Layer::Flatten(_) => Activation::Vectors(input.flat()),
            Layer::Linear(layer) => Activation::Vectors(linear(
                input.flat(),
                layer.weight.val(),
                layer.bias.as_ref().map(|bias| bias.val()),
            )),
            Layer::GlobalAverage(_) => {
                let maps = input.maps();
                let [images, channels, height, width] = maps.dims();
                let maps: Tensor<3> = maps.reshape([images, channels, height * width]);
                Activation::Vectors(maps.mean_dim(2).reshape([images, channels]))
            }
            Layer::Add(_) => match (input, other) {
                (Activation::Maps(one), Some(Activation::Maps(other))) => Activation::Maps(one + other),
                (input, other) => {
                    let one = input.flat();
                    Activation::Vectors(other.map_or(one.clone(), |other| one + other.flat()))
                }
            },
        }
    }
}

/// Convolution of `input`, NCHW.
fn convolve(layer: &Conv2d, input: Tensor<4>) -> Tensor<4> {
    let padding = layer.kernel_size.map(|side| (side - 1) / 2);
    let options = ConvOptions::new(layer.stride, padding, layer.dilation, layer.groups);
    conv2d(input, layer.weight.val(), layer.bias.as_ref().map(|bias| bias.val()), options)
}

/// Batch normalization over N (and H, W), axis 1 being the channels.
///
/// Unlike Burn's own layer the running variance is the unbiased one, as PyTorch has it.
fn normalize<const D: usize>(layer: &BatchNorm, input: Tensor<D>) -> Tensor<D> {
    let [channels] = layer.gamma.dims();
    if !input.device().is_autodiff() {
        // The four steps of normalization as one product and one sum.
        let scale = layer.gamma.val() / (layer.running_var.value_sync() + layer.epsilon).sqrt();
        let shift = layer.beta.val() - layer.running_mean.value_sync() * scale.clone();
        let mut shape = [1; D];
        shape[1] = channels;
        return input * scale.reshape(shape) + shift.reshape(shape);
    }
    let samples = input.dims().iter().product::<usize>() / channels;
    let result = batch_norm_train(input, layer.gamma.val(), layer.beta.val(), layer.epsilon);
    let unbiased = samples as f64 / (samples.max(2) - 1) as f64;
    let keep = 1.0 - layer.momentum;
    let mean = layer.running_mean.value_sync() * keep + result.mean.detach() * layer.momentum;
    let variance = layer.running_var.value_sync() * keep + result.variance.detach() * (layer.momentum * unbiased);
    layer.running_mean.update(mean.detach());
    layer.running_var.update(variance.detach());
    result.output
}

/// Each value set to zero with the given probability, or else divided by the probability of keeping it.
fn drop_out<const D: usize>(input: Tensor<D>, probability: f64, rng: &mut ChaCha8Rng) -> Tensor<D> {
    let device = input.device();
    let mask = if is_cpu(&device) {
        // Many times faster than Burn's own, and of a generator that nobody else in the process draws from.
        let mask = dropout_mask(input.dims().iter().product(), probability, rng);
        Tensor::from_data(TensorData::new(mask, input.dims()), &device)
    } else {
        let kept = 1.0 - probability;
        input.random_like(Distribution::Bernoulli(kept)) * (1.0 / kept)
    };
    input * mask
}

/// `n` factors, 0 with the given probability, else 1 / (1 − probability), from 16 random bits each.
fn dropout_mask(n: usize, probability: f64, rng: &mut ChaCha8Rng) -> Vec<f32> {
    const BITS: f64 = 65_536.0;
    let kept = ((1.0 - probability) * BITS).round().max(1.0);
    let factor = (BITS / kept) as f32;
    let kept = kept as u32;
    let mut mask = Vec::with_capacity(n);
    let mut bytes = [0; 4096];
    while mask.len() < n {
        rng.fill_bytes(&mut bytes);
        let (draws, _) = bytes.as_chunks::<2>();
        let left = n - mask.len();
        mask.extend(
            draws.iter().take(left).map(|&draw| if u32::from(u16::from_le_bytes(draw)) < kept { factor } else { 0.0 }),
        );
    }
    mask
}

fn parameter<const D: usize>(values: Vec<f32>, shape: [usize; D], device: &Device) -> Param<Tensor<D>> {
    Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), device))
}

fn vector(values: Vec<f32>, device: &Device) -> Param<Tensor<1>> {
    let shape = [values.len()];
    parameter(values, shape, device)
}

fn size(n: u32) -> usize {
    n as usize
}

/// Values of a tensor.
fn host<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.without_autodiff().into_data_as::<f32>().iter::<f32>().collect()
}

#[cfg(test)]
mod tests {
    use rand_chacha::rand_core::SeedableRng;

    use super::*;

    #[test]
    fn dropout_keeps_the_mean_and_drops_its_share() {
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        for probability in [0.0, 0.1, 0.5, 0.9] {
            let n = 100_003;
            let mask = dropout_mask(n, probability, &mut rng);
            assert_eq!(mask.len(), n);
            let dropped = mask.iter().filter(|&&factor| factor == 0.0).count() as f64 / n as f64;
            assert!((dropped - probability).abs() < 0.006, "{dropped} of {probability}");
            let mean = mask.iter().map(|&factor| f64::from(factor)).sum::<f64>() / n as f64;
            assert!((mean - 1.0).abs() < 0.04, "{mean} at {probability}");
        }
    }
}
