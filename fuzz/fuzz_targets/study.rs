//! The file of a study, any bytes: every question is answered or refused.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use metaqnn_fuzz::{ask_everything, demand_words, lay, scratch};

static FILE: LazyLock<PathBuf> = LazyLock::new(|| scratch("study").join("a.study"));

fuzz_target!(|bytes: &[u8]| {
    lay(&FILE, bytes);
    if let Err(error) = ask_everything(&FILE) {
        demand_words(&error);
    }
});
