//! A model folder as it is read back: the input is the description, the weights and the reference batch, with [`BETWEEN`] between them.
//! Where the description is one, it gets the checksum of the weights, as a forger would give it.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use metaqnn_export::{accuracy, read};
use metaqnn_fuzz::{demand_words, lay, scratch};
use serde_json::Value;
use sha2::{Digest, Sha256};

const BETWEEN: &[u8] = b"====";

static FOLDER: LazyLock<PathBuf> = LazyLock::new(|| scratch("model"));

fuzz_target!(|bytes: &[u8]| {
    let (description, rest) = divided(bytes);
    let (weights, reference) = divided(rest);
    let mut description = description.to_vec();
    if let Ok(mut value) = serde_json::from_slice::<Value>(&description)
        && let Some(checksum) = value.get_mut("weights_sha256")
    {
        *checksum = Sha256::digest(weights).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into();
        description = value.to_string().into_bytes();
    }
    lay(&FOLDER.join("model.json"), &description);
    lay(&FOLDER.join("model.safetensors"), weights);
    lay(&FOLDER.join("reference.safetensors"), reference);
    match read(&FOLDER) {
        Ok((model, scored)) => {
            let share = accuracy(&scored.logits, &scored.labels, model.class_names().len());
            assert!((0.0..=1.0).contains(&share));
            let _ = (model.params(), model.flops(), model.measured().map(|measured| measured.interval()));
        }
        Err(error) => demand_words(&error),
    }
});

/// What stands before the first [`BETWEEN`], and what after it.
fn divided(bytes: &[u8]) -> (&[u8], &[u8]) {
    let place = bytes.windows(BETWEEN.len()).position(|window| window == BETWEEN);
    place.map_or((bytes, &[]), |place| (&bytes[..place], &bytes[place + BETWEEN.len()..]))
}
