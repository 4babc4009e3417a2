//! Class weights on digits of which some classes are rare.

use std::sync::Arc;

use metaqnn_core::ports::{CandidateJob, CandidateLength, Evaluator};
use metaqnn_core::settings::{ClassWeights, TrainingSettings};
use metaqnn_core::study::TrialNumber;
use metaqnn_data::DataSet;
use metaqnn_train::NetworkEvaluator;

use crate::settings::{digits, plain};

/// Digits from 5 on are so many times rarer than they were.
const RARITY: usize = 25;

fn imbalanced() -> DataSet {
    let mut data = DataSet::clone(&digits());
    let kept: Vec<usize> =
        (0..data.train.len()).filter(|&index| data.train.labels[index] < 5 || index.is_multiple_of(RARITY)).collect();
    data.train = data.train.select(&kept);
    data
}

/// The mean over the classes of the share of their validation images that are classified right.
fn balanced_accuracy(data: &Arc<DataSet>, class_weights: ClassWeights, seed: u64) -> f64 {
    let settings = TrainingSettings { class_weights, epochs: 4, ..plain() };
    let mut evaluator = NetworkEvaluator::new("cpu", data.clone(), settings.clone(), settings).unwrap();
    let architecture = "[C(16,3,1), P(2,2), FC(32), SM(10)]".parse().unwrap();
    let length = CandidateLength::Epochs(4);
    let job = CandidateJob { trial: TrialNumber(1), architecture, seed, length, checkpoint: None };
    let probabilities = evaluator.evaluate_candidate(&job, &mut |_| {}).unwrap().probabilities;
    let (mut right, mut images) = ([0.0; 10], [0.0; 10]);
    for (row, &label) in probabilities.chunks(10).zip(&data.valid.labels) {
        let most = row.iter().copied().fold(0.0, f32::max);
        images[usize::from(label)] += 1.0;
        right[usize::from(label)] += f64::from(row[usize::from(label)] == most);
    }
    right.iter().zip(images).map(|(right, images)| right / images).sum::<f64>() / 10.0
}

#[test]
fn balanced_weights_help_the_rare_classes() {
    let data = Arc::new(imbalanced());
    let counts = data.train.class_counts(10);
    assert!(counts[..5].iter().min().unwrap() > &(10 * counts[5..].iter().max().unwrap()), "{counts:?}");
    for seed in 1..=3 {
        let [plain, weighted] =
            [ClassWeights::None, ClassWeights::Balanced].map(|weights| balanced_accuracy(&data, weights, seed));
        println!("seed {seed}: balanced accuracy {plain:.4} unweighted, {weighted:.4} weighted");
        assert!(weighted > plain + 0.05, "seed {seed}: {weighted} with weights, {plain} without");
    }
}
