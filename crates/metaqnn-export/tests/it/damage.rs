//! Folders that were changed, and exports that fail: one line each, and nothing half-written.

use std::fs;
use std::path::{Path, PathBuf};

use metaqnn_export::{
    Engine, Export, ExportError, Format, Model, ScoredImages, TrainedNetwork, Verification, check_folder, read,
};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::plain_loops;
use crate::samples::{INPUT, NETWORKS, network, scored, simple};

fn export(model: &Model, folder: &Path, engine: &mut Engine<'_>) -> Result<Vec<Verification>, ExportError> {
    let scored = scored(model, 6, &mut ChaCha8Rng::seed_from_u64(2));
    let python = Path::new("/no/such/python");
    Export { model, formats: &[Format::Onnx], scored: &scored, engine, python }.write(folder)
}

fn written() -> (tempfile::TempDir, PathBuf) {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    export(&simple(), &folder, &mut |model, pixels| Ok(plain_loops::logits(model, pixels))).unwrap();
    (parent, folder)
}

fn edit_description(folder: &Path, from: &str, to: &str) {
    let path = folder.join("model.json");
    let text = fs::read_to_string(&path).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(path, text.replace(from, to)).unwrap();
}

fn cut(path: PathBuf, keep: usize) {
    let bytes = fs::read(&path).unwrap();
    fs::write(path, &bytes[..keep.min(bytes.len() - 1)]).unwrap();
}

#[test]
fn a_folder_is_checked_again_and_every_format_speaks_for_itself() {
    let python = Path::new("/no/such/python");
    let check = |folder: &Path| {
        let checked =
            check_folder(folder, &mut |model, pixels| Ok(plain_loops::logits(model, pixels)), python).unwrap();
        checked
            .formats
            .into_iter()
            .map(|(format, result)| (format, result.map_err(|error| error.to_string())))
            .collect::<Vec<_>>()
    };
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    let scored = scored(&simple(), 6, &mut ChaCha8Rng::seed_from_u64(2));
    let engine: &mut Engine<'_> = &mut |model, pixels| Ok(plain_loops::logits(model, pixels));
    Export { model: &simple(), formats: &Format::ALL, scored: &scored, engine, python }.write(&folder).unwrap();
    let formats = check(&folder);
    assert_eq!(formats.iter().map(|(format, _)| *format).collect::<Vec<_>>(), Format::ALL);
    for (format, result) in &formats {
        let check = result.as_ref().unwrap();
        assert_eq!(check.max_difference.is_some(), *format != Format::Pytorch, "{check:?}");
    }
    // A module of somebody else's is not run.
    fs::write(folder.join("model.py"), "import shutil").unwrap();
    let note = check(&folder).pop().unwrap().1.unwrap().note.unwrap();
    assert!(note.contains("not what this version"), "{note}");
    cut(folder.join("model.onnx"), 500);
    let formats = check(&folder);
    assert!(formats[0].1.as_ref().unwrap_err().contains("onnx: what was written does not run"), "{formats:?}");
    assert!(formats[1].1.is_ok(), "{formats:?}");
    // The reference batch of another model.
    let error = check_folder(&folder, &mut |_, pixels| Ok(vec![vec![9.0; pixels.len() / 540 * 4]]), python).unwrap();
    assert!(matches!(error.formats[1].1, Err(ExportError::Difference { .. })));
}

#[cfg(unix)]
#[test]
fn what_is_no_file_of_that_size_is_not_read() {
    type Replace = fn(&Path);
    let endless: [(Replace, &str); 3] = [
        (|path| std::os::unix::fs::symlink("/dev/zero", path).unwrap(), "found something else"),
        (
            |path| assert!(std::process::Command::new("mkfifo").arg(path).status().unwrap().success()),
            "found something else",
        ),
        (|path| fs::File::create(path).unwrap().set_len(1 << 40).unwrap(), "expected at most"),
    ];
    for (replace, expected) in endless {
        for file in ["model.safetensors", "reference.safetensors", "model.json"] {
            let (_parent, folder) = written();
            fs::remove_file(folder.join(file)).unwrap();
            replace(&folder.join(file));
            let error = read(&folder).unwrap_err().to_string();
            assert!(error.contains(expected), "{file}: {error}");
        }
    }
}

#[test]
fn made_images_compare_without_an_accuracy() {
    let model = simple();
    let scored = ScoredImages::made(&model, 5, &mut |model, pixels| Ok(plain_loops::logits(model, pixels))).unwrap();
    assert_eq!((scored.len(), scored.accuracy(&model)), (5, None));
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    let engine: &mut Engine<'_> = &mut |model, pixels| Ok(plain_loops::logits(model, pixels));
    let python = Path::new("/no/such/python");
    let checks =
        Export { model: &model, formats: &[Format::Onnx], scored: &scored, engine, python }.write(&folder).unwrap();
    for check in &checks {
        assert!(check.max_difference.is_some() && check.accuracy.is_none(), "{check:?}");
        assert_eq!(check.accuracy_of_the_scored_model, None);
    }
    assert!(fs::read_to_string(folder.join("README.md")).unwrap().contains("There is no accuracy here"));
    assert_eq!(read(&folder).unwrap().1, scored);
}

#[test]
fn every_damage_is_named_in_one_line() {
    type Damage = fn(&Path);
    let damages: [(Damage, &str); 15] = [
        (|folder| fs::remove_file(folder.join("model.json")).unwrap(), "it has no model.json"),
        (|folder| fs::remove_file(folder.join("model.safetensors")).unwrap(), "cannot read it"),
        (|folder| cut(folder.join("model.safetensors"), usize::MAX), "it was cut off"),
        (|folder| cut(folder.join("model.safetensors"), 100), "it was cut off within its header"),
        (|folder| cut(folder.join("model.safetensors"), 3), "it was cut off within its header"),
        (|folder| cut(folder.join("model.json"), 200), "EOF while parsing"),
        (|folder| cut(folder.join("reference.safetensors"), 2000), "it was cut off"),
        (|folder| fs::write(folder.join("model.json"), "{}").unwrap(), "it does not describe a model"),
        (|folder| edit_description(folder, "\"metaqnn_model\": 1", "\"metaqnn_model\": 2"), "update metaqnn"),
        (|folder| edit_description(folder, "\"standardize\"", "\"whiten\""), "\"whiten\" is not known"),
        (
            |folder| edit_description(folder, "\"batch_norm\": true", "\"batch_norm\": false"),
            "there is no tensor conv1.bias",
        ),
        (|folder| edit_description(folder, "\"cat\",", ""), "a network with 4 classes, 3 names of classes"),
        (|folder| edit_description(folder, "FC(16)", "FC(17)"), "tensor fc1.weight"),
        (|folder| edit_description(folder, "C(8,3,1)", "C(8,4,1)"), "must be odd"),
        (
            |folder| {
                let path = folder.join("model.safetensors");
                let mut bytes = fs::read(&path).unwrap();
                let last = bytes.len() - 1;
                bytes[last] ^= 1;
                fs::write(path, bytes).unwrap();
            },
            "it was changed",
        ),
    ];
    for (damage, expected) in damages {
        let (_parent, folder) = written();
        damage(&folder);
        let error = read(&folder).unwrap_err().to_string();
        assert!(error.contains(expected), "{error} does not say {expected:?}");
        assert_eq!(error.lines().count(), 1, "{error}");
        assert!(error.contains("model"), "{error} names no file");
    }
}

#[test]
fn weights_of_another_network_are_refused() {
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    let weights = network(NETWORKS[1], false, INPUT, &mut rng).weights().clone();
    let error = TrainedNetwork::new(NETWORKS[2].parse().unwrap(), false, INPUT, weights, None).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the weights are not those of [P(2,2), C(5,3,2), SM(4)]: tensor conv1.weight has shape [6, 3, 1, 1], expected [5, 3, 3, 3]"
    );
    let right = network(NETWORKS[1], true, INPUT, &mut rng);
    for (name, value, expected) in
        [("conv1.weight", f32::NAN, "holds NaN"), ("norm1.running_var", -1.0, "holds a variance of -1")]
    {
        let mut weights = right.weights().clone();
        let mut tensor = weights.get(name).unwrap().clone();
        tensor.values[1] = value;
        weights.insert(name, tensor);
        let error = TrainedNetwork::new(NETWORKS[1].parse().unwrap(), true, INPUT, weights, None).unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[test]
fn an_engine_that_answers_otherwise_fails_the_export_and_leaves_nothing() {
    let parent = tempfile::tempdir().unwrap();
    let folder = parent.path().join("model");
    let model = simple();
    for wrong in [1e-3_f32, f32::NAN] {
        let error = export(&model, &folder, &mut |model, pixels| {
            let mut logits = plain_loops::logits(model, pixels);
            logits[0][5] += wrong;
            Ok(logits)
        })
        .unwrap_err();
        assert!(matches!(error, ExportError::Difference { format: "safetensors", .. }), "{error}");
    }
    let error = export(&model, &folder, &mut |_, _| Err("out of order".into())).unwrap_err();
    assert!(error.to_string().contains("out of order"), "{error}");
    assert_eq!(fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn what_is_there_is_not_replaced() {
    let (_parent, folder) = written();
    let before = fs::read(folder.join("model.json")).unwrap();
    let error = export(&simple(), &folder, &mut |model, pixels| Ok(plain_loops::logits(model, pixels))).unwrap_err();
    assert!(matches!(error, ExportError::Exists { .. }), "{error}");
    assert_eq!(fs::read(folder.join("model.json")).unwrap(), before);
    let empty = folder.with_file_name("empty");
    fs::create_dir(&empty).unwrap();
    export(&simple(), &empty, &mut |model, pixels| Ok(plain_loops::logits(model, pixels))).unwrap();
}
#[test]
fn a_folder_that_cannot_be_written_is_named() {
    let parent = tempfile::tempdir().unwrap();
    let file = parent.path().join("file");
    fs::write(&file, "").unwrap();
    let error = export(&simple(), &file.join("model"), &mut |_, _| Ok(vec![])).unwrap_err();
    assert!(error.to_string().contains("cannot"), "{error}");
    assert_eq!(error.to_string().lines().count(), 1);
}
