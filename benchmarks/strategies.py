"""Every strategy on folders from 50 to 5,000 pictures, beside the fixed recipes of Keras' guide and of fastai: one table.

    python benchmarks/strategies.py ../shared --output runs/strategies                     # all: many hours
    python benchmarks/strategies.py ../shared --folders hymenoptera cifar-50 --backbones mobilenet_0.25 --seeds 3
    python benchmarks/strategies.py ../shared --inner --shares      # how far of the way `large` should go

The same command goes on where one was cut off; other flags add to the same folder. A seed chooses the training pictures
(but for hymenoptera, whose train/ is given), the order and the augmentation. Every run begins with an empty cache; seconds
are those from the folder to the measured accuracy, without the start of Python, saving and report. `--inner` measures on
pictures held out of the training part instead of the test: settings are chosen by that alone.

Folders: hymenoptera (244 + 153 pictures); CIFAR-10 with 5, 50 and 500 training pictures of each class; MNIST with 5 and 50;
kinds, ImageNet's own sample pictures as dogs, other mammals, birds, other animals and things, 30 of each: as similar as can be;
rotation, the same pictures turned by 0, 90, 180 or 270 degrees, 100 of each, which is to be told: similar data, another
problem. Tests have 2,000 pictures at most.
"""

import argparse
import io
import json
import os
import shutil
import tarfile
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

from recipes.compute import runtime
from recipes.console import say, table
from recipes.data.batches import Batches
from recipes.evaluation.intervals import mean_interval, wilson
from recipes.runs.journal import Experiment
from recipes.transfer.backbone import framing

TEST = 2_000
KINDS = {
    "dogs": [(151, 269)],
    "mammals": [(102, 107), (147, 151), (269, 300), (330, 389)],
    "birds": [(7, 25), (80, 101), (127, 147)],
    "animals": [(0, 7), (25, 80), (107, 127), (300, 330), (389, 398)],
    "things": [(398, 1000)],
}
FOLDERS = ("hymenoptera", "cifar-5", "cifar-50", "cifar-500", "mnist-5", "mnist-50", "kinds-30", "rotation-100")
BACKBONES = {
    "mobilenet_0.25": ("mobilenet", 0.25, 128, "mobilenet_0.25_128_imagenet_uint8_dequantized.h5"),
    "mobilenet_0.75": ("mobilenet", 0.75, 192, "mobilenet_0.75_192_imagenet_uint8_dequantized.h5"),
    "mobilenet_v2": ("mobilenet_v2", None, 224, "mobilenet_v2_imagenet.h5"),
    "squeezenet1_1": ("squeezenet1_1", None, 224, "squeezenet1.1_gluon_float32.npz"),
}
STRATEGIES = ("small", "medium", "large", "full", "lp_ft", "gradual", "scratch", "auto")
BASELINES = ("keras guide", "fastai")
FROZEN = "keras guide, frozen phase"  # measured on the way


@dataclass(frozen=True)
class Settings:
    output: Path
    inner: bool

    @property
    def folder(self) -> Path:
        return self.output


def folder(name: str, shared: Path, seed: int, inner: bool, root: Path, most: int = TEST) -> Path:
    """The folder of pictures with train/ and test/, of `most` pictures at most, made once."""
    made = root / f"{name}{'-inner' if inner else ''}-{seed}"
    if not made.exists():
        new = made.with_suffix(".new")
        shutil.rmtree(new, ignore_errors=True)
        for part, label, file, content in _pictures(name, shared, np.random.default_rng(seed), inner, most):
            path = new / part / label / file
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content)
        new.rename(made)
    return made


def _pictures(
    name: str, shared: Path, generator: np.random.Generator, inner: bool, most: int
) -> Iterator[tuple[str, str, str, bytes]]:
    """(part, class, file name, content) of every picture."""
    kind, _, count = name.partition("-")
    if kind == "hymenoptera":
        files = {path: path.parent.name for path in sorted((shared / "data" / kind / "train").glob("*/*"))}
        held_out = {} if inner else {p: p.parent.name for p in sorted((shared / "data" / kind / "val").glob("*/*"))}
        read = Path.read_bytes
        per_class = {label: round(0.7 * n) if inner else n for label, n in _count(files.values()).items()}
    elif kind in ("cifar", "mnist"):
        archive = tarfile.open(shared / "data" / {"cifar": "cifar10.tar.xz", "mnist": "mnist.tar.xz"}[kind])
        content = {m.name: archive.extractfile(m).read() for m in archive if m.isfile()}  # in order: xz cannot seek
        parts = {name: name.split("/")[-3:-1] for name in sorted(content)}
        files = {name: label for name, (part, label) in parts.items() if part == "train"}
        held_out = {} if inner else {name: label for name, (part, label) in parts.items() if part == "test"}
        read, per_class = content.__getitem__, dict.fromkeys(files.values(), int(count))
    else:
        samples = sorted((shared / "data" / "imagenet-samples").glob("*.jpg"))
        held_out = {}
        if kind == "kinds":
            files = {samples[i]: label for label, spans in KINDS.items() for span in spans for i in range(*span)}
            read = Path.read_bytes
        else:
            files = {(path, angle): str(angle) for path in samples for angle in (0, 90, 180, 270)}
            read = _turned
        per_class = dict.fromkeys(files.values(), int(count))
    chosen, rest = _divide(files, per_class, generator, kind == "rotation")
    if inner and kind in ("kinds", "rotation"):  # what the real test will see is never looked at
        chosen, rest = _divide(chosen, {k: round(0.7 * n) for k, n in per_class.items()}, generator, kind == "rotation")
    test = held_out or {key: files[key] for key in rest}
    if len(test) > most:
        keys = list(test)
        test = {keys[i]: test[keys[i]] for i in sorted(np.random.default_rng(0).permutation(len(keys))[:most])}
    for part, keys in {"train": dict.fromkeys(chosen), "test": test}.items():
        for i, key in enumerate(keys):
            source = Path(str(key[0] if isinstance(key, tuple) else key))
            stem = f"{i:05}_{source.stem}" if isinstance(key, tuple) else f"{i:05}"  # the turns of a picture are a group
            yield part, files.get(key) or test[key], f"{stem}{source.suffix}", read(key)


def _count(labels) -> dict[str, int]:
    return {label: int(n) for label, n in zip(*np.unique(list(labels), return_counts=True), strict=True)}


def _divide(files: dict, per_class: dict[str, int], generator: np.random.Generator, by_picture: bool) -> tuple[dict, list]:
    """So many of each class, and the rest; `by_picture`: a picture of the first is in no form among the rest."""
    keys = list(files)
    groups = sorted({key[0] for key in keys}) if by_picture else keys
    order = [groups[i] for i in generator.permutation(len(groups))]
    place = {group: i for i, group in enumerate(order)}
    keys.sort(key=lambda key: place[key[0] if by_picture else key])
    chosen, left = {}, dict(per_class)
    for key in keys:
        if left[files[key]]:
            left[files[key]] -= 1
            chosen[key] = files[key]
    seen = {key[0] for key in chosen} if by_picture else chosen
    return chosen, [key for key in keys if (key[0] if by_picture else key) not in seen]


def _turned(key: tuple[Path, int]) -> bytes:
    from PIL import Image

    path, angle = key
    buffer = io.BytesIO()
    with Image.open(path) as image:
        side = min(image.size)
        left, upper = (image.width - side) // 2, (image.height - side) // 2
        square = image.convert("RGB").crop((left, upper, left + side, upper + side))
        square.rotate(angle).save(buffer, "JPEG", quality=95)
    return buffer.getvalue()


def _recipe(data: Path, output: Path | None, backbone: str, strategy: str, seed: int, shared: Path):
    from recipes.settings.finetune import Recipe

    model, alpha, size, weights = BACKBONES[backbone]
    path = None if strategy == "scratch" else str(shared / "weights" / weights)
    network = {"model": model, "weights": path, "alpha": alpha, "image_size": size}
    return Recipe(data, output, **network, validation=0.0, strategy=strategy, seed=seed)


def ours(data: Path, backbone: str, strategy: str, seed: int, shared: Path) -> dict:
    """A run of the main recipe; accuracy on test/."""
    from recipes import finetune

    with tempfile.TemporaryDirectory() as output:
        finetune.run(_recipe(data, Path(output) / "run", backbone, strategy, seed, shared))
        result = json.loads((Path(output) / "run" / "result.json").read_text())
    measured, chosen, seconds = result["metrics"]["test"], result["strategy"], result["seconds"]
    return {
        "right": round(measured["accuracy"] * measured["images"]),
        "images": measured["images"],
        "loss": measured["loss"],
        "chosen": chosen["name"],
        "reason": chosen["reason"],
        "run seconds": seconds["total"] - seconds["saving"] - seconds["report"],
    }


def along(data: Path, backbone: str, seed: int, shared: Path) -> dict:
    """`large`, trained once; right answers and log-loss on test/ at each share of the way from the fitted head to its end."""
    from callbacks.averaging import interpolate
    from recipes.evaluation.metrics import metrics
    from recipes.transfer.choice import INTERPOLATIONS, interpolated
    from recipes.transfer.run import fit, prepare, probabilities
    from recipes.transfer.trials import choose

    prepared = prepare(_recipe(data, None, backbone, "large", seed, shared))
    strategy = interpolated(choose(prepared, time.monotonic()).strategy, 1.0)
    fitted, pictures, model = fit(prepared, strategy), prepared.data, prepared.model
    end, test, found = model.get_weights(), pictures.part("test"), []
    for share in (0.0, *INTERPOLATIONS):
        interpolate(model, fitted.start, end, share)
        measured = metrics(pictures.labels[test], probabilities(prepared, strategy, test), pictures.classes)
        found.append({"share": share, "right": round(measured["accuracy"] * len(test)), "loss": measured["loss"]})
    return {"images": len(test), "along": found}


def baseline(data: Path, backbone: str, name: str, seed: int, shared: Path) -> dict:
    """One of the fixed recipes, with the same weights."""
    import keras_guide

    import zoo

    model, alpha, size, weights = BACKBONES[backbone]
    options = {"alpha": alpha} if alpha else {}
    body = zoo.get_model(model, num_classes=0, input_shape=(size, size, 3), weights=shared / "weights" / weights, **options)
    start, frozen = time.monotonic(), None
    images = sum(1 for _ in (data / "test").glob("*/*"))
    if name == "keras guide":
        phases = keras_guide.two_phases(data / "train", data / "test", body, seed)
        accuracy = phases["all"]["accuracy"]
        frozen = {
            "right": round(phases["frozen"]["accuracy"] * images),
            "images": images,
            "chosen": FROZEN,
            "run seconds": phases["frozen"]["seconds"],
        }
    else:
        accuracy = fine_tune(data, body, seed)
    return {
        "right": round(accuracy * images),
        "images": images,
        "loss": None,
        "chosen": name,
        "reason": "",
        "run seconds": time.monotonic() - start,
        "frozen": frozen,
    }


def fine_tune(data: Path, body, seed: int, epochs: int = 20, rate: float = 2e-3, spread: float = 100.0) -> float:
    """fastai's `Learner.fine_tune`: one frozen epoch, then all layers, the rates spread over a factor of 100; accuracy.

    From its source (fastai 2, callback/schedule.py): one-cycle schedules, the first nearly all warm-up from 1/25 of the rate,
    the second at half the rate, 0.3 of it warm-up from a fifth; Adam with a weight decay of 0.01; batches of 64; batch norm
    learns, in frozen layers, too. The number of epochs is left to the user there: here it is that of Keras' guide. Pictures go
    through our crops and mirror images; momentum does not cycle.
    """
    import keras

    import zoo
    from callbacks.optimizers import LayerwiseRates, decayed_rates, get_optimizer

    pass
    from recipes.data import augment
    from recipes.data.dataset import prepare
    from recipes.data.sources.folder import scan_folder

    keras.utils.set_random_seed(seed)
    found = prepare(scan_folder(data), framing(body), 0.0, 0.0, seed)
    train, test = found.part("train"), found.part("test")
    model = zoo.new_head(body, len(found.classes))
    phases = (("pre_logits", 1, rate, 0.99, 25, 1.0), (None, epochs, rate / 2, 0.3, 5, spread))
    for frozen, passes, peak, warm_up, division, factor in phases:
        zoo.freeze(model, frozen)
        for layer in model.layers:
            if isinstance(layer, keras.layers.BatchNormalization):
                layer.trainable, layer.momentum = True, 0.9
        read, _ = augment.pipeline("crops", found, train, mirror=True)
        batches = Batches(read, found.labels[train], 64, seed, threads=os.cpu_count() or 1)
        steps, stages = len(batches) * passes, zoo.stages(model)
        rise = max(1, round(warm_up * steps))
        schedule = keras.optimizers.schedules.CosineDecay(
            peak / division, max(1, steps - rise), 1e-5, warmup_target=peak, warmup_steps=rise
        )
        inner = get_optimizer("adamw", schedule, weight_decay=0.01)
        rates = decayed_rates(model, stages, factor ** (-1 / len(stages)))
        model.compile(LayerwiseRates(inner, rates), "sparse_categorical_crossentropy", metrics=["accuracy"], jit_compile=False)
        model.fit(batches, epochs=passes, verbose=0, shuffle=False)
    look, _ = augment.pipeline("none", found, test, mirror=False)
    held_out = Batches(look, found.labels[test], 64, seed)
    return model.evaluate(held_out, verbose=0)[1]


def once(settings, experiment: Experiment, folder_name: str, backbone: str, what: str, seed: int, work) -> dict:
    """What `work` gives for the folder of pictures, with an empty cache, or the journal."""
    import keras

    data = folder(folder_name, settings.shared, seed, settings.inner, settings.output / "data")

    def begin() -> dict:
        with tempfile.TemporaryDirectory() as cache:
            os.environ["ZOO_CACHE"] = cache
            keras.backend.clear_session()
            return work(data)

    return experiment.once(f"{folder_name}, {backbone}, {what}, seed {seed}", begin)


def measure(settings, experiment: Experiment, folder_name: str, backbone: str, strategy: str, seed: int) -> dict:
    """One run, once."""
    run = baseline if strategy in BASELINES else ours
    result = once(
        settings,
        experiment,
        folder_name,
        backbone,
        strategy,
        seed,
        lambda data: run(data, backbone, strategy, seed, settings.shared),
    )
    say(
        f"{folder_name} {backbone} {strategy} seed {seed}: {result['right'] / result['images']:.1%} "
        f"({result['chosen']}, {result['run seconds']:.0f} s)"
    )
    return result


def shares(settings, experiment: Experiment) -> list[dict]:
    """A row a folder and backbone: accuracy in percent and log-loss at each share of the way, means over the seeds."""
    rows = []
    for name in settings.folders:
        for backbone in settings.backbones:
            found = [
                once(
                    settings,
                    experiment,
                    name,
                    backbone,
                    "along large",
                    seed,
                    lambda data, backbone=backbone, seed=seed: along(data, backbone, seed, settings.shared),
                )
                for seed in range(settings.seeds)
            ]
            means = {"folder": name, "backbone": backbone, "seeds": len(found)}
            for i, place in enumerate(found[0]["along"]):
                accuracy = np.mean([result["along"][i]["right"] / result["images"] for result in found])
                loss = np.mean([result["along"][i]["loss"] for result in found])
                means[f"{place['share']:.0%}"] = f"{accuracy:.1%}, {loss:.3f}"
            rows.append(means)
    return rows


def row(folder_name: str, backbone: str, strategy: str, found: list[dict]) -> dict:
    """Accuracy: the mean over seeds with Student's interval; for one seed the test's own, Wilson's."""
    mean, low, high = mean_interval([r["right"] / r["images"] for r in found])
    if len(found) == 1:
        low, high = wilson(found[0]["right"], found[0]["images"])
    return {
        "folder": folder_name,
        "backbone": backbone,
        "strategy": strategy,
        "seeds": len(found),
        "accuracy %": round(100 * mean, 1),
        "low": round(100 * low, 1),
        "high": round(100 * high, 1),
        "seconds": round(float(np.mean([r["run seconds"] for r in found]))),
        "took": ", ".join(sorted({r["chosen"] for r in found})),
    }


def means(rows: list[dict]) -> list[dict]:
    """Of each strategy, over the folders and backbones."""
    places = list(dict.fromkeys((r["folder"], r["backbone"]) for r in rows))
    accuracy = {(r["strategy"], r["folder"], r["backbone"]): r["accuracy %"] for r in rows}
    best = {place: max(value for (_, *where), value in accuracy.items() if tuple(where) == place) for place in places}
    found = []
    for strategy in dict.fromkeys(r["strategy"] for r in rows):
        behind = {place: best[place] - accuracy[strategy, *place] for place in places}
        worst = max(behind, key=behind.get)
        found.append(
            {
                "strategy": strategy,
                "accuracy %": round(float(np.mean([accuracy[strategy, *place] for place in places])), 1),
                "seconds": round(float(np.mean([r["seconds"] for r in rows if r["strategy"] == strategy]))),
                "behind at most": round(behind[worst], 1),
                "where": ", ".join(worst),
            }
        )
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path, help="the folder with data/ and weights/")
    parser.add_argument("--output", type=Path, default=Path("runs/strategies"))
    parser.add_argument("--folders", nargs="+", default=FOLDERS, choices=FOLDERS)
    parser.add_argument("--backbones", nargs="+", default=list(BACKBONES), choices=BACKBONES)
    parser.add_argument("--strategies", nargs="+", default=(*STRATEGIES, *BASELINES), choices=(*STRATEGIES, *BASELINES))
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--inner", action="store_true", help="measure inside the training part")
    parser.add_argument("--shares", action="store_true", help="only how far `large` should go, whatever the strategies")
    settings = parser.parse_args()
    runtime.start(0)
    experiment = Experiment(Settings(settings.output, settings.inner))
    if settings.shares:
        return experiment.finish(shares(settings, experiment))
    rows = []
    for name in settings.folders:
        for backbone in settings.backbones:
            for strategy in settings.strategies:
                found = [measure(settings, experiment, name, backbone, strategy, seed) for seed in range(settings.seeds)]
                rows.append(row(name, backbone, strategy, found))
                if strategy == "keras guide":
                    rows.append(row(name, backbone, FROZEN, [result["frozen"] for result in found]))
    average = means(rows)
    experiment.finish(rows, means=average)
    say("\nmean over all of them, and by how much it is behind the best on the folder where it is furthest behind:")
    say(table(average))


if __name__ == "__main__":
    main()
