//! Each format answers as plain loops do.

use std::path::Path;

use metaqnn_export::{Export, Format, Logits, Model, OnnxRuntime, encode_onnx, probabilities, pytorch_source, read};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::branching;
use crate::plain_loops;
use crate::samples::{INPUT, NETWORKS, branching as branching_network, model, network, normalizations, scored, simple};

fn assert_close(found: &[f32], expected: &[f32], what: &str) {
    assert_eq!(found.len(), expected.len(), "{what}");
    let largest = expected.iter().fold(1.0_f32, |most, value| most.max(value.abs()));
    for (a, b) in found.iter().zip(expected) {
        assert!((a - b).abs() <= 2e-5 * largest, "{what}: {a} instead of {b}");
    }
}

#[test]
fn onnx_has_every_layer_and_every_normalization() {
    let mut rng = ChaCha8Rng::seed_from_u64(3);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    for text in NETWORKS {
        for batch_norm in [false, true] {
            for normalization in normalizations(INPUT, &mut rng) {
                let what = format!("{text}, batch normalization {batch_norm}, {normalization:?}");
                let model = model(vec![network(text, batch_norm, INPUT, &mut rng)], normalization, 255);
                // More than a batch, and a rest.
                let scored = scored(&model, 103, &mut rng);
                std::fs::write(&file, encode_onnx(&model).unwrap()).unwrap();
                let answers = OnnxRuntime::load(&file, &model).unwrap().answers(&scored.pixels).unwrap();
                assert_close(&answers.logits[0], &scored.logits[0], &what);
                assert_close(&answers.probabilities, &probabilities(&scored.logits, 4), &what);
            }
        }
    }
}

#[test]
fn onnx_of_graphs_that_branch_answers_as_plain_loops() {
    let mut rng = ChaCha8Rng::seed_from_u64(8);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    for (name, graph) in branching::graphs() {
        let [normalization, ..] = normalizations(branching::INPUT, &mut rng);
        let model = model(vec![branching_network(graph, &mut rng)], normalization, 255);
        let scored = scored(&model, 5, &mut rng);
        std::fs::write(&file, encode_onnx(&model).unwrap()).unwrap();
        let answers = OnnxRuntime::load(&file, &model).unwrap().answers(&scored.pixels).unwrap();
        assert_close(&answers.logits[0], &scored.logits[0], name);
    }
}

#[test]
fn python_code_keeps_what_is_read_later() {
    let mut rng = ChaCha8Rng::seed_from_u64(9);
    let mut source = |name: &str| {
        let (_, graph) = branching::graphs().into_iter().find(|(of, _)| *of == name).unwrap();
        let [normalization, ..] = normalizations(branching::INPUT, &mut rng);
        pytorch_source(&model(vec![branching_network(graph, &mut rng)], normalization, 255))
    };
    let block = "    def forward(self, x):
        x = self.conv1(x)
        other2 = functional.relu(x)
        x = self.conv3(other2)
        x = x + other2
        x = functional.relu(x)
        x = self.conv6(x)
        x = x.mean(dim=(2, 3))
        return x
";
    let code = source("a residual block");
    assert!(code.contains(block), "{code}");
    let code = source("images that two convolutions and a sum read");
    for line in [
        "images = x\n",
        "conv1 = self.conv1(images)\n",
        "x = self.conv2(images)\n",
        "x = conv1 + x\n",
        "x = x + images\n",
    ] {
        assert!(code.contains(&format!("        {line}")), "{line} is not in\n{code}");
    }
}

#[test]
fn onnx_of_an_ensemble_has_the_mean_of_probabilities() {
    let mut rng = ChaCha8Rng::seed_from_u64(4);
    let networks = vec![network(NETWORKS[0], true, INPUT, &mut rng), network(NETWORKS[1], false, INPUT, &mut rng)];
    let [_, _, global, _] = normalizations(INPUT, &mut rng);
    let model = model(networks, global, 16);
    let scored = scored(&model, 5, &mut rng);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("model.onnx");
    std::fs::write(&file, encode_onnx(&model).unwrap()).unwrap();
    let answers = OnnxRuntime::load(&file, &model).unwrap().answers(&scored.pixels).unwrap();
    for (found, expected) in answers.logits.iter().zip(&scored.logits) {
        assert_close(found, expected, "logits");
    }
    assert_close(&answers.probabilities, &probabilities(&scored.logits, 4), "probabilities");
}

/// An engine of plain loops.
fn plain(model: &Model, pixels: &[u8]) -> Result<Logits, String> {
    Ok(plain_loops::logits(model, pixels))
}

#[test]
fn a_folder_comes_back_as_it_was() {
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let parent = tempfile::tempdir().unwrap();
    for (index, normalization) in normalizations(INPUT, &mut rng).into_iter().enumerate() {
        let networks = NETWORKS[..=index].iter().map(|text| network(text, index % 2 == 0, INPUT, &mut rng)).collect();
        let model = model(networks, normalization, 200);
        let scored = scored(&model, 40, &mut rng);
        let folder = parent.path().join(format!("nested/model {index}"));
        let export = Export {
            model: &model,
            formats: &Format::ALL,
            scored: &scored,
            engine: &mut plain,
            python: Path::new("/no/such/python"),
        };
        let verifications = export.write(&folder).unwrap();
        let formats: Vec<_> =
            verifications.iter().map(|check| (check.format, check.max_difference.is_some())).collect();
        assert_eq!(formats, [("onnx", true), ("safetensors", true), ("pytorch", false)]);
        let (again, reference) = read(&folder).unwrap();
        assert_eq!(again, model);
        assert_eq!(reference, scored.part(32));
        let text = std::fs::read_to_string(folder.join("verification.json")).unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(value["images"], 40);
        assert_eq!(value["format"], "onnx");
        assert!(value["max_difference"].as_f64().unwrap() < 1e-4);
        assert_eq!(value["accuracy"], value["accuracy_of_the_scored_model"]);
        let card = std::fs::read_to_string(folder.join("README.md")).unwrap();
        assert!(card.contains("25.00 %") && card.contains("dog \"Rex\", größer"), "{card}");
    }
    // Nothing but the folders is left.
    assert_eq!(std::fs::read_dir(parent.path().join("nested")).unwrap().count(), 4);
}

#[test]
fn python_code_names_every_layer() {
    let source = pytorch_source(&simple());
    assert!(!source.contains("{{"), "{source}");
    for line in [
        "self.conv2 = nn.Conv2d(8, 12, 5, stride=2, padding=2, bias=False)",
        "self.norm2 = nn.BatchNorm2d(12)",
        "x = functional.max_pool2d(x, 3, stride=2)",
        "self.norm_fc1 = nn.BatchNorm1d(16)",
        "self.softmax = nn.Linear(7, 4, bias=True)",
    ] {
        assert!(source.contains(line), "{line} is not in\n{source}");
    }
}

/// Where a Python with torch is named, the modules are run by it.
#[test]
fn pytorch_modules_answer_alike() {
    let Some(python) = std::env::var_os("METAQNN_TEST_PYTHON") else {
        eprintln!("METAQNN_TEST_PYTHON names no Python with torch: not run");
        return;
    };
    let mut rng = ChaCha8Rng::seed_from_u64(6);
    let parent = tempfile::tempdir().unwrap();
    for (index, normalization) in normalizations(INPUT, &mut rng).into_iter().enumerate() {
        let networks = NETWORKS.iter().map(|text| network(text, index % 2 == 0, INPUT, &mut rng)).collect();
        let model = model(networks, normalization, 255);
        let scored = scored(&model, 103, &mut rng);
        let export = Export {
            model: &model,
            formats: &[Format::Pytorch],
            scored: &scored,
            engine: &mut plain,
            python: Path::new(&python),
        };
        let checks = export.write(&parent.path().join(index.to_string())).unwrap();
        assert!(checks.iter().all(|check| check.max_difference.is_some_and(|d| d < 1e-4)), "{checks:?}");
    }
    let networks = branching::graphs().into_iter().map(|(_, graph)| branching_network(graph, &mut rng)).collect();
    let [normalization, ..] = normalizations(branching::INPUT, &mut rng);
    let model = model(networks, normalization, 255);
    let scored = scored(&model, 20, &mut rng);
    let export = Export {
        model: &model,
        formats: &[Format::Pytorch],
        scored: &scored,
        engine: &mut plain,
        python: Path::new(&python),
    };
    let checks = export.write(&parent.path().join("branches")).unwrap();
    assert!(checks.iter().all(|check| check.max_difference.is_some_and(|d| d < 1e-4)), "{checks:?}");
}
