#!/usr/bin/env python3
"""Compares the figures of `metaqnn report --figures` with numbers recomputed from `log --json` and `qvalues --json`.

    tools/check_report.py METAQNN STUDY

METAQNN is the program. Nothing of the report's code is used: means and counts at each epsilon, the histogram, the Pareto fronts and the
mean Q-values by depth are computed anew. Exit status 1 where a number differs by more than 1e-9.
"""

import csv
import json
import re
import subprocess
import sys
import tempfile
from collections import defaultdict
from pathlib import Path

BINS = 20


def lines(program, *arguments):
    output = subprocess.run([program, *arguments, "--json"], check=True, capture_output=True, text=True).stdout
    return [json.loads(line) for line in output.splitlines()]


def table(folder, name):
    with open(folder / f"{name}.csv", newline="") as file:
        return list(csv.DictReader(file))


def equal(what, found, expected):
    if abs(float(found) - float(expected)) > 1e-9:
        sys.exit(f"{what}: the report has {found}, recomputed it is {expected}")


def models(log, classes):
    """Trial, epsilon and reward of every model that the agent was told of."""
    for trial in log:
        failure = trial["failure"] or ""
        if trial["state"] != "failed":
            yield trial["trial"], trial["epsilon"], trial["valid_accuracy"]
        elif not failure.startswith(("over the limit", "the worker")):
            yield trial["trial"], trial["epsilon"], 1 / classes


def check_accuracy(folder, told):
    rows = table(folder, "accuracy")
    equal("models", len(rows), len(told))
    window = min(max(len(told) // 5, 5), 100)
    for place, (row, (trial, epsilon, accuracy)) in enumerate(zip(rows, told)):
        equal(f"trial of model {place + 1}", row["trial"], trial)
        equal(f"epsilon of trial {trial}", row["epsilon"], epsilon)
        equal(f"accuracy of trial {trial}", row["accuracy"], accuracy)
        if place + 1 >= window:
            mean = sum(model[2] for model in told[place + 1 - window : place + 1]) / window
            equal(f"rolling mean at model {place + 1}", row["rolling_mean"], mean)
    return len(rows)


def check_histograms(folder, told):
    groups = defaultdict(list)
    for _, epsilon, accuracy in told:
        groups[epsilon].append(accuracy)
    rows = table(folder, "histograms")
    equal("rows of the histograms", len(rows), BINS * len(groups))
    for row in rows:
        accuracies = groups[float(row["epsilon"])]
        low, high = float(row["from"]), float(row["to"])
        count = sum(low <= a + 1e-10 and (a + 1e-10 < high or high == 1) for a in accuracies)
        equal(f"models at epsilon {row['epsilon']}", row["models"], len(accuracies))
        equal(f"mean at epsilon {row['epsilon']}", row["mean"], sum(accuracies) / len(accuracies))
        equal(f"models from {low} to {high} at epsilon {row['epsilon']}", row["count"], count)
    return len(rows)


def check_front(folder, log, name, key):
    learned = {t["trial"]: (t[key], 1 - t["valid_accuracy"]) for t in log if t["valid_accuracy"] is not None}
    rows = table(folder, name)
    equal(f"rows of {name}", len(rows), len(learned))
    for row in rows:
        cost, error = learned[int(row["trial"])]
        equal(f"{key} of trial {row['trial']}", row["cost"], cost)
        equal(f"error of trial {row['trial']}", row["valid_error"], error)
        if row["on_front"] == "1":
            beaten = any(c <= cost and e <= error and (c, e) != (cost, error) for c, e in learned.values())
            equal(f"trial {row['trial']} on the front of {name}: beaten", beaten, False)
    return len(rows)


def check_q_values(folder, entries):
    sums = {"q-by-layer": defaultdict(list), "q-by-convolution": defaultdict(list)}
    for entry in entries:
        if entry["updates"] == 0:
            continue
        depth = re.match(r"(\d+):", entry["state"])
        depth = 1 + (int(depth[1]) if depth else 0)
        layer = re.match(r"[A-Z]+", entry["action"])[0]
        sums["q-by-layer"][layer, depth].append(entry["q_value"])
        if layer == "C":
            size = entry["action"][2:-1].split(",")[1]
            sums["q-by-convolution"][f"C {size}×{size}", depth].append(entry["q_value"])
    checked = 0
    for name, expected in sums.items():
        rows = table(folder, name) if expected else []
        equal(f"rows of {name}", len(rows), len(expected))
        for row in rows:
            values = expected[row["layer"], int(row["layer_depth"])]
            equal(f"{name}, {row['layer']} at depth {row['layer_depth']}", row["mean_q_value"], sum(values) / len(values))
            equal(f"{name}, pairs of {row['layer']} at depth {row['layer_depth']}", row["pairs"], len(values))
        checked += len(rows)
    return checked


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, study = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "figures"
        out = Path(scratch) / "report.html"
        subprocess.run([program, "report", study, "--out", out, "--figures", folder], check=True, capture_output=True)
        log = lines(program, "log", study)
        classes = lines(program, "show", study)[0]["classes"]
        told = list(models(log, classes))
        checked = check_accuracy(folder, told) + check_histograms(folder, told)
        checked += check_front(folder, log, "error-by-params", "params")
        checked += check_front(folder, log, "error-by-flops", "flops")
        checked += check_q_values(folder, lines(program, "qvalues", study))
    print(f"{study}: {checked} rows of the figures agree with the log")


if __name__ == "__main__":
    main()
