//! Images made larger or smaller when a data set is loaded.

use std::fmt;
use std::str::FromStr;

use fast_image_resize::images::{TypedImage, TypedImageRef};
use fast_image_resize::pixels::U8;
use fast_image_resize::{FilterType, ResizeAlg, ResizeOptions, Resizer};

use crate::data_set::{DataSet, ImageShape, LabelledImages};
use crate::error::DataError;

/// Height and width that images are resized to, each in 8..=224. The text is `HEIGHTxWIDTH`, or one number for both.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ImageSize {
    height: usize,
    width: usize,
}

impl ImageSize {
    /// The least side: below it there is nothing left to convolve.
    pub const LEAST: usize = 8;
    /// The greatest side: above it no network of the search trains in sensible time.
    pub const GREATEST: usize = 224;
    /// The greatest side that is chosen where no size is asked for: a search on a CPU still ends in sensible time.
    pub const GREATEST_UNASKED: usize = 64;

    /// The size of `height` rows and `width` columns.
    ///
    /// # Errors
    /// [`DataError::ImageSize`] where one of them is out of range.
    pub fn new(height: usize, width: usize) -> Result<Self, DataError> {
        for (side, length) in [("height", height), ("width", width)] {
            if !(Self::LEAST..=Self::GREATEST).contains(&length) {
                return Err(DataError::ImageSize {
                    given: format!("{height}x{width}"),
                    reason: format!("the {side} {length} is not in {}..={}", Self::LEAST, Self::GREATEST),
                });
            }
        }
        Ok(Self { height, width })
    }

    /// The size for images of these sizes, (height, width) each, where none is asked for: that of all of them, if it is one with
    /// sides in 8..=64; else the median height and the median width, shrunk in proportion until no side is above 64, and no
    /// side below 8. `None` of no images.
    pub(crate) fn chosen_for(sizes: &[(usize, usize)]) -> Option<Self> {
        let median = |mut sides: Vec<usize>| {
            sides.sort_unstable();
            sides.get(sides.len() / 2).copied()
        };
        let height = median(sizes.iter().map(|size| size.0).collect())?;
        let width = median(sizes.iter().map(|size| size.1).collect())?;
        let longest = height.max(width).max(Self::GREATEST_UNASKED);
        let side = |side: usize| {
            let shrunk = (side * Self::GREATEST_UNASKED + longest / 2) / longest;
            shrunk.clamp(Self::LEAST, Self::GREATEST_UNASKED)
        };
        Some(Self { height: side(height), width: side(width) })
    }

    /// Rows.
    #[must_use]
    pub fn height(self) -> usize {
        self.height
    }

    /// Columns.
    #[must_use]
    pub fn width(self) -> usize {
        self.width
    }
}

impl fmt::Display for ImageSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}x{}", self.height, self.width)
    }
}

impl FromStr for ImageSize {
    type Err = DataError;

    fn from_str(given: &str) -> Result<Self, DataError> {
        let side = |text: &str| {
            text.trim().parse::<usize>().map_err(|_| DataError::ImageSize {
                given: given.to_owned(),
                reason: "a size is HEIGHTxWIDTH or one number for both, for example 32x32 or 32".to_owned(),
            })
        };
        match given.split_once(['x', 'X']) {
            Some((height, width)) => Self::new(side(height)?, side(width)?),
            None => side(given).and_then(|side| Self::new(side, side)),
        }
    }
}

impl DataSet {
    /// The same data set with all images resized to `size`, without regard to their proportions, and the fingerprint of
    /// what came out; itself where the images have that size already.
    ///
    /// Each value is a mean of the pixels around its place with weights of a triangle (bilinear); where images become
    /// smaller the triangle is as wide as the reduction, so that every pixel counts (as Pillow's `BILINEAR`, which is
    /// close to a mean over areas). Pixels with a smaller range than a byte's, those of the digits, are first spread over
    /// 0..=255, so that the values between them are not lost.
    ///
    /// # Errors
    /// [`DataError::Resize`] where the library refuses.
    pub fn resized(self, size: ImageSize) -> Result<Self, DataError> {
        let ImageShape { height, width, .. } = self.shape();
        if (height, width) == (size.height, size.width) {
            return Ok(self);
        }
        let max_value = self.max_value;
        let resized = |images| resize_all(images, max_value, size);
        let (train, valid, test) = (resized(&self.train)?, resized(&self.valid)?, resized(&self.test)?);
        Ok(self.with_images(train, valid, test, u8::MAX))
    }
}

/// Resizes one plane after the other, all of the same size.
///
/// Planes alone, never pixels of three channels: the library is compiled anew for each kind of pixel, half a minute of it, and gives the
/// same values for both.
struct Resizing {
    resizer: Resizer,
    resized: Vec<u8>,
    /// Rows and columns of the planes.
    from: (usize, usize),
    size: ImageSize,
}

impl Resizing {
    /// Of planes of `from` (H, W) to `size`.
    fn new(from: (usize, usize), size: ImageSize) -> Self {
        Self { resizer: Resizer::new(), resized: vec![0; size.height * size.width], from, size }
    }

    fn resize(&mut self, plane: &[u8]) -> Result<&[u8], DataError> {
        let size = self.size;
        let failed = |reason: &dyn fmt::Display| DataError::Resize { size, reason: reason.to_string() };
        let (height, width) = self.from;
        let source = TypedImageRef::<U8>::from_buffer(side(width), side(height), plane);
        let source = source.map_err(|error| failed(&error))?;
        let target = TypedImage::<U8>::from_buffer(side(size.width), side(size.height), &mut self.resized);
        let mut target = target.map_err(|error| failed(&error))?;
        let options = ResizeOptions::new().resize_alg(ResizeAlg::Convolution(FilterType::Bilinear)).use_alpha(false);
        self.resizer.resize_typed(&source, &mut target, &options).map_err(|error| failed(&error))?;
        Ok(&self.resized)
    }
}

/// A side as the library has it; one that large has no image in memory.
fn side(n: usize) -> u32 {
    u32::try_from(n).unwrap_or(u32::MAX)
}

pub(crate) fn resize_all(images: &LabelledImages, max_value: u8, size: ImageSize) -> Result<LabelledImages, DataError> {
    let from = images.shape;
    let shape = ImageShape { channels: from.channels, height: size.height, width: size.width };
    let mut resizing = Resizing::new((from.height, from.width), size);
    let mut pixels = Vec::with_capacity(images.len() * shape.pixels());
    let spread: Vec<u8> = images.pixels.iter().map(|&value| spread(value, max_value)).collect();
    // One channel of one image at a time: NCHW holds them one after the other.
    for channel in spread.chunks_exact((from.height * from.width).max(1)) {
        pixels.extend_from_slice(resizing.resize(channel)?);
    }
    Ok(LabelledImages { shape, pixels, labels: images.labels.clone() })
}

/// One image with bytes of the whole range, resized as [`DataSet::resized`] says.
///
/// # Shapes
/// `planes` and the result have dimensions CHW; `from` is (H, W).
pub(crate) fn resize_planes(planes: &[u8], from: (usize, usize), size: ImageSize) -> Result<Vec<u8>, DataError> {
    let mut resizing = Resizing::new(from, size);
    let mut pixels = Vec::new();
    for plane in planes.chunks_exact((from.0 * from.1).max(1)) {
        pixels.extend_from_slice(resizing.resize(plane)?);
    }
    Ok(pixels)
}

/// `value` of 0..=`max_value` as one of 0..=255, rounded.
fn spread(value: u8, max_value: u8) -> u8 {
    let max = u32::from(max_value.max(1));
    ((u32::from(value) * 255 + max / 2) / max).min(255) as u8
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::{DataSource, SplitSettings, load};

    fn digits() -> DataSet {
        load(&DataSource::Digits, Path::new(""), &SplitSettings::default()).unwrap()
    }

    #[test]
    fn sizes_are_read_and_checked() {
        assert_eq!("32".parse::<ImageSize>().unwrap(), ImageSize::new(32, 32).unwrap());
        assert_eq!("8x224".parse::<ImageSize>().unwrap().to_string(), "8x224");
        for (given, part) in [
            ("7", "height 7 is not in 8..=224"),
            ("8x225", "width 225 is not in 8..=224"),
            ("0x8", "height 0"),
            ("", "for example 32x32"),
            ("axb", "for example 32x32"),
            ("16x16x3", "for example 32x32"),
            ("-9", "for example 32x32"),
        ] {
            let error = given.parse::<ImageSize>().unwrap_err().to_string();
            assert!(error.contains(part), "{given}: {error}");
        }
    }

    #[test]
    fn the_same_size_changes_nothing() {
        assert_eq!(digits().resized(ImageSize::new(8, 8).unwrap()).unwrap(), digits());
    }

    #[test]
    fn images_keep_labels_and_order_and_get_the_new_shape() {
        let data = digits();
        let resized = digits().resized(ImageSize::new(12, 16).unwrap()).unwrap();
        assert_eq!(resized.shape(), ImageShape { channels: 1, height: 12, width: 16 });
        assert_eq!(resized.max_value, 255);
        assert_ne!(resized.fingerprint, data.fingerprint);
        for (new, old) in [(&resized.train, &data.train), (&resized.valid, &data.valid), (&resized.test, &data.test)] {
            assert_eq!(new.labels, old.labels);
            assert_eq!(new.pixels.len(), old.len() * 12 * 16);
        }
        // The mean of an image hardly changes: every pixel counts.
        let mean = |images: &LabelledImages, i: usize, max: f64| {
            let image = images.image(i);
            image.iter().map(|&value| f64::from(value)).sum::<f64>() / image.len() as f64 / max
        };
        for i in 0..100 {
            let (old, new) = (mean(&data.train, i, 16.0), mean(&resized.train, i, 255.0));
            assert!((old - new).abs() < 0.03, "image {i}: {old} became {new}");
        }
    }

    /// By hand: halving 4×4 to 2×2 with a triangle two pixels wide to either side. Along a side the weights of the first
    /// output, which lies between pixels 0 and 1, are 0.75, 0.75, 0.25 of pixels 0, 1, 2 (a quarter of pixel 3 is out of reach
    /// at distance 2.5), over their sum 1.75.
    #[test]
    fn halving_weighs_every_pixel_by_a_triangle() {
        let shape = ImageShape { channels: 2, height: 4, width: 4 };
        let row = [0, 70, 140, 210];
        let mut pixels: Vec<u8> = (0..4).flat_map(|_| row).collect();
        pixels.extend((0..4).flat_map(|y| [row[y]; 4]));
        let images = LabelledImages { shape, pixels, labels: vec![3] };
        let halved = resize_all(&images, 255, ImageSize { height: 2, width: 2 }).unwrap();
        // (0.75 · 0 + 0.75 · 70 + 0.25 · 140) / 1.75 = 50, and by symmetry 160; then the same along the other side.
        assert_eq!(halved.pixels, [50, 160, 50, 160, 50, 50, 160, 160]);
        assert_eq!(halved.labels, [3]);
    }

    #[test]
    fn the_size_is_chosen_from_the_images() {
        let chosen = |sizes: &[(usize, usize)]| ImageSize::chosen_for(sizes).map(|size| size.to_string());
        assert_eq!(chosen(&[]), None);
        assert_eq!(chosen(&[(28, 28), (28, 28)]).unwrap(), "28x28");
        assert_eq!(chosen(&[(64, 9)]).unwrap(), "64x9");
        assert_eq!(chosen(&[(480, 640), (640, 480), (480, 640)]).unwrap(), "48x64");
        assert_eq!(chosen(&[(4, 4)]).unwrap(), "8x8");
        assert_eq!(chosen(&[(10_000, 20)]).unwrap(), "64x8");
    }

    #[test]
    fn the_planes_of_an_image_are_resized_as_those_of_a_data_set() {
        let shape = ImageShape { channels: 3, height: 9, width: 7 };
        let pixels: Vec<u8> = (0..shape.pixels()).map(|i| (i * 37 % 256) as u8).collect();
        let size = ImageSize { height: 8, width: 12 };
        let images = LabelledImages { shape, pixels: pixels.clone(), labels: vec![0] };
        assert_eq!(resize_planes(&pixels, (9, 7), size).unwrap(), resize_all(&images, 255, size).unwrap().pixels);
    }

    #[test]
    fn small_ranges_are_spread_over_bytes() {
        assert_eq!([0, 1, 8, 16].map(|value| spread(value, 16)), [0, 16, 128, 255]);
        assert_eq!([0, 77, 255].map(|value| spread(value, 255)), [0, 77, 255]);
    }
}
