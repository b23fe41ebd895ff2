"""The main recipe on what ships inside: LeNet-5, pretrained on MNIST, meets another set of handwritten digits.

    make demo
    python -m recipes.demo

scikit-learn's 1,797 digits (Alpaydin & Kaynak 1998) are written as a folder of pictures, a few of each to train on and
the rest to test on. The recipe runs twice: from the pretrained weights, and from a random start.

Measured, 10 pictures of each digit, seed 0, on the 1,697 others (2 CPU cores, TensorFlow 2.21, Keras 3.15.1): 95.2 % (95 %
interval 94.0 to 96.1) from the pretrained weights, 91.3 % (89.9 to 92.6) from a random start.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import json
from pathlib import Path

from recipes import finetune
from recipes.console import say, show, suggest, with_interval
from recipes.data.digits import write_digits
from recipes.data.sources.own import mark
from recipes.settings.demo import Demo
from recipes.settings.finetune import Recipe
from recipes.transfer import summary


def run(settings: Demo) -> Path:
    """Write the digits, run the recipe twice, and compare; return the folder that holds it all.

    Raises:
        UserError: the output cannot be written.
    """
    mark(settings.folder)
    digits = write_digits(settings.folder / "digits", settings.images_per_class, settings.seed)
    common = dict(data=digits, model="lenet5", validation=0.0, mirror="no", seed=settings.seed)
    recipes = {
        "pretrained on MNIST": Recipe(
            output=settings.folder / "pretrained", strategy="large", epochs=60, learning_rate=1e-3, **common
        ),
        "from a random start": Recipe(output=settings.folder / "scratch", strategy="scratch", epochs=200, **common),
    }
    accuracy = {}
    for name, recipe in recipes.items():
        say(f"\n{name}:")
        data = finetune.train(recipe).prepared.data
        measured = json.loads((recipe.folder / "result.json").read_text())["metrics"]["test"]
        accuracy[name] = with_interval(measured["accuracy"], measured["accuracy_interval"])
    say(f"\nTest accuracy after {settings.images_per_class} pictures of each digit:")
    show([{"start": name, "accuracy (95 % interval)": value} for name, value in accuracy.items()])
    say(f"Open {(settings.folder / 'pretrained' / 'report.html').resolve()}")
    suggest(
        {
            "classify a digit": summary.predict(settings.folder / "pretrained", data),
            "see what the network is": ["zoo", "describe", "lenet5", "--layers"],
        }
    )
    return settings.folder
