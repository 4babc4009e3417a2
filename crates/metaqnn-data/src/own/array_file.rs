//! One array: an `.npy` file, or an entry of an `.npz` archive.
//!
//! npyz reads the header. What it trusts is looked at before: it takes room for as long a header as the file says, and multiplies
//! dimensions unchecked; so the header's length, its brackets and its digits are counted first. The numbers are read here, in
//! pieces, so that an array of floating-point numbers is never in memory as such.

use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use npyz::{DType, Endianness, NpyHeader, Order, TypeChar};
use zip::ZipArchive;
use zip::read::ZipFile;

use super::reason_of;

/// Longest header: NumPy's own are shorter than a hundredth of it.
const LONGEST_HEADER: usize = 8_192;

/// Most digits in a header. Dimensions with so many digits together cannot overflow 64 bits.
const MOST_DIGITS: usize = 19;

/// Most brackets of a kind in a header: more are of structured types.
const MOST_BRACKETS: usize = 4;

/// Longest text of a label, in characters.
const LONGEST_TEXT: u64 = 1_024;

/// An archive's entry that unpacks to more bytes than this …
const LARGE_ENTRY: u64 = 1 << 26;
/// … and to more times its packed size than this is taken for a bomb.
const MOST_UNPACKED: u64 = 500;

/// Bytes read at once.
const PIECE: usize = 1 << 16;

/// An array whose header was read.
#[derive(Debug, Clone)]
pub(super) struct ArrayFile {
    /// How messages call it: `x_train.npy`, or `x_train` of an archive.
    pub(super) name: Arc<str>,
    /// What messages about it name.
    pub(super) place: PathBuf,
    /// The file that it lies in.
    path: PathBuf,
    /// Its dimensions.
    pub(super) shape: Vec<u64>,
    /// Whether the first dimension runs fastest.
    pub(super) is_fortran: bool,
    number: Number,
    big_endian: bool,
    /// Of the file, or of what the entry unpacks to.
    header_bytes: u64,
    entry: Option<usize>,
}

/// An array by its name.
pub(super) struct Named {
    /// Without `.npy`.
    pub(super) name: String,
    /// The file, or of an archive the archive with the name, for messages.
    pub(super) place: PathBuf,
    /// The array, or what is wrong with it.
    pub(super) array: Result<ArrayFile, String>,
}

impl Named {
    /// The array in a file of its own, under this name.
    pub(super) fn file(name: String, path: &Path) -> Self {
        Self { name, place: path.to_owned(), array: ArrayFile::open(path) }
    }
}

/// What an element is, and how many bytes (or, of texts, characters) it has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Number {
    Bool,
    Unsigned(u8),
    Signed(u8),
    Float(u8),
    Bytes(u64),
    Text(u64),
}

impl Number {
    fn of(dtype: &DType) -> Option<(Self, bool)> {
        let DType::Plain(plain) = dtype else { return None };
        let size = plain.size_field();
        let number = match (plain.type_char(), size) {
            (TypeChar::Bool, 1) => Self::Bool,
            (TypeChar::Uint, 1 | 2 | 4 | 8) => Self::Unsigned(size as u8),
            (TypeChar::Int, 1 | 2 | 4 | 8) => Self::Signed(size as u8),
            (TypeChar::Float, 2 | 4 | 8) => Self::Float(size as u8),
            (TypeChar::ByteStr, 1..=LONGEST_TEXT) => Self::Bytes(size),
            (TypeChar::UnicodeStr, 1..=LONGEST_TEXT) => Self::Text(size),
            _ => return None,
        };
        Some((number, plain.endianness() == Endianness::Big))
    }

    fn bytes(self) -> u64 {
        match self {
            Self::Bool => 1,
            Self::Unsigned(bytes) | Self::Signed(bytes) | Self::Float(bytes) => u64::from(bytes),
            Self::Bytes(bytes) => bytes,
            Self::Text(characters) => 4 * characters,
        }
    }
}

impl ArrayFile {
    /// Reads the header of an `.npy` file.
    pub(super) fn open(path: &Path) -> Result<Self, String> {
        let mut file = File::open(path).map_err(|error| reason_of(&error))?;
        let bytes = file.metadata().map_err(|error| reason_of(&error))?.len();
        let name = path.file_name().unwrap_or_default().to_string_lossy().into();
        Self::new(name, path, None, &mut file, bytes)
    }

    /// Reads the headers of all arrays in an `.npz` archive: each with its name or what is wrong with it.
    pub(super) fn open_all(path: &Path) -> Result<Vec<Named>, String> {
        let mut archive = archive(path)?;
        let mut arrays = Vec::new();
        for index in 0..archive.len() {
            let name = match archive.name_for_index(index) {
                Some(Ok(name)) => name.into_owned(),
                _ => continue,
            };
            let Some(name) = name.strip_suffix(".npy").map(str::to_owned) else { continue };
            let array = archive.by_index(index).map_err(|error| format!("it cannot be unpacked: {error}"));
            let array = array.and_then(|mut entry| Self::of_entry(&name, path, index, &mut entry));
            arrays.push(Named { place: place_in(path, &name), name, array });
        }
        Ok(arrays)
    }

    fn of_entry<R: Read>(name: &str, path: &Path, index: usize, entry: &mut ZipFile<'_, R>) -> Result<Self, String> {
        let (bytes, packed) = (entry.size(), entry.compressed_size());
        if bytes > LARGE_ENTRY && bytes / MOST_UNPACKED > packed {
            return Err(format!("expected an array, found {packed} bytes that unpack to {bytes}"));
        }
        Self::new(name.into(), path, Some(index), entry, bytes)
    }

    fn new(
        name: Arc<str>,
        path: &Path,
        entry: Option<usize>,
        input: &mut dyn Read,
        bytes: u64,
    ) -> Result<Self, String> {
        let header_text = read_header(input)?;
        let header_bytes = header_text.len() as u64;
        let header = NpyHeader::from_reader(header_text.as_slice()).map_err(|error| format!("its header: {error}"))?;
        let (number, big_endian) = Number::of(&header.dtype()).ok_or_else(|| {
            let found = header.dtype().descr();
            let hint = if found.contains('O') {
                "; objects of Python are not read: save images as np.stack(images), texts as np.array(texts, dtype=str)"
            } else {
                ""
            };
            format!(
                "expected numbers (bool, int8 to int64, uint8 to uint64, float16 to float64) or texts, found dtype {found}{hint}"
            )
        })?;
        let shape = header.shape().to_vec();
        let wanted = shape.iter().try_fold(number.bytes(), |product, &side| product.checked_mul(side));
        let found = bytes.saturating_sub(header_bytes);
        if wanted != Some(found) {
            let wanted = wanted.map_or_else(|| "more than there can be".to_owned(), |wanted| wanted.to_string());
            return Err(format!(
                "after the header of {header_bytes} bytes, expected {wanted} bytes ({} of {}), found {found}",
                dimensions(&shape),
                header.dtype().descr()
            ));
        }
        let is_fortran = header.order() == Order::Fortran && shape.len() > 1;
        let place = if entry.is_some() { place_in(path, &name) } else { path.to_owned() };
        Ok(Self { name, place, path: path.to_owned(), shape, is_fortran, number, big_endian, header_bytes, entry })
    }

    /// Whether its elements are texts.
    pub(super) fn is_text(&self) -> bool {
        matches!(self.number, Number::Bytes(_) | Number::Text(_))
    }

    /// Calls `each` with every number, in the order in which they are stored, until it fails.
    pub(super) fn for_each_number(&self, mut each: impl FnMut(f64) -> Result<(), String>) -> Result<(), String> {
        let big = self.big_endian;
        self.for_each_element(|bytes| {
            let word = word(bytes, big);
            each(match self.number {
                Number::Bool => f64::from(u8::from(word != 0)),
                Number::Unsigned(_) => word as f64,
                Number::Signed(bytes) => {
                    let unused = 64 - 8 * u32::from(bytes);
                    ((word << unused) as i64 >> unused) as f64
                }
                Number::Float(2) => half(word as u16),
                Number::Float(4) => f64::from(f32::from_bits(word as u32)),
                Number::Float(_) => f64::from_bits(word),
                Number::Bytes(_) | Number::Text(_) => return Err("expected numbers, found texts".to_owned()),
            })
        })
    }

    /// All elements as texts; whole numbers without a fraction.
    pub(super) fn texts(&self) -> Result<Vec<String>, String> {
        let mut texts = Vec::new();
        match self.number {
            Number::Bytes(_) => self.for_each_element(|bytes| {
                let text = std::str::from_utf8(bytes).map_err(|_| format!("text {}: not UTF-8", texts.len()))?;
                texts.push(text.trim_end_matches('\0').to_owned());
                Ok(())
            })?,
            Number::Text(_) => self.for_each_element(|bytes| {
                let letters = bytes.chunks_exact(4).map(|bytes| char::from_u32(word(bytes, self.big_endian) as u32));
                let text: Option<String> = letters.collect();
                let text = text.ok_or_else(|| format!("text {}: not Unicode", texts.len()))?;
                texts.push(text.trim_end_matches('\0').to_owned());
                Ok(())
            })?,
            _ => self.for_each_number(|number| {
                if number.fract() != 0.0 || !number.is_finite() {
                    return Err(format!("element {}: expected a whole number or a text, found {number}", texts.len()));
                }
                // The numbers of classes are far from where doubles have gaps.
                texts.push(format!("{number:.0}"));
                Ok(())
            })?,
        }
        Ok(texts)
    }

    fn for_each_element(&self, mut each: impl FnMut(&[u8]) -> Result<(), String>) -> Result<(), String> {
        match self.entry {
            None => {
                let file = File::open(&self.path).map_err(|error| reason_of(&error))?;
                self.read_elements(&mut BufReader::new(file), &mut each)
            }
            Some(index) => {
                let mut archive = archive(&self.path)?;
                let mut entry = archive.by_index(index).map_err(|error| format!("it cannot be unpacked: {error}"))?;
                self.read_elements(&mut entry, &mut each)
            }
        }
    }

    fn read_elements(
        &self,
        input: &mut dyn Read,
        each: &mut dyn FnMut(&[u8]) -> Result<(), String>,
    ) -> Result<(), String> {
        let element = self.number.bytes() as usize;
        let failed = |error: std::io::Error| format!("its numbers: damaged or cut ({error})");
        std::io::copy(&mut input.take(self.header_bytes), &mut std::io::sink()).map_err(failed)?;
        let mut left: u64 = self.shape.iter().product();
        let mut piece = vec![0; (PIECE / element).max(1) * element];
        while left > 0 {
            let elements = ((piece.len() / element) as u64).min(left);
            let piece = &mut piece[..elements as usize * element];
            input.read_exact(piece).map_err(failed)?;
            piece.chunks_exact(element).try_for_each(&mut *each)?;
            left -= elements;
        }
        // What is left is nothing, but reading it has an archive's checksum compared.
        std::io::copy(input, &mut std::io::sink()).map_err(failed)?;
        Ok(())
    }
}

/// Dimensions as people write them.
pub(super) fn dimensions(shape: &[u64]) -> String {
    match shape {
        [] => "a single number".to_owned(),
        _ => shape.iter().map(ToString::to_string).collect::<Vec<_>>().join("x"),
    }
}

/// An array of an archive, as messages name it.
fn place_in(archive: &Path, name: &str) -> PathBuf {
    format!("{} [{name}]", archive.display()).into()
}

/// Up to 8 bytes as a number.
fn word(bytes: &[u8], big_endian: bool) -> u64 {
    let append = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
    if big_endian { bytes.iter().fold(0, append) } else { bytes.iter().rev().fold(0, append) }
}

/// A number of 16 bits with a fraction (IEEE 754 binary16).
fn half(bits: u16) -> f64 {
    let sign = if bits >> 15 == 0 { 1.0 } else { -1.0 };
    let (exponent, fraction) = (i32::from(bits >> 10 & 0x1f), f64::from(bits & 0x3ff) / 1024.0);
    sign * match exponent {
        0 => fraction * 2_f64.powi(-14),
        31 if fraction == 0.0 => f64::INFINITY,
        31 => f64::NAN,
        _ => (1.0 + fraction) * 2_f64.powi(exponent - 15),
    }
}

fn archive(path: &Path) -> Result<ZipArchive<BufReader<File>>, String> {
    let file = File::open(path).map_err(|error| reason_of(&error))?;
    ZipArchive::new(BufReader::new(file)).map_err(|error| format!("expected an archive of arrays (.npz): {error}"))
}

/// The bytes of a header, once it is sure that npyz can be trusted with them.
fn read_header(input: &mut dyn Read) -> Result<Vec<u8>, String> {
    let cut = |_| "expected the header of a NumPy array, found the end".to_owned();
    let mut header = vec![0; 10];
    input.read_exact(&mut header).map_err(cut)?;
    if !header.starts_with(b"\x93NUMPY") {
        return Err(format!("expected a NumPy array, found something that begins with {}", header[..6].escape_ascii()));
    }
    // Version 1 has a length of 2 bytes, the later ones of 4.
    let mut length = vec![header[8], header[9]];
    if header[6] > 1 {
        let mut more = [0; 2];
        input.read_exact(&mut more).map_err(cut)?;
        length.extend(more);
        header.extend(more);
    }
    let length = word(&length, false) as usize;
    if length > LONGEST_HEADER {
        return Err(format!("its header: expected at most {LONGEST_HEADER} bytes, found {length}"));
    }
    let start = header.len();
    header.resize(start + length, 0);
    input.read_exact(&mut header[start..]).map_err(cut)?;
    let count = |kind: &dyn Fn(u8) -> bool| header[start..].iter().filter(|&&byte| kind(byte)).count();
    if count(&|byte| byte.is_ascii_digit()) > MOST_DIGITS {
        return Err("its header: larger dimensions than an array in a file can have".to_owned());
    }
    if count(&|byte| matches!(byte, b'(' | b'[' | b'{')) > MOST_BRACKETS {
        return Err("its header: expected an array of numbers or texts, found a structured one".to_owned());
    }
    Ok(header)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn npy(header: &str, data: &[u8]) -> Vec<u8> {
        let mut bytes = b"\x93NUMPY\x01\x00".to_vec();
        bytes.extend((header.len() as u16).to_le_bytes());
        bytes.extend(header.as_bytes());
        bytes.extend(data);
        bytes
    }

    fn open(bytes: &[u8]) -> Result<(tempfile::TempDir, ArrayFile), String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.npy");
        std::fs::write(&path, bytes).unwrap();
        ArrayFile::open(&path).map(|array| (folder, array))
    }

    fn numbers(descr: &str, data: &[u8]) -> Vec<f64> {
        let header = format!("{{'descr': '{descr}', 'fortran_order': False, 'shape': (2,), }}\n");
        let (_folder, array) = open(&npy(&header, data)).unwrap();
        let mut numbers = Vec::new();
        array
            .for_each_number(|number| {
                numbers.push(number);
                Ok(())
            })
            .unwrap();
        numbers
    }

    #[test]
    fn numbers_of_every_type_are_read() {
        assert_eq!(numbers("|b1", &[0, 1]), [0.0, 1.0]);
        assert_eq!(numbers("|i1", &[255, 5]), [-1.0, 5.0]);
        assert_eq!(numbers("<i2", &[254, 255, 1, 1]), [-2.0, 257.0]);
        assert_eq!(numbers(">u2", &[1, 0, 0, 9]), [256.0, 9.0]);
        assert_eq!(numbers("<i8", &[(-3_i64).to_le_bytes(), 7_i64.to_le_bytes()].concat()), [-3.0, 7.0]);
        // numpy.array([1 / 3, -65504], "<f2").tobytes(); and the least above 0, infinity.
        assert_eq!(numbers("<f2", &[0x55, 0x35, 0xff, 0xfb]), [0.333_251_953_125, -65_504.0]);
        assert_eq!(numbers("<f2", &[1, 0, 0, 0x7c]), [2_f64.powi(-24), f64::INFINITY]);
        assert_eq!(numbers(">f4", &[0.5_f32.to_be_bytes(), 2.0_f32.to_be_bytes()].concat()), [0.5, 2.0]);
        assert_eq!(numbers("<f8", &[0.25_f64.to_le_bytes(), 3.0_f64.to_le_bytes()].concat()), [0.25, 3.0]);
    }

    #[test]
    fn texts_are_read() {
        let header = "{'descr': '<U3', 'fortran_order': False, 'shape': (2,), }\n";
        let letters = ['c', 'a', 't', 'é', '\0', '\0'];
        let data: Vec<u8> = letters.iter().flat_map(|&letter| u32::from(letter).to_le_bytes()).collect();
        let (_folder, array) = open(&npy(header, &data)).unwrap();
        assert_eq!(array.texts().unwrap(), ["cat", "é"]);
    }

    #[test]
    fn headers_that_lie_cost_nothing() {
        let error = |bytes: &[u8]| open(bytes).map(|_| ()).unwrap_err();
        let shape =
            |shape: &str| npy(&format!("{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n"), &[0; 8]);
        assert!(error(&shape("(99999999, 28, 28)")).contains("found 8"));
        assert!(error(&shape("(4294967296, 4294967296)")).contains("larger dimensions"));
        assert!(error(&shape("(18446744073709551616,)")).contains("larger dimensions"));
        assert!(error(&shape(&"(".repeat(5_000))).contains("structured"));
        assert!(error(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{'descr'").contains("found 4294967295"));
        assert!(error(b"PK").contains("found the end"));
    }
}
