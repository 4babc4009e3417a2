#!/usr/bin/env python3
"""A search of own images beside one fixed network that has all of its time, on made folders of many and few pictures.

    bench/own_folders.py --out own-folders
    bench/own_folders.py --out own-folders --images 600 --sides 32 --budgets 1m --seeds 1

Makes folders of pictures, four classes of textures (stripes, checks, dots and rings of any colour, size and angle, under noise), and runs for each
number of pictures, side, budget and seed, one after the other and with the same threads:

    metaqnn search FOLDER --budget BUDGET --workers 1 --seed SEED
    metaqnn train '[C(16,3,1), P(2,2), C(32,3,1), P(2,2), C(64,3,1), P(2,2), C(64,3,1), GAP(4), SM(4)]' --data FOLDER --final --test --budget BUDGET --threads 1 --seed SEED

Both are measured on 600 other pictures with `metaqnn predict`. Each result is a line of OUT/results.jsonl; what stands there is not run again, so the script goes
on where it stopped. At the end it prints a table in Markdown and where the search is behind by more than two points and two standard errors.
Needs numpy and Pillow. Nothing else may run meanwhile.
"""

import argparse
import itertools
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy
from PIL import Image

HERE = pathlib.Path(__file__).resolve().parent
CLASSES = ["checks", "dots", "rings", "stripes"]
NETWORK = "[C(16,3,1), P(2,2), C(32,3,1), P(2,2), C(64,3,1), P(2,2), C(64,3,1), GAP({n}), SM({n})]".format(n=len(CLASSES))
HOLD_OUT = 600


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, required=True, help="folder for pictures, studies and results")
    parser.add_argument("--images", type=int, nargs="+", default=[60, 600, 6000], help="pictures of a folder (%(default)s)")
    parser.add_argument("--sides", type=int, nargs="+", default=[32, 96], help="sides of the pictures in pixels (%(default)s)")
    parser.add_argument("--budgets", nargs="+", default=["1m", "5m"], help="(%(default)s)")
    parser.add_argument("--seeds", type=int, nargs="+", default=[1, 2], help="(%(default)s)")
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    parser.add_argument("--metaqnn", default=target / "release/metaqnn", help="(%(default)s)")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    results = options.out / "results.jsonl"
    done = [json.loads(line) for line in results.read_text().splitlines()] if results.exists() else []
    key = lambda row: (row["contestant"], row["images"], row["side"], row["budget"], row["seed"])
    known = {key(row) for row in done}
    for side, images, budget, seed in itertools.product(options.sides, options.images, options.budgets, options.seeds):
        for contestant in ("search", "fixed"):
            row = {"contestant": contestant, "images": images, "side": side, "budget": budget, "seed": seed}
            if key(row) in known:
                continue
            folder = pictures(options.out / f"{side}-{images}", images, side, seed=1)
            hold_out = pictures(options.out / f"{side}-hold-out", HOLD_OUT, side, seed=2)
            row |= run(options, contestant, folder, hold_out, budget, seed)
            print(json.dumps(row), file=sys.stderr, flush=True)
            with results.open("a") as file:
                file.write(json.dumps(row) + "\n")
            done.append(row)
    print(table(done))


def pictures(folder: pathlib.Path, count: int, side: int, seed: int) -> pathlib.Path:
    """A folder of `count` pictures, as many of each class."""
    if (folder / "whole").exists():
        return folder / "images"
    shutil.rmtree(folder, ignore_errors=True)
    generator = numpy.random.default_rng([seed, count, side])
    for name in CLASSES:
        place = folder / "images" / name
        place.mkdir(parents=True)
        for number in range(count // len(CLASSES)):
            Image.fromarray(picture(name, side, generator)).save(place / f"{number:05}.png")
    (folder / "whole").touch()
    return folder / "images"


def picture(name: str, side: int, generator) -> numpy.ndarray:
    """One picture, side × side × 3 bytes."""
    angle, period = generator.uniform(0, math.pi), generator.uniform(0.12, 0.3) * side
    y, x = numpy.mgrid[0:side, 0:side] - generator.uniform(0.2, 0.8, (2, 1, 1)) * side
    along, across = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    turn = 2 * math.pi / period
    wave = {
        "stripes": lambda: numpy.sin(along * turn),
        "checks": lambda: numpy.sin(along * turn) * numpy.sin(across * turn),
        "dots": lambda: numpy.cos(along * turn) + numpy.cos(across * turn) - 1.0,
        "rings": lambda: numpy.sin(numpy.hypot(x, y) * turn),
    }[name]()
    share = 1 / (1 + numpy.exp(-4 * wave))[..., None]
    colours = generator.uniform(0, 255, (2, 3))
    noise = generator.normal(0, 20, (side, side, 3))
    return numpy.clip(colours[0] * share + colours[1] * (1 - share) + noise, 0, 255).astype(numpy.uint8)


def run(options, contestant: str, folder, hold_out, budget: str, seed: int) -> dict:
    """Trains and measures one contestant."""
    place = options.out / "run"
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    program, model = str(options.metaqnn), place / "model"
    if contestant == "search":
        model = place / "a.study"
        command = ["search", folder, "--budget", budget, "--workers", 1, "--seed", seed, "--study", model]
    else:
        command = ["train", NETWORK, "--data", folder, "--final", "--test", "--budget", budget, "--threads", 1, "--seed", seed]
        command += ["--out", model]
    begin = time.monotonic()
    done = call([program, *map(str, command), "--json"])
    seconds = time.monotonic() - begin
    result = json.loads(done.splitlines()[-1])
    right = 0
    for name in CLASSES:
        answers = call([program, "predict", str(model), str(hold_out / name), "--json"])
        right += sum(json.loads(line)["class"] == name for line in answers.splitlines())
    row = {"accuracy": right / HOLD_OUT, "seconds": seconds}
    return row | {name: result[name] for name in ("models", "verdict") if name in result}


def call(command: list) -> str:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)} ended with status {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def table(rows: list) -> str:
    """Both contestants for each folder and budget, accuracy in per cent by seed, and where the search is behind."""
    lines = ["| pictures | side | budget | search | fixed network | behind |", "|---|---|---|---|---|---|"]
    cells = sorted({(row["side"], row["images"], row["budget"]) for row in rows})
    for side, images, budget in cells:
        of = {
            contestant: [
                row["accuracy"] for row in rows
                if (row["contestant"], row["side"], row["images"], row["budget"]) == (contestant, side, images, budget)
            ]
            for contestant in ("search", "fixed")
        }
        if not all(of.values()):
            continue
        mean = {name: sum(values) / len(values) for name, values in of.items()}
        error = math.sqrt(sum(mean[name] * (1 - mean[name]) / (HOLD_OUT * len(of[name])) for name in of))
        lost = mean["fixed"] - mean["search"]
        text = lambda values: ", ".join(f"{100 * value:.1f}" for value in values)
        behind = f"{100 * lost:.1f} points" if lost > max(0.02, 2 * error) else ""
        lines.append(f"| {images} | {side} | {budget} | {text(of['search'])} | {text(of['fixed'])} | {behind} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
