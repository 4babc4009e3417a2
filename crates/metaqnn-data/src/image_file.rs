//! One image file, decoded: PNG, JPEG, BMP, WebP, GIF, TIFF or PNM.
//!
//! The rules, which hold for training and for [`read_image`], which reads what a model is asked about:
//! - the contents say which format it is, not the name; of an animation the first frame is taken, of several pages the first;
//! - it is turned as its EXIF orientation says;
//! - values of 16 bits are divided by 257 and rounded;
//! - what is transparent lies over white;
//! - an image is grey if red, green and blue are equal at every pixel, however it is stored;
//! - colour becomes grey, where it must, as 0.299 red + 0.587 green + 0.114 blue (ITU-R BT.601).

use std::fs::File;
use std::io::{BufReader, Read, Seek};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::metadata::Orientation;
use image::{DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits};

use crate::data_set::ImageShape;
use crate::error::{DataError, Problem};
use crate::image_kind::{FORMAT_NAMES, FileKind, START, advice};
use crate::memory_gate::DECODERS;
use crate::resize::{ImageSize, resize_planes};

/// Most pixels of an image; a file of a few kilobytes may unpack to many more.
const MOST_PIXELS: u64 = 100_000_000;

/// Most bytes that a decoder may take.
const MOST_BYTES: u64 = 1 << 30;

/// Longest file that is read.
const LONGEST_FILE: u64 = 1 << 28;

/// Whether a file with this extension, in lower case, is taken for an image.
pub(crate) fn is_image_extension(extension: &str) -> bool {
    is_first_image_extension(extension) || matches!(extension, "tif" | "tiff" | "pgm" | "ppm" | "pbm" | "pnm" | "apng")
}

/// The same in the versions before, by whose rules older studies read.
pub(crate) fn is_first_image_extension(extension: &str) -> bool {
    matches!(extension, "png" | "jpg" | "jpeg" | "jpe" | "jfif" | "bmp" | "dib" | "webp" | "gif")
}

/// The image in a file as bytes of the dimensions CHW of `shape`, white as `max_value`, by the rules that hold for every image: turned
/// as its EXIF orientation says, laid over white where it is transparent, resized, grey or colour as the shape has it.
///
/// # Errors
/// [`DataError::Unusable`] with what is wrong with the file.
pub fn read_image(path: &Path, shape: ImageShape, max_value: u8) -> Result<Vec<u8>, DataError> {
    let ImageShape { channels, height, width } = shape;
    let size = ImageSize::new(height, width)?;
    let image = DecodedImage::read(path).and_then(|image| Ok((image.channels(), image.resized(size)?)));
    let (own_channels, image) = image.map_err(|reason| DataError::Unusable {
        path: path.to_owned(),
        problems: vec![Problem { path: path.to_owned(), reason }],
        problem_count: 1,
    })?;
    let mut image = with_channels(image, own_channels, channels);
    for value in &mut image {
        *value = ((u32::from(*value) * u32::from(max_value) + 127) / 255) as u8;
    }
    Ok(image)
}

/// A decoded image, upright and opaque.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DecodedImage {
    height: usize,
    width: usize,
    /// 1 if it is grey, else 3.
    channels: usize,
    /// HWC.
    pixels: Vec<u8>,
    /// The greatest value of an image of 16 bits.
    greatest_word: Option<u16>,
}

impl DecodedImage {
    /// Decodes the file at `path`, or says in a line why not.
    pub(crate) fn read(path: &Path) -> Result<Self, String> {
        guarded(|| {
            let (mut reader, format) = open(path)?;
            if format == ImageFormat::Jpeg {
                demand_whole_jpeg(&mut reader)?;
            }
            let mut decoder = decoder(reader, format)?;
            let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
            // The decoder's bytes and those that they become.
            let _room = DECODERS.enter(decoder.total_bytes().saturating_mul(2));
            let mut image = DynamicImage::from_decoder(decoder).map_err(|error| failure(format, &error))?;
            image.apply_orientation(orientation);
            if matches!(image, DynamicImage::ImageRgb32F(_) | DynamicImage::ImageRgba32F(_)) {
                return Err(format!("{format:?}: numbers with fractions: save it with 8 or 16 bits"));
            }
            Ok(Self::of(image))
        })
    }

    /// Height and width of the image at `path` once it is upright, without decoding it.
    pub(crate) fn read_size(path: &Path) -> Result<(usize, usize), String> {
        guarded(|| {
            let (reader, format) = open(path)?;
            let mut decoder = decoder(reader, format)?;
            let (width, height) = decoder.dimensions();
            let (height, width) = (height as usize, width as usize);
            Ok(match decoder.orientation().unwrap_or(Orientation::NoTransforms) {
                Orientation::Rotate90
                | Orientation::Rotate270
                | Orientation::Rotate90FlipH
                | Orientation::Rotate270FlipH => (width, height),
                _ => (height, width),
            })
        })
    }

    fn of(image: DynamicImage) -> Self {
        let (height, width) = (image.height() as usize, image.width() as usize);
        let color = image.color();
        let greatest_word = greatest_word(&image);
        let pixels = if color.has_alpha() {
            let over_white = |value: u8, alpha: u8| {
                let (value, alpha) = (u32::from(value), u32::from(alpha));
                ((value * alpha + 255 * (255 - alpha) + 127) / 255) as u8
            };
            image
                .into_rgba8()
                .pixels()
                .flat_map(|pixel| {
                    let [red, green, blue, alpha] = pixel.0;
                    [over_white(red, alpha), over_white(green, alpha), over_white(blue, alpha)]
                })
                .collect()
        } else if color.has_color() {
            image.into_rgb8().into_raw()
        } else {
            return Self { height, width, channels: 1, pixels: image.into_luma8().into_raw(), greatest_word };
        };
        if is_grey(&pixels) {
            let pixels = pixels.chunks_exact(3).map(|rgb| rgb[0]).collect();
            return Self { height, width, channels: 1, pixels, greatest_word };
        }
        Self { height, width, channels: 3, pixels, greatest_word }
    }

    /// 1 if the image is grey, else 3.
    pub(crate) fn channels(&self) -> usize {
        self.channels
    }

    /// The greatest value of an image of 16 bits.
    pub(crate) fn greatest_word(&self) -> Option<u16> {
        self.greatest_word
    }

    /// Its values as they were before it is resized: height, width, channels, and bytes in HWC.
    pub(crate) fn values(&self) -> ([usize; 3], &[u8]) {
        ([self.height, self.width, self.channels], &self.pixels)
    }

    /// The image resized to `size`, with the channels it has.
    ///
    /// # Shapes
    /// The result has dimensions CHW.
    pub(crate) fn resized(&self, size: ImageSize) -> Result<Vec<u8>, String> {
        let planes = planes(&self.pixels, self.channels);
        if (self.height, self.width) == (size.height(), size.width()) {
            return Ok(planes);
        }
        resize_planes(&planes, (self.height, self.width), size).map_err(|error| error.to_string())
    }
}

/// The greatest value of an image of 16 bits, transparency left aside.
fn greatest_word(image: &DynamicImage) -> Option<u16> {
    match image {
        DynamicImage::ImageLuma16(image) => image.iter().copied().max(),
        DynamicImage::ImageLumaA16(image) => image.pixels().map(|pixel| pixel.0[0]).max(),
        DynamicImage::ImageRgb16(image) => image.iter().copied().max(),
        DynamicImage::ImageRgba16(image) => image.pixels().flat_map(|pixel| pixel.0[..3].to_vec()).max(),
        _ => None,
    }
}

/// From HWC to CHW.
pub(crate) fn planes(pixels: &[u8], channels: usize) -> Vec<u8> {
    (0..channels).flat_map(|channel| pixels.iter().skip(channel).step_by(channels).copied()).collect()
}

/// Whether red, green and blue of an image in HWC are equal everywhere.
fn is_grey(pixels: &[u8]) -> bool {
    pixels.chunks_exact(3).all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2])
}

/// An image in CHW with other channels: grey repeated, or colour weighted by ITU-R BT.601 (in steps of 2⁻¹⁶, as Pillow does).
pub(crate) fn with_channels(image: Vec<u8>, from: usize, to: usize) -> Vec<u8> {
    match (from, to) {
        (1, 3) => image.repeat(3),
        (3, 1) => {
            let plane = image.len() / 3;
            let (red, rest) = image.split_at(plane);
            let (green, blue) = rest.split_at(plane);
            let values = red.iter().zip(green).zip(blue);
            values
                .map(|((&red, &green), &blue)| {
                    ((u32::from(red) * 19_595 + u32::from(green) * 38_470 + u32::from(blue) * 7_471 + 0x8000) >> 16)
                        as u8
                })
                .collect()
        }
        _ => image,
    }
}

/// Opens an image and looks at its first bytes.
fn open(path: &Path) -> Result<(BufReader<File>, ImageFormat), String> {
    let read_failure = |error: std::io::Error| match error.kind() {
        std::io::ErrorKind::NotFound => "there is no such file".to_owned(),
        std::io::ErrorKind::PermissionDenied => "it may not be read: check the permissions".to_owned(),
        _ => format!("it cannot be read: {error}"),
    };
    // Looked at before it is opened: a pipe would have to be waited for.
    let metadata = std::fs::metadata(path).map_err(read_failure)?;
    if !metadata.is_file() {
        return Err("expected an image file, found something else".to_owned());
    }
    let file = File::open(path).map_err(read_failure)?;
    match metadata.len() {
        0 => return Err("an empty file".to_owned()),
        bytes if bytes > LONGEST_FILE => {
            return Err(format!("expected an image of at most {LONGEST_FILE} bytes, found {bytes}"));
        }
        _ => {}
    }
    let mut reader = BufReader::new(file);
    let mut start = Vec::new();
    reader.by_ref().take(START as u64).read_to_end(&mut start).map_err(read_failure)?;
    reader.rewind().map_err(read_failure)?;
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase()).unwrap_or_default();
    match FileKind::of(&start, &extension) {
        FileKind::Image(format) => Ok((reader, format)),
        FileKind::Unread(name) => Err(format!("expected {FORMAT_NAMES}, found {name}: {}", advice(name))),
        FileKind::Other => Err(format!(
            "expected {FORMAT_NAMES}, found a file that begins with {}",
            start[..start.len().min(8)].escape_ascii()
        )),
    }
}

/// What the file at `path` is; something else where it cannot be read, or is no file.
pub(crate) fn kind_of_file(path: &Path, extension: &str) -> FileKind {
    let mut start = Vec::new();
    let read = || {
        // Looked at before it is opened: a pipe would have to be waited for.
        if std::fs::metadata(path)?.is_file() {
            File::open(path)?.take(START as u64).read_to_end(&mut start)?;
        }
        std::io::Result::Ok(())
    };
    match { read }() {
        Ok(()) => FileKind::of(&start, extension),
        Err(_) => FileKind::Other,
    }
}

/// A decoder within the limits.
fn decoder(reader: BufReader<File>, format: ImageFormat) -> Result<impl ImageDecoder, String> {
    let mut reader = ImageReader::with_format(reader, format);
    let mut limits = Limits::default();
    limits.max_alloc = Some(MOST_BYTES);
    reader.limits(limits);
    let decoder = reader.into_decoder().map_err(|error| failure(format, &error))?;
    let (width, height) = decoder.dimensions();
    match u64::from(width) * u64::from(height) {
        0 => Err(format!("an image of {height}x{width} pixels")),
        pixels if pixels > MOST_PIXELS => {
            Err(format!("expected an image of at most {MOST_PIXELS} pixels, found {height}x{width}"))
        }
        _ => Ok(decoder),
    }
}

/// A decoder's error as a line.
fn failure(format: ImageFormat, error: &ImageError) -> String {
    let cause = std::error::Error::source(error).map_or_else(|| error.to_string(), ToString::to_string);
    let what = match error {
        ImageError::Limits(_) => "more memory needed than is allowed for an image",
        ImageError::Unsupported(_) => "not supported",
        _ => "damaged or cut",
    };
    // One line, whatever the decoder says.
    let cause = cause.split_whitespace().collect::<Vec<_>>().join(" ");
    format!("{format:?}: {what} ({})", cause.trim_end_matches('.'))
}

/// Calls `read`; a decoder that panics has found a damaged file.
fn guarded<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, String> {
    catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| Err("damaged: the decoder broke off".to_owned()))
}

/// Demands the end-of-image marker, without which the decoder fills what is missing with grey and says nothing.
fn demand_whole_jpeg(reader: &mut BufReader<File>) -> Result<(), String> {
    let mut bytes = Vec::new();
    let read = reader.read_to_end(&mut bytes).and_then(|_| reader.rewind());
    read.map_err(|error| format!("it cannot be read: {error}"))?;
    if jpeg_has_an_end(&bytes) {
        Ok(())
    } else {
        Err(format!("Jpeg: damaged or cut (no end-of-image marker in its {} bytes)", bytes.len()))
    }
}

/// Whether an end-of-image marker follows the first scan. Segments before it are skipped: they may hold small images of their own.
fn jpeg_has_an_end(bytes: &[u8]) -> bool {
    const START_OF_SCAN: u8 = 0xda;
    let mut at = 2;
    while let [0xff, marker, rest @ ..] = bytes.get(at..).unwrap_or_default() {
        match (*marker, rest) {
            (START_OF_SCAN, rest) => return rest.windows(2).any(|pair| pair == [0xff, 0xd9]),
            // Padding before a marker; markers without a length.
            (0xff, _) => at += 1,
            (0x01 | 0xd0..=0xd8, _) => at += 2,
            (_, [high, low, ..]) => at += 2 + usize::from(u16::from_be_bytes([*high, *low])),
            _ => return false,
        }
    }
    // Not a marker where one should be: the decoder will say what is wrong.
    at < bytes.len()
}

#[cfg(test)]
mod tests {
    use image::{ImageEncoder, Rgba, RgbaImage};

    use super::*;

    fn of(image: impl Into<DynamicImage>) -> DecodedImage {
        DecodedImage::of(image.into())
    }

    #[test]
    fn what_is_transparent_lies_over_white() {
        let pixels = [[0, 0, 0, 0], [0, 0, 0, 255], [10, 20, 30, 255], [0, 0, 0, 51]];
        let image = RgbaImage::from_fn(4, 1, |x, _| Rgba(pixels[x as usize]));
        let decoded = of(image);
        assert_eq!((decoded.height, decoded.width, decoded.channels), (1, 4, 3));
        assert_eq!(decoded.pixels, [255, 255, 255, 0, 0, 0, 10, 20, 30, 204, 204, 204]);
    }

    #[test]
    fn grey_is_grey_however_it_is_stored_and_16_bits_become_8() {
        let grey = of(image::RgbImage::from_pixel(2, 2, image::Rgb([7, 7, 7])));
        assert_eq!((grey.channels, grey.pixels), (1, vec![7; 4]));
        let words =
            image::ImageBuffer::<image::Luma<u16>, _>::from_raw(3, 1, vec![0_u16, 257 * 9 + 128, 65_535]).unwrap();
        assert_eq!(of(words).pixels, [0, 9, 255]);
    }

    #[test]
    fn colour_becomes_grey_as_in_pillow() {
        // PIL: Image.new("RGB", (1, 1), colour).convert("L")
        for (rgb, grey) in [([255, 0, 0], 76), ([0, 255, 0], 150), ([0, 0, 255], 29), ([12, 200, 99], 132)] {
            assert_eq!(with_channels(rgb.to_vec(), 3, 1), [grey]);
        }
        assert_eq!(with_channels(vec![1, 2], 1, 3), [1, 2, 1, 2, 1, 2]);
        assert_eq!(planes(&[1, 2, 3, 4, 5, 6], 3), [1, 4, 2, 5, 3, 6]);
    }

    #[test]
    fn any_image_gets_the_shape_and_the_range_of_the_model() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("red.png");
        image::RgbImage::from_pixel(30, 20, image::Rgb([255, 0, 0])).save(&path).unwrap();
        let read = |path: &Path, channels, max_value| {
            read_image(path, ImageShape { channels, height: 8, width: 9 }, max_value)
        };
        assert_eq!(read(&path, 3, 255).unwrap(), [vec![255; 72], vec![0; 144]].concat());
        assert_eq!(read(&path, 1, 255).unwrap(), [76; 72]);
        assert_eq!(read(&path, 1, 16).unwrap(), [5; 72]);
        let error = read(&folder.path().join("none.png"), 1, 16).unwrap_err().to_string();
        assert!(error.ends_with("none.png: there is no such file"), "{error}");
    }

    #[test]
    fn a_cut_jpeg_has_no_end_even_with_a_small_image_inside() {
        let mut jpeg = Vec::new();
        image::codecs::jpeg::JpegEncoder::new(&mut jpeg)
            .write_image(&[100; 64 * 64], 64, 64, image::ExtendedColorType::L8)
            .unwrap();
        assert!(jpeg_has_an_end(&jpeg));
        let thumbnail = [&[0xff, 0xd8, 0xff, 0xe1, 0, 6, 0xff, 0xd9, 0, 0], &jpeg[2..jpeg.len() - 2]].concat();
        assert!(!jpeg_has_an_end(&thumbnail));
    }
}
