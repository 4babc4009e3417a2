//! The study as one SQLite file: its schema, its lock, how it is written and what can be asked of it.
//!
//! A study is written by one coordinator, [`StudyFile`], and read by any number of [`StudyReader`]s, also while it runs.
//! In reading order:
//!
//! - `schema.sql`: every table, and the triggers by which the file itself refuses that what is stored changes.
//! - `schema`: which file is a study, and how one of an older schema is brought to the current one.
//! - `lock`, `identity`: how a second coordinator is refused, and how a file that moves is noticed.
//! - `log_file`: the write-ahead log beside a study, and whether it belongs to it.
//! - `study_file`: creating, opening and closing, [`StudyFile`].
//! - `storage`: what is written, and when it is refused: [`Storage`](metaqnn_core::ports::Storage) for [`StudyFile`].
//! - `study_reader`: what can be asked of a study, [`StudyReader`].
//! - `memory_study`: a study that is nowhere, for tests of who writes one, [`MemoryStudy`].
//! - `checksums`, `verify`: SHA-256 of what is stored, and how a study is checked against it.
//! - `copy`, `new_file`: a copy of a study, also of one that runs, [`copy_study`].
//! - `beside`: the names of files beside a study.
//! - `running`: what is in training now, in a file beside the study, [`RunningState`].
//! - `rows`: how values are laid down in columns and read back.
//! - `error`: [`StoreError`], each naming the file and what to do.
//!
//! # What holds
//!
//! - **Durable.** While a coordinator runs, the file is in SQLite's write-ahead-log mode with `synchronous = FULL`: the log is
//!   synced at each commit, so what [`append`](metaqnn_core::ports::Storage::append) has stored survives the loss of
//!   power. With `NORMAL` the last commits could be lost, though the file would stay whole.
//! - **One file.** A clean close moves the log into the file and leaves nothing beside it. Only if a reader is connected at
//!   that moment does an empty `-wal` and a `-shm` file stay, until the next coordinator closes the study. After a kill
//!   the two hold what is not yet in the file: copy them with it.
//! - **Bit for bit.** Numbers come back as they were given, −0.0, infinities and 64-bit seeds included. A NaN comes back as a NaN,
//!   its payload lost; where no NaN makes sense (ε, seconds, accuracy) it is refused.
//! - **Damage is found.** Every row has a SHA-256, those of the log chained. A coordinator checks all rows before it goes on with a study; weights
//!   and probabilities are checked when they are read; [`StudyReader::verify`] checks everything. It is no proof against forgery.
//! - **One machine.** Readers share memory with the coordinator: on a network file system they must run on its host.
//!
//! ```
//! use metaqnn_core::graph::MapShape;
//! use metaqnn_core::ports::Storage;
//! use metaqnn_core::study::StudyHeader;
//! use metaqnn_store::{StudyFile, StudyReader};
//!
//! let folder = tempfile::tempdir()?;
//! let path = folder.path().join("digits.study");
//! let header = StudyHeader {
//!     version: "0.1.0".into(),
//!     created_at: 1_767_225_600,
//!     settings: String::new(),
//!     seed: 42,
//!     data: "digits".into(),
//!     data_fingerprint: "0".into(),
//!     input: MapShape::new(1, 8, 8),
//!     class_names: (0..10).map(|digit| digit.to_string()).collect(),
//! };
//! let mut study = StudyFile::create(&path, &header)?;
//! study.note_run_seconds(1.5)?;
//!
//! // Elsewhere, at the same time:
//! let reader = StudyReader::open(&path)?;
//! assert_eq!(reader.header()?, header);
//! assert_eq!(reader.counts()?.events, 0);
//! drop(reader);
//!
//! study.close()?;
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod beside;
mod checksums;
mod copy;
mod costs;
mod error;
mod identity;
mod lock;
mod log_file;
mod memory_study;
mod new_file;
mod rows;
mod running;
mod schema;
mod storage;
mod study_file;
mod study_reader;
mod verify;

#[cfg(test)]
mod speed;

pub use beside::beside;
pub use copy::copy_study;
pub use costs::{Cost, Costs};
pub use error::StoreError;
pub use lock::utc;
pub use memory_study::{MemoryError, MemoryStudy};
pub use metaqnn_core::study::{Detail, StoredTrial};
pub use running::{RunningFile, RunningState, RunningTraining};
pub use schema::{APPLICATION_ID, SCHEMA_VERSION};
pub use study_file::StudyFile;
pub use study_reader::{Counts, LoggedEvent, StudyReader};
pub use verify::Verified;
