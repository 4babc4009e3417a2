//! The evaluator on the embedded digits.

use std::sync::Arc;

use metaqnn_core::early_stopping::{Look, PredictionRule, RankRule, Rung, StopReason, StopRule};
use metaqnn_core::ports::{
    CandidateEvaluation, CandidateJob, CandidateLength, Evaluator, FinalJob, JobError, TrainingProgress, TrialJob,
};
use metaqnn_core::settings::{AugmentationChoice, Schedule, TrainingSettings};
use metaqnn_core::study::{Failure, Outcome, PruneReason, TrialNumber};
use metaqnn_data::{DataSet, ImageShape, LabelledImages};
use metaqnn_train::{Learner, NetworkEvaluator, Shown, augmentation, map_shape, normalizer, parse_device};

use crate::settings::{digits, plain};

const NETWORK: &str = "[C(16,3,1), C(16,3,1), P(2,2), FC(32), SM(10)]";

/// Everything that draws random numbers is on.
fn random_settings() -> TrainingSettings {
    TrainingSettings {
        epochs: 3,
        batch_norm: true,
        max_dropout: 0.3,
        label_smoothing: 0.1,
        augmentation: AugmentationChoice::MirrorAndShift,
        weight_decay: 1e-4,
        schedule: Schedule::OneCycle { warmup: 0.3 },
        learning_rate: 0.01,
        ..plain()
    }
}

fn evaluator(settings: TrainingSettings) -> NetworkEvaluator {
    NetworkEvaluator::new("cpu", digits(), settings.clone(), settings).unwrap()
}

fn job(seed: u64) -> TrialJob {
    TrialJob {
        trial: TrialNumber(1),
        architecture: NETWORK.parse().unwrap(),
        seed,
        stop: None,
        time_limit_seconds: None,
    }
}

#[test]
fn a_network_learns_the_digits_and_the_same_job_gives_the_same_evaluation() {
    let mut evaluator = evaluator(random_settings());
    let mut points = Vec::new();
    let mut first = evaluator.evaluate(&job(7), &mut |progress| {
        if let TrainingProgress::Epoch { point } = progress {
            points.push(point);
        }
    });
    assert_eq!(points, first.curve);
    assert_eq!((first.epochs, first.tries), (3, 1));
    let accuracies: Vec<f64> = first.curve.iter().map(|point| point.valid_accuracy).collect();
    let best = first.outcome.valid_accuracy().unwrap().value();
    assert_eq!(best, accuracies.iter().copied().fold(0.0, f64::max));
    assert!(best > 0.8, "{first:?}");

    let mut second = evaluator.evaluate(&job(7), &mut |_| {});
    let other = evaluator.evaluate(&job(8), &mut |_| {});
    (first.train_seconds, second.train_seconds) = (0.0, 0.0);
    assert_eq!(first, second);
    assert_ne!(first.curve, other.curve);
}

#[test]
fn trials_use_the_same_part_of_the_images() {
    let few = TrainingSettings { train_images: 100, valid_images: 50, epochs: 1, ..plain() };
    let evaluation = evaluator(few).evaluate(&job(1), &mut |_| {});
    // 50 images: every accuracy is a multiple of 0.02.
    let accuracy = evaluation.curve[0].valid_accuracy * 50.0;
    assert!((accuracy - accuracy.round()).abs() < 1e-9);
}

#[test]
fn a_network_that_falls_behind_is_stopped() {
    let stop = Some(StopRule::Rank(RankRule { rungs: vec![Rung { epoch: 1, accuracy: 1.1 }] }));
    let evaluation = evaluator(random_settings()).evaluate(&TrialJob { stop, ..job(7) }, &mut |_| {});
    let Outcome::Pruned { valid_accuracy, reason: PruneReason::Rule(StopReason::Behind { epoch, accuracy, least }) } =
        &evaluation.outcome
    else {
        panic!("{evaluation:?}")
    };
    assert_eq!((evaluation.epochs, *epoch, *least), (1, 1, 1.1));
    assert!((valid_accuracy.value() - accuracy).abs() < 1e-4);
}

#[test]
fn a_network_that_is_predicted_to_end_behind_is_stopped_with_its_prediction() {
    // Twice the first accuracy, whatever the network is.
    let look = |epoch, weights| Look { epoch, intercept: 0.0, weights, deviation: 0.01 };
    let rule = |to_beat, first_epoch| {
        let looks = vec![look(1, vec![2.0, 0.0, 0.0, 0.0]), look(2, vec![2.0, 0.0, 0.0, 0.0, 0.0])];
        PredictionRule { looks, network_means: [0.0; 3], to_beat, probability: 0.99, first_epoch }
    };
    let settings = TrainingSettings { epochs: 3, ..random_settings() };
    let evaluate = |to_beat, first_epoch| {
        let stop = Some(StopRule::Prediction(rule(to_beat, first_epoch)));
        evaluator(settings.clone()).evaluate(&TrialJob { stop, ..job(7) }, &mut |_| {})
    };
    for first_epoch in [1, 2] {
        let evaluation = evaluate(1.2, first_epoch);
        let Outcome::Pruned { reason, .. } = &evaluation.outcome else { panic!("{evaluation:?}") };
        assert_eq!(evaluation.epochs as usize, first_epoch);
        let so_far = evaluation.curve.iter().map(|point| point.valid_accuracy).fold(0.0, f64::max);
        let expected = (2.0 * evaluation.curve[0].valid_accuracy).min(1.0).max(so_far);
        assert!((reason.predicted().unwrap().value() - expected).abs() < 1e-4, "{reason}");
    }
    assert!(matches!(evaluate(0.0, 1).outcome, Outcome::Complete { .. }));
}

#[test]
fn what_does_not_fit_is_a_failure_and_not_a_panic() {
    let architecture = "[C(16,3,1), P(3,2), C(16,1,1), P(3,2), C(16,1,1), P(2,2), SM(10)]".parse().unwrap();
    let evaluation = evaluator(plain()).evaluate(&TrialJob { architecture, ..job(1) }, &mut |_| {});
    assert!(matches!(evaluation.outcome, Outcome::Failed { failure: Failure::Worker { .. } }), "{evaluation:?}");
}

#[test]
fn a_candidate_is_trained_as_finally_but_shorter_and_validated() {
    let trial_settings = TrainingSettings { train_images: 100, ..plain() };
    let final_settings = TrainingSettings { epochs: 9, ..random_settings() };
    let mut evaluator = NetworkEvaluator::new("cpu", digits(), trial_settings, final_settings).unwrap();
    let mut candidate = |length| {
        let architecture = NETWORK.parse().unwrap();
        let job = CandidateJob { trial: TrialNumber(1), architecture, seed: 3, length, checkpoint: None };
        evaluator.evaluate_candidate(&job, &mut |_| {}).unwrap()
    };
    let CandidateEvaluation { evaluation, probabilities, .. } = candidate(CandidateLength::ShareOfEpochs(0.3));
    assert_eq!(evaluation.epochs, 3);
    assert!(evaluation.outcome.valid_accuracy().unwrap().value() > 0.8, "{evaluation:?}");
    // Of the network as it is in the end, on all validation images.
    let labels = &digits().valid.labels;
    assert_eq!(probabilities.len(), 10 * labels.len());
    let right = probabilities.chunks(10).zip(labels).filter(|(row, label)| {
        let most = row.iter().copied().fold(0.0, f32::max);
        assert!((row.iter().sum::<f32>() - 1.0).abs() < 1e-5);
        row[usize::from(**label)] == most
    });
    let accuracy = right.count() as f64 / labels.len() as f64;
    assert!((accuracy - evaluation.curve[2].valid_accuracy).abs() < 1e-9);
    assert_eq!(candidate(CandidateLength::Epochs(2)).evaluation.epochs, 2);
    let evaluation = candidate(CandidateLength::Seconds(0.5)).evaluation;
    assert!(evaluation.train_seconds > 0.1 && evaluation.train_seconds < 1.0, "{evaluation:?}");
}

#[test]
fn a_candidate_shows_whether_images_may_be_mirrored() {
    let settings = TrainingSettings { augmentation: AugmentationChoice::Auto, ..random_settings() };
    let shown = |data: &DataSet, settings: &TrainingSettings| {
        let data = Arc::new(data.clone());
        let mut evaluator = NetworkEvaluator::new("cpu", data, settings.clone(), settings.clone()).unwrap();
        let (architecture, length) = (NETWORK.parse().unwrap(), CandidateLength::Epochs(3));
        let job = CandidateJob { trial: TrialNumber(1), architecture, seed: 3, length, checkpoint: None };
        let shown = evaluator.evaluate_candidate(&job, &mut |_| {}).unwrap();
        (shown.mirror_is_safe, shown.turning_is_safe)
    };
    let changes = |data: &DataSet, mirror, turning| augmentation(data, &settings, Shown { mirror, turning }).unwrap();
    let is_mirrored = |data: &DataSet, shown| changes(data, shown, None).mirror;
    let digits = digits();
    assert_eq!(shown(&digits, &settings), (None, None), "of these it is known");
    assert!(!is_mirrored(&digits, Some(true)));

    let mut own = DataSet { mirror_is_safe: None, ..(*digits).clone() };
    assert_eq!(shown(&own, &settings), (Some(false), Some(false)));
    assert_eq!(shown(&own, &random_settings()), (None, None), "what is done is said by name");
    for images in [&mut own.train, &mut own.valid] {
        let mirrored = images.mirrored();
        images.pixels.iter_mut().zip(mirrored.pixels).for_each(|(pixel, other)| *pixel = (*pixel).max(other));
    }
    assert_eq!(shown(&own, &settings).0, Some(true), "each is its own mirror image");
    assert!(changes(&own, None, Some(true)).turn && !changes(&own, Some(true), None).turn);
    assert!(!changes(&digits, None, Some(true)).turn);
    assert!(is_mirrored(&own, Some(true)) && !is_mirrored(&own, Some(false)) && !is_mirrored(&own, None));
}

#[test]
fn images_are_shifted_by_what_fits_their_side_or_by_what_was_asked_for() {
    let shift = |side, choice, max_shift| {
        let shape = ImageShape { channels: 1, height: side, width: 2 * side };
        let data = DataSet { train: LabelledImages::empty(shape), ..(*digits()).clone() };
        let settings = TrainingSettings { augmentation: choice, max_shift, ..plain() };
        augmentation(&data, &settings, Shown::default()).map(|augmentation| augmentation.shift)
    };
    let (shifted, warped) = (AugmentationChoice::MirrorAndShift, AugmentationChoice::Warp);
    assert_eq!([8, 28, 32, 224].map(|side| shift(side, shifted, 0).unwrap()), [1, 2, 3, 22]);
    assert_eq!([8, 28, 32, 224].map(|side| shift(side, warped, 0).unwrap()), [1, 3, 4, 28]);
    assert_eq!([shifted, warped].map(|choice| shift(32, choice, 5)), [Some(5), Some(5)]);
    assert_eq!(shift(32, AugmentationChoice::None, 5), None);
}

fn final_job(time_limit_seconds: Option<f64>) -> FinalJob {
    let (trial, architecture) = (TrialNumber(1), NETWORK.parse().unwrap());
    FinalJob {
        trial,
        architecture,
        seed: 3,
        time_limit_seconds,
        epochs: None,
        mirror_is_safe: None,
        turning_is_safe: None,
        checkpoint: None,
    }
}

#[test]
fn the_final_training_gives_the_weights_that_were_scored() {
    let settings = random_settings();
    let final_job = final_job(None);
    let result = evaluator(settings.clone()).evaluate_final(&final_job, &mut |_| {}).unwrap();
    assert!(result.test_accuracy > 0.8, "{}", result.test_accuracy);
    assert_eq!((result.epochs, result.train_losses.len()), (3, 3));

    let data = digits();
    let graph =
        metaqnn_core::graph::Graph::new(&final_job.architecture, map_shape(data.shape()), settings.network_options())
            .unwrap();
    let device = parse_device("cpu").unwrap();
    // The preparation of images is kept with them.
    let kept = safetensors::SafeTensors::deserialize(&result.weights).unwrap();
    let of_network = kept.iter().filter(|(name, _)| !name.starts_with("preparation"));
    let weights = safetensors::serialize(of_network, None).unwrap();
    let mut learner = Learner::with_weights(&graph, &settings, &device, &weights, 0).unwrap();
    let predictions = learner.predict(&data.test, &normalizer(&data, &settings));
    assert_eq!(predictions.accuracy(&data.test.labels).value(), result.test_accuracy);
    assert_eq!(result.test_images, data.test.len() as u64);
}

#[test]
fn the_final_training_ends_with_its_time() {
    let settings = TrainingSettings { epochs: 1_000, ..random_settings() };
    let final_job = final_job(Some(1.0));
    let result = evaluator(settings).evaluate_final(&final_job, &mut |_| {}).unwrap();
    assert!(result.train_seconds > 0.3 && result.train_seconds < 1.5, "{}", result.train_seconds);
    assert!(result.epochs < 1_000);
}

#[test]
fn a_state_that_cannot_be_kept_is_nobodys_failure_but_that_of_the_disk() {
    let checkpoint = Some("/no/such/folder/a.checkpoint".into());
    let job = FinalJob { checkpoint: checkpoint.clone(), ..final_job(None) };
    let error = evaluator(random_settings()).evaluate_final(&job, &mut |_| {}).unwrap_err();
    let JobError::Storage(reason) = error else { panic!("{error}") };
    assert!(
        reason.starts_with("/no/such/folder/a.checkpoint: the state of the training could not be kept"),
        "{reason}"
    );
    let architecture = NETWORK.parse().unwrap();
    let length = CandidateLength::Epochs(2);
    let job = CandidateJob { trial: TrialNumber(1), architecture, seed: 3, length, checkpoint };
    let error = evaluator(random_settings()).evaluate_candidate(&job, &mut |_| {}).unwrap_err();
    assert!(matches!(error, JobError::Storage(_)), "{error}");
}
