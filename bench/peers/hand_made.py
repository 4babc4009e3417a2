#!/usr/bin/env python3
"""What someone who knows PyTorch writes without searching: conv-conv-pool twice, a hidden layer, batch normalization, dropout, one-cycle."""

import peer


def build(channels: int, side: int, classes: int):
    from torch import nn
    from training import conv

    return nn.Sequential(
        *conv(channels, 32), *conv(32, 32), nn.MaxPool2d(2), nn.Dropout(0.1),
        *conv(32, 64), *conv(64, 64), nn.MaxPool2d(2), nn.Dropout(0.2),
        nn.Flatten(), nn.Linear(64 * (side // 4) ** 2, 256), nn.BatchNorm1d(256), nn.ReLU(), nn.Dropout(0.3), nn.Linear(256, classes),
    )  # fmt: skip


def run(options, clock):
    import data_sets
    from training import Data, accuracy, set_up, train

    set_up(options.seed, options.threads)
    images, labels, test_images, test_labels = data_sets.load(options.data, options.data_dir)
    data = Data(images, labels)
    network = build(images.shape[1], images.shape[2], int(labels.max()) + 1)
    train(network, data, clock.left(), mirror=options.data != "mnist")
    return accuracy(network, Data(test_images, test_labels, data.statistics)), {"models": 1}


if __name__ == "__main__":
    peer.main("hand-made, PyTorch", run)
