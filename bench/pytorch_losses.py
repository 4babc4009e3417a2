#!/usr/bin/env python3
"""Writes the losses that PyTorch computes in the first steps of training small networks.

The tests of crates/metaqnn-train compare them with its own. Nothing but architectures and losses is stored: weights and
batches come from a hash of their name and position, which the tests compute likewise (`hashed` here and there).

    pip install torch numpy
    python bench/pytorch_losses.py > crates/metaqnn-train/tests/fixtures/pytorch_losses.json
"""

import json
import math
import re

import numpy
import torch
from torch import nn

STEPS, BATCH, BATCHES, CLASSES = 20, 16, 4, 10

CASES = [
    # name, input CHW, architecture, batch norm, label smoothing, optimizer
    ("convolutions_and_gap", (3, 16, 16), "[C(8,3,1), C(8,5,1), P(2,2), C(8,1,1), GAP(10), SM(10)]", False, 0.0, "adam"),
    ("two_fc", (1, 12, 12), "[C(8,5,1), P(5,3), FC(16), FC(12), SM(10)]", False, 0.0, "adam"),
    ("one_fc", (3, 16, 16), "[C(6,1,1), P(3,2), C(8,3,1), FC(16), SM(10)]", False, 0.0, "adam"),
    ("softmax_alone", (1, 12, 12), "[SM(10)]", False, 0.0, "adam"),
    ("batch_norm", (3, 16, 16), "[C(8,3,1), P(2,2), C(8,3,1), P(3,2), FC(16), SM(10)]", True, 0.0, "adam"),
    ("smoothing_and_decay", (3, 16, 16), "[C(6,1,1), P(3,2), C(8,3,1), FC(16), SM(10)]", False, 0.1, "adamw"),
    ("momentum", (3, 16, 16), "[C(6,3,1), P(3,2), C(8,3,1), FC(16), SM(10)]", False, 0.0, "sgd"),
    ("nesterov", (1, 12, 12), "[C(8,5,1), P(5,3), FC(16), SM(10)]", True, 0.0, "nesterov"),
    ("class_weights", (3, 16, 16), "[C(6,1,1), P(3,2), C(8,3,1), FC(16), SM(10)]", False, 0.0, "weighted-sgd"),
    ("class_weights_and_smoothing", (1, 12, 12), "[C(8,5,1), P(5,3), FC(16), SM(10)]", False, 0.1, "weighted-sgd"),
]

# Of the classes, in the cases that weight them.
WEIGHTS = [0.5, 1.0, 2.0, 0.25, 4.0, 1.5, 0.75, 1.0, 3.0, 0.125]


def hashed(name: str, count: int) -> numpy.ndarray:
    """`count` numbers in [-1, 1) that depend on the name and their position alone, exact in 32-bit floats."""
    start = 2166136261
    for byte in name.encode():
        start = ((start ^ byte) * 16777619) & 0xFFFFFFFF
    x = numpy.arange(count, dtype=numpy.uint32) * numpy.uint32(0x9E3779B1) + numpy.uint32(start)
    for shift, factor in ((15, 0x2C1B3C6D), (12, 0x297A2D39)):
        x ^= x >> numpy.uint32(shift)
        x *= numpy.uint32(factor)
    x ^= x >> numpy.uint32(15)
    return (x >> numpy.uint32(8)).astype(numpy.float64) / 2.0**23 - 1.0


def network(architecture: str, shape: tuple, batch_norm: bool) -> nn.Sequential:
    channels, height, width = shape
    body, modules, flat, averaged = re.findall(r"(C|P|FC|GAP|SM)\(([\d,]+)\)", architecture), {}, None, False
    convolutions = pools = connected = 0
    for kind, numbers in body:
        numbers = [int(n) for n in numbers.split(",")]
        if kind == "C":
            convolutions += 1
            out, kernel, stride = numbers
            modules[f"conv{convolutions}"] = nn.Conv2d(channels, out, kernel, stride, (kernel - 1) // 2, bias=not batch_norm)
            channels = out
            if batch_norm:
                modules[f"norm{convolutions}"] = nn.BatchNorm2d(out)
            modules[f"relu{convolutions}"] = nn.ReLU()
        elif kind in ("P", "A"):
            pools += 1
            kernel, stride = numbers
            modules[f"pool{pools}"] = (nn.MaxPool2d if kind == "P" else nn.AvgPool2d)(kernel, stride)
            height, width = ((n - kernel) // stride + 1 for n in (height, width))
        elif kind == "FC":
            connected += 1
            if flat is None:
                modules["flatten"] = nn.Flatten()
                flat = channels * height * width
            modules[f"fc{connected}"] = nn.Linear(flat, numbers[0], bias=not batch_norm)
            flat = numbers[0]
            if batch_norm:
                modules[f"norm_fc{connected}"] = nn.BatchNorm1d(flat)
            modules[f"relu_fc{connected}"] = nn.ReLU()
        elif kind == "GAP":
            modules["gap"] = nn.Conv2d(channels, CLASSES, 1)
            modules["average"], modules["flatten"] = nn.AdaptiveAvgPool2d(1), nn.Flatten()
            averaged = True
    if not averaged:
        if flat is None:
            modules["flatten"] = nn.Flatten()
            flat = channels * height * width
        modules["softmax"] = nn.Linear(flat, CLASSES)
    result = nn.Sequential()
    for name, module in modules.items():
        result.add_module(name, module)
    with torch.no_grad():
        for name, parameter in result.named_parameters():
            values = hashed(name, parameter.numel())
            if parameter.dim() > 1:
                receptive = parameter[0][0].numel()
                values *= math.sqrt(6 / ((parameter.shape[0] + parameter.shape[1]) * receptive))
            elif name.startswith("norm") and name.endswith("weight"):
                values = 1 + 0.2 * values
            else:
                values *= 0.1
            parameter.copy_(torch.from_numpy(values.astype(numpy.float32)).reshape(parameter.shape))
    return result


def optimizer(kind: str, parameters):
    match kind:
        case "adam":
            return torch.optim.Adam(parameters, lr=0.001)
        case "adamw":
            return torch.optim.AdamW(parameters, lr=0.001, weight_decay=0.05)
        case "sgd" | "weighted-sgd":
            return torch.optim.SGD(parameters, lr=0.02, momentum=0.9, weight_decay=5e-4)
        case "nesterov":
            return torch.optim.SGD(parameters, lr=0.02, momentum=0.9, weight_decay=5e-4, nesterov=True)


def loss_function(kind: str, smoothing: float):
    """PyTorch's loss; with weights and smoothing each image is weighted by its class, whatever its target is spread over."""
    if kind != "weighted-sgd":
        return nn.CrossEntropyLoss(label_smoothing=smoothing)
    weights = torch.tensor(WEIGHTS)
    if smoothing == 0.0:
        return nn.CrossEntropyLoss(weight=weights)
    of_images = nn.CrossEntropyLoss(label_smoothing=smoothing, reduction="none")
    return lambda logits, labels: (of_images(logits, labels) * weights[labels]).sum() / weights[labels].sum()


def run(name, shape, architecture, batch_norm, smoothing, kind):
    net = network(architecture, shape, batch_norm)
    step_with, loss_of = optimizer(kind, net.parameters()), loss_function(kind, smoothing)
    batches = []
    for batch in range(BATCHES):
        pixels = hashed(f"images{batch}", BATCH * math.prod(shape)).astype(numpy.float32)
        labels = ((hashed(f"labels{batch}", BATCH) + 1) / 2 * CLASSES).astype(numpy.int64)
        batches.append((torch.from_numpy(pixels).reshape(BATCH, *shape), torch.from_numpy(labels)))
    losses = []
    for step in range(STEPS):
        images, labels = batches[step % BATCHES]
        loss = loss_of(net(images), labels)
        step_with.zero_grad()
        loss.backward()
        step_with.step()
        losses.append(loss.item())
    net.eval()
    with torch.no_grad():
        logits = net(batches[0][0][:2])
    return {
        "name": name,
        "input": "x".join(map(str, shape)),
        "architecture": architecture,
        "batch_norm": batch_norm,
        "label_smoothing": smoothing,
        "optimizer": kind.removeprefix("weighted-"),
        "class_weights": WEIGHTS if kind.startswith("weighted-") else None,
        "losses": losses,
        # Of the first two images after the last step, in evaluation mode.
        "logits": logits.flatten().tolist(),
    }


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(json.dumps({"torch": torch.__version__, "cases": [run(*case) for case in CASES]}, indent=1))
