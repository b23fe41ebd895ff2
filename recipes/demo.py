"""The main recipe on what ships inside: LeNet-5, pretrained on MNIST, meets another set of handwritten digits.

    make demo
    python -m recipes.demo

scikit-learn's 1,797 digits (Alpaydin & Kaynak 1998) are written as a folder of pictures, a few of each to train on and
the rest to test on. The recipe runs twice: from the pretrained weights, and from a random start.
"""

if __name__ == "__main__":  # first of all: the command line imports nothing heavy before it has read the flags
    import sys

    from recipes.cli import main

    sys.exit(main(["demo", *sys.argv[1:]]))

import json
from pathlib import Path

import numpy as np
from PIL import Image

from recipes import finetune
from recipes.settings.finetune import Demo, Recipe
from recipes.errors import UserError
from recipes.runs.folder import say

BOX, FRAME = 20, 32  # MNIST's digits lie in a box of 20 pixels, and LeNet-5 sees 32


def run(settings: Demo) -> None:
    """Write the folder, run the recipe twice, compare.

    Raises:
        UserError: the output cannot be written.
    """
    digits = write_digits(settings.output / "digits", settings.images, settings.seed)
    common = dict(data=digits, model="lenet5", validation=0.0, mirror="no", seed=settings.seed)
    recipes = {
        "pretrained on MNIST": Recipe(output=settings.output / "pretrained", strategy="large", epochs=60,
                                      learning_rate=1e-3, **common),
        "from a random start": Recipe(output=settings.output / "scratch", strategy="scratch", epochs=200, **common),
    }  # fmt: skip
    accuracy = {}
    for name, recipe in recipes.items():
        say(f"\n{name}:")
        measured = json.loads((finetune.run(recipe) / "result.json").read_text())["metrics"]["test"]
        low, high = measured["accuracy_interval"]
        accuracy[name] = f"{measured['accuracy']:.1%} ({low:.1%} to {high:.1%})"
    say(f"\nTest accuracy after {settings.images} pictures of each digit, with 95 % interval:")
    for name, value in accuracy.items():
        say(f"  {name:<22}{value}")
    say(f"Open {(settings.output / 'pretrained' / 'report.html').resolve()}")


def write_digits(folder: Path, images: int, seed: int) -> Path:
    """scikit-learn's digits as pictures: `images` of each class in train/, the rest in test/."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(seed).permutation(len(digits.target))
    try:
        for label in range(10):
            for rank, index in enumerate(order[digits.target[order] == label]):
                path = folder / ("train" if rank < images else "test") / str(label) / f"{index:04}.png"
                if not path.exists():
                    path.parent.mkdir(parents=True, exist_ok=True)
                    picture(digits.images[index]).save(path)
    except OSError as error:
        raise UserError(f"--output {folder.parent} cannot be written ({error.strerror}).") from error
    return folder


def picture(digit: np.ndarray) -> Image.Image:
    """8 × 8 values of 0..16, enlarged into the middle of a black frame, as MNIST's are."""
    frame = Image.new("L", (FRAME, FRAME))
    box = Image.fromarray(np.uint8(digit * 255 / 16)).resize((BOX, BOX), Image.BICUBIC)
    frame.paste(box, ((FRAME - BOX) // 2,) * 2)
    return frame
