#!/usr/bin/env python3
"""The measurements of `metaqnn bench train` in PyTorch: the same networks, the same JSON keys.

    python bench/pytorch.py --arch '[C(64,3,1), P(2,2), C(128,3,1), GAP(10), SM(10)]' --input 1x28x28 --batch 128 --steps 5

A step is forward, backward and Adam on one made-up batch. Every network is measured in both layouts of memory, contiguous
(NCHW) and channels_last (NHWC); the line has the figures of the better one, `by_layout` those of each. The CPU time is that
of the process, all threads together. On the CPU every layout of every network is measured in a process of its own, forked
when torch is loaded, so that no measurement begins with the memory of another.

glibc gives freed memory back to the system after each step, which costs PyTorch up to a quarter of its time. So this script
starts itself again with the settings of malloc under which it keeps the memory; METAQNN_BENCH_MALLOC=default leaves them as they are.
"""

import os
import sys

MALLOC = {
    "MALLOC_TRIM_THRESHOLD_": "4294967296",
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TOP_PAD_": "268435456",
}


def with_malloc_settings():
    """Starts the script again where malloc's settings are not those wanted: malloc reads them when a process starts."""
    if os.environ.get("METAQNN_BENCH_MALLOC") == "default":
        return
    if any(os.environ.get(name) != value for name, value in MALLOC.items()):
        os.execve(sys.executable, [sys.executable, *sys.argv], os.environ | MALLOC)


if __name__ == "__main__":
    with_malloc_settings()

import argparse
import contextlib
import json
import re
import signal
import time

import torch

# The first optimizer would load it, which takes seconds: once here instead of in every fork.
import torch._dynamo
from torch import nn

LAYOUTS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
KINDS = ["C", "P", "A", "D", "FC", "GAP", "SM"]
LAYER = re.compile(r"\s*([A-Z]+)\(([\d,\s]+)\)\s*")


class Subject:
    """A network to be measured, in the notation."""

    def __init__(self, architecture: str, shape: str, norm: bool):
        self.architecture, self.input, self.norm = architecture, shape, norm
        self.shape = tuple(int(side) for side in shape.split("x"))
        if len(self.shape) != 3:
            raise SystemExit(f"error: {shape!r} is not a shape: expected CHANNELSxHEIGHTxWIDTH")
        text = architecture.strip()
        if not (text.startswith("[") and text.endswith("]")):
            raise SystemExit(f"error: {architecture!r} does not stand in brackets")
        parts = re.split(r",(?![^(]*\))", text[1:-1])
        matches = [LAYER.fullmatch(part) for part in parts]
        if not all(match and match[1] in KINDS for match in matches):
            raise SystemExit(f"error: {architecture!r} is not in the notation")
        layers = [(m[1], [int(n) for n in m[2].split(",")]) for m in matches]
        # D is dropout, which is left out on both sides.
        self.layers = [layer for layer in layers if layer[0] != "D"]
        self.classes = self.layers[-1][1][0]

    def build(self) -> tuple[nn.Sequential, int]:
        """The network as metaqnn builds it, and its forward FLOPs for one image (2 × multiply-adds of convolutions and linear layers).

        Convolutions have padding (kernel − 1) / 2, pooling none. Where batch normalization follows there is no bias. GAP is a 1×1
        convolution without ReLU to one map a class and the mean of each. Without GAP the last layer is linear.
        """
        (channels, height, width), modules, flat, averaged, flops = self.shape, [], None, False, 0

        def linear(outputs: int, bias: bool):
            nonlocal flat, flops
            if flat is None:
                modules.append(nn.Flatten())
                flat = channels * height * width
            modules.append(nn.Linear(flat, outputs, bias=bias))
            flops += 2 * flat * outputs
            flat = outputs

        for kind, numbers in self.layers:
            match kind:
                case "C":
                    outputs, kernel, stride = numbers
                    modules.append(nn.Conv2d(channels, outputs, kernel, stride, (kernel - 1) // 2, bias=not self.norm))
                    height, width = -(-height // stride), -(-width // stride)
                    flops += 2 * channels * outputs * kernel * kernel * height * width
                    channels = outputs
                    if self.norm:
                        modules.append(nn.BatchNorm2d(outputs))
                    modules.append(nn.ReLU(inplace=True))
                case "P" | "A":
                    window, stride = numbers
                    modules.append((nn.MaxPool2d if kind == "P" else nn.AvgPool2d)(window, stride))
                    height, width = (height - window) // stride + 1, (width - window) // stride + 1
                case "FC":
                    linear(numbers[0], bias=not self.norm)
                    if self.norm:
                        modules.append(nn.BatchNorm1d(flat))
                    modules.append(nn.ReLU(inplace=True))
                case "GAP":
                    modules += [nn.Conv2d(channels, self.classes, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten()]
                    flops += 2 * channels * self.classes * height * width
                    averaged = True
                case "SM":
                    if not averaged:
                        linear(self.classes, bias=True)
        network = nn.Sequential(*modules)
        for module in network.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        return network, flops


def peak_resident_bytes() -> int | None:
    """The peak of the process's resident memory until now, where the system tells it (Linux)."""
    try:
        with open("/proc/self/status") as status:
            return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmHWM:"))
    except (OSError, StopIteration):
        return None


def load_code(memory_format):
    """A step of a tiny network with every kind of layer: pages of the library's code that the first use loads count as idle memory."""
    for norm in (False, True):
        network, _ = Subject("[C(8,3,1), C(8,5,1), P(2,2), C(8,1,1), FC(8), SM(10)]", "3x8x8", norm).build()
        network = network.to(memory_format=memory_format)
        optimizer = torch.optim.Adam(network.parameters(), fused=True)
        images = torch.zeros(2, 3, 8, 8).to(memory_format=memory_format)
        nn.functional.cross_entropy(network(images), torch.zeros(2, dtype=torch.long)).backward()
        optimizer.step()


def measure(subject: Subject, layout: str, options) -> dict:
    """The steps of a fresh network in one layout."""
    device = torch.device(options.device)
    if device.type == "cpu":
        load_code(LAYOUTS[layout])
    torch.manual_seed(options.seed)
    memory_format = LAYOUTS[layout]
    bound = 3**0.5
    images = torch.empty(options.batch, *subject.shape).uniform_(-bound, bound)
    images = images.to(device, memory_format=memory_format)
    labels = torch.randint(subject.classes, (options.batch,)).to(device)
    idle = peak_resident_bytes()
    network, flops = subject.build()
    params = sum(parameter.numel() for parameter in network.parameters())
    network = network.to(device, memory_format=memory_format)
    optimizer = torch.optim.Adam(network.parameters(), lr=options.learning_rate, fused=options.adam == "fused")
    loss_of = nn.CrossEntropyLoss()
    forward = torch.compile(network, backend=options.compile_backend) if options.compile else network
    autocast = contextlib.nullcontext()
    if options.precision == "bf16":
        autocast = torch.autocast(device.type, dtype=torch.bfloat16)

    def run(steps: int) -> float:
        for _ in range(steps):
            optimizer.zero_grad()
            with autocast:
                loss = loss_of(forward(images), labels)
            loss.backward()
            optimizer.step()
        # Reading the loss waits for the device.
        return loss.item()

    run(options.warm_up)
    wall, cpu = time.perf_counter(), time.process_time()
    loss = run(options.steps)
    cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    peak = peak_resident_bytes()
    return {
        "cpu_seconds_per_step": cpu / options.steps,
        "wall_seconds_per_step": wall / options.steps,
        "images_per_second": options.batch * options.steps / wall,
        "gflops": 3 * flops * options.batch * options.steps / wall / 1e9,
        "params": params,
        "flops": flops,
        "loss": loss,
        "peak_memory_bytes": peak - idle if peak and idle and device.type == "cpu" else None,
    }


def in_own_process(subject: Subject, layout: str, options) -> dict:
    """`measure` in a fork of this process, in which torch has not computed anything yet."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        status = 1
        try:
            signal.signal(signal.SIGINT, signal.SIG_DFL)
            os.close(read)
            torch.set_num_threads(options.threads)
            with os.fdopen(write, "w") as pipe:
                json.dump(measure(subject, layout, options), pipe)
            status = 0
        finally:
            # Whatever went wrong is printed by then; nothing of the parent's may run here.
            if status:
                sys.excepthook(*sys.exc_info())
            os._exit(status)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    _, status = os.waitpid(child, 0)
    if status != 0:
        raise SystemExit(f"error: PyTorch failed on {subject.architecture} in the layout {layout}")
    return json.loads(text)


def measure_layouts(subject: Subject, options) -> dict:
    """The line of a network: the better layout's figures, and those of each."""
    on_cpu = options.device == "cpu"
    measured = in_own_process if on_cpu and not options.compile else measure
    by_layout = {layout: measured(subject, layout, options) for layout in options.layouts}
    criterion = "cpu_seconds_per_step" if on_cpu and options.threads == 1 else "wall_seconds_per_step"
    best = min(by_layout, key=lambda layout: by_layout[layout][criterion])
    return {
        "architecture": subject.architecture,
        "input": subject.input,
        "norm": subject.norm,
        "batch": options.batch,
        "threads": options.threads,
        "device": options.device,
        "steps": options.steps,
        **by_layout[best],
        "layout": best,
        "torch": torch.__version__,
        "by_layout": by_layout,
    }


def text_line(line: dict) -> str:
    layouts = ", ".join(f"{name} {figures['cpu_seconds_per_step']:.4f} s" for name, figures in line["by_layout"].items())
    return (
        f"{line['cpu_seconds_per_step']:.4f} s CPU and {line['wall_seconds_per_step']:.4f} s wall a step, "
        f"{line['images_per_second']:.0f} images/s, {line['gflops']:.1f} GFLOP/s: {line['architecture']} on {line['input']}, "
        f"{'with' if line['norm'] else 'without'} batch normalization ({layouts})"
    )


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--arch", action="append", default=[], metavar="ARCHITECTURE", help="may be given several times")
    parser.add_argument("--file", help="lines of INPUT, tab, norm or plain, tab, ARCHITECTURE; - for standard input")
    parser.add_argument(
        "--serve",
        action="store_true",
        help="answer each line of standard input, a JSON object with architecture, input, norm and any of batch, steps, "
        "warm_up, threads, learning_rate, with a line",
    )
    parser.add_argument("--input", default="3x32x32", help="shape of the images for --arch (%(default)s)")
    parser.add_argument("--norm", choices=["on", "off"], default="off", help="batch normalization for --arch (%(default)s)")
    parser.add_argument("--batch", type=int, default=128, help="images a step (%(default)s)")
    parser.add_argument("--steps", type=int, default=5, help="steps measured (%(default)s)")
    parser.add_argument("--warm-up", type=int, default=1, help="steps before them (%(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="threads (%(default)s)")
    parser.add_argument("--learning-rate", type=float, default=0.001, help="(%(default)s)")
    parser.add_argument(
        "--adam", choices=["fused", "foreach"], default="fused", help="PyTorch's implementation of Adam (%(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="(%(default)s)")
    parser.add_argument("--device", default="cpu", help="cpu, cuda:0 (%(default)s)")
    parser.add_argument("--layouts", type=lambda text: text.split(","), default=list(LAYOUTS), help=",".join(LAYOUTS))
    parser.add_argument("--precision", choices=["f32", "tf32", "bf16"], default="f32", help="(%(default)s)")
    parser.add_argument("--compile", action="store_true", help="with torch.compile")
    parser.add_argument("--compile-backend", default="inductor", help="of torch.compile (%(default)s)")
    parser.add_argument("--json", action="store_true", help="one JSON object a network")
    return parser


def jobs(options):
    """The networks with the options of each."""
    for text in options.arch:
        yield Subject(text, options.input, options.norm == "on"), options
    if options.file:
        with sys.stdin if options.file == "-" else open(options.file) as lines:
            for line in filter(str.strip, lines):
                shape, norm, architecture = (field.strip() for field in line.split("\t"))
                if norm not in ("norm", "plain"):
                    raise SystemExit(f"error: {norm!r} is neither norm nor plain")
                yield Subject(architecture, shape, norm == "norm"), options
    if options.serve:
        for line in iter(sys.stdin.readline, ""):
            job = json.loads(line)
            subject = Subject(job.pop("architecture"), job.pop("input"), job.pop("norm"))
            yield subject, argparse.Namespace(**(vars(options) | job))


def main():
    parser = arguments()
    options = parser.parse_args()
    if not (options.arch or options.file or options.serve):
        parser.error("one of --arch, --file and --serve is needed")
    if unknown := [layout for layout in options.layouts if layout not in LAYOUTS]:
        parser.error(f"{unknown[0]!r} is not a layout: {', '.join(LAYOUTS)}")
    if options.precision == "tf32":
        torch.backends.cuda.matmul.allow_tf32 = True
        torch.backends.cudnn.allow_tf32 = True
    elif options.device != "cpu":
        torch.backends.cuda.matmul.allow_tf32 = False
        torch.backends.cudnn.allow_tf32 = False
    if options.device != "cpu":
        # Tries the algorithms of cuDNN on the first step.
        torch.backends.cudnn.benchmark = True
    for subject, job_options in jobs(options):
        if options.device != "cpu" or options.compile:
            torch.set_num_threads(job_options.threads)
        line = measure_layouts(subject, job_options)
        print(json.dumps(line) if options.json or options.serve else text_line(line), flush=True)


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
