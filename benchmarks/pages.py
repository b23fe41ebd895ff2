"""How far the answers of an exported page, in Chromium, lie from those of `zoo predict`.

    zoo export RUN --to html --output OUT
    zoo predict RUN PICTURES... --all-classes --coverage 0.9 --json answers.json
    PYTHONPATH=.:tests python benchmarks/pages.py OUT/html/index.html answers.json

Prints the largest difference of a probability, how many classes, sets and verdicts of "unknown" are the same, and how long
the page took to be ready and for a picture.
"""

import argparse
import json
import statistics
import time
from pathlib import Path

import browser
from pages_exported import asked, ready


def main() -> None:
    """Ask the page about each picture that was predicted."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("page", type=Path)
    parser.add_argument("answers", type=Path)
    given = parser.parse_args()
    rows = [row for row in json.loads(given.answers.read_text()) if not row["error"]]
    with browser.started(browser.program()) as chromium:
        start = time.perf_counter()
        tab = ready(chromium, given.page)
        print(f"{given.page.stat().st_size / 1e6:.1f} MB, ready after {time.perf_counter() - start:.1f} s")
        differences, seconds, same = [], [], {"class": 0, "set": 0, "unknown": 0}
        for row in rows:
            start = time.perf_counter()
            (found,) = asked(tab, [Path(row["path"]).read_bytes()])
            seconds.append(time.perf_counter() - start)
            found["notes"] = []
            told = tab.evaluate(f"worded({json.dumps(found)}, facts.sets && '0.9')")
            shares = dict(zip(tab.evaluate("facts.classes"), found["probabilities"], strict=True))
            differences.append(max(abs(shares[name] - share) for name, share in row["probabilities"].items()))
            same["class"] += told["ranked"][0]["class"] == max(row["probabilities"], key=row["probabilities"].get)
            same["set"] += told["set"] == row["set"]
            same["unknown"] += told["unknown"] == bool(row["unknown"])
        print(f"{len(rows)} pictures: probabilities differ by {max(differences):.2g} at most; the same are {same}")
        print(f"{statistics.median(seconds) * 1e3:.0f} ms a picture; in the console: {tab.complaints or 'nothing'}")


if __name__ == "__main__":
    main()
