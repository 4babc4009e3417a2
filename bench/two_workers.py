#!/usr/bin/env python3
"""Models an hour with two workers against one.

    cargo build --release
    python bench/two_workers.py --data mnist --models 20

Runs `metaqnn search` with a fixed number of models, one thread a worker and without final training, with one worker and with two in turn
(1 2 2 1 …), and prints the ratio of models an hour; at least 1.9 is aimed at. The agent is `random`, so that both train networks of one
distribution. Where the runs trained other networks, the nominal operations an hour are compared too. Wall time is measured, so nothing else may run on
the machine; the CPU seconds tell whether a worker was held up by other programs (CPU seconds well below workers × wall seconds) or the two by each
other (more CPU seconds for the same work).
"""

import argparse
import json
import os
import resource
import statistics
import subprocess
import tempfile
from pathlib import Path

HERE = Path(__file__).resolve().parent


def run(command: list[str]) -> list[dict]:
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"error: {' '.join(command)} failed:\n{done.stderr}")
    return [json.loads(line) for line in done.stdout.splitlines()]


def cpu_seconds_of_children() -> float:
    """CPU seconds of the programs that this one started and that ended, and of theirs."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def search(options, workers: int, study: Path) -> dict:
    """One search: models and nominal operations an hour, and the networks."""
    command = [options.metaqnn, "search", options.data, "--json", "--study", str(study), "--models", str(options.models)]
    command += ["--workers", str(workers), "--threads", "1", "--agent", "random", "--seed", str(options.seed)]
    command += ["--set", "final.enabled=false", "--preset", options.preset]
    for assignment in options.set:
        command += ["--set", assignment]
    cpu_before = cpu_seconds_of_children()
    result = run(command)[-1]
    cpu_seconds = cpu_seconds_of_children() - cpu_before
    trials = [trial for trial in run([options.metaqnn, "log", str(study), "--json"]) if trial["epochs"]]
    hours = result["wall_seconds"] / 3600
    return {
        "workers": workers,
        "wall_seconds": result["wall_seconds"],
        "cpu_seconds": cpu_seconds,
        "models": result["models"],
        "models_per_hour": result["models"] / hours,
        # For one image and epoch: enough for a ratio.
        "flops_per_hour": sum(trial["flops"] * trial["epochs"] for trial in trials) / hours,
        "train_seconds": sum(trial["train_seconds"] for trial in trials),
        "architectures": sorted(trial["architecture"] for trial in trials),
        "load_average": os.getloadavg()[0],
    }


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")
    parser.add_argument("--metaqnn", default=str(Path(target) / "release" / "metaqnn"), metavar="PROGRAM", help="(%(default)s)")
    parser.add_argument("--data", default="mnist", help="(%(default)s)")
    parser.add_argument("--preset", choices=["quick", "paper"], default="quick", help="(%(default)s)")
    parser.add_argument("--models", type=int, default=20, help="of each search (%(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--repeats", type=int, default=2, help="searches with each number of workers (%(default)s)")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="a setting of the searches")
    parser.add_argument("--out", metavar="FILE.json", help="all figures")
    options = parser.parse_args()
    runs = []
    order = [workers for repeat in range(options.repeats) for workers in ((1, 2) if repeat % 2 == 0 else (2, 1))]
    with tempfile.TemporaryDirectory() as folder:
        for number, workers in enumerate(order):
            figures = search(options, workers, Path(folder) / f"{number}.study")
            runs.append(figures)
            print(
                f"{workers} worker{'s' if workers > 1 else ' '}: {figures['models']} models in {figures['wall_seconds']:.1f} s, "
                f"{figures['models_per_hour']:.0f} models/h; {figures['cpu_seconds']:.1f} CPU seconds, "
                f"load {figures['load_average']:.1f}",
                flush=True,
            )

    def ratio(key: str) -> float:
        by_workers = [statistics.median(run[key] for run in runs if run["workers"] == workers) for workers in (1, 2)]
        return by_workers[1] / by_workers[0]

    result = {"models_per_hour_ratio": ratio("models_per_hour"), "flops_per_hour_ratio": ratio("flops_per_hour")}
    print(f"models an hour, two workers over one: {result['models_per_hour_ratio']:.2f} (aim: at least 1.9)")
    if any(run["architectures"] != runs[0]["architectures"] for run in runs):
        print(f"the searches trained other networks; nominal operations an hour, likewise: {result['flops_per_hour_ratio']:.2f}")
    if options.out:
        Path(options.out).write_text(json.dumps(result | {"runs": runs}, indent=1) + "\n")


if __name__ == "__main__":
    main()
