//! What the bad inputs are made of: small sound data, a study of them and its model, each made once and copied.

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use tempfile::TempDir;

use crate::own_data::{metaqnn_in, write_table};
use crate::program::{FEW_STEPS, lines};

/// Writes a file, and the folders above it.
pub(super) fn write(path: PathBuf, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// A PNG file that says it is grey and of this size; `rows` are its pixels, each row with a 0 before it.
pub(super) fn png(width: u32, height: u32, rows: &[u8]) -> Vec<u8> {
    let chunk = |kind: &[u8; 4], data: &[u8]| {
        let body = [kind.as_slice(), data].concat();
        let mut crc = flate2::Crc::new();
        crc.update(&body);
        [(data.len() as u32).to_be_bytes().as_slice(), &body, &crc.sum().to_be_bytes()].concat()
    };
    let header = [width.to_be_bytes().as_slice(), &height.to_be_bytes(), &[8, 0, 0, 0, 0]].concat();
    let mut packed = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    packed.write_all(rows).unwrap();
    let packed = packed.finish().unwrap();
    [b"\x89PNG\r\n\x1a\n".as_slice(), &chunk(b"IHDR", &header), &chunk(b"IDAT", &packed), &chunk(b"IEND", &[])].concat()
}

/// A grey PNG of 8×8 that no other number gives.
pub(super) fn picture(number: u8) -> Vec<u8> {
    let rows: Vec<u8> = (0..8).flat_map(|row| [vec![0], vec![number; 4], vec![row * 9; 4]].concat()).collect();
    png(8, 8, &rows)
}

/// `pets` with six cats and six dogs.
pub(super) fn pets(root: &Path) {
    for number in 0..12 {
        let class = ["cat", "dog"][usize::from(number % 2)];
        write(root.join(format!("pets/{class}/{number}.png")), picture(20 * number));
    }
}

/// `pets` and in it `cat/x.png`.
pub(super) fn pets_with(root: &Path, bytes: impl AsRef<[u8]>) {
    pets(root);
    write(root.join("pets/cat/x.png"), bytes);
}

/// An `.npy` file.
pub(super) fn npy(kind: &str, shape: &str, data: impl AsRef<[u8]>) -> Vec<u8> {
    let header = format!("{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}\n");
    [b"\x93NUMPY\x01\x00".as_slice(), &(header.len() as u16).to_le_bytes(), header.as_bytes(), data.as_ref()].concat()
}

/// `arrays` with twelve images of 4×4, or what else is given for them, and as many labels of two classes.
pub(super) fn arrays(root: &Path, images: Option<Vec<u8>>, labels: Option<Vec<u8>>) {
    let whole = || npy("|u1", "(12, 4, 4)", (0..192).collect::<Vec<u8>>());
    write(root.join("arrays/x.npy"), images.unwrap_or_else(whole));
    write(root.join("arrays/y.npy"), labels.unwrap_or_else(|| npy("|u1", "(12,)", [0, 1].repeat(6))));
}

/// `shades.csv`, a study `shades.study` of it with two networks, of which one was trained fully, and its `model`.
static FINISHED: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    write_table(&folder.path().join("shades.csv"), 80);
    let small = [
        // Networks that end in SM, in place of which something else can be written.
        "search.first_networks=[]",
        "space.follows.C=[\"C\", \"P\", \"FC\"]",
        "space.follows.P=[\"C\", \"FC\", \"SM\"]",
        "limits.mflops=2",
        "training.epochs=1",
        "training.min_steps=0",
        "final.training.epochs=1",
        "final.training.min_steps=0",
    ];
    let settings = small.iter().chain(&FEW_STEPS).flat_map(|setting| ["--set", setting]);
    let search =
        ["search", "shades.csv", "--models", "2", "--workers", "1", "--seed", "3", "--study", "shades.study", "--json"];
    lines(&metaqnn_in(folder.path(), &search.into_iter().chain(settings).collect::<Vec<_>>()));
    let export = ["export", "shades.study", "--out", "model", "--python", "/no/python", "--json"];
    lines(&metaqnn_in(folder.path(), &export));
    // A study keeps where its data were; there they are no longer.
    fs::rename(folder.path().join("shades.csv"), folder.path().join("kept.csv")).unwrap();
    folder
});

/// Where the study was begun.
pub(super) fn first_folder() -> &'static Path {
    FINISHED.path()
}

/// The table of shades.
pub(super) fn shades(root: &Path) {
    fs::copy(FINISHED.path().join("kept.csv"), root.join("shades.csv")).unwrap();
}

pub(super) fn study(root: &Path) {
    fs::copy(FINISHED.path().join("shades.study"), root.join("shades.study")).unwrap();
}

/// The study with its content changed by SQL, against the triggers that guard it.
pub(super) fn changed_study(root: &Path, sql: &str) {
    study(root);
    let connection = rusqlite::Connection::open(root.join("shades.study")).unwrap();
    connection.execute_batch(sql).unwrap();
}

pub(super) fn model(root: &Path) {
    for entry in fs::read_dir(FINISHED.path().join("model")).unwrap() {
        let path = entry.unwrap().path();
        write(root.join("model").join(path.file_name().unwrap()), fs::read(&path).unwrap());
    }
}

/// The file of that name in `model`, changed.
pub(super) fn changed_model(root: &Path, name: &str, change: impl FnOnce(&mut Vec<u8>)) {
    model(root);
    let path = root.join("model").join(name);
    let mut bytes = fs::read(&path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
}

/// The description in `model` with `from` replaced.
pub(super) fn described(root: &Path, from: &str, to: &str) {
    changed_model(root, "model.json", |bytes| {
        let text = String::from_utf8(std::mem::take(bytes)).unwrap();
        assert!(text.contains(from), "{text}");
        *bytes = text.replace(from, to).into_bytes();
    });
}
