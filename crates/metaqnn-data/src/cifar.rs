//! The binary version of CIFAR-10 and CIFAR-100 (<https://www.cs.toronto.edu/~kriz/cifar.html>).
//!
//! A file is records one after another: the label (CIFAR-100: the coarse label, then the fine one, which is used) in
//! a byte each, then 3,072 pixels, CHW. No header says how many, so a file that was cut between two records can only
//! be told by the number published.

use crate::data_set::{ImageShape, LabelledImages};
use crate::error::DataError;
use crate::file_reader::FileReader;

/// The shape of every image of both sets.
const SHAPE: ImageShape = ImageShape { channels: 3, height: 32, width: 32 };

/// Which of the two record layouts a file has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Records {
    /// Label, pixels: 3,073 bytes.
    Cifar10,
    /// Coarse label, fine label, pixels: 3,074 bytes.
    Cifar100,
}

impl Records {
    /// The labels of a record in file order: what each is called and how many classes it tells apart. The last is
    /// the one that is used.
    fn labels(self) -> &'static [(&'static str, u8)] {
        match self {
            Self::Cifar10 => &[("label", 10)],
            Self::Cifar100 => &[("coarse label", 20), ("fine label", 100)],
        }
    }
}

/// Reads a file of exactly `count` records.
pub(crate) fn read_images(
    reader: &mut FileReader<'_>,
    records: Records,
    count: usize,
) -> Result<LabelledImages, DataError> {
    let labels = records.labels();
    let mut record = vec![0; labels.len() + SHAPE.pixels()];
    let mut images = LabelledImages::empty(SHAPE);
    for i in 0..count {
        let start = reader.offset();
        let size = reader.fill(&mut record)?;
        if size < record.len() {
            let expected = format!("{count} records of {} bytes", record.len());
            return Err(reader.wrong(start, expected, format!("{i} records and {size} bytes")));
        }
        for (at, (&found, (what, classes))) in record.iter().zip(labels).enumerate() {
            if found >= *classes {
                return Err(reader.wrong(start + at as u64, format!("a {what} below {classes}"), found.to_string()));
            }
        }
        images.labels.push(u16::from(record[labels.len() - 1]));
        images.pixels.extend_from_slice(&record[labels.len()..]);
    }
    reader.expect_end()?;
    Ok(images)
}

/// The classes of CIFAR-10, by label.
pub(crate) const CIFAR10_CLASSES: [&str; 10] =
    ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"];

/// The fine classes of CIFAR-100, by label.
#[rustfmt::skip]
pub(crate) const CIFAR100_CLASSES: [&str; 100] = [
    "apple", "aquarium_fish", "baby", "bear", "beaver", "bed", "bee", "beetle", "bicycle", "bottle",
    "bowl", "boy", "bridge", "bus", "butterfly", "camel", "can", "castle", "caterpillar", "cattle",
    "chair", "chimpanzee", "clock", "cloud", "cockroach", "couch", "crab", "crocodile", "cup", "dinosaur",
    "dolphin", "elephant", "flatfish", "forest", "fox", "girl", "hamster", "house", "kangaroo", "keyboard",
    "lamp", "lawn_mower", "leopard", "lion", "lizard", "lobster", "man", "maple_tree", "motorcycle", "mountain",
    "mouse", "mushroom", "oak_tree", "orange", "orchid", "otter", "palm_tree", "pear", "pickup_truck", "pine_tree",
    "plain", "plate", "poppy", "porcupine", "possum", "rabbit", "raccoon", "ray", "road", "rocket",
    "rose", "sea", "seal", "shark", "shrew", "skunk", "skyscraper", "snail", "snake", "spider",
    "squirrel", "streetcar", "sunflower", "sweet_pepper", "table", "tank", "telephone", "television", "tiger", "tractor",
    "train", "trout", "tulip", "turtle", "wardrobe", "whale", "willow_tree", "wolf", "woman", "worm",
];

#[cfg(test)]
mod tests {
    use std::path::Path;

    use proptest::prelude::*;

    use super::*;

    fn read(bytes: &[u8], records: Records, count: usize) -> Result<LabelledImages, DataError> {
        FileReader::new(Path::new("batch.bin"), bytes).and_then(|mut reader| read_images(&mut reader, records, count))
    }

    fn file(labels: &[&[u8]]) -> Vec<u8> {
        labels.iter().flat_map(|labels| [labels, [labels[0] ^ 0x55; 3072].as_slice()].concat()).collect()
    }

    #[test]
    fn records_of_both_sets_are_read() {
        let images = read(&file(&[&[3], &[9]]), Records::Cifar10, 2).unwrap();
        assert_eq!(images.labels, [3, 9]);
        assert_eq!(images.image(1), [9 ^ 0x55; 3072]);
        let images = read(&file(&[&[19, 99], &[0, 7]]), Records::Cifar100, 2).unwrap();
        assert_eq!(images.labels, [99, 7], "fine labels");
        assert_eq!(images.image(0), [19 ^ 0x55; 3072]);
    }

    #[test]
    fn damage_is_named_with_its_place() {
        let good = file(&[&[3], &[9]]);
        for (result, message) in [
            (
                read(&good[..6000], Records::Cifar10, 2),
                "at byte 3073: expected 2 records of 3073 bytes, found 1 records and 2927 bytes",
            ),
            (read(&good[..3073], Records::Cifar10, 2), "found 1 records and 0 bytes"),
            (read(&[], Records::Cifar10, 2), "at byte 0"),
            (read(&good, Records::Cifar10, 1), "at byte 3073: expected the end, found more bytes"),
            (read(&file(&[&[3], &[10]]), Records::Cifar10, 2), "at byte 3073: expected a label below 10, found 10"),
            (read(&file(&[&[20, 0]]), Records::Cifar100, 1), "at byte 0: expected a coarse label below 20, found 20"),
            (read(&file(&[&[0, 100]]), Records::Cifar100, 1), "at byte 1: expected a fine label below 100, found 100"),
        ] {
            let error = result.unwrap_err().to_string();
            assert!(error.contains(message), "{error}\nshould contain\n{message}");
        }
    }

    #[test]
    fn the_fine_classes_are_in_alphabetical_order() {
        assert!(CIFAR100_CLASSES.is_sorted_by(|a, b| a < b));
    }

    proptest! {
        #[test]
        fn no_file_is_a_panic(at in 0_usize..6200, byte: u8, keep in 0_usize..6200, count in 0_usize..4) {
            let mut file = file(&[&[3, 4], &[9, 5]]);
            file.truncate(keep);
            if let Some(place) = file.get_mut(at) {
                *place = byte;
            }
            for records in [Records::Cifar10, Records::Cifar100] {
                if let Ok(images) = read(&file, records, count) {
                    prop_assert_eq!(images.len(), count);
                }
            }
        }
    }
}
