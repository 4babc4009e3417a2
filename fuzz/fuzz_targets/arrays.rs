//! Arrays of NumPy: the input is taken for an array of images, for one of labels, and for an archive.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use metaqnn_data::{Reading, load_own};
use metaqnn_fuzz::{demand_problems, lay, scratch};

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = scratch("arrays");
    lay(&root.join("images/y.npy"), include_bytes!("../seeds/arrays/labels.npy"));
    lay(&root.join("labels/x.npy"), include_bytes!("../seeds/arrays/images.npy"));
    root
});

fuzz_target!(|bytes: &[u8]| {
    let kinds = [("images/x.npy", "images"), ("labels/y.npy", "labels"), ("a.npz", "a.npz")];
    for (file, data) in kinds {
        // An archive and an array begin with different bytes: one look is enough where it is the other.
        lay(&ROOT.join(file), bytes);
        match load_own(&ROOT.join(data), None, &Reading::default(), 1) {
            Ok(loaded) => assert!(!loaded.data.train.is_empty()),
            Err(error) => demand_problems(&error),
        }
    }
});
