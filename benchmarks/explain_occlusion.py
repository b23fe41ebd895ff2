"""Do heat maps show what a network looks at? What hiding their hottest fifth takes from the true class, family by family.

    python benchmarks/explain_occlusion.py ../shared                      # docs/explain.md
    python benchmarks/explain_occlusion.py ../shared --only mobilenet_v2 --edge 0

Of each network with real weights: 200 pictures (seed 0), and what is lost of the true class's probability when the hottest
fifth of its map is hidden, when the same shape is at random places (the mean of three), and when the middle fifth is, which
needs no map at all, for photographers put things there. In what share of the pictures the first costs more than the second, and
a 95 % interval of the difference (bootstrap over the pictures).

Whole networks see ImageNet's samples, those of CIFAR its test pictures. Of two Inceptions the files end early: on what they end
with a linear head learns ants and bees (logistic regression on the 244 training pictures), and the 153 of val/ are asked about.
"""

import argparse
import os
import tarfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import keras
import numpy as np
from keras import layers

import zoo
from recipes.console import say
from recipes.data.images import Framing, center, read
from recipes.evaluation import occlusion
from recipes.transfer.grad_cam import GradCam
from zoo.layers import stage

PICTURES, MOVES, DRAWS = 200, 3, 2000


@dataclass(frozen=True)
class Asked:
    """A network, and pictures `(pictures, size, size, 3)` with the numbers of their classes."""

    model: keras.Model
    pixels: np.ndarray
    labels: np.ndarray


def read_all(paths: list[Path], size: int, resize: int, interpolation: str = "bilinear") -> np.ndarray:
    """Read pictures as a network of that size sees them."""
    framing = Framing(size, resize, 3, interpolation)
    return np.stack([center(read(path, framing)[0], framing) for path in paths])


def chosen(count: int) -> np.ndarray:
    """Draw the pictures that are asked about, or take all."""
    return np.sort(np.random.default_rng(0).permutation(count)[:PICTURES])


def imagenet(shared: Path, model: keras.Model) -> Asked:
    """Ask about ImageNet's samples, one a class: the number of the class is the rank of the name."""
    paths = sorted((shared / "data" / "imagenet-samples").iterdir())
    labels, size = chosen(len(paths)), model.input_shape[1]
    resize = round(size * model.origin.resize / model.origin.size)
    return Asked(model, read_all([paths[i] for i in labels], size, resize, model.origin.interpolation), labels)


def cifar(shared: Path, model: keras.Model) -> Asked:
    """Ask about test pictures of CIFAR-10."""
    with TemporaryDirectory() as folder:
        with tarfile.open(shared / "data" / "cifar10.tar.xz") as archive:
            archive.extractall(folder, [one for one in archive if "/test/" in f"/{one.name}"], filter="data")
        paths = sorted(path for path in Path(folder).rglob("*") if path.is_file())
        classes = sorted({path.parent.name for path in paths})
        some = [paths[i] for i in chosen(len(paths))]
        return Asked(model, read_all(some, 32, 32), np.array([classes.index(path.parent.name) for path in some]))


def ants_and_bees(shared: Path, name: str, cut: str, size: int, file: str, **options: object) -> Asked:
    """Let a linear head on the last map of a file that ends early learn ants and bees, and ask about val/."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    body = zoo.split(zoo.get_model(name, weights=None, input_shape=(size, size, 3), **options), cut)[0]
    zoo.load_weights(body, shared / "weights" / file)
    vectors = stage(layers.GlobalAveragePooling2D()(stage(body.output, "stage9")), "pre_logits")
    model = keras.Model(body.input, layers.Dense(2, "softmax")(vectors))
    parts = {part: sorted((shared / "data" / "hymenoptera" / part).glob("*/*")) for part in ("train", "val")}
    pixels = {part: read_all(paths, size, round(size * 256 / 224)) for part, paths in parts.items()}
    labels = {part: np.array([path.parent.name == "bees" for path in paths]).astype(int) for part, paths in parts.items()}
    features = keras.Model(body.input, vectors).predict(pixels["train"], verbose=0)
    scaler = StandardScaler().fit(features)
    fitted = LogisticRegression(C=0.01, max_iter=1000).fit(scaler.transform(features), labels["train"])
    kernel = fitted.coef_[0] / scaler.scale_
    bias = fitted.intercept_[0] - kernel @ scaler.mean_
    model.layers[-1].set_weights([np.stack([-kernel, kernel], axis=1) / 2, np.array([-bias, bias]) / 2])
    return Asked(model, pixels["val"], labels["val"])


def networks(shared: Path) -> dict[str, Callable[[], Asked]]:
    """Name the networks with real weights, and how to ask each."""
    weights = shared / "weights"
    mobilenet = "mobilenet_{}_{}_imagenet_uint8_dequantized.h5"

    def whole(name: str, file: str | None, size: int = 224, **options: object) -> Callable[[], Asked]:
        path = "imagenet" if file is None else weights / file
        shape = (size, size, 3)
        return lambda: imagenet(shared, zoo.get_model(name, weights=path, input_shape=shape, **options))

    def small(name: str, file: str) -> Callable[[], Asked]:
        return lambda: cifar(shared, zoo.get_model(name, weights=weights / file))

    google = ("googlenet_nolrn_to_inception4c.f16.npz", "inception_v3_2015_to_mixed8.f16.weights.h5")
    return {
        "mobilenet_v2": whole("mobilenet_v2", "mobilenet_v2_imagenet.h5"),
        "mobilenet, 0.75": whole("mobilenet", mobilenet.format("0.75", 192), 192, alpha=0.75),
        "mobilenet, 0.25": whole("mobilenet", mobilenet.format("0.25", 128), 128, alpha=0.25),
        "squeezenet1_1": whole("squeezenet1_1", "squeezenet1.1_gluon_float32.npz"),
        "efficientnet_lite0": whole("efficientnet_lite0", None, 224),
        "efficientnet_lite1": whole("efficientnet_lite1", None, 240),
        "efficientnet_lite2": whole("efficientnet_lite2", None, 260),
        "resnet20": small("resnet20", "resnet20-12fca82f.th"),
        "resnet56": small("resnet56", "resnet56-4bfd9763.th"),
        "inception_v1 to 4c": lambda: ants_and_bees(shared, "inception_v1", "inception_4c", 224, google[0], lrn=False),
        "inception_v3 to mixed8": lambda: ants_and_bees(shared, "inception_v3", "mixed8", 299, google[1]),
    }


def middle(size: int) -> np.ndarray:
    """Draw a map that is hottest in the middle, whatever the picture."""
    line = -np.abs(np.arange(size) - (size - 1) / 2)
    return np.minimum(line[:, None], line[None])


def measured(asked: Asked) -> str:
    """Draw the maps of a network, hide, and write a row of the table."""
    explainer, pixels, labels = GradCam(asked.model), asked.pixels, asked.labels
    steps = [slice(start, start + 20) for start in range(0, len(pixels), 20)]
    heat = np.concatenate([explainer.heat(pixels[step], labels[step, None])[:, 0] for step in steps])

    def probabilities(some: np.ndarray) -> np.ndarray:
        return asked.model.predict(some, batch_size=50, verbose=0)

    def lost(maps: np.ndarray, moves: int) -> tuple[np.ndarray, np.ndarray]:
        made = [one for step in steps for one in occlusion.check(pixels[step], maps[step], labels[step], probabilities, moves)]
        return np.array([(one.whole - one.without_hottest, one.whole - one.without_random) for one in made]).T

    hot, by_chance = lost(heat, MOVES)
    central, _ = lost(np.tile(middle(pixels.shape[1]), (len(pixels), 1, 1)), 1)
    whole = np.concatenate([probabilities(pixels[step]) for step in steps])[np.arange(len(labels)), labels]
    generator = np.random.default_rng(0)
    drawn = (hot - by_chance)[generator.integers(0, len(hot), (DRAWS, len(hot)))].mean(axis=1)
    low, high = 100 * np.quantile(drawn, (0.025, 0.975))
    empty = int((heat.max(axis=(1, 2)) <= 0).sum())
    means = [f"{100 * values.mean():.1f}" for values in (whole, hot, by_chance, central)]
    more = f"{100 * (hot > by_chance).mean():.0f} %"
    return " | ".join([*means, f"{low:.1f} to {high:.1f}", more, str(empty), ", ".join(explainer.stages)])


def main() -> None:
    """Print the table, a row as soon as it is there."""
    parser = argparse.ArgumentParser()
    parser.add_argument("shared", type=Path)
    parser.add_argument("--only", nargs="*", help="names of networks")
    parser.add_argument(
        "--edge", type=float, default=occlusion.SOFT_SHARE, help="softness of the edge of what is hidden; 0: none"
    )
    settings = parser.parse_args()
    occlusion.SOFT_SHARE = settings.edge
    say("| network | probability | hottest fifth | random fifth | middle fifth | difference, 95 % | more | empty | stage |")
    say("|---|---|---|---|---|---|---|---|---|")
    for name, ask in networks(settings.shared).items():
        if not settings.only or name in settings.only:
            say(f"| {name} | {measured(ask())} |")


if __name__ == "__main__":
    main()
