//! A file system that fails: SQLite's own layer below it, with calls that fail, and a power cut that loses and tears what was not synced.
//!
//! It is the layer of every connection of its process, so it is installed in processes that play a part alone (`child`).

use std::collections::HashMap;
use std::ffi::{CStr, OsStr, c_char, c_int, c_void};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicPtr, Ordering};
use std::sync::{Mutex, MutexGuard};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use rusqlite::ffi;

/// What a disk writes whole.
const SECTOR: usize = 512;

/// What happens at which call.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fault {
    /// Nothing.
    None,
    /// The call of that number fails, and only that one.
    Call(u64),
    /// At the call of that number the power is cut: of what was not synced, parts are lost, as a generator of this seed has it.
    PowerCut(u64, u64),
}

/// A change that is not known to be on the disk.
enum Change {
    Write(usize, Vec<u8>),
    Truncate(usize),
}

/// A file as it is on the disk for sure, and what may have come to it.
#[derive(Default)]
struct Image {
    synced: Vec<u8>,
    changes: Vec<Change>,
}

struct Disk {
    fault: Fault,
    calls: u64,
    images: HashMap<PathBuf, Image>,
    /// Files whose names may come back, since their folder was not synced.
    deleted: HashMap<PathBuf, Image>,
    /// The names of open files, by address.
    open: HashMap<usize, PathBuf>,
    /// The real layer's functions of open files, and ours for files that have those.
    methods: HashMap<usize, &'static ffi::sqlite3_io_methods>,
    faulty: HashMap<usize, &'static ffi::sqlite3_io_methods>,
}

static DISK: Mutex<Option<Disk>> = Mutex::new(None);
static LAYER: AtomicPtr<ffi::sqlite3_vfs> = AtomicPtr::new(std::ptr::null_mut());

fn disk() -> MutexGuard<'static, Option<Disk>> {
    DISK.lock().unwrap()
}

/// Puts the layer below every connection that is opened from now on.
pub(crate) fn install() {
    *disk() = Some(Disk {
        fault: Fault::None,
        calls: 0,
        images: HashMap::new(),
        deleted: HashMap::new(),
        open: HashMap::new(),
        methods: HashMap::new(),
        faulty: HashMap::new(),
    });
    // SAFETY: SQLite's default layer lives for ever; ours is a copy of it, which is leaked, with other functions for some of its calls.
    unsafe {
        let real = ffi::sqlite3_vfs_find(std::ptr::null());
        let faulty = ffi::sqlite3_vfs {
            zName: c"faulty".as_ptr(),
            pNext: std::ptr::null_mut(),
            xOpen: Some(open),
            xDelete: Some(delete),
            xAccess: Some(access),
            ..*real
        };
        LAYER.store(real, Ordering::SeqCst);
        assert_eq!(ffi::sqlite3_vfs_register(Box::leak(Box::new(faulty)), 1), ffi::SQLITE_OK);
    }
}

/// Counts calls anew, and has one of them meet a fault.
pub(crate) fn arm(fault: Fault) {
    let mut disk = disk();
    let disk = disk.as_mut().unwrap();
    (disk.fault, disk.calls) = (fault, 0);
}

/// Calls since the last [`arm`].
pub(crate) fn calls() -> u64 {
    disk().as_ref().unwrap().calls
}

impl Disk {
    /// Counts a call; true where it is to fail.
    fn meets_fault(&mut self) -> bool {
        self.calls += 1;
        match self.fault {
            Fault::Call(call) => self.calls == call,
            Fault::PowerCut(call, seed) if self.calls == call => self.cut_the_power(seed),
            Fault::PowerCut(..) | Fault::None => false,
        }
    }

    /// Leaves of each file what the disk may hold, and ends the process.
    fn cut_the_power(&mut self, seed: u64) -> ! {
        let mut generator = ChaCha8Rng::seed_from_u64(seed);
        for (path, image) in self.images.drain() {
            // One that was renamed since was on the disk by then.
            if path.exists() {
                std::fs::write(path, left(image, &mut generator)).unwrap();
            }
        }
        for (path, image) in self.deleted.drain() {
            if generator.next_u64().is_multiple_of(2) && !path.exists() {
                std::fs::write(path, left(image, &mut generator)).unwrap();
            }
        }
        std::process::exit(CUT);
    }
}

/// The exit status of a process whose power was cut.
pub(crate) const CUT: i32 = 77;

/// What is left of a file: each change is there, or lost, or, of a write, some of its sectors are.
fn left(image: Image, generator: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = image.synced;
    for change in image.changes {
        match (change, generator.next_u64() % 3) {
            (_, 0) => {}
            (Change::Write(offset, written), 1) => {
                for (number, sector) in written.chunks(SECTOR).enumerate() {
                    if generator.next_u64().is_multiple_of(2) {
                        apply(&mut bytes, &Change::Write(offset + number * SECTOR, sector.to_vec()));
                    }
                }
            }
            (change, _) => apply(&mut bytes, &change),
        }
    }
    bytes
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    match change {
        Change::Write(offset, written) => {
            let end = offset + written.len();
            bytes.resize(bytes.len().max(end), 0);
            bytes[*offset..end].copy_from_slice(written);
        }
        Change::Truncate(length) => bytes.resize(*length, 0),
    }
}

/// Whether a call fails; where not, `note` is told of the file.
fn fails(file: *mut ffi::sqlite3_file, note: impl FnOnce(&mut Image)) -> bool {
    let mut disk = disk();
    let disk = disk.as_mut().unwrap();
    if disk.meets_fault() {
        return true;
    }
    if let Some(path) = disk.open.get(&(file as usize)) {
        note(disk.images.entry(path.clone()).or_default());
    }
    false
}

/// The real layer's functions of an open file.
fn real(file: *mut ffi::sqlite3_file) -> &'static ffi::sqlite3_io_methods {
    disk().as_ref().unwrap().methods[&(file as usize)]
}

fn path_of(name: *const c_char) -> Option<PathBuf> {
    // SAFETY: SQLite gives names that end with a zero, or none.
    (!name.is_null()).then(|| unsafe { CStr::from_ptr(name) }).map(|name| OsStr::from_bytes(name.to_bytes()).into())
}

unsafe extern "C" fn open(
    _: *mut ffi::sqlite3_vfs,
    name: *const c_char,
    file: *mut ffi::sqlite3_file,
    flags: c_int,
    out: *mut c_int,
) -> c_int {
    if fails(std::ptr::null_mut(), |_| {}) {
        // SAFETY: SQLite gives memory for a file; without methods it is one that is not open.
        unsafe { (*file).pMethods = std::ptr::null() };
        return ffi::SQLITE_CANTOPEN;
    }
    let layer = LAYER.load(Ordering::SeqCst);
    // SAFETY: the arguments are those that SQLite gave, and the layer the one of which ours is a copy.
    let opened = unsafe { ((*layer).xOpen.unwrap())(layer, name, file, flags, out) };
    // SAFETY: the file was just opened, or has no methods.
    let methods = unsafe { (*file).pMethods };
    if opened != ffi::SQLITE_OK || methods.is_null() {
        return opened;
    }
    let mut disk = disk();
    let disk = disk.as_mut().unwrap();
    // SAFETY: the real layer's tables live for ever.
    let methods = unsafe { &*methods };
    disk.methods.insert(file as usize, methods);
    let faulty = disk.faulty.entry(std::ptr::from_ref(methods) as usize).or_insert_with(|| {
        Box::leak(Box::new(ffi::sqlite3_io_methods {
            // Without the calls for files in memory.
            iVersion: methods.iVersion.min(2),
            xClose: Some(close),
            xRead: Some(read),
            xWrite: Some(write),
            xTruncate: Some(truncate),
            xSync: Some(sync),
            xFileSize: Some(file_size),
            xLock: Some(lock),
            xShmMap: methods.xShmMap.and(Some(shm_map)),
            xShmLock: methods.xShmLock.and(Some(shm_lock)),
            ..*methods
        }))
    });
    // SAFETY: as above; the real functions are called by ours, with the same file.
    unsafe { (*file).pMethods = *faulty };
    if let Some(path) = path_of(name) {
        disk.deleted.remove(&path);
        let on_disk = || Image { synced: std::fs::read(&path).unwrap_or_default(), changes: Vec::new() };
        disk.images.entry(path.clone()).or_insert_with(on_disk);
        disk.open.insert(file as usize, path);
    }
    opened
}

unsafe extern "C" fn delete(_: *mut ffi::sqlite3_vfs, name: *const c_char, sync_folder: c_int) -> c_int {
    if fails(std::ptr::null_mut(), |_| {}) {
        return ffi::SQLITE_IOERR_DELETE;
    }
    let layer = LAYER.load(Ordering::SeqCst);
    // SAFETY: as in `open`.
    let deleted = unsafe { ((*layer).xDelete.unwrap())(layer, name, sync_folder) };
    if let Some(path) = path_of(name).filter(|_| deleted == ffi::SQLITE_OK) {
        let mut disk = disk();
        let disk = disk.as_mut().unwrap();
        if let Some(image) = disk.images.remove(&path).filter(|_| sync_folder == 0) {
            disk.deleted.insert(path, image);
        }
    }
    deleted
}

unsafe extern "C" fn access(_: *mut ffi::sqlite3_vfs, name: *const c_char, flags: c_int, found: *mut c_int) -> c_int {
    if fails(std::ptr::null_mut(), |_| {}) {
        return ffi::SQLITE_IOERR_ACCESS;
    }
    let layer = LAYER.load(Ordering::SeqCst);
    // SAFETY: as in `open`.
    unsafe { ((*layer).xAccess.unwrap())(layer, name, flags, found) }
}

unsafe extern "C" fn close(file: *mut ffi::sqlite3_file) -> c_int {
    let real = real(file);
    let mut disk = disk();
    let disk = disk.as_mut().unwrap();
    disk.open.remove(&(file as usize));
    disk.methods.remove(&(file as usize));
    // SAFETY: the arguments of this call and of those below are those that SQLite gave, for a file of the real layer.
    unsafe { (real.xClose.unwrap())(file) }
}

unsafe extern "C" fn read(file: *mut ffi::sqlite3_file, buffer: *mut c_void, amount: c_int, offset: i64) -> c_int {
    if fails(file, |_| {}) {
        return ffi::SQLITE_IOERR_READ;
    }
    // SAFETY: see `close`.
    unsafe { (real(file).xRead.unwrap())(file, buffer, amount, offset) }
}

unsafe extern "C" fn write(file: *mut ffi::sqlite3_file, buffer: *const c_void, amount: c_int, offset: i64) -> c_int {
    // SAFETY: SQLite gives a buffer of that many bytes.
    let written = unsafe { std::slice::from_raw_parts(buffer.cast::<u8>(), amount as usize) };
    if fails(file, |image| image.changes.push(Change::Write(offset as usize, written.to_vec()))) {
        return ffi::SQLITE_FULL;
    }
    // SAFETY: see `close`.
    unsafe { (real(file).xWrite.unwrap())(file, buffer, amount, offset) }
}

unsafe extern "C" fn truncate(file: *mut ffi::sqlite3_file, size: i64) -> c_int {
    if fails(file, |image| image.changes.push(Change::Truncate(size as usize))) {
        return ffi::SQLITE_IOERR_TRUNCATE;
    }
    // SAFETY: see `close`.
    unsafe { (real(file).xTruncate.unwrap())(file, size) }
}

unsafe extern "C" fn sync(file: *mut ffi::sqlite3_file, flags: c_int) -> c_int {
    let synced = |image: &mut Image| {
        let Image { synced, changes } = image;
        changes.drain(..).for_each(|change| apply(synced, &change));
    };
    // A cut comes before the sync, and a sync that fails has synced nothing.
    if fails(file, synced) {
        return ffi::SQLITE_IOERR_FSYNC;
    }
    // SAFETY: see `close`.
    unsafe { (real(file).xSync.unwrap())(file, flags) }
}

unsafe extern "C" fn file_size(file: *mut ffi::sqlite3_file, size: *mut i64) -> c_int {
    if fails(file, |_| {}) {
        return ffi::SQLITE_IOERR_FSTAT;
    }
    // SAFETY: see `close`.
    unsafe { (real(file).xFileSize.unwrap())(file, size) }
}

unsafe extern "C" fn lock(file: *mut ffi::sqlite3_file, level: c_int) -> c_int {
    if fails(file, |_| {}) {
        return ffi::SQLITE_IOERR_LOCK;
    }
    // SAFETY: see `close`.
    unsafe { (real(file).xLock.unwrap())(file, level) }
}

unsafe extern "C" fn shm_map(
    file: *mut ffi::sqlite3_file,
    region: c_int,
    size: c_int,
    extend: c_int,
    memory: *mut *mut c_void,
) -> c_int {
    if fails(file, |_| {}) {
        return ffi::SQLITE_IOERR_SHMMAP;
    }
    // SAFETY: see `close`.
    unsafe { (real(file).xShmMap.unwrap())(file, region, size, extend, memory) }
}

unsafe extern "C" fn shm_lock(file: *mut ffi::sqlite3_file, offset: c_int, count: c_int, flags: c_int) -> c_int {
    // Giving up a lock does not fail.
    if flags & ffi::SQLITE_SHM_UNLOCK == 0 && fails(file, |_| {}) {
        return ffi::SQLITE_IOERR_SHMLOCK;
    }
    // SAFETY: see `close`.
    unsafe { (real(file).xShmLock.unwrap())(file, offset, count, flags) }
}
