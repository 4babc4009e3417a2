//! Reading a file of a stated format: every error says in which file, at which byte, what was expected and found.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use flate2::read::{MultiGzDecoder, ZlibDecoder};

use crate::error::DataError;

/// Room taken before any byte has arrived; beyond it room grows with what arrives, so that a header which lies about
/// a size costs nothing.
const FIRST_ROOM: u64 = 1 << 20;

/// Reads bytes in order and counts them.
pub(crate) struct FileReader<'a> {
    input: Box<dyn Read + 'a>,
    path: PathBuf,
    offset: u64,
    uncompressed: bool,
}

impl<'a> FileReader<'a> {
    /// Opens a file, gzipped or not.
    pub(crate) fn open(path: &Path) -> Result<Self, DataError> {
        let file = File::open(path).map_err(DataError::io("read", path))?;
        Self::new(path, BufReader::with_capacity(1 << 16, file))
    }

    /// Reads `input`, gzipped or not: its first bytes tell, not the name. `path` is for messages.
    pub(crate) fn new(path: &Path, mut input: impl BufRead + 'a) -> Result<Self, DataError> {
        let start = input.fill_buf().map_err(DataError::io("read", path))?;
        let gzipped = start.starts_with(&[0x1f, 0x8b]);
        let input: Box<dyn Read + 'a> = if gzipped {
            Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(input)))
        } else {
            Box::new(input)
        };
        Ok(Self { input, path: path.to_owned(), offset: 0, uncompressed: gzipped })
    }

    /// The next `size` bytes as a reader of their own.
    pub(crate) fn part(&mut self, size: u64) -> FileReader<'_> {
        let (path, offset, uncompressed) = (self.path.clone(), self.offset, self.uncompressed);
        FileReader { input: Box::new(self.take(size)), path, offset, uncompressed }
    }

    /// What the zlib stream from here on holds; its bytes are counted from 0.
    pub(crate) fn inflate(&mut self) -> FileReader<'_> {
        let path = self.path.clone();
        FileReader { input: Box::new(ZlibDecoder::new(self)), path, offset: 0, uncompressed: true }
    }

    /// The file's path.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// How many bytes were read.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// An error about the bytes at `offset`.
    pub(crate) fn wrong(&self, offset: u64, expected: impl Into<String>, found: impl Into<String>) -> DataError {
        DataError::Format {
            path: self.path.clone(),
            offset,
            uncompressed: self.uncompressed,
            expected: expected.into(),
            found: found.into(),
        }
    }

    fn failed(&self, error: io::Error) -> DataError {
        match error.kind() {
            // What the decoders say of damaged or cut streams.
            io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof
                if self.uncompressed =>
            {
                self.wrong(self.offset, "a whole compressed stream", format!("a damaged or cut one ({error})"))
            }
            _ => DataError::Io { action: "read", path: self.path.clone(), error },
        }
    }

    /// Reads until `buffer` is full or the input ends; how many bytes were read.
    pub(crate) fn fill(&mut self, buffer: &mut [u8]) -> Result<usize, DataError> {
        let mut filled = 0;
        while filled < buffer.len() {
            match self.read(&mut buffer[filled..]) {
                Ok(0) => break,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(self.failed(error)),
            }
        }
        Ok(filled)
    }

    /// The next `N` bytes, which are `what`.
    pub(crate) fn array<const N: usize>(&mut self, what: &str) -> Result<[u8; N], DataError> {
        let start = self.offset;
        let mut array = [0; N];
        match self.fill(&mut array)? {
            count if count == N => Ok(array),
            count => Err(self.cut(start, N as u64, count as u64, what)),
        }
    }

    /// The next `count` bytes, which are `what`. Room for them is taken as they arrive.
    pub(crate) fn bytes(&mut self, count: u64, what: &str) -> Result<Vec<u8>, DataError> {
        let start = self.offset;
        let mut bytes = Vec::with_capacity(count.min(FIRST_ROOM) as usize);
        match self.take(count).read_to_end(&mut bytes) {
            Ok(read) if read as u64 == count => Ok(bytes),
            Ok(read) => Err(self.cut(start, count, read as u64, what)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Passes over the next `count` bytes, which are `what`.
    pub(crate) fn skip(&mut self, count: u64, what: &str) -> Result<(), DataError> {
        let start = self.offset;
        match io::copy(&mut self.take(count), &mut io::sink()) {
            Ok(read) if read == count => Ok(()),
            Ok(read) => Err(self.cut(start, count, read, what)),
            Err(error) => Err(self.failed(error)),
        }
    }

    /// Demands that nothing follows. For a compressed file this also reads its checksum.
    pub(crate) fn expect_end(&mut self) -> Result<(), DataError> {
        let start = self.offset;
        match self.fill(&mut [0])? {
            0 => Ok(()),
            _ => Err(self.wrong(start, "the end", "more bytes")),
        }
    }

    fn cut(&self, start: u64, wanted: u64, found: u64, what: &str) -> DataError {
        self.wrong(start, format!("{what} ({wanted} bytes)"), format!("the end after {found} bytes"))
    }
}

impl Read for FileReader<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.offset += count as u64;
        Ok(count)
    }
}
