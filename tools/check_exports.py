#!/usr/bin/env python3
"""Runs exported models in onnxruntime and PyTorch on the MNIST test images, beside `metaqnn evaluate`.

Draws a few networks, trains each on MNIST for a moment, exports it, and compares on all 10,000 test images
the classes and probabilities of model.onnx (onnxruntime) and of model.py (torch) with those of `evaluate`. The networks cover every
layer type, with and without batch normalization. Needs numpy, onnx, onnxruntime and torch:

    python3 -m venv venv && venv/bin/pip install numpy onnx onnxruntime torch
    venv/bin/python tools/check_exports.py --metaqnn target/release/metaqnn --data-dir FOLDER

With folders as arguments these are checked instead, on the data that they name.
"""

import argparse
import gzip
import importlib.util
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnx
import onnxruntime
import torch

TOLERANCE = 1e-4

# Spaces of few layers, so that a few networks have every layer type.
FULLY_CONNECTED = {"start": ["C"], "C": ["P", "FC"], "P": ["C", "FC"], "FC": ["FC", "SM"]}
AVERAGED = {"start": ["C"], "C": ["C", "P", "GAP"], "P": ["C", "GAP"], "FC": ["SM"]}

# Each search: preset, what may follow what, batch normalization. The paper's preset subtracts the mean image.
SEARCHES = {
    "fully-connected-normalized": ("quick", FULLY_CONNECTED, True),
    "fully-connected-plain": ("quick", FULLY_CONNECTED, False),
    "averaged-normalized": ("quick", AVERAGED, True),
    "averaged-plain": ("quick", AVERAGED, False),
    "paper": ("paper", AVERAGED, False),
}


def mnist_test_images(folder):
    for name in ("t10k-images-idx3-ubyte", "t10k-images.idx3-ubyte"):
        for path, opened in ((folder / name, open), (folder / (name + ".gz"), gzip.open)):
            if path.is_file():
                with opened(path, "rb") as file:
                    return numpy.frombuffer(file.read(), numpy.uint8, offset=16).reshape(-1, 1, 28, 28)
    sys.exit(f"error: {folder} has no test images of MNIST")


def run(command):
    result = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if result.returncode != 0:
        sys.exit(f"error: {' '.join(map(str, command))} ended with {result.returncode}")
    return result.stdout


def with_onnxruntime(folder, images):
    onnx.checker.check_model(onnx.load(folder / "model.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(str(folder / "model.onnx"), providers=["CPUExecutionProvider"])
    batches = [images[i : i + 250].astype(numpy.float32) for i in range(0, len(images), 250)]
    return numpy.concatenate([session.run(["probabilities"], {"images": batch})[0] for batch in batches])


def with_torch(folder, images):
    spec = importlib.util.spec_from_file_location("model", folder / "model.py")
    module = importlib.util.module_from_spec(spec)
    sys.dont_write_bytecode = True
    spec.loader.exec_module(module)
    model = module.Model.load()
    with torch.inference_mode():
        batches = torch.from_numpy(images.copy()).split(250)
        return torch.cat([model(batch) for batch in batches]).numpy()


def check(metaqnn, folder, data_dir, images):
    description = json.loads((folder / "model.json").read_text())
    command = [metaqnn, "evaluate", folder, "mnist", "--data-dir", data_dir, "--json", "--probabilities"]
    expected = json.loads(run(command))
    probabilities = numpy.array(expected["probabilities"], numpy.float32)
    ok = len(probabilities) == len(images)
    for network in description["networks"]:
        norm = "with" if network["batch_norm"] else "without"
        print(f"  {network['architecture']}, {norm} batch normalization, {description['normalization']}")
    for name, answer in (("onnxruntime", with_onnxruntime), ("torch", with_torch)):
        found = answer(folder, images)
        difference = float(numpy.abs(found - probabilities).max())
        others = int((found.argmax(axis=1) != probabilities.argmax(axis=1)).sum())
        good = difference <= TOLERANCE and others == 0
        ok &= good
        print(
            f"  {name}: {len(images)} images, largest difference of probabilities {difference:.1e}, "
            f"{others} other classes: {'equal' if good else 'NOT EQUAL'}",
            flush=True,
        )
    return ok


def exported(metaqnn, work, data_dir, seed):
    """Model folders of networks that were drawn at random and trained for a moment."""
    for name, (preset, follows, batch_norm) in SEARCHES.items():
        settings = [f"space.follows.{kind}={json.dumps(kinds)}" for kind, kinds in follows.items()]
        settings += ["space.max_layers=7", "limits.mflops=20"]
        settings += ["training.train_images=6000", "training.epochs=1", "training.min_steps=0", "final.enabled=true"]
        settings += ["final.training.train_images=12000", "final.training.epochs=1", "final.training.min_steps=0"]
        settings += ["final.candidates=1", f"final.training.batch_norm={json.dumps(batch_norm)}"]
        study, folder = work / f"{name}.study", work / name
        search = [metaqnn, "search", "mnist", "--data-dir", data_dir, "--preset", preset, "--models", "3"]
        search += ["--agent", "random", "--seed", str(seed), "--workers", "1", "--study", study]
        run(search + [part for setting in settings for part in ("--set", setting)])
        run([metaqnn, "export", study, "--out", folder, "--data-dir", data_dir, "--python", sys.executable])
        yield folder


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folders", nargs="*", type=pathlib.Path)
    parser.add_argument("--metaqnn", type=pathlib.Path, default=pathlib.Path("target/release/metaqnn"))
    parser.add_argument("--data-dir", type=pathlib.Path, required=True)
    parser.add_argument("--seed", type=int, default=1, help="of the networks that are drawn")
    arguments = parser.parse_args()
    images = mnist_test_images(arguments.data_dir / "mnist")
    with tempfile.TemporaryDirectory() as work:
        folders = arguments.folders
        folders = folders or exported(arguments.metaqnn, pathlib.Path(work), arguments.data_dir, arguments.seed)
        ok = True
        operators = set()
        for folder in folders:
            print(folder.name)
            ok &= check(arguments.metaqnn, folder, arguments.data_dir, images)
            operators |= {node.op_type for node in onnx.load(folder / "model.onnx").graph.node}
    print("operators:", ", ".join(sorted(operators)))
    wanted = {"Conv", "BatchNormalization", "Relu", "MaxPool", "Gemm", "GlobalAveragePool", "Softmax"}
    if not arguments.folders and not wanted <= operators:
        sys.exit(f"error: no network had {', '.join(sorted(wanted - operators))}: try another --seed")
    if not ok:
        sys.exit("error: what was exported does not answer as `evaluate`")


if __name__ == "__main__":
    main()
