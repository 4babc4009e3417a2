//! The published data sets themselves: `METAQNN_TEST_DATA` names a folder that holds them. Without it, or where one
//! is not there, these tests say so and pass.

use std::path::PathBuf;

use metaqnn_data::{DataReport, DataSource, SplitSettings, check};

fn report(source: DataSource) -> Option<DataReport> {
    let Some(folder) = std::env::var_os("METAQNN_TEST_DATA").map(PathBuf::from) else {
        eprintln!("skipped: METAQNN_TEST_DATA is not set");
        return None;
    };
    if !folder.join(source.name()).is_dir() {
        eprintln!("skipped: no {source} in {}", folder.display());
        return None;
    }
    Some(check(&source, &folder, &SplitSettings::default()).unwrap())
}

fn counts(report: &DataReport) -> (usize, usize, usize) {
    (report.total.train, report.total.valid, report.total.test)
}

#[test]
fn mnist_is_as_published() {
    let Some(report) = report(DataSource::Mnist) else { return };
    assert_eq!(counts(&report), (55_000, 5_000, 10_000));
    assert!(report.as_published);
    let test: Vec<usize> = report.class_counts.iter().map(|count| count.images.test).collect();
    assert_eq!(test, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert_eq!(report.fingerprint, "MNIST_FINGERPRINT");
}

#[test]
fn fashion_mnist_is_as_published() {
    let Some(report) = report(DataSource::FashionMnist) else { return };
    assert_eq!(counts(&report), (55_000, 5_000, 10_000));
    assert!(report.class_counts.iter().all(|count| (count.images.valid, count.images.test) == (500, 1_000)));
    assert_eq!(report.fingerprint, "FASHION_FINGERPRINT");
}

#[test]
fn cifar10_is_as_published() {
    let Some(report) = report(DataSource::Cifar10) else { return };
    assert_eq!(counts(&report), (45_000, 5_000, 10_000));
    assert!(report.class_counts.iter().all(|count| (count.images.valid, count.images.test) == (500, 1_000)));
    assert_eq!(report.fingerprint, "CIFAR10_FINGERPRINT");
}
