//! The handwritten digits embedded in the program (UCI optical recognition of handwritten digits, test part).
//!
//! A gzipped text of 1,797 lines: 64 pixels of 0…16 (8×8, row by row) and the label 0…9, separated by commas.

use std::io::Read;
use std::path::Path;

use flate2::read::MultiGzDecoder;

use crate::data_set::LabelledImages;
use crate::error::DataError;
use crate::source::DataSource;

static DIGITS: &[u8] = include_bytes!("../assets/digits.csv.gz");

/// How many images of each class are test images, and how many more are validation images.
const HELD_OUT_OF_A_CLASS: usize = 30;

/// All 1,797 digits in file order.
fn read() -> Result<LabelledImages, DataError> {
    let path = Path::new("digits.csv.gz (embedded)");
    let mut text = String::new();
    MultiGzDecoder::new(DIGITS).read_to_string(&mut text).map_err(DataError::io("read", path))?;
    parse(&text, path)
}

fn parse(text: &str, path: &Path) -> Result<LabelledImages, DataError> {
    let shape = DataSource::Digits.shape();
    let mut images = LabelledImages::empty(shape);
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let wrong = |expected: &str, found: String| DataError::Format {
            path: path.to_owned(),
            offset,
            uncompressed: true,
            expected: expected.to_owned(),
            found,
        };
        let numbers = line
            .trim_ascii_end()
            .split(',')
            .map(|number| number.parse::<u8>().map_err(|_| wrong("numbers and commas", format!("{number:?}"))))
            .collect::<Result<Vec<u8>, DataError>>()?;
        let (Some((&label, pixels)), true) = (numbers.split_last(), numbers.len() == shape.pixels() + 1) else {
            return Err(wrong("64 pixels and a label", format!("{} numbers", numbers.len())));
        };
        if let Some(pixel) = pixels.iter().find(|&&pixel| pixel > DataSource::Digits.max_value()) {
            return Err(wrong("pixels of 0 to 16", pixel.to_string()));
        }
        if label > 9 {
            return Err(wrong("a label of 0 to 9", label.to_string()));
        }
        images.pixels.extend_from_slice(pixels);
        images.labels.push(u16::from(label));
        offset += line.len() as u64;
    }
    Ok(images)
}

/// The digits as (training, validation, test) images: of each class the last 30 in file order are test images, the
/// 30 before them validation images, the rest training images (1,197, 300 and 300).
///
/// # Errors
/// If the embedded file is damaged.
pub(crate) fn read_split() -> Result<(LabelledImages, LabelledImages, LabelledImages), DataError> {
    let images = read()?;
    let (mut train, mut valid, mut test) = (Vec::new(), Vec::new(), Vec::new());
    let mut left = images.class_counts(DataSource::Digits.class_names().len());
    for (i, &label) in images.labels.iter().enumerate() {
        let left = &mut left[usize::from(label)];
        if *left <= HELD_OUT_OF_A_CLASS {
            test.push(i);
        } else if *left <= 2 * HELD_OUT_OF_A_CLASS {
            valid.push(i);
        } else {
            train.push(i);
        }
        *left -= 1;
    }
    Ok((images.select(&train), images.select(&valid), images.select(&test)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_embedded_file_is_whole() {
        let images = read().unwrap();
        assert_eq!(images.len(), 1_797);
        assert_eq!(images.class_counts(10), [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]);
        assert_eq!(images.pixels.iter().max(), Some(&16));
        assert_eq!(images.image(0)[..8], [0, 0, 5, 13, 9, 1, 0, 0]);
    }

    #[test]
    fn splits_hold_out_the_last_of_each_class() {
        let all = read().unwrap();
        let (train, valid, test) = read_split().unwrap();
        assert_eq!((train.len(), valid.len(), test.len()), (1_197, 300, 300));
        assert_eq!(valid.class_counts(10), [30; 10]);
        assert_eq!(test.class_counts(10), [30; 10]);
        let of_class = |images: &LabelledImages, class: u16| -> Vec<Vec<u8>> {
            (0..images.len()).filter(|&i| images.labels[i] == class).map(|i| images.image(i).to_vec()).collect()
        };
        for class in 0..10 {
            let parts = [of_class(&train, class), of_class(&valid, class), of_class(&test, class)].concat();
            assert_eq!(parts, of_class(&all, class), "the three parts of class {class} in file order");
        }
    }

    #[test]
    fn damage_is_named() {
        let path = Path::new("digits.csv");
        let good = format!("{}7\n", "1,".repeat(64));
        assert_eq!(parse(&good, path).unwrap().len(), 1);
        for (bad, part) in [
            (good.replace('7', "10"), "label"),
            (good.replacen('1', "17", 1), "0 to 16"),
            (good.replacen('1', "x", 1), "\"x\""),
            (good.replacen("1,", "", 1), "64 numbers"),
        ] {
            let message = parse(&format!("{good}{bad}"), path).unwrap_err().to_string();
            assert!(message.contains(part) && message.contains("at byte 130"), "{message}");
        }
    }
}
