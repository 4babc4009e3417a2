#!/usr/bin/env python3
"""Writes the seeds of the fuzz targets, small whole files of each kind, into fuzz/seeds. Needs numpy and Pillow.

Hand-made: no image of a data set is in them. They are committed, so this need not be run to fuzz.
"""

import gzip
import io
import json
import pathlib
import shutil
import struct
import zipfile

import numpy
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
SEEDS = HERE / "seeds"
CRATES = HERE.parent / "crates"


def main():
    shutil.rmtree(SEEDS, ignore_errors=True)
    for target, files in {
        "published": published(),
        "arrays": arrays(),
        "table": tables(),
        "image": images(),
        "architecture": architectures(),
        "settings": settings(),
        "model": models(),
        "study_values": study_values(),
    }.items():
        folder = SEEDS / target
        folder.mkdir(parents=True)
        for name, data in files.items():
            (folder / name).write_bytes(data if isinstance(data, bytes) else data.encode())


def published():
    pixels = bytes(range(256)) * 6 + bytes(32)
    idx = struct.pack(">4B3I", 0, 0, 8, 3, 2, 28, 28) + pixels
    svhn = CRATES / "metaqnn-data/tests/fixtures"
    return {
        "images.idx": idx,
        "images.idx.gz": gzip.compress(idx, mtime=0),
        "labels.idx": struct.pack(">4BI2B", 0, 0, 8, 1, 2, 9, 0),
        "cifar10.bin": (b"\x03" + bytes(range(256)) * 12) * 2,
        "cifar100.bin": b"\x13\x63" + bytes(range(256)) * 12,
        "svhn_one_image.mat": (svhn / "svhn_one_image.mat").read_bytes(),
        "svhn_small_element.mat": (svhn / "svhn_small_element.mat").read_bytes(),
    }


def twelve(dtype="u1"):
    """Twelve images of 3×3, no two equal."""
    return (numpy.arange(12 * 9).reshape(12, 3, 3) * 2).astype(dtype)


def npy(array) -> bytes:
    data = io.BytesIO()
    numpy.save(data, array)
    return data.getvalue()


def npz(compression, **arrays) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", compression) as archive:
        for name, array in arrays.items():
            archive.writestr(zipfile.ZipInfo(f"{name}.npy"), npy(array), compression)
    return data.getvalue()


def arrays():
    labels = numpy.arange(12, dtype="u1") % 2
    names = numpy.array(["cat", "dog"])[labels]
    colour = numpy.stack([twelve(), twelve(), 255 - twelve()], axis=-1)
    return {
        "images.npy": npy(twelve()),
        "labels.npy": npy(labels),
        "fractions.npy": npy(twelve("f4") / 255),
        "columns_first.npy": npy(numpy.asfortranarray(twelve("<f8"))),
        "words.npy": npy(twelve(">u2") * 257),
        "colour.npy": npy(colour),
        "signed_labels.npy": npy(labels.astype("<i8")[:, None]),
        "names.npy": npy(names),
        "byte_names.npy": npy(names.astype("S")),
        "stored.npz": npz(zipfile.ZIP_STORED, x=twelve(), y=labels),
        "packed.npz": npz(zipfile.ZIP_DEFLATED, x_train=twelve(), y_train=names, x_test=255 - twelve(), y_test=names),
        "named.npz": npz(zipfile.ZIP_STORED, x=twelve("f4") / 255, y=labels, class_names=numpy.array(["cat", "dog"])),
    }


def tables():
    def rows(separator, images, labels):
        return "".join(separator.join([str(label), *map(str, image.ravel())]) + "\n" for image, label in zip(images, labels))

    digits = [i % 2 for i in range(12)]
    words = [["cat", "dog"][i % 2] for i in range(12)]
    names = ",".join(f"pixel{i}" for i in range(9))
    return {
        "pixels.csv": f"label,{names}\n" + rows(",", twelve(), digits),
        "no_names.csv": rows(",", twelve(), digits),
        "fractions.csv": rows(";", (twelve("f8") / 255).round(3), words),
        "wide.tsv": "label\t1x1\t1x2\t1x3\t1x4\t1x5\t1x6\t1x7\t1x8\t1x9\n" + rows("\t", twelve(), words),
        "colour.csv": f"label,a,b,c\n" + "".join(f"{i % 2},{i},{i + 1},{2 * i}\n" for i in range(12)),
        "splits.csv": f"split,label,{names}\n"
        + "".join(f"{split},{row}" for split, row in zip(["train", "val", "test"] * 4, rows(",", twelve(), digits).splitlines(True))),
        "paths.csv": "file,label\na.png,cat\nb.png,dog\nc.gif,cat\n./a.png,dog\n",
        "paths_alone.csv": "a.png,cat\nb.png,dog\nnone.png,cat\n",
        "quoted.csv": '"label","image"\n"a ""cat""","a.png"\n"dog\nor wolf","b.png"\n',
    }


def images():
    grey = Image.fromarray((numpy.arange(30).reshape(5, 6) * 8).astype("u1"))
    colour = Image.merge("RGB", [grey, grey.transpose(Image.Transpose.FLIP_LEFT_RIGHT), grey.transpose(Image.Transpose.ROTATE_180)])
    glass = colour.copy()
    glass.putalpha(grey)
    other = Image.eval(colour, lambda value: 255 - value)
    turned = Image.Exif()
    turned[0x0112] = 6
    kinds = {
        "grey.png": (grey, {}),
        "colour.png": (colour, {}),
        "glass.png": (glass, {}),
        "grey_and_alpha.png": (glass.convert("LA"), {}),
        "words.png": (Image.fromarray((numpy.arange(30).reshape(5, 6) * 2000).astype("u2")), {}),
        "palette.png": (colour.quantize(4), {}),
        "clear_palette.png": (colour.quantize(4), {"transparency": 1}),
        "bits.png": (grey.convert("1"), {}),
        "turned.png": (colour, {"exif": turned}),
        "grey.jpg": (grey, {}),
        "colour.jpg": (colour, {"quality": 90, "subsampling": 0}),
        "progressive.jpg": (colour, {"progressive": True}),
        "turned.jpg": (colour, {"exif": turned, "quality": 30}),
        "cmyk.jpg": (colour.convert("CMYK"), {}),
        "restarts.jpg": (colour.resize((24, 20)), {"restart_marker_blocks": 1}),
        "grey.bmp": (grey, {}),
        "colour.bmp": (colour, {}),
        "glass.bmp": (glass, {}),
        "bits.bmp": (grey.convert("1"), {}),
        "lossy.webp": (colour, {}),
        "lossless.webp": (glass, {"lossless": True}),
        "lossy_glass.webp": (glass, {}),
        "turned.webp": (colour, {"exif": turned}),
        "moving.webp": (colour, {"save_all": True, "append_images": [other], "duration": 100}),
        "grey.gif": (grey, {}),
        "colour.gif": (colour, {}),
        "moving.gif": (colour, {"save_all": True, "append_images": [other], "duration": 100}),
        "interlaced.gif": (colour, {"interlace": 1}),
        "clear.gif": (colour.quantize(4), {"transparency": 1}),
    }
    files = {}
    for name, (image, options) in kinds.items():
        data = io.BytesIO()
        kind = {"jpg": "jpeg"}.get(name.rsplit(".")[-1], name.rsplit(".")[-1])
        image.save(data, kind, **options)
        files[name] = data.getvalue()
    # Pillow writes no run lengths: 6×5 pixels of 8 bits, grey, each row a run of six.
    palette = b"".join(bytes([i, i, i, 0]) for i in range(256))
    runs = b"".join(bytes([6, 40 * row, 0, 0]) for row in range(5)) + b"\0\1"
    start = 14 + 40 + len(palette)
    header = struct.pack("<IiiHHIIiiII", 40, 6, 5, 1, 8, 1, len(runs), 0, 0, 256, 0)
    files["runs.bmp"] = b"BM" + struct.pack("<IHHI", start + len(runs), 0, 0, start) + header + palette + runs
    return files


def architectures():
    return {
        "small": "[C(64,3,1), SM(10)]",
        "all": "[C(64,3,1), P(2,2), D(1,2), C(128,5,2), P(3,2), D(2,2), FC(256), FC(128), SM(10)]",
        "averaged": "[P(5,3),C(512,1,1),GAP(3),SM(3)]",
        "alone": " [ SM(1000) ] ",
        "large": "[C(1048576,1048575,1048576), P(1,1048576), GAP(2), SM(2)]",
    }


def settings():
    return {
        "one.toml": "[training]\nepochs = 3\n",
        "assignments": "training.epochs=3\nsearch.device=cuda:0\nspace.max_pool=[[2, 2]]\nagent.initial_q_value=0.25\n",
        "space.toml": '[space]\nmax_layers = 4\nrepresentation_sizes = [1, 4, 8]\nmax_pool = [[2, 2]]\n\n[space.follows]\nstart = ["C", "P"]\nC = ["SM"]\n',
        "inline.toml": 'training.schedule = { kind = "one-cycle", warmup = 0.2 }\ntraining.optimizer.kind = "adam"\n"final".enabled = false\n',
        "limits.toml": "[limits]\nparams = 1_000\nmflops = 0x10\n[search]\nbudget_seconds = 1e3\nmodels = 0\nseed = 9223372036854775807\n",
    }


def tensors(**arrays) -> bytes:
    """In the format safetensors; `__` in a name stands for a dot."""
    header, data = {}, b""
    kinds = {"<f4": "F32", "|u1": "U8", "<u2": "U16"}
    for name, array in sorted(arrays.items()):
        start = len(data)
        data += array.tobytes()
        header[name.replace("__", ".")] = {"dtype": kinds[array.dtype.str], "shape": list(array.shape), "data_offsets": [start, len(data)]}
    text = json.dumps(header, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def model(architecture, batch_norm, normalization, constants, weights) -> bytes:
    description = {
        "metaqnn_model": 1,
        "input": {"channels": 1, "height": 3, "width": 3},
        "max_value": 255,
        "normalization": normalization,
        "class_names": ["cat", "dog"],
        "networks": [{"architecture": architecture, "batch_norm": batch_norm, "trial": 1, "prefix": "network1."}],
        "weights_sha256": "",
        "provenance": {"study": "a", "seed": 1, "data": "b", "data_fingerprint": "c", "study_version": "0", "version": "0"},
        "measured": {"test_accuracy": 0.5, "test_images": 2, "epochs": 1, "train_seconds": 1.5},
    }
    named = {f"network1__{name}": numpy.full(shape, 0.5, "<f4") for name, shape in weights.items()}
    named |= {f"preparation__{name}": numpy.full(shape, 0.5, "<f4") for name, shape in constants.items()}
    reference = tensors(
        images=numpy.arange(18, dtype="u1").reshape(2, 1, 3, 3),
        labels=numpy.arange(2, dtype="<u2"),
        logits=numpy.zeros((1, 2, 2), "<f4"),
        probabilities=numpy.full((2, 2), 0.5, "<f4"),
    )
    return b"====".join([json.dumps(description, separators=(",", ":")).encode(), tensors(**named), reference])


def models():
    norm = {f"norm1__{name}": 2 for name in ("weight", "bias", "running_mean", "running_var")}
    return {
        "plain": model(
            "[C(2,1,1), SM(2)]", False, "standardize", {"mean": 1, "deviation": 1},
            {"conv1__weight": (2, 1, 1, 1), "conv1__bias": 2, "softmax__weight": (2, 18), "softmax__bias": 2},
        ),
        "norm": model(
            "[C(2,1,1), GAP(2), SM(2)]", True, "mean-image", {"mean": (1, 3, 3)},
            {"conv1__weight": (2, 1, 1, 1), "gap__weight": (2, 2, 1, 1), "gap__bias": 2} | norm,
        ),
        "linear": model("[SM(2)]", False, "global-contrast", {}, {"softmax__weight": (2, 9), "softmax__bias": 2}),
    }


def study_values():
    """Column, row, kind, length, value; see the target."""
    return {
        "text": bytes([1, 0, 3, 9]) + b"[nonsense" + bytes([12, 3, 3, 2]) + b"{}",
        "numbers": bytes([9, 0, 2, 8]) + struct.pack("<d", 1.5) + bytes([10, 2, 1, 8]) + struct.pack("<q", -1),
        "blob": bytes([30, 0, 4, 4, 0, 1, 2, 3, 40, 0, 0, 0]),
    }


if __name__ == "__main__":
    main()
