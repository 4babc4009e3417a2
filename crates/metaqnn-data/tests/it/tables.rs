//! Tables and arrays as people have them: what is read, what is decided and told, and what is refused.

use std::path::{Path, PathBuf};

use metaqnn_data::{DataError, DataSet, LoadedData, Reading, load_own};

use crate::made::{cats_and_dogs, npy, npz, pixel_table, png, twelve, twelve_labels, write};

fn load(path: &Path) -> LoadedData {
    load_as(path, &Reading::default()).unwrap()
}

fn load_as(path: &Path, reading: &Reading) -> Result<LoadedData, DataError> {
    load_own(path, None, reading, 7)
}

fn refusal(path: &Path) -> String {
    load_as(path, &Reading::default()).unwrap_err().to_string()
}

fn images(data: &DataSet) -> usize {
    data.train.len() + data.valid.len() + data.test.len()
}

/// Twelve arrays as words, each value changed.
fn words(change: impl Fn(usize, u16) -> u16) -> Vec<u8> {
    let words = twelve().into_iter().enumerate().flat_map(|(i, value)| change(i, value.into()).to_le_bytes());
    npy("<u2", "(12, 8, 8)", words.collect::<Vec<u8>>())
}

fn archive(folder: &Path, name: &str, arrays: &[(&str, Vec<u8>)]) -> PathBuf {
    write(&folder.join(name), npz(arrays))
}

fn labels() -> (&'static str, Vec<u8>) {
    ("y", npy("|u1", "(12,)", twelve_labels()))
}

#[test]
fn numbers_of_every_camera_keep_their_levels() {
    let folder = tempfile::tempdir().unwrap();
    // All splits are given, so that the images keep their order.
    let of = |name: &str, images: Vec<u8>| {
        let arrays = ["train", "valid", "test"]
            .map(|split| [(format!("x_{split}"), images.clone()), (format!("y_{split}"), labels().1)]);
        let arrays: Vec<(&str, Vec<u8>)> =
            arrays.iter().flatten().map(|(name, array)| (name.as_str(), array.clone())).collect();
        load(&archive(folder.path(), name, &arrays))
    };
    let bytes = of("bytes.npz", npy("|u1", "(12, 8, 8)", twelve()));
    assert_eq!(bytes.pixels.unwrap().decision, "taken as they are");
    for (bits, factor, stored) in [(10, 4, 1020.0), (12, 16, 4080.0), (14, 64, 16_320.0), (16, 257, 65_535.0)] {
        let loaded = of("words.npz", words(|_, value| value * factor));
        let pixels = loaded.pixels.unwrap();
        assert!(pixels.greatest <= stored && pixels.greatest > stored * 0.9, "{pixels}");
        assert!(pixels.decision.starts_with(&format!("taken for {bits} bits")), "{pixels}");
        assert!(pixels.levels.unwrap() * 100 >= pixels.stored_levels.unwrap() * 98, "{pixels}");
        // White of 1020 among 10 bits is not quite that of bytes.
        let furthest = loaded.data.train.pixels.iter().zip(&bytes.data.train.pixels).map(|(a, b)| a.abs_diff(*b)).max();
        assert!(furthest <= Some(1), "{bits}: {furthest:?}");
    }
}

#[test]
fn a_value_beyond_all_others_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let one = words(|i, value| if i == 0 { 300 } else { value });
    let said = refusal(&archive(folder.path(), "one.npz", &[("x", one), labels()]));
    assert!(said.contains("is above 255 (up to 300), too few for images of more than 8 bits"), "{said}");
}

#[test]
fn splits_of_different_scales_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let fractions: Vec<u8> = twelve().iter().flat_map(|&value| (f32::from(value) / 255.0).to_le_bytes()).collect();
    let (fractions, bytes) = (npy("<f4", "(12, 8, 8)", fractions), npy("|u1", "(12, 8, 8)", twelve()));
    for (train, test) in [(&fractions, &bytes), (&bytes, &fractions)] {
        let (x_train, x_test) = (("x_train", train.clone()), ("x_test", test.clone()));
        let labels = labels().1;
        let arrays = [x_train, ("y_train", labels.clone()), x_test, ("y_test", labels)];
        let said = refusal(&archive(folder.path(), "a.npz", &arrays));
        assert!(said.contains("x_test ") && said.ends_with("expected all splits in one scale"), "{said}");
    }
    // The same in a table with a column of splits.
    let mut table = String::from("split,");
    for (i, line) in pixel_table().lines().enumerate() {
        table += &match i {
            0 => format!("{line}\n"),
            1..=8 => format!("train,{line}\n"),
            _ => {
                let mut values = line.split(',');
                let label = values.next().unwrap();
                let scaled = values.map(|value| (value.parse::<f64>().unwrap() / 255.0).to_string());
                format!("test,{label},{}\n", scaled.collect::<Vec<_>>().join(","))
            }
        };
    }
    let said = refusal(&write(&folder.path().join("t.csv"), table));
    assert!(said.contains("the training part holds whole numbers from 0 to"), "{said}");
}

#[test]
fn a_first_line_of_numbers_that_count_is_no_image() {
    let folder = tempfile::tempdir().unwrap();
    let rows = pixel_table().split_once('\n').unwrap().1.to_owned();
    let counted: Vec<String> = (0..65).map(|i| i.to_string()).collect();
    let loaded = load(&write(&folder.path().join("t.csv"), format!("{}\n{rows}", counted.join(","))));
    assert_eq!(images(&loaded.data), 12);
    assert!(loaded.notes[0].contains("numbers the columns and is taken for no image"), "{:?}", loaded.notes);
    let whole = load(&write(&folder.path().join("whole.csv"), pixel_table()));
    assert_eq!(loaded.data.fingerprint, whole.data.fingerprint);
    // The label stands last, and no name says so.
    let turned: String = rows
        .lines()
        .map(|row| {
            let (label, rest) = row.split_once(',').unwrap();
            format!("{rest},{label}\n")
        })
        .collect();
    let said = refusal(&write(&folder.path().join("last.csv"), turned));
    assert!(said.contains("the last one does: give the table a first line"), "{said}");
}

#[test]
fn ids_are_no_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let rows: String = (1..=40).map(|i| format!("{i},c{}\n", i % 2)).collect();
    let said = refusal(&write(&folder.path().join("ids.csv"), format!("ImageId,Label\n{rows}")));
    assert!(
        said.contains("no column of paths: expected file, filename,") && said.contains("found ImageId, Label;"),
        "{said}"
    );
}

#[test]
fn labels_0_and_0_point_0_are_one_class() {
    let folder = tempfile::tempdir().unwrap();
    let table = pixel_table();
    let whole = load(&write(&folder.path().join("whole.csv"), &table));
    let spelled: String = table
        .lines()
        .enumerate()
        .map(|(i, line)| match line.split_once(',') {
            Some((label, rest)) if i % 3 == 1 => format!("{label}.0,{rest}\n"),
            _ => format!("{line}\n"),
        })
        .collect();
    let loaded = load(&write(&folder.path().join("spelled.csv"), spelled));
    assert_eq!((loaded.data.class_names.join(" "), &loaded.data.fingerprint), ("0 1".into(), &whole.data.fingerprint));
    assert!(loaded.notes.iter().any(|note| note.contains("are one class, 0")), "{:?}", loaded.notes);
    let missing = table.replacen("\n1,19,21,", "\nNaN,19,21,", 1);
    let said = refusal(&write(&folder.path().join("nan.csv"), missing));
    assert!(said.ends_with("line 3: column label: expected a label, found NaN"), "{said}");
}

/// A table of images in `photos`, with ids that are the names of their files without the endings.
fn ids(root: &Path) -> PathBuf {
    let mut table = String::from("id,breed\n");
    for i in 0..12_u32 {
        write(&root.join(format!("photos/{i:02}.png")), png(i));
        table += &format!("{i:02},{}\n", ["cat", "dog"][i as usize % 2]);
    }
    write(&root.join("labels.csv"), table)
}

#[test]
fn a_user_names_the_columns_and_the_folder() {
    let folder = tempfile::tempdir().unwrap();
    let table = ids(folder.path());
    let said = refusal(&table);
    assert!(said.contains("found id, breed; name it with --label COLUMN"), "{said}");
    let reading = Reading {
        label: Some("breed".into()),
        image: Some("id".into()),
        images: Some("photos".into()),
        ..Reading::default()
    };
    let loaded = load_as(&table, &reading).unwrap();
    assert_eq!((images(&loaded.data), loaded.data.class_names.join(" ")), (12, "cat dog".to_owned()));
    // Without the folder it is known where they are.
    let said = load_as(&table, &Reading { images: None, ..reading.clone() }).unwrap_err().to_string();
    assert!(said.ends_with("00 is not where column id says, but in photos: add --images photos"), "{said}");
    let said = load_as(&folder.path().join("photos"), &reading).unwrap_err().to_string();
    assert!(said.ends_with("--label, --image and --images are for tables, and this is none"), "{said}");
}

#[test]
fn columns_of_splits_go_by_many_names() {
    let folder = tempfile::tempdir().unwrap();
    let numbers = |i: usize| twelve()[64 * i..64 * (i + 1)].iter().map(u8::to_string).collect::<Vec<_>>().join(" ");
    let usage = |i: usize| ["Training", "Training", "PublicTest", "PrivateTest"][i / 3];
    let rows: String = (0..12).map(|i| format!("{},{},{}\n", i % 2, numbers(i), usage(i))).collect();
    let loaded = load(&write(&folder.path().join("faces.csv"), format!("emotion,pixels,Usage\n{rows}")));
    let data = &loaded.data;
    assert_eq!([data.train.len(), data.valid.len(), data.test.len()], [6, 3, 3]);
    assert_eq!(data.shape().to_string(), "1x8x8");
}

#[test]
fn tables_of_splits_without_labels_or_rows_are_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    write(&root.join("train.csv"), pixel_table());
    let unlabelled: String =
        pixel_table().lines().map(|line| format!("{}\n", line.split_once(',').unwrap().1)).collect();
    write(&root.join("test.csv"), unlabelled);
    write(&root.join("valid.csv"), pixel_table().lines().next().unwrap());
    let loaded = load(root);
    assert_eq!(images(&loaded.data), 12);
    for warning in
        ["test.csv is left out: it has no column of labels", "valid.csv has no rows: it gives no validation images"]
    {
        assert!(loaded.warnings.iter().any(|said| said == warning), "{:?}", loaded.warnings);
    }
}

#[test]
fn halves_and_flat_images_are_read() {
    let folder = tempfile::tempdir().unwrap();
    let plain = load(&archive(folder.path(), "a.npz", &[("x", npy("|u1", "(12, 8, 8)", twelve())), labels()]));
    // Whole numbers up to 2048 are exact in 16 bits.
    let half = |value: u8| -> u16 {
        if value == 0 {
            return 0;
        }
        let exponent = value.ilog2();
        let fraction = (u32::from(value) << (10 - exponent)) & 0x3ff;
        ((exponent + 15) << 10 | fraction) as u16
    };
    let halves: Vec<u8> = twelve().into_iter().flat_map(|value| half(value).to_le_bytes()).collect();
    for (name, array) in [("h.npz", npy("<f2", "(12, 8, 8)", halves)), ("f.npz", npy("|u1", "(12, 64)", twelve()))] {
        let loaded = load(&archive(folder.path(), name, &[("x", array), labels()]));
        assert_eq!(loaded.data.fingerprint, plain.data.fingerprint, "{name}");
    }
}

#[test]
fn rows_and_files_that_cannot_be_read_are_left_out_where_asked() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    cats_and_dogs(root, 0);
    let mut table = String::from("file,label\n");
    (0..12).for_each(|i| table += &format!("{class}/{i:02}.png,{class}\n", class = ["cat", "dog"][i % 2]));
    let path = write(&root.join("t.csv"), format!("{table}cat/none.png,cat\n"));
    let skipping = Reading { skip_bad: true, ..Reading::default() };
    assert!(load_as(&path, &Reading::default()).is_err());
    let loaded = load_as(&path, &skipping).unwrap();
    assert_eq!((images(&loaded.data), loaded.skipped.len()), (12, 1));
    assert!(
        loaded.warnings.iter().any(|said| said.starts_with("1 of 13 files or rows left out")),
        "{:?}",
        loaded.warnings
    );
    let path = write(&root.join("t.csv"), format!("{table}cat/none.png,cat\ncat/0.png,\n"));
    let said = load_as(&path, &skipping).unwrap_err().to_string();
    assert!(said.contains("2 of 14 files or rows cannot be read, more than a tenth"), "{said}");
}
