#!/usr/bin/env python3
"""Whole searches, from data to test error, of several agents over several seeds.

    bench/search_runs.py --data mnist cifar10 --budget 10m --seeds 1 2 3
    bench/search_runs.py --data cifar10 --budget 10m --seeds 1 2 3 --agents default random --side-by-side

Each run is `metaqnn search DATA --budget B --seed S --agent A`. With --side-by-side the agents of a seed run at the same
time, each with one worker of one thread, so that whatever else the machine does touches them alike; without it one run
follows the other, each with the workers that the program chooses. Studies and output stay in --out; a run whose result
is there already is not repeated.
"""

import argparse
import json
import math
import pathlib
import statistics
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["mnist", "fashion-mnist", "cifar10"])
    parser.add_argument("--data-dir", help="folder of the data sets; default: the program's")
    parser.add_argument("--budget", default="10m")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--agents", nargs="+", default=["default"])
    parser.add_argument("--side-by-side", action="store_true", help="the agents of a seed at once, one core each")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings for every run")
    parser.add_argument("--program", default="target/release/metaqnn")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("target/search-runs"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    for data in arguments.data:
        for seed in arguments.seeds:
            group = []
            for agent in arguments.agents:
                process = start(arguments, data, seed, agent)
                if process and not arguments.side_by_side:
                    process.wait()
                group.append(process)
            for process in filter(None, group):
                process.wait()
            for agent in arguments.agents:
                print(line(arguments, data, seed, agent), file=sys.stderr, flush=True)
    for data in arguments.data:
        print(f"\n{data}, budget {arguments.budget}: test error in per cent")
        for agent in arguments.agents:
            results = [result(arguments, data, seed, agent) for seed in arguments.seeds]
            errors = [100 * (1 - r["test_accuracy"]) for r in results if r and r.get("test_accuracy") is not None]
            if not errors:
                print(f"  {agent:<14} no result")
                continue
            spread = statistics.stdev(errors) / math.sqrt(len(errors)) if len(errors) > 1 else float("nan")
            single = " ".join(f"{error:.2f}" for error in errors)
            print(f"  {agent:<14} {single}   mean {statistics.mean(errors):.2f}, standard error {spread:.2f}")


def name_of(arguments, data, seed, agent):
    cores = "-one-core" if arguments.side_by_side else ""
    return f"{pathlib.Path(data).name}-{arguments.budget}-{agent}-{seed}{cores}"


def start(arguments, data, seed, agent):
    """Starts a run; None where its result is there."""
    if result(arguments, data, seed, agent):
        return None
    name = name_of(arguments, data, seed, agent)
    study = arguments.out / f"{name}.study"
    for stale in arguments.out.glob(f"{name}.study*"):
        stale.unlink()
    command = [arguments.program, "search", data, "--budget", arguments.budget, "--seed", str(seed)]
    command += ["--agent", agent, "--study", str(study), "--json"]
    if arguments.data_dir:
        command += ["--data-dir", arguments.data_dir]
    if arguments.side_by_side:
        command += ["--workers", "1", "--threads", "1"]
    for assignment in arguments.set:
        command += ["--set", assignment]
    with open(arguments.out / f"{name}.json", "w") as out, open(arguments.out / f"{name}.log", "w") as log:
        return subprocess.Popen(command, stdout=out, stderr=log)


def result(arguments, data, seed, agent):
    path = arguments.out / f"{name_of(arguments, data, seed, agent)}.json"
    lines = path.read_text().splitlines() if path.exists() else []
    return json.loads(lines[-1]) if lines else None


def line(arguments, data, seed, agent):
    r = result(arguments, data, seed, agent)
    if not r:
        return f"{data} seed {seed} {agent}: no result, see {arguments.out}"
    error = "none" if r.get("test_accuracy") is None else f"{100 * (1 - r['test_accuracy']):.2f} %"
    best = r["best"]
    return (
        f"{data} seed {seed} {agent}: test error {error}, {r['models']} models, {r['failed']} failed, "
        f"{r['wall_seconds']:.0f} s, {best['flops'] / 1e6:.1f} MFLOPs, {best['architecture']}"
    )


if __name__ == "__main__":
    main()
