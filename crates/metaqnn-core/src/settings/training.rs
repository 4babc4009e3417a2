//! How a network is trained: optimizer, schedule, restarts, regularization.

use serde::{Deserialize, Serialize};

use crate::graph::NetworkOptions;

/// How a network is trained. `[training]` holds it for the trials of the search, `[final.training]` for the final training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingSettings {
    /// Passes over the training images.
    pub epochs: u32,
    /// Steps at least: where there are few images, the epochs are raised until they have so many.
    pub min_steps: u32,
    /// Images a step.
    pub batch_size: u32,
    /// Training images used, a stratified and seeded part that is the same for every trial; 0 for all.
    pub train_images: u32,
    /// Validation images used, likewise; 0 for all.
    pub valid_images: u32,
    /// The optimizer.
    pub optimizer: Optimizer,
    /// Learning rate at the start (`step`, `constant`) or at its peak (`one-cycle`).
    pub learning_rate: f64,
    /// Whether every convolution but the first begins as the identity on its first channels (Jordan, 2024, arXiv 2404.00498, section 3.3).
    /// Studies of earlier versions do not have it.
    #[serde(default)]
    pub identity_start: bool,
    /// Whether the first convolution, where a network begins with one, begins with filters that whiten the patches of the training images
    /// (the same, section 3.2). Studies of earlier versions do not have it.
    #[serde(default)]
    pub whitening: bool,
    /// How the learning rate changes.
    pub schedule: Schedule,
    /// Decay of the weights a step, as a multiple of the learning rate (decoupled for Adam, as AdamW has it). The matrices that Muon
    /// steps keep their norm and do not decay.
    pub weight_decay: f64,
    /// Batch normalization between each convolution or FC layer and its ReLU.
    pub batch_norm: bool,
    /// Probability of the last dropout layer; the i-th of n has i/n of it.
    pub max_dropout: f64,
    /// What is done to pixels before they reach the network.
    pub preprocessing: PreprocessingChoice,
    /// Random changes to training images.
    pub augmentation: AugmentationChoice,
    /// Most pixels by which `mirror-and-shift` and `warp` move an image along each axis; 0 for what fits the side. Studies of earlier
    /// versions do not have it.
    #[serde(default)]
    pub max_shift: u32,
    /// Whether an image that may be mirrored is mirrored in every second pass, in place of at random (the same, section 3.6). Studies of earlier
    /// versions do not have it.
    #[serde(default)]
    pub alternate_mirror: bool,
    /// Share of each target spread evenly over all classes.
    pub label_smoothing: f64,
    /// How much an image counts in the loss. Studies of earlier versions do not have it.
    #[serde(default)]
    pub class_weights: ClassWeights,
    /// When a training that does not start is begun again.
    pub restart: RestartSettings,
}

/// The optimizers.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// Adam (Kingma and Ba, 2015).
    Adam {
        /// Decay of the first moment.
        beta_1: f64,
        /// Decay of the second moment.
        beta_2: f64,
        /// Added to the root of the second moment.
        epsilon: f64,
    },
    /// Muon for the weights of all convolutions and linear layers but the last (Jordan et al., 2024), Adam for the rest.
    Muon {
        /// Share of a matrix' norm that a step goes, as a multiple of the learning rate.
        rate: f64,
        /// Nesterov's momentum.
        momentum: f64,
        /// Newton–Schulz iterations.
        iterations: u32,
        /// Adam's decay of the first moment.
        beta_1: f64,
        /// Adam's decay of the second moment.
        beta_2: f64,
        /// Added to the root of the second moment.
        epsilon: f64,
    },
    /// Stochastic gradient descent with Nesterov's or plain momentum.
    Sgd {
        /// Momentum, 0 for none.
        momentum: f64,
        /// Whether momentum is Nesterov's.
        nesterov: bool,
    },
}

/// How the learning rate changes over a training.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Schedule {
    /// Multiplied by `factor` every `every_epochs` epochs.
    Step {
        /// Epochs between two steps.
        every_epochs: u32,
        /// Factor of each step.
        factor: f64,
    },
    /// Rises linearly from a twenty-fifth to the peak over the first `warmup` of the steps, then falls to zero along a
    /// cosine (Smith and Topin, 2018).
    OneCycle {
        /// Share of all steps in which the rate rises.
        warmup: f64,
    },
    /// The learning rates of stretches of epochs, given as `[[rate, epochs], …]`; `learning_rate` is not used.
    Piecewise {
        /// Rate and number of epochs of each stretch.
        stretches: Vec<(f64, u32)>,
    },
}

/// What is done to pixels, scaled to [0, 1], before they reach the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PreprocessingChoice {
    /// As the paper has it for the data set: mean image (MNIST), global contrast (CIFAR-10), local contrast (SVHN),
    /// `standardize` for all others.
    Paper,
    /// Each channel minus its mean, over its standard deviation in the training set.
    Standardize,
}

/// Random changes to training images.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AugmentationChoice {
    /// None.
    None,
    /// Mirrored left to right with probability ½ where the data set allows it.
    Mirror,
    /// Mirrored where the data set allows it, and shifted by up to a tenth of the side.
    MirrorAndShift,
    /// Mirrored likewise, shifted by up to an eighth of the side, turned by up to 15 degrees and stretched or shrunk by
    /// up to 15 % along each axis.
    Warp,
    /// What fits the data: `mirror-and-shift` where mirroring is allowed, as of photographs, else `warp`, as of characters.
    Auto,
}

/// How much an image counts in the loss, by its class.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ClassWeights {
    /// All the same.
    #[default]
    None,
    /// The rarer its class, the more: images / (classes · images of the class), so that all classes count alike.
    Balanced,
}

impl ClassWeights {
    /// The weight of each class, of which there are `counts` images to train on; `None` where all count the same. The mean weight of
    /// the images is 1. A class without images, which no image asks for the weight of, has 1.
    pub fn of(self, counts: &[usize]) -> Option<Vec<f32>> {
        match self {
            ClassWeights::None => None,
            ClassWeights::Balanced => {
                let images: usize = counts.iter().sum();
                let classes = counts.iter().filter(|&&count| count > 0).count();
                let weight = |&count: &usize| match count {
                    0 => 1.0,
                    count => (images as f64 / (classes as f64 * count as f64)) as f32,
                };
                Some(counts.iter().map(weight).collect())
            }
        }
    }
}

/// When a training that does not start is begun again, with a smaller learning rate.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RestartSettings {
    /// Tries in all, the first included; 1 for no restart.
    pub tries: u32,
    /// Factor of the learning rate from one try to the next.
    pub factor: f64,
    /// How far above chance the validation accuracy must be, see [`RestartSettings::threshold`].
    pub margin: f64,
    /// Whether the margin is scaled to the classes and the most frequent one.
    pub scale_margin: bool,
    /// The accuracy is looked at after one epoch or this many steps, whichever is more.
    pub min_steps: u32,
    /// Steps after which a try ends whose training loss is still that of guessing; 0, or no fewer than an epoch has: the loss ends
    /// none. Not part of the paper.
    #[serde(default)]
    pub loss_steps: u32,
    /// How far, in nats, the mean loss of the second half of these steps must be below that of guessing.
    #[serde(default)]
    pub loss_margin: f64,
}

impl TrainingSettings {
    /// Passes over the images where one has so many steps.
    pub fn epochs_of(&self, steps_in_epoch: usize) -> u32 {
        let least = (self.min_steps as usize).div_ceil(steps_in_epoch.max(1));
        self.epochs.max(u32::try_from(least).unwrap_or(u32::MAX)).max(1)
    }

    /// Learning rate at the start of a try, counted from 0; at the peak of its schedule where that rises first.
    pub fn learning_rate_of_try(&self, attempt: u32) -> f64 {
        let rate = match &self.schedule {
            Schedule::Piecewise { stretches } => stretches.first().map_or(self.learning_rate, |(rate, _)| *rate),
            Schedule::Step { .. } | Schedule::OneCycle { .. } => self.learning_rate,
        };
        rate * self.restart.rate_factor(attempt)
    }

    /// The mean loss, in nats, of the best guess that knows nothing of the images: the entropy of the targets, smoothed and weighted as
    /// the settings say, where `class_counts` images of each class are trained on. 0 without images.
    pub fn loss_of_guessing(&self, class_counts: &[usize]) -> f64 {
        let weights = self.class_weights.of(class_counts).unwrap_or_else(|| vec![1.0; class_counts.len()]);
        let weighted = class_counts.iter().zip(weights).map(|(&count, weight)| count as f64 * f64::from(weight));
        let all: f64 = weighted.clone().sum();
        if all == 0.0 {
            return 0.0;
        }
        let smoothing = self.label_smoothing;
        let entropy_of = |images: f64| {
            let share = (1.0 - smoothing) * images / all + smoothing / class_counts.len() as f64;
            if share > 0.0 { -share * share.ln() } else { 0.0 }
        };
        weighted.map(entropy_of).sum()
    }

    /// What the graph needs to know of these settings.
    pub fn network_options(&self) -> NetworkOptions {
        NetworkOptions { batch_norm: self.batch_norm, max_dropout: self.max_dropout }
    }
}

impl RestartSettings {
    /// Factor of the learning rate in a try, counted from 0.
    pub fn rate_factor(&self, attempt: u32) -> f64 {
        self.factor.powi(attempt as i32)
    }

    /// The validation accuracy at or below which a network counts as no better than chance: the `share` of the most
    /// frequent class plus the margin, where scaled times (1 − share) / (1 − 1/classes) (spec 3, restart rule).
    pub fn threshold(&self, share: f64, classes: u32) -> f64 {
        if self.scale_margin {
            share + self.margin * (1.0 - share) / (1.0 - 1.0 / f64::from(classes))
        } else {
            share + self.margin
        }
    }
}

impl Schedule {
    /// The learning rate at a point of the training.
    ///
    /// `epoch` counts from 0; `progress` in [0, 1) is the share of the whole training that is over, in steps or, under
    /// a time limit, in time.
    pub fn learning_rate(&self, base: f64, epoch: u32, progress: f64) -> f64 {
        match self {
            Schedule::Step { every_epochs, factor } => base * factor.powi((epoch / every_epochs) as i32),
            Schedule::OneCycle { warmup } => {
                let start = base / 25.0;
                if progress < *warmup {
                    start + (base - start) * progress / warmup
                } else {
                    let fall = ((progress - warmup) / (1.0 - warmup)).min(1.0);
                    base * 0.5 * (1.0 + (std::f64::consts::PI * fall).cos())
                }
            }
            Schedule::Piecewise { stretches } => {
                let mut left = epoch;
                for (rate, epochs) in stretches {
                    if left < *epochs {
                        return *rate;
                    }
                    left -= epochs;
                }
                stretches.last().map_or(base, |(rate, _)| *rate)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_follow_their_formulas() {
        let step = Schedule::Step { every_epochs: 5, factor: 0.2 };
        assert_eq!(step.learning_rate(0.001, 4, 0.0), 0.001);
        assert!((step.learning_rate(0.001, 10, 0.0) - 0.00004).abs() < 1e-15);
        let cycle = Schedule::OneCycle { warmup: 0.25 };
        assert!((cycle.learning_rate(1.0, 0, 0.0) - 0.04).abs() < 1e-12);
        assert!((cycle.learning_rate(1.0, 0, 0.25) - 1.0).abs() < 1e-12);
        assert!((cycle.learning_rate(1.0, 0, 0.625) - 0.5).abs() < 1e-12);
        assert!(cycle.learning_rate(1.0, 0, 1.0).abs() < 1e-12);
        let pieces = Schedule::Piecewise { stretches: vec![(0.025, 40), (0.0125, 40)] };
        assert_eq!(pieces.learning_rate(9.0, 39, 0.0), 0.025);
        assert_eq!(pieces.learning_rate(9.0, 40, 0.0), 0.0125);
        assert_eq!(pieces.learning_rate(9.0, 99, 0.0), 0.0125);
    }

    #[test]
    fn balanced_weights_are_those_of_scikit_learn_and_one_in_the_mean() {
        // sklearn.utils.class_weight.compute_class_weight("balanced", classes=[0, 1, 2], y=[0] * 6 + [1] * 3 + [2]).
        let weights = ClassWeights::Balanced.of(&[6, 3, 1]).unwrap();
        for (weight, expected) in weights.iter().zip([0.555_556, 1.111_111, 3.333_333]) {
            assert!((weight - expected).abs() < 1e-6, "{weights:?}");
        }
        let mean = |counts: &[usize]| {
            let weights = ClassWeights::Balanced.of(counts).unwrap();
            let sum: f64 = weights.iter().zip(counts).map(|(weight, count)| f64::from(*weight) * *count as f64).sum();
            sum / counts.iter().sum::<usize>() as f64
        };
        assert!((mean(&[6, 3, 1]) - 1.0).abs() < 1e-6);
        assert!((mean(&[50, 0, 1, 7]) - 1.0).abs() < 1e-6, "a class without images changes nothing");
        assert_eq!(ClassWeights::Balanced.of(&[5, 5]).unwrap(), [1.0, 1.0]);
        assert_eq!(ClassWeights::None.of(&[6, 3, 1]), None);
    }

    #[test]
    fn guessing_costs_the_entropy_of_the_targets() {
        let document = crate::settings::Preset::Quick.document("digits").unwrap();
        let mut training = crate::settings::Settings::from_toml(&document.to_string()).unwrap().training;
        assert!((training.loss_of_guessing(&[7; 10]) - 10_f64.ln()).abs() < 1e-12);
        assert!((training.loss_of_guessing(&[3, 0, 1]) - 0.562_335_144_618_808_3).abs() < 1e-12);
        assert_eq!(training.loss_of_guessing(&[0, 0]), 0.0);
        // 0.9 · (¾, ¼) + 0.1 · ½.
        training.label_smoothing = 0.1;
        let smoothed = -(0.725 * 0.725_f64.ln() + 0.275 * 0.275_f64.ln());
        assert!((training.loss_of_guessing(&[3, 1]) - smoothed).abs() < 1e-12);
        training.class_weights = ClassWeights::Balanced;
        assert!((training.loss_of_guessing(&[3, 1]) - 2_f64.ln()).abs() < 1e-6);
    }

    #[test]
    fn no_better_than_chance_is_scaled_to_the_task() {
        let paper = RestartSettings {
            tries: 5,
            factor: 0.4,
            margin: 0.05,
            scale_margin: false,
            min_steps: 0,
            loss_steps: 0,
            loss_margin: 0.0,
        };
        assert!((paper.threshold(0.2, 10) - 0.25).abs() < 1e-12);
        let scaled = RestartSettings { scale_margin: true, ..paper };
        assert!((scaled.threshold(0.1, 10) - 0.15).abs() < 1e-12);
        assert!((scaled.threshold(0.9, 2) - 0.91).abs() < 1e-12);
    }
}
