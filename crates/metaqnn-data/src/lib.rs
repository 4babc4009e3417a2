//! Image data sets for metaqnn.
mod augment;
mod batches;
mod cifar;
mod data_set;
mod digits;
mod error;
mod file_reader;
mod files;
mod idx;
mod load;
mod mat;
mod normalize;
mod source;
mod split;
mod svhn;

pub use augment::Augmentation;
pub use batches::{Batch, Batches, fill_batch};
pub use data_set::{DataSet, ImageShape, LabelledImages};
pub use error::DataError;
pub use load::{load, load_svhn_extra};
pub use normalize::{Normalizer, Preprocessing};
pub use source::{DataSource, data_dir};
pub use split::{DEFAULT_SPLIT_SEED, SplitSettings, stratified_subset};
