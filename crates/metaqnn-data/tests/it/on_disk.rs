//! Small and made-up data sets, written to a folder and read back.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use metaqnn_data::{DataError, DataSource, SplitCounts, SplitSettings, check, list, load, load_svhn_extra};

const TEN: SplitSettings = SplitSettings { valid_images: Some(10), seed: 5 };

fn idx(dimensions: &[u32], values: &[u8]) -> Vec<u8> {
    let mut file = vec![0, 0, 8, dimensions.len() as u8];
    file.extend(dimensions.iter().flat_map(|dimension| dimension.to_be_bytes()));
    file.extend_from_slice(values);
    file
}

/// `n` images, each of one value, with labels in turn.
fn images(n: u32) -> Vec<u8> {
    idx(&[n, 28, 28], &(0..n).flat_map(|i| [i as u8; 784]).collect::<Vec<u8>>())
}

fn labels(n: u32) -> Vec<u8> {
    idx(&[n], &(0..n).map(|i| (i % 10) as u8).collect::<Vec<u8>>())
}

fn write(folder: &Path, name: &str, bytes: &[u8]) {
    fs::create_dir_all(folder).unwrap();
    let mut file = File::create(folder.join(name)).unwrap();
    if name.ends_with(".gz") {
        let mut encoder = flate2::write::GzEncoder::new(file, flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap();
    } else {
        file.write_all(bytes).unwrap();
    }
}

#[test]
fn the_digits_need_no_folder() {
    let data = load(&DataSource::Digits, Path::new("/nonexistent"), &SplitSettings::default()).unwrap();
    assert_eq!((data.train.len(), data.valid.len(), data.test.len()), (1_197, 300, 300));
    assert_eq!(data.shape().to_string(), "1x8x8");
    assert_eq!(data.max_value, 16);
    assert_eq!(data.train_and_valid().len(), 1_497);
    assert_eq!(data.mirror_is_safe, Some(false));
    // Frozen: a study stores it and refuses data that have changed.
    assert_eq!(data.fingerprint, "93829192b5da33ab483d843d9e4e2e24fa8faa6897515a320659c745a7efc2ef");
}

#[test]
fn the_digits_with_another_validation_set_keep_their_test_set() {
    let settings = SplitSettings { valid_images: Some(100), ..SplitSettings::default() };
    let data = load(&DataSource::Digits, Path::new("/nonexistent"), &settings).unwrap();
    let usual = load(&DataSource::Digits, Path::new("/nonexistent"), &SplitSettings::default()).unwrap();
    assert_eq!((data.train.len(), data.valid.len()), (1_397, 100));
    assert_eq!(data.test, usual.test);
    assert_ne!(data.fingerprint, usual.fingerprint);
}

#[test]
fn idx_files_of_every_spelling_are_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("mnist");
    write(&folder, "train-images-idx3-ubyte.gz", &images(40));
    write(&folder, "train-labels.idx1-ubyte", &labels(40));
    write(&folder, "t10k-images.idx3-ubyte.gz", &images(20));
    write(&folder, "t10k-labels-idx1-ubyte", &labels(20));
    let data = load(&DataSource::Mnist, root.path(), &TEN).unwrap();
    assert_eq!((data.train.len(), data.valid.len(), data.test.len()), (30, 10, 20));
    assert_eq!(data.valid.class_counts(10), [1; 10]);
    for images in [&data.train, &data.valid, &data.test] {
        for i in 0..images.len() {
            assert_eq!(u16::from(images.image(i)[0] % 10), images.labels[i]);
        }
    }
    assert_eq!(load(&DataSource::Mnist, root.path(), &TEN).unwrap(), data, "the same seed, the same split");
    let other = load(&DataSource::Mnist, root.path(), &SplitSettings { seed: 6, ..TEN }).unwrap();
    assert_ne!(other.valid, data.valid);
    assert_eq!(other.test, data.test);

    let report = check(&DataSource::Mnist, root.path(), &TEN).unwrap();
    assert_eq!(report.total, SplitCounts { train: 30, valid: 10, test: 20 });
    assert_eq!(report.duplicates.test_in_train + report.duplicates.test_in_valid, 20);
    assert_eq!(report.files.len(), 4);
    assert_eq!(report.as_published, Some(false));
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["class_counts"][3]["valid"], 1);
    assert!(report.to_string().contains(&data.fingerprint), "{report}");
}

#[test]
fn too_many_validation_images_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("fashion-mnist");
    for (part, n) in [("train", 40), ("t10k", 20)] {
        write(&folder, &format!("{part}-images-idx3-ubyte.gz"), &images(n));
        write(&folder, &format!("{part}-labels-idx1-ubyte.gz"), &labels(n));
    }
    let error = load(&DataSource::FashionMnist, root.path(), &SplitSettings::default()).unwrap_err();
    assert!(matches!(error, DataError::Split { wanted: 5_000, available: 40 }), "{error}");
}

#[test]
fn images_and_labels_that_do_not_fit_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("mnist");
    for (part, n) in [("train", 40), ("t10k", 20)] {
        write(&folder, &format!("{part}-images-idx3-ubyte"), &images(n));
        write(&folder, &format!("{part}-labels-idx1-ubyte"), &labels(n + u32::from(n == 20)));
    }
    let error = load(&DataSource::Mnist, root.path(), &TEN).unwrap_err().to_string();
    for part in ["t10k-images-idx3-ubyte holds 20 images", "t10k-labels-idx1-ubyte holds 21 labels"] {
        assert!(error.contains(part), "{error}");
    }
}

#[test]
fn missing_files_are_named_with_what_to_do() {
    let root = tempfile::tempdir().unwrap();
    write(&root.path().join("mnist"), "train-images-idx3-ubyte.gz", &images(1));
    let error = load(&DataSource::Mnist, root.path(), &TEN).unwrap_err().to_string();
    for part in [
        root.path().join("mnist").to_str().unwrap(),
        ": train-labels-idx1-ubyte.gz, t10k-images-idx3-ubyte.gz, t10k-labels-idx1-ubyte.gz.",
        "`metaqnn data fetch mnist`",
        "--data-dir",
    ] {
        assert!(error.contains(part), "{error}\nshould contain\n{part}");
    }
}

#[test]
fn svhn_files_are_read_and_the_extra_ones_apart() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures");
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("svhn");
    fs::create_dir_all(&folder).unwrap();
    fs::copy(fixtures.join("svhn_compressed.mat"), folder.join("train_32x32.mat")).unwrap();
    fs::copy(fixtures.join("svhn_small_element.mat"), folder.join("test_32x32.mat")).unwrap();
    let settings = SplitSettings { valid_images: Some(2), seed: 5 };
    let data = load(&DataSource::Svhn, root.path(), &settings).unwrap();
    assert_eq!((data.train.len(), data.valid.len(), data.test.len()), (10, 2, 3));
    assert!(matches!(load_svhn_extra(root.path()), Err(DataError::MissingFiles { .. })));
    fs::copy(fixtures.join("svhn_one_image.mat"), folder.join("extra_32x32.mat")).unwrap();
    assert_eq!(load_svhn_extra(root.path()).unwrap().labels, [0]);
    assert_eq!(load(&DataSource::Svhn, root.path(), &settings).unwrap(), data, "extra images are no part of it");
}

#[test]
fn cifar100_is_read_from_the_folder_its_archive_unpacks_into() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("cifar100/cifar-100-binary");
    fs::create_dir_all(&folder).unwrap();
    for (name, records) in [("train.bin", 50_000), ("test.bin", 10_000)] {
        // All zeros, without a byte on the disk: a black apple in every record.
        File::create(folder.join(name)).unwrap().set_len(records * 3_074).unwrap();
    }
    let data = load(&DataSource::Cifar100, root.path(), &SplitSettings::default()).unwrap();
    assert_eq!((data.train.len(), data.valid.len(), data.test.len()), (45_000, 5_000, 10_000));
    assert_eq!(data.classes(), 100);
    assert_eq!(data.valid.class_counts(100)[0], 5_000);
}

#[test]
fn the_list_tells_what_is_present() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("mnist");
    for part in ["train", "t10k"] {
        write(&folder, &format!("{part}-images-idx3-ubyte"), &images(1));
        write(&folder, &format!("{part}-labels-idx1-ubyte"), &labels(1));
    }
    let known = list(root.path());
    let present: Vec<&str> = known.iter().filter(|data| data.present).map(|data| data.name).collect();
    assert_eq!(present, ["digits", "mnist"]);
    assert_eq!(known[3].home, Some("https://www.cs.toronto.edu/~kriz/"));
    assert_eq!((known[5].train_images, known[5].test_images), (73_257, 26_032));
}
