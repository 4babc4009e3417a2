"""A training loop in PyTorch such as a careful user writes: one-cycle schedule over the time there is, shifts and (where a mirrored image
is of the same class) mirroring, channels_last, images as bytes until their batch comes."""

import random
import statistics
import time

import numpy
import torch
from torch import nn
from torch.nn import functional

BATCH = 128
WARM_UP_STEPS = 16


def set_up(seed: int, threads: int):
    random.seed(seed)
    numpy.random.seed(seed)
    torch.manual_seed(seed)
    torch.set_num_threads(threads)


class Data:
    """Images on the way into a network: normalized by the training data's mean and standard deviation of each channel."""

    def __init__(self, images, labels, statistics=None):
        self.images, self.labels = torch.from_numpy(images.copy()), torch.from_numpy(labels.copy())
        self.statistics = statistics or self._statistics()

    def _statistics(self):
        channels = self.images[:10_000].float().transpose(0, 1).flatten(1)
        return channels.mean(1).view(1, -1, 1, 1), channels.std(1).view(1, -1, 1, 1)

    def __len__(self):
        return len(self.images)

    def batch(self, indices, shift=0, mirror=False):
        images = self.images[indices]
        if shift:
            height, width = images.shape[2:]
            padded = functional.pad(images, [shift] * 4)
            corners = torch.randint(0, 2 * shift + 1, (len(indices), 2)).tolist()
            images = torch.stack([image[:, y : y + height, x : x + width] for image, (y, x) in zip(padded, corners)])
        if mirror:
            flipped = torch.rand(len(indices)) < 0.5
            images[flipped] = images[flipped].flip(-1)
        mean, deviation = self.statistics
        return ((images.float() - mean) / deviation).contiguous(memory_format=torch.channels_last), self.labels[indices]


def accuracy(network, data, limit=None) -> float:
    network.eval()
    right = 0
    count = min(len(data), limit or len(data))
    with torch.no_grad():
        for begin in range(0, count, 512):
            images, labels = data.batch(torch.arange(begin, min(begin + 512, count)))
            right += (network(images).argmax(1) == labels).sum().item()
    return right / count


def train(network, data, seconds, *, mirror, most_epochs=None, learning_rate=2e-3, weight_decay=1e-2, label_smoothing=0.0, shift=2, after_epoch=None):
    """Trains until `seconds` are over or for `most_epochs`. The speed of the first steps says how many epochs fit, and the schedule ends
    with the last of them.

    after_epoch(epoch, epochs, network) may end the training by returning False."""
    end = time.monotonic() + seconds
    network.to(memory_format=torch.channels_last)
    optimizer = torch.optim.AdamW(network.parameters(), lr=learning_rate, weight_decay=weight_decay, fused=True)

    def step(indices):
        images, labels = data.batch(indices, shift, mirror)
        optimizer.zero_grad()
        functional.cross_entropy(network(images), labels, label_smoothing=label_smoothing).backward()
        optimizer.step()

    network.train()
    for group in optimizer.param_groups:
        group["lr"] = learning_rate / 25
    times = []
    for _ in range(WARM_UP_STEPS):
        began = time.monotonic()
        step(torch.randint(0, len(data), (BATCH,)))
        times.append(time.monotonic() - began)
    # The first steps are slow, and single ones later: their mean would leave up to a third of the time unused.
    step_seconds = statistics.median(times)
    steps_an_epoch = len(data) // BATCH
    # 5 % are kept for the validation after each epoch and for steps that are slower.
    steps = max(1, int(0.95 * (end - time.monotonic()) / step_seconds))
    epochs = max(1, min(steps // steps_an_epoch, most_epochs or steps))
    steps = min(steps, epochs * steps_an_epoch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
    done = 0
    for epoch in range(1, epochs + 1):
        network.train()
        for indices in torch.randperm(len(data)).split(BATCH):
            if done == steps or len(indices) < BATCH or time.monotonic() > end:
                break
            step(indices)
            schedule.step()
            done += 1
        if after_epoch and after_epoch(epoch, epochs, network) is False:
            break
        if time.monotonic() > end:
            break
    return network


def conv(before: int, after: int, kernel: int = 3, norm: bool = True) -> list[nn.Module]:
    layers: list[nn.Module] = [nn.Conv2d(before, after, kernel, padding=kernel // 2)]
    return layers + ([nn.BatchNorm2d(after)] if norm else []) + [nn.ReLU()]
