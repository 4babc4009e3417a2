//! What every executor must do, whoever trains.

use std::collections::BTreeSet;
use std::panic::resume_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use metaqnn_core::ports::{
    CandidateEvaluation, CandidateJob, CandidateLength, Evaluator, Executor, ExecutorEvent, FinalEvaluation, FinalJob,
    Job, JobError, TrainingProgress, TrialJob,
};
use metaqnn_core::study::{Accuracy, Evaluation, Failure, Outcome, TrialNumber};

/// Whose evaluator cannot be made: that of settings which say so.
pub(crate) const UNABLE: &str = "unable";

/// The seed of a job of which everybody dies.
const DEADLY: u64 = 66;

/// The seed of a job of which nobody knows when it ends.
const ENDLESS: u64 = 77;

/// The seeds of jobs of the final phase without a result.
const DIVERGING: u64 = 88;
const FULL_DISK: u64 = 99;

/// Trains nothing: what comes of a job depends on its seed. A job with a checkpoint kills who has begun it first.
#[derive(Default)]
pub(crate) struct Trainer {
    /// To be seen nowhere: what was trained before must not matter.
    trained: u64,
}

impl Trainer {
    /// The evaluator that `settings` ask for.
    pub(crate) fn of(settings: &str) -> Result<Self, String> {
        if settings == UNABLE { Err("no such data set".into()) } else { Ok(Trainer::default()) }
    }

    fn train(&mut self, seed: u64, checkpoint: Option<&Path>, report: &mut dyn FnMut(TrainingProgress)) -> Evaluation {
        // What a trainer prints is no report.
        println!("\n\"ready\"\n{{\"hello\":0}} of network {}", self.trained);
        print!("and {{");
        self.trained += 1;
        for share in 0..3 {
            report(TrainingProgress::Step { progress: f64::from(share) / 3.0, train_loss: seed as f64 });
        }
        if seed == DEADLY {
            resume_unwind(Box::new("this network is deadly"));
        }
        if let Some(path) = checkpoint.filter(|path| !path.exists()) {
            std::fs::write(path, "begun").unwrap();
            resume_unwind(Box::new("the first one dies"));
        }
        if seed == ENDLESS {
            loop {
                std::thread::sleep(Duration::from_millis(5));
                report(TrainingProgress::Step { progress: 0.5, train_loss: 1.0 });
            }
        }
        let outcome = Outcome::Complete { valid_accuracy: Accuracy::of((seed % 50) as usize, 50) };
        Evaluation { outcome, curve: Vec::new(), epochs: 1, tries: 1, train_seconds: 0.5 }
    }
}

impl Evaluator for Trainer {
    fn evaluate(&mut self, job: &TrialJob, report: &mut dyn FnMut(TrainingProgress)) -> Evaluation {
        self.train(job.seed, None, report)
    }

    fn evaluate_candidate(
        &mut self,
        job: &CandidateJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<CandidateEvaluation, JobError> {
        match job.seed {
            DIVERGING => return Err(JobError::Network("the loss was not finite".into())),
            FULL_DISK => return Err(JobError::Storage("no space".into())),
            _ => {}
        }
        let evaluation = self.train(job.seed, job.checkpoint.as_deref(), report);
        let probabilities = vec![0.5, job.seed as f32, f32::MIN_POSITIVE];
        Ok(CandidateEvaluation { evaluation, mirror_is_safe: Some(true), turning_is_safe: None, probabilities })
    }

    fn evaluate_final(
        &mut self,
        job: &FinalJob,
        report: &mut dyn FnMut(TrainingProgress),
    ) -> Result<FinalEvaluation, JobError> {
        if job.seed == DIVERGING {
            return Err(JobError::Network("the loss was not finite".into()));
        }
        let trained = self.train(job.seed, job.checkpoint.as_deref(), report);
        Ok(FinalEvaluation {
            test_accuracy: 0.75,
            test_balanced_accuracy: 0.7,
            test_images: 4,
            train_losses: vec![2.0, 1.0],
            epochs: 2,
            train_seconds: trained.train_seconds,
            // Larger than what a pipe holds, and with line breaks.
            weights: (0..300_000_u32).map(|byte| (byte + job.seed as u32) as u8).collect(),
        })
    }
}

/// Tries out the contract of [`Executor`] on executors that `start` starts with so many places, or as many as they can have, that train with
/// [`Trainer::of`] the given settings.
pub(crate) fn executor_contract<X: Executor>(start: impl Fn(usize, &str) -> X) {
    places_are_taken_and_given_back(start(2, ""));
    every_job_ends_once_with_the_event_of_its_kind(start(3, ""));
    the_same_job_has_the_same_result(&start);
    progress_comes_before_the_end(start(1, ""));
    what_weighs_much_comes_back_whole(start(1, ""));
    a_failed_job_is_no_error(start(1, ""));
    a_job_of_which_everybody_dies_ends_as_such(start(2, ""));
    a_job_goes_on_after_a_death(start(1, ""));
    nobody_waits_longer_than_asked(start(1, ""));
    an_executor_that_cannot_train_says_why(start(1, UNABLE));
}

/// What is tried out on those for which time passes: [`Trainer`] has a job without an end.
pub(crate) fn dropped_in_the_middle<X: Executor>(start: impl Fn(usize, &str) -> X) {
    let mut executor = start(1, "");
    executor.submit(trial(1, ENDLESS)).unwrap();
    let begin = Instant::now();
    while !matches!(executor.next(Duration::from_millis(20)).unwrap(), Some(ExecutorEvent::Progress(..))) {
        assert!(begin.elapsed() < Duration::from_secs(30), "it does not begin");
    }
    let begin = Instant::now();
    drop(executor);
    assert!(begin.elapsed() < Duration::from_secs(5), "it waited for the end of a training");
}

fn trial(trial: u64, seed: u64) -> Job {
    let architecture = "[C(16,3,1), SM(10)]".parse().unwrap();
    Job::Trial(TrialJob { trial: TrialNumber(trial), architecture, seed, stop: None, time_limit_seconds: Some(1.5) })
}

fn candidate(trial: u64, seed: u64, checkpoint: Option<&Path>) -> Job {
    let (architecture, length) = ("[C(16,3,1), SM(10)]".parse().unwrap(), CandidateLength::Epochs(1));
    let checkpoint = checkpoint.map(Path::to_path_buf);
    Job::Candidate(CandidateJob { trial: TrialNumber(trial), architecture, seed, length, checkpoint })
}

fn final_training(trial: u64, seed: u64) -> Job {
    Job::Final(FinalJob {
        trial: TrialNumber(trial),
        architecture: "[C(16,3,1), SM(10)]".parse().unwrap(),
        seed,
        time_limit_seconds: None,
        epochs: Some(3),
        mirror_is_safe: Some(false),
        turning_is_safe: None,
        checkpoint: None,
    })
}

/// The next event, within a minute of real time.
fn next<X: Executor>(executor: &mut X) -> ExecutorEvent {
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_secs(60) {
        if let Some(event) = executor.next(Duration::from_millis(50)).unwrap() {
            return event;
        }
    }
    panic!("nothing came of the job");
}

/// The next end of a job.
fn end<X: Executor>(executor: &mut X) -> ExecutorEvent {
    loop {
        let event = next(executor);
        if event.ended().is_some() {
            return event;
        }
    }
}

fn evaluated(event: ExecutorEvent) -> Evaluation {
    match event {
        ExecutorEvent::Evaluated(_, evaluation) => evaluation,
        other => panic!("{other:?}"),
    }
}

fn places_are_taken_and_given_back(mut executor: impl Executor) {
    let places = executor.places();
    assert!(places >= 1);
    assert_eq!(executor.idle(), places);
    for number in 0..places as u64 {
        executor.submit(trial(number, number)).unwrap();
    }
    assert_eq!((executor.places(), executor.idle()), (places, 0));
    let refused = executor.submit(trial(50, 7)).unwrap_err();
    assert_eq!(*refused, trial(50, 7), "a job that is not taken comes back as it was");
    for ended in 1..=places {
        assert!(end(&mut executor).ended().is_some_and(|trial| trial.0 < places as u64));
        assert_eq!(executor.idle(), ended);
    }
    executor.submit(*refused).unwrap();
    assert_eq!(end(&mut executor).ended(), Some(TrialNumber(50)));
    assert_eq!(executor.idle(), places);
}

fn every_job_ends_once_with_the_event_of_its_kind(mut executor: impl Executor) {
    let mut waiting = (0..12).map(|number| match number % 3 {
        0 => trial(number, number),
        1 => candidate(number, number, None),
        _ => final_training(number, number),
    });
    let (mut ended, mut is_out) = (BTreeSet::new(), false);
    while ended.len() < 12 {
        while executor.idle() > 0 && !is_out {
            match waiting.next() {
                Some(job) => executor.submit(job).unwrap(),
                None => is_out = true,
            }
        }
        let event = end(&mut executor);
        let number = event.ended().unwrap().0;
        let is_of_its_kind = match event {
            ExecutorEvent::Evaluated(..) => number.is_multiple_of(3),
            ExecutorEvent::Candidate(..) => number % 3 == 1,
            ExecutorEvent::Final(..) => number % 3 == 2,
            ExecutorEvent::Progress(..) => false,
        };
        assert!(is_of_its_kind && ended.insert(number), "{number} ended once more or as something else");
    }
    assert_eq!(executor.next(Duration::from_millis(50)).unwrap(), None, "nothing comes after the last end");
}

fn the_same_job_has_the_same_result<X: Executor>(start: &impl Fn(usize, &str) -> X) {
    let mut executor = start(1, "");
    let mut once = |job: Job| {
        executor.submit(job).unwrap();
        end(&mut executor)
    };
    let first = [once(trial(4, 9)), once(candidate(4, 9, None)), once(final_training(4, 9))];
    once(trial(5, 10));
    assert_eq!([once(trial(4, 9)), once(candidate(4, 9, None)), once(final_training(4, 9))], first);
    let mut other = start(2, "");
    other.submit(trial(4, 9)).unwrap();
    assert_eq!(end(&mut other), first[0]);
}

fn progress_comes_before_the_end(mut executor: impl Executor) {
    executor.submit(trial(3, 21)).unwrap();
    loop {
        match next(&mut executor) {
            // It may be missing altogether, but what comes is of this job.
            ExecutorEvent::Progress(place, trial, TrainingProgress::Step { progress, train_loss }) => {
                assert!(place < executor.places() && (0.0..=1.0).contains(&progress), "{place}, {progress}");
                assert_eq!((trial, train_loss), (TrialNumber(3), 21.0));
            }
            event => {
                let accuracy = evaluated(event).outcome.valid_accuracy().unwrap();
                assert_eq!(accuracy, Accuracy::of(21, 50));
                break;
            }
        }
    }
    assert_eq!(executor.next(Duration::from_millis(50)).unwrap(), None);
}

fn what_weighs_much_comes_back_whole(mut executor: impl Executor) {
    executor.submit(final_training(1, 3)).unwrap();
    let ExecutorEvent::Final(_, Ok(result)) = end(&mut executor) else { panic!("it has a result") };
    assert_eq!(result.weights.len(), 300_000);
    assert!(result.weights.iter().zip(3_u32..).all(|(byte, expected)| *byte == expected as u8));
    assert_eq!((result.train_losses, result.test_accuracy), (vec![2.0, 1.0], 0.75));
    executor.submit(candidate(1, 3, None)).unwrap();
    let ExecutorEvent::Candidate(_, Ok(result)) = end(&mut executor) else { panic!("it has a result") };
    assert_eq!(result.probabilities, [0.5, 3.0, f32::MIN_POSITIVE]);
    assert_eq!(result.mirror_is_safe, Some(true));
}

fn a_failed_job_is_no_error(mut executor: impl Executor) {
    let mut reason = |job: Job| {
        executor.submit(job).unwrap();
        match end(&mut executor) {
            ExecutorEvent::Candidate(_, Err(error)) | ExecutorEvent::Final(_, Err(error)) => error,
            other => panic!("{other:?}"),
        }
    };
    let diverged = JobError::Network("the loss was not finite".into());
    assert_eq!(reason(candidate(1, DIVERGING, None)), diverged);
    assert_eq!(reason(final_training(1, DIVERGING)), diverged);
    assert_eq!(reason(candidate(1, FULL_DISK, None)), JobError::Storage("no space".into()));
    executor.submit(trial(2, 5)).unwrap();
    assert!(evaluated(end(&mut executor)).outcome.valid_accuracy().is_some());
}

fn a_job_of_which_everybody_dies_ends_as_such(mut executor: impl Executor) {
    executor.submit(trial(1, DEADLY)).unwrap();
    let outcome = evaluated(end(&mut executor)).outcome;
    let Outcome::Failed { failure: Failure::WorkerDied { attempts, .. } } = outcome else { panic!("{outcome:?}") };
    assert!((1..10).contains(&attempts), "{attempts}");
    executor.submit(final_training(1, DEADLY)).unwrap();
    let died = end(&mut executor);
    assert!(matches!(died, ExecutorEvent::Final(_, Err(JobError::Network(_)))), "{died:?}");
    // The others are as well as before.
    executor.submit(trial(2, 5)).unwrap();
    assert!(evaluated(end(&mut executor)).outcome.valid_accuracy().is_some());
    assert_eq!(executor.idle(), executor.places());
}

fn a_job_goes_on_after_a_death(mut executor: impl Executor) {
    let folder = tempfile::tempdir().unwrap();
    executor.submit(candidate(1, 5, Some(&folder.path().join("a.checkpoint")))).unwrap();
    let ExecutorEvent::Candidate(_, Ok(result)) = end(&mut executor) else { panic!("the second one does not die") };
    assert_eq!(result.evaluation.outcome.valid_accuracy(), Some(Accuracy::of(5, 50)));
}

fn nobody_waits_longer_than_asked(mut executor: impl Executor) {
    let begin = Instant::now();
    assert_eq!(executor.next(Duration::ZERO).unwrap(), None, "nothing is in training");
    assert_eq!(executor.next(Duration::from_millis(20)).unwrap(), None);
    assert!(begin.elapsed() < Duration::from_secs(5));
}

fn an_executor_that_cannot_train_says_why(mut executor: impl Executor) {
    executor.submit(trial(1, 5)).unwrap();
    let begin = Instant::now();
    let error = loop {
        assert!(begin.elapsed() < Duration::from_secs(30), "it says nothing");
        match executor.next(Duration::from_millis(50)) {
            Ok(event) => assert_eq!(event, None),
            Err(error) => break error,
        }
    };
    assert!(error.to_string().contains("no such data set"), "{error}");
}
