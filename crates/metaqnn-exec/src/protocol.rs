//! What coordinator and worker say to each other: one JSON value a line. A line from the worker that announces weights or
//! probabilities is followed by that many bytes.

use metaqnn_core::ports::{
    CandidateEvaluation, CandidateJob, FinalEvaluation, FinalJob, JobError, TrainingProgress, TrialJob,
};
use metaqnn_core::study::Evaluation;
use serde::{Deserialize, Serialize};

/// What a worker needs before its first job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerSetup {
    /// The DATA argument.
    pub data: String,
    /// Folder of the data sets.
    pub data_dir: String,
    /// How own data are read, as JSON.
    pub reading: String,
    /// Fingerprint that the data must have: they may have changed since the coordinator read them.
    pub data_fingerprint: String,
    /// HEIGHTxWIDTH that the images have or are resized to.
    pub image_size: String,
    /// Every setting, as TOML.
    pub settings: String,
}

/// A job for a worker.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Job {
    /// Train and validate.
    Trial(TrialJob),
    /// Train as finally, but shorter, and validate.
    Candidate(CandidateJob),
    /// Train on everything and measure on the test data.
    Final(FinalJob),
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// Its process runs; said every few seconds, whatever else it does.
    Alive,
    /// It has its data and waits for jobs.
    Ready,
    /// It cannot work at all.
    Unable(String),
    /// The training goes on.
    Progress(TrainingProgress),
    /// The training of a trial ended.
    Evaluated(Evaluation),
    /// The training of a candidate ended; so many bytes of probabilities follow, 32-bit floats, little-endian.
    Candidate(CandidateEvaluation, u64),
    /// A final training ended; so many bytes of weights follow.
    Final(FinalEvaluation, u64),
    /// A job of the final phase has no result.
    JobFailed(JobError),
}
