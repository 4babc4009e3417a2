//! A table of pixels or of paths; the image that the paths of the seeds name is there.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use metaqnn_data::{Reading, load_own};
use metaqnn_fuzz::{demand_problems, lay, scratch};

static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let root = scratch("table");
    for (name, bytes) in [
        ("a.png", include_bytes!("../seeds/image/grey.png").as_slice()),
        ("b.png", include_bytes!("../seeds/image/colour.png")),
        ("c.gif", include_bytes!("../seeds/image/colour.gif")),
    ] {
        lay(&root.join(name), bytes);
    }
    root
});

fuzz_target!(|bytes: &[u8]| {
    let table = ROOT.join("t.csv");
    lay(&table, bytes);
    match load_own(&table, None, &Reading::default(), 1) {
        Ok(loaded) => assert!(!loaded.data.train.is_empty()),
        Err(error) => demand_problems(&error),
    }
});
