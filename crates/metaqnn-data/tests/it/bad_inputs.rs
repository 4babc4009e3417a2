//! A table of data that cannot be used, each with all that is said of it.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use image::ImageFormat;
use metaqnn_data::{
    DataArgument, DataError, DataSource, ImageShape, Reading, SplitSettings, load, load_argument, read_image,
};

use crate::made::{cats_and_dogs, encoded, grey, npy, npz, pixel_table, png, twelve, twelve_labels, write};

/// Makes what is wrong with data in a folder; gives the DATA argument.
type Make = fn(&Path) -> PathBuf;

/// A PNG file that says it has so many pixels, and has a few.
fn bomb(width: u32, height: u32) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [kind.as_slice(), data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        [(data.len() as u32).to_be_bytes().as_slice(), &body, &crc.sum().to_be_bytes()].concat()
    };
    let header = [width.to_be_bytes().as_slice(), &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(&[0; 1_000]).unwrap();
    let packed = packed.finish().unwrap();
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(b"IHDR", &header), &chunk(b"IDAT", &packed), &chunk(b"IEND", &[])].concat()
}

/// Cats and dogs, and one more cat.
fn with_cat(root: &Path, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
    cats_and_dogs(root, 0);
    write(&root.join("cat").join(name), bytes);
    root.to_owned()
}

fn table(root: &Path, text: impl AsRef<[u8]>) -> PathBuf {
    write(&root.join("t.csv"), text)
}

/// The table of pixels with `from` replaced by `to` once.
fn changed_table(root: &Path, from: &str, to: &str) -> PathBuf {
    table(root, pixel_table().replacen(from, to, 1))
}

fn arrays(root: &Path, arrays: &[(&str, Vec<u8>)]) -> PathBuf {
    write(&root.join("a.npz"), npz(arrays))
}

fn images() -> Vec<u8> {
    npy("|u1", "(12, 8, 8)", twelve())
}

fn labels() -> Vec<u8> {
    npy("|u1", "(12,)", twelve_labels())
}

fn floats(change: impl Fn(usize, f32) -> f32) -> Vec<u8> {
    let values = twelve().into_iter().enumerate().map(|(i, value)| change(i, f32::from(value) / 255.0));
    npy("<f4", "(12, 8, 8)", values.flat_map(f32::to_le_bytes).collect::<Vec<_>>())
}

/// What is said of each: all problems, in order, `DATA` standing for the folder. One that ends in `…` goes on with the words of
/// a library.
const TABLE: &[(&str, Make, &[&str])] = &[
    ("no such path", |root| root.join("none.csv"), &["DATA/none.csv: there is no such file or folder"]),
    ("an empty folder", |root| root.to_owned(), &["DATA: expected a folder of class folders, found an empty one"]),
    (
        "images without class folders",
        |root| {
            write(&root.join("1.png"), png(1));
            root.to_owned()
        },
        &["DATA: expected a folder of class folders, found 1 image without class folders"],
    ),
    (
        "one class",
        |root| {
            cats_and_dogs(root, 0);
            fs::remove_dir_all(root.join("dog")).unwrap();
            root.to_owned()
        },
        &["DATA: expected images of 2 to 1000 classes, found 1 (cat)"],
    ),
    (
        "an empty class folder",
        |root| {
            fs::create_dir_all(root.join("bird")).unwrap();
            cats_and_dogs(root, 0);
            root.to_owned()
        },
        &["DATA/bird: a class folder without images: fill it or remove it"],
    ),
    (
        "a class of two images",
        |root| {
            cats_and_dogs(root, 0);
            (2..6).for_each(|i| fs::remove_file(root.join(format!("cat/{:02}.png", 2 * i))).unwrap());
            root.to_owned()
        },
        &["DATA: class cat: 2 images; at least 3 different ones are needed, since 2 splits are drawn from them"],
    ),
    (
        "a class of equal images",
        |root| {
            cats_and_dogs(root, 0);
            (0..6).for_each(|i| drop(write(&root.join(format!("dog/{:02}.png", 2 * i + 1)), png(1))));
            root.to_owned()
        },
        &[
            "DATA: class dog: 6 images, all equal; at least 3 different ones are needed, since 2 splits are drawn from them",
        ],
    ),
    (
        "a class that is only tested",
        |root| {
            cats_and_dogs(&root.join("train"), 0);
            cats_and_dogs(&root.join("test"), 12);
            write(&root.join("test/bird/1.png"), png(50));
            root.to_owned()
        },
        &["DATA: class bird: there are no training images of it, but 1 image of other splits"],
    ),
    (
        "splits without classes",
        |root| {
            (0..9).for_each(|i| {
                drop(write(&root.join(format!("{}/{i}.png", ["train", "val", "test"][i % 3])), png(i as u32)))
            });
            root.to_owned()
        },
        &["DATA/train: expected a folder of class folders, found 3 images without class folders"],
    ),
    (
        "a corrupt PNG",
        |root| {
            let mut bytes = png(77);
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0xff;
            with_cat(root, "x.png", bytes)
        },
        &["DATA/cat/x.png: Png: damaged or cut (…"],
    ),
    ("a cut PNG", |root| with_cat(root, "x.png", &png(77)[..60]), &["DATA/cat/x.png: Png: damaged or cut (…"]),
    (
        "a cut JPEG",
        |root| {
            let bytes =
                encoded(image::imageops::resize(&grey(3), 90, 90, image::imageops::Triangle), ImageFormat::Jpeg);
            with_cat(root, "x.jpg", &bytes[..bytes.len() - 100])
        },
        &["DATA/cat/x.jpg: Jpeg: damaged or cut (no end-of-image marker in its …"],
    ),
    (
        "a cut GIF",
        |root| {
            with_cat(root, "x.gif", &encoded(image::DynamicImage::from(grey(3)).into_rgb8(), ImageFormat::Gif)[..40])
        },
        &["DATA/cat/x.gif: Gif: damaged or cut (…"],
    ),
    (
        "a cut WebP",
        |root| {
            with_cat(root, "x.webp", &encoded(image::DynamicImage::from(grey(3)).into_rgb8(), ImageFormat::WebP)[..40])
        },
        &["DATA/cat/x.webp: WebP: damaged or cut (…"],
    ),
    (
        "a cut BMP",
        |root| with_cat(root, "x.bmp", &encoded(grey(3), ImageFormat::Bmp)[..60]),
        &["DATA/cat/x.bmp: Bmp: damaged or cut (…"],
    ),
    (
        "an image bomb",
        |root| with_cat(root, "x.png", bomb(60_000, 60_000)),
        &["DATA/cat/x.png: expected an image of at most 100000000 pixels, found 60000x60000"],
    ),
    (
        "an image without pixels",
        |root| with_cat(root, "x.png", bomb(0, 10)),
        &["DATA/cat/x.png: Png: damaged or cut (…"],
    ),
    ("an empty file", |root| with_cat(root, "x.png", ""), &["DATA/cat/x.png: an empty file"]),
    (
        "a text with the name of an image",
        |root| with_cat(root, "x.png", "a cat\nindeed"),
        &[r"DATA/cat/x.png: expected PNG, JPEG, BMP, WebP, GIF, TIFF or PNM, found a file that begins with a cat\nin"],
    ),
    (
        "a format that is not read",
        |root| with_cat(root, "x.png", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        &[
            "DATA/cat/x.png: this file is HEIC, which is not read: convert it to JPEG or PNG (for example `heif-convert`, or \
             ImageMagick's `magick`), or leave such files out with --skip-bad",
        ],
    ),
    (
        "a TIFF that was cut off",
        |root| with_cat(root, "x.tif", b"II*\0\x08\0\0\0\0\0\0\0"),
        &["DATA/cat/x.tif: Tiff: damaged or cut (…"],
    ),
    (
        "everything at once",
        |root| {
            with_cat(root, "x.png", "");
            write(&root.join("dog/y.jpg"), "");
            fs::create_dir_all(root.join("bird")).unwrap();
            write(&root.join("fish/1.png"), png(90));
            root.to_owned()
        },
        &[
            "DATA/bird: a class folder without images: fill it or remove it",
            "DATA/cat/x.png: an empty file",
            "DATA/dog/y.jpg: an empty file",
            "DATA: class fish: 1 image; at least 3 different ones are needed, since 2 splits are drawn from them",
        ],
    ),
    (
        "a kind of file that is not read",
        |root| write(&root.join("t.parquet"), "PAR1"),
        &[
            "DATA/t.parquet: not a kind of data that is read: expected a folder of class folders, or a .csv, .tsv, .npy or .npz file",
        ],
    ),
    ("an empty table", |root| table(root, ""), &["DATA/t.csv: an empty file"]),
    ("a table of names alone", |root| table(root, "label,p1,p2,p3,p4\n"), &["DATA/t.csv: expected rows, found none"]),
    (
        "a table of names alone, with paths",
        |root| table(root, "file,label\n"),
        &["DATA/t.csv: expected rows, found none"],
    ),
    (
        "a table that names a missing file",
        |root| {
            cats_and_dogs(root, 0);
            let rows: String = (0..12).map(|i| format!("{c}/{i:02}.png,{c}\n", c = ["cat", "dog"][i % 2])).collect();
            table(root, format!("file,label\ncat/none.png,cat\n{rows}"))
        },
        &["DATA/cat/none.png: there is no such file (named in line 2 of t.csv)"],
    ),
    (
        "a table without labels",
        |root| table(root, "file,colour,size\na.png,red,3\n"),
        &[
            "DATA/t.csv: expected a column of labels (label, labels, class, classes, target, category, y), found file, colour, size; name \
             it with --label COLUMN",
        ],
    ),
    (
        "a table without paths or pixels",
        |root| table(root, "label,colour,size\ncat,red,3\n"),
        &[
            "DATA/t.csv: no column of paths: expected file, filename, file_name, filepath, file_path, path, image, image_path, img, \
             img_path; found label, colour, size; name it with --image COLUMN, and the folder of the images with --images FOLDER",
        ],
    ),
    (
        "a pixel that is no number",
        |root| changed_table(root, "\n1,19,21,", "\n1,19,many,"),
        &["DATA/t.csv: line 3: column pixel1: expected a number, found \"many\""],
    ),
    (
        "a pixel that is not finite",
        |root| changed_table(root, "\n1,19,21,", "\n1,19,NaN,"),
        &["DATA/t.csv: line 3: column pixel1: expected a number, found \"NaN\""],
    ),
    (
        "a pixel below 0",
        |root| changed_table(root, "\n1,19,21,", "\n1,19,-21,"),
        &[
            "DATA/t.csv: expected pixels from 0 to 1, from 0 to 255, or whole numbers from 0 to 65535, found whole numbers from -21 to 255; \
             give the images as they were before they were normalized",
        ],
    ),
    (
        "rows of unequal length",
        |root| changed_table(root, "\n1,19,21,", "\n1,19,"),
        &["DATA/t.csv: line 3: expected 65 columns, found 64"],
    ),
    (
        "a row without a label",
        |root| changed_table(root, "\n1,19,21,", "\n,19,21,"),
        &["DATA/t.csv: line 3: column label: expected a label, found nothing"],
    ),
    (
        "a split that is none",
        |root| table(root, "file,label,split\na.png,cat,later\n"),
        &["DATA/t.csv: line 2: expected the split train, valid or test, found \"later\""],
    ),
    (
        "a table that is not text",
        |root| table(root, b"label,file\ncat,\xff\xfe.png\n"),
        &["DATA/t.csv: line 2: expected text in UTF-8, found other bytes"],
    ),
    ("a line without an end", |root| table(root, vec![b'a'; 17 << 20]), &["DATA/t.csv: …"]),
    (
        "an archive that is none",
        |root| write(&root.join("a.npz"), "not a zip"),
        &["DATA/a.npz: expected an archive of arrays (.npz): …"],
    ),
    (
        "a cut archive",
        |root| {
            let bytes = npz(&[("x", images()), ("y", labels())]);
            write(&root.join("a.npz"), &bytes[..bytes.len() / 2])
        },
        &["DATA/a.npz: expected an archive of arrays (.npz): …"],
    ),
    (
        "arrays of unknown names",
        |root| arrays(root, &[("weights", images())]),
        &["DATA/a.npz: expected arrays x and y, images and labels, or x_train, y_train, …, found weights"],
    ),
    (
        "images without labels",
        |root| arrays(root, &[("x_train", images()), ("y_train", labels()), ("x_test", images())]),
        &["DATA/a.npz: there are no labels for x_test: expected an array y or labels beside it"],
    ),
    (
        "too few labels",
        |root| arrays(root, &[("x", images()), ("y", npy("|u1", "(11,)", [0; 11]))]),
        &["DATA/a.npz [y]: expected a label for each of 12 images, found 11 labels"],
    ),
    (
        "labels with fractions",
        |root| arrays(root, &[("x", images()), ("y", npy("<f4", "(12,)", [0.5_f32.to_le_bytes(); 12].concat()))]),
        &["DATA/a.npz [y]: element 0: expected a whole number or a text, found 0.5"],
    ),
    (
        "one-hot labels",
        |root| arrays(root, &[("x", images()), ("y", npy("|u1", "(12, 2)", [0; 24]))]),
        &[
            "DATA/a.npz [y]: expected one label an image (N or Nx1), found 12x2; one-hot labels become numbers by y.argmax(axis=1)",
        ],
    ),
    (
        "wrong dimensions",
        |root| arrays(root, &[("x", npy("|u1", "(12, 63)", &twelve()[..756])), ("y", labels())]),
        &[
            "DATA/a.npz [x]: expected NxHxW, NxHxWxC or NxCxHxW with 1 or 3 channels, found 12x63; give flat images their shape by \
           x.reshape(N, H, W)",
        ],
    ),
    (
        "four channels",
        |root| arrays(root, &[("x", npy("|u1", "(12, 4, 4, 4)", twelve())), ("y", labels())]),
        &[
            "DATA/a.npz [x]: expected NxHxW, NxHxWxC or NxCxHxW with 1 or 3 channels, found 12x4x4x4; leave out transparency by x[..., :3]",
        ],
    ),
    (
        "a type that is no number",
        |root| arrays(root, &[("x", npy("<c8", "(12, 8, 1)", twelve())), ("y", labels())]),
        &[
            "DATA/a.npz [x]: expected numbers (bool, int8 to int64, uint8 to uint64, float16 to float64) or texts, found dtype '<c8'",
        ],
    ),
    (
        "a pickle",
        |root| arrays(root, &[("x", npy("|O", "(12,)", [0; 96])), ("y", labels())]),
        &[
            "DATA/a.npz [x]: expected numbers (bool, int8 to int64, uint8 to uint64, float16 to float64) or texts, found dtype '|O'; objects of \
             Python are not read: save images as np.stack(images), texts as np.array(texts, dtype=str)",
        ],
    ),
    (
        "NaN among the pixels",
        |root| arrays(root, &[("x", floats(|i, value| if i == 200 { f32::NAN } else { value })), ("y", labels())]),
        &["DATA/a.npz [x]: image 3: expected finite numbers, found NaN"],
    ),
    (
        "normalized pixels",
        |root| arrays(root, &[("x", floats(|_, value| value * 4.0 - 2.0)), ("y", labels())]),
        &[
            "DATA/a.npz: expected pixels from 0 to 1, from 0 to 255, or whole numbers from 0 to 65535, found numbers from -2 to 2; give \
             the images as they were before they were normalized",
        ],
    ),
    (
        "a header that promises more than there is",
        |root| arrays(root, &[("x", npy("|u1", "(12000, 8, 8)", twelve())), ("y", labels())]),
        &["DATA/a.npz [x]: after the header of 77 bytes, expected 768000 bytes (12000x8x8 of '|u1'), found 768"],
    ),
    (
        "an array that is none",
        |root| {
            write(&root.join("y.npy"), labels());
            write(&root.join("x.npy"), "PK\x03\x04 and more")
        },
        &[r"DATA/x.npy: expected a NumPy array, found something that begins with PK\x03\x04 a"],
    ),
    (
        "an archive's bomb",
        |root| arrays(root, &[("x", npy("|u1", "(80000000, 1, 1)", vec![0; 80_000_000])), ("y", labels())]),
        &["DATA/a.npz [x]: expected an array, found …"],
    ),
    (
        "an archive of more images than memory should hold",
        |root| {
            let n = 6_000_000;
            let shape = format!("({n}, 1, 1)");
            arrays(root, &[("x", npy("|u1", &shape, vec![0; n])), ("y", npy("|u1", &format!("({n},)"), vec![0; n]))])
        },
        &["DATA/a.npz [x]: expected at most 5000000 images, found 6000000x1x1"],
    ),
    (
        "1,001 classes",
        |root| {
            let images: Vec<u8> = (0..1_001_u32).flat_map(|i| [i as u8, (i >> 8) as u8, 0, 0]).collect();
            let labels: Vec<u8> = (0..1_001_u16).flat_map(u16::to_le_bytes).collect();
            arrays(root, &[("x", npy("|u1", "(1001, 2, 2)", images)), ("y", npy("<u2", "(1001,)", labels))])
        },
        &["DATA/a.npz: expected images of 2 to 1000 classes, found 1001 (0, 1, 2, 3, 4 and 996 more)"],
    ),
];

#[test]
fn every_problem_is_told_in_a_line_that_names_file_and_place() {
    let mut wrong = Vec::new();
    for (what, make, expected) in TABLE {
        let folder = tempfile::tempdir().unwrap();
        let path = make(folder.path());
        let argument = DataArgument::Own(path);
        let error = load_argument(&argument, Path::new(""), None, &Reading::default(), &SplitSettings::default()).err();
        let Some(DataError::Unusable { problems, .. }) = &error else { panic!("{what}: {error:?}") };
        let root = folder.path().to_str().unwrap();
        let said: Vec<String> = problems.iter().map(|problem| problem.to_string().replace(root, "DATA")).collect();
        let fits = |said: &String, expected: &str| match expected.strip_suffix('…') {
            Some(start) => said.starts_with(start),
            None => said == expected,
        };
        let as_expected =
            said.len() == expected.len() && said.iter().zip(*expected).all(|(said, text)| fits(said, text));
        let in_a_line = said.iter().all(|said| !said.contains('\n') && said.len() < 450);
        if !as_expected || !in_a_line {
            wrong.push(format!("{what}: {said:#?}\nshould be {expected:#?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(TABLE.len() >= 40, "{}", TABLE.len());
}

#[test]
fn a_long_list_is_cut_and_its_length_told() {
    let folder = tempfile::tempdir().unwrap();
    cats_and_dogs(folder.path(), 0);
    (0..30).for_each(|i| drop(write(&folder.path().join(format!("cat/bad{i:02}.png")), "")));
    let argument = DataArgument::Own(folder.path().to_owned());
    let error =
        load_argument(&argument, Path::new(""), None, &Reading::default(), &SplitSettings::default()).unwrap_err();
    let said = error.to_string();
    assert!(said.lines().next().unwrap().ends_with(" cannot be used: 30 problems"), "{said}");
    assert_eq!(said.lines().count(), 22, "{said}");
    assert!(said.lines().last().unwrap().starts_with("  and 10 more (`metaqnn data check "), "{said}");
    let DataError::Unusable { problems, .. } = error else { panic!("{said}") };
    assert_eq!(problems.len(), 30);
}

#[cfg(unix)]
#[test]
fn a_file_that_may_not_be_read_is_named() {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::tempdir().unwrap();
    let file = with_cat(folder.path(), "x.png", png(70)).join("cat/x.png");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o000)).unwrap();
    if fs::read(&file).is_ok() {
        eprintln!("skipped: root may read everything");
        return;
    }
    let argument = DataArgument::Own(folder.path().to_owned());
    let error = load_argument(&argument, Path::new(""), None, &Reading::default(), &SplitSettings::default())
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("cat/x.png: it may not be read: check the permissions"), "{error}");
}

#[cfg(unix)]
#[test]
fn a_pipe_is_not_waited_for() {
    let folder = tempfile::tempdir().unwrap();
    cats_and_dogs(folder.path(), 0);
    let pipe = folder.path().join("cat/x.png");
    assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
    let argument = DataArgument::Own(folder.path().to_owned());
    let error = load_argument(&argument, Path::new(""), None, &Reading::default(), &SplitSettings::default())
        .unwrap_err()
        .to_string();
    assert!(error.ends_with("cat/x.png: expected an image file, found something else"), "{error}");
}

/// Found by fuzzing.
#[test]
fn what_a_decoder_says_in_lines_is_one_line() {
    let folder = tempfile::tempdir().unwrap();
    let file = write(&folder.path().join("x.jpg"), include_bytes!("../fixtures/fuzzed/long_segment.jpg"));
    let error = read_image(&file, ImageShape { channels: 1, height: 8, width: 8 }, 255).unwrap_err().to_string();
    assert!(
        error.ends_with("x.jpg: Jpeg: damaged or cut (I/O errors Not enough bytes, expected 162 but found 154)"),
        "{error}"
    );
}

#[test]
fn a_wrong_mat_file_is_told_with_its_place() {
    let root = tempfile::tempdir().unwrap();
    for name in ["train_32x32.mat", "test_32x32.mat"] {
        write(&root.path().join("svhn").join(name), [b'x'; 200]);
    }
    let error = load(&DataSource::Svhn, root.path(), &SplitSettings::default()).unwrap_err().to_string();
    assert!(error.contains("train_32x32.mat: at byte 126: expected the mark of a MATLAB 5 .mat file"), "{error}");
}
