//! An image file, PNG, JPEG, BMP, WebP or GIF as its first bytes say, decoded within the limits and made the shape of a model.
//!
//! The decoders are others' work; where one panics, `read_image` says that the file is damaged. So a panic alone is no finding here;
//! one that gets out, an abort, a hang and too much memory are.

#![no_main]

use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use metaqnn_data::{ImageShape, read_image};
use metaqnn_fuzz::{demand_problems, lay, scratch};

static FILE: LazyLock<PathBuf> = LazyLock::new(|| scratch("image").join("image"));

fuzz_target!(
    init: {
        // Otherwise libFuzzer ends the process at a panic that is caught. One that gets out is told with SAY_PANICS=1.
        let hook = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            if std::env::var_os("SAY_PANICS").is_some() {
                hook(panic);
            }
        }));
    },
    |bytes: &[u8]| {
        lay(&FILE, bytes);
        // Half of the inputs for a grey model, half for one of colour: decoding twice would only take twice the time.
        let channels = if bytes.len().is_multiple_of(2) { 1 } else { 3 };
        let shape = ImageShape { channels, height: 8, width: 9 };
        match read_image(&FILE, shape, 255) {
            Ok(image) => assert_eq!(image.len(), shape.pixels()),
            Err(error) => demand_problems(&error),
        }
    }
);
