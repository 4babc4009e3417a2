//! Which files a data set has, where they lie, and how each is read.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::cifar::{self, Records};
use crate::data_set::LabelledImages;
use crate::error::DataError;
use crate::file_reader::FileReader;
use crate::source::DataSource;
use crate::{idx, svhn};

/// The part of a data set, as published, that a file belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Part {
    Train,
    Test,
    /// More training images, which only the final phase uses (SVHN).
    Extra,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Contents {
    IdxImages,
    IdxLabels,
    Cifar(Records),
    Svhn,
}

/// One file of a data set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DataFile {
    /// Its name, without the `.gz` it may have.
    pub(crate) name: &'static str,
    pub(crate) part: Part,
    pub(crate) contents: Contents,
    /// How many images, or labels, it was published with.
    pub(crate) published: usize,
}

/// What was read from a file.
pub(crate) enum Read {
    Pixels(Vec<u8>),
    Labels(Vec<u16>),
    Images(LabelledImages),
}

const fn file(name: &'static str, part: Part, contents: Contents, published: usize) -> DataFile {
    DataFile { name, part, contents, published }
}

const MNIST: [DataFile; 4] = [
    file("train-images-idx3-ubyte", Part::Train, Contents::IdxImages, 60_000),
    file("train-labels-idx1-ubyte", Part::Train, Contents::IdxLabels, 60_000),
    file("t10k-images-idx3-ubyte", Part::Test, Contents::IdxImages, 10_000),
    file("t10k-labels-idx1-ubyte", Part::Test, Contents::IdxLabels, 10_000),
];

const CIFAR10: [DataFile; 6] = [
    file("data_batch_1.bin", Part::Train, Contents::Cifar(Records::Cifar10), 10_000),
    file("data_batch_2.bin", Part::Train, Contents::Cifar(Records::Cifar10), 10_000),
    file("data_batch_3.bin", Part::Train, Contents::Cifar(Records::Cifar10), 10_000),
    file("data_batch_4.bin", Part::Train, Contents::Cifar(Records::Cifar10), 10_000),
    file("data_batch_5.bin", Part::Train, Contents::Cifar(Records::Cifar10), 10_000),
    file("test_batch.bin", Part::Test, Contents::Cifar(Records::Cifar10), 10_000),
];

const CIFAR100: [DataFile; 2] = [
    file("train.bin", Part::Train, Contents::Cifar(Records::Cifar100), 50_000),
    file("test.bin", Part::Test, Contents::Cifar(Records::Cifar100), 10_000),
];

const SVHN: [DataFile; 3] = [
    file("train_32x32.mat", Part::Train, Contents::Svhn, 73_257),
    file("test_32x32.mat", Part::Test, Contents::Svhn, 26_032),
    file("extra_32x32.mat", Part::Extra, Contents::Svhn, 531_131),
];

/// All files of a data set, in the order they are read; none of the embedded digits.
pub(crate) fn files_of(source: DataSource) -> &'static [DataFile] {
    match source {
        DataSource::Digits => &[],
        DataSource::Mnist | DataSource::FashionMnist => &MNIST,
        DataSource::Cifar10 => &CIFAR10,
        DataSource::Cifar100 => &CIFAR100,
        DataSource::Svhn => &SVHN,
    }
}

impl DataFile {
    /// The names it may have in the data set's folder, the one `fetch` gives it first.
    fn names(&self) -> Vec<String> {
        let name = self.name;
        match self.contents {
            Contents::IdxImages | Contents::IdxLabels => {
                let dotted = name.replace("-idx", ".idx");
                vec![format!("{name}.gz"), name.to_owned(), format!("{dotted}.gz"), dotted]
            }
            // The published archives unpack into a folder of their own.
            Contents::Cifar(Records::Cifar10) => vec![name.to_owned(), format!("cifar-10-batches-bin/{name}")],
            Contents::Cifar(Records::Cifar100) => vec![name.to_owned(), format!("cifar-100-binary/{name}")],
            Contents::Svhn => vec![name.to_owned()],
        }
    }

    /// Where it lies in the data set's folder; `None` if it is not there.
    pub(crate) fn locate(&self, folder: &Path) -> Result<Option<PathBuf>, DataError> {
        for name in self.names() {
            let path = folder.join(name);
            match fs::metadata(&path) {
                Ok(metadata) if metadata.is_file() => return Ok(Some(path)),
                Ok(_) => {}
                Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {}
                Err(error) => return Err(DataError::io("read", path)(error)),
            }
        }
        Ok(None)
    }

    /// Reads the file at `path`.
    pub(crate) fn read(&self, source: DataSource, path: &Path) -> Result<Read, DataError> {
        let reader = &mut FileReader::open(path)?;
        Ok(match self.contents {
            Contents::IdxImages => Read::Pixels(idx::read_images(reader, source.shape())?),
            Contents::IdxLabels => Read::Labels(idx::read_labels(reader, source.class_names().len())?),
            Contents::Cifar(records) => Read::Images(cifar::read_images(reader, records, self.published)?),
            Contents::Svhn => Read::Images(svhn::read_images(reader)?),
        })
    }

    /// Whether the file at `path` can be read and holds as many images as were published.
    pub(crate) fn is_whole(&self, source: DataSource, path: &Path) -> bool {
        let count = self.read(source, path).map(|read| match read {
            Read::Pixels(pixels) => pixels.len() / source.shape().pixels(),
            Read::Labels(labels) => labels.len(),
            Read::Images(images) => images.len(),
        });
        count.is_ok_and(|count| count == self.published)
    }
}

/// Where the files of the given parts lie, in the order of [`files_of`].
///
/// # Errors
/// [`DataError::MissingFiles`], naming all that are missing.
pub(crate) fn locate(
    source: DataSource,
    parts: &[Part],
    data_dir: &Path,
) -> Result<Vec<(DataFile, PathBuf)>, DataError> {
    let folder = data_dir.join(source.name());
    let (mut found, mut missing) = (Vec::new(), Vec::new());
    for file in files_of(source).iter().filter(|file| parts.contains(&file.part)) {
        match file.locate(&folder)? {
            Some(path) => found.push((*file, path)),
            None => missing.push(file.names().swap_remove(0)),
        }
    }
    if missing.is_empty() { Ok(found) } else { Err(DataError::MissingFiles { data: source, folder, missing }) }
}

/// Reads one part of a data set, all its files in order.
pub(crate) fn read_part(
    source: DataSource,
    part: Part,
    files: &[(DataFile, PathBuf)],
) -> Result<LabelledImages, DataError> {
    let mut images = LabelledImages::empty(source.shape());
    // IDX files hold images and labels apart: these are where each was found.
    let (mut images_path, mut labels_path) = (PathBuf::new(), PathBuf::new());
    for (file, path) in files.iter().filter(|(file, _)| file.part == part) {
        match file.read(source, path)? {
            Read::Pixels(pixels) => {
                images.pixels = pixels;
                images_path.clone_from(path);
            }
            Read::Labels(labels) => {
                images.labels = labels;
                labels_path.clone_from(path);
            }
            Read::Images(more) if images.is_empty() => images = more,
            Read::Images(more) => {
                images.pixels.extend_from_slice(&more.pixels);
                images.labels.extend_from_slice(&more.labels);
            }
        }
    }
    let count = images.pixels.len() / source.shape().pixels();
    if count != images.len() {
        return Err(DataError::CountMismatch { images_path, images: count, labels_path, labels: images.len() });
    }
    Ok(images)
}
