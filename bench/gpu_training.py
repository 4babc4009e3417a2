#!/usr/bin/env python3
"""Training on a CUDA GPU beside PyTorch, in one command:

    python bench/gpu_training.py

It builds the program with `--features cuda`, measures the three best published CIFAR-10 networks of Baker et al. (2017) and networks drawn from
the paper's CIFAR-10 space at batch 128, each with metaqnn (Burn with fusion and autotune) and with PyTorch (TF32, and bf16
autocast; channels_last; torch.compile), and prints for each the seconds an epoch of 50,000 images, GFLOP/s (nominal: three times the
forward pass with direct convolution), and what the paper's search, 2,700 models of 20 epochs, would take on this GPU. Needs a CUDA
toolkit, and a Python with a CUDA torch (--python); see bench/README.md.

`--cpu-dry-run` goes the same way on the CPU with small batches and few steps: it proves that everything fits together, and its figures mean nothing.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
INPUT = "3x32x32"
EPOCH_IMAGES, MODELS, EPOCHS = 50_000, 2_700, 20
# Baker et al. (2017), table of the best CIFAR-10 networks: test errors of 6.92, 8.78 and 9.24 %.
PUBLISHED = [
    "[C(512,5,1), C(256,3,1), C(256,5,1), C(256,3,1), P(5,3), C(512,3,1), C(512,5,1), P(2,2), SM(10)]",
    "[C(128,1,1), C(512,3,1), C(64,1,1), C(128,3,1), P(2,2), C(256,3,1), P(2,2), C(512,3,1), P(3,2), SM(10)]",
    "[C(256,3,1), C(256,3,1), P(5,3), C(256,1,1), C(128,3,1), P(2,2), C(128,3,1), SM(10)]",
]
SAMPLE_SEED = 20170424


def fail(text: str):
    raise SystemExit(f"error: {text}")


def build(features: list[str]) -> str:
    """The program, built with these features."""
    command = ["cargo", "build", "--release"] + (["--features", ",".join(features)] if features else [])
    if subprocess.run(command, cwd=HERE.parent).returncode != 0:
        fail(f"{' '.join(command)} failed")
    return str(Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target")) / "release" / "metaqnn")


def lines_of(command: list[str]) -> list[dict] | None:
    """The JSON lines that a command prints; none where it fails, for example for want of memory, which is told."""
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        print(f"failed: {' '.join(command)}", file=sys.stderr)
        return None
    return [json.loads(line) for line in done.stdout.splitlines()]


def sampled(program: str, count: int) -> list[str]:
    """Networks of the paper's CIFAR-10 space as a search draws them at random."""
    command = [program, "space", "sample", str(count), "--preset", "paper", "--input", INPUT, "--max-layers", "18"]
    done = subprocess.run([*command, "--seed", str(SAMPLE_SEED)], stdout=subprocess.PIPE, text=True)
    if done.returncode != 0:
        fail(f"{' '.join(command)} failed")
    return done.stdout.splitlines()


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--metaqnn", metavar="PROGRAM", help="a program built with the feature cuda, instead of building it")
    parser.add_argument("--python", default=sys.executable, help="a Python with torch (%(default)s)")
    parser.add_argument("--device", default="cuda:0", help="(%(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="(%(default)s)")
    parser.add_argument("--steps", type=int, default=50, help="(%(default)s)")
    parser.add_argument("--warm-up", type=int, default=20, help="steps before, in which kernels are tuned (%(default)s)")
    parser.add_argument("--sampled", type=int, default=8, help="networks of the space beside the published (%(default)s)")
    parser.add_argument("--cpu-dry-run", action="store_true", help="prove the plumbing on the CPU; the figures mean nothing")
    parser.add_argument("--out", metavar="FILE.json", help="all figures")
    options = parser.parse_args()
    if options.cpu_dry_run:
        options.device, options.batch, options.steps, options.warm_up, options.sampled = "cpu", 2, 1, 1, 1
    return options


def main():
    options = arguments()
    program = options.metaqnn or build([] if options.cpu_dry_run else ["cuda"])
    steps = ["--batch", str(options.batch), "--steps", str(options.steps), "--warm-up", str(options.warm_up)]
    common = ["--json", "--input", INPUT, "--norm", "off", "--device", options.device, *steps]
    torch = [options.python, str(HERE / "pytorch.py"), *common, "--layouts", "channels_last", "--compile"]
    if options.cpu_dry_run:
        # Through torch.compile, without compiling for minutes.
        torch += ["--compile-backend", "eager"]
    measured_by = {
        "metaqnn": [program, "bench", "train", *common, "--preset", "paper"],
        "PyTorch TF32": [*torch, "--precision", "tf32"],
        "PyTorch bf16": [*torch, "--precision", "bf16"],
    }
    networks = [(text, True) for text in PUBLISHED] + [(text, False) for text in sampled(program, options.sampled)]
    rows = []
    print(f"{'measured':<13} {'s/epoch':>8} {'images/s':>9} {'GFLOP/s':>9}  network")
    for text, published in networks:
        # A process each: one that the memory does not hold takes no other along.
        for name, command in measured_by.items():
            lines = lines_of([*command, "--arch", text])
            row = {"measured": name, "architecture": text, "published": published, "line": lines[0] if lines else None}
            rows.append(row)
            if lines:
                row["seconds_per_epoch"] = EPOCH_IMAGES / lines[0]["images_per_second"]
                figures = f"{row['seconds_per_epoch']:8.2f} {lines[0]['images_per_second']:9.0f} {lines[0]['gflops']:9.1f}"
            else:
                figures = f"{'failed':>8} {'–':>9} {'–':>9}"
            print(f"{name:<13} {figures}  {text}", flush=True)
            if options.out:
                Path(options.out).write_text(json.dumps({"options": vars(options), "rows": rows}, indent=1) + "\n")
    print(f"\nA search of {MODELS:,} models × {EPOCHS} epochs of {EPOCH_IMAGES:,} images, were each model like the mean of")
    for name in measured_by:
        for group, published in (("the published", True), ("the drawn", False)):
            times = [row["seconds_per_epoch"] for row in rows if row["measured"] == name and row["published"] == published and row["line"]]
            if times:
                days = sum(times) / len(times) * EPOCHS * MODELS / 86_400
                print(f"{group:<13} networks ({len(times)} measured), {name:<12}: {days:8.2f} days on this device")
    if options.cpu_dry_run:
        print("\nThis was a dry run on the CPU: the figures mean nothing.")
    if not all(row["line"] for row in rows):
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
