//! The optimizer: what it keeps from step to step, and which kernel steps which parameters.

use std::ops::Range;

use metaqnn_core::settings::{Optimizer, TrainingSettings};
use metaqnn_kernels::muon::{Muon, MuonWorkspace, muon_step};
use metaqnn_kernels::optimizer::{Adam, Momentum, adam_step, momentum_step};
use rayon::prelude::*;

use super::parameters::Matrix;

/// An optimizer over all parameters of a network.
pub(super) struct CpuOptimizer {
    optimizer: Optimizer,
    weight_decay: f64,
    /// Steps made.
    pub(super) steps: u32,
    /// Of Adam the mean of the gradient; else the velocity.
    pub(super) means: Vec<f32>,
    /// Of Adam the mean of its square; else empty.
    pub(super) squares: Vec<f32>,
    /// The parameters that Muon steps, in their order; of other optimizers none.
    matrices: Vec<(Matrix, MuonWorkspace)>,
}

impl CpuOptimizer {
    /// The optimizer of the settings for so many parameters, among them these matrices.
    pub(super) fn new(settings: &TrainingSettings, parameters: usize, matrices: Vec<Matrix>) -> Self {
        let (squares, matrices) = match settings.optimizer {
            Optimizer::Adam { .. } => (parameters, Vec::new()),
            Optimizer::Muon { .. } => (parameters, matrices),
            Optimizer::Sgd { .. } => (0, Vec::new()),
        };
        CpuOptimizer {
            optimizer: settings.optimizer,
            weight_decay: settings.weight_decay,
            steps: 0,
            means: vec![0.0; parameters],
            squares: vec![0.0; squares],
            matrices: matrices.into_iter().map(|matrix| (matrix, MuonWorkspace::default())).collect(),
        }
    }

    /// One step down the gradient.
    pub(super) fn step(&mut self, learning_rate: f64, parameters: &mut [f32], gradient: &[f32]) {
        self.steps += 1;
        let (rate, weight_decay) = (learning_rate as f32, self.weight_decay as f32);
        let step = self.steps;
        let adam = |beta_1: f64, beta_2: f64, epsilon: f64| Adam {
            learning_rate: rate,
            beta_1: beta_1 as f32,
            beta_2: beta_2 as f32,
            epsilon: epsilon as f32,
            weight_decay,
            step,
        };
        match self.optimizer {
            Optimizer::Adam { beta_1, beta_2, epsilon } => {
                adam_step(adam(beta_1, beta_2, epsilon), parameters, gradient, &mut self.means, &mut self.squares);
            }
            Optimizer::Sgd { momentum, nesterov } => {
                let settings = Momentum { learning_rate: rate, momentum: momentum as f32, nesterov, weight_decay };
                momentum_step(settings, parameters, gradient, &mut self.means);
            }
            Optimizer::Muon { rate, momentum, iterations, beta_1, beta_2, epsilon } => {
                let adam = adam(beta_1, beta_2, epsilon);
                for others in self.others(parameters.len()) {
                    let (means, squares) = (&mut self.means[others.clone()], &mut self.squares[others.clone()]);
                    adam_step(adam, &mut parameters[others.clone()], &gradient[others], means, squares);
                }
                let muon = |norm: f32, rank: usize| Muon {
                    learning_rate: (rate * learning_rate) as f32,
                    momentum: momentum as f32,
                    iterations,
                    norm,
                    rank,
                };
                self.step_matrices(muon, parameters, gradient);
            }
        }
    }

    /// The parameters between the matrices.
    fn others(&self, parameters: usize) -> Vec<Range<usize>> {
        let begins = [0].into_iter().chain(self.matrices.iter().map(|(matrix, _)| matrix.range.end));
        let ends = self.matrices.iter().map(|(matrix, _)| matrix.range.start).chain([parameters]);
        begins.zip(ends).map(|(begin, end)| begin..end).collect()
    }

    /// A step of Muon for each matrix, on as many threads as there are.
    fn step_matrices(&mut self, muon: impl Fn(f32, usize) -> Muon + Sync, parameters: &mut [f32], gradient: &[f32]) {
        let (mut parameters, mut means, mut taken) = (parameters, &mut *self.means, 0);
        let mut parts = Vec::with_capacity(self.matrices.len());
        for (Matrix { range, columns, norm, rank }, workspace) in &mut self.matrices {
            let local = range.start - taken..range.end - taken;
            let (before, after) = parameters.split_at_mut(local.end);
            let (means_before, means_after) = means.split_at_mut(local.end);
            let (weights, velocity) = (&mut before[local.start..], &mut means_before[local.start..]);
            parts.push(((*columns, *norm, *rank), weights, velocity, &gradient[range.clone()], workspace));
            (parameters, means, taken) = (after, means_after, range.end);
        }
        let step = |((columns, norm, rank), weights, velocity, gradient, workspace): (
            _,
            &mut [f32],
            &mut [f32],
            &[f32],
            _,
        )| {
            muon_step(muon(norm, rank), columns, weights, gradient, velocity, workspace);
        };
        if rayon::current_num_threads() == 1 {
            parts.into_iter().for_each(step);
        } else {
            parts.into_par_iter().for_each(step);
        }
    }
}
