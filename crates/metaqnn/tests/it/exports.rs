//! From a study to a model folder, and what is done with it.

use std::path::Path;

use serde_json::Value;

use crate::program::{FEW_STEPS, lines, metaqnn};

/// A study of two networks whose best was trained fully, all in seconds.
pub(crate) fn finished(study: &Path) -> Value {
    let arguments =
        ["search", "--json", "--models", "2", "--workers", "1", "--seed", "3", "--study", study.to_str().unwrap()];
    let small = [
        "training.train_images=300",
        "limits.mflops=2",
        "training.epochs=1",
        "training.min_steps=0",
        "final.training.epochs=2",
        "final.training.min_steps=0",
    ];
    let settings = small.iter().chain(&FEW_STEPS).flat_map(|setting| ["--set", setting]);
    lines(&metaqnn(&arguments.into_iter().chain(settings).collect::<Vec<_>>())).pop().unwrap()
}

fn error_of(arguments: &[&str]) -> String {
    let output = metaqnn(arguments);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}");
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(said.lines().count(), 1, "{said}");
    said
}

#[test]
fn what_is_exported_is_what_was_scored() {
    let parent = tempfile::tempdir().unwrap();
    let path = |name: &str| parent.path().join(name).to_str().unwrap().to_owned();
    let (study, folder) = (path("a.study"), path("model"));
    let result = finished(Path::new(&study));
    let test_accuracy = result["test_accuracy"].as_f64().unwrap();

    let exported = lines(&metaqnn(&["export", &study, "--out", &folder, "--json", "--python", "/no/python"])).remove(0);
    for check in exported["verification"].as_array().unwrap() {
        assert_eq!(check["accuracy_of_the_scored_model"].as_f64(), Some(test_accuracy), "{check}");
        assert_eq!(check["images"], 300);
        assert_eq!(check["max_difference"].is_null(), check["format"] == "pytorch");
    }
    let description: Value =
        serde_json::from_slice(&std::fs::read(Path::new(&folder).join("model.json")).unwrap()).unwrap();
    assert_eq!(description["measured"]["test_accuracy"].as_f64(), Some(test_accuracy));
    assert_eq!(description["networks"][0]["architecture"], result["best"]["architecture"]);

    let trial = format!("{study}:{}", result["best"]["trial"]);
    for model in [&folder, &study, &trial] {
        let value = lines(&metaqnn(&["evaluate", model, "digits", "--json"])).remove(0);
        assert_eq!(value["accuracy"].as_f64(), Some(test_accuracy));
        assert_eq!(value["images"], 300);
        let rows = value["confusion"].as_array().unwrap();
        assert!(rows.iter().all(|row| row.as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>() == 30));
    }

    let checked = lines(&metaqnn(&["check", &folder, "--python", "/no/python", "--json"])).remove(0);
    assert_eq!((&checked["ok"], checked["formats"].as_array().unwrap().len()), (&true.into(), 3));
    assert!(error_of(&["check", &study]).contains("--verify"));
    assert!(error_of(&["export", &folder, "--out", &format!("{folder}/again")]).contains("this lies in"));

    // The folder alone is enough to write it again; what is there is not replaced.
    lines(&metaqnn(&["export", &folder, "--format", "onnx", "--out", &path("again"), "--json"]));
    assert!(!Path::new(&path("again")).join("model.py").exists());
    assert!(error_of(&["export", &study, "--out", &folder]).contains("there is something already"));
    assert!(error_of(&["export", &format!("{study}:999"), "--out", &path("x")]).contains("has no trial 999"));
    assert!(error_of(&["export", "nowhere", "--out", &path("x")]).contains("no such model folder or study"));
    assert!(error_of(&["evaluate", parent.path().to_str().unwrap(), "digits"]).contains("no model folder"));
    assert_eq!(metaqnn(&["export", &study, "--format", "tflite", "--out", &path("x")]).status.code(), Some(2));
    assert!(!Path::new(&path("x")).exists());
}

#[test]
fn predict_answers_image_files_and_names_those_it_cannot_read() {
    let parent = tempfile::tempdir().unwrap();
    let path = |name: &str| parent.path().join(name).to_str().unwrap().to_owned();
    let (study, folder, images) = (path("a.study"), path("model"), path("images"));
    finished(Path::new(&study));
    lines(&metaqnn(&["export", &study, "--out", &folder, "--json", "--python", "/no/python"]));
    std::fs::create_dir(&images).unwrap();
    // A BMP of 8x8 pixels of 24 bits, all white.
    let mut bmp = b"BM\xf6\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x08\0\0\0\x08\0\0\0\x01\0\x18\0".to_vec();
    bmp.resize(54, 0);
    bmp.resize(54 + 8 * 8 * 3, 255);
    std::fs::write(Path::new(&images).join("white.bmp"), &bmp).unwrap();
    let answers = lines(&metaqnn(&["predict", &folder, &images, "--json"]));
    assert_eq!(answers.len(), 1);
    let probabilities = answers[0]["probabilities"].as_object().unwrap();
    assert_eq!(probabilities.len(), 10);
    assert!((probabilities.values().filter_map(Value::as_f64).sum::<f64>() - 1.0).abs() < 1e-5);
    let best = probabilities.iter().max_by(|a, b| a.1.as_f64().partial_cmp(&b.1.as_f64()).unwrap()).unwrap();
    assert_eq!(answers[0]["class"], **best.0);
    std::fs::write(Path::new(&images).join("broken.png"), b"\x89PNG\r\n\x1a\n").unwrap();
    let output = metaqnn(&["predict", &folder, &images, "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 1);
    assert!(String::from_utf8_lossy(&output.stderr).contains("broken.png"));
}
