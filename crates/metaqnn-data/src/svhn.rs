//! The cropped digits of Street View House Numbers (<http://ufldl.stanford.edu/housenumbers/>, format 2).
//!
//! A .mat file with `X`, uint8 of dimensions [32 rows, 32 columns, 3 channels, N] with the rows running fastest, and
//! `y`, of dimensions [N, 1], the digit shown, with 10 for the digit 0.

use crate::data_set::{ImageShape, LabelledImages};
use crate::error::DataError;
use crate::file_reader::FileReader;
use crate::mat::{NumberType, Variable, read_variables};

const SHAPE: ImageShape = ImageShape { channels: 3, height: 32, width: 32 };

/// Reads a file of any number of images.
pub(crate) fn read_images(reader: &mut FileReader<'_>) -> Result<LabelledImages, DataError> {
    let variables = read_variables(reader, &|name, dimensions| match (name, dimensions) {
        // A last dimension of 1 is left out.
        ("X", [32, 32, 3]) => Ok(true),
        ("X", [32, 32, 3, n]) | ("y", [n, 1] | [1, n]) if *n > 0 => Ok(true),
        ("X", _) => Err("X of dimensions 32x32x3xN".to_owned()),
        ("y", _) => Err("y of dimensions Nx1".to_owned()),
        _ => Ok(false),
    })?;
    let (mut pixels, mut labels) = (None, None);
    for variable in variables {
        let place = if variable.name == "X" { &mut pixels } else { &mut labels };
        if place.is_some() {
            return Err(reader.wrong(variable.offset, "one variable of a name", format!("another {}", variable.name)));
        }
        *place = Some(variable);
    }
    let missing =
        |name: &str| reader.wrong(reader.offset(), format!("a numeric variable {name} before the end"), "none");
    let pixels = pixels.ok_or_else(|| missing("X"))?;
    let labels = labels.ok_or_else(|| missing("y"))?;
    if pixels.number != NumberType::UInt8 {
        return Err(reader.wrong(pixels.offset, "X of type UInt8", format!("{:?}", pixels.number)));
    }
    let labels = digits(reader, &labels)?;
    let images = pixels.data.len() / SHAPE.pixels();
    if images != labels.len() {
        let path = reader.path().to_owned();
        return Err(DataError::CountMismatch {
            images_path: path.clone(),
            images,
            labels_path: path,
            labels: labels.len(),
        });
    }
    let mut pixels = pixels.data;
    rows_last_to_first(&mut pixels);
    Ok(LabelledImages { shape: SHAPE, pixels, labels })
}

/// The labels 1…10 as the digits 1…9 and 0.
fn digits(reader: &FileReader<'_>, labels: &Variable) -> Result<Vec<u16>, DataError> {
    labels
        .numbers()
        .enumerate()
        .map(|(i, label)| {
            // Whole numbers are exact in a double; NaN is in no range.
            if (1.0..=10.0).contains(&label) && label.fract() == 0.0 {
                return Ok(label as u16 % 10);
            }
            let offset = labels.offset + (i * labels.number_bytes()) as u64;
            Err(reader.wrong(offset, "a label of 1 to 10 in y", label.to_string()))
        })
        .collect()
}

/// Turns each image from (C, W, H), rows running fastest, to (C, H, W), in place: a set of half a million images
/// need not be in memory twice.
fn rows_last_to_first(pixels: &mut [u8]) {
    let side = SHAPE.width;
    for plane in pixels.chunks_exact_mut(side * side) {
        for row in 1..side {
            for column in 0..row {
                plane.swap(row * side + column, column * side + row);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;
    use sha2::{Digest, Sha256};

    use super::*;
    use crate::data_set::hexadecimal;

    const COMPRESSED: &[u8] = include_bytes!("../tests/fixtures/svhn_compressed.mat");
    const PLAIN: &[u8] = include_bytes!("../tests/fixtures/svhn_plain.mat");
    const DOUBLE_LABELS: &[u8] = include_bytes!("../tests/fixtures/svhn_double_labels.mat");
    const SMALL_ELEMENT: &[u8] = include_bytes!("../tests/fixtures/svhn_small_element.mat");
    const ONE_IMAGE: &[u8] = include_bytes!("../tests/fixtures/svhn_one_image.mat");

    fn read(bytes: &[u8]) -> Result<LabelledImages, DataError> {
        FileReader::new(Path::new("train_32x32.mat"), bytes).and_then(|mut reader| read_images(&mut reader))
    }

    #[test]
    fn files_of_scipy_are_read() {
        for (file, n, checksum) in [
            (COMPRESSED, 12, "517787e468391e71f97dd821ca6cb4b67bfdf71a4e7256a93acd1e43cc5c221b"),
            (PLAIN, 12, "517787e468391e71f97dd821ca6cb4b67bfdf71a4e7256a93acd1e43cc5c221b"),
            (DOUBLE_LABELS, 12, "517787e468391e71f97dd821ca6cb4b67bfdf71a4e7256a93acd1e43cc5c221b"),
            (SMALL_ELEMENT, 3, "cef4273be330a453ab36949a9f4af7dab8d09ce54289bf530fb89854eb392179"),
            (ONE_IMAGE, 1, "2fc6b20c47d51959a85d6b1f7bbc1ecfb3c4783d0afdd1d43bee4855b51cebd1"),
        ] {
            let images = read(file).unwrap();
            assert_eq!(images.len(), n);
            let labels: Vec<u8> = images.labels.iter().map(|&label| label as u8).collect();
            let contents = [images.pixels.as_slice(), &labels].concat();
            assert_eq!(hexadecimal(&Sha256::digest(&contents)), checksum);
        }
        assert_eq!(read(PLAIN).unwrap().labels, [1, 2, 3, 4, 5, 6, 7, 8, 9, 0, 1, 2]);
    }

    /// The plain file, put together by hand in the given byte order.
    fn by_hand(big_endian: bool, images: u32, labels: &[u8]) -> Vec<u8> {
        let word = |value: u32| if big_endian { value.to_be_bytes() } else { value.to_le_bytes() };
        let element = |code: u32, data: &[u8]| {
            let mut element = [word(code), word(data.len() as u32)].concat();
            element.extend_from_slice(data);
            element.resize(element.len().next_multiple_of(8), 0);
            element
        };
        let variable = |name: &[u8], dimensions: &[u32], data: &[u8]| {
            let dimensions: Vec<u8> = dimensions.iter().flat_map(|&dimension| word(dimension)).collect();
            let inside =
                [element(6, &[word(9), word(0)].concat()), element(5, &dimensions), element(1, name), element(2, data)];
            element(14, &inside.concat())
        };
        let mut file = vec![b' '; 128];
        file[124..].copy_from_slice(if big_endian { b"\x01\x00MI" } else { b"\x00\x01IM" });
        file.extend(variable(b"X", &[32, 32, 3, images], &vec![7; images as usize * 3072]));
        file.extend(variable(b"y", &[labels.len() as u32, 1], labels));
        file
    }

    #[test]
    fn both_byte_orders_are_read() {
        for big_endian in [false, true] {
            let images = read(&by_hand(big_endian, 2, &[10, 4])).unwrap();
            assert_eq!(images.labels, [0, 4]);
            assert_eq!(images.pixels, [7; 2 * 3072]);
        }
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let changed = |file: &[u8], at: usize, bytes: &[u8]| {
            let mut file = file.to_vec();
            file[at..at + bytes.len()].copy_from_slice(bytes);
            file
        };
        let good = by_hand(false, 2, &[10, 4]);
        // 128 header, 8 tag of X, 16 flags, then 8 tag and 16 values of dimensions, 16 name, 8 tag of the numbers.
        let (dimensions, numbers) = (128 + 8 + 16 + 8, 128 + 8 + 16 + 24 + 16);
        for (file, message) in [
            (good[..100].to_vec(), "expected the header of a MATLAB 5 .mat file (128 bytes), found the end after 100"),
            (changed(&good, 126, b"XX"), "at byte 126"),
            (changed(&good, 124, &[0, 2]), "version 7.3"),
            (changed(&good, dimensions, &[28]), "expected X of dimensions 32x32x3xN, found 28x32x3x2"),
            (changed(&good, dimensions + 12, &[3]), "expected 32x32x3x3 numbers of 1 bytes in X, found 6144 bytes"),
            (changed(&good, dimensions + 12, &[255; 4]), "numbers of 1 bytes in X, found 6144 bytes"),
            (changed(&good, numbers, &[3]), "numbers of 2 bytes in X"),
            (changed(&good, numbers, &[14]), "expected numbers of X, found type 14"),
            (by_hand(false, 2, &[10, 11]), "expected a label of 1 to 10 in y, found 11"),
            (by_hand(false, 2, &[10, 0]), "expected a label of 1 to 10 in y, found 0"),
            (by_hand(false, 2, &[10, 1, 2]), "holds 2 images but train_32x32.mat holds 3 labels"),
            (good[..good.len() - 72].to_vec(), "expected a numeric variable y before the end, found none"),
            (good[..5000].to_vec(), "expected numbers of X (6144 bytes), found the end after 4800 bytes"),
            ([good.clone(), vec![1, 2, 3]].concat(), "expected an element's tag, found the end after 3 bytes"),
            ([good.clone(), vec![0; 8]].concat(), "expected a variable (type 14 or 15), found type 0"),
            ([good.clone(), good[128..].to_vec()].concat(), "expected one variable of a name, found another X"),
            (COMPRESSED[..COMPRESSED.len() / 2].to_vec(), "expected a whole compressed stream"),
        ] {
            let error = read(&file).unwrap_err().to_string();
            assert!(error.contains(message), "{error}\nshould contain\n{message}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(512))]

        /// Whatever is done to a file, reading it ends in images or an error. Most changes strike its headers.
        #[test]
        fn no_file_is_a_panic(
            changes in prop::collection::vec((prop_oneof![120_usize..260, 0_usize..20_000], any::<u8>()), 0..4),
            keep in prop_oneof![Just(usize::MAX), 0_usize..20_000],
        ) {
            for file in [COMPRESSED, SMALL_ELEMENT] {
                let mut file = file[..keep.min(file.len())].to_vec();
                for &(at, byte) in &changes {
                    if let Some(place) = file.get_mut(at) {
                        *place = byte;
                    }
                }
                if let Ok(images) = read(&file) {
                    prop_assert_eq!(images.pixels.len(), images.len() * 3072);
                }
            }
        }
    }
}
