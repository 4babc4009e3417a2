#!/usr/bin/env python3
"""Training steps of two builds of metaqnn beside each other, network by network, in turn: A B A B.

    python bench/compare_programs.py BEFORE AFTER --out figures.json

For changes that must not make training slower. A ratio is AFTER's time over BEFORE's, so above 1 AFTER is slower; with one thread it is of CPU
times, with more of wall times; of the repeats the least counts. The networks are those of bench/compare_training.py. Needs the standard library
alone. The exit status is 1 where the geometric mean or a network is above its limit.
"""

import argparse
import json
import sys
from pathlib import Path

from compare_training import LISTS, Metaqnn, draw, from_file, geometric_mean


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("before", metavar="BEFORE", help="a built program")
    parser.add_argument("after", metavar="AFTER", help="another one")
    parser.add_argument("--list", choices=LISTS, default="report", help="(%(default)s)")
    parser.add_argument("--list-file", metavar="FILE", help="as bench/compare_training.py reads it, instead of drawing")
    parser.add_argument("--preset", default="paper", help="of --list-file: batch and optimizer (%(default)s)")
    parser.add_argument("--networks", type=int, default=6, help="of each preset and input (%(default)s)")
    parser.add_argument("--seconds", type=float, default=1.0, help="of a run, about (%(default)s)")
    parser.add_argument("--repeats", type=int, default=5, help="pairs for each network (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--most-mean", type=float, default=1.01, help="limit of the geometric mean (%(default)s)")
    parser.add_argument("--most", type=float, default=1.03, help="limit of each network (%(default)s)")
    parser.add_argument("--out", metavar="FILE.json", help="all figures")
    options = parser.parse_args()
    options.seeds, options.min_gflop, options.max_gflop = LISTS[options.list], 0.02, 150.0
    return options


def main():
    options = arguments()
    programs = {"before": Metaqnn(options.before), "after": Metaqnn(options.after)}
    # Both must know the networks; the older one is asked.
    first = programs["before"]
    networks = from_file(first, options.list_file, options.preset) if options.list_file else draw(first, options)
    key = "cpu_seconds_per_step" if options.threads == 1 else "wall_seconds_per_step"
    rows = []
    print(f"{'ratio':>6} {'memory':>6}  network", flush=True)
    for network in networks:
        runs = {name: [] for name in programs}
        steps = network.steps(options.seconds)
        for _ in range(options.repeats):
            for name, program in programs.items():
                done = program.measure(network, steps, options.threads, "cpu")
                if done.returncode != 0:
                    raise SystemExit(f"error: {name} failed on {network.architecture}:\n{done.stderr}")
                runs[name].append(json.loads(done.stdout))
        least = {name: min(run[key] for run in of) for name, of in runs.items()}
        memory = {name: min(run["peak_memory_bytes"] for run in of) for name, of in runs.items()}
        row = network.describe() | {"seconds_per_step": least, "peak_memory_bytes": memory}
        row["ratio"] = least["after"] / least["before"]
        row["memory_ratio"] = memory["after"] / memory["before"]
        rows.append(row)
        norm = "norm" if network.norm else "plain"
        print(f"{row['ratio']:6.3f} {row['memory_ratio']:6.3f}  {network.input} {norm} {network.architecture}", flush=True)
        if options.out:
            Path(options.out).write_text(json.dumps(rows, indent=1) + "\n")
    ratios = [row["ratio"] for row in rows]
    mean = geometric_mean(ratios)
    memory = geometric_mean([row["memory_ratio"] for row in rows])
    print(f"after / before: geometric mean {mean:.3f}, least {min(ratios):.3f}, most {max(ratios):.3f}; memory {memory:.3f}")
    sys.exit(mean > options.most_mean or max(ratios) > options.most)


if __name__ == "__main__":
    main()
