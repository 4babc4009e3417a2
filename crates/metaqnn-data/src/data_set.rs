//! Labelled images in memory, and a data set made of three splits of them.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::augment::turned_by;
use crate::source::DataSource;

/// The shape of one image: (C, H, W).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct ImageShape {
    /// Channels: 1 for grey, 3 for red, green, blue.
    pub channels: usize,
    /// Rows.
    pub height: usize,
    /// Columns.
    pub width: usize,
}

impl ImageShape {
    /// Values in one image: channels × height × width.
    #[must_use]
    pub fn pixels(self) -> usize {
        self.channels * self.height * self.width
    }
}

impl fmt::Display for ImageShape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&format!("{}x{}x{}", self.channels, self.height, self.width))
    }
}

/// Images and their labels, kept as the bytes they were stored as.
///
/// # Shapes
/// `pixels` has dimensions NCHW (N = `labels.len()`, C, H and W those of `shape`), without padding.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelledImages {
    /// The shape of each image.
    pub shape: ImageShape,
    /// All pixels, NCHW.
    pub pixels: Vec<u8>,
    /// The class of each image.
    pub labels: Vec<u16>,
}

impl LabelledImages {
    /// No images of the given shape.
    #[must_use]
    pub fn empty(shape: ImageShape) -> Self {
        Self { shape, pixels: Vec::new(), labels: Vec::new() }
    }

    /// How many images there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.labels.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.labels.is_empty()
    }

    /// The pixels of image `i`, CHW.
    ///
    /// # Panics
    /// If there is no image `i`.
    #[must_use]
    pub fn image(&self, i: usize) -> &[u8] {
        let size = self.shape.pixels();
        &self.pixels[i * size..(i + 1) * size]
    }

    /// A copy of the images `indices`, in that order; one may be named more than once.
    ///
    /// # Panics
    /// If an index is out of range.
    #[must_use]
    pub fn select(&self, indices: &[usize]) -> Self {
        let mut selected = Self {
            shape: self.shape,
            pixels: Vec::with_capacity(indices.len() * self.shape.pixels()),
            labels: Vec::with_capacity(indices.len()),
        };
        for &i in indices {
            selected.pixels.extend_from_slice(self.image(i));
            selected.labels.push(self.labels[i]);
        }
        selected
    }

    /// These images followed by `other`'s.
    ///
    /// # Panics
    /// If the shapes differ.
    #[must_use]
    pub fn concat(&self, other: &Self) -> Self {
        assert_eq!(self.shape, other.shape, "images of different shapes cannot be put together");
        Self {
            shape: self.shape,
            pixels: [self.pixels.as_slice(), &other.pixels].concat(),
            labels: [self.labels.as_slice(), &other.labels].concat(),
        }
    }

    /// A copy of them, each mirrored left to right.
    #[must_use]
    pub fn mirrored(&self) -> Self {
        let mut mirrored = self.clone();
        mirrored.pixels.chunks_exact_mut(self.shape.width.max(1)).for_each(<[u8]>::reverse);
        mirrored
    }

    /// A copy of them, each turned clockwise by 90 degrees; by 180 where they are not square.
    #[must_use]
    pub fn turned(&self) -> Self {
        let ImageShape { height, width, .. } = self.shape;
        let quarters = if height == width { 1 } else { 2 };
        Self { pixels: turned_by(&self.pixels, height, width, quarters), ..self.clone() }
    }

    /// How many images each of the classes `0..classes` has; labels beyond are not counted.
    #[must_use]
    pub fn class_counts(&self, classes: usize) -> Vec<usize> {
        let mut counts = vec![0; classes];
        for &label in &self.labels {
            if let Some(count) = counts.get_mut(usize::from(label)) {
                *count += 1;
            }
        }
        counts
    }
}

/// A data set, read and split: what one study trains on, validates on and, at its very end, tests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DataSet {
    /// Its name, as on the command line.
    pub name: String,
    /// The names of its classes; a label is an index into them.
    pub class_names: Vec<String>,
    /// Images to learn from.
    pub train: LabelledImages,
    /// Images whose accuracy is the reward.
    pub valid: LabelledImages,
    /// Images that nothing but the final evaluation may see.
    pub test: LabelledImages,
    /// The largest value a pixel can have; pixels are scaled to [0, 1] by it.
    pub max_value: u8,
    /// SHA-256, in hexadecimal, of the shape, labels and pixels of the three splits. Equal fingerprints mean equal
    /// data, split equally.
    pub fingerprint: String,
    /// Whether an image seen in a mirror is still an image of its class; `None` where nobody has said so, of own data.
    pub mirror_is_safe: Option<bool>,
    /// Which of the known data sets it is; `None` of own data.
    pub source: Option<DataSource>,
}

impl DataSet {
    /// Puts the splits of a known data set together and takes their fingerprint.
    pub(crate) fn new(source: DataSource, train: LabelledImages, valid: LabelledImages, test: LabelledImages) -> Self {
        let max_value = source.max_value();
        Self {
            name: source.name().to_owned(),
            class_names: source.class_names().iter().map(|&name| name.to_owned()).collect(),
            fingerprint: fingerprint(max_value, [&train, &valid, &test]),
            train,
            valid,
            test,
            max_value,
            mirror_is_safe: Some(source.mirror_is_safe()),
            source: Some(source),
        }
    }

    /// Puts the splits of own data, whose bytes use the whole range, together and takes their fingerprint.
    pub(crate) fn own(
        name: String,
        class_names: Vec<String>,
        train: LabelledImages,
        valid: LabelledImages,
        test: LabelledImages,
    ) -> Self {
        Self {
            name,
            class_names,
            fingerprint: fingerprint(u8::MAX, [&train, &valid, &test]),
            train,
            valid,
            test,
            max_value: u8::MAX,
            mirror_is_safe: None,
            source: None,
        }
    }

    /// This data set with other images of the same classes, and their fingerprint.
    pub(crate) fn with_images(
        self,
        train: LabelledImages,
        valid: LabelledImages,
        test: LabelledImages,
        max_value: u8,
    ) -> Self {
        let fingerprint = fingerprint(max_value, [&train, &valid, &test]);
        Self { train, valid, test, max_value, fingerprint, ..self }
    }

    /// The shape of its images.
    #[must_use]
    pub fn shape(&self) -> ImageShape {
        self.train.shape
    }

    /// How many classes there are.
    #[must_use]
    pub fn classes(&self) -> usize {
        self.class_names.len()
    }

    /// The training images followed by the validation images: what the final phase trains on.
    #[must_use]
    pub fn train_and_valid(&self) -> LabelledImages {
        self.train.concat(&self.valid)
    }
}

/// SHA-256 over everything in the splits. Every length precedes its contents, so no two data sets spell the same bytes.
fn fingerprint(max_value: u8, splits: [&LabelledImages; 3]) -> String {
    let mut hash = Sha256::new();
    hash.update([max_value]);
    for images in splits {
        let ImageShape { channels, height, width } = images.shape;
        for size in [channels, height, width, images.len()] {
            hash.update((size as u64).to_le_bytes());
        }
        for label in &images.labels {
            hash.update(label.to_le_bytes());
        }
        hash.update(&images.pixels);
    }
    hexadecimal(&hash.finalize())
}

/// Bytes as lower-case hexadecimal digits.
pub(crate) fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn three_images() -> LabelledImages {
        LabelledImages {
            shape: ImageShape { channels: 1, height: 1, width: 2 },
            pixels: vec![0, 1, 2, 3, 4, 5],
            labels: vec![0, 1, 1],
        }
    }

    #[test]
    fn shape_is_written_channels_first() {
        assert_eq!(ImageShape { channels: 3, height: 32, width: 16 }.to_string(), "3x32x16");
        assert_eq!(ImageShape { channels: 3, height: 32, width: 16 }.pixels(), 1536);
    }

    #[test]
    fn select_and_concat_keep_images_and_labels_together() {
        let images = three_images();
        let selected = images.select(&[2, 0]);
        assert_eq!(selected.pixels, [4, 5, 0, 1]);
        assert_eq!(selected.labels, [1, 0]);
        let both = selected.concat(&images.select(&[1]));
        assert_eq!(both.len(), 3);
        assert_eq!(both.image(2), [2, 3]);
        assert_eq!(both.class_counts(3), [1, 2, 0]);
    }

    #[test]
    fn mirrored_images_have_each_row_turned_round() {
        let images = LabelledImages {
            shape: ImageShape { channels: 2, height: 2, width: 3 },
            pixels: (0..12).collect(),
            labels: vec![7],
        };
        let mirrored = images.mirrored();
        assert_eq!(mirrored.pixels, [2, 1, 0, 5, 4, 3, 8, 7, 6, 11, 10, 9]);
        assert_eq!(mirrored.mirrored(), images);
    }

    #[test]
    fn fingerprint_sees_every_part() {
        let images = three_images();
        let reference = fingerprint(255, [&images, &images, &images]);
        assert_eq!(reference.len(), 64);
        let mut pixel = images.clone();
        pixel.pixels[5] = 6;
        let mut label = images.clone();
        label.labels[0] = 1;
        let mut shape = images.clone();
        shape.shape = ImageShape { channels: 2, height: 1, width: 1 };
        for other in [pixel, label, shape, images.select(&[0, 1])] {
            assert_ne!(fingerprint(255, [&images, &images, &other]), reference);
        }
        assert_ne!(fingerprint(16, [&images, &images, &images]), reference);
    }
}
