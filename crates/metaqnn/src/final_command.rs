//! `metaqnn final`: the best networks of a study trained fully, measured once on the test data, and the best of them together.

use std::time::Instant;

use anyhow::{Context, Result, bail};
use metaqnn_core::ports::{CandidateLength, Job, Storage};
use metaqnn_core::settings::{self, Settings};
use metaqnn_core::study::{Finalist, PlannedTraining, plan_final_trainings};
use metaqnn_exec::WorkerPool;
use metaqnn_exec::protocol::WorkerSetup;
use metaqnn_store::{StoredTrial, StudyFile};
use metaqnn_train::ComputeDevice;

use crate::arguments::{FinalArguments, StudyDataArguments};
use crate::ensemble::{self, Measuring};
use crate::final_budget::{Budget, Pace, measure_epoch};
use crate::final_jobs::{FinalJobs, Stage, candidate_job, checkpoint, final_job, remove_checkpoints};
use crate::final_table::FinalTable;
use crate::interrupt::{INTERRUPTED, Interrupt};
use crate::setup::StudyData;
use crate::{display, setup};

/// Networks that are trained fully where nothing else is asked for (method: the top ten).
const FINALISTS: usize = 10;

/// FLOPs of a training step over those of the forward pass, by which the validation of a trial is counted.
const TRAINING_OVER_FORWARD: f64 = 3.0;

/// The final trainings of a study.
struct FinalTrainings {
    file: StudyFile,
    settings: Settings,
    device: ComputeDevice,
    setup: WorkerSetup,
    place: StudyDataArguments,
    budget: Option<Budget>,
    /// Threads with which the trials were trained.
    trial_threads: u32,
    /// Training and validation images, and training images alone.
    images: [usize; 2],
    interrupted: Interrupt,
}

/// Trains the best networks of a study fully, or goes on with it, and prints the table.
pub(crate) fn train_finally(arguments: &FinalArguments) -> Result<i32> {
    let begin = Instant::now();
    let mut trainings = FinalTrainings::open(arguments, begin)?;
    trainings.extend_plan(arguments)?;
    let failures = match trainings.train()? {
        Some(failures) => failures,
        None => {
            trainings.file.close()?;
            let study = arguments.study.display();
            eprintln!("stopped; nothing but the epoch in training is lost. To go on:\n  metaqnn final {study}");
            return Ok(INTERRUPTED);
        }
    };
    trainings.settle_ensemble(arguments)?;
    let table = FinalTable::read(trainings.file.reader())?;
    trainings.file.close()?;
    if arguments.json {
        println!("{}", table.json(&arguments.study));
    } else {
        print!("{}", table.text());
    }
    if !failures.is_empty() {
        bail!("{} could not be trained:\n{}", display::count(failures.len() as u64, "network"), failures.join("\n"));
    }
    Ok(0)
}

impl FinalTrainings {
    fn open(arguments: &FinalArguments, begin: Instant) -> Result<Self> {
        let file = StudyFile::open(&arguments.study)?;
        let header = file.header()?;
        let mut document = setup::document_of_study(&arguments.study, &header)?;
        let trial_threads = setup::checked(&document)?.search.threads;
        let threads = arguments.threads.map(|threads| format!("threads={threads}"));
        let device = arguments.device.as_ref().map(|device| format!("device={device:?}"));
        for assignment in threads.into_iter().chain(device) {
            settings::set(&mut document, &format!("search.{assignment}"))?;
        }
        let mut settings = setup::checked(&document)?;
        let device = metaqnn_train::parse_device(&settings.search.device)?;
        if arguments.threads.is_none() {
            settings.search.threads = setup::all_threads(&settings);
        }
        let place = arguments.place.clone();
        let reading = setup::reading_of_study(file.reader())?;
        let StudyData { data, argument, data_dir } = setup::data_of_study(&arguments.study, &header, &reading, &place)?;
        if data.test.is_empty() {
            bail!("data set {}: it has no test images, so nothing can be measured", data.name);
        }
        Ok(FinalTrainings {
            settings,
            device,
            place,
            budget: arguments.budget.map(|seconds| Budget { begin, seconds }),
            setup: WorkerSetup {
                data: argument,
                data_dir,
                reading: serde_json::to_string(&reading)?,
                data_fingerprint: header.data_fingerprint,
                image_size: setup::image_size(header.input)?.to_string(),
                settings: document.to_string(),
                results: file.path().into(),
            },
            trial_threads,
            images: [data.train.len() + data.valid.len(), data.train.len()],
            interrupted: Interrupt::watch(file.path())?,
            file,
        })
    }

    /// Plans what is asked for beyond the stored plan. A plan that is there is kept, so that a run after a kill does the same.
    fn extend_plan(&mut self, arguments: &FinalArguments) -> Result<()> {
        let plan = self.file.final_plan()?;
        let models = arguments.models.map(|models| models as usize).unwrap_or(if plan.is_empty() {
            FINALISTS
        } else {
            plan.len()
        });
        let ranked = self.file.reader().top(models)?;
        if ranked.is_empty() {
            bail!("{}: no network of it has learned yet", arguments.study.display());
        }
        let is_new = |trial: &&StoredTrial| plan.iter().all(|planned| planned.trial != trial.record.trial);
        let finalists: Vec<Finalist> = ranked.iter().filter(is_new).map(|trial| self.finalist(trial)).collect();
        if finalists.is_empty() || (!plan.is_empty() && arguments.models.is_none()) {
            if arguments.budget.is_some() {
                eprintln!("the study's plan is made already: --budget changes nothing; more networks with --models");
            }
            return Ok(());
        }
        // The same command after a kill: the budget has been divided already.
        if arguments.budget.is_some() && self.is_unfinished(&plan)? {
            eprintln!("going on with the study's plan; --budget is for what is planned when it is done");
            return Ok(());
        }
        let training = &self.settings.final_phase.training;
        let epochs = training.epochs_of(self.images[0].div_ceil(training.batch_size as usize));
        let share = self.settings.final_phase.share_of_candidates();
        let (finalists, seconds) = match self.budget {
            Some(budget) => {
                let finalists = self.with_measured_speed(finalists, &ranked, budget)?;
                (finalists, Some((budget.seconds - budget.begin.elapsed().as_secs_f64()).max(0.0)))
            }
            None => (finalists, None),
        };
        if self.interrupted.is_set() {
            return Ok(());
        }
        let planned = plan_final_trainings(&finalists, &self.file.finals()?, epochs, share, seconds);
        if let Some(first) = planned.first() {
            eprintln!(
                "{} to train for {} each",
                display::count(planned.len() as u64, "network"),
                display::count(first.final_epochs.into(), "epoch")
            );
        }
        self.file.extend_final_plan(&planned)?;
        Ok(())
    }

    /// The finalists with the seconds of an epoch that the first one shows in a moment of training, instead of those of the trials.
    fn with_measured_speed(
        &self,
        mut finalists: Vec<Finalist>,
        ranked: &[StoredTrial],
        budget: Budget,
    ) -> Result<Vec<Finalist>> {
        let Some(first) = finalists.first() else { return Ok(finalists) };
        let Some(trial) = ranked.iter().find(|trial| trial.record.trial == first.trial) else { return Ok(finalists) };
        eprintln!("measuring how fast trial {} trains", first.trial);
        let job = candidate_job(&self.file, trial, CandidateLength::Epochs(1));
        let [all, train] = self.images.map(|images| images as f64);
        if let Some(seconds) = measure_epoch(&mut self.pool()?, job, budget.seconds, &self.interrupted)? {
            let slower = seconds * all / train / first.seconds_an_epoch.max(1e-9);
            finalists.iter_mut().for_each(|finalist| finalist.seconds_an_epoch *= slower);
        }
        Ok(finalists)
    }

    fn is_unfinished(&self, plan: &[PlannedTraining]) -> Result<bool> {
        let finals = self.file.finals()?;
        Ok(plan.iter().any(|planned| !planned.is_done(&finals)))
    }

    /// Predicts the time of an epoch from that of the trial, which was measured.
    fn finalist(&self, trial: &StoredTrial) -> Finalist {
        let evaluation = &trial.record.evaluation;
        let part = |asked: u32, all: usize| if asked == 0 { all } else { all.min(asked as usize) } as f64;
        let training = &self.settings.training;
        let [all, train] = self.images;
        let images =
            part(training.train_images, train) + part(training.valid_images, all - train) / TRAINING_OVER_FORWARD;
        let seconds_an_image = evaluation.train_seconds / (f64::from(evaluation.epochs.max(1)) * images.max(1.0));
        Finalist { trial: trial.record.trial, seconds_an_epoch: seconds_an_image * all as f64 * self.slower() }
    }

    /// Time with the threads of a trial over time with those of the final training.
    fn slower(&self) -> f64 {
        match self.device {
            ComputeDevice::Cpu => f64::from(self.trial_threads) / f64::from(self.settings.search.threads),
            ComputeDevice::Burn(_) => 1.0,
        }
    }

    /// Trains what is planned and not done yet; gives the reasons of those that failed, `None` after an interruption.
    fn train(&mut self) -> Result<Option<Vec<String>>> {
        if self.interrupted.is_set() {
            return Ok(None);
        }
        let mut failures = Vec::new();
        let mut left_out = Vec::new();
        let plan = self.file.final_plan()?;
        let count = plan.len();
        // A trial is planned once, so what was done before says whether it is open.
        let finals = self.file.finals()?;
        let mut open = Vec::new();
        for (place, planned) in (1..).zip(plan) {
            if planned.is_done(&finals) {
                remove_checkpoints(&self.file, planned.trial);
                continue;
            }
            let trial = self.file.reader().trial(planned.trial)?.context("a planned trial is not in the study")?;
            open.push((place, self.predicted_seconds(&planned, &trial), planned, trial));
        }
        let mut predicted_left: f64 = open.iter().map(|(_, predicted, ..)| predicted).sum();
        let mut pace = Pace::default();
        let mut pool = None;
        for (place, predicted, planned, trial) in open {
            // The first one is always trained.
            let fits = pool.is_none() || self.budget.is_none_or(|budget| budget.has_time_for(pace.likely(predicted)));
            if !left_out.is_empty() || !fits {
                left_out.push(planned.trial.to_string());
                continue;
            }
            let pool = match &mut pool {
                Some(pool) => pool,
                none => none.insert(self.pool()?),
            };
            let left = display::duration(pace.likely(predicted_left));
            let what = format!("{place} of {count}, about {left} left: trial {}", planned.trial);
            eprintln!("{}", display::with_architecture(&what, &trial.record.architecture));
            let stages = [Stage::Candidate, Stage::Final];
            let goes_on = stages.iter().any(|stage| checkpoint(&self.file, *stage, planned.trial).exists());
            let begin = Instant::now();
            match self.train_one(&planned, &trial, pool)? {
                Some(reasons) => failures.extend(reasons),
                None => return Ok(None),
            }
            predicted_left -= predicted;
            if !goes_on {
                pace.note(predicted, begin.elapsed().as_secs_f64());
            }
        }
        if !left_out.is_empty() {
            let trials = display::count(left_out.len() as u64, "network");
            eprintln!(
                "no time is left for {trials} of the plan (trials {}); without --budget the same command trains them",
                left_out.join(", ")
            );
        }
        Ok(Some(failures))
    }

    /// Seconds that the trainings of a network are likely to take.
    fn predicted_seconds(&self, planned: &PlannedTraining, trial: &StoredTrial) -> f64 {
        let [all, train] = self.images.map(|images| images as f64);
        let epochs = f64::from(planned.final_epochs) + f64::from(planned.candidate_epochs) * train / all;
        self.finalist(trial).seconds_an_epoch * epochs
    }

    fn pool(&self) -> Result<WorkerPool> {
        setup::start_workers(self.setup.clone(), 1, self.settings.search.threads)
    }

    /// Trains a network on the training images and validates it, then on all, and measures it; gives why that failed, where it did,
    /// and `None` after an interruption.
    fn train_one(
        &mut self,
        planned: &PlannedTraining,
        trial: &StoredTrial,
        pool: &mut WorkerPool,
    ) -> Result<Option<Vec<String>>> {
        if !self.was_validated(planned)? {
            let job = candidate_job(&self.file, trial, CandidateLength::Epochs(planned.candidate_epochs));
            let failures = self.work(Job::Candidate(job), "validation", pool)?;
            if failures.as_ref().is_none_or(|failures| !failures.is_empty()) {
                return Ok(failures);
            }
        }
        let job = final_job(&self.file, trial, Some(planned.final_epochs), None)?;
        self.work(Job::Final(job), "final training", pool)
    }

    /// Whether the validation that is planned is needed no more: it failed, or was as long and its probabilities are kept.
    fn was_validated(&self, planned: &PlannedTraining) -> Result<bool> {
        if planned.candidate_epochs == 0 {
            return Ok(true);
        }
        let candidates = self.file.candidates()?;
        let validated = candidates.iter().find(|candidate| candidate.trial == planned.trial);
        let Some(validated) = validated else { return Ok(false) };
        Ok(validated.valid_accuracy.is_none()
            || validated.epochs >= planned.candidate_epochs
                && self.file.reader().validation_probabilities(planned.trial)?.is_some())
    }

    fn work(&mut self, job: Job, what: &str, pool: &mut WorkerPool) -> Result<Option<Vec<String>>> {
        FinalJobs { file: &mut self.file, pool, interrupted: &self.interrupted, what, clock: None }.run(vec![job])
    }

    /// Chooses the ensemble of what was trained, on as many threads as the trainings had.
    fn settle_ensemble(&mut self, arguments: &FinalArguments) -> Result<()> {
        let (study, place) = (arguments.study.as_path(), &self.place);
        let threads = self.settings.search.threads as usize;
        let threads =
            rayon::ThreadPoolBuilder::new().num_threads(threads).build().context("threads cannot be started")?;
        let measuring = Measuring { study, place, device: &self.device };
        let (file, settings) = (&mut self.file, &self.settings);
        threads.install(|| ensemble::settle(file, settings, &measuring))
    }
}
