//! What a file is, by its first bytes.

use image::ImageFormat;

/// Bytes at the start of a file that are looked at.
pub(crate) const START: usize = 132;

/// The formats that are read, for messages.
pub(crate) const FORMAT_NAMES: &str = "PNG, JPEG, BMP, WebP, GIF, TIFF or PNM";

const CONVERT: &str = "convert it to PNG or JPEG";

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FileKind {
    /// An image that is read.
    Image(ImageFormat),
    /// An image that is not read, by the name of its format.
    Unread(&'static str),
    /// Something else.
    Other,
}

impl FileKind {
    /// Of a file that begins with `start` and has the extension, in lower case.
    pub(crate) fn of(start: &[u8], extension: &str) -> Self {
        if matches!(extension, "cr2" | "cr3" | "nef" | "arw" | "dng" | "orf" | "rw2" | "raf" | "pef" | "srw") {
            // Most are TIFF files with a small preview in front.
            return Self::Unread("camera raw");
        }
        if let Some(format) = read_format(start) {
            return Self::Image(format);
        }
        match unread_format(start) {
            Some(name) => Self::Unread(name),
            None if extension == "svg" => Self::Unread("SVG"),
            None => Self::Other,
        }
    }
}

/// What to do with an image that is not read.
pub(crate) fn advice(format: &str) -> &'static str {
    match format {
        "HEIC" | "AVIF" => "convert it to JPEG or PNG (for example `heif-convert`, or ImageMagick's `magick`)",
        "NumPy" => "save it as PNG, or all images in one array",
        "SVG" => "draw it to PNG",
        _ => CONVERT,
    }
}

/// The format of an image that is read. Two letters alone, as some formats begin with, do not make a text an image.
fn read_format(start: &[u8]) -> Option<ImageFormat> {
    match start {
        [b'P', b'1'..=b'6', b' ' | b'\n' | b'\r' | b'\t', b'0'..=b'9' | b'#', ..] => Some(ImageFormat::Pnm),
        [b'P', b'7', b'\n', ..] => Some(ImageFormat::Pnm),
        [b'B', b'M', _, _, _, _, 0, 0, 0, 0, ..] => Some(ImageFormat::Bmp),
        [b'P' | b'B', ..] => None,
        _ => match image::guess_format(start) {
            Ok(
                format @ (ImageFormat::Png
                | ImageFormat::Jpeg
                | ImageFormat::WebP
                | ImageFormat::Gif
                | ImageFormat::Tiff),
            ) => Some(format),
            _ => None,
        },
    }
}

fn unread_format(start: &[u8]) -> Option<&'static str> {
    let begins = |magic: &[u8]| start.starts_with(magic);
    match start {
        [_, _, _, _, b'f', b't', b'y', b'p', brand @ ..] => match brand.get(..4)? {
            b"heic" | b"heix" | b"hevc" | b"hevx" | b"heim" | b"heis" | b"mif1" | b"msf1" => Some("HEIC"),
            b"avif" | b"avis" => Some("AVIF"),
            b"crx " => Some("camera raw"),
            _ => None,
        },
        _ if begins(b"\xff\x0a") || begins(b"\0\0\0\x0cJXL ") => Some("JPEG XL"),
        _ if begins(b"\0\0\0\x0cjP  ") || begins(b"\xff\x4f\xff\x51") => Some("JPEG 2000"),
        _ if begins(b"8BPS") => Some("Photoshop"),
        _ if begins(b"v/1\x01") => Some("OpenEXR"),
        _ if begins(b"#?RADIANCE") => Some("Radiance HDR"),
        _ if begins(b"DDS ") => Some("DDS"),
        _ if begins(b"qoif") => Some("QOI"),
        _ if begins(b"SIMPLE  =") => Some("FITS"),
        _ if begins(b"FUJIFILMCCD-RAW") => Some("camera raw"),
        _ if begins(b"\x93NUMPY") => Some("NumPy"),
        _ if begins(b"<svg") => Some("SVG"),
        _ if start.get(128..132) == Some(b"DICM") => Some("DICOM"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contents_tell_what_a_file_is() {
        let png = b"\x89PNG\r\n\x1a\n";
        let heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic";
        for (start, extension, kind) in [
            (png.as_slice(), "", FileKind::Image(ImageFormat::Png)),
            (png, "txt", FileKind::Image(ImageFormat::Png)),
            (b"\xff\xd8\xff\xe0\0\x10JFIF", "tmp", FileKind::Image(ImageFormat::Jpeg)),
            (b"II*\0\x08\0\0\0", "tif", FileKind::Image(ImageFormat::Tiff)),
            (b"II*\0\x08\0\0\0", "dng", FileKind::Unread("camera raw")),
            (b"P5\n16 16\n255\n", "pgm", FileKind::Image(ImageFormat::Pnm)),
            (b"P5 is a text", "txt", FileKind::Other),
            (b"BM\x36\x01\0\0\0\0\0\0\x36\0", "", FileKind::Image(ImageFormat::Bmp)),
            (b"BMW is a car, not an image", "txt", FileKind::Other),
            (heic, "jpg", FileKind::Unread("HEIC")),
            (b"\0\0\0\x1cftypavif\0\0\0\0", "avif", FileKind::Unread("AVIF")),
            (b"\0\0\0\x18ftypmp42\0\0\0\0", "mp4", FileKind::Other),
            (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "svg", FileKind::Unread("SVG")),
            (b"\x93NUMPY\x01\0", "npy", FileKind::Unread("NumPy")),
            (b"%PDF-1.4", "pdf", FileKind::Other),
            (b"", "keep", FileKind::Other),
        ] {
            assert_eq!(FileKind::of(start, extension), kind, "{} {extension}", start.escape_ascii());
        }
    }
}
