"""What every peer shares: its arguments, its clock and the line of JSON that it prints."""

import argparse
import json
import os
import pathlib
import sys
import time

# With these glibc keeps freed memory, which makes PyTorch up to 25 % faster; they count from the start of a process.
MALLOC = {"MALLOC_TRIM_THRESHOLD_": "4294967296", "MALLOC_MMAP_THRESHOLD_": "4294967296", "MALLOC_TOP_PAD_": "268435456"}


class Clock:
    """Wall time from the start of the peer, which is what its budget counts; the test on the test data comes after."""

    def __init__(self, budget: float):
        self.began, self.budget = time.monotonic(), budget

    def passed(self) -> float:
        return time.monotonic() - self.began

    def left(self) -> float:
        return self.budget - self.passed()


def word_of_arguments(flag: str, choices: list[str]) -> str:
    """Takes `flag WORD` out of the command line."""
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument(flag, choices=choices, default=choices[0], dest="word")
    known, sys.argv[1:] = parser.parse_known_args()
    return known.word


def main(name: str, run):
    """`run(options, clock)` gives test accuracy and what else is to be told."""
    import data_sets

    parser = argparse.ArgumentParser(description=sys.modules["__main__"].__doc__)
    parser.add_argument("--data", choices=data_sets.NAMES, required=True)
    parser.add_argument("--data-dir", type=pathlib.Path, default=data_sets.default_folder(), help="(%(default)s)")
    parser.add_argument("--seconds", type=float, default=600, help="budget, search and final training together (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    clock = Clock(options.seconds)
    accuracy, more = run(options, clock)
    print(json.dumps({
        "peer": name, "data": options.data, "seed": options.seed, "budget_seconds": options.seconds, "threads": options.threads,
        "test_accuracy": accuracy, "wall_seconds": round(clock.passed(), 1), **more,
    }))  # fmt: skip


def environment(threads: int) -> dict[str, str]:
    return os.environ | MALLOC | {"OMP_NUM_THREADS": str(threads), "TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": ""}
