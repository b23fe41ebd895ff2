"""How far networks of every family lie from Keras once exported, on real pictures: a row of docs/export.md each.

    PYTHONPATH=.:tests python benchmarks/exports.py PICTURES     # a folder; 100 of its pictures are taken
    PYTHONPATH=.:tests python benchmarks/exports.py PICTURES --only mobilenet vit_ti_16
    PYTHONPATH=.:tests python benchmarks/exports.py PICTURES --rows rows.md    # adds to the file what it does not have yet

Weights are random (seed 0), with ten classes, signals kept in range, and answers that differ from picture to picture: what is
measured is the conversion, for which any weights do. Each network has its own default size.
"""

import argparse
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from families import MEMBERS
from varied import varied

from recipes.compute.runtime import silenced, start
from recipes.data.images import Framing, center, read
from recipes.evaluation.tasks import MULTI_CLASS
from recipes.formats import agreement
from recipes.formats.form import Job
from recipes.formats.network import Network
from recipes.formats.table import FORMS

PICTURES, CLASSES = 100, 10


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
    print("| network | form | probabilities differ by at most | clear answers that are the same |", "|---" * 4 + "|", sep="\n")
    for name in given.only:
        missing = [form for form in given.to if not any(line.startswith(f"| `{name}` | {form} |") for line in there)]
        for row in rows(name, missing, chosen) if missing else ():
            print(row, flush=True)
            if given.rows:
                with open(given.rows, "a") as file:
                    print(row, file=file)


def rows(name: str, forms: Sequence[str], paths: list[Path]) -> Iterator[str]:
    """Make a network, and write the row of each form."""
    import zoo

    model = zoo.get_model(name, num_classes=CLASSES, weights=None)
    size, channels = model.input_shape[1], model.input_shape[3]
    framing = Framing(size, size, channels)
    pixels = [center(read(path, framing)[0], framing) for path in paths]
    before = varied(model, np.stack(pixels))
    for form in forms:
        try:
            found = measured(Network(model, framing), form, pixels, before)
            yield f"| `{name}` | {form} | {found.difference:.1e} | {found.same} of {found.clear} |"
        except Exception as error:  # converters raise almost anything, and the next network has nothing to do with it
            yield f"| `{name}` | {form} | {' '.join(str(error).split())[:300] or type(error).__name__} | |"


def measured(network: Network, form: str, pixels: list[np.ndarray], before: np.ndarray) -> agreement.Agreement:
    """Export a network, ask it by its own runtime, and compare what it says with what Keras has said before."""
    with tempfile.TemporaryDirectory() as place:
        with silenced():
            FORMS[form].write(network, Path(place), Job("float32", {}, np.empty(0)))
        answers = agreement.ask(form, Path(place, FORMS[form].file), pixels, lambda: 0.0)
    return agreement.compare(MULTI_CLASS, before, answers.probabilities, agreement.LIMITS["float32"])


if __name__ == "__main__":
    main()
