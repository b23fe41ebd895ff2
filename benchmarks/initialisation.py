"""How large activations are through depth in fresh networks: the zoo's beside the PyTorch networks that they follow.

    python benchmarks/initialisation.py ../shared/data/imagenet-samples              # all of tests/activations.py
    python benchmarks/initialisation.py ../shared/data/imagenet-samples 'resnet*' --seeds 5

Standard deviations at the end of each stage and of the logits, on the same 8 photographs with the same preprocessing, each
the mean over the seeds; what is printed is ours / PyTorch's: in use, where batch norm does nothing yet, and in training, where
it divides by the batch's own. docs/results.md has the table.
"""

import argparse
import fnmatch
import gc
import sys
import warnings
from pathlib import Path

import keras
import numpy as np

sys.path.append(str(Path(__file__).parents[1] / "tests"))  # where the networks are compared in value


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pictures", type=Path, help="folder of photographs")
    parser.add_argument("pattern", nargs="?", default="*")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--images", type=int, default=8)
    options = parser.parse_args()

    from activations import REFERENCES, ratios, read_pictures

    pictures = read_pictures(options.pictures, options.images)
    print("| network | variant | reference | in use: stages, logits | in training: stages, logits |\n|---|---|---|---|---|")
    for (name, variant), reference in REFERENCES.items():
        if not fnmatch.fnmatch(name, options.pattern):
            continue
        columns = [_row(values) for values in ratios(name, variant, pictures, options.seeds)]
        print(f"| `{name}` | {variant} | {reference.library} `{reference.name}` | {' | '.join(columns)} |", flush=True)
        keras.backend.clear_session()
        gc.collect()


def _row(values: np.ndarray) -> str:
    return ", ".join("–" if np.isnan(value) else f"{value:.2f}" for value in values)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    main()
