//! Muon on a device of Burn's: the same step as that of [`metaqnn_kernels::muon`].
//!
//! Burn's own takes tensors of two dimensions alone and does not keep the norm of the weights.

use burn::optim::momentum::{Momentum, MomentumConfig, MomentumState};
use burn::optim::{LearningRate, Optimizer};
use burn::tensor::{Device, Tensor};
use metaqnn_kernels::muon::{LEAST_NORM, QUINTIC};

use crate::weights::glorot_norm;

/// Steps of orthogonalized momentum.
#[derive(Clone)]
pub(super) struct Muon {
    momentum: Momentum,
    rate: f64,
    iterations: u32,
}

impl Muon {
    /// The settings' numbers.
    pub(super) fn new(rate: f64, momentum: f64, iterations: u32) -> Self {
        let momentum = MomentumConfig { momentum, dampening: 0.0, nesterov: true };
        Muon { momentum: Momentum::new(&momentum), rate, iterations }
    }

    /// The matrix with its singular values brought near 1.
    fn orthogonalized(&self, x: Tensor<2>) -> Tensor<2> {
        let [rows, columns] = x.dims();
        // With the long side as rows the product with itself is small.
        let mut x = if rows < columns { x.transpose() } else { x };
        let length = norm(x.clone());
        x = x / length;
        let [a, b, c] = QUINTIC;
        for _ in 0..self.iterations {
            let gram = x.clone().transpose().matmul(x.clone());
            let polynomial = gram.clone() * b + gram.clone().matmul(gram) * c;
            x = x.clone() * a + x.matmul(polynomial);
        }
        if rows < columns { x.transpose() } else { x }
    }
}

impl Optimizer for Muon {
    type State<const D: usize> = MomentumState<D>;

    fn step<const D: usize>(
        &self,
        learning_rate: LearningRate,
        tensor: Tensor<D>,
        gradient: Tensor<D>,
        state: Option<Self::State<D>>,
    ) -> (Tensor<D>, Option<Self::State<D>>) {
        let (gradient, state) = self.momentum.transform(gradient, state);
        let shape = tensor.dims();
        let matrix = [shape[0], shape[1..].iter().product()];
        let direction = self.orthogonalized(gradient.reshape(matrix));
        let wanted = glorot_norm(shape[1], shape[0]);
        let rate = self.rate * learning_rate * f64::from(wanted) / (matrix[0].min(matrix[1]) as f64).sqrt();
        let weights = tensor.reshape(matrix);
        let length = norm(weights.clone());
        let weights = weights / length * wanted - direction * rate;
        (weights.reshape(shape), Some(state))
    }

    fn to_device<const D: usize>(state: Self::State<D>, device: &Device) -> Self::State<D> {
        state.to_device(device)
    }
}

/// The Frobenius norm, of shape 1 × 1.
fn norm(matrix: Tensor<2>) -> Tensor<2> {
    matrix.powi_scalar(2).sum().sqrt().reshape([1, 1]) + LEAST_NORM
}
