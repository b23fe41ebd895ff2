"""Which transferability score orders backbones as full linear probes do? Kendall's τ over the backbones, folder by folder.

    python benchmarks/transferability.py ../shared --output runs/transferability      # the tables of docs/rank.md

Backbones: what lies in `weights/` and the zoo knows, one of them cut where its file ends; not Inception v3, which takes as
long as all others together. Folders: hymenoptera as it is; 10 pictures of each class of CIFAR-10 and of MNIST, judged on 20
others; ImageNet's samples as animals or things, 100 to train on and 200 to judge. All see the central crop alone. The scores
know the training part; they are compared with the accuracy, and the log-loss, of the logistic regression of
`recipes.transfer.logistic` on the validation part. Its own cross-validation inside the training part stands beside: what
one would use if it cost nothing. The same command goes on where it was cut off.
"""

import argparse
import os
import tarfile
import time
from collections import Counter
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from recipes.console import say, table

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

# Pictures of each class of CIFAR-10 and of MNIST.
TRAIN = 10
JUDGED = 20
# Pictures of ImageNet.
TRAIN_SAMPLES = 100
JUDGED_SAMPLES = 200
# ImageNet's first classes, so many, are animals.
ANIMALS = 398
MOBILENET = "mobilenet_{}_imagenet_uint8_dequantized.h5"
# By name: model, file, and the builder's options; of those that are cut, the layer where the file ends, too.
WHOLE = {
    "mobilenet_v2": ("mobilenet_v2", "mobilenet_v2_imagenet.h5", {}),
    "mobilenet 0.75 192": ("mobilenet", MOBILENET.format("0.75_192"), {"alpha": 0.75, "input_shape": (192, 192, 3)}),
    "mobilenet 0.25 128": ("mobilenet", MOBILENET.format("0.25_128"), {"alpha": 0.25, "input_shape": (128, 128, 3)}),
    "squeezenet1_1": ("squeezenet1_1", "squeezenet1.1_gluon_float32.npz", {}),
    "resnet20, CIFAR-10": ("resnet20", "resnet20-12fca82f.th", {}),
    "resnet56, CIFAR-10": ("resnet56", "resnet56-4bfd9763.th", {}),
}
CUT = {
    "inception_v1 to 4c": ("inception_v1", "googlenet_nolrn_to_inception4c.f16.npz", {"lrn": False}, "inception_4c"),
}


@dataclass(frozen=True)
class Settings:
    shared: Path
    output: Path

    @property
    def folder(self) -> Path:
        return self.output


def unpacked(archive: Path, folder: Path) -> Path:
    """The first pictures of each class of train/ and of test/, as train/ and val/."""
    if folder.exists():
        return folder
    counts, new = Counter(), folder.with_name(f"{folder.name}.new")
    with tarfile.open(archive) as tar:
        for member in tar:
            path = Path(member.name)
            split, label = path.parts[-3:-1] if len(path.parts) > 2 else ("", "")
            if member.isfile() and counts[split, label] < {"train": TRAIN, "test": JUDGED}.get(split, 0):
                counts[split, label] += 1
                place = new / {"train": "train", "test": "val"}[split] / label / path.name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(tar.extractfile(member).read())
    os.replace(new, folder)
    return folder


def animals(samples: Path, folder: Path) -> Path:
    """Links to ImageNet's samples in two classes."""
    paths = sorted(samples.iterdir())
    for rank, index in enumerate(np.random.default_rng(0).permutation(len(paths))[: TRAIN_SAMPLES + JUDGED_SAMPLES]):
        split, label = "train" if rank < TRAIN_SAMPLES else "val", "animals" if index < ANIMALS else "things"
        place = folder / split / label / paths[index].name
        place.parent.mkdir(parents=True, exist_ok=True)
        if not place.exists():
            place.symlink_to(paths[index].resolve())
    return folder


def h_score(features: np.ndarray, labels: np.ndarray) -> float:
    """How much of the features' variance lies between the classes: tr(Σ_α⁻¹ (1 − α) Σ_z).

    Bao et al. 2019, "An Information-Theoretic Approach to Transferability in Task Transfer Learning", with the shrunken
    covariance of Ibrahim et al. 2021 (arXiv:2110.06893).
    Σ is the covariance of the features, Σ_z that of their class means, Σ_α = (1 − α) Σ + α tr(Σ)/d I with the α of
    Ledoit & Wolf 2004. At most the number of classes less one.
    """
    from sklearn.covariance import ledoit_wolf_shrinkage

    features = np.asarray(features, float)
    features = features - features.mean(axis=0)
    images, width = features.shape
    shrinkage = ledoit_wolf_shrinkage(features, assume_centered=True)
    _, singular, right = np.linalg.svd(features, full_matrices=False)
    floor = shrinkage * (features**2).sum() / images / width
    shrunken = (1 - shrinkage) * singular**2 / images + floor  # eigenvalues; the means lie in the span of `right`
    classes, sizes = np.unique(labels, return_counts=True)
    means = np.stack([features[labels == label].mean(axis=0) for label in classes]) @ right.T
    between = (sizes[:, None] / images * means**2).sum(axis=0)
    return float((1 - shrinkage) * (between / shrunken).sum())


def work(folder: Path, weights: Path, model: str, file: str, options: dict, cut: str | None) -> dict:
    """All scores of one backbone on one folder, and the accuracy and loss that they are to foretell."""
    import keras
    from scipy.special import softmax

    import zoo
    from recipes.data.dataset import prepare
    from recipes.data.sources.folder import scan_folder
    from recipes.data.views import CENTER
    from recipes.evaluation.metrics import metrics
    from recipes.transfer import features, logistic
    from recipes.transfer.backbone import framing
    from recipes.transfer.transferability import leave_one_out, logme

    keras.backend.clear_session()
    if cut:
        network = zoo.get_model(model, **options)
        zoo.load_weights(zoo.split(network, cut)[0], weights / file)
    else:
        network = zoo.new_head(zoo.get_model(model, weights=weights / file, num_classes=0, **options), 2)
    data = prepare(scan_folder(folder), framing(network), 0.2, 0.2, 0)
    train, judged = data.part("train"), data.part("validation")
    cut = features.vector_cut(network, cut or "pre_logits")
    views = [(i, CENTER) for i in [*train, *judged]]
    rows = features.extract(network, [cut], data, views, 32)[cut]
    x, y = rows[: len(train)], data.labels[train]
    found, seconds = {}, {}
    for name, score in {"logme": logme, "h_score": h_score, "leave_one_out": leave_one_out}.items():
        start = time.process_time()
        found[name] = score(x, y)
        seconds[name] = time.process_time() - start
    found["LOO accuracy"], brier = found.pop("leave_one_out")
    start = time.process_time()
    head = logistic.fit(x[None], [False], y, 0)
    seconds["logistic regression"] = time.process_time() - start
    best = min(head.path, key=lambda row: row["loss"])
    guesses = softmax(rows[len(train) :] @ head.kernel + head.bias, axis=1)
    truth = metrics(data.labels[judged], guesses, data.classes)
    return found | {
        "LOO Brier": -brier,
        "CV accuracy": best["accuracy"],
        "CV loss": -best["loss"],
        "accuracy": truth["accuracy"],
        "loss": truth["loss"],
        "processor": seconds,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/transferability"))
    settings = Settings(**vars(parser.parse_args()))

    from recipes.compute import runtime
    from recipes.runs.journal import Experiment
    from zoo.files import cache_folder

    runtime.start(0)
    from scipy.stats import kendalltau

    data, made = settings.shared / "data", cache_folder("benchmarks")
    made.mkdir(parents=True, exist_ok=True)
    folders = {
        "hymenoptera": data / "hymenoptera",
        "cifar10": unpacked(data / "cifar10.tar.xz", made / "cifar10"),
        "animals or things": animals(data / "imagenet-samples", made / "animals"),
        "mnist": unpacked(data / "mnist.tar.xz", made / "mnist"),
    }
    backbones = {name: (*values, None) for name, values in WHOLE.items()} | CUT
    experiment, found = Experiment(settings), {}
    for folder, path in folders.items():
        for name, values in backbones.items():
            piece = partial(work, path, settings.shared / "weights", *values)
            found[folder, name] = experiment.once(f"{folder}, {name}", piece)
            say("{}, {}: {accuracy:.3f}".format(folder, name, **found[folder, name]))
    first = next(iter(found.values()))
    rows = []
    for score in (name for name in first if name not in ("accuracy", "loss", "processor", "seconds")):
        taus = {"accuracy": {}, "loss": {}}
        for folder in folders:
            results = [found[folder, name] for name in backbones]
            for truth, sign in (("accuracy", 1), ("loss", -1)):
                pairs = [(result[score], sign * result[truth]) for result in results]
                taus[truth][folder] = float(kendalltau(*zip(*pairs, strict=True)).statistic)
        means = {f"mean, {truth}": sum(values.values()) / len(values) for truth, values in taus.items()}
        rows.append({"score": score} | taus["accuracy"] | means)
    say("\n" + table([{"backbone": name} | {f: found[f, name]["accuracy"] for f in folders} for name in backbones]))
    costs = {name: sum(result["processor"][name] for result in found.values()) / len(found) for name in first["processor"]}
    say("\nprocessor seconds, mean: " + ", ".join(f"{name} {value:.2f}" for name, value in costs.items()) + "\n")
    everything = [{"folder": folder, "backbone": name} | result for (folder, name), result in found.items()]
    experiment.finish(rows, backbones=everything, processor_seconds=costs)


if __name__ == "__main__":
    main()
