//! Image data sets for metaqnn: found, fetched, read, checked, split, normalized and augmented.
//!
//! Images stay the bytes they were stored as, NCHW, and become numbers batch by batch. Nothing here knows a tensor
//! library, and nothing draws a random number but from a generator handed to it.
//!
//! ```
//! use metaqnn_data::{DataSource, Normalizer, Preprocessing, SplitSettings, data_dir, load};
//!
//! let source: DataSource = "digits".parse()?;
//! let digits = load(&source, &data_dir(None)?, &SplitSettings::default())?;
//! assert_eq!((digits.train.len(), digits.valid.len(), digits.test.len()), (1_197, 300, 300));
//!
//! let normalizer = Normalizer::fit(Preprocessing::Standardize, &digits.train, digits.max_value);
//! let mut image = vec![0.0; digits.shape().pixels()];
//! normalizer.apply(digits.train.image(0), &mut image);
//! # Ok::<(), metaqnn_data::DataError>(())
//! ```
//!
//! # Reading order
//!
//! - `data_set`: [`LabelledImages`] and the [`DataSet`] of three splits, what all else is about;
//! - `source`: [`DataArgument`], a name or a path; [`DataSource`], the names of data sets, and [`data_dir`], where they lie;
//! - `load`: [`load_argument`] and [`load`], from a name to a data set; `files` says which files that takes and where they may lie;
//! - `own`: [`load_own`], people's own images, in folders, tables and arrays; [`load_for_evaluation`], the same to measure a model on;
//!   `image_file`, [`read_image`], one image file, of which `image_kind` says what it is, and `memory_gate` how many are decoded at once;
//! - `digits`, `idx`, `cifar`, `svhn`: one format each, read through `file_reader`, where every error gets its file
//!   and offset; `mat`, the container of `svhn`;
//! - `resize`: [`ImageSize`], images made larger or smaller as they are loaded;
//! - `split`: which images are for validation, and [`stratified_subset`];
//! - `normalize`, `augment`, `batches`: from bytes to what a network sees, the inner loop of training;
//! - `fetch`: [`fetch`], downloads from the public homes;
//! - `report`: [`list`] and [`check`], for people and scripts;
//! - `error`: [`DataError`].

mod augment;
mod batches;
mod cifar;
mod data_set;
mod digits;
mod error;
mod fetch;
mod file_reader;
mod files;
mod idx;
mod image_file;
mod image_kind;
mod load;
mod mat;
mod memory_gate;
mod normalize;
mod own;
mod report;
mod resize;
mod source;
mod split;
mod svhn;

pub use augment::{Augmentation, Showing};
pub use batches::{Batch, Batches, fill_batch};
pub use data_set::{DataSet, ImageShape, LabelledImages};
pub use error::{DataError, Problem};
pub use fetch::{FetchOutcome, FetchProgress, Fetched, FetchedFile, fetch, fetch_svhn_extra};
pub use image_file::read_image;
pub use load::{load, load_argument, load_svhn_extra};
pub use normalize::{Normalizer, Preprocessing};
pub use own::{
    EvaluationData, ImageList, ImageSplit, ImageSplits, LoadedData, MeasuredPart, PixelSummary, Reading, Rules,
    list_images, load_for_evaluation, load_own,
};
pub use report::{
    ClassCount, DataReport, Duplicates, KnownDataSet, ReportedFile, SplitCounts, check, check_argument, list,
};
pub use resize::ImageSize;
pub use source::{DataArgument, DataSource, data_dir};
pub use split::{DEFAULT_SPLIT_SEED, SplitSettings, stratified_subset};
