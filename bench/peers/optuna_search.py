#!/usr/bin/env python3
"""Optuna over a space comparable to metaqnn's: 1 to 3 stages of 1 to 3 convolutions with pooling, a hidden layer or none, with the learning
rate, weight decay and dropout. Half of the time goes to the search, half to training the best on all training data."""

import functools

import peer

SEARCH_SHARE = 0.5
VALID_IMAGES = 5_000
TRIAL_IMAGES, TRIAL_EPOCHS = 20_000, 3


def choose(trial):
    stages = []
    for stage in range(trial.suggest_int("stages", 1, 3)):
        width = trial.suggest_categorical(f"width_{stage}", [16, 32, 64, 128])
        kernel = trial.suggest_categorical(f"kernel_{stage}", [1, 3, 5])
        stages.append((width, kernel, trial.suggest_int(f"convolutions_{stage}", 1, 3)))
    return {
        "stages": stages,
        "norm": trial.suggest_categorical("norm", [True, False]),
        "hidden": trial.suggest_categorical("hidden", [0, 128, 256]),
        "dropout": trial.suggest_float("dropout", 0.0, 0.5),
        "learning_rate": trial.suggest_float("learning_rate", 3e-4, 1e-2, log=True),
        "weight_decay": trial.suggest_float("weight_decay", 1e-4, 1e-1, log=True),
    }


def build(choice, channels: int, side: int, classes: int):
    from torch import nn
    from training import conv

    layers = []
    for width, kernel, convolutions in choice["stages"]:
        for _ in range(convolutions):
            layers += conv(channels, width, kernel, choice["norm"])
            channels = width
        layers += [nn.MaxPool2d(2), nn.Dropout(choice["dropout"] / 2)]
        side //= 2
    layers.append(nn.Flatten())
    inputs = channels * side * side
    if choice["hidden"]:
        layers += [nn.Linear(inputs, choice["hidden"]), nn.ReLU(), nn.Dropout(choice["dropout"])]
        inputs = choice["hidden"]
    return nn.Sequential(*layers, nn.Linear(inputs, classes))


def run(options, clock, sampler):
    import data_sets
    import optuna
    from training import Data, accuracy, set_up, train

    set_up(options.seed, options.threads)
    images, labels, test_images, test_labels = data_sets.load(options.data, options.data_dir)
    training, validation = data_sets.divided(images, labels, VALID_IMAGES, options.seed)
    part = Data(training[0][:TRIAL_IMAGES], training[1][:TRIAL_IMAGES])
    valid = Data(*validation, part.statistics)
    mirror = options.data != "mnist"
    shape = images.shape[1], images.shape[2], int(labels.max()) + 1
    search_end = SEARCH_SHARE * options.seconds

    def objective(trial):
        choice = choose(trial)

        def report(epoch, _, network):
            trial.report(accuracy(network, valid), epoch)
            if trial.should_prune():
                raise optuna.TrialPruned()
            return clock.passed() < search_end

        network = build(choice, *shape)
        train(network, part, max(1.0, search_end - clock.passed()), most_epochs=TRIAL_EPOCHS, mirror=mirror, after_epoch=report,
              learning_rate=choice["learning_rate"], weight_decay=choice["weight_decay"])  # fmt: skip
        trial.set_user_attr("choice", choice)
        return accuracy(network, valid)

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    samplers = {"random": optuna.samplers.RandomSampler, "tpe": optuna.samplers.TPESampler}
    study = optuna.create_study(
        direction="maximize", sampler=samplers[sampler](seed=options.seed), pruner=optuna.pruners.MedianPruner(n_startup_trials=3)
    )
    study.optimize(objective, timeout=search_end - clock.passed())
    best = study.best_trial.user_attrs["choice"]
    data = Data(images, labels)
    network = build(best, *shape)
    train(network, data, clock.left(), mirror=mirror, learning_rate=best["learning_rate"], weight_decay=best["weight_decay"])
    return accuracy(network, Data(test_images, test_labels, data.statistics)), {"models": len(study.trials), "best": best}


if __name__ == "__main__":
    sampler = peer.word_of_arguments("--sampler", ["random", "tpe"])
    peer.main(f"Optuna ({sampler}) + PyTorch", functools.partial(run, sampler=sampler))
