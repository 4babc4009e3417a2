//! Settings and data that the tests share.

use std::path::Path;
use std::sync::Arc;

use metaqnn_core::settings::{
    AugmentationChoice, ClassWeights, Optimizer, PreprocessingChoice, RestartSettings, Schedule, TrainingSettings,
};
use metaqnn_data::{DataSet, DataSource, ImageShape, LabelledImages, SplitSettings, load};

pub(crate) const ADAM: Optimizer = Optimizer::Adam { beta_1: 0.9, beta_2: 0.999, epsilon: 1e-8 };

/// The paper's settings without dropout, for small data.
pub(crate) fn plain() -> TrainingSettings {
    TrainingSettings {
        epochs: 2,
        min_steps: 0,
        batch_size: 32,
        train_images: 0,
        valid_images: 0,
        optimizer: ADAM,
        learning_rate: 0.003,
        whitening: false,
        identity_start: false,
        schedule: Schedule::Step { every_epochs: 5, factor: 0.2 },
        weight_decay: 0.0,
        batch_norm: false,
        max_dropout: 0.0,
        preprocessing: PreprocessingChoice::Standardize,
        augmentation: AugmentationChoice::None,
        max_shift: 0,
        alternate_mirror: false,
        label_smoothing: 0.0,
        class_weights: ClassWeights::None,
        restart: RestartSettings {
            tries: 1,
            factor: 0.4,
            margin: 0.0,
            scale_margin: false,
            min_steps: 0,
            loss_steps: 0,
            loss_margin: 0.0,
        },
    }
}

pub(crate) fn digits() -> Arc<DataSet> {
    Arc::new(load(&DataSource::Digits, Path::new("unused"), &SplitSettings::default()).unwrap())
}

/// Bright images of class 1 and dark ones of class 0, in turn.
pub(crate) fn light_and_dark(n: usize) -> LabelledImages {
    let shape = ImageShape { channels: 1, height: 6, width: 6 };
    let pixels = (0..n).flat_map(|i| (0..36).map(move |p| ((i % 2) * 180 + (i * 7 + p * 13) % 60) as u8)).collect();
    LabelledImages { shape, pixels, labels: (0..n).map(|i| (i % 2) as u16).collect() }
}
