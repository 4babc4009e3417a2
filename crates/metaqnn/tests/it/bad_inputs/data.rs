//! Data that cannot be used.

use std::fs;
use std::path::Path;

use super::Case;
use super::made::{arrays, npy, pets, pets_with, picture, png, shades, write};

const CHECK: &str = "data check pets";

/// The four files of MNIST with two images each, `change`d.
fn mnist(root: &Path, change: impl Fn(&str, &mut Vec<u8>)) {
    for part in ["train", "t10k"] {
        let images = [&[0, 0, 8, 3, 0, 0, 0, 2, 0, 0, 0, 28, 0, 0, 0, 28], [7; 2 * 28 * 28].as_slice()].concat();
        let labels = vec![0, 0, 8, 1, 0, 0, 0, 2, 1, 3];
        for (kind, mut bytes) in [("images-idx3", images), ("labels-idx1", labels)] {
            let name = format!("{part}-{kind}-ubyte");
            change(&name, &mut bytes);
            write(root.join("sets/mnist").join(name), bytes);
        }
    }
}

/// SVHN of which the training file is given.
fn svhn(root: &Path, train: &[u8]) {
    write(root.join("sets/svhn/train_32x32.mat"), train);
    write(root.join("sets/svhn/test_32x32.mat"), "");
}

/// The header of a .mat file of that version, little-endian, and what follows.
fn mat(version: u16, more: &[u8]) -> Vec<u8> {
    [&[b' '; 124], version.to_le_bytes().as_slice(), b"IM", more].concat()
}

/// The table of shades with `from` replaced by `to` once.
fn changed_shades(root: &Path, from: &str, to: &str) {
    shades(root);
    let text = fs::read_to_string(root.join("shades.csv")).unwrap();
    assert!(text.contains(from), "{text}");
    fs::write(root.join("shades.csv"), text.replacen(from, to, 1)).unwrap();
}

pub(super) const CASES: &[Case] = &[
    Case { what: "a mistyped name of a data set", make: |_| {}, command: "search fashion-mnits" },
    Case { what: "neither a data set nor a path", make: |_| {}, command: "search ./my-images" },
    Case { what: "a published data set that is not here", make: |_| {}, command: "search mnist --data-dir sets" },
    Case {
        what: "a cut file of images",
        make: |root| {
            mnist(root, |name, bytes| {
                if name.starts_with("train-images") {
                    bytes.truncate(800)
                }
            })
        },
        command: "data check mnist --data-dir sets",
    },
    Case {
        what: "labels in the place of images",
        make: |root| {
            mnist(root, |name, bytes| {
                if name.starts_with("train-images") {
                    bytes[3] = 1;
                }
            });
        },
        command: "data check mnist --data-dir sets",
    },
    Case {
        what: "fewer labels than images",
        make: |root| {
            mnist(root, |name, bytes| {
                if name.starts_with("train-labels") {
                    bytes.pop();
                    bytes[7] = 1;
                }
            });
        },
        command: "data check mnist --data-dir sets",
    },
    Case {
        what: "a damaged gzip file",
        make: |root| {
            mnist(root, |name, bytes| {
                if name.starts_with("t10k-labels") {
                    *bytes = b"\x1f\x8b\x08\0\0\0\0\0\0\x03damaged".to_vec();
                }
            });
        },
        command: "data check mnist --data-dir sets",
    },
    Case {
        what: "a cut file of CIFAR-10",
        make: |root| {
            for name in ["data_batch_1", "data_batch_2", "data_batch_3", "data_batch_4", "data_batch_5", "test_batch"] {
                write(root.join(format!("sets/cifar10/{name}.bin")), [3; 3073 + 100]);
            }
        },
        command: "search cifar10 --data-dir sets",
    },
    Case {
        what: "a .mat file that is none",
        make: |root| svhn(root, &[b'x'; 200]),
        command: "data check svhn --data-dir sets",
    },
    Case {
        what: "a .mat file of version 7.3",
        make: |root| svhn(root, &mat(0x0200, &[])),
        command: "data check svhn --data-dir sets",
    },
    Case {
        what: "a .mat file without images",
        make: |root| svhn(root, &mat(0x0100, &[])),
        command: "data check svhn --data-dir sets",
    },
    Case {
        what: "an empty folder",
        make: |root| fs::create_dir(root.join("pets")).unwrap(),
        command: "search pets --budget 5m",
    },
    Case {
        what: "images without class folders",
        make: |root| write(root.join("pets/1.png"), picture(1)),
        command: CHECK,
    },
    Case {
        what: "one class only",
        make: |root| {
            pets(root);
            fs::remove_dir_all(root.join("pets/dog")).unwrap();
        },
        command: "search pets --budget 5m",
    },
    Case {
        what: "a class folder without images",
        make: |root| {
            pets(root);
            fs::create_dir(root.join("pets/fish")).unwrap();
        },
        command: CHECK,
    },
    Case {
        what: "a class with too few images",
        make: |root| {
            pets(root);
            write(root.join("pets/fish/1.png"), picture(77));
        },
        command: CHECK,
    },
    Case {
        what: "test images alone",
        make: |root| {
            pets(root);
            fs::create_dir(root.join("all")).unwrap();
            fs::rename(root.join("pets"), root.join("all/train")).unwrap();
            write(root.join("all/test/fish/1.png"), picture(77));
        },
        command: "data check all",
    },
    Case {
        what: "a corrupt PNG",
        make: |root| {
            let mut bytes = picture(77);
            bytes[45] ^= 0xff;
            pets_with(root, bytes);
        },
        command: CHECK,
    },
    Case { what: "a PNG that was cut off", make: |root| pets_with(root, &picture(77)[..50]), command: CHECK },
    Case {
        what: "a JPEG that was cut off",
        make: |root| pets_with(root, b"\xff\xd8\xff\xe0\0\x10JFIF\0\x01\x01\0\0\x01\0\x01\0\0\xff\xda\0\x08"),
        command: CHECK,
    },
    Case {
        what: "an image bomb: a few bytes that stand for 3,600,000,000 pixels",
        make: |root| pets_with(root, png(60_000, 60_000, &[])),
        command: CHECK,
    },
    Case { what: "a text with the name of an image", make: |root| pets_with(root, "a cat"), command: CHECK },
    Case {
        what: "a format that is not read",
        make: |root| pets_with(root, b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"),
        command: CHECK,
    },
    Case { what: "an empty file", make: |root| pets_with(root, ""), command: CHECK },
    Case {
        what: "a kind of file that is not read",
        make: |root| write(root.join("images.parquet"), "PAR1"),
        command: "search images.parquet",
    },
    Case { what: "an empty table", make: |root| write(root.join("t.csv"), ""), command: "search t.csv" },
    Case {
        what: "a table that names a missing file",
        make: |root| {
            pets(root);
            let rows: String =
                (0..12).map(|i| format!("pets/{class}/{i}.png,{class}\n", class = ["cat", "dog"][i % 2])).collect();
            write(root.join("t.csv"), format!("file,label\n{rows}pets/cat/none.png,cat\n"));
        },
        command: "search t.csv",
    },
    Case {
        what: "a table without labels",
        make: |root| write(root.join("t.csv"), "file,colour,size\na.png,red,3\n"),
        command: "search t.csv",
    },
    Case {
        what: "a table without paths or pixels",
        make: |root| write(root.join("t.csv"), "label,colour,size\ncat,red,3\n"),
        command: "search t.csv",
    },
    Case {
        what: "a pixel that is no number",
        make: |root| changed_shades(root, "\ndark,0,7,", "\ndark,0,NaN,"),
        command: "search shades.csv",
    },
    Case {
        what: "a pixel below 0",
        make: |root| changed_shades(root, "\ndark,0,7,", "\ndark,0,-7,"),
        command: "search shades.csv",
    },
    Case {
        what: "a row that is too short",
        make: |root| changed_shades(root, "\ndark,0,7,", "\ndark,0,"),
        command: "search shades.csv",
    },
    Case {
        what: "a row without a label",
        make: |root| changed_shades(root, "\ndark,0,7,", "\n,0,7,"),
        command: "search shades.csv",
    },
    Case {
        what: "a table that is not UTF-8",
        make: |root| write(root.join("t.csv"), b"label,file\ncat,\xff\xfe.png\n"),
        command: "search t.csv",
    },
    Case {
        what: "an archive that is none",
        make: |root| write(root.join("a.npz"), "not a zip"),
        command: "search a.npz",
    },
    Case {
        what: "an array that is none",
        make: |root| arrays(root, Some(b"PK\x03\x04 and more".to_vec()), None),
        command: "search arrays",
    },
    Case {
        what: "NaN among the pixels",
        make: |root| {
            let values = (0..192_u8).map(|i| if i == 40 { f32::NAN } else { f32::from(i) / 255.0 });
            let data: Vec<u8> = values.flat_map(f32::to_le_bytes).collect();
            arrays(root, Some(npy("<f4", "(12, 4, 4)", data)), None);
        },
        command: "search arrays",
    },
    Case {
        what: "pixels that were normalized",
        make: |root| {
            let data: Vec<u8> = (0..192_u8).flat_map(|i| (f32::from(i) / 64.0 - 1.5).to_le_bytes()).collect();
            arrays(root, Some(npy("<f4", "(12, 4, 4)", data)), None);
        },
        command: "search arrays",
    },
    Case {
        what: "an array of other dimensions",
        make: |root| arrays(root, Some(npy("|u1", "(12, 15)", [7; 180])), None),
        command: "search arrays",
    },
    Case {
        what: "an array that was cut off",
        make: |root| arrays(root, Some(npy("|u1", "(12000, 4, 4)", [7; 192])), None),
        command: "search arrays",
    },
    Case {
        what: "an array of Python objects",
        make: |root| arrays(root, None, Some(npy("|O", "(12,)", [0; 96]))),
        command: "search arrays",
    },
    Case {
        what: "fewer labels than images, in arrays",
        make: |root| arrays(root, None, Some(npy("|u1", "(11,)", [0; 11]))),
        command: "search arrays",
    },
    Case {
        what: "one-hot labels",
        make: |root| arrays(root, None, Some(npy("|u1", "(12, 2)", [0; 24]))),
        command: "search arrays",
    },
    Case {
        what: "images without labels",
        make: |root| {
            arrays(root, None, None);
            fs::remove_file(root.join("arrays/y.npy")).unwrap();
        },
        command: "search arrays",
    },
    Case {
        what: "1,001 classes",
        make: |root| {
            let images: Vec<u8> = (0..1_001_u32).flat_map(|i| [i as u8, (i >> 8) as u8, 0, 0]).collect();
            let labels: Vec<u8> = (0..1_001_u16).flat_map(u16::to_le_bytes).collect();
            arrays(root, Some(npy("|u1", "(1001, 2, 2)", images)), Some(npy("<u2", "(1001,)", labels)));
        },
        command: "search arrays",
    },
    Case { what: "a size that is too small", make: pets, command: "search pets --size 7" },
];
