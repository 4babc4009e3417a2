#!/usr/bin/env python3
"""Training steps of metaqnn beside PyTorch's, network by network, in turn: A B A B.

    cargo build --release
    python bench/compare_training.py --out figures.json

The ratio of a network is PyTorch's time over metaqnn's, so above 1 metaqnn is faster. With one thread it is of CPU times, which other
programs on the machine hardly change; with more threads of wall times. Of the repeats the least counts, of PyTorch's two layouts the
better. Needs the built program, and a Python with torch for bench/pytorch.py (--python); for itself only the standard library.

The networks are drawn by `metaqnn space sample` with the seeds of a list, for both presets and three inputs, and then chosen in turn from
strata: where most FLOPs are (3×3, 5×5, 1×1 and FC), and wide or narrow; alternately with the preset's choice of batch normalization and the
other. `report` is the list for reported figures, `tuning` the one to try things on: no network is tuned on what it is judged by.
"""

import argparse
import datetime
import json
import math
import os
import platform
import re
import statistics
import subprocess
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).resolve().parent

# Seeds from which those of `space sample` are made, 10 × seed + the number of preset and input; the lists share none.
LISTS = {"report": [20170424, 161102167], "tuning": [1, 2]}
PRESETS = ["quick", "paper"]
INPUTS = ["1x8x8", "1x28x28", "3x32x32"]
# The example by which the aim was set.
EXAMPLE = ("paper", "1x28x28", False, "[C(64,3,1), C(64,3,1), P(2,2), C(128,3,1), P(2,2), C(128,3,1), GAP(10), SM(10)]")
SAMPLED = 300
# Mean output channels, weighted by FLOPs, from which a network counts as wide.
WIDE = 128
# Peaks of memory are compared from this many bytes on; below, what the allocators take at once is all there is to see.
LEAST_MEMORY = 16 << 20
STRATA = ["3x3", "5x5", "1x1 and FC"]
# The speed that the number of steps of a run is reckoned with, in GFLOP/s.
RECKONED_GFLOPS = 50.0


class Network:
    """A network to be measured: preset, input, batch normalization, notation, and what `space check` says of it."""

    def __init__(self, preset: dict, shape: str, norm: bool, architecture: str, params: int | None, flops: int):
        self.preset, self.input, self.norm, self.architecture = preset["name"], shape, norm, architecture
        self.batch, self.learning_rate = preset["batch_size"], preset["learning_rate"]
        self.params, self.flops = params, flops
        by_stratum, self.channels = costs(architecture, shape)
        if sum(by_stratum.values()) != flops:
            raise SystemExit(f"error: {architecture} on {shape} has {sum(by_stratum.values())} FLOPs here, {flops} in metaqnn")
        self.stratum = max(STRATA, key=by_stratum.get)

    @property
    def gflop(self) -> float:
        """Nominal 10⁹ floating-point operations of a step: forward, and twice as many backward."""
        return 3 * self.flops * self.batch / 1e9

    def steps(self, seconds: float) -> int:
        """Steps of a run that takes about so long."""
        return max(2, min(50, round(seconds * RECKONED_GFLOPS / self.gflop)))

    def describe(self) -> dict:
        names = ["preset", "input", "norm", "architecture", "batch", "params", "flops", "stratum", "channels"]
        return {name: getattr(self, name) for name in names}


def costs(architecture: str, shape: str) -> tuple[dict, float]:
    """Forward FLOPs by stratum, and the mean output channels weighted by FLOPs."""
    channels, height, width = (int(side) for side in shape.split("x"))
    by_stratum, weighted, flat, averaged = dict.fromkeys(STRATA, 0), 0, None, False
    layers = [(kind, [int(n) for n in numbers.split(",")]) for kind, numbers in re.findall(r"([A-Z]+)\(([\d,]+)\)", architecture)]
    classes = layers[-1][1][0]

    def add(kernel: int, flops: int, outputs: int):
        nonlocal weighted
        by_stratum["1x1 and FC" if kernel == 1 else f"{kernel}x{kernel}"] += flops
        weighted += flops * outputs

    for kind, numbers in layers:
        if kind == "C":
            outputs, kernel, stride = numbers
            height, width = -(-height // stride), -(-width // stride)
            add(kernel, 2 * channels * outputs * kernel * kernel * height * width, outputs)
            channels = outputs
        elif kind in ("P", "A"):
            window, stride = numbers
            height, width = (height - window) // stride + 1, (width - window) // stride + 1
        elif kind == "GAP":
            add(1, 2 * channels * classes * height * width, classes)
            averaged = True
        elif kind == "FC" or kind == "SM" and not averaged:
            inputs = flat or channels * height * width
            add(1, 2 * inputs * numbers[0], numbers[0])
            flat = numbers[0]
    return by_stratum, weighted / max(1, sum(by_stratum.values()))


class Metaqnn:
    """The program."""

    def __init__(self, program: str):
        self.program = program

    def run(self, *arguments: str, text: str | None = None, check: bool = True) -> subprocess.CompletedProcess:
        done = subprocess.run([self.program, *arguments], input=text, capture_output=True, text=True)
        if check and done.returncode != 0:
            raise SystemExit(f"error: {self.program} {' '.join(arguments)} failed:\n{done.stderr}")
        return done

    def preset(self, name: str) -> dict:
        training = tomllib.loads(self.run("config", "--preset", name).stdout)["training"]
        return training | {"name": name}

    def sample(self, preset: dict, shape: str, seed: int) -> list[str]:
        arguments = ["--preset", preset["name"], "--input", shape, "--seed", str(seed)]
        return list(dict.fromkeys(self.run("space", "sample", str(SAMPLED), *arguments).stdout.splitlines()))

    def check(self, preset: dict, shape: str, norm: bool, architectures: list[str]) -> list[Network]:
        """The networks of the architectures that are legal."""
        arguments = ["--preset", preset["name"], "--input", shape, "--set", f"training.batch_norm={str(norm).lower()}", "--json"]
        # Its status says whether all are legal.
        done = self.run("space", "check", "-", *arguments, text="\n".join(architectures), check=False)
        lines = [json.loads(line) for line in done.stdout.splitlines()]
        if len(lines) != len(architectures):
            raise SystemExit(f"error: `space check` failed:\n{done.stderr}")
        return [Network(preset, shape, norm, l["architecture"], l["params"], l["flops"]) for l in lines if l["legal"]]

    def measure(self, network: Network, steps: int, threads: int, device: str) -> subprocess.CompletedProcess:
        return self.run(
            "bench", "train", "--json", "--arch", network.architecture, "--input", network.input,
            "--norm", "on" if network.norm else "off", "--batch", str(network.batch), "--steps", str(steps),
            "--threads", str(threads), "--preset", network.preset, "--device", device, check=False,
        )  # fmt: skip


class PyTorch:
    """bench/pytorch.py, answering one network after the other; it measures each in a process of its own."""

    def __init__(self, python: str, environment: dict | None = None):
        command = [python, str(HERE / "pytorch.py"), "--serve"]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=pipe, stdout=pipe, text=True, env=os.environ | (environment or {}))

    def measure(self, network: Network, steps: int, threads: int) -> dict:
        job = {name: getattr(network, name) for name in ["architecture", "input", "norm", "batch", "learning_rate"]}
        try:
            self.process.stdin.write(json.dumps(job | {"steps": steps, "threads": threads}) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            pass
        line = self.process.stdout.readline()
        if not line:
            raise SystemExit("error: bench/pytorch.py ended, see above; --python names a Python that has torch")
        return json.loads(line)

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def draw(metaqnn: Metaqnn, options) -> list[Network]:
    """The example, then networks of every preset and input (a cell), chosen in turn from the strata that the sample has."""
    presets = {name: metaqnn.preset(name) for name in PRESETS}
    preset, shape, norm, architecture = EXAMPLE
    networks = metaqnn.check(presets[preset], shape, norm, [architecture])
    keys = [(stratum, wide) for wide in (True, False) for stratum in STRATA]
    others = {key: index % 2 == 1 for index, key in enumerate(keys)}
    cells = [(preset, shape) for preset in presets.values() for shape in INPUTS]
    for cell, (preset, shape) in enumerate(cells):
        by_key: dict[tuple, list[str]] = {key: [] for key in keys}
        for seed in options.seeds:
            # Another seed for each cell, else the inputs would have the same networks.
            sample = metaqnn.sample(preset, shape, 10 * seed + cell)
            for network in metaqnn.check(preset, shape, preset["batch_norm"], sample):
                if options.min_gflop <= network.gflop <= options.max_gflop:
                    by_key[network.stratum, network.channels >= WIDE].append(network.architecture)
        # Begun elsewhere in each cell, so that fewer networks than strata still reach all strata.
        start = cell * options.networks % len(keys)
        order, chosen = keys[start:] + keys[:start], 0
        while chosen < options.networks and any(by_key.values()):
            for key in order:
                if by_key[key] and chosen < options.networks:
                    norm = preset["batch_norm"] != others[key]
                    others[key] = not others[key]
                    networks += metaqnn.check(preset, shape, norm, [by_key[key].pop(0)])
                    chosen += 1
    return networks


def from_file(metaqnn: Metaqnn, path: str, preset_name: str) -> list[Network]:
    """The networks of a list as `metaqnn bench train --file` reads it."""
    preset, networks = metaqnn.preset(preset_name), []
    for line in filter(str.strip, Path(path).read_text().splitlines()):
        shape, norm, architecture = (field.strip() for field in line.split("\t"))
        # They need not be members of the preset's space, so `space check` is not asked.
        by_stratum, _ = costs(architecture, shape)
        networks.append(Network(preset, shape, norm == "norm", architecture, None, sum(by_stratum.values())))
    return networks


def best(runs: list[dict], key: str, statistic) -> float:
    return statistic([run[key] for run in runs])


def geometric_mean(ratios: list[float]) -> float:
    return math.exp(statistics.fmean(math.log(ratio) for ratio in ratios))


class Comparison:
    """All figures, network by network."""

    def __init__(self, options, version: str):
        self.options = options
        self.key = "cpu_seconds_per_step" if options.threads == 1 else "wall_seconds_per_step"
        self.statistic = min if options.statistic == "min" else statistics.median
        self.head = {
            "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "program": version,
            "processor": processor(),
            "threads": options.threads,
            "repeats": options.repeats,
            "statistic": options.statistic,
            "compared": self.key,
            "list": options.list_file or options.list,
            "seeds": None if options.list_file else options.seeds,
        }
        self.rows: list[dict] = []

    def add(self, network: Network, runs: dict) -> dict:
        row = network.describe()
        for name in ("metaqnn", "flex"):
            if runs.get(name):
                row[name] = {
                    "seconds_per_step": best(runs[name], self.key, self.statistic),
                    "peak_memory_bytes": runs[name][0]["peak_memory_bytes"],
                    "runs": runs[name],
                }
        by_layout = {}
        for layout in runs["pytorch"][0]["by_layout"]:
            of_layout = [run["by_layout"][layout] for run in runs["pytorch"]]
            by_layout[layout] = best(of_layout, self.key, self.statistic)
        layout = min(by_layout, key=by_layout.get)
        memory = [run["by_layout"][layout]["peak_memory_bytes"] for run in [*runs["pytorch"], *runs.get("memory", [])]]
        row["pytorch"] = {
            "seconds_per_step": by_layout[layout],
            "layout": layout,
            "by_layout": by_layout,
            # The least, whichever way malloc was set.
            "peak_memory_bytes": min(memory) if all(memory) else None,
            "runs": runs["pytorch"],
            "memory_runs": runs.get("memory", []),
        }
        row["gflops"] = network.gflop / row["metaqnn"]["seconds_per_step"]
        row["ratio"] = by_layout[layout] / row["metaqnn"]["seconds_per_step"]
        if "flex" in row:
            row["ratio_to_flex"] = row["flex"]["seconds_per_step"] / row["metaqnn"]["seconds_per_step"]
        ours, theirs = row["metaqnn"]["peak_memory_bytes"], row["pytorch"]["peak_memory_bytes"]
        comparable = ours and theirs and max(ours, theirs) >= LEAST_MEMORY
        row["memory_ratio"] = ours / theirs if comparable else None
        self.rows.append(row)
        return row

    def summary(self) -> dict:
        def of(rows: list[dict], key: str = "ratio") -> dict | None:
            values = [row[key] for row in rows if row.get(key)]
            if not values:
                return None
            return {"networks": len(values), "geometric_mean": geometric_mean(values), "least": min(values), "most": max(values)}

        rows = self.rows
        groups = {
            "all": rows,
            **{stratum: [row for row in rows if row["stratum"] == stratum] for stratum in STRATA},
            **{f"preset {name}": [row for row in rows if row["preset"] == name] for name in PRESETS},
            **{f"input {shape}": [row for row in rows if row["input"] == shape] for shape in INPUTS},
            "wide": [row for row in rows if row["channels"] >= WIDE],
            "narrow": [row for row in rows if row["channels"] < WIDE],
            "with batch normalization": [row for row in rows if row["norm"]],
            "without": [row for row in rows if not row["norm"]],
        }
        return {
            "ratio": {name: of(group) for name, group in groups.items() if group},
            "ratio_to_flex": of(rows, "ratio_to_flex"),
            "memory_ratio": of(rows, "memory_ratio"),
        }

    def save(self):
        """After every network, so that a comparison that is stopped leaves what it measured."""
        if self.options.out:
            whole = self.head | {"summary": self.summary(), "networks": self.rows}
            part = Path(f"{self.options.out}.part")
            part.write_text(json.dumps(whole, indent=1) + "\n")
            part.replace(self.options.out)


HEADER = (
    f"{'ratio':>6} {'flex':>5} {'memory':>6} {'metaqnn':>9} {'PyTorch':>9} {'GFLOP':>7} {'GFLOP/s':>7}  {'layout':<13} {'stratum':<10} "
    f"{'preset':<6} {'input':<8} {'norm':<5} architecture"
)


def text_row(row: dict) -> str:
    def number(value, form: str, width: int) -> str:
        return format(value, form) if value else "–".rjust(width)

    gflop = 3 * row["flops"] * row["batch"] / 1e9
    return (
        f"{row['ratio']:6.2f} {number(row.get('ratio_to_flex'), '5.2f', 5)} {number(row['memory_ratio'], '6.2f', 6)} "
        f"{row['metaqnn']['seconds_per_step']:9.4f} {row['pytorch']['seconds_per_step']:9.4f} {gflop:7.2f} {row['gflops']:7.1f}  "
        f"{row['pytorch']['layout']:<13} {row['stratum']:<10} {row['preset']:<6} {row['input']:<8} {'norm' if row['norm'] else 'plain':<5} "
        f"{row['architecture']}"
    )


def text_summary(summary: dict) -> str:
    lines = [f"{'PyTorch / metaqnn':<26} {'networks':>8} {'geometric mean':>14} {'least':>6} {'most':>6}"]
    groups = summary["ratio"] | {"stock flex / metaqnn": summary["ratio_to_flex"], "memory metaqnn / PyTorch": summary["memory_ratio"]}
    for name, of in groups.items():
        if of:
            lines.append(f"{name:<26} {of['networks']:8} {of['geometric_mean']:14.2f} {of['least']:6.2f} {of['most']:6.2f}")
    return "\n".join(lines)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def default_program() -> str:
    target = os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")
    return str(Path(target) / "release" / "metaqnn")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metaqnn", default=default_program(), metavar="PROGRAM", help="(%(default)s)")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch (%(default)s)")
    parser.add_argument("--list", choices=LISTS, default="report", help="(%(default)s)")
    parser.add_argument("--seeds", type=lambda text: [int(n) for n in text.split(",")], help="instead of the list's")
    parser.add_argument("--list-file", metavar="FILE", help="lines of INPUT, tab, norm or plain, tab, ARCHITECTURE, instead of drawing")
    parser.add_argument("--preset", choices=PRESETS, default="paper", help="of --list-file: batch and optimizer (%(default)s)")
    parser.add_argument("--networks", type=int, default=6, help="of each preset and input (%(default)s)")
    parser.add_argument("--min-gflop", type=float, default=0.02, help="least of a step (%(default)s)")
    parser.add_argument("--max-gflop", type=float, default=150.0, help="most of a step (%(default)s)")
    parser.add_argument("--seconds", type=float, default=2.0, help="of a run, about (%(default)s)")
    parser.add_argument("--repeats", type=int, default=2, help="of each network: A B, A B (%(default)s)")
    parser.add_argument("--statistic", choices=["min", "median"], default="min", help="of the repeats (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="(%(default)s)")
    parser.add_argument("--flex", action="store_true", help="also stock Burn on the CPU (--device flex)")
    parser.add_argument(
        "--memory", action="store_true", help="also PyTorch's memory with malloc as it comes; the lesser is compared"
    )
    parser.add_argument("--print-list", action="store_true", help="print the list as --list-file reads it, and measure nothing")
    parser.add_argument("--out", metavar="FILE.json", help="all figures")
    options = parser.parse_args()
    options.seeds = options.seeds or LISTS[options.list]
    return options


def measure_in_turn(network: Network, metaqnn: Metaqnn, devices: dict, peers: dict, options) -> dict:
    """The runs of one network: metaqnn, stock flex, PyTorch, and again. A device `flex` that is refused is taken out of `devices`."""
    runs, steps = {}, network.steps(options.seconds)
    for repeat in range(options.repeats):
        for name, device in list(devices.items()):
            done = metaqnn.measure(network, steps, options.threads, device)
            if done.returncode == 0:
                runs.setdefault(name, []).append(json.loads(done.stdout))
            elif name == "flex":
                print(f"stock flex is left out: {done.stderr.strip()}", file=sys.stderr)
                del devices[name]
            else:
                raise SystemExit(f"error: metaqnn failed on {network.architecture}:\n{done.stderr}")
        runs.setdefault("pytorch", []).append(peers["pytorch"].measure(network, steps, options.threads))
        if options.memory and repeat == 0:
            runs["memory"] = [peers["memory"].measure(network, 1, options.threads)]
    network.params = network.params or runs["metaqnn"][0]["params"]
    for name, of_peer in runs.items():
        for run in of_peer:
            if (run["params"], run["flops"]) != (network.params, network.flops):
                raise SystemExit(
                    f"error: {network.architecture} on {network.input} has {network.params} parameters and {network.flops} FLOPs, "
                    f"but {run['params']} and {run['flops']} as {name} builds it"
                )
    return runs


def main():
    options = arguments()
    metaqnn = Metaqnn(options.metaqnn)
    if not Path(options.metaqnn).exists():
        raise SystemExit(f"error: {options.metaqnn} is not there: build it with `cargo build --release`, or name it with --metaqnn")
    networks = from_file(metaqnn, options.list_file, options.preset) if options.list_file else draw(metaqnn, options)
    if options.print_list:
        for network in networks:
            print(network.input, "norm" if network.norm else "plain", network.architecture, sep="\t")
        return
    peers = {"pytorch": PyTorch(options.python)}
    if options.memory:
        peers["memory"] = PyTorch(options.python, {"METAQNN_BENCH_MALLOC": "default"})
    comparison = Comparison(options, metaqnn.run("--version").stdout.strip())
    devices = {"metaqnn": "cpu"} | ({"flex": "flex"} if options.flex else {})
    print(HEADER, flush=True)
    try:
        for network in networks:
            runs = measure_in_turn(network, metaqnn, devices, peers, options)
            print(text_row(comparison.add(network, runs)), flush=True)
            comparison.save()
        for peer in peers.values():
            peer.close()
    except KeyboardInterrupt:
        print("stopped: the summary is of what was measured until now", file=sys.stderr)
    if comparison.rows:
        print()
        print(text_summary(comparison.summary()))


if __name__ == "__main__":
    main()
