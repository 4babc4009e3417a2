//! Folders of images as people have them.

use std::fs;
use std::path::Path;

use image::ImageFormat;
use metaqnn_data::{DataError, DataSet, LoadedData, Reading, load_own};

use crate::made::{cats_and_dogs, encoded, grey, png, write};

fn load(path: &Path) -> LoadedData {
    load_as(path, &Reading::default()).unwrap()
}

fn load_as(path: &Path, reading: &Reading) -> Result<LoadedData, DataError> {
    load_own(path, None, reading, 7)
}

fn refusal(path: &Path) -> String {
    load_as(path, &Reading::default()).unwrap_err().to_string()
}

fn counts(data: &DataSet) -> [usize; 3] {
    [data.train.len(), data.valid.len(), data.test.len()]
}

fn said(lines: &[String], start: &str) -> bool {
    lines.iter().any(|line| line.starts_with(start))
}

#[test]
fn contents_say_what_a_file_is() {
    let folder = tempfile::tempdir().unwrap();
    cats_and_dogs(&folder.path().join("named"), 0);
    let named = load(&folder.path().join("named")).data;
    let other = folder.path().join("other");
    for i in 0..12_u32 {
        let class = ["cat", "dog"][i as usize % 2];
        let (ending, format) = match i % 4 {
            0 => ("", ImageFormat::Png),
            1 => (".tmp", ImageFormat::Tiff),
            2 => (".jpg_large", ImageFormat::Pnm),
            _ => (".tif", ImageFormat::Tiff),
        };
        write(&other.join(format!("{class}/{i:02}{ending}")), encoded(grey(i), format));
    }
    write(&other.join("cat/notes.txt"), "BM and P5 are words");
    let loaded = load(&other);
    assert_eq!(loaded.data.fingerprint, named.fingerprint);
    assert!(
        said(&loaded.warnings, "left out, being no image in a class folder: cat/notes.txt"),
        "{:?}",
        loaded.warnings
    );
    assert_eq!(loaded.pixels.unwrap().decision, "taken as they are");
    // By the rules of older studies only names count.
    let first = load_as(&other, &Reading::first()).unwrap_err().to_string();
    assert!(first.contains("a class folder without images"), "{first}");
}

#[test]
fn formats_that_are_not_read_are_named_or_left_out() {
    let folder = tempfile::tempdir().unwrap();
    cats_and_dogs(folder.path(), 0);
    let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
    write(&folder.path().join("cat/a.heic"), heic);
    let skipping = Reading { skip_bad: true, ..Reading::default() };
    let loaded = load_as(folder.path(), &skipping).unwrap();
    assert_eq!((counts(&loaded.data).iter().sum::<usize>(), loaded.skipped.len()), (12, 1));
    write(&folder.path().join("cat/b.jpg"), heic);
    let problem = refusal(folder.path());
    assert!(problem.contains("cat: 2 files are HEIC, which is not read: convert it to JPEG or PNG"), "{problem}");
    let problem = load_as(folder.path(), &skipping).unwrap_err().to_string();
    assert!(problem.contains("2 of 14 files or rows cannot be read, more than a tenth"), "{problem}");
}

#[test]
fn images_of_a_camera_of_12_bits_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let images = |most: u16| {
        for i in 0..12_u16 {
            let words = image::ImageBuffer::from_fn(12, 10, |x, y| {
                image::Luma([(x as u16 * 31 + y as u16 * 17 + i) * (most / 600)])
            });
            let image = image::DynamicImage::ImageLuma16(words);
            write(
                &folder.path().join(format!("{}/{i}.png", ["cat", "dog"][usize::from(i) % 2])),
                encoded(image, ImageFormat::Png),
            );
        }
    };
    images(4_095);
    let problem = refusal(folder.path());
    assert!(
        problem.contains("hold values up to ") && problem.contains("divided by 257: multiply them by "),
        "{problem}"
    );
    images(60_000);
    let loaded = load(folder.path());
    assert_eq!(loaded.pixels.unwrap().decision, "images of 16 bits divided by 257");
}

#[test]
fn splits_lie_in_the_class_folders_too() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..16_u32 {
        let split = ["train", "train", "val", "test"][i as usize / 4];
        write(&folder.path().join(format!("{}/{split}/{i}.png", ["cat", "dog"][i as usize % 2])), png(i));
    }
    let loaded = load(folder.path());
    assert_eq!((counts(&loaded.data), loaded.data.class_names.join(" ")), ([8, 4, 4], "cat dog".to_owned()));
    assert!(said(&loaded.notes, "the splits are taken from the folders in the class folders"));
    // Not in all of them: told, and drawn.
    fs::rename(folder.path().join("dog/train"), folder.path().join("dog/more")).unwrap();
    let loaded = load(folder.path());
    assert!(said(&loaded.warnings, "only some class folders hold folders of splits (cat)"), "{:?}", loaded.warnings);
}

#[test]
fn what_lies_beside_splits_is_used_or_told() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    cats_and_dogs(&root.join("train"), 0);
    cats_and_dogs(&root.join("eval"), 12);
    write(&root.join("test1/1.png"), png(30));
    write(&root.join("other/1.png"), png(31));
    let loaded = load(root);
    let [train, valid, test] = counts(&loaded.data);
    assert!(train + test == 12 && valid == 12, "{:?}", counts(&loaded.data));
    for warning in [
        "test1 is left out: 1 image without class folders, so without labels",
        "left out, beside the folders of the splits (eval, test1, train): other",
    ] {
        assert!(said(&loaded.warnings, warning), "{warning}: {:?}", loaded.warnings);
    }
    assert!(said(&loaded.notes, "eval taken for validation images"), "{:?}", loaded.notes);
}

#[test]
fn a_folder_around_the_data_is_looked_into() {
    let folder = tempfile::tempdir().unwrap();
    cats_and_dogs(&folder.path().join("archive/pets"), 0);
    let loaded = load(folder.path());
    assert_eq!(loaded.data.class_names, ["cat", "dog"]);
    assert!(said(&loaded.notes, "the data are in archive/pets, which lies alone in the folder"), "{:?}", loaded.notes);
}

#[test]
fn images_beside_a_table_of_labels_are_told_how_to_be_read() {
    let folder = tempfile::tempdir().unwrap();
    (0..12).for_each(|i| drop(write(&folder.path().join(format!("train/{i}.png")), png(i))));
    write(&folder.path().join("labels.csv"), "id,breed\n1,cat\n");
    let problem = refusal(folder.path());
    assert!(
        problem.contains("found 12 images without class folders; if labels.csv has the labels, name it: "),
        "{problem}"
    );
    assert!(problem.ends_with("labels.csv --label COLUMN --image COLUMN --images train"), "{problem}");
}

#[test]
fn an_added_image_moves_no_other() {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..120_u32 {
        write(&folder.path().join(format!("{}/{i:03}.png", ["cat", "dog"][i as usize % 2])), png(i));
    }
    let before = load(folder.path());
    // Of another size, in colour, and first by its name: all others are stored in other channels, and some other median might be.
    let colour = image::RgbImage::from_fn(40, 30, |x, y| image::Rgb([x as u8 * 6, y as u8 * 8, 77]));
    write(&folder.path().join("cat/000_first.png"), encoded(colour, ImageFormat::Png));
    let after = load(folder.path());
    assert_eq!(after.splits.missing_in(&before.splits), 1);
    for image in &before.splits.images {
        assert!(after.splits.images.contains(image), "{image:?} moved");
    }
    // A study goes on with what it has stored, whatever would be drawn.
    let reading = Reading { splits: Some(before.splits.clone()), ..Reading::default() };
    assert_eq!(load_own(folder.path(), None, &reading, 8).unwrap().splits.missing_in(&before.splits), 1);
    fs::remove_file(folder.path().join("cat/000_first.png")).unwrap();
    assert_eq!(load_own(folder.path(), None, &reading, 8).unwrap().data.fingerprint, before.data.fingerprint);
}
