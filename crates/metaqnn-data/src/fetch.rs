//! Downloads data sets from their public homes.
//!
//! A file arrives as `NAME.part` beside its destination and gets its name only when it is whole and its md5 is the
//! published one. What has arrived of it is kept, so an interrupted download goes on where it stopped. The md5 says
//! that a file is the published one, not that it comes from a friend; nothing in it is run.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use flate2::bufread::GzDecoder;
use md5::{Digest, Md5};
use serde::Serialize;

use crate::data_set::hexadecimal;
use crate::error::DataError;
use crate::files::{DataFile, Part, files_of};
use crate::source::DataSource;

/// What a fetch is doing, for a progress display.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum FetchProgress<'a> {
    /// A file that is there already is looked through, which takes seconds if it is large.
    Checking {
        /// Its name.
        file: &'a str,
    },
    /// A connection was made and bytes are about to arrive.
    Started {
        /// The file's name.
        file: &'a str,
        /// Its address.
        url: &'a str,
        /// Bytes there already from an earlier attempt.
        bytes: u64,
        /// Bytes of the whole file, if the server says.
        total: Option<u64>,
    },
    /// Bytes have arrived.
    Advanced {
        /// The file's name.
        file: &'a str,
        /// Bytes there now.
        bytes: u64,
        /// Bytes of the whole file, if the server says.
        total: Option<u64>,
    },
    /// An attempt failed and another will be made.
    Retrying {
        /// The file's name.
        file: &'a str,
        /// What failed.
        reason: &'a str,
        /// How long until the next attempt.
        wait: Duration,
    },
    /// An archive is being unpacked.
    Unpacking {
        /// Its name.
        file: &'a str,
    },
    /// A file is done with.
    Finished {
        /// What became of it.
        file: &'a FetchedFile,
    },
}

/// What [`fetch`] did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Fetched {
    /// The folder of the data set.
    pub folder: PathBuf,
    /// Each file of it; none for the embedded digits.
    pub files: Vec<FetchedFile>,
}

/// What [`fetch`] did about one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FetchedFile {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
    /// What was done.
    pub outcome: FetchOutcome,
}

/// How a file came to be whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FetchOutcome {
    /// It was downloaded, and unpacked if it is part of an archive.
    Downloaded,
    /// It was there, with the published md5.
    Kept,
    /// It was there, not as published but readable and with the published number of images, as when it was
    /// decompressed, compressed anew, or unpacked from an archive.
    KeptByContents,
}

/// The public home of a data set, an address to which the names of its files are appended; `None` for the embedded
/// digits.
pub(crate) fn address(source: DataSource) -> Option<&'static str> {
    match source {
        DataSource::Digits => None,
        DataSource::Mnist => Some("https://ossci-datasets.s3.amazonaws.com/mnist/"),
        DataSource::FashionMnist => Some("http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"),
        DataSource::Cifar10 | DataSource::Cifar100 => Some("https://www.cs.toronto.edu/~kriz/"),
        DataSource::Svhn => Some("http://ufldl.stanford.edu/housenumbers/"),
    }
}

/// Name, as published, and md5 of what there is to download.
fn published(source: DataSource) -> &'static [(&'static str, &'static str)] {
    match source {
        DataSource::Digits => &[],
        DataSource::Mnist => &[
            ("train-images-idx3-ubyte.gz", "f68b3c2dcbeaaa9fbdd348bbdeb94873"),
            ("train-labels-idx1-ubyte.gz", "d53e105ee54ea40749a09fcbcd1e9432"),
            ("t10k-images-idx3-ubyte.gz", "9fb629c4189551a2d022fa330f9573f3"),
            ("t10k-labels-idx1-ubyte.gz", "ec29112dd5afa0611ce80d1b7f02629c"),
        ],
        DataSource::FashionMnist => &[
            ("train-images-idx3-ubyte.gz", "8d4fb7e6c68d591d4c3dfef9ec88bf0d"),
            ("train-labels-idx1-ubyte.gz", "25c81989df183df01b3e8a0aad5dffbe"),
            ("t10k-images-idx3-ubyte.gz", "bef4ecab320f06d8554ea6380940ec79"),
            ("t10k-labels-idx1-ubyte.gz", "bb300cfdad3c16e7a12a480ee83cd310"),
        ],
        DataSource::Cifar10 => &[("cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530")],
        DataSource::Cifar100 => &[("cifar-100-binary.tar.gz", "03b5dce01913d631647c71ecec9e9cb8")],
        DataSource::Svhn => &[
            ("train_32x32.mat", "e26dedcc434d2e4c54c9b2d4a06d8373"),
            ("test_32x32.mat", "eb5a983be6a315427106f1b164d9cef3"),
            ("extra_32x32.mat", "a93ce644f1a588dc4d68dda5feec44a7"),
        ],
    }
}

/// Something to download.
#[derive(Debug, Clone)]
struct Download {
    /// Its name at home and here.
    name: String,
    md5: String,
    /// The files of the data set in it: itself, or those an archive holds.
    files: Vec<DataFile>,
}

impl Download {
    fn is_archive(&self) -> bool {
        self.name.ends_with(".tar.gz")
    }
}

/// Where to download from, what, and how patiently. Tests have homes of their own.
#[derive(Debug, Clone)]
struct Home {
    /// The address to which names are appended.
    address: String,
    downloads: Vec<Download>,
    /// Attempts in a row that may end without a byte gained.
    attempts: u32,
    /// The wait after the first failed attempt; each further one doubles it.
    first_wait: Duration,
}

impl Home {
    /// The public home of the given parts of a data set.
    fn of(source: DataSource, parts: &[Part]) -> Self {
        let files = || files_of(source).iter().copied().filter(|file| parts.contains(&file.part));
        let downloads = published(source).iter().map(|&(name, md5)| Download {
            name: name.to_owned(),
            md5: md5.to_owned(),
            files: files().filter(|file| name.ends_with(".tar.gz") || name.starts_with(file.name)).collect(),
        });
        Self {
            address: address(source).unwrap_or_default().to_owned(),
            downloads: downloads.filter(|download| !download.files.is_empty()).collect(),
            attempts: 5,
            first_wait: Duration::from_secs(1),
        }
    }
}

/// Downloads a data set into its folder in `data_dir`, or what is missing of it. Of SVHN the extra images are left
/// out: see [`fetch_svhn_extra`].
///
/// Files that are there are kept if they have the published md5 or, read, the published number of images.
///
/// # Errors
/// [`DataError::Download`] after a few attempts or if the server refuses, [`DataError::Checksum`], and
/// [`DataError::Io`] if the folder cannot be written to or the disk is full. Whole files stay as they are.
pub fn fetch(
    source: &DataSource,
    data_dir: &Path,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<Fetched, DataError> {
    fetch_from(&Home::of(*source, &[Part::Train, Part::Test]), *source, data_dir, progress)
}

/// Downloads the extra training images of SVHN (1.3 GB), which only the final phase uses.
///
/// # Errors
/// As [`fetch`].
pub fn fetch_svhn_extra(data_dir: &Path, progress: &mut dyn FnMut(FetchProgress<'_>)) -> Result<Fetched, DataError> {
    fetch_from(&Home::of(DataSource::Svhn, &[Part::Extra]), DataSource::Svhn, data_dir, progress)
}

fn fetch_from(
    home: &Home,
    source: DataSource,
    data_dir: &Path,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<Fetched, DataError> {
    let folder = data_dir.join(source.name());
    let mut files = Vec::new();
    for wanted in &home.downloads {
        let kept = keep(wanted, source, &folder, progress)?;
        let fetched = if kept.is_empty() { get(home, wanted, &folder, progress)? } else { kept };
        for file in &fetched {
            progress(FetchProgress::Finished { file });
        }
        files.extend(fetched);
    }
    Ok(Fetched { folder, files })
}

/// What is there of a download, if it is whole; else nothing.
fn keep(
    wanted: &Download,
    source: DataSource,
    folder: &Path,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<Vec<FetchedFile>, DataError> {
    let mut kept = Vec::new();
    for file in &wanted.files {
        let Some(path) = file.locate(folder)? else { return Ok(Vec::new()) };
        progress(FetchProgress::Checking { file: file.name });
        let outcome = if !wanted.is_archive() && md5_of(&path)? == wanted.md5 {
            FetchOutcome::Kept
        } else if file.is_whole(source, &path) {
            FetchOutcome::KeptByContents
        } else {
            return Ok(Vec::new());
        };
        kept.push(fetched_file(path, outcome)?);
    }
    Ok(kept)
}

/// Downloads and, if it is an archive, unpacks.
fn get(
    home: &Home,
    wanted: &Download,
    folder: &Path,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<Vec<FetchedFile>, DataError> {
    fs::create_dir_all(folder).map_err(DataError::io("create", folder))?;
    let target = folder.join(&wanted.name);
    // An archive that was downloaded by other means, or whose unpacking was interrupted.
    let there = wanted.is_archive() && target.is_file() && md5_of(&target)? == wanted.md5;
    if !there {
        download(home, wanted, &target, progress)?;
    }
    if !wanted.is_archive() {
        return Ok(vec![fetched_file(target, FetchOutcome::Downloaded)?]);
    }
    progress(FetchProgress::Unpacking { file: &wanted.name });
    let unpacked = unpack(&target, &wanted.files, folder)?;
    fs::remove_file(&target).map_err(DataError::io("remove", &target))?;
    unpacked.into_iter().map(|path| fetched_file(path, FetchOutcome::Downloaded)).collect()
}

fn fetched_file(path: PathBuf, outcome: FetchOutcome) -> Result<FetchedFile, DataError> {
    let bytes = fs::metadata(&path).map_err(DataError::io("read", &path))?.len();
    Ok(FetchedFile { path, bytes, outcome })
}

/// `path` with `.part` appended: the name of a file that is not whole yet.
fn part_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".part");
    name.into()
}

fn md5_of(path: &Path) -> Result<String, DataError> {
    let mut file = File::open(path).map_err(DataError::io("read", path))?;
    let (mut hash, mut buffer) = (Md5::new(), vec![0; 1 << 16]);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return Ok(hexadecimal(&hash.finalize())),
            Ok(count) => hash.update(&buffer[..count]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(DataError::io("read", path)(error)),
        }
    }
}

/// The size of a file; 0 if there is none.
fn size_of(path: &Path) -> Result<u64, DataError> {
    match fs::metadata(path) {
        Ok(metadata) => Ok(metadata.len()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(0),
        Err(error) => Err(DataError::io("read", path)(error)),
    }
}

/// Downloads a file to `target`, in as many attempts as it takes while each brings it forward.
fn download(
    home: &Home,
    wanted: &Download,
    target: &Path,
    progress: &mut dyn FnMut(FetchProgress<'_>),
) -> Result<(), DataError> {
    let transfer = Transfer {
        agent: agent(),
        url: format!("{}{}", home.address, wanted.name),
        file: &wanted.name,
        md5: &wanted.md5,
        part: part_of(target),
    };
    let mut resumed = size_of(&transfer.part)? > 0;
    let mut failures = 0;
    loop {
        let before = size_of(&transfer.part)?;
        match transfer.attempt(progress) {
            Ok(()) => {
                let found = md5_of(&transfer.part)?;
                if found == wanted.md5 {
                    return fs::rename(&transfer.part, target).map_err(DataError::io("rename", &transfer.part));
                }
                fs::remove_file(&transfer.part).map_err(DataError::io("remove", &transfer.part))?;
                // What an earlier attempt left may have been of another file: once more, from the start.
                if !std::mem::take(&mut resumed) {
                    return Err(DataError::Checksum { url: transfer.url, expected: wanted.md5.clone(), found });
                }
            }
            Err(Failure::Final(error)) => return Err(error),
            Err(Failure::Passing(reason)) => {
                let arrived = size_of(&transfer.part)?;
                resumed |= arrived > 0;
                failures = if arrived > before { 1 } else { failures + 1 };
                if failures >= home.attempts {
                    return Err(DataError::Download { url: transfer.url, reason, resumable: arrived > 0 });
                }
                let wait = home.first_wait * 2_u32.pow(failures.min(6) - 1);
                progress(FetchProgress::Retrying { file: &wanted.name, reason: &reason, wait });
                std::thread::sleep(wait);
            }
        }
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .timeout_connect(Some(Duration::from_secs(30)))
        .timeout_recv_response(Some(Duration::from_secs(60)))
        // No limit on the whole: a slow line may take hours, but not a minute of silence.
        .timeout_per_read(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// Why an attempt failed.
enum Failure {
    /// Another attempt may succeed.
    Passing(String),
    /// None will.
    Final(DataError),
}

impl From<DataError> for Failure {
    fn from(error: DataError) -> Self {
        Self::Final(error)
    }
}

/// One file on its way.
struct Transfer<'a> {
    agent: ureq::Agent,
    url: String,
    file: &'a str,
    md5: &'a str,
    part: PathBuf,
}

impl Transfer<'_> {
    /// Asks for what is missing of the file and appends it to the part that is there.
    fn attempt(&self, progress: &mut dyn FnMut(FetchProgress<'_>)) -> Result<(), Failure> {
        let there = size_of(&self.part)?;
        let request = self.agent.get(&self.url);
        let request = if there > 0 { request.header("Range", format!("bytes={there}-")) } else { request };
        let mut response = request.call().map_err(|error| self.refused(&error))?;
        let status = response.status();
        let header = |name: &str| response.headers().get(name).and_then(|value| value.to_str().ok());
        let length = header("content-length").and_then(|length| length.parse::<u64>().ok());
        let start = match status.as_u16() {
            // The server knows no ranges, or nothing is there yet: all of it comes.
            200 => 0,
            206 if header("content-range").and_then(range_start) == Some(there) => there,
            206 => {
                self.discard()?;
                return Err(Failure::Passing("the server sent another range than was asked for".to_owned()));
            }
            // Nothing is missing, or what is there is no part of this file.
            416 if there > 0 => {
                if md5_of(&self.part)? == self.md5 {
                    return Ok(());
                }
                self.discard()?;
                return Err(Failure::Passing("what was there is larger than the file".to_owned()));
            }
            408 | 429 | 500..=599 => return Err(Failure::Passing(format!("the server answered {status}"))),
            _ => return Err(self.given_up(format!("the server answered {status}"))),
        };
        let total = length.map(|length| start + length);
        let mut options = OpenOptions::new();
        let options = if start > 0 { options.append(true) } else { options.write(true).create(true).truncate(true) };
        let mut part = options.open(&self.part).map_err(DataError::io("write", &self.part))?;
        let mut body = response.body_mut().as_reader();
        let mut bytes = start;
        progress(FetchProgress::Started { file: self.file, url: &self.url, bytes, total });
        let mut buffer = vec![0; 1 << 16];
        loop {
            match body.read(&mut buffer) {
                Ok(0) => break,
                Ok(count) => {
                    part.write_all(&buffer[..count]).map_err(DataError::io("write", &self.part))?;
                    bytes += count as u64;
                    progress(FetchProgress::Advanced { file: self.file, bytes, total });
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    return Err(Failure::Passing(format!("the connection broke after {bytes} bytes: {error}")));
                }
            }
        }
        // The name that promises a whole file must not reach the disk before its contents.
        part.sync_all().map_err(DataError::io("write", &self.part))?;
        match total {
            Some(total) if bytes < total => {
                Err(Failure::Passing(format!("the connection ended after {bytes} of {total} bytes")))
            }
            _ => Ok(()),
        }
    }

    fn discard(&self) -> Result<(), DataError> {
        fs::remove_file(&self.part).map_err(DataError::io("remove", &self.part))
    }

    /// What to make of an attempt that ended before the server's answer.
    fn refused(&self, error: &ureq::Error) -> Failure {
        match error {
            ureq::Error::Io(_)
            | ureq::Error::Timeout(_)
            | ureq::Error::HostNotFound
            | ureq::Error::ConnectionFailed
            | ureq::Error::Protocol(_) => Failure::Passing(error.to_string()),
            _ => self.given_up(error.to_string()),
        }
    }

    fn given_up(&self, reason: String) -> Failure {
        let resumable = size_of(&self.part).is_ok_and(|size| size > 0);
        Failure::Final(DataError::Download { url: self.url.clone(), reason, resumable })
    }
}

/// The first byte of a `Content-Range` header, as in `bytes 100-199/200`.
fn range_start(header: &str) -> Option<u64> {
    header.trim().strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}

/// Takes `files` out of an archive into `folder`, by their names alone: no path in the archive decides where
/// anything is written, and nothing else in it is.
fn unpack(archive: &Path, files: &[DataFile], folder: &Path) -> Result<Vec<PathBuf>, DataError> {
    let input = File::open(archive).map_err(DataError::io("read", archive))?;
    let mut entries = tar::Archive::new(GzDecoder::new(BufReader::new(input)));
    let mut unpacked = Vec::new();
    for entry in entries.entries().map_err(DataError::io("unpack", archive))? {
        let mut entry = entry.map_err(DataError::io("unpack", archive))?;
        let Some(file) = files.iter().find(|file| {
            entry.header().entry_type().is_file()
                && entry.path().is_ok_and(|path| path.file_name().is_some_and(|name| name == file.name))
        }) else {
            continue;
        };
        let path = folder.join(file.name);
        let part = part_of(&path);
        let mut output = File::create(&part).map_err(DataError::io("write", &part))?;
        copy(&mut entry, archive, &mut output, &part)?;
        output.sync_all().map_err(DataError::io("write", &part))?;
        fs::rename(&part, &path).map_err(DataError::io("rename", &part))?;
        unpacked.push(path);
    }
    match files.iter().find(|file| !unpacked.iter().any(|path| path.ends_with(file.name))) {
        Some(file) => Err(DataError::Format {
            path: archive.to_owned(),
            offset: 0,
            uncompressed: false,
            expected: format!("an archive with {} in it", file.name),
            found: "none".to_owned(),
        }),
        None => Ok(unpacked),
    }
}

/// Copies all of `input`, telling errors of reading from errors of writing.
fn copy(input: &mut impl Read, from: &Path, output: &mut File, to: &Path) -> Result<(), DataError> {
    let mut buffer = vec![0; 1 << 16];
    loop {
        match input.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(count) => output.write_all(&buffer[..count]).map_err(DataError::io("write", to))?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(DataError::io("unpack", from)(error)),
        }
    }
}

#[cfg(test)]
mod tests;
