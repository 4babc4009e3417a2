//! The direction of imports, asserted from `cargo metadata`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
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
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("../metaqnn-run/src");
    for entry in std::fs::read_dir(sources).unwrap() {
        let path = entry.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        for word in ["print!(", "println!(", "dbg!(", "stdout()", "stderr()"] {
            assert!(!text.contains(word), "{}: {word}", path.display());
        }
    }
}

/// The folders of the binary, and what each may import of the others: there are no circles between them.
const FOLDERS: [(&str, &[&str]); 4] =
    [("show", &[]), ("setup", &["show"]), ("models", &["setup", "show"]), ("command", &["models", "setup", "show"])];

/// Every Rust file in `folder` and below.
fn sources(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { sources(&path) } else { vec![path] }).collect()
}

#[test]
fn no_folder_of_the_binary_imports_against_the_direction() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut imports = 0;
    for (folder, allowed) in FOLDERS {
        for path in sources(&root.join(folder)) {
            let text = std::fs::read_to_string(&path).unwrap();
            // What the macros of `show` expand to is not an import.
            let text = text.replace("$crate::", "");
            for (place, _) in text.match_indices("crate::") {
                let name: String =
                    text[place + "crate::".len()..].chars().take_while(|c| c.is_alphanumeric()).collect();
                assert!(name == folder || allowed.contains(&name.as_str()), "{}: crate::{name}", path.display());
                imports += 1;
            }
        }
    }
    assert!(imports > 50, "the test reads real imports");
    let mut found: Vec<String> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "main.rs")
        .collect();
    found.sort();
    let mut known = FOLDERS.map(|(folder, _)| folder);
    known.sort_unstable();
    assert_eq!(found, known, "every file of the binary lies in one of its folders");
}
