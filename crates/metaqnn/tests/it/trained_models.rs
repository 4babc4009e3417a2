//! Trained models on images that are not those of their study: what is answered, what is measured, and where the data have gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use serde_json::Value;
use tempfile::TempDir;

use crate::own_data::metaqnn_in;
use crate::program::lines;

const CLASSES: [(&str, [u8; 3]); 3] = [("blue", [230, 20, 20]), ("green", [20, 230, 20]), ("red", [20, 20, 230])];

/// A BMP of 8×8 pixels of 24 bits, each blue, green, red; no other number gives the same.
fn bmp(colour: [u8; 3], number: u8) -> Vec<u8> {
    let mut bytes = b"BM\xf6\0\0\0\0\0\0\0\x36\0\0\0\x28\0\0\0\x08\0\0\0\x08\0\0\0\x01\0\x18\0".to_vec();
    bytes.resize(54, 0);
    for pixel in 0..64_u8 {
        let noise = (pixel % 8).wrapping_mul(number) % 20;
        bytes.extend(colour.map(|value| value.saturating_sub(noise).max(number % 20)));
    }
    bytes
}

fn write(path: PathBuf, bytes: &[u8]) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Test images that are drawn from `data`: the draw is by the images.
fn test_images(root: &Path, data: &str) -> u64 {
    let counts = lines(&metaqnn_in(root, &["data", "check", data, "--json"])).remove(0);
    let drawn = counts["total"]["test"].as_u64().unwrap();
    assert!(drawn > 0, "{counts}");
    drawn
}

/// `images` of each of the first `classes` in `folder`, beginning with that number.
fn write_classes(folder: &Path, classes: usize, images: u8, first: u8) {
    for (name, colour) in &CLASSES[..classes] {
        for i in 0..images {
            write(folder.join(name).join(format!("{i}.bmp")), &bmp(*colour, first + i));
        }
    }
}

/// `colours`, a study `a.study` of it with a network that was trained fully, and its model folder `model`; the data were then moved to
/// `moved/colours`.
static FINISHED: LazyLock<TempDir> = LazyLock::new(|| {
    let folder = tempfile::tempdir().unwrap();
    write_classes(&folder.path().join("colours"), 3, 20, 0);
    let settings = [
        "limits.mflops=2",
        "training.epochs=1",
        "training.min_steps=20",
        "final.training.epochs=3",
        "final.training.min_steps=60",
    ];
    let settings = settings.iter().flat_map(|setting| ["--set", setting]);
    let search =
        ["search", "colours", "--models", "2", "--workers", "1", "--seed", "3", "--study", "a.study", "--json"];
    lines(&metaqnn_in(folder.path(), &search.into_iter().chain(settings).collect::<Vec<_>>()));
    lines(&metaqnn_in(folder.path(), &["export", "a.study", "--out", "model", "--python", "/no/python", "--json"]));
    fs::create_dir(folder.path().join("moved")).unwrap();
    fs::rename(folder.path().join("colours"), folder.path().join("moved/colours")).unwrap();
    folder
});

/// A folder with a copy of all that.
fn copy() -> TempDir {
    fn copied(from: &Path, to: &Path) {
        fs::create_dir_all(to).unwrap();
        for entry in fs::read_dir(from).unwrap() {
            let path = entry.unwrap().path();
            let to = to.join(path.file_name().unwrap());
            if path.is_dir() {
                copied(&path, &to);
            } else {
                fs::copy(&path, &to).unwrap();
            }
        }
    }
    let folder = tempfile::tempdir().unwrap();
    copied(FINISHED.path(), folder.path());
    folder
}

/// Exit status, standard output and standard error.
fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let output = metaqnn_in(folder, arguments);
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

fn evaluated(folder: &Path, data: &str) -> Value {
    lines(&metaqnn_in(folder, &["evaluate", "model", data, "--json"])).remove(0)
}

#[test]
fn new_images_are_measured_all_and_it_is_said_which() {
    let folder = copy();
    let root = folder.path();
    write_classes(&root.join("new"), 3, 7, 100);
    write_classes(&root.join("two"), 2, 4, 100);
    write_classes(&root.join("one-each"), 3, 1, 100);
    write_classes(&root.join("split/test"), 3, 5, 100);
    write(root.join("grey/red/1.bmp"), &bmp([90; 3], 0));
    for (data, images, measured) in
        [("new", 21, "all"), ("two", 8, "all"), ("one-each", 3, "all"), ("split", 15, "test"), ("grey", 1, "all")]
    {
        let value = evaluated(root, data);
        assert_eq!((&value["images"], &value["measured"]), (&images.into(), &measured.into()), "{data}: {value}");
        let counted: u64 = value["confusion"]
            .as_array()
            .unwrap()
            .iter()
            .flat_map(|row| row.as_array().unwrap())
            .filter_map(Value::as_u64)
            .sum();
        assert_eq!(counted, images, "{data}: {value}");
    }
    // A class of the data is the model's class of that name.
    let value = evaluated(root, "two");
    assert!(value["confusion"][2].as_array().unwrap().iter().all(|count| count == 0), "{value}");
    assert!(value["classes"][2]["recall"].is_null(), "{value}");
    let (_, said, _) = run(root, &["evaluate", "model", "new"]);
    assert!(said.starts_with("new: all 21 images\n"), "{said}");
    let (_, said, _) = run(root, &["evaluate", "model", "split"]);
    assert!(said.starts_with("split: all 15 test images\n"), "{said}");

    // The very data of the training: only what was kept from it, as it was scored.
    let kept = test_images(root, "moved/colours");
    let value = evaluated(root, "moved/colours");
    assert_eq!((&value["images"], &value["measured"]), (&kept.into(), &"kept-from-training".into()), "{value}");
    let scored = &lines(&metaqnn_in(root, &["top", "a.study", "--json"]))[0][0]["test_accuracy"];
    assert_eq!(&value["accuracy"], scored);
    let (_, said, _) = run(root, &["evaluate", "a.study", "moved/colours"]);
    let measured = format!("so only the {kept} test images kept from the training are measured");
    assert!(said.contains(&measured), "{said}");

    write(root.join("two/pink/1.bmp"), &bmp([200, 150, 250], 1));
    let (status, _, said) = run(root, &["evaluate", "model", "two"]);
    assert_eq!(status, 1);
    assert!(said.contains("class pink is not among the classes of the model, which are blue, green, red"), "{said}");
}

#[test]
fn folders_are_answered_with_all_images_below_them_and_one_bad_argument_takes_nothing_away() {
    let folder = copy();
    let root = folder.path();
    let (red, green) = (bmp(CLASSES[2].1, 50), bmp(CLASSES[1].1, 50));
    write(root.join("photos/a.bmp"), &red);
    write(root.join("photos/sub/deep/b.bmp"), &green);
    write(root.join("photos/.DS_Store"), b"Bud1");
    write(root.join("photos/.hidden/c.bmp"), &red);
    write(root.join("photos/notes.txt"), b"no image");
    fs::create_dir(root.join("none")).unwrap();
    let files =
        |said: &str| -> Vec<String> { said.lines().map(|line| line.split_once(": ").unwrap().0.to_owned()).collect() };
    let (status, answered, said) = run(root, &["predict", "model", "photos"]);
    assert_eq!((status, files(&answered)), (0, vec!["photos/a.bmp".to_owned(), "photos/sub/deep/b.bmp".to_owned()]));
    assert_eq!(said, "left out, being no image: photos/notes.txt\n");
    let (status, answered, said) =
        run(root, &["predict", "model", "none", "photos/a.bmp", "gone.bmp", "photos/notes.txt"]);
    assert_eq!((status, files(&answered)), (1, vec!["photos/a.bmp".to_owned()]), "{said}");
    for expected in ["error: none: there is no image in it or below it\n", "gone.bmp", "photos/notes.txt"] {
        assert!(said.contains(expected), "{said}");
    }
    // A class folder of the data is a folder like any other.
    let (status, answered, _) = run(root, &["predict", "model", "moved/colours"]);
    assert_eq!((status, answered.lines().count()), (0, 60));
}

#[cfg(unix)]
#[test]
fn names_cannot_speak_to_the_terminal() {
    let folder = copy();
    let root = folder.path();
    write(root.join("a\x1b[31m\nb.bmp"), &bmp(CLASSES[0].1, 50));
    let (status, answered, _) = run(root, &["predict", "model", "a\x1b[31m\nb.bmp"]);
    assert_eq!((status, answered.lines().count()), (0, 1), "{answered}");
    assert!(answered.starts_with("a\\u001b[31m\\u000ab.bmp: "), "{answered}");
    // Nor where an error names them.
    let (status, _, said) = run(root, &["predict", "model", "gone\x1b[31m.bmp"]);
    assert_eq!(status, 1);
    assert!(said.contains(r"gone\u{1b}[31m.bmp") && !said.contains('\x1b'), "{said}");
    // What is no Unicode has an answer as well.
    use std::os::unix::ffi::OsStrExt;
    let name = std::ffi::OsStr::from_bytes(b"\xff.bmp");
    fs::copy(root.join("moved/colours/red/1.bmp"), root.join(name)).unwrap();
    let output = std::process::Command::new(env!("CARGO_BIN_EXE_metaqnn"))
        .args(["predict", "model", "--json"])
        .arg(name)
        .current_dir(root)
        .output()
        .unwrap();
    assert_eq!(lines(&output)[0]["file"], "\u{fffd}.bmp");
}

#[test]
fn a_study_without_its_data_predicts_and_exports() {
    let folder = copy();
    let root = folder.path();
    let image = "moved/colours/red/1.bmp";
    let (status, answered, said) = run(root, &["predict", "a.study", image]);
    assert_eq!((status, said.as_str()), (0, ""), "{said}");
    assert_eq!(answered, run(root, &["predict", "model", image]).1);
    let output = metaqnn_in(root, &["export", "a.study", "--out", "again", "--python", "/no/python", "--json"]);
    assert!(String::from_utf8_lossy(&output.stderr).contains("compared on made images"), "{output:?}");
    for check in lines(&output)[0]["verification"].as_array().unwrap() {
        assert_eq!(check["images"], 32, "{check}");
        assert!(check["accuracy"].is_null() && check["accuracy_of_the_scored_model"].is_null(), "{check}");
        assert_eq!(check["max_difference"].is_null(), check["format"] == "pytorch", "{check}");
    }
    assert_eq!(run(root, &["predict", "again", image]).1, answered);
    // Where they are now can be said, and then the test images are there to compare.
    let export = ["export", "a.study", "--data", "moved/colours", "--out", "third", "--python", "/no/python", "--json"];
    let output = metaqnn_in(root, &export);
    assert_eq!(lines(&output)[0]["verification"][0]["images"], test_images(root, "moved/colours"));
    assert!(output.stderr.is_empty(), "{output:?}");
    // A model that is given away does not tell where its data lay.
    for file in ["README.md", "model.json", "verification.json"] {
        let text = fs::read_to_string(root.join("third").join(file)).unwrap();
        assert!(!text.contains(root.to_str().unwrap()) && !text.contains("/colours"), "{file}: {text}");
    }
}

#[test]
fn a_study_goes_on_where_its_data_have_moved_if_they_are_the_same() {
    let folder = copy();
    let root = folder.path();
    let (status, _, said) = run(root, &["resume", "a.study", "--models", "3"]);
    assert_eq!(status, 1);
    assert!(said.contains("give the new path with --data"), "{said}");
    for verb in [&["resume", "a.study", "--models", "3"][..], &["final", "a.study"]] {
        let (status, _, said) = run(root, &[verb, &["--data", "moved/colours", "--json"]].concat());
        assert_eq!(status, 0, "{said}");
    }
    // Others are refused with what is different.
    write_classes(&root.join("others"), 2, 20, 0);
    for (change, expected) in [
        ("others", "other classes: missing red"),
        ("moved/colours", "its images are grey, those of the study are in colour"),
        ("more", "other images, labels or splits; it has 4"),
    ] {
        match change {
            "moved/colours" => {
                for (class, _) in CLASSES {
                    for i in 0..20 {
                        write(root.join(change).join(class).join(format!("{i}.bmp")), &bmp([10 * i; 3], i));
                    }
                }
            }
            "more" => write_classes(&root.join("more"), 3, 21, 0),
            _ => {}
        }
        let (status, _, said) = run(root, &["resume", "a.study", "--models", "4", "--data", change]);
        assert_eq!(status, 1);
        assert!(said.contains(expected), "{said}");
    }
}
