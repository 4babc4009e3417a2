#!/usr/bin/env python3
"""How to choose the members of an ensemble: rules compared by the test error of what they choose.

    bench/.venv/bin/python bench/ensembles.py --data mnist fashion-mnist cifar10 --seeds 1 2 3

For each data set and seed a part of the training images is divided into training and validation images (arrays that the program
reads as own data; the test images are those of the data set), networks are searched, and `metaqnn final` trains the best of them.
The rules see the validation probabilities of the networks trained on the training images, which the study keeps; what they choose is
measured with the networks trained on training and validation images. With few validation images a rule chooses more by chance: each
is also tried on random parts of them.

Studies stay in --out; what is there already is not trained again.
"""

import argparse
import json
import pathlib
import sqlite3
import subprocess
import sys

import numpy

sys.path.append(str(pathlib.Path(__file__).parent / "peers"))
import data_sets  # noqa: E402

SETTINGS = [
    "training.train_images=2000",
    "training.valid_images=0",
    "training.min_steps=0",
    "final.enabled=false",
    "final.candidates_share=0.6",
    "final.training.min_steps=0",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=data_sets.NAMES, choices=data_sets.NAMES)
    parser.add_argument("--data-dir", type=pathlib.Path, default=data_sets.default_folder())
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--train-images", type=int, default=6000)
    parser.add_argument("--valid-images", type=int, default=2000)
    parser.add_argument("--parts", nargs="+", type=int, default=[200, 500], help="validation images of the random parts")
    parser.add_argument("--draws", type=int, default=20, help="random parts of each size")
    parser.add_argument("--models", type=int, default=16, help="networks searched")
    parser.add_argument("--networks", type=int, default=8, help="networks trained finally")
    parser.add_argument("--epochs", type=int, default=8, help="epochs of the final training")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings for every run")
    parser.add_argument("--program", default="target/release/metaqnn")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("target/ensembles"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    for data in arguments.data:
        runs = [run(arguments, data, seed) for seed in arguments.seeds]
        print(f"\n{data}: test error in per cent (mean size), {len(runs)} seeds, {arguments.networks} networks each")
        print("| validation images | " + " | ".join(RULES) + " |\n|---|" + "---|" * len(RULES))
        for size in [*arguments.parts, arguments.valid_images]:
            cells = []
            for rule in RULES.values():
                found = [outcome(rule, part, test) for valid, test in runs for part in parts(valid, size, arguments.draws)]
                errors, sizes = zip(*found)
                cells.append(f"{100 * numpy.mean(errors):.2f} ({numpy.mean(sizes):.1f})")
            print(f"| {size} | " + " | ".join(cells) + " |", flush=True)


def run(arguments, data, seed):
    """((validation probabilities, labels), (test probabilities, labels)); probabilities are networks × images × classes."""
    name = f"{data}-{seed}"
    arrays, study = arguments.out / f"{name}.npz", arguments.out / f"{name}.study"
    images, labels, test_images, test_labels = data_sets.load(data, arguments.data_dir)
    few = arguments.train_images + arguments.valid_images
    order = numpy.random.default_rng(seed).permutation(len(images))[:few]
    (x_train, y_train), (x_valid, y_valid) = data_sets.divided(images[order], labels[order], arguments.valid_images, seed)
    if not arrays.exists():
        numpy.savez(
            arrays, x_train=x_train, y_train=y_train, x_valid=x_valid, y_valid=y_valid, x_test=test_images, y_test=test_labels
        )
    if not study.exists():
        settings = [*SETTINGS, f"final.training.epochs={arguments.epochs}", *arguments.set]
        call(
            arguments, "search", arrays, "--study", study, "--models", arguments.models, "--seed", seed,
            *(word for setting in settings for word in ("--set", setting)),
        )  # fmt: skip
    call(arguments, "final", study, "--models", arguments.networks)

    with sqlite3.connect(study) as connection:
        rows = connection.execute("SELECT trial, probabilities FROM validation JOIN final USING (trial)").fetchall()
    cached = arguments.out / f"{name}-test.npz"
    if not cached.exists():
        tests = {}
        for trial, _ in rows:
            answer = call(arguments, "evaluate", f"{study}:{trial}", arrays, "--probabilities")
            tests[str(trial)] = numpy.array(answer["probabilities"])
        numpy.savez(cached, **tests)
    tests = numpy.load(cached)
    valid = numpy.stack([numpy.frombuffer(blob, "<f4").reshape(len(y_valid), -1) for _, blob in rows]).astype(float)
    test = numpy.stack([tests[str(trial)] for trial, _ in rows])
    return (valid, y_valid), (test, test_labels)


def call(arguments, *words):
    command = [arguments.program, *map(str, words), "--json"]
    result = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if result.returncode:
        sys.exit(f"{' '.join(command)}\n{result.stderr}")
    return json.loads(result.stdout.splitlines()[-1])


def parts(valid, size, draws):
    """Random parts of the validation images; all of them once, where so many are wanted."""
    probabilities, labels = valid
    if size >= len(labels):
        return [valid]
    draw = numpy.random.default_rng(0)
    chosen = [draw.permutation(len(labels))[:size] for _ in range(draws)]
    return [(probabilities[:, part], labels[part]) for part in chosen]


def accuracy(probabilities, labels):
    return (probabilities.argmax(-1) == labels).mean()


def log_loss(probabilities, labels):
    return -numpy.log(numpy.maximum(probabilities[numpy.arange(len(labels)), labels], 1e-300)).mean()


def by_accuracy(probabilities, labels):
    """What is greater is better; equal accuracies are told apart by the log-loss."""
    return accuracy(probabilities, labels), -log_loss(probabilities, labels)


def by_log_loss(probabilities, labels):
    return (-log_loss(probabilities, labels),)


def ranked(valid, labels):
    return sorted(range(len(valid)), key=lambda network: -accuracy(valid[network], labels))


def best_prefix(score):
    def rule(valid, labels):
        order = ranked(valid, labels)
        return max((order[:k] for k in range(1, len(order) + 1)), key=lambda members: score(valid[members].mean(0), labels))

    return rule


def greedy(score):
    """Selection with replacement, from the best network on: Caruana et al., "Ensemble Selection from Libraries of Models", 2004."""

    def rule(valid, labels):
        members = ranked(valid, labels)[:1]
        best = list(members)
        for _ in range(2 * len(valid)):
            members = max(([*members, network] for network in range(len(valid))), key=lambda m: score(valid[m].mean(0), labels))
            if score(valid[members].mean(0), labels) > score(valid[best].mean(0), labels):
                best = list(members)
        return best

    return rule


RULES = {
    "the best alone": lambda valid, labels: ranked(valid, labels)[:1],
    "best k by accuracy": best_prefix(by_accuracy),
    "best k by log-loss": best_prefix(by_log_loss),
    "greedy by accuracy": greedy(by_accuracy),
    "greedy by log-loss": greedy(by_log_loss),
    "best five": lambda valid, labels: ranked(valid, labels)[:5],
    "all": lambda valid, labels: ranked(valid, labels),
}


def outcome(rule, valid, test):
    """Test error of what a rule chooses, and how many different networks that are."""
    members = rule(*valid)
    return 1 - accuracy(test[0][members].mean(0), test[1]), len(set(members))


if __name__ == "__main__":
    main()
