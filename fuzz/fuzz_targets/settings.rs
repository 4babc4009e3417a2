//! A settings file, as `--config` takes it: laid over a preset and checked, or refused.

#![no_main]

use libfuzzer_sys::fuzz_target;
use metaqnn_core::settings::{self, Preset, Settings};
use metaqnn_fuzz::demand_words;

fuzz_target!(|text: &str| {
    let overlay = match settings::parse(text) {
        Ok(overlay) => overlay,
        Err(error) => return demand_words(&error),
    };
    for preset in [Preset::Quick, Preset::Paper] {
        let mut document = preset.document("cifar10").expect("presets are whole");
        match settings::merge(&mut document, &overlay) {
            Ok(()) => check(&document.to_string()),
            Err(error) => demand_words(&error),
        }
        // And each line as `--set` takes it.
        for assignment in text.lines().take(4) {
            match settings::set(&mut document, assignment) {
                Ok(()) => check(&document.to_string()),
                Err(error) => demand_words(&error),
            }
        }
    }
});

fn check(text: &str) {
    match Settings::from_toml(text) {
        Ok(settings) => {
            let _ = settings.budget_limits_networks();
        }
        Err(error) => demand_words(&error),
    }
}
