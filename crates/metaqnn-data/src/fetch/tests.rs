//! Fetching from a small HTTP server on this machine that can be told to misbehave.

use std::collections::HashMap;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use super::*;
use crate::cifar::Records;
use crate::files::Contents;

/// How the server answers.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    /// As it should.
    Well,
    /// Whole files only, whatever range is asked for.
    WithoutRanges,
    /// Hangs up after half of what it was asked for, this often, then well.
    HangsUp(usize),
    /// With an error of its own, this often, then well.
    Overloaded(usize),
    /// As if ranges began one byte later than asked for.
    WrongRange,
}

/// The path and the start of the range of each request.
type Requests = Mutex<Vec<(String, Option<u64>)>>;

/// A server of files in memory; it notes each request's path and range.
struct Server {
    address: String,
    requests: Arc<Requests>,
}

impl Server {
    fn start(files: &[(&str, &[u8])], manner: Manner) -> Self {
        let files: HashMap<String, Vec<u8>> =
            files.iter().map(|(name, bytes)| (format!("/{name}"), bytes.to_vec())).collect();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}/", listener.local_addr().unwrap());
        let requests = Arc::<Requests>::default();
        let noted = Arc::clone(&requests);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let _ = answer(connection.unwrap(), &files, manner, &noted);
            }
        });
        Self { address, requests }
    }

    /// The ranges asked for, in order.
    fn ranges(&self) -> Vec<Option<u64>> {
        self.requests.lock().unwrap().iter().map(|(_, range)| *range).collect()
    }
}

fn answer(
    mut connection: TcpStream,
    files: &HashMap<String, Vec<u8>>,
    manner: Manner,
    requests: &Requests,
) -> io::Result<()> {
    let mut lines = BufReader::new(connection.try_clone()?).lines();
    let path = lines.next().unwrap()?.split(' ').nth(1).unwrap().to_owned();
    let mut range = None;
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if line.is_empty() {
            break;
        }
        if let Some(start) = line.strip_prefix("range: bytes=") {
            range = Some(start.trim_end_matches('-').parse::<usize>().unwrap());
        }
    }
    let number = {
        let mut requests = requests.lock().unwrap();
        requests.push((path.clone(), range.map(|start| start as u64)));
        requests.len()
    };
    let empty = |status: &str| format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    let Some(file) = files.get(&path) else { return connection.write_all(empty("404 Not Found").as_bytes()) };
    if matches!(manner, Manner::Overloaded(times) if number <= times) {
        return connection.write_all(empty("503 Service Unavailable").as_bytes());
    }
    let range = range.filter(|_| manner != Manner::WithoutRanges);
    let (status, mut start) = match range {
        Some(start) if start >= file.len() => {
            return connection.write_all(empty("416 Range Not Satisfiable").as_bytes());
        }
        Some(start) => ("206 Partial Content", start),
        None => ("200 OK", 0),
    };
    if range.is_some() && manner == Manner::WrongRange {
        start += 1;
    }
    let body = &file[start..];
    let mut head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n", body.len());
    if range.is_some() {
        head += &format!("Content-Range: bytes {start}-{}/{}\r\n", file.len() - 1, file.len());
    }
    connection.write_all(format!("{head}\r\n").as_bytes())?;
    let hangs_up = matches!(manner, Manner::HangsUp(times) if number <= times);
    connection.write_all(if hangs_up { &body[..body.len() / 2] } else { body })
}

const NAME: &str = "train-labels-idx1-ubyte";

fn contents() -> Vec<u8> {
    (0..300_000_u32).map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8).collect()
}

fn md5(bytes: &[u8]) -> String {
    hexadecimal(&Md5::digest(bytes))
}

fn home(server: &Server, md5: String) -> Home {
    let file = *files_of(DataSource::Mnist).iter().find(|file| file.name == NAME).unwrap();
    Home {
        address: server.address.clone(),
        downloads: vec![Download { name: format!("{NAME}.gz"), md5, files: vec![file] }],
        attempts: 3,
        first_wait: Duration::from_millis(1),
    }
}

struct Folder {
    root: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir(root.path().join("mnist")).unwrap();
        Self { root }
    }

    fn target(&self) -> PathBuf {
        self.root.path().join("mnist").join(format!("{NAME}.gz"))
    }

    fn part(&self) -> PathBuf {
        part_of(&self.target())
    }

    /// Fetches; the result and how often an attempt was repeated.
    fn fetch(&self, home: &Home) -> (Result<Fetched, DataError>, usize) {
        let mut retries = 0;
        let result = fetch_from(home, DataSource::Mnist, self.root.path(), &mut |progress| {
            retries += usize::from(matches!(progress, FetchProgress::Retrying { .. }));
        });
        (result, retries)
    }

    fn holds_only_the_whole_file(&self) -> bool {
        fs::read(self.target()).unwrap() == contents()
            && fs::read_dir(self.target().parent().unwrap()).unwrap().count() == 1
    }
}

fn server(manner: Manner) -> Server {
    Server::start(&[(&format!("{NAME}.gz"), &contents())], manner)
}

#[test]
fn a_file_is_downloaded_whole_and_then_kept() {
    let (server, folder) = (server(Manner::Well), Folder::new());
    let home = home(&server, md5(&contents()));
    let mut last = None;
    let fetched = fetch_from(&home, DataSource::Mnist, folder.root.path(), &mut |progress| {
        if let FetchProgress::Advanced { bytes, total, .. } = progress {
            last = Some((bytes, total));
        }
    })
    .unwrap();
    assert_eq!(last, Some((300_000, Some(300_000))));
    assert_eq!(fetched.files[0].outcome, FetchOutcome::Downloaded);
    assert_eq!(fetched.files[0].bytes, 300_000);
    assert!(folder.holds_only_the_whole_file());
    assert_eq!(folder.fetch(&home).0.unwrap().files[0].outcome, FetchOutcome::Kept);
    assert_eq!(server.ranges(), [None], "nothing is asked for again");
}

#[test]
fn a_broken_connection_goes_on_where_it_stopped() {
    let (server, folder) = (server(Manner::HangsUp(2)), Folder::new());
    let (result, retries) = folder.fetch(&home(&server, md5(&contents())));
    result.unwrap();
    assert_eq!(retries, 2);
    assert!(folder.holds_only_the_whole_file());
    assert_eq!(server.ranges(), [None, Some(150_000), Some(225_000)]);
}

#[test]
fn a_killed_download_goes_on_in_the_next_run() {
    let (server, folder) = (server(Manner::Well), Folder::new());
    fs::write(folder.part(), &contents()[..1_000]).unwrap();
    folder.fetch(&home(&server, md5(&contents()))).0.unwrap();
    assert!(folder.holds_only_the_whole_file());
    assert_eq!(server.ranges(), [Some(1_000)]);
}

#[test]
fn a_whole_part_needs_no_more_bytes() {
    let (server, folder) = (server(Manner::Well), Folder::new());
    fs::write(folder.part(), contents()).unwrap();
    folder.fetch(&home(&server, md5(&contents()))).0.unwrap();
    assert!(folder.holds_only_the_whole_file());
    assert_eq!(server.ranges(), [Some(300_000)]);
}

#[test]
fn a_part_of_another_file_is_replaced() {
    for size in [1_000, 400_000] {
        let (server, folder) = (server(Manner::Well), Folder::new());
        fs::write(folder.part(), vec![1; size]).unwrap();
        folder.fetch(&home(&server, md5(&contents()))).0.unwrap();
        assert!(folder.holds_only_the_whole_file());
        assert_eq!(server.ranges(), [Some(size as u64), None]);
    }
}

#[test]
fn a_server_without_ranges_sends_all_of_it_again() {
    let (server, folder) = (server(Manner::WithoutRanges), Folder::new());
    fs::write(folder.part(), &contents()[..1_000]).unwrap();
    folder.fetch(&home(&server, md5(&contents()))).0.unwrap();
    assert!(folder.holds_only_the_whole_file());
    assert_eq!(server.ranges(), [Some(1_000)]);
}

#[test]
fn a_wrong_range_is_not_appended() {
    let (server, folder) = (server(Manner::WrongRange), Folder::new());
    fs::write(folder.part(), &contents()[..1_000]).unwrap();
    folder.fetch(&home(&server, md5(&contents()))).0.unwrap();
    assert!(folder.holds_only_the_whole_file());
    assert_eq!(server.ranges(), [Some(1_000), None]);
}

#[test]
fn a_wrong_checksum_is_named_and_the_file_removed() {
    let (server, folder) = (server(Manner::Well), Folder::new());
    let error = folder.fetch(&home(&server, md5(b"something else"))).0.unwrap_err();
    let DataError::Checksum { expected, found, .. } = &error else { panic!("{error}") };
    assert_eq!((expected, found), (&md5(b"something else"), &md5(&contents())));
    assert!(error.to_string().contains(&server.address), "{error}");
    assert!(!folder.target().exists() && !folder.part().exists());
    assert_eq!(server.ranges().len(), 1);
}

#[test]
fn a_missing_file_is_named_without_further_attempts() {
    let (server, folder) = (Server::start(&[], Manner::Well), Folder::new());
    let (result, retries) = folder.fetch(&home(&server, md5(&contents())));
    let error = result.unwrap_err().to_string();
    assert!(error.contains("the server answered 404 Not Found") && error.contains(NAME), "{error}");
    assert_eq!(retries, 0);
    assert!(!folder.target().exists() && !folder.part().exists());
}

#[test]
fn an_overloaded_server_is_asked_again_a_few_times() {
    let (patient, folder) = (server(Manner::Overloaded(2)), Folder::new());
    folder.fetch(&home(&patient, md5(&contents()))).0.unwrap();
    assert!(folder.holds_only_the_whole_file());

    let (overloaded, folder) = (server(Manner::Overloaded(usize::MAX)), Folder::new());
    let error = folder.fetch(&home(&overloaded, md5(&contents()))).0.unwrap_err().to_string();
    assert!(error.contains("503"), "{error}");
    assert_eq!(overloaded.ranges().len(), 3);
}

#[test]
fn no_server_is_an_error_that_keeps_what_is_there() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let nobody = Server { address: format!("http://{}/", listener.local_addr().unwrap()), requests: Arc::default() };
    drop(listener);
    let folder = Folder::new();
    fs::write(folder.part(), &contents()[..1_000]).unwrap();
    let error = folder.fetch(&home(&nobody, md5(&contents()))).0.unwrap_err();
    assert!(matches!(error, DataError::Download { resumable: true, .. }), "{error}");
    assert_eq!(fs::read(folder.part()).unwrap().len(), 1_000);
}

#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let (server, root) = (server(Manner::Well), tempfile::tempdir().unwrap());
    fs::write(root.path().join("mnist"), "a file where the folder should be").unwrap();
    let result = fetch_from(&home(&server, md5(&contents())), DataSource::Mnist, root.path(), &mut |_| ());
    let error = result.unwrap_err().to_string();
    assert!(error.contains("mnist"), "{error}");
}

#[test]
fn a_file_compressed_anew_is_kept_by_its_contents_and_a_damaged_one_replaced() {
    let labels = [[0, 0, 8, 1].as_slice(), &60_000_u32.to_be_bytes(), &[7; 60_000]].concat();
    let (server, folder) = (server(Manner::Well), Folder::new());
    let home = home(&server, md5(&contents()));
    let plain = folder.target().with_extension("");
    fs::write(&plain, &labels).unwrap();
    let fetched = folder.fetch(&home).0.unwrap();
    assert_eq!(fetched.files[0].outcome, FetchOutcome::KeptByContents);
    assert_eq!(fetched.files[0].path, plain);
    assert_eq!(server.ranges(), []);

    fs::write(&plain, &labels[..60_000]).unwrap();
    let fetched = folder.fetch(&home).0.unwrap();
    assert_eq!(fetched.files[0].outcome, FetchOutcome::Downloaded);
    assert_eq!(fetched.files[0].path, folder.target());
}

/// A .tar.gz of files.
fn archive(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut archive = tar::Builder::new(flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast()));
    for (name, bytes) in files {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        // Written by hand: the library would refuse a path that leads out.
        header.as_gnu_mut().unwrap().name[..name.len()].copy_from_slice(name.as_bytes());
        header.set_cksum();
        archive.append(&header, *bytes).unwrap();
    }
    archive.into_inner().unwrap().finish().unwrap()
}

#[test]
fn archives_are_unpacked_by_name_alone() {
    let record = |label: u8| [[0, label].as_slice(), &[label; 3072]].concat();
    let archive = archive(&[
        ("cifar-100-binary/fine_label_names.txt", b"apple\n"),
        ("../../test.bin", &record(3)),
        ("cifar-100-binary/train.bin", &record(4)),
        ("/tmp/metaqnn-evil", b"unwanted"),
    ]);
    let name = "cifar-100-binary.tar.gz";
    let server = Server::start(&[(name, &archive)], Manner::Well);
    let small = |file: &DataFile| DataFile { published: 1, contents: Contents::Cifar(Records::Cifar100), ..*file };
    let home = Home {
        address: server.address.clone(),
        downloads: vec![Download {
            name: name.to_owned(),
            md5: md5(&archive),
            files: files_of(DataSource::Cifar100).iter().map(small).collect(),
        }],
        attempts: 1,
        first_wait: Duration::ZERO,
    };
    let root = tempfile::tempdir().unwrap();
    let data_dir = root.path().join("deep").join("data");
    let fetch = || fetch_from(&home, DataSource::Cifar100, &data_dir, &mut |_| ()).unwrap();
    let outcomes = |fetched: Fetched| fetched.files.iter().map(|file| file.outcome).collect::<Vec<_>>();
    assert_eq!(outcomes(fetch()), [FetchOutcome::Downloaded; 2]);
    let mut names: Vec<_> =
        fs::read_dir(data_dir.join("cifar100")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["test.bin", "train.bin"]);
    assert_eq!(fs::read(data_dir.join("cifar100/test.bin")).unwrap(), record(3));
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1, "nothing is written outside the folder");
    assert!(!Path::new("/tmp/metaqnn-evil").exists());

    assert_eq!(outcomes(fetch()), [FetchOutcome::KeptByContents; 2]);
    assert_eq!(server.ranges().len(), 1);

    // A damaged file is unpacked anew, here from an archive put there by hand.
    fs::write(data_dir.join("cifar100/train.bin"), b"damaged").unwrap();
    fs::write(data_dir.join("cifar100").join(name), &archive).unwrap();
    assert_eq!(outcomes(fetch()), [FetchOutcome::Downloaded; 2]);
    assert_eq!(fs::read(data_dir.join("cifar100/train.bin")).unwrap(), record(4));
    assert_eq!(server.ranges().len(), 1);
}

#[test]
fn every_published_file_has_a_home_and_a_checksum() {
    for source in DataSource::ALL {
        let home = Home::of(source, &[Part::Train, Part::Test, Part::Extra]);
        let covered: usize = home.downloads.iter().map(|download| download.files.len()).sum();
        assert_eq!(covered, files_of(source).len(), "{source}");
        assert_eq!(home.address.ends_with('/'), source != DataSource::Digits);
        for download in home.downloads {
            assert_eq!(download.md5.len(), 32);
            assert!(download.is_archive() || download.files.len() == 1);
        }
    }
    assert_eq!(Home::of(DataSource::Svhn, &[Part::Train, Part::Test]).downloads.len(), 2);
}

#[test]
fn the_embedded_digits_need_no_fetching() {
    let root = tempfile::tempdir().unwrap();
    assert_eq!(fetch(&DataSource::Digits, root.path(), &mut |_| ()).unwrap().files, []);
    assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
}
