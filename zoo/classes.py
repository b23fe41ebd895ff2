"""Names of classes: those of ImageNet, CIFAR-10 and MNIST, and those that a run's model carries."""

import functools
from pathlib import Path

from zoo.weights.catalog import Entry
from zoo.weights.saved import Saved

IMAGENET = Path(__file__).with_name("imagenet.txt")
DATASETS = ("imagenet", "cifar10", "mnist")


def names_of(entry: Entry | None, saved: Saved | None, num_classes: int) -> tuple[str, ...]:
    """Name the classes of a file's classifier, published or a run's, if these are as many; empty where it does not say."""
    if entry:
        names = of_dataset(entry.dataset) if entry.num_classes else ()
    else:
        names = saved.classes if saved else ()
    return names if len(names) == num_classes else ()


def of_dataset(name: str) -> tuple[str, ...]:
    """Name the classes of one of `DATASETS`, in the order of the outputs."""
    if name == "imagenet":
        return tuple(imagenet().values())
    if name == "cifar10":  # Krizhevsky 2009, "Learning multiple layers of features from tiny images", section 3.1
        return "airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"
    return tuple("0123456789")


@functools.cache
def imagenet() -> dict[str, str]:
    """Read ImageNet's classes: {WordNet id: name}, in the order of the outputs, which is that of the ids."""
    lines = IMAGENET.read_text(encoding="utf-8").splitlines()
    return dict(line.split(" ", 1) for line in lines if not line.startswith("#"))
