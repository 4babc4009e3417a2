//! Files of the published data sets: the input is taken for each of them in turn, IDX images and labels, the binary version of
//! CIFAR-10 and CIFAR-100, SVHN's .mat.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use metaqnn_data::{DataSource, SplitSettings, load};
use metaqnn_fuzz::{demand_words, lay, scratch};

const MNIST: [&str; 4] =
    ["train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"];

/// A folder of data for each file that the input stands for: where the input goes, and what is read then.
static PLACES: LazyLock<Vec<(PathBuf, PathBuf, DataSource)>> = LazyLock::new(|| {
    let root = scratch("published");
    let mut places = Vec::new();
    // Two images and labels beside the one that is made up.
    let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28], [7; 2 * 28 * 28].as_slice()].concat();
    let labels = vec![0, 0, 8, 1, 0, 0, 0, 2, 1, 3];
    for (i, name) in MNIST.into_iter().enumerate() {
        let folder = root.join(name);
        for (j, other) in MNIST.into_iter().enumerate().filter(|(j, _)| *j != i) {
            lay(&folder.join("mnist").join(other), if j % 2 == 0 { &images } else { &labels });
        }
        places.push((folder.join("mnist").join(name), folder, DataSource::Mnist));
    }
    for file in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
        lay(&root.join(format!("cifar10/{file}.bin")), &[]);
    }
    places.push((root.join("cifar10/data_batch_1.bin"), root.clone(), DataSource::Cifar10));
    lay(&root.join("cifar100/test.bin"), &[]);
    places.push((root.join("cifar100/train.bin"), root.clone(), DataSource::Cifar100));
    lay(&root.join("svhn/test_32x32.mat"), include_bytes!("../seeds/published/svhn_one_image.mat"));
    places.push((root.join("svhn/train_32x32.mat"), root, DataSource::Svhn));
    places
});

fuzz_target!(|bytes: &[u8]| {
    for (file, folder, source) in PLACES.iter() {
        lay(file, bytes);
        let settings = SplitSettings { valid_images: Some(1), seed: 1 };
        match load(source, folder, &settings) {
            Ok(data) => assert!(!data.train.is_empty() && data.valid.len() == 1 && !data.test.is_empty()),
            Err(error) => demand_words(&error),
        }
    }
});
