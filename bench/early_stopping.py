#!/usr/bin/env python3
"""Searches with and without early stopping: what it saves, and what it does to the best network.

    bench/early_stopping.py --data digits --models 100 --seeds 1 2 3
    bench/early_stopping.py --data mnist --models 60 --seeds 1 2 3 --set training.epochs=10 training.train_images=2000
    bench/early_stopping.py --data digits --rules none rank:share=0.5,rungs=[1,2,4,8] prediction:burn_in=20,probability=0.95

Each run is `metaqnn search DATA --models N --seed S --workers 1 --threads 1` without the final phase. A rule is a name and, where they are not
the preset's, settings of the table `[early_stopping]`. Epochs and CPU seconds (of coordinator and worker together) hardly depend on what else the
machine does. A rule that saves epochs may try more networks, so the last columns compare the rules after the same work, in epochs times FLOPs:
that of the rule that took the least with that seed.

Studies stay in --out, and a run that is there already is not repeated. The runs without a rule leave their learning curves as
CSV beside them, for `metaqnn bench early-stop --curves`.
"""

import argparse
import csv
import hashlib
import json
import math
import os
import pathlib
import sqlite3
import statistics
import subprocess
import sys
import tomllib


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="digits")
    parser.add_argument("--data-dir", help="folder of the data sets; default: the program's")
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--models", type=int, default=100)
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3])
    parser.add_argument("--rules", nargs="+", default=["none", "prediction", "rank"], metavar="RULE[:KEY=VALUE,…]")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings for every run")
    parser.add_argument("--max-layers", type=int)
    parser.add_argument("--program", default=os.environ.get("CARGO_TARGET_DIR", "target") + "/release/metaqnn")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("target/early-stopping"))
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    runs = {rule: {seed: run(arguments, rule, seed) for seed in arguments.seeds} for rule in arguments.rules}
    least = {seed: min(runs[rule][seed]["work"][-1] for rule in runs) for seed in arguments.seeds}
    print("| rule | stopped | epochs | CPU s | best validation accuracy | networks, best after the same work |")
    print("|---|---|---|---|---|---|")
    for rule, by_seed in runs.items():
        of = lambda figure: [figure(seed, found) for seed, found in by_seed.items()]
        cells = [
            f"`{rule}`",
            f"{statistics.mean(of(lambda _, found: found['stopped'])):.0f}",
            f"{statistics.mean(of(lambda _, found: found['epochs'])):.0f}",
            f"{statistics.mean(of(lambda _, found: found['cpu_seconds'])):.0f}",
            mean_and_error(of(lambda _, found: found["best"][-1])),
            f"{statistics.mean(of(lambda seed, found: count_within(found, least[seed]))):.0f}, "
            + mean_and_error(of(lambda seed, found: found["best"][count_within(found, least[seed]) - 1])),
        ]
        print("| " + " | ".join(cells) + " |")


def mean_and_error(values):
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{100 * statistics.mean(values):.2f} ({100 * error:.2f})"


def count_within(found, work):
    """Trials that were over when so much work was done; at least one."""
    return max(1, sum(done <= work for done in found["work"]))


def run(arguments, rule, seed):
    name, _, table = rule.partition(":")
    settings = [f"early_stopping.rule={name}"] + [f"early_stopping.{entry}" for entry in split(table)]
    settings += arguments.set + ["final.enabled=false"]
    command = [arguments.program, "search", arguments.data, "--preset", arguments.preset, "--models", str(arguments.models)]
    command += ["--seed", str(seed), "--workers", "1", "--threads", "1", "--json"]
    command += ["--max-layers", str(arguments.max_layers)] if arguments.max_layers else []
    command += ["--data-dir", arguments.data_dir] if arguments.data_dir else []
    for assignment in settings:
        command += ["--set", assignment]
    key = hashlib.sha256(json.dumps(command[1:]).encode()).hexdigest()[:12]
    study = arguments.out / f"{pathlib.Path(arguments.data).name}-{name}-{seed}-{key}.study"
    cost = study.with_suffix(".cpu")
    if not cost.exists():
        for stale in arguments.out.glob(study.name + "*"):
            stale.unlink()
        with open(study.with_suffix(".log"), "w") as log:
            process = subprocess.Popen(command + ["--study", str(study)], stdout=subprocess.DEVNULL, stderr=log)
            # With the time of the worker, which the coordinator has waited for.
            _, status, usage = os.wait4(process.pid, 0)
        if os.waitstatus_to_exitcode(status) != 0:
            sys.exit(f"{' '.join(command)} failed, see {study.with_suffix('.log')}")
        cost.write_text(f"{usage.ru_utime + usage.ru_stime}\n")
    found = read(study) | {"cpu_seconds": float(cost.read_text())}
    if name == "none":
        write_curves(study)
    print(f"{rule}, seed {seed}: {found['epochs']} epochs, best {found['best'][-1]:.4f}", file=sys.stderr, flush=True)
    return found


def split(table):
    """`a=1,b=[1,2]` at the commas that are in no brackets."""
    parts, depth = [""], 0
    for letter in table:
        depth += {"[": 1, "]": -1}.get(letter, 0)
        if letter == "," and depth == 0:
            parts.append("")
        else:
            parts[-1] += letter
    return [part for part in parts if part]


def read(study):
    with sqlite3.connect(study) as connection:
        rows = connection.execute(
            "SELECT state, coalesce(valid_accuracy, 0.0), epochs, flops FROM trial JOIN event USING (trial)"
            " WHERE event.kind = 'trial' ORDER BY event"
        ).fetchall()
    best, work = [], []
    for _, accuracy, epochs, flops in rows:
        best.append(max(accuracy, best[-1] if best else 0.0))
        work.append(epochs * flops + (work[-1] if work else 0))
    return {
        "stopped": sum(state == "pruned" for state, *_ in rows),
        "epochs": sum(epochs for _, _, epochs, _ in rows),
        "best": best,
        "work": work,
    }


def write_curves(study):
    """The curves of the networks that learned, in the columns of `metaqnn bench early-stop`."""
    with sqlite3.connect(study) as connection:
        (settings,) = connection.execute("SELECT settings FROM study").fetchone()
        trials = connection.execute("SELECT trial, architecture, params, tries FROM trial WHERE state = 'complete'").fetchall()
        curves = [
            [accuracy for (accuracy,) in connection.execute("SELECT valid_accuracy FROM curve WHERE trial = ? ORDER BY epoch", (trial,))]
            for trial, *_ in trials
        ]
    training = tomllib.loads(settings)["training"]
    with open(study.with_suffix(".csv"), "w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["net", "num_params", "depth", "lr"] + [f"acc_{epoch + 1}" for epoch in range(max(map(len, curves)))])
        for (_, architecture, params, tries), curve in zip(trials, curves):
            rate = training["learning_rate"] * training["restart"]["factor"] ** (tries - 1)
            # Layers with their own parentheses, the softmax not counted.
            table.writerow([architecture, params, architecture.count("(") - 1, rate] + curve)


if __name__ == "__main__":
    main()
