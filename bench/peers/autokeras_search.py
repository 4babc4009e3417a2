#!/usr/bin/env python3
"""AutoKeras' ImageClassifier. It knows no time limit, so that a callback ends it: the model that had the best validation accuracy so far is tested."""

import tempfile

import peer

VALID_SHARE = 1 / 12


class OutOfTime(Exception):
    pass


def take_numpy_integers(layer):
    """AutoKeras 3.0 hands layers numbers of NumPy, which newer versions of Keras refuse."""
    initialize = layer.__init__

    def with_integer(self, units, **more):
        initialize(self, int(units), **more)

    layer.__init__ = with_integer


def run(options, clock):
    import autokeras
    import data_sets
    import keras
    import numpy
    import tensorflow

    take_numpy_integers(keras.layers.Dense)
    keras.utils.set_random_seed(options.seed)
    tensorflow.config.threading.set_intra_op_parallelism_threads(options.threads)
    tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    images, labels, test_images, test_labels = data_sets.load(options.data, options.data_dir)
    images, test_images = (numpy.moveaxis(part, 1, -1) for part in (images, test_images))
    folder = tempfile.TemporaryDirectory()
    best = {"accuracy": -1.0, "file": f"{folder.name}/best.keras", "models": 0}

    class KeepBest(keras.callbacks.Callback):
        def on_train_begin(self, logs=None):
            best["models"] += 1

        def on_train_batch_end(self, batch, logs=None):
            if clock.left() <= 0:
                raise OutOfTime

        def on_epoch_end(self, epoch, logs=None):
            if (logs or {}).get("val_accuracy", -1.0) > best["accuracy"]:
                best["accuracy"] = logs["val_accuracy"]
                self.model.save(best["file"])

        # The tuner copies its callbacks for each model.
        def __deepcopy__(self, memo):
            return self

    classifier = autokeras.ImageClassifier(overwrite=True, max_trials=1_000, directory=folder.name, seed=options.seed)
    try:
        classifier.fit(images, labels, validation_split=VALID_SHARE, callbacks=[KeepBest()], verbose=0)
        ended = "all models tried"
    except OutOfTime:
        ended = "out of time"
    except Exception as error:  # Some of its models ask for pretrained weights from the network; what was found before counts.
        ended = str(error).strip().rpartition("\n")[2]
    if best["accuracy"] < 0:
        raise SystemExit(f"no epoch was finished: {ended}")
    model = keras.models.load_model(best["file"], custom_objects=autokeras.CUSTOM_OBJECTS)
    right = (model.predict(test_images, batch_size=512, verbose=0).argmax(1) == test_labels).mean()
    return float(right), {"models": best["models"], "ended": ended}


if __name__ == "__main__":
    peer.main("AutoKeras", run)
