//! Files that are damaged at random: whatever is in them, reading ends with data or with an error.

use std::path::Path;
use std::sync::LazyLock;

use image::ImageFormat;
use metaqnn_data::{DataError, Reading, load_own};
use proptest::prelude::*;

use crate::made::{cats_and_dogs, colour, encoded, npy, npz, pixel_table, twelve, twelve_labels, write};

/// A change to a file.
#[derive(Debug, Clone)]
enum Change {
    /// Bits of the byte at a place, a share of the length, are turned over.
    Flip(f64, u8),
    /// A byte is replaced by one that formats give a meaning to.
    Set(f64, u8),
    /// The rest is cut off.
    Cut(f64),
    /// The bytes from a place on come twice.
    Repeat(f64),
}

fn changes() -> impl Strategy<Value = Vec<Change>> {
    // Most of what a format means is said in its first bytes.
    let place = || prop_oneof![0.0..1.0, 0.0..0.1];
    let change = prop_oneof![
        4 => (place(), 1_u8..).prop_map(|(place, bits)| Change::Flip(place, bits)),
        4 => (place(), prop::sample::select(vec![0, 1, 0x7f, 0x80, 0xff, b',', b'\n', b'"', b'(', b'9']))
            .prop_map(|(place, byte)| Change::Set(place, byte)),
        1 => place().prop_map(Change::Cut),
        1 => place().prop_map(Change::Repeat),
    ];
    prop::collection::vec(change, 1..6)
}

fn damaged(file: &[u8], changes: &[Change]) -> Vec<u8> {
    let mut bytes = file.to_vec();
    for change in changes {
        let at = |share: f64| (share * bytes.len() as f64) as usize;
        match *change {
            _ if bytes.is_empty() => {}
            Change::Flip(place, bits) => {
                let at = at(place);
                bytes[at] ^= bits;
            }
            Change::Set(place, byte) => {
                let at = at(place);
                bytes[at] = byte;
            }
            Change::Cut(place) => bytes.truncate(at(place)),
            Change::Repeat(place) => bytes.extend_from_within(at(place)..),
        }
    }
    bytes
}

/// A small whole file of each kind: its name in the data, and its bytes.
static FILES: LazyLock<Vec<(&str, Vec<u8>)>> = LazyLock::new(|| {
    let image = |format| encoded(colour(5), format);
    let arrays = [("x", npy("|u1", "(12, 8, 8)", twelve())), ("y", npy("|u1", "(12,)", twelve_labels()))];
    vec![
        ("cat/x.png", image(ImageFormat::Png)),
        ("cat/x.jpg", image(ImageFormat::Jpeg)),
        ("cat/x.bmp", image(ImageFormat::Bmp)),
        ("cat/x.webp", image(ImageFormat::WebP)),
        ("cat/x.gif", image(ImageFormat::Gif)),
        ("t.csv", pixel_table().into_bytes()),
        ("a.npz", npz(&arrays)),
        ("arrays/x.npy", arrays[0].1.clone()),
    ]
});

/// Reads the data with the damaged file in them; what is wrong with it is said in lines that name it.
fn read(root: &Path, name: &str, bytes: &[u8]) {
    let file = write(&root.join(name), bytes);
    let data = if name.starts_with("cat/") { root } else { &file };
    match load_own(data, None, &Reading::default(), 1) {
        Ok(loaded) => assert!(!loaded.data.train.is_empty()),
        Err(DataError::Unusable { problems, .. }) => {
            assert!(!problems.is_empty(), "{name}: nothing is said");
            for problem in problems {
                assert!(!problem.reason.contains('\n') && !problem.reason.is_empty(), "{problem}");
                assert!(problem.path.starts_with(root), "{problem}");
            }
        }
        Err(error) => panic!("{name}: {error}"),
    }
}

/// A minute's worth of cases; as many as `PROPTEST_CASES` says where it is set.
fn config() -> ProptestConfig {
    let default = ProptestConfig::default();
    let cases = if std::env::var_os("PROPTEST_CASES").is_some() { default.cases } else { 60 };
    ProptestConfig { cases, failure_persistence: None, ..default }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn damaged_files_are_refused_or_read(changes in changes()) {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in FILES.iter() {
            let root = folder.path().join(name.replace(['/', '.'], "-"));
            if name.starts_with("cat/") {
                cats_and_dogs(&root, 0);
            } else {
                write(&root.join("arrays/y.npy"), npy("|u1", "(12,)", twelve_labels()));
            }
            read(&root, name, &damaged(bytes, &changes));
        }
    }
}
