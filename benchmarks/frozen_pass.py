"""How near reading and features come to the limit of the machine: cold, from files to rows in the cache.

    python benchmarks/frozen_pass.py PICTURES [--models mobilenet_v2,efficientnet_lite0,resnet50] [--engines keras,openvino]
        [--count 600] [--rounds 3]

PICTURES is a folder of pictures, with or without folders of classes. Each round is a process of its own, which measures

- `decoding`: core-seconds of decoding all pictures, alone;
- `forward`: core-seconds of the engine's passes of them, alone, from pixels in memory, compiled before: of one thread that
  passes batches or of as many as a run has, whatever takes less;
- `pass`: seconds from the files until every picture's features are kept, nothing being in any cache, with everything that a run
  does on the way (digests, copies, the division), and with compiling the network;
- `predict`: seconds that Keras' `predict` takes for the same pixels, in memory, with the allocator that `keep_memory` chooses,
  compiled before.

Printed are the medians of the rounds, in which engines take turns, and
`of the limit` = (decoding + forward) / cores / pass, `of its work` = (decoding + forward) / core-seconds of the pass, which
`of the limit` would be if no core waited, and `of predict` = predict / pass: more is better.
Others on the machine make the pass slower and leave core-seconds alone: `share` is how much of the cores' time, as far as
nobody else used it, went into the pass.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp"}
BATCH_SIZE = 32


def distinct(pictures: Path, count: int, folder: Path) -> None:
    """Copy so many pictures into two classes; where there are fewer, the same once more, with other bytes at their end."""
    found = sorted(path for path in pictures.rglob("*") if path.suffix.lower() in SUFFIXES)
    if not found:
        sys.exit(f"{pictures} holds no pictures.")
    for number in range(count):
        path = found[number % len(found)]
        copy = folder / "ab"[number % 2] / f"{number:05}{path.suffix}"
        copy.parent.mkdir(exist_ok=True)
        copy.write_bytes(path.read_bytes() + bytes(number // len(found)))


def idle() -> float:
    """Count the seconds that the machine's cores have idled; 0 where the system does not say."""
    try:
        fields = Path("/proc/stat").read_text().split("\n")[0].split()[1:]
    except OSError:
        return 0.0
    return (int(fields[3]) + int(fields[4])) / os.sysconf("SC_CLK_TCK")


def timed(work: Callable[[], object]) -> dict[str, float]:
    """Time a piece of work: seconds, core-seconds, and the seconds that cores idled meanwhile."""
    clocks = {"wall": time.monotonic, "cores": time.process_time, "idle": idle}
    start = {name: clock() for name, clock in clocks.items()}
    work()
    return {name: clock() - start[name] for name, clock in clocks.items()}


def measure(folder: Path, name: str, engine: str, weights: str) -> dict:
    """Measure one model and one engine in this process."""
    from recipes.compute import runtime

    runtime.start(0)
    from recipes.compute import engines
    from recipes.compute.pipeline import batched, in_order
    from recipes.data import dataset
    from recipes.data.decoding import in_threads
    from recipes.data.images import center, examine, read_bytes
    from recipes.data.sources.folder import scan_folder
    from recipes.settings.finetune import Recipe
    from recipes.transfer.ahead import Ahead
    from recipes.transfer.backbone import backbone, framing
    from recipes.transfer.features import center_features, vector_cut

    body = backbone(Recipe(folder, model=name, weights=weights, strategy="auto" if weights == "none" else "small"))
    listing, frame, cut = scan_folder(folder), framing(body), vector_cut(body, "pre_logits")
    files = [folder / file.path for file in listing.files]
    decoding = timed(lambda: list(in_threads(lambda path: examine(read_bytes(path), frame).pixels.max(), files)))
    rows = []

    def cold() -> None:
        with Ahead(body, [cut], frame, len(files), BATCH_SIZE, engine) as ahead:
            data = dataset.prepare(listing, frame, 0.2, 0.2, 0, announce=ahead.add)
        rows.append((data, center_features(body, cut, data, BATCH_SIZE, engine)))

    whole = timed(cold)
    data = rows[0][0]
    pixels = center(data.pixels[:], frame)
    built = engines.build(body, BATCH_SIZE, engine)
    batches = [batch for batch in batched(pixels, built.batch_size) if len(batch) == built.batch_size]
    list(in_order(lambda batch: built.run(np.stack(batch)), batches[:4], engines.CALLERS))
    forward = min(
        timed(lambda callers=callers: list(in_order(lambda batch: built.run(np.stack(batch)), batches, callers)))["cores"]
        for callers in (engines.CALLERS, 1)
    )
    scale = len(pixels) / (len(batches) * built.batch_size)
    body.predict(pixels[: 2 * BATCH_SIZE], batch_size=BATCH_SIZE, verbose=0)
    predict = timed(lambda: body.predict(pixels, batch_size=BATCH_SIZE, verbose=0))
    return {
        "decoding": decoding["cores"],
        "forward": forward * scale,
        "pass": whole["wall"],
        "predict": predict["wall"],
        "share": whole["cores"] / (whole["cores"] + whole["idle"]),
        "pass, core-seconds": whole["cores"],
        "predict, core-seconds": predict["cores"],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("pictures", type=Path)
    parser.add_argument("--models", default="mobilenet_v2,efficientnet_lite0,resnet50")
    parser.add_argument("--engines", default="keras,openvino")
    parser.add_argument("--weights", default="none", help="a tag or a file, instead of a random start, which takes as long")
    parser.add_argument("--count", type=int, default=600)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--measure", nargs=2, metavar=("MODEL", "ENGINE"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.measure:
        print(json.dumps(measure(given.pictures, *given.measure, given.weights)))
        return
    cores = len(os.sched_getaffinity(0))
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place, "pictures")
        folder.mkdir()
        distinct(given.pictures, given.count, folder)
        for model in given.models.split(","):
            found: dict[str, list[dict]] = {engine: [] for engine in given.engines.split(",")}
            for _ in range(given.rounds):
                for engine, rounds in found.items():
                    rounds.append(one_round(folder, model, engine, given.weights, Path(place, "cache")))
                    print(model, engine, {name: round(value, 2) for name, value in rounds[-1].items()}, flush=True)
            for engine, rounds in found.items():
                middle = {name: statistics.median(row[name] for row in rounds) for name in rounds[0]}
                limit = statistics.median((row["decoding"] + row["forward"]) / cores / row["pass"] for row in rounds)
                work = statistics.median((row["decoding"] + row["forward"]) / row["pass, core-seconds"] for row in rounds)
                predict = statistics.median(row["predict"] / row["pass"] for row in rounds)
                numbers = "  ".join(f"{name} {value:.2f}" for name, value in middle.items())
                shares = f"of the limit {limit:.2f}, of its work {work:.2f}, of predict {predict:.2f}"
                print(f"{model} {engine}: {shares}  ({numbers})", flush=True)


def one_round(folder: Path, model: str, engine: str, weights: str, cache: Path) -> dict:
    """Measure in a process of its own, with an empty cache; ends the program with that one's last words where it fails."""
    shutil.rmtree(cache, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, __file__, str(folder), "--measure", model, engine, "--weights", weights],
        capture_output=True,
        env={**os.environ, "ZOO_CACHE": str(cache)},
        text=True,
    )
    if done.returncode:
        sys.exit(f"{model}, {engine}: {(done.stderr.strip().splitlines() or ['it was killed'])[-1]}")
    return json.loads(done.stdout.splitlines()[-1])


if __name__ == "__main__":
    main()
