//! Small data sets of every kind, made as files.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};

use image::{GrayImage, ImageFormat, Luma, Rgb, RgbImage};

/// A grey image of 10×12 that no other `number` gives.
pub(crate) fn grey(number: u32) -> GrayImage {
    GrayImage::from_fn(12, 10, |x, y| Luma([(number * 7 + x * 11 + y * number % 251) as u8]))
}

/// The same in colour.
pub(crate) fn colour(number: u32) -> RgbImage {
    RgbImage::from_fn(12, 10, |x, y| Rgb([(number * 7) as u8, (x * 11) as u8, (y * number % 251) as u8]))
}

/// Writes `bytes`, and the folders above where they are missing.
pub(crate) fn write(path: &Path, bytes: impl AsRef<[u8]>) -> PathBuf {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
    path.to_owned()
}

/// The bytes of an image file.
pub(crate) fn encoded(image: impl Into<image::DynamicImage>, format: ImageFormat) -> Vec<u8> {
    let mut bytes = std::io::Cursor::new(Vec::new());
    image.into().write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

pub(crate) fn png(number: u32) -> Vec<u8> {
    encoded(grey(number), ImageFormat::Png)
}

/// Six PNG files of cats and six of dogs below `folder`, all distinct; `first` is the number of the first.
pub(crate) fn cats_and_dogs(folder: &Path, first: u32) {
    for i in 0..12 {
        let class = if i % 2 == 0 { "cat" } else { "dog" };
        write(&folder.join(format!("{class}/{i:02}.png")), png(first + i));
    }
}

/// An `.npy` file.
pub(crate) fn npy(descr: &str, shape: &str, data: impl AsRef<[u8]>) -> Vec<u8> {
    let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': {shape}, }}\n");
    let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
    bytes.extend((header.len() as u16).to_le_bytes());
    bytes.extend(header.as_bytes());
    bytes.extend(data.as_ref());
    bytes
}

/// An archive.
pub(crate) fn npz(arrays: &[(&str, Vec<u8>)]) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in arrays {
        archive.start_file(format!("{name}.npy"), zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

/// Twelve images of 8×8 as bytes, image after image, no two equal.
pub(crate) fn twelve() -> Vec<u8> {
    (0..12_u32).flat_map(|number| (0..64).map(move |place| (number * 19 + place * (number % 5 + 1)) as u8)).collect()
}

/// Labels 0 and 1 by turns.
pub(crate) fn twelve_labels() -> Vec<u8> {
    (0..12).map(|number| number % 2).collect()
}

/// A table of `twelve` with a line of names.
pub(crate) fn pixel_table() -> String {
    let mut table = "label".to_owned();
    for place in 0..64 {
        table += &format!(",pixel{place}");
    }
    for (image, label) in twelve().chunks(64).zip(twelve_labels()) {
        table += &format!("\n{label}");
        for value in image {
            table += &format!(",{value}");
        }
    }
    table + "\n"
}
