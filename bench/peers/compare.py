#!/usr/bin/env python3
"""metaqnn beside what one would take instead, on the same data with the same wall-clock budget and threads.

    bench/.venv/bin/python bench/peers/compare.py --data mnist fashion-mnist cifar10 --budgets 600 1800 --seeds 1 2 3

One run follows the other, the contestants of a seed in turn; with --at-once N so many run at the same time, each with its own --threads: the contestants
of a seed beside each other, so that whatever else the machine does touches them alike. Budgets are in seconds and hold search and final training, not the test. Prints a table in
Markdown: test error in per cent, mean of the seeds with its standard error. A run whose result is in --out is not repeated, so that
an interrupted comparison goes on. A peer whose packages are missing is named and left out. See bench/README.md for what to install.
"""

import argparse
import concurrent.futures
import json
import math
import os
import pathlib
import statistics
import subprocess
import sys
import time

import data_sets
import peer

HERE = pathlib.Path(__file__).resolve().parent
PEERS = {
    "hand-made, PyTorch": ("torch", ["hand_made.py"]),
    "Optuna (random) + PyTorch": ("optuna", ["optuna_search.py", "--sampler", "random"]),
    "Optuna (tpe) + PyTorch": ("optuna", ["optuna_search.py", "--sampler", "tpe"]),
    "AutoKeras": ("autokeras", ["autokeras_search.py"]),
}
OURS = "metaqnn"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", choices=data_sets.NAMES, default=data_sets.NAMES)
    parser.add_argument("--data-dir", type=pathlib.Path, default=data_sets.default_folder(), help="(%(default)s)")
    parser.add_argument("--budgets", nargs="+", type=int, default=[600], metavar="SECONDS")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--at-once", type=int, default=1, help="runs at the same time (%(default)s)")
    parser.add_argument("--contestants", nargs="+", choices=[OURS, *PEERS], default=[OURS, *PEERS])
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parents[1] / "target"))
    parser.add_argument("--metaqnn", default=target / "release/metaqnn", help="(%(default)s)")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch and optuna (%(default)s)")
    parser.add_argument("--autokeras-python", help="a Python with autokeras, where that is another")
    parser.add_argument("--out", type=pathlib.Path, default=target / "peers")
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    contestants = [name for name in options.contestants if name == OURS or installed(options, name)]
    for budget in options.budgets:
        runs = [(name, data, budget, seed) for data in options.data for seed in options.seeds for name in contestants]
        with concurrent.futures.ThreadPoolExecutor(options.at_once) as pool:
            for (name, data, _, seed), result in zip(runs, pool.map(lambda it: run(options, *it), runs)):
                print(f"{data}, {budget} s, seed {seed}, {name}: {error(result)}", file=sys.stderr, flush=True)
        print(table(options, contestants, budget))


def python_of(options, name: str) -> str:
    return options.autokeras_python or options.python if name == "AutoKeras" else options.python


def installed(options, name: str) -> bool:
    module = PEERS[name][0]
    there = subprocess.run([python_of(options, name), "-c", f"import importlib.util as u, sys; sys.exit(u.find_spec('{module}') is None)"])
    if there.returncode:
        print(f"left out: {name}, as {module} is not installed", file=sys.stderr)
    return there.returncode == 0


def file_of(options, name: str, data: str, budget: int, seed: int) -> pathlib.Path:
    word = "".join(character if character.isalnum() else "-" for character in name.lower())
    return options.out / f"{data}-{budget}-{seed}-{options.threads}-{word}.json"


def run(options, name: str, data: str, budget: int, seed: int) -> dict:
    file = file_of(options, name, data, budget, seed)
    if file.exists():
        return json.loads(file.read_text())
    common = ["--data-dir", str(options.data_dir), "--seed", str(seed)]
    if name == OURS:
        study = file.with_suffix(".study")
        study.unlink(missing_ok=True)
        # Trials run beside each other, one a thread; the final training has all threads.
        workers = ["--workers", str(options.threads), "--threads", "1"]
        command = [str(options.metaqnn), "search", data, "--budget", f"{budget}s", "--study", str(study), "--json", *workers, *common]
    else:
        command = [python_of(options, name), str(HERE / PEERS[name][1][0]), *PEERS[name][1][1:], "--data", data, "--seconds", str(budget)]
        command += ["--threads", str(options.threads), *common]
    began = time.monotonic()
    with file.with_suffix(".log").open("w") as log:
        done = subprocess.run(command, stdout=subprocess.PIPE, stderr=log, text=True, env=peer.environment(options.threads))
    lines = done.stdout.strip().splitlines()
    if done.returncode or not lines:
        return {"problem": f"exit status {done.returncode}, see {log.name}"}
    result = json.loads(lines[-1]) | {"whole_seconds": round(time.monotonic() - began, 1)}
    file.write_text(json.dumps(result))
    return result


def error(result: dict) -> str:
    if "problem" in result:
        return result["problem"]
    return f"test error {100 * (1 - result['test_accuracy']):.2f} %, {result['whole_seconds']} s, {result['models']} networks"


def threads(count: int) -> str:
    return f"{count} thread" + "s" * (count != 1)


def table(options, contestants: list[str], budget: int) -> str:
    lines = [f"| {budget / 60:g} minutes, {threads(options.threads)} | " + " | ".join(options.data) + " |", "|---" * (len(options.data) + 1) + "|"]
    for name in contestants:
        cells = []
        for data in options.data:
            files = [file_of(options, name, data, budget, seed) for seed in options.seeds]
            errors = [100 * (1 - json.loads(file.read_text())["test_accuracy"]) for file in files if file.exists()]
            if len(errors) > 1:
                cells.append(f"{statistics.mean(errors):.2f} ± {statistics.stdev(errors) / math.sqrt(len(errors)):.2f}")
            else:
                cells.append(f"{errors[0]:.2f}" if errors else "–")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
