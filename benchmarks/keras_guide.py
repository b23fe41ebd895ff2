"""Strategy `small` beside the transfer-learning guide of Keras, on the same folder, weights and machine, in one run.

    python benchmarks/keras_guide.py ../shared/weights/mobilenet_v2_imagenet.h5 ../shared/data/hymenoptera --seeds 0 1 2

The guide (keras.io/guides/transfer_learning, "An end-to-end example") as it stands: random flip and rotation, frozen
base in inference mode, average pooling, dropout 0.2, a dense layer, Adam, `fit` for 20 epochs, images decoded and put
through the base in every epoch. Both run as a fresh process, ours with an empty cache. A folder must hold train/, and val/ or
test/. Times are whole processes, from start to a measured accuracy (and ours to its report); and what training alone takes: of
the guide `fit`, of ours a run on train/ without any other picture, from reading and building the network to the fitted head.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

SIZE, BATCH, EPOCHS, FINE_TUNING = 224, 32, 20, 10


def guide(data: str, weights: str, seed: int) -> None:
    """The guide's frozen phase; prints accuracy and the seconds of `fit`."""
    import keras

    whole = keras.applications.MobileNetV2(weights=weights, input_shape=(SIZE, SIZE, 3))
    base = keras.applications.MobileNetV2(weights=None, include_top=False, input_shape=(SIZE, SIZE, 3), pooling="avg")
    base.set_weights(whole.get_weights()[: len(base.get_weights())])
    inputs = keras.Input((SIZE, SIZE, 3))
    body = keras.Model(inputs, base(keras.layers.Rescaling(1 / 127.5, offset=-1)(inputs)))
    held_out = next(part for part in ("val", "test") if Path(data, part).is_dir())
    print(json.dumps(two_phases(f"{data}/train", f"{data}/{held_out}", body, seed, fine_tuning=0)["frozen"]))


def two_phases(train: str, held_out: str, body, seed: int, fine_tuning: int = FINE_TUNING) -> dict[str, dict]:
    """The guide's example: the frozen phase, then so many epochs of everything; accuracy on `held_out`, seconds of `fit`, and
    seconds until that accuracy was known, after each of them.

    `body` takes pixels in 0..255 and gives a vector. Without TensorFlow the pictures are read once, by Pillow, not
    in every epoch.
    """
    import keras
    from keras import layers

    keras.utils.set_random_seed(seed)
    begin, found, fit = time.monotonic(), {}, 0.0
    size = body.input_shape[1]
    read = _batches if keras.backend.backend() == "tensorflow" else _arrays
    batches, validation = (read(folder, size, seed) for folder in (train, held_out))
    body.trainable = False
    inputs = keras.Input((size, size, 3))
    x = layers.RandomRotation(0.1)(layers.RandomFlip("horizontal")(inputs))
    x = layers.Dropout(0.2)(body(x, training=False))
    model = keras.Model(inputs, layers.Dense(sum(1 for _ in Path(train).iterdir()), "softmax")(x))
    for phase, epochs, rate in (("frozen", EPOCHS, 1e-3), ("all", fine_tuning, 1e-5)):
        if not epochs:
            break
        start = time.monotonic()
        model.compile(keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
        model.fit(**batches, epochs=epochs, verbose=0)
        fit += time.monotonic() - start
        accuracy = model.evaluate(**validation, verbose=0)[1]
        found[phase] = {"accuracy": accuracy, "fit": fit, "seconds": time.monotonic() - begin}
        # The guide means batch norm to stay in inference mode, for the body was called with training=False; under Keras
        # 3.15 `fit` says training=True to it all the same, and its statistics move. This is what the guide's code does.
        body.trainable = True
    return found


def _batches(folder: str, size: int, seed: int) -> dict:
    import keras

    options = dict(image_size=(size, size), batch_size=BATCH, label_mode="int", verbose=False)
    return {"x": keras.utils.image_dataset_from_directory(folder, seed=seed, **options).prefetch(2)}


def _arrays(folder: str, size: int, seed: int) -> dict:
    import keras
    import numpy as np

    classes = sorted(path.name for path in Path(folder).iterdir())
    paths = [path for name in classes for path in sorted(Path(folder, name).iterdir())]
    pixels = [
        keras.utils.img_to_array(keras.utils.load_img(path, target_size=(size, size), interpolation="bilinear"))
        for path in paths
    ]
    return {"x": np.stack(pixels), "y": np.array([classes.index(path.parent.name) for path in paths]), "batch_size": BATCH}


def timed(command: list[str], **environment: str) -> tuple[float, str]:
    start = time.monotonic()
    done = subprocess.run(
        command,
        check=True,
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[1],
        env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "3"} | environment,
    )
    return time.monotonic() - start, done.stdout


def small(data: str, weights: str, seed: int, *flags: str) -> tuple[float, dict]:
    """Seconds of the whole process, and result.json."""
    with tempfile.TemporaryDirectory() as folder:
        seconds, _ = timed(
            [
                sys.executable,
                "-m",
                "recipes.finetune",
                data,
                "--model",
                "mobilenet_v2",
                "--weights",
                weights,
                "--strategy",
                "small",
                "--seed",
                str(seed),
                "--output",
                f"{folder}/run",
                *flags,
            ],
            ZOO_CACHE=f"{folder}/cache",
        )
        return seconds, json.loads(Path(folder, "run", "result.json").read_text())


def compare(data: str, weights: str, seed: int) -> dict:
    ours, result = small(data, weights, seed, "--validation", "0")  # of a folder with test/ none is split off either
    seconds = small(f"{data}/train", weights, seed, "--validation", "0", "--test", "0")[1]["seconds"]
    fit = sum(seconds[step] for step in ("reading", "building", "features", "head"))
    theirs, output = timed([sys.executable, __file__, weights, data, "--guide", str(seed)])
    measured = json.loads(output.splitlines()[-1])
    accuracy = next(result["metrics"][part]["accuracy"] for part in ("validation", "test") if result["metrics"].get(part))
    return {
        "data": Path(data).name,
        "seed": seed,
        "ours accuracy": accuracy,
        "guide accuracy": measured["accuracy"],
        "ours s": ours,
        "guide s": theirs,
        "ours fit s": fit,
        "guide fit s": measured["fit"],
        "fit / fit": fit / measured["fit"],
        "ours / guide fit": ours / measured["fit"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights")
    parser.add_argument("data", nargs="+")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0])
    parser.add_argument("--guide", type=int, help=argparse.SUPPRESS)
    settings = parser.parse_args()
    folders, weights = [os.path.abspath(path) for path in settings.data], os.path.abspath(settings.weights)
    if settings.guide is not None:
        return guide(folders[0], weights, settings.guide)
    rows = [compare(data, weights, seed) for data in folders for seed in settings.seeds]
    print(" | ".join(rows[0]))
    mean = {key: statistics.mean(row[key] for row in rows) for key in list(rows[0])[2:]}
    for row in [*rows, {"data": "mean", "seed": ""} | mean]:
        print(" | ".join(f"{value:.3f}" if isinstance(value, float) else str(value) for value in row.values()))


if __name__ == "__main__":
    main()
