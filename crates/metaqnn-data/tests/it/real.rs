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
    assert_eq!(report.as_published, Some(true));
    let test: Vec<usize> = report.class_counts.iter().map(|count| count.images.test).collect();
    assert_eq!(test, [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]);
    assert_eq!(report.fingerprint, "b820e8bf3d6abbb0fe07ea7dc1d4a6a3db1f54957191261fddf192ae1d98ddf6");
}

#[test]
fn fashion_mnist_is_as_published() {
    let Some(report) = report(DataSource::FashionMnist) else { return };
    assert_eq!(counts(&report), (55_000, 5_000, 10_000));
    assert!(report.class_counts.iter().all(|count| (count.images.valid, count.images.test) == (500, 1_000)));
    assert_eq!(report.fingerprint, "bffd248e7b6a994d705edc2dbd753d94fbbb3e3d01cb760336ca153c0c9b65c3");
}

#[test]
fn cifar10_is_as_published() {
    let Some(report) = report(DataSource::Cifar10) else { return };
    assert_eq!(counts(&report), (45_000, 5_000, 10_000));
    assert!(report.class_counts.iter().all(|count| (count.images.valid, count.images.test) == (500, 1_000)));
    assert_eq!(report.fingerprint, "57acabce18fbf4884604f2de71cfc4e27f18b4cb7b4f14c34e56567467d96384");
}
