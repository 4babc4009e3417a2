#!/usr/bin/env python3
"""Accuracy of metaqnn's own engine beside stock Burn (`--device flex`), after the same trainings; of a program built with `--features burn`.

    metaqnn data fetch mnist
    python3 bench/accuracy.py --seeds 1 2 3 4 5

Full trainings on the digits (all epochs of the preset) and one epoch on MNIST (--images of it), `metaqnn train` with the same seed on both engines: the
validation accuracy at the end, mean over the seeds with its standard error, and the mean of the differences with its 95 % confidence interval (Student's t).
The two engines begin with the same weights and see the same batches; rounding alone makes them part. Exit status 1 where the interval does not hold 0.
"""

import argparse
import json
import math
import os
import statistics
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ARCHITECTURE = "[C(16,3,1), C(32,3,1), P(2,2), C(64,3,1), P(2,2), FC(64), SM(10)]"
ENGINES = ["cpu", "flex"]
# Two-sided 95 % quantiles of Student's t for 1, 2, … degrees of freedom.
T_95 = [12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5], help="2 to 10 seeds (%(default)s)")
    parser.add_argument("--arch", default=ARCHITECTURE, help="(%(default)s)")
    parser.add_argument("--images", type=int, default=55_000, help="of MNIST's training data (%(default)s)")
    parser.add_argument("--data-dir", help="folder of the data sets; default: the program's")
    target = Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    parser.add_argument("--metaqnn", default=target / "release/metaqnn", help="(%(default)s)")
    options = parser.parse_args()
    if not 2 <= len(options.seeds) <= len(T_95) + 1:
        parser.error("from 2 to 10 seeds can be compared")
    cases = {
        "digits, all epochs": ["--data", "digits"],
        "MNIST, one epoch": ["--data", "mnist", "--set", "training.epochs=1", "--set", f"training.train_images={options.images}"],
    }
    agree = [compare(options, name, arguments) for name, arguments in cases.items()]
    sys.exit(0 if all(agree) else 1)


def compare(options, name: str, arguments: list[str]) -> bool:
    accuracies = {engine: [accuracy(options, engine, seed, arguments) for seed in options.seeds] for engine in ENGINES}
    print(f"{name}: validation accuracy in per cent, seeds {' '.join(map(str, options.seeds))}")
    for engine, values in accuracies.items():
        print(f"  {engine:<5} {' '.join(f'{value:.2f}' for value in values)}   mean {statistics.mean(values):.3f} ± {standard_error(values):.3f}")
    differences = [own - stock for own, stock in zip(*accuracies.values())]
    mean, half = statistics.mean(differences), T_95[len(differences) - 2] * standard_error(differences)
    print(f"  cpu − flex: {mean:+.3f} points, 95 % interval {mean - half:+.3f} to {mean + half:+.3f}", flush=True)
    return mean - half <= 0 <= mean + half


def standard_error(values: list[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))


def accuracy(options, engine: str, seed: int, arguments: list[str]) -> float:
    command = [str(options.metaqnn), "train", options.arch, "--device", engine, "--seed", str(seed), "--json", *arguments]
    command += ["--data-dir", options.data_dir] if options.data_dir else []
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode:
        raise SystemExit(f"error: {' '.join(command)} failed:\n{done.stderr}")
    return 100 * json.loads(done.stdout)["valid_accuracy"]


if __name__ == "__main__":
    main()
