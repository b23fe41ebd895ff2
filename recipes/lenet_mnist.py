"""LeNet-5 on MNIST from a random start (LeCun et al. 1998): the weights that ship in zoo/pretrained.

    python -m recipes.lenet_mnist MNIST --output zoo/pretrained/lenet5_mnist.safetensors
"""

if __name__ == "__main__":  # first of all: the command line imports nothing heavy before it has read the flags
    import sys

    from recipes.cli import main

    sys.exit(main(["lenet_mnist", *sys.argv[1:]]))

from pathlib import Path

import keras
import numpy as np

import zoo
from recipes import runs, training
from recipes.config import LenetMnist
from recipes.data.dataset import prepare
from recipes.data.images import Framing
from recipes.data.sources import scan
from recipes.errors import UserError
from recipes.evaluate import metrics
from recipes.strategies import Phase

BATCH = 128


def run(settings: LenetMnist) -> Path:
    """Train, test once, write the weights; returns their file.

    Raises:
        UserError: the data are not MNIST's, or the file cannot be written.
    """
    data = prepare(scan(settings.data), Framing(28, 28, 1), validation=1 / 12, test=0, seed=settings.seed)
    if len(data.classes) != 10 or not len(data.part("test")):
        raise UserError(f"{settings.data} must hold train/ and test/ with ten classes each, as MNIST does.")
    # The paper's frame: a border of 2 lets the strokes at the edge lie in the centre of a 5 × 5 kernel.
    pixels = np.pad(data.pixels[:], ((0, 0), (2, 2), (2, 2), (0, 0)))
    model = zoo.lenet5()

    def batches(part: str) -> training.Batches:
        images = data.part(part)
        return training.Batches(lambda samples, _: pixels[images[samples]], data.labels[images], BATCH, settings.seed)

    phase = Phase("train", settings.epochs, 2e-3, None, augment=True, batch_norm="train")
    training.train(training.prepare(model, phase), phase, batches("train"), batches("validation"))
    for part in ("validation", "test"):
        images = data.part(part)
        guesses = model.predict(pixels[images], batch_size=500, verbose=0)
        measured = metrics(data.labels[images], guesses, data.classes)
        low, high = measured["accuracy_interval"]
        runs.say(
            f"{part} error {1 - measured['accuracy']:.2%} (95 % interval {1 - high:.2%} to {1 - low:.2%}, "
            f"{len(images):,} images)"
        )
    return _save(model, settings.output)


def _save(model: keras.Model, path: Path) -> Path:
    from safetensors.numpy import save_file

    tensors = {
        f"{layer.name}/{variable.name}": keras.ops.convert_to_numpy(variable)
        for layer in model.layers for variable in layer.weights
    }  # fmt: skip
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(tensors, path)
    except OSError as error:
        raise UserError(f"--output {path} cannot be written ({error}).") from error
    runs.say(f"{path}: {model.count_params():,} parameters")
    return path
