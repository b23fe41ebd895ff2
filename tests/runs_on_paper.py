"""Finished runs that nobody trained: the files that a comparison reads, with answers that a test chose."""

import csv
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image


def picture(folder: Path, path: str, color: int) -> str:
    """Write a picture of one grey, and return its digest."""
    (folder / path).parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", (40, 30), (color % 256, color // 256, 90)).save(folder / path)
    return hashlib.sha256((folder / path).read_bytes()).hexdigest()


def digest(name: str) -> str:
    """The digest of a picture that is not on the disk."""
    return hashlib.sha256(name.encode()).hexdigest()


def write_run(
    folder: Path,
    labels: Sequence[str],
    predictions: Sequence[str],
    *,
    classes: Sequence[str] = ("ants", "bees"),
    digests: Sequence[str] | None = None,
    paths: Sequence[str] | None = None,
    part: str = "test",
    measures: Sequence[str] = ("accuracy",),
    data: str = "/nowhere",
    recipe: str = "finetune",
    settings: dict | None = None,
    more: dict | None = None,
    **columns: Sequence,
) -> Path:
    """Write a run's folder: a row a picture; `columns` are more of files.csv, such as group, `more` is more of result.json."""
    folder.mkdir(parents=True)
    paths = paths or [f"{part}/{i}.jpg" for i in range(len(labels))]
    digests = digests or [digest(path) for path in paths]
    rows = [
        {
            "path": path,
            "split": part,
            "label": label,
            "prediction": guess,
            "probability": 0.9 - i / 1000,
            "reason": "",
            "note": "",
        }
        | {name: values[i] for name, values in columns.items()}
        | {"sha256": sha}
        for i, (path, label, guess, sha) in enumerate(zip(paths, labels, predictions, digests, strict=True))
    ]
    with open(folder / "files.csv", "w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    right = np.average(np.equal(labels, predictions), weights=columns.get("weight"))
    scores = {"images": len(labels), "accuracy": float(right)}
    if any(";" in label for label in labels):
        scores["mean_average_precision"] = 0.5
    result = {
        "schema": 2,
        "recipe": recipe,
        "data": data,
        "classes": list(classes),
        "measures": list(measures),
        "metrics": {part: scores},
        "repeats": None,
        "model": {"name": "mobilenet", "parameters": 1000},
        "input": {"size": 32, "resize": 32, "channels": 3},
        "seconds": {"total": 1.0},
        "seed": 0,
    } | (more or {})
    (folder / "result.json").write_text(json.dumps(result))
    (folder / "recipe.json").write_text(json.dumps({"seed": 0, "weights": "/home/me/w.h5"} | (settings or {})))
    return folder
