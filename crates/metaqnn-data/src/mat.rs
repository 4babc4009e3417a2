//! Numeric variables of a MATLAB 5 .mat file, as MATLAB (6 and later, without `-v7.3`) and scipy.io.savemat write it
//! (MathWorks, "MAT-File Format").
//!
//! A header of 128 bytes, then elements: a tag (type and size), the data, padding to 8 bytes. An element is a
//! variable, or a zlib stream that holds one. A variable is elements again: flags, dimensions, name, numbers.
//!
//! Written here because the library there is for it, matfile 0.5, trusts sizes in the file (it multiplies dimensions
//! unchecked and inflates without a limit), says not where a file is wrong, and writes to standard output.

use crate::error::DataError;
use crate::file_reader::FileReader;

/// The types of numbers a file can store, with their type codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(crate) enum NumberType {
    Int8 = 1,
    UInt8 = 2,
    Int16 = 3,
    UInt16 = 4,
    Int32 = 5,
    UInt32 = 6,
    Single = 7,
    Double = 9,
    Int64 = 12,
    UInt64 = 13,
}

impl NumberType {
    const ALL: [Self; 10] = [
        Self::Int8,
        Self::UInt8,
        Self::Int16,
        Self::UInt16,
        Self::Int32,
        Self::UInt32,
        Self::Single,
        Self::Double,
        Self::Int64,
        Self::UInt64,
    ];

    fn from_code(code: u32) -> Option<Self> {
        Self::ALL.into_iter().find(|number| *number as u32 == code)
    }

    fn bytes(self) -> usize {
        match self {
            Self::Int8 | Self::UInt8 => 1,
            Self::Int16 | Self::UInt16 => 2,
            Self::Int32 | Self::UInt32 | Self::Single => 4,
            Self::Double | Self::Int64 | Self::UInt64 => 8,
        }
    }
}

/// Type codes of elements that are not numbers.
const MATRIX: u32 = 14;
const COMPRESSED: u32 = 15;

/// The classes of variables that hold numbers, double to uint64.
const NUMERIC_CLASSES: std::ops::RangeInclusive<u32> = 6..=15;

/// The bit of the array flags that says that imaginary parts follow.
const COMPLEX: u32 = 0x0800;

/// Names and numbers of dimensions in a file may be long; those of a data set are not.
const LONGEST_SMALL_ELEMENT: u64 = 256;

/// A variable: an array of numbers, the first dimension running fastest.
#[derive(Debug)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) number: NumberType,
    /// The numbers as they are stored.
    pub(crate) data: Vec<u8>,
    /// Where the numbers start.
    pub(crate) offset: u64,
    order: ByteOrder,
}

impl Variable {
    /// The bytes that one number takes.
    pub(crate) fn number_bytes(&self) -> usize {
        self.number.bytes()
    }

    /// All numbers, as far as a double can hold them.
    pub(crate) fn numbers(&self) -> impl Iterator<Item = f64> {
        self.data.chunks_exact(self.number.bytes()).map(|bytes| {
            let word = self.order.word(bytes);
            match self.number {
                NumberType::Int8 => f64::from(word as i8),
                NumberType::Int16 => f64::from(word as i16),
                NumberType::Int32 => f64::from(word as i32),
                NumberType::Int64 => word as i64 as f64,
                NumberType::UInt8 | NumberType::UInt16 | NumberType::UInt32 | NumberType::UInt64 => word as f64,
                NumberType::Single => f64::from(f32::from_bits(word as u32)),
                NumberType::Double => f64::from_bits(word),
            }
        })
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ByteOrder {
    Little,
    Big,
}

impl ByteOrder {
    /// Up to 8 bytes as a number.
    fn word(self, bytes: &[u8]) -> u64 {
        let append = |word: u64, byte: &u8| word << 8 | u64::from(*byte);
        match self {
            Self::Little => bytes.iter().rev().fold(0, append),
            Self::Big => bytes.iter().fold(0, append),
        }
    }
}

/// Says of a variable's name and dimensions whether it is wanted, or else what was expected of it.
type Wanted<'a> = dyn Fn(&str, &[u64]) -> Result<bool, String> + 'a;

/// Reads the numeric variables whose name and dimensions `wanted` says yes to. Before any of its numbers is read, it
/// can refuse a variable by saying what it expected. Variables of other classes (text, structures, …) are passed over.
pub(crate) fn read_variables(reader: &mut FileReader<'_>, wanted: &Wanted<'_>) -> Result<Vec<Variable>, DataError> {
    let order = read_header(reader)?;
    let mut variables = Vec::new();
    loop {
        let start = reader.offset();
        let Some(tag) = read_tag(reader, order)? else { return Ok(variables) };
        if !matches!(tag.code, MATRIX | COMPRESSED) {
            return Err(reader.wrong(start, "a variable (type 14 or 15)", format!("type {}", tag.code)));
        }
        let mut element = reader.part(tag.size);
        let variable = if tag.code == COMPRESSED {
            read_compressed(&mut element, order, wanted)?
        } else {
            read_variable(&mut element, order, wanted)?
        };
        let read = element.offset() - (start + tag.tag_size);
        element.skip(tag.size - read, "a variable's data")?;
        drop(element);
        // Compressed variables are not padded.
        if tag.code == MATRIX {
            reader.skip(tag.padding, "padding")?;
        }
        variables.extend(variable);
    }
}

/// Reads the variable in a zlib stream; `None` if it is not wanted.
fn read_compressed(
    element: &mut FileReader<'_>,
    order: ByteOrder,
    wanted: &Wanted<'_>,
) -> Result<Option<Variable>, DataError> {
    let mut inflated = element.inflate();
    match read_tag(&mut inflated, order)? {
        Some(Tag { code: MATRIX, size, .. }) => {
            let variable = read_variable(&mut inflated.part(size), order, wanted)?;
            inflated.expect_end()?;
            Ok(variable)
        }
        tag => {
            let found = tag.map_or("the end".to_owned(), |tag| format!("type {}", tag.code));
            Err(inflated.wrong(0, "a variable (type 14)", found))
        }
    }
}

fn read_header(reader: &mut FileReader<'_>) -> Result<ByteOrder, DataError> {
    let header: [u8; 128] = reader.array("the header of a MATLAB 5 .mat file")?;
    let order = match &header[126..] {
        b"IM" => ByteOrder::Little,
        b"MI" => ByteOrder::Big,
        _ => return Err(reader.wrong(126, "the mark of a MATLAB 5 .mat file, IM or MI", text(&header[126..]))),
    };
    match order.word(&header[124..126]) {
        0x0100 => Ok(order),
        0x0200 => Err(reader.wrong(124, "version 5 of the .mat format", "version 7.3 (save it with -v7)")),
        version => Err(reader.wrong(124, "version 0x0100 of the .mat format", format!("{version:#06x}"))),
    }
}

fn text(bytes: &[u8]) -> String {
    bytes.escape_ascii().to_string()
}

/// What stands before the data of an element.
struct Tag {
    code: u32,
    /// Bytes of data.
    size: u64,
    /// Bytes between the data and the next element.
    padding: u64,
    /// Bytes of the tag itself.
    tag_size: u64,
}

/// Reads a tag; `None` at the end of the input.
fn read_tag(reader: &mut FileReader<'_>, order: ByteOrder) -> Result<Option<Tag>, DataError> {
    let start = reader.offset();
    let mut word = [0; 4];
    match reader.fill(&mut word)? {
        0 => return Ok(None),
        4 => {}
        count => return Err(reader.wrong(start, "an element's tag", format!("the end after {count} bytes"))),
    }
    let word = order.word(&word) as u32;
    let (code, size) = (word & 0xffff, u64::from(word >> 16));
    if size > 4 {
        return Err(reader.wrong(start, "an element's tag", format!("{word:#010x}")));
    }
    if size > 0 {
        // The small form: type and size share four bytes, the data have the four that follow.
        return Ok(Some(Tag { code, size, padding: 4 - size, tag_size: 4 }));
    }
    let size = order.word(&reader.array::<4>("an element's size")?);
    Ok(Some(Tag { code, size, padding: size.next_multiple_of(8) - size, tag_size: 8 }))
}

/// Reads a tag that must be there.
fn demand_tag(reader: &mut FileReader<'_>, order: ByteOrder, what: &str) -> Result<Tag, DataError> {
    let start = reader.offset();
    read_tag(reader, order)?.ok_or_else(|| reader.wrong(start, format!("a variable's {what}"), "the end"))
}

/// Reads an element of a few bytes, which must have the given type.
fn read_small(
    reader: &mut FileReader<'_>,
    order: ByteOrder,
    number: NumberType,
    what: &str,
) -> Result<Vec<u8>, DataError> {
    let start = reader.offset();
    let tag = demand_tag(reader, order, what)?;
    if tag.code != number as u32 || tag.size > LONGEST_SMALL_ELEMENT {
        let expected = format!("a variable's {what} (type {}, at most {LONGEST_SMALL_ELEMENT} bytes)", number as u32);
        return Err(reader.wrong(start, expected, format!("type {}, {} bytes", tag.code, tag.size)));
    }
    let bytes = reader.bytes(tag.size, what)?;
    reader.skip(tag.padding, "padding")?;
    Ok(bytes)
}

/// Reads the inside of a variable; `None` if it is not wanted.
fn read_variable(
    reader: &mut FileReader<'_>,
    order: ByteOrder,
    wanted: &Wanted<'_>,
) -> Result<Option<Variable>, DataError> {
    let start = reader.offset();
    let flags = read_small(reader, order, NumberType::UInt32, "array flags")?;
    if flags.len() != 8 {
        return Err(reader.wrong(start, "8 bytes of array flags", flags.len().to_string()));
    }
    let flags = order.word(&flags[..4]) as u32;
    if !NUMERIC_CLASSES.contains(&(flags & 0xff)) {
        return skip_rest(reader);
    }
    let at_dimensions = reader.offset();
    let dimensions: Vec<u64> = read_small(reader, order, NumberType::Int32, "dimensions")?
        .chunks(4)
        .map(|dimension| order.word(dimension))
        .collect();
    let written = dimensions.iter().map(u64::to_string).collect::<Vec<_>>().join("x");
    let name = read_small(reader, order, NumberType::Int8, "name")?;
    let name = text(&name);
    match wanted(&name, &dimensions) {
        Ok(true) => {}
        Ok(false) => return skip_rest(reader),
        Err(expected) => return Err(reader.wrong(at_dimensions, expected, written)),
    }
    if flags & COMPLEX != 0 {
        return Err(reader.wrong(start, format!("real numbers in {name}"), "complex numbers"));
    }
    let at_numbers = reader.offset();
    let tag = demand_tag(reader, order, "numbers")?;
    let Some(number) = NumberType::from_code(tag.code) else {
        return Err(reader.wrong(at_numbers, format!("numbers of {name}"), format!("type {}", tag.code)));
    };
    let size = dimensions.iter().try_fold(number.bytes() as u64, |size, &dimension| size.checked_mul(dimension));
    if size != Some(tag.size) {
        let expected = format!("{written} numbers of {} bytes in {name}", number.bytes());
        return Err(reader.wrong(at_numbers, expected, format!("{} bytes", tag.size)));
    }
    let offset = reader.offset();
    let data = reader.bytes(tag.size, &format!("numbers of {name}"))?;
    reader.skip(tag.padding, "padding")?;
    reader.expect_end()?;
    Ok(Some(Variable { name, number, data, offset, order }))
}

/// Passes over what is left of a variable that is not wanted.
fn skip_rest(reader: &mut FileReader<'_>) -> Result<Option<Variable>, DataError> {
    let mut buffer = [0; 4096];
    while reader.fill(&mut buffer)? > 0 {}
    Ok(None)
}
