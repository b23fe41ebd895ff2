"""How much memory `zoo predict` takes for many pictures: peaks of two numbers of them, and what one more costs.

    python benchmarks/predict_memory.py RUN PICTURE --counts 2000 22000

The pictures are copies of one file in folders of 1,000; each is decoded and predicted. The answers go into CSV, JSON Lines and
Parquet at once.
"""

import argparse
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path


def folder_of(picture: Path, root: Path, count: int) -> Path:
    """Fill a folder with so many copies of a picture; links would be taken for one file."""
    data = picture.read_bytes()
    for i in range(count):
        place = root / f"{i // 1000:04}" / f"{i % 1000:03}{picture.suffix}"
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data)
    return root


def peak(run: Path, pictures: Path, out: Path) -> tuple[float, float]:
    """Predict in a process of its own, and return the peak of its memory in MB, and the seconds."""
    files = ("--csv", out / "a.csv", "--json", out / "a.jsonl", "--parquet", out / "a.parquet")
    began = time.monotonic()
    process = subprocess.Popen([sys.executable, "-m", "recipes", "predict", run, pictures, *files], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0
    return usage.ru_maxrss / 1000, time.monotonic() - began


def main() -> None:
    """Measure, and print a line a count."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("run", type=Path)
    parser.add_argument("picture", type=Path)
    parser.add_argument("--counts", type=int, nargs=2, default=(2_000, 22_000))
    arguments = parser.parse_args()
    peaks = []
    for count in arguments.counts:
        with tempfile.TemporaryDirectory() as folder:
            pictures = folder_of(arguments.picture, Path(folder, "pictures"), count)
            megabytes, seconds = peak(arguments.run, pictures, Path(folder))
        peaks.append(megabytes)
        print(f"{count:,} pictures: peak {megabytes:.0f} MB, {seconds:.0f} s", flush=True)
    first, second = arguments.counts
    print(f"one more picture: {1e6 * (peaks[1] - peaks[0]) / (second - first):,.0f} bytes")


if __name__ == "__main__":
    main()
