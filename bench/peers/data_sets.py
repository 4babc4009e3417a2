"""MNIST, Fashion-MNIST and CIFAR-10 from the files that metaqnn reads, as bytes in NCHW."""

import gzip
import os
import pathlib
import sys

import numpy

NAMES = ["mnist", "fashion-mnist", "cifar10"]


def default_folder() -> pathlib.Path:
    """Where metaqnn looks for data sets."""
    if os.environ.get("METAQNN_DATA"):
        return pathlib.Path(os.environ["METAQNN_DATA"])
    if sys.platform == "darwin":
        return pathlib.Path.home() / "Library/Application Support/metaqnn"
    return pathlib.Path(os.environ.get("XDG_DATA_HOME", pathlib.Path.home() / ".local/share")) / "metaqnn"


def load(name: str, folder: pathlib.Path):
    """(training images, training labels, test images, test labels); images are uint8, N×C×H×W, in the order of the files."""
    if name == "cifar10":
        parts = [cifar(folder / name / f"data_batch_{n}.bin") for n in range(1, 6)]
        images, labels = (numpy.concatenate(part) for part in zip(*parts))
        return images, labels, *cifar(folder / name / "test_batch.bin")
    read = []
    for part in ("train", "t10k"):
        read.append(idx(folder / name / f"{part}-images-idx3-ubyte")[:, None])
        read.append(idx(folder / name / f"{part}-labels-idx1-ubyte").astype(numpy.int64))
    return tuple(read)


def idx(path: pathlib.Path) -> numpy.ndarray:
    zipped = path.with_name(path.name + ".gz")
    data = gzip.decompress(zipped.read_bytes()) if zipped.exists() else path.read_bytes()
    dimensions = data[3]
    shape = numpy.frombuffer(data, ">u4", dimensions, 4)
    return numpy.frombuffer(data, numpy.uint8, offset=4 + 4 * dimensions).reshape(shape)


def cifar(path: pathlib.Path):
    records = numpy.fromfile(path, numpy.uint8).reshape(-1, 1 + 3 * 32 * 32)
    return records[:, 1:].reshape(-1, 3, 32, 32), records[:, 0].astype(numpy.int64)


def divided(images, labels, valid_images: int, seed: int):
    """Training and validation part, shuffled."""
    order = numpy.random.default_rng(seed).permutation(len(images))
    valid, train = order[:valid_images], order[valid_images:]
    return (images[train], labels[train]), (images[valid], labels[valid])
