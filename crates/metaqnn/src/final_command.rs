//! `metaqnn final`: the best networks of a study trained fully and measured once on the test data.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use metaqnn_core::ports::{CandidateJob, CandidateLength, FinalJob, Storage};
use metaqnn_core::settings::{self, Settings};
use metaqnn_core::space::Architecture;
use metaqnn_core::study::{
    CandidateRecord, Failure, FinalRecord, Finalist, Outcome, PlannedTraining, TrialNumber, plan_final_trainings,
};
use metaqnn_exec::protocol::{Job, WorkerSetup};
use metaqnn_exec::{PoolEvent, WorkerPool};
use metaqnn_store::{StoredTrial, StudyFile};
use toml_edit::DocumentMut;

use crate::arguments::FinalArguments;
use crate::final_table::FinalTable;
use crate::progress::Progress;
use crate::run::{INTERRUPTED, watch_for_interrupt};
use crate::{display, setup};

/// Networks that are trained fully where nothing else is asked for (method: the top ten).
const FINALISTS: usize = 10;

/// FLOPs of a training step over those of the forward pass, by which the validation of a trial is counted.
const TRAINING_OVER_FORWARD: f64 = 3.0;

/// The final trainings of a study.
struct FinalTrainings {
    file: StudyFile,
    settings: Settings,
    setup: WorkerSetup,
    /// Threads with which the trials were trained.
    trial_threads: u32,
    /// Training and validation images, and training images alone.
    images: [usize; 2],
    interrupted: Arc<AtomicBool>,
}

/// How a training ended.
enum Ended {
    Done,
    /// Without a network, for this reason.
    Failed(String),
    Interrupted,
}

/// Trains the best networks of a study fully, or goes on with it, and prints the table.
pub(crate) fn train_finally(arguments: &FinalArguments) -> Result<i32> {
    let mut trainings = FinalTrainings::open(arguments)?;
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
    fn open(arguments: &FinalArguments) -> Result<Self> {
        let file = StudyFile::open(&arguments.study)?;
        let header = file.header()?;
        let mut document = header.settings.parse::<DocumentMut>().context("the study's settings cannot be read")?;
        let trial_threads = setup::checked(&document)?.search.threads;
        let threads = arguments.threads.map(|threads| format!("threads={threads}"));
        let device = arguments.device.as_ref().map(|device| format!("device={device:?}"));
        for assignment in threads.into_iter().chain(device) {
            settings::set(&mut document, &format!("search.{assignment}"))?;
        }
        let mut settings = setup::checked(&document)?;
        metaqnn_train::parse_device(&settings.search.device)?;
        if arguments.threads.is_none() {
            settings.search.threads = setup::all_threads(&settings);
        }
        let data_dir = arguments.data_dir.data_dir.as_deref();
        let (data, data_dir) = setup::data_of_study(&arguments.study, &header, data_dir)?;
        if data.test.is_empty() {
            bail!("data set {}: it has no test images, so nothing can be measured", data.name);
        }
        Ok(FinalTrainings {
            settings,
            setup: WorkerSetup {
                data: header.data,
                data_dir: data_dir.display().to_string(),
                image_size: setup::image_size(header.input)?.to_string(),
                settings: document.to_string(),
            },
            trial_threads,
            images: [data.train.len() + data.valid.len(), data.train.len()],
            interrupted: watch_for_interrupt()?,
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
        let is_new = |trial: &&StoredTrial| {
            trial.test_accuracy.is_none() && plan.iter().all(|planned| planned.trial != trial.record.trial)
        };
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
        let planned = plan_final_trainings(&finalists, epochs, share, arguments.budget);
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

    fn is_unfinished(&self, plan: &[PlannedTraining]) -> Result<bool> {
        let finals = self.file.finals()?;
        Ok(plan.iter().any(|planned| finals.iter().all(|done| done.trial != planned.trial)))
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
        match metaqnn_train::parse_device(&self.settings.search.device) {
            Ok(metaqnn_train::ComputeDevice::Cpu) => {
                f64::from(self.trial_threads) / f64::from(self.settings.search.threads)
            }
            _ => 1.0,
        }
    }

    /// Trains what is planned and not done yet; gives the reasons of those that failed, `None` after an interruption.
    fn train(&mut self) -> Result<Option<Vec<String>>> {
        let mut failures = Vec::new();
        let plan = self.file.final_plan()?;
        let count = plan.len();
        let mut pool = None;
        for (place, planned) in (1..).zip(plan) {
            let trial = self.file.reader().trial(planned.trial)?.context("a planned trial is not in the study")?;
            if trial.test_accuracy.is_some() {
                self.remove_checkpoints(planned.trial);
                continue;
            }
            let pool = match &mut pool {
                Some(pool) => pool,
                none => none.insert(self.pool()?),
            };
            let architecture = &trial.record.architecture;
            eprintln!(
                "{}",
                display::with_architecture(&format!("{place} of {count}: trial {}", planned.trial), architecture)
            );
            match self.train_one(&planned, &trial, pool)? {
                Ended::Done => self.remove_checkpoints(planned.trial),
                Ended::Failed(reason) => {
                    eprintln!("trial {}: {reason}", planned.trial);
                    failures.push(format!("trial {}: {reason}", planned.trial));
                }
                Ended::Interrupted => return Ok(None),
            }
        }
        Ok(Some(failures))
    }

    fn pool(&self) -> Result<WorkerPool> {
        let program = std::env::current_exe().context("the program's own file is not found")?;
        Ok(WorkerPool::start(program, self.setup.clone(), 1, self.settings.search.threads)?)
    }

    /// Trains a network on the training images and validates it, then on all, and measures it.
    fn train_one(&mut self, planned: &PlannedTraining, trial: &StoredTrial, pool: &mut WorkerPool) -> Result<Ended> {
        let (number, seed) = (planned.trial, trial.record.seed);
        let architecture = || trial.record.architecture.clone();
        let was_validated = self.file.candidates()?.iter().any(|candidate| candidate.trial == number);
        if planned.candidate_epochs > 0 && !was_validated {
            let length = CandidateLength::Epochs(planned.candidate_epochs);
            let checkpoint = Some(self.checkpoint(number, "candidate"));
            let job = CandidateJob { trial: number, architecture: architecture(), seed, length, checkpoint };
            let ended = self.wait(Job::Candidate(job), "validation", &trial.record.architecture, pool)?;
            if !matches!(ended, Ended::Done) {
                return Ok(ended);
            }
        }
        let job = FinalJob {
            trial: number,
            architecture: architecture(),
            seed,
            time_limit_seconds: None,
            epochs: Some(planned.final_epochs),
            checkpoint: Some(self.checkpoint(number, "final")),
        };
        self.wait(Job::Final(job), "final training", &trial.record.architecture, pool)
    }

    /// Waits for the end of a job and stores what came of it.
    fn wait(&mut self, job: Job, what: &str, architecture: &Architecture, pool: &mut WorkerPool) -> Result<Ended> {
        let mut progress = Progress::new(pool.len(), self.file.path(), what);
        // The one worker is idle, so the job is taken.
        let _ = pool.submit(job);
        loop {
            if self.interrupted.load(Ordering::SeqCst) {
                return Ok(Ended::Interrupted);
            }
            match pool.next(Duration::from_millis(200))? {
                Some(PoolEvent::Evaluated(trial, evaluation)) => {
                    if let Outcome::Failed {
                        failure: failure @ (Failure::Worker { .. } | Failure::WorkerDied { .. }),
                    } = &evaluation.outcome
                    {
                        // Not the network's fault: it is not recorded as one that failed.
                        return Ok(Ended::Failed(failure.to_string()));
                    }
                    self.file.store_candidate(&CandidateRecord::new(trial, &evaluation))?;
                    return Ok(Ended::Done);
                }
                Some(PoolEvent::Final(trial, Ok(result))) => {
                    self.file.store_final(&FinalRecord::new(trial, result))?;
                    return Ok(Ended::Done);
                }
                Some(PoolEvent::Final(_, Err(reason))) => return Ok(Ended::Failed(reason)),
                Some(PoolEvent::Progress(worker, trial, step)) => {
                    progress.worker(worker, trial, architecture, &step);
                }
                None => {}
            }
            progress.final_status(what, None);
        }
    }

    /// Where the state of a training is kept while it goes on: beside the study.
    fn checkpoint(&self, trial: TrialNumber, stage: &str) -> PathBuf {
        let mut path = self.file.path().as_os_str().to_owned();
        path.push(format!(".{stage}-{trial}.checkpoint"));
        path.into()
    }

    /// Removes what a stored result has made useless.
    fn remove_checkpoints(&self, trial: TrialNumber) {
        for stage in ["candidate", "final"] {
            metaqnn_train::remove_checkpoint(&self.checkpoint(trial, stage));
        }
    }
}
