//! Models that cannot be used, and uses that do not fit them.

use std::fs;

use super::Case;
use super::made::{changed_model, described, model, pets, shades, study, write};

const OPEN: &str = "evaluate model shades.csv";

pub(super) const CASES: &[Case] = &[
    Case { what: "no such model", make: |_| {}, command: "predict my-model photo.png" },
    Case {
        what: "a folder that is no model",
        make: |root| {
            pets(root);
            shades(root);
        },
        command: "evaluate pets shades.csv",
    },
    Case {
        what: "a study whose data are said to be where others are",
        make: |root| {
            study(root);
            pets(root);
        },
        command: "export shades.study --data pets --out my-model",
    },
    Case {
        what: "weights that were cut off",
        make: |root| changed_model(root, "model.safetensors", |bytes| bytes.truncate(bytes.len() - 1)),
        command: OPEN,
    },
    Case {
        what: "weights of which little is left",
        make: |root| changed_model(root, "model.safetensors", |bytes| bytes.truncate(3)),
        command: OPEN,
    },
    Case {
        what: "weights of another architecture",
        make: |root| described(root, "SM(2)]", "FC(8), SM(2)]"),
        command: OPEN,
    },
    Case {
        what: "weights that were changed",
        make: |root| {
            changed_model(root, "model.safetensors", |bytes| {
                if let Some(last) = bytes.last_mut() {
                    *last ^= 1;
                }
            });
        },
        command: OPEN,
    },
    Case {
        what: "no weights",
        make: |root| {
            model(root);
            fs::remove_file(root.join("model/model.safetensors")).unwrap();
        },
        command: OPEN,
    },
    Case {
        what: "a description that was cut off",
        make: |root| changed_model(root, "model.json", |bytes| bytes.truncate(200)),
        command: OPEN,
    },
    Case {
        what: "a description of something else",
        make: |root| changed_model(root, "model.json", |bytes| *bytes = b"{}".to_vec()),
        command: OPEN,
    },
    Case {
        what: "a model of a newer version",
        make: |root| described(root, "\"metaqnn_model\": 1", "\"metaqnn_model\": 2"),
        command: OPEN,
    },
    Case {
        what: "an architecture that is not legal",
        make: |root| described(root, "SM(2)]", "GAP(2), FC(8), SM(2)]"),
        command: OPEN,
    },
    Case {
        what: "a preparation that is not known",
        make: |root| described(root, "\"standardize\"", "\"whiten\""),
        command: OPEN,
    },
    Case { what: "a class name too few", make: |root| described(root, "\"dark\",", ""), command: OPEN },
    Case {
        what: "a reference batch that was cut off",
        make: |root| changed_model(root, "reference.safetensors", |bytes| bytes.truncate(500)),
        command: OPEN,
    },
    Case {
        what: "data of other classes",
        make: |root| {
            model(root);
            pets(root);
        },
        command: "evaluate model pets",
    },
    Case { what: "a published data set of other classes", make: model, command: "evaluate model digits" },
    Case {
        what: "weights that were changed, checked",
        make: |root| changed_model(root, "model.safetensors", |bytes| bytes.extend([0])),
        command: "check model",
    },
    Case { what: "a study in place of a model folder", make: study, command: "check shades.study" },
    Case { what: "an image that is not there", make: model, command: "predict model photo.png" },
    Case {
        what: "a damaged image",
        make: |root| {
            model(root);
            write(root.join("photo.png"), b"\x89PNG\r\n\x1a\n");
        },
        command: "predict model photo.png",
    },
    Case {
        what: "a folder without images",
        make: |root| {
            model(root);
            fs::create_dir(root.join("photos")).unwrap();
        },
        command: "predict model photos",
    },
    Case { what: "a folder in the model that is exported", make: model, command: "export model --out model/again" },
    Case { what: "a folder that is there already", make: model, command: "export model --out model" },
    Case {
        what: "a file in the way of the folder",
        make: |root| {
            model(root);
            write(root.join("file"), "");
        },
        command: "export model --out file/my-model",
    },
    Case { what: "a format that there is not", make: model, command: "export model --format tflite --out my-model" },
];
