//! The IDX format of MNIST and Fashion-MNIST (<http://yann.lecun.com/exdb/mnist/>).
//!
//! All numbers big-endian. Two zero bytes, the type of the values (8: unsigned bytes), the number of dimensions; then
//! each dimension in 4 bytes; then the values, the last dimension running fastest.

use crate::data_set::ImageShape;
use crate::error::DataError;
use crate::file_reader::FileReader;

/// Reads a file of grey images of the given shape.
///
/// # Shapes
/// The result has dimensions NHW, the same as NCHW with C = 1.
pub(crate) fn read_images(reader: &mut FileReader<'_>, shape: ImageShape) -> Result<Vec<u8>, DataError> {
    read_magic(reader, [0, 0, 8, 3], "images")?;
    let count = read_count(reader, "images")?;
    let at = reader.offset();
    let rows = u32::from_be_bytes(reader.array("number of rows")?);
    let columns = u32::from_be_bytes(reader.array("number of columns")?);
    if (rows as usize, columns as usize) != (shape.height, shape.width) {
        let expected = format!("images of {}x{}", shape.height, shape.width);
        return Err(reader.wrong(at, expected, format!("{rows}x{columns}")));
    }
    // At most 2³² images of the few pixels just checked: no overflow.
    let pixels = reader.bytes(u64::from(count) * shape.pixels() as u64, &format!("pixels of {count} images"))?;
    reader.expect_end()?;
    Ok(pixels)
}

/// Reads a file of labels below `classes`.
pub(crate) fn read_labels(reader: &mut FileReader<'_>, classes: usize) -> Result<Vec<u16>, DataError> {
    read_magic(reader, [0, 0, 8, 1], "labels")?;
    let count = read_count(reader, "labels")?;
    let start = reader.offset();
    let labels = reader.bytes(u64::from(count), &format!("{count} labels"))?;
    reader.expect_end()?;
    if let Some(i) = labels.iter().position(|&label| usize::from(label) >= classes) {
        let expected = format!("a label below {classes}");
        return Err(reader.wrong(start + i as u64, expected, labels[i].to_string()));
    }
    Ok(labels.into_iter().map(u16::from).collect())
}

fn read_magic(reader: &mut FileReader<'_>, expected: [u8; 4], what: &str) -> Result<(), DataError> {
    let found: [u8; 4] = reader.array("IDX magic number")?;
    if found == expected {
        return Ok(());
    }
    let hex = |magic: [u8; 4]| format!("{:#010x}", u32::from_be_bytes(magic));
    Err(reader.wrong(0, format!("the IDX magic number of {what}, {}", hex(expected)), hex(found)))
}

fn read_count(reader: &mut FileReader<'_>, what: &str) -> Result<u32, DataError> {
    let at = reader.offset();
    match u32::from_be_bytes(reader.array(&format!("number of {what}"))?) {
        0 => Err(reader.wrong(at, format!("at least one of the {what}"), "0")),
        count => Ok(count),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    const SHAPE: ImageShape = ImageShape { channels: 1, height: 3, width: 2 };

    fn images_file() -> Vec<u8> {
        [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 3, 0, 0, 0, 2], (0..12).collect::<Vec<u8>>().as_slice()].concat()
    }

    fn labels_file() -> Vec<u8> {
        vec![0, 0, 8, 1, 0, 0, 0, 3, 9, 0, 4]
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn images(bytes: &[u8]) -> Result<Vec<u8>, DataError> {
        FileReader::new(Path::new("images"), bytes).and_then(|mut reader| read_images(&mut reader, SHAPE))
    }

    fn labels(bytes: &[u8]) -> Result<Vec<u16>, DataError> {
        FileReader::new(Path::new("labels"), bytes).and_then(|mut reader| read_labels(&mut reader, 10))
    }

    #[test]
    fn plain_and_gzipped_files_are_read() {
        assert_eq!(images(&images_file()).unwrap(), (0..12).collect::<Vec<u8>>());
        assert_eq!(images(&gzip(&images_file())).unwrap(), (0..12).collect::<Vec<u8>>());
        assert_eq!(labels(&labels_file()).unwrap(), [9, 0, 4]);
        assert_eq!(labels(&gzip(&labels_file())).unwrap(), [9, 0, 4]);
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let changed = |file: &[u8], at: usize, byte: u8| {
            let mut file = file.to_vec();
            file[at] = byte;
            file
        };
        let (i, l) = (images_file(), labels_file());
        for (result, message) in [
            (images(&l).map(drop), "at byte 0: expected the IDX magic number of images, 0x00000803, found 0x00000801"),
            (images(&changed(&i, 2, 0x0d)).map(drop), "found 0x00000d03"),
            (images(&changed(&i, 11, 4)).map(drop), "at byte 8: expected images of 3x2, found 4x2"),
            (
                images(&changed(&i, 7, 3)).map(drop),
                "at byte 16: expected pixels of 3 images (18 bytes), found the end after 12",
            ),
            (images(&changed(&i, 4, 255)).map(drop), "found the end after 12 bytes"),
            (images(&changed(&i, 7, 1)).map(drop), "at byte 22: expected the end, found more bytes"),
            (images(&changed(&i, 7, 0)).map(drop), "at byte 4: expected at least one of the images, found 0"),
            (images(&i[..10]).map(drop), "at byte 8: expected number of rows (4 bytes), found the end after 2 bytes"),
            (images(&[]).map(drop), "found the end after 0 bytes"),
            (labels(&changed(&l, 9, 10)).map(drop), "labels: at byte 9: expected a label below 10, found 10"),
            (labels(&gzip(&changed(&l, 9, 10))).map(drop), "at byte 9 of the uncompressed contents"),
            (labels(&gzip(&l)[..25]).map(drop), "expected a whole compressed stream"),
            (labels(&[gzip(&l), vec![7]].concat()).map(drop), "expected a whole compressed stream"),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(message), "{error}\nshould contain\n{message}");
        }
        let mut wrong_checksum = gzip(&l);
        let at = wrong_checksum.len() - 8;
        wrong_checksum[at] ^= 1;
        assert!(labels(&wrong_checksum).unwrap_err().to_string().contains("damaged"));
    }

    proptest! {
        /// Whatever is done to a file, reading it ends in images or an error.
        #[test]
        fn no_file_is_a_panic(
            changes in prop::collection::vec((0_usize..64, any::<u8>()), 0..4),
            keep in 0_usize..64,
            zipped: bool,
        ) {
            for file in [images_file(), labels_file()] {
                let mut file = if zipped { gzip(&file) } else { file };
                file.truncate(keep);
                for &(at, byte) in &changes {
                    if let Some(place) = file.get_mut(at) {
                        *place = byte;
                    }
                }
                if let Ok(pixels) = images(&file) {
                    prop_assert_eq!(pixels.len() % SHAPE.pixels(), 0);
                }
                if let Ok(labels) = labels(&file) {
                    prop_assert!(labels.iter().all(|&label| label < 10));
                }
            }
        }
    }
}
