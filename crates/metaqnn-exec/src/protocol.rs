//! What coordinator and worker say to each other: one JSON value a line.
//!
//! The coordinator says a [`Greeting`], the [`WorkerSetup`], then a [`Job`](metaqnn_core::ports::Job) whenever the worker has none. The
//! worker says [`Report`]s, the first one its own [`Report::Hello`]. Both begin with the version of the protocol, since the program's file may
//! be replaced while a search runs. What is too large for a line, weights and probabilities, is handed over in a file.

use std::path::PathBuf;

use metaqnn_core::ports::{CandidateEvaluation, FinalEvaluation, JobError, TrainingProgress, lossless_path};
use metaqnn_core::study::Evaluation;
use serde::{Deserialize, Serialize};

/// The version of the protocol. To be raised with every change by which one side would misunderstand the other.
pub const PROTOCOL: u32 = 2;

/// Where a worker's reports go.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ReportChannel {
    /// Back over standard input, a socket: nothing but reports goes there, and what a trainer prints goes to standard error.
    #[cfg(unix)]
    Socket,
    /// Over standard output, each on a line that begins with [`MARK`]; other lines there are passed on to standard error.
    StandardOutput,
}

/// What reports on standard output begin with.
pub const MARK: &str = "metaqnn-report ";

#[allow(clippy::derivable_impls, reason = "the default depends on the system")]
impl Default for ReportChannel {
    fn default() -> Self {
        #[cfg(unix)]
        let channel = ReportChannel::Socket;
        #[cfg(not(unix))]
        let channel = ReportChannel::StandardOutput;
        channel
    }
}

/// The first line that a worker reads. The same in every version of the protocol.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Greeting {
    /// The coordinator's [`PROTOCOL`].
    pub protocol: u32,
    /// Where reports are to go.
    pub reports: ReportChannel,
}

/// What a worker needs before its first job.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WorkerSetup {
    /// The DATA argument.
    pub data: String,
    /// Folder of the data sets.
    #[serde(with = "lossless_path")]
    pub data_dir: PathBuf,
    /// How own data are read, as JSON.
    pub reading: String,
    /// Fingerprint that the data must have: they may have changed since the coordinator read them.
    pub data_fingerprint: String,
    /// HEIGHTxWIDTH that the images have or are resized to.
    pub image_size: String,
    /// Every setting, as TOML.
    pub settings: String,
    /// What the names of the files begin with in which results are handed over; `.final-7.weights` follows.
    #[serde(with = "lossless_path")]
    pub results: PathBuf,
}

/// What a worker says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Report {
    /// The first: its [`PROTOCOL`]. The same in every version of the protocol.
    Hello(u32),
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
    /// The training of a candidate ended; so many bytes of probabilities lie in its file, 32-bit floats, little-endian.
    Candidate(CandidateEvaluation, u64),
    /// A final training ended; so many bytes of weights lie in its file.
    Final(FinalEvaluation, u64),
    /// A job of the final phase has no result.
    JobFailed(JobError),
}
