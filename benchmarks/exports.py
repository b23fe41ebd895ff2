"""How far networks of every family lie from Keras once exported, on real pictures: a row of docs/export.md each.

    PYTHONPATH=.:tests python benchmarks/exports.py PICTURES     # a folder; 100 of its pictures are taken
    PYTHONPATH=.:tests python benchmarks/exports.py PICTURES --only mobilenet vit_ti_16
    PYTHONPATH=.:tests python benchmarks/exports.py PICTURES --rows rows.md    # adds to the file what it does not have yet

Weights are random (seed 0), with ten classes and signals kept in range, so that rounding has something to act on: what is
measured is the conversion, for which trained weights are as good as any. Each network has its own default size.
"""

import argparse
import itertools
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from helpers import randomize

from recipes.compute.runtime import silenced, start
from recipes.data.images import Framing, center, read
from recipes.evaluation.tasks import MULTI_CLASS
from recipes.formats import agreement
from recipes.formats.form import Job
from recipes.formats.network import Network
from recipes.formats.table import FORMS

PICTURES, CLASSES = 100, 10
# The smallest member of each family.
MEMBERS = """
    lenet5 alexnet vgg11 inception_v1 inception_v3 resnet18 resnet50v2 resnet20 squeezenet1_1 densenet121 xception mobilenet
    mobilenet_v2 mobilenet_v3_small mobilenet_v4_conv_small efficientnet_b0 efficientnet_v2_b0 efficientnet_lite0
    regnet_x_400mf regnet_y_400mf convnext_atto convnext_v2_atto vit_ti_16 deit3_s_16 dinov2_s_14_reg swin_tiny hgnetv2_b0
    tiny_vit_5m
""".split()


def main() -> None:
    """Measure, and print a row for each network and form."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--only", nargs="+", default=MEMBERS)
    parser.add_argument("--to", nargs="+", default=["onnx", "litert"], choices=FORMS)
    parser.add_argument("--rows", type=Path)
    given = parser.parse_args()
    start(0)
    paths = sorted(path for path in given.pictures.rglob("*") if path.suffix.lower() in (".jpg", ".jpeg", ".png"))
    chosen = [paths[i] for i in np.random.default_rng(0).permutation(len(paths))[:PICTURES]]
    there = given.rows.read_text().splitlines() if given.rows and given.rows.exists() else []
    print(
        "| network | form | probabilities differ by | clear answers alike | ms a picture | Keras, ms |",
        "|---" * 6 + "|",
        sep="\n",
    )
    for name, form in itertools.product(given.only, given.to):
        if any(line.startswith(f"| `{name}` | {form} |") for line in there):
            continue
        try:
            row = measured(name, form, chosen)
        except Exception as error:  # converters raise almost anything, and the next network has nothing to do with it
            row = f"| `{name}` | {form} | {' '.join(str(error).split())[:300] or type(error).__name__} | | | |"
        print(row, flush=True)
        if given.rows:
            with open(given.rows, "a") as file:
                print(row, file=file)


def measured(name: str, form: str, paths: list[Path]) -> str:
    """Export a network, ask it by its own runtime, and write the row."""
    import zoo

    model = randomize(zoo.get_model(name, num_classes=CLASSES, weights=None), gain=0.5)
    size, channels = model.input_shape[1], model.input_shape[3]
    framing = Framing(size, size, channels)
    pixels = [center(read(path, framing)[0], framing) for path in paths]
    before = model.predict(np.stack(pixels), batch_size=16, verbose=0)
    with tempfile.TemporaryDirectory() as place:
        with silenced():
            FORMS[form].write(Network(model, framing), Path(place), Job("float32", {}, np.empty(0)))
        one = pixels[0][None]
        model.predict_on_batch(one)
        answers = agreement.ask(form, Path(place, FORMS[form].file), pixels, lambda: seconds(model, one))
    found = agreement.compare(MULTI_CLASS, before, answers.probabilities, agreement.LIMITS["float32"])
    times = f"{answers.seconds * 1e3:.3g} | {answers.keras_seconds * 1e3:.3g}"
    return f"| `{name}` | {form} | {found.difference:.1e} | {found.same} of {found.clear} | {times} |"


def seconds(model: keras.Model, pixels: np.ndarray) -> float:
    """Time a model on a picture."""
    start = time.perf_counter()
    model.predict_on_batch(pixels)
    return time.perf_counter() - start


if __name__ == "__main__":
    main()
