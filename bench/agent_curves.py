#!/usr/bin/env python3
"""Best validation accuracy against models trained, of several agents with real trainings.

    bench/agent_curves.py --data digits --models 50 --seeds 1 2 3 4 5
    bench/agent_curves.py --data mnist --models 50 --seeds 1 2 3 4 5 --set training.train_images=8000 training.valid_images=2000

Each run is `metaqnn search DATA --models N --agent A --seed S` with one worker of one thread and without final training, so what is
compared is what an agent makes of N models; the trainer, the space and a seed's images are the same for all, and how busy the
machine is does not matter. From `metaqnn log --json` it takes the best validation accuracy after each model that the agent
learned of, prints its mean over the seeds at a few numbers of models, and the area under that curve: the mean over models 1 to N of the best
accuracy so far, so that 1 would be a perfect network from the first model on. The last table gives the difference of the
area to the first agent's, seed by seed, with its standard error. Runs whose result is in --out are not repeated.
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

HERE = pathlib.Path(__file__).resolve().parent


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    target = os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")
    parser.add_argument("--program", default=str(pathlib.Path(target) / "release" / "metaqnn"))
    parser.add_argument("--data", default="digits", help="(%(default)s)")
    parser.add_argument("--data-dir", help="folder of the data sets; default: the program's")
    parser.add_argument("--models", type=int, default=50, help="of each search (%(default)s)")
    parser.add_argument("--seeds", nargs="+", type=int, default=[1, 2, 3, 4, 5])
    parser.add_argument("--agents", nargs="+", default=["default", "paper", "evolution", "random"])
    parser.add_argument("--at", nargs="+", type=int, default=[5, 10, 20, 30, 40, 50], help="models at which means are printed")
    parser.add_argument("--at-once", type=int, default=2, help="searches at the same time (%(default)s)")
    parser.add_argument("--set", nargs="*", default=[], metavar="KEY=VALUE", help="settings of every search")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("target/agent-curves"), help="studies (%(default)s)")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)

    # Seed by seed, so that a comparison that is cut short is one over fewer seeds.
    runs = [(agent, seed) for seed in arguments.seeds for agent in arguments.agents]
    with concurrent.futures.ThreadPoolExecutor(arguments.at_once) as pool:
        curves = dict(zip(runs, pool.map(lambda run: best_so_far(arguments, *run), runs)))
    report(arguments, curves)


def best_so_far(arguments, agent, seed):
    """The best validation accuracy after 1, 2, … models."""
    study = arguments.out / f"{pathlib.Path(arguments.data).name}-{arguments.models}-{agent}-{seed}.study"
    finished = study.with_suffix(".json")
    if not finished.exists():
        for stale in arguments.out.glob(f"{study.name}*"):
            stale.unlink()
        command = [arguments.program, "search", arguments.data, "--models", str(arguments.models), "--agent", agent]
        command += ["--seed", str(seed), "--study", str(study), "--workers", "1", "--threads", "1", "--json"]
        command += ["--data-dir", arguments.data_dir] if arguments.data_dir else []
        for assignment in ["final.enabled=false", *arguments.set]:
            command += ["--set", assignment]
        result = run(command).splitlines()[-1]
        finished.write_text(result + "\n")
        print(f"{agent}, seed {seed}: {100 * json.loads(result)['best']['valid_accuracy']:.2f} %", file=sys.stderr, flush=True)
    best, curve, seen = 0.0, [], set()
    for line in run([arguments.program, "log", str(study), "--json"]).splitlines():
        trial = json.loads(line)
        # An architecture met again and one over a limit are no further models.
        if trial["architecture"] in seen or trial["state"] not in ("complete", "pruned", "failed") or not trial["epochs"]:
            continue
        seen.add(trial["architecture"])
        if trial["state"] == "complete":
            best = max(best, trial["valid_accuracy"])
        curve.append(best)
    return curve[: arguments.models]


def run(command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    if done.returncode != 0:
        raise SystemExit(f"error: {' '.join(command)} failed:\n{done.stderr}")
    return done.stdout


def mean_and_error(values):
    error = statistics.stdev(values) / math.sqrt(len(values)) if len(values) > 1 else float("nan")
    return f"{100 * statistics.mean(values):.2f} ± {100 * error:.2f}"


def report(arguments, curves):
    of = lambda agent: [curves[agent, seed] for seed in arguments.seeds]
    at = [models for models in arguments.at if models <= arguments.models]
    print(f"{arguments.data}, {arguments.models} models, seeds {' '.join(map(str, arguments.seeds))}: per cent, mean ± standard error")
    print("| agent | " + " | ".join(f"best of {models}" for models in at) + " | area | area beside the first agent's |")
    print("|---|" + "---|" * (len(at) + 2))
    area = {run: statistics.mean(curve) for run, curve in curves.items()}
    for agent in arguments.agents:
        cells = [mean_and_error([curve[min(models, len(curve)) - 1] for curve in of(agent)]) for models in at]
        cells.append(mean_and_error([area[agent, seed] for seed in arguments.seeds]))
        differences = [area[agent, seed] - area[arguments.agents[0], seed] for seed in arguments.seeds]
        cells.append("" if agent == arguments.agents[0] else mean_and_error(differences))
        print(f"| `{agent}` | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
