"""How many near-duplicates are found, what else is taken for one, what it costs, and how much memory 100,000 pictures take.

    python benchmarks/near_duplicates.py ../shared --output runs/near_duplicates           # docs/results.md

Of 300 pictures of ImageNet's samples, of CIFAR-10 and of MNIST each, six copies are made, and looked for among all 1,000, and
among 3,000 drawn from the training parts of the others. A pair counts as found if it ties a copy to its original; every pair of
pictures with different originals counts as false, although CIFAR-10 has near-duplicates of its own: `--show` draws those, to be
looked at. Thresholds were chosen on the pictures of `--first 0`, on scikit-learn's digits and on MNIST's test part; those of
`--first 300`, and MNIST's training part, were not looked at before.
The same command goes on where it was cut off.
"""

import argparse
import io
import resource
import tarfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from recipes.console import say
from recipes.data.appearance import SIDE, appearance_of
from recipes.data.duplicates import near_duplicates
from recipes.data.images import Framing, decode, examine, whole
from recipes.runs.journal import Experiment

COPIED = 300
DRAWN = 3_000
MANY = 100_000
TIMED = 200
FRAMING = Framing(224, 256, 3, "bicubic")


@dataclass(frozen=True)
class Settings:
    shared: Path
    output: Path
    first: int
    show: bool

    @property
    def folder(self) -> Path:
        return self.output


def jpeg(image: Image.Image, quality: int = 90) -> bytes:
    """Encode a picture."""
    stream = io.BytesIO()
    image.save(stream, "JPEG", quality=quality)
    return stream.getvalue()


def copies(image: Image.Image, generator: np.random.Generator) -> dict[str, bytes]:
    """Make the six copies of a picture, as files."""
    width, height = image.size
    scale, light, border = (generator.choice(values) for values in ((0.5, 0.7, 1.5), (0.6, 0.75, 1.3, 1.5), (0.03, 0.06, 0.1)))
    right, lower = round(0.95 * width), round(0.95 * height)
    x, y = generator.integers(0, width - right + 1), generator.integers(0, height - lower + 1)
    color = [(0, 0, 0), (255, 255, 255), (128, 128, 128), (200, 30, 60)][generator.integers(4)]
    return {
        "resized": jpeg(image.resize((round(width * scale), round(height * scale)), Image.Resampling.BICUBIC)),
        "quality 30": jpeg(image, 30),
        "cropped by 5 %": jpeg(image.crop((x, y, x + right, y + lower))),
        "mirrored": jpeg(ImageOps.mirror(image)),
        "brightness": jpeg(ImageEnhance.Brightness(image).enhance(light)),
        "border": jpeg(ImageOps.expand(image, max(1, round(border * min(width, height))), color)),
    }


def pictures(name: str, shared: Path) -> list[bytes]:
    """Read the files of a data set, in an order drawn at random."""
    if name == "imagenet-samples":
        files = [path.read_bytes() for path in sorted((shared / "data" / name).iterdir())]
    else:
        with tarfile.open(shared / "data" / f"{name}.tar.xz") as tar:
            files = [tar.extractfile(member).read() for member in tar if member.isfile() and "/train/" in f"/{member.name}"]
    return [files[i] for i in np.random.default_rng(0).permutation(len(files))[:DRAWN]]


def thumbnails(files: list[bytes]) -> np.ndarray:
    """Read thumbnails `(files, 2, SIDE, SIDE)`."""
    return np.stack([appearance_of(whole(data, FRAMING)[0]).thumbnails for data in files])


def found(settings: Settings, name: str) -> dict:
    """Recall of each way, precision, and the false pairs."""
    files, generator = pictures(name, settings.shared), np.random.default_rng(settings.first)
    chosen = range(settings.first, settings.first + COPIED)
    made = [(i, way, data) for i in chosen for way, data in copies(whole(files[i], FRAMING)[0], generator).items()]
    everything = [*files, *(data for _, _, data in made)]
    owner = [*range(len(files)), *(i for i, _, _ in made)]
    looks = thumbnails(everything)
    near = near_duplicates(looks)
    pairs = near.pairs
    right = [pair for pair in pairs if owner[pair.first] == owner[pair.second]]
    false = [pair for pair in pairs if owner[pair.first] != owner[pair.second]]
    tied = {pair.second for pair in right if pair.first < len(files)}
    ways = Counter(made[index - len(files)][1] for index in tied)
    if settings.show and false:
        shown = list({tuple(sorted((owner[p.first], owner[p.second]))): p for p in false}.values())[:60]
        draw(settings.output / f"{name}.png", [(everything[p.first], everything[p.second]) for p in shown])
    return {
        "pictures": len(everything),
        "recall": {way: ways[way] / COPIED for way in ways},
        "pairs": len(pairs),
        "usual": near.usual,
        "false": len(false),
        "false of different pictures": len({tuple(sorted((owner[p.first], owner[p.second]))) for p in false}),
        "cost": cost(files[:TIMED]) | compared(looks[: len(files)]),
    }


def draw(path: Path, pairs: list[tuple[bytes, bytes]]) -> None:
    """Draw pairs side by side, six in a row."""
    sheet = Image.new("RGB", (6 * 210, (len(pairs) + 5) // 6 * 110), "white")
    for place, pair in enumerate(pairs):
        for side, data in enumerate(pair):
            corner = (place % 6 * 210 + side * 101, place // 6 * 110)
            sheet.paste(whole(data, FRAMING)[0].resize((100, 100)), corner)
    path.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(path)


def cost(files: list[bytes]) -> dict[str, float]:
    """Processor milliseconds a picture, of decoding alone and of what looking at it adds, in turns; the least of nine rounds."""
    rounds = np.empty((9, len(files), 2))
    for one in rounds:
        for place, data in enumerate(files):
            start = time.process_time()
            decode(data, FRAMING)
            middle = time.process_time()
            examine(data, FRAMING)
            one[place] = middle - start, time.process_time() - middle
    decoding, both = 1000 * rounds.min(axis=0).mean(axis=0)
    return {"decode": float(decoding), "appearance": float(both - decoding)}


def compared(looks: np.ndarray) -> dict[str, float]:
    """Processor milliseconds a picture, of the comparison with all others; the least of three rounds."""
    seconds = []
    for _ in range(3):
        start = time.process_time()
        near_duplicates(looks)
        seconds.append(time.process_time() - start)
    return {"comparison": 1000 * min(seconds) / len(looks)}


def many(count: int) -> dict[str, float]:
    """Time and memory of so many pictures: noise with the spectrum of photographs, a hundredth of it copied."""
    generator = np.random.default_rng(0)
    frequency = np.hypot(np.fft.fftfreq(SIDE)[:, None], np.fft.rfftfreq(SIDE))
    frequency[0, 0] = np.inf
    stored = np.empty((count, 2, SIDE, SIDE), np.uint8)
    for start in range(0, count, 500):
        noise = np.fft.irfft2(np.fft.rfft2(generator.normal(size=(500, SIDE, SIDE))) / frequency)
        noise = noise / noise.std(axis=(1, 2), keepdims=True)
        stored[start : start + 500] = np.clip(128 + 50 * noise, 0, 255)[:, None]
    stored[: count // 100] = stored[count // 2 : count // 2 + count // 100]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    start, processor = time.monotonic(), time.process_time()
    pairs = near_duplicates(stored).pairs
    return {
        "pictures": count,
        "pairs": len(pairs),
        "copied": count // 100,
        "seconds": time.monotonic() - start,
        "processor seconds": time.process_time() - processor,
        "MB of thumbnails": stored.nbytes / 1e6,
        "MB beside them": (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1e3,
        "MB at most": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
    }


def main() -> None:
    """Measure, and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("shared", type=Path)
    parser.add_argument("--output", type=Path, default=Path("runs/near_duplicates"))
    parser.add_argument("--first", type=int, default=300)
    parser.add_argument("--show", action="store_true")
    settings = Settings(**vars(parser.parse_args()))
    experiment, rows = Experiment(settings), []
    for name in ("imagenet-samples", "cifar10", "mnist"):
        result = experiment.once(f"{name}, {settings.first}", partial(found, settings, name))
        say(f"{name}: {result}")
        precision = 1 - result["false"] / result["pairs"]
        share = (result["cost"]["appearance"] + result["cost"]["comparison"]) / result["cost"]["decode"]
        rows.append({"pictures": name} | result["recall"] | {"precision": precision, "cost": share})
    with ProcessPoolExecutor(1, get_context("spawn")) as alone:  # a process's largest memory is that of its whole life
        large = experiment.once(f"{MANY}", lambda: alone.submit(many, MANY).result())
    say(f"{large}\n")
    experiment.finish(rows, large=large)


if __name__ == "__main__":
    main()
