//! Own data of every kind, read as a user would give them.

use std::fs;
use std::path::Path;

use image::{DynamicImage, ImageFormat};
use metaqnn_data::{
    DataArgument, DataSet, DataSource, LoadedData, Reading, SplitSettings, check_argument, load_argument, load_own,
};

use crate::made::{cats_and_dogs, colour, encoded, grey, npy, npz, pixel_table, twelve, twelve_labels, write};

fn load(path: &Path) -> LoadedData {
    load_own(path, None, &Reading::default(), 7).unwrap()
}

fn counts(data: &DataSet) -> [usize; 3] {
    [data.train.len(), data.valid.len(), data.test.len()]
}

/// Whether splits were drawn from six images of each of two classes: both are in each.
fn are_drawn(data: &DataSet) -> bool {
    let splits = [&data.train, &data.valid, &data.test];
    splits.iter().all(|images| images.class_counts(2).iter().all(|&count| count > 0))
        && counts(data).iter().sum::<usize>() == 12
}

#[test]
fn a_folder_of_class_folders_is_split_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("pets");
    cats_and_dogs(&root, 0);
    write(&root.join(".DS_Store"), "x");
    write(&root.join("cat/readme.txt"), "x");
    let LoadedData { data, warnings, .. } = load(&root);
    assert_eq!((data.name.as_str(), data.shape().to_string().as_str()), ("pets", "1x10x12"));
    assert_eq!(data.class_names, ["cat", "dog"]);
    assert!(are_drawn(&data), "{:?}", counts(&data));
    assert_eq!((data.source, data.mirror_is_safe, data.max_value), (None, None, 255));
    assert!(
        warnings.contains(&"left out, being no image in a class folder: cat/readme.txt".to_owned()),
        "{warnings:?}"
    );
    assert_eq!(load(&root).data, data, "the same data, the same split");
    assert_ne!(load_own(&root, None, &Reading::default(), 8).unwrap().data, data);
    // What a study stores is the size that was chosen; asked for, it gives the same data.
    assert_eq!(load_own(&root, Some("10x12".parse().unwrap()), &Reading::default(), 7).unwrap().data, data);

    // A changed image, or one more, is another data set.
    write(&root.join("cat/02.png"), encoded(grey(99), ImageFormat::Png));
    assert_ne!(load(&root).data.fingerprint, data.fingerprint);
}

#[test]
fn splits_that_are_given_hold() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    cats_and_dogs(&root.join("train"), 0);
    cats_and_dogs(&root.join("Validation"), 12);
    cats_and_dogs(&root.join("test"), 24);
    let data = load(root).data;
    assert_eq!(counts(&data), [12, 12, 12]);
    fs::remove_dir_all(root.join("Validation")).unwrap();
    let data = load(root).data;
    let [train, valid, test] = counts(&data);
    assert!(train + valid == 12 && valid >= 2 && test == 12, "{:?}", counts(&data));

    // The same image in two splits is told, with both names.
    write(&root.join("test/cat/again.png"), encoded(grey(2), ImageFormat::Bmp));
    let warnings = load(root).warnings;
    assert!(
        warnings.iter().any(|warning| warning.ends_with("images: test/cat/again.png = train/cat/02.png")),
        "{warnings:?}"
    );
}

#[test]
fn a_class_named_train_is_a_class() {
    let folder = tempfile::tempdir().unwrap();
    cats_and_dogs(folder.path(), 0);
    fs::rename(folder.path().join("cat"), folder.path().join("train")).unwrap();
    assert_eq!(load(folder.path()).data.class_names, ["dog", "train"]);
}

#[test]
fn formats_sizes_and_channels_mix() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    cats_and_dogs(root, 0);
    for (i, format) in
        [ImageFormat::Jpeg, ImageFormat::Bmp, ImageFormat::WebP, ImageFormat::Gif].into_iter().enumerate()
    {
        let extension = format.extensions_str()[0];
        let image = DynamicImage::from(colour(50 + i as u32));
        // An extension that lies: the contents tell.
        let extension = if format == ImageFormat::Gif { "JPG" } else { extension };
        write(&root.join(format!("cat/deep/er/{i}.{extension}")), encoded(image.into_rgb8(), format));
        let large = DynamicImage::from(grey(60 + i as u32)).resize_exact(40, 30, image::imageops::FilterType::Triangle);
        write(&root.join(format!("dog/{i}.png")), encoded(large, ImageFormat::Png));
    }
    let LoadedData { data, warnings, .. } = load(root);
    assert_eq!(data.shape().to_string(), "3x10x12");
    assert_eq!(counts(&data).iter().sum::<usize>(), 20);
    let resized = "images with 10 to 30 rows and 12 to 40 columns are resized to 10x12";
    assert!(warnings.iter().any(|warning| warning.starts_with(resized)), "{warnings:?}");
    let sized = load_own(root, Some("16x9".parse().unwrap()), &Reading::default(), 7).unwrap();
    assert_eq!(sized.data.shape().to_string(), "3x16x9");
}

#[test]
fn photos_are_turned_upright() {
    let folder = tempfile::tempdir().unwrap();
    // The JPEG stores 12 columns and 10 rows; orientation 6 says that they are to be turned clockwise.
    for (class, first) in [("cat", 0), ("dog", 10)] {
        for i in 0..4 {
            let jpeg = encoded(grey(first + i), ImageFormat::Jpeg);
            let exif = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0";
            let mut turned = jpeg[..2].to_vec();
            turned.extend([0xff, 0xe1]);
            turned.extend((exif.len() as u16 + 2).to_be_bytes());
            turned.extend(exif);
            turned.extend(&jpeg[2..]);
            write(&folder.path().join(format!("{class}/{i}.jpg")), turned);
        }
    }
    assert_eq!(load(folder.path()).data.shape().to_string(), "1x12x10");
}

#[test]
fn a_table_names_files() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    cats_and_dogs(&root.join("images"), 0);
    let mut lines = vec!["id;Split;file_name;Label".to_owned()];
    for i in 0..12 {
        let class = if i % 2 == 0 { "cat" } else { "dog" };
        let split = ["train", "train", "val", "test"][i / 3];
        lines.push(format!("{i};{split};images\\{class}/{i:02}.png;{class}"));
    }
    let table = write(&root.join("pets.csv"), lines.join("\r\n"));
    let data = load(&table).data;
    assert_eq!((data.name.as_str(), data.shape().to_string().as_str()), ("pets", "1x10x12"));
    assert_eq!(counts(&data), [6, 3, 3]);

    let unnamed: String =
        lines[1..].iter().map(|line| line.split(';').skip(2).collect::<Vec<_>>().join("\t") + "\n").collect();
    let data = load(&write(&root.join("pets.tsv"), unnamed)).data;
    assert_eq!((data.class_names.join(" "), are_drawn(&data)), ("cat dog".into(), true));
}

#[test]
fn a_table_holds_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let whole = load(&write(&root.join("whole.csv"), pixel_table())).data;
    assert_eq!((whole.shape().to_string().as_str(), are_drawn(&whole)), ("1x8x8", true));
    // Without a line of names, and as fractions, the same.
    let table = pixel_table();
    let rows = table.split_once('\n').unwrap().1;
    assert_eq!(load(&write(&root.join("rows.csv"), rows)).data.fingerprint, whole.fingerprint);
    let mut fractions = String::new();
    for row in rows.lines() {
        let mut values = row.split(',');
        fractions += values.next().unwrap();
        values.for_each(|value| fractions += &format!(",{}", value.parse::<f64>().unwrap() / 255.0));
        fractions += "\n";
    }
    assert_eq!(load(&write(&root.join("fractions.csv"), fractions)).data.fingerprint, whole.fingerprint);
    // Two tables in a folder are two splits.
    write(&root.join("kaggle/train.csv"), &table);
    write(&root.join("kaggle/test.csv"), &table);
    let LoadedData { data, warnings, .. } = load(&root.join("kaggle"));
    let [train, valid, test] = counts(&data);
    assert!(train + valid == 12 && test == 12, "{:?}", counts(&data));
    assert!(
        warnings.iter().any(|said| said.starts_with(&format!("{train} test images are also training images: "))),
        "{warnings:?}"
    );
}

#[test]
fn arrays_of_every_layout_are_the_same_images() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let labels = npy(
        "<i8",
        "(12, 1)",
        twelve_labels().iter().flat_map(|&label| i64::from(label).to_le_bytes()).collect::<Vec<_>>(),
    );
    let read =
        |name: &str, images: Vec<u8>| load(&write(&root.join(name), npz(&[("x", images), ("y", labels.clone())]))).data;
    let plain = read("a.npz", npy("|u1", "(12, 8, 8)", twelve()));
    assert_eq!((plain.shape().to_string().as_str(), are_drawn(&plain)), ("1x8x8", true));
    let floats: Vec<u8> = twelve().iter().flat_map(|&value| (f32::from(value) / 255.0).to_le_bytes()).collect();
    let words: Vec<u8> = twelve().iter().flat_map(|&value| (u16::from(value) * 257).to_be_bytes()).collect();
    let grey_as_colour: Vec<u8> = twelve().iter().flat_map(|&value| [value; 3]).collect();
    let planes: Vec<u8> = twelve().chunks(64).flat_map(|image| image.repeat(3)).collect();
    for (name, images) in [
        ("b.npz", npy("|u1", "(12, 8, 8, 1)", twelve())),
        ("c.npz", npy("|u1", "(12, 1, 8, 8)", twelve())),
        ("d.npz", npy("<f4", "(12, 8, 8)", floats)),
        ("e.npz", npy(">u2", "(12, 8, 8)", words)),
        ("f.npz", npy("|u1", "(12, 8, 8, 3)", grey_as_colour)),
        ("g.npz", npy("|u1", "(12, 3, 8, 8)", planes)),
    ] {
        assert_eq!(read(name, images).fingerprint, plain.fingerprint, "{name}");
    }
    // Of colour, the layouts differ only in the order of their numbers.
    let last: Vec<u8> = (0..12_u32 * 64).flat_map(|i| [(i % 251) as u8, (i / 64) as u8, (i % 7) as u8]).collect();
    let mut first = Vec::new();
    for image in last.chunks(192) {
        (0..3).for_each(|channel| first.extend(image.iter().skip(channel).step_by(3)));
    }
    let (last, first) =
        (read("h.npz", npy("|u1", "(12, 8, 8, 3)", last)), read("i.npz", npy("|u1", "(12, 3, 8, 8)", first)));
    assert_eq!((last.shape().to_string().as_str(), &last.fingerprint), ("3x8x8", &first.fingerprint));
}

#[test]
fn arrays_lie_in_files_and_have_splits_and_names() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let images = npy("|u1", "(12, 8, 8)", twelve());
    let labels = npy("|u1", "(12,)", twelve_labels());
    let names: Vec<u8> = "catdog".chars().flat_map(|letter| u32::from(letter).to_le_bytes()).collect();
    for (name, bytes) in [("x_train", &images), ("y_train", &labels), ("x_test", &images), ("y_test", &labels)] {
        write(&root.join(format!("split/{name}.npy")), bytes);
    }
    for path in ["split", "split/x_train.npy"] {
        let [train, valid, test] = counts(&load(&root.join(path)).data);
        assert!(train + valid == 12 && test == 12, "{path}");
    }
    write(&root.join("one/pets.npy"), &images);
    write(&root.join("one/pets_labels.npy"), &labels);
    write(&root.join("one/class_names.npy"), npy("<U3", "(2,)", names));
    let data = load(&root.join("one/pets.npy")).data;
    assert_eq!((data.name.as_str(), data.class_names.join(" ")), ("pets", "cat dog".to_owned()));
    assert!(are_drawn(&data), "{:?}", counts(&data));
}

#[test]
fn the_report_tells_of_own_data_too() {
    let folder = tempfile::tempdir().unwrap();
    let table = write(&folder.path().join("pixels.csv"), pixel_table());
    let (nowhere, settings) = (Path::new("/nonexistent"), SplitSettings::default());
    let argument: DataArgument = table.to_str().unwrap().parse().unwrap();
    let report = check_argument(&argument, nowhere, None, &Reading::default(), &settings).unwrap();
    assert_eq!((report.name.as_str(), report.as_published, report.files.len()), ("pixels", None, 1));
    let [zeros, ones] = [0, 1].map(|class: usize| report.class_counts[class].images.train);
    assert_eq!(report.class_counts[1].class, "1");
    let few = format!("warning: fewer than 20 training images of 0 ({zeros}), 1 ({ones})");
    assert!(report.to_string().contains(&few), "{report}");
    assert_eq!(
        load_argument(&argument, nowhere, None, &Reading::default(), &settings).unwrap().data.fingerprint,
        report.fingerprint
    );
    let digits = load_argument(
        &DataArgument::Known(DataSource::Digits),
        nowhere,
        Some("16".parse().unwrap()),
        &Reading::default(),
        &settings,
    );
    assert_eq!(digits.unwrap().data.shape().to_string(), "1x16x16");
}
