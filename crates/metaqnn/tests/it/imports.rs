//! The direction of imports, asserted from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// What each crate must not depend on; for core, that is every other crate of ours.
const FORBIDDEN: [(&str, &[&str]); 9] = [
    (
        "metaqnn-core",
        &[
            "metaqnn-data",
            "metaqnn-kernels",
            "metaqnn-train",
            "metaqnn-store",
            "metaqnn-exec",
            "metaqnn-export",
            "metaqnn-report",
            "metaqnn-run",
            "metaqnn",
            "clap",
            "tokio",
            "rusqlite",
            "axum",
            "burn",
        ],
    ),
    ("metaqnn-data", &["burn", "metaqnn-store", "metaqnn-exec", "metaqnn-train", "metaqnn"]),
    (
        "metaqnn-kernels",
        &["metaqnn-core", "metaqnn-data", "metaqnn-train", "metaqnn-store", "metaqnn-exec", "metaqnn", "burn"],
    ),
    ("metaqnn-train", &["metaqnn-store", "metaqnn-exec", "metaqnn-report", "metaqnn"]),
    ("metaqnn-store", &["metaqnn-train", "metaqnn-exec", "metaqnn-report", "metaqnn", "burn"]),
    ("metaqnn-export", &["metaqnn-train", "metaqnn-store", "metaqnn-data", "metaqnn-exec", "metaqnn", "burn"]),
    ("metaqnn-report", &["metaqnn-train", "metaqnn-exec", "metaqnn-kernels", "metaqnn", "burn", "rusqlite"]),
    ("metaqnn-exec", &["metaqnn-train", "metaqnn-store", "metaqnn-run", "metaqnn", "burn", "rusqlite"]),
    (
        "metaqnn-run",
        &[
            "metaqnn-data",
            "metaqnn-kernels",
            "metaqnn-train",
            "metaqnn-store",
            "metaqnn-exec",
            "metaqnn-export",
            "metaqnn-report",
            "metaqnn",
            "clap",
            "burn",
            "axum",
            "indicatif",
            "console",
            "rusqlite",
        ],
    ),
];

fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(env!("CARGO_MANIFEST_DIR"))
        .output()
        .unwrap();
    let metadata: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    packages
        .iter()
        .map(|package| {
            let normal = package["dependencies"].as_array().unwrap().iter().filter(|d| d["kind"].is_null());
            let names = normal.map(|d| d["name"].as_str().unwrap().to_string()).collect();
            (package["name"].as_str().unwrap().to_string(), names)
        })
        .collect()
}

#[test]
fn no_crate_imports_against_the_direction() {
    let dependencies = dependencies();
    for (krate, forbidden) in FORBIDDEN {
        let direct = &dependencies[krate];
        for name in forbidden {
            assert!(!direct.contains(*name), "{krate} must not depend on {name}");
        }
    }
    assert!(dependencies["metaqnn"].contains("metaqnn-train"), "the test reads real dependencies");
}

/// What there is to show goes to an observer.
#[test]
fn the_coordinator_prints_nothing() {
    let sources = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../metaqnn-run/src");
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["print!(", "println!(", "dbg!(", "stdout()", "stderr()"] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}
