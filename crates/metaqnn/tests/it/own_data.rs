//! A search on a user's own data.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Output, Stdio};

use metaqnn_exec::protocol::{Greeting, PROTOCOL, ReportChannel, WorkerSetup};

use crate::program::{TINY, lines, metaqnn, verify};

/// A table of 8×8 images, dark ones and light ones.
pub(crate) fn write_table(path: &Path, images: u32) {
    let mut table = (0..64).fold("label".to_owned(), |names, place| names + &format!(",pixel{place}"));
    for image in 0..images {
        let (class, least) = [("dark", 0), ("light", 120)][image as usize % 2];
        table += &format!("\n{class}");
        (0..64).for_each(|place| table += &format!(",{}", least + (image * 13 + place * 7) % 110));
    }
    fs::write(path, table).unwrap();
}

pub(crate) fn metaqnn_in(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_metaqnn")).args(arguments).current_dir(folder).output().unwrap()
}

#[test]
fn a_study_of_own_data_is_begun_and_resumed_until_the_data_change() {
    let folder = tempfile::tempdir().unwrap();
    let table = folder.path().join("shades.csv");
    write_table(&table, 80);
    let mut arguments = vec!["search", "shades.csv", "--models", "2", "--workers", "2", "--json"];
    arguments.extend(TINY);
    let output = metaqnn_in(folder.path(), &arguments);
    let result = lines(&output).remove(0);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains(" images of 1x8x8, 2 classes"), "{said}");
    assert!(said.contains("pixels: 0 to 229, ") && said.contains(" levels; taken as they are"), "{said}");
    // Where no name is given the study bears the data's; its path of the data holds from any folder.
    let study = folder.path().join(result["study"].as_str().unwrap());
    assert!(study.file_name().unwrap().to_str().unwrap().starts_with("shades-"), "{result}");
    assert_eq!(Path::new(result["data"].as_str().unwrap()), table);
    lines(&metaqnn(&["resume", study.to_str().unwrap(), "--models", "3", "--json"]));
    assert_eq!(verify(&study)["models"], 3);

    write_table(&table, 82);
    let refused = metaqnn(&["resume", study.to_str().unwrap(), "--models", "4"]);
    let said = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert_eq!(refused.status.code(), Some(1));
    assert!(said.contains("does not hold the data that the study began with: other images"), "{said}");
    assert!(said.contains("; 2 images new, 0 gone"), "{said}");
}

#[test]
fn data_are_checked_before_anything_is_trained() {
    let folder = tempfile::tempdir().unwrap();
    write_table(&folder.path().join("shades.csv"), 80);
    let report =
        lines(&metaqnn_in(folder.path(), &["data", "check", "shades.csv", "--size", "10x9", "--json"])).remove(0);
    assert_eq!((&report["name"], &report["shape"]["width"]), (&"shades".into(), &9.into()));
    assert!(report["total"]["valid"].as_u64() > Some(0) && report["as_published"].is_null(), "{report}");
    assert_eq!(report["pixels"]["decision"], "taken as they are");

    for class in ["cat", "dog"] {
        fs::create_dir_all(folder.path().join("pets").join(class)).unwrap();
    }
    fs::write(folder.path().join("pets/cat/1.png"), "no image").unwrap();
    let checked = metaqnn_in(folder.path(), &["data", "check", "pets", "--json"]);
    assert_eq!(checked.status.code(), Some(1));
    let problems: serde_json::Value = serde_json::from_slice(&checked.stdout).unwrap();
    assert_eq!(problems["problems"].as_array().unwrap().len(), 2, "{problems}");
    let searched = metaqnn_in(folder.path(), &["search", "pets", "--budget", "10s"]);
    let said = String::from_utf8_lossy(&searched.stderr).into_owned();
    assert_eq!(searched.status.code(), Some(1));
    assert_eq!(
        said,
        "error: pets cannot be used: 2 problems\n  \
         pets/dog: a class folder without images: fill it or remove it\n  \
         pets/cat/1.png: expected PNG, JPEG, BMP, WebP, GIF, TIFF or PNM, found a file that begins with no image\n"
            .replace("pets", &folder.path().join("pets").display().to_string())
    );
    assert!(!folder.path().join("studies").exists());
    let unknown = metaqnn_in(folder.path(), &["search", "cats"]);
    assert!(String::from_utf8_lossy(&unknown.stderr).contains("there is no file or folder of this name"));
}

#[test]
fn a_worker_refuses_data_that_have_changed() {
    let settings = String::from_utf8(metaqnn(&["config"]).stdout).unwrap();
    let answer = |fingerprint: &str| {
        let greeting = Greeting { protocol: PROTOCOL, reports: ReportChannel::StandardOutput };
        let setup = WorkerSetup {
            data: "digits".into(),
            data_dir: "".into(),
            reading: "{}".into(),
            data_fingerprint: fingerprint.into(),
            image_size: "8x8".into(),
            settings: settings.clone(),
            results: "".into(),
        };
        let mut worker = Command::new(env!("CARGO_BIN_EXE_metaqnn"))
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // It goes on for as long as somebody may have a job for it.
        let mut input = worker.stdin.take().unwrap();
        writeln!(input, "{}", serde_json::to_string(&greeting).unwrap()).unwrap();
        writeln!(input, "{}", serde_json::to_string(&setup).unwrap()).unwrap();
        let mut reports = BufReader::new(worker.stdout.take().unwrap()).lines().map_while(Result::ok);
        let answer = reports.find(|line| line.contains("\"ready\"") || line.contains("unable")).unwrap();
        drop(input);
        worker.wait().unwrap();
        answer
    };
    let checked = lines(&metaqnn(&["data", "check", "digits", "--json"])).remove(0);
    assert!(answer(checked["fingerprint"].as_str().unwrap()).contains("ready"));
    let refused = answer("0123");
    assert!(
        refused.contains("unable") && refused.contains("the data are not as they were when this run began"),
        "{refused}"
    );
}
