#!/usr/bin/env python3
"""From a folder of images to a checked model: the four commands that a user of metaqnn gives, and how each came out.

    metaqnn data fetch fashion-mnist && metaqnn data fetch cifar10
    bench/own_images.py --out own-images

Makes a folder of class folders of PNG files, 12,000 grey ones of 28×28 from Fashion-MNIST and 10,000 in colour from CIFAR-10, and runs

    metaqnn search FOLDER --budget 5m
    metaqnn final STUDY
    metaqnn export STUDY --out MODEL
    metaqnn evaluate MODEL FOLDER

on each without another setting. The images are drawn from the published training images, as many of each class, with a seed, and no
split is given: as with any user's folder, metaqnn draws 15 % for validation and 15 % for testing. So the errors are not
those on the published test images, and the networks learn from 8,400 and 7,000 images, not from 60,000 and 50,000.

Prints a table in Markdown; all figures are in OUT/own-images.json. Needs numpy and Pillow; the PyTorch code is checked where this Python
has torch.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import time

import numpy
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "peers"))
import data_sets  # noqa: E402

CLASSES = {
    "fashion-mnist": ["t-shirt", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle-boot"],
    "cifar10": ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"],
}
IMAGES = {"fashion-mnist": 12_000, "cifar10": 10_000}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=list(IMAGES), choices=list(IMAGES), metavar="NAME", help=f"of {', '.join(IMAGES)} (both)")
    parser.add_argument("--data-dir", type=pathlib.Path, default=data_sets.default_folder(), help="folder of the data sets (%(default)s)")
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for images, studies, models and figures")
    parser.add_argument("--images", type=int, help="images of each folder (12000 and 10000)")
    parser.add_argument("--budget", default="5m", help="of the search (%(default)s)")
    parser.add_argument("--final-budget", help="of the final phase (the program's default: no limit)")
    parser.add_argument("--seed", type=int, default=0, help="by which the images are drawn (%(default)s)")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    parser.add_argument("--metaqnn", default=target / "release/metaqnn", help="(%(default)s)")
    options = parser.parse_args()
    if options.images is not None and options.images < 30:
        parser.error("--images: three of each class are the least that splits can be drawn from, 30")
    results = [run(options, name) for name in options.data]
    (options.out / "own-images.json").write_text(json.dumps(results, indent=2) + "\n")
    print(table(results))


def run(options, name: str) -> dict:
    """Makes the folder and gives the four commands."""
    place = options.out / name
    if place.exists():
        raise SystemExit(f"error: {place}: there is something already; remove it or choose another --out")
    folder, study, model = place / "images", place / "a.study", place / "model"
    count = write_images(options, name, folder)
    program = str(options.metaqnn)
    figures = {"data": name, "images": count, "seed": options.seed, "budget": options.budget, "seconds": {}}

    def step(verb: str, *arguments) -> dict:
        command = [program, verb, *map(str, arguments), "--json"]
        print("$ " + " ".join(command), file=sys.stderr, flush=True)
        begin = time.monotonic()
        # Progress and messages on standard error are for whoever watches.
        done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
        figures["seconds"][verb] = time.monotonic() - begin
        if done.returncode:
            raise SystemExit(f"error: {verb} ended with status {done.returncode}")
        return json.loads(done.stdout.splitlines()[-1])

    searched = step("search", folder, "--budget", options.budget, "--study", study)
    figures |= {"models": searched["models"], "failed": searched["failed"], "test_accuracy_after_search": searched["test_accuracy"]}
    final_budget = ["--budget", options.final_budget] if options.final_budget else []
    final = step("final", study, *final_budget)
    networks, ensemble = final["networks"], final["ensemble"]
    # What export and evaluate take: the ensemble where final kept one, else the best network.
    best = ensemble if ensemble and ensemble["valid_accuracy"] is not None else networks[0]
    figures |= {"trained_fully": len(networks), "networks": networks, "ensemble": ensemble}
    figures["architectures"] = [network["architecture"] for network in networks if network["trial"] in best.get("members", [best.get("trial")])]
    figures |= {key: best[key] for key in ("params", "flops", "epochs", "valid_accuracy", "test_accuracy", "test_interval", "test_images")}
    exported = step("export", study, "--out", model, "--python", sys.executable)
    figures["verification"] = exported["verification"]
    figures["bytes"] = {path.name: path.stat().st_size for path in sorted(model.iterdir())}
    evaluated = step("evaluate", model, folder)
    figures["evaluated"] = {key: evaluated[key] for key in ("accuracy", "interval", "balanced_accuracy", "images")}
    if evaluated["accuracy"] != best["test_accuracy"]:
        print(f"warning: {name}: evaluate found {evaluated['accuracy']}, final {best['test_accuracy']}", file=sys.stderr)
    return figures


def write_images(options, name: str, folder: pathlib.Path) -> int:
    """As many images of each class as files CLASS/NUMBER.png; how many in all."""
    images, labels, _, _ = data_sets.load(name, options.data_dir)
    names = CLASSES[name]
    each = (options.images or IMAGES[name]) // len(names)
    generator = numpy.random.default_rng(options.seed)
    for label, of_class in enumerate(names):
        (folder / of_class).mkdir(parents=True)
        for number in generator.choice(numpy.flatnonzero(labels == label), each, replace=False):
            image = images[number]
            pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
            Image.fromarray(pixels).save(folder / of_class / f"{number:05}.png")
    return each * len(names)


def table(results: list[dict]) -> str:
    def percent(accuracy: float) -> str:
        return f"{100 * (1 - accuracy):.2f}"

    def size(count: int) -> str:
        return f"{count / 1024:.0f} KiB"

    def minutes(seconds: float) -> str:
        return f"{int(seconds) // 60}:{int(seconds) % 60:02}"

    rows = [["", *(result["data"] for result in results)]]

    def row(what: str, cell):
        rows.append([what, *(cell(result) for result in results)])

    row("images", lambda r: f"{r['images']}")
    row("models tried (failed)", lambda r: f"{r['models']} ({r['failed']})")
    row("trained fully", lambda r: f"{r['trained_fully']}")
    row("networks in the model", lambda r: f"{len(r['architectures'])}")
    row("validation error %", lambda r: percent(r["valid_accuracy"]))
    row("test error % (95 % interval)", lambda r: f"{percent(r['test_accuracy'])} ({percent(r['test_interval'][1])} to {percent(r['test_interval'][0])})")
    row("test error % before `final`", lambda r: "–" if r["test_accuracy_after_search"] is None else percent(r["test_accuracy_after_search"]))
    row("balanced accuracy %", lambda r: f"{100 * r['evaluated']['balanced_accuracy']:.2f}")
    row("parameters", lambda r: f"{r['params']}")
    row("MFLOPs", lambda r: f"{r['flops'] / 1e6:.2f}")
    for verb in ("search", "final", "export", "evaluate"):
        row(f"{verb}, min:s", lambda r: minutes(r["seconds"][verb]))
    for index, check in enumerate(results[0]["verification"]):
        row(f"{check['format']}: largest difference of logits", lambda r: difference(r["verification"][index]))
    for file in ("model.onnx", "model.safetensors", "model.py"):
        row(file, lambda r: size(r["bytes"][file]))
    lines = ["| " + " | ".join(cells) + " |" for cells in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]])


def difference(check: dict) -> str:
    if check["max_difference"] is None:
        return "not run: no torch"
    return f"{check['max_difference']:.1e} (allowed {check['tolerance']:.1e})"


if __name__ == "__main__":
    main()
