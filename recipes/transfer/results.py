"""What a run leaves behind: `result.json`, `report.html`, the tables, the model, and the lines on the screen."""

import shlex
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, fields
from pathlib import Path

import keras
import numpy as np

from recipes.compute.versions import versions
from recipes.data.dataset import SPLITS
from recipes.data.images import center
from recipes.data.sources.labels import SEPARATOR
from recipes.errors import UserError, shown
from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES, measures, metrics
from recipes.report.run import render
from recipes.runs import model_file
from recipes.runs.folder import SCHEMA
from recipes.settings.finetune import Recipe
from zoo.files import sha256, write_csv, write_json, write_text

AUGMENTED, VERSIONS = 4, 6  # training pictures in the report, and how often each is augmented
CHECKED, AGREEMENT = 16, 1e-3  # pictures shown to the reloaded model, and how far its probabilities may differ
ACROSS_BATCHES = 0.05  # the same in another batch: a GPU takes other kernels for it, seen to differ by 0.007 (TF32)


def plan(run) -> str:
    """What is about to happen, and why."""
    data, strategy = run.data, run.strategy
    sizes = ", ".join(f"{len(data.part(name)):,} {name}" for name in SPLITS)
    lines = [f"{shown(data.root)}: {len(data.paths):,} images of {len(data.classes):,} classes ({sizes})."]
    lines += [shown(finding) for finding in data.findings[:10]]
    frozen = f"frozen up to {strategy.freeze_until}" if strategy.freeze_until else "nothing frozen"
    lines.append(f"{run.model.name}, strategy {strategy.name} ({frozen}), because {strategy.reason}.")
    return "\n".join(lines)


def write(run, folder: Path, start: float, stranger: model_file.Stranger) -> None:
    """Fill a new run's folder.

    Raises:
        UserError: the saved model, loaded where this project is not, does not answer as it did.
    """
    with run.timed("saving"):
        framing = asdict(run.data.framing)
        model_file.save(run.model, folder / "model.keras", run.data.classes, framing)
        _check_reload(run, folder / "model.keras", stranger)
    rows = list(_file_rows(run))
    with run.timed("report"):
        write_csv(folder / "files.csv", rows)
        write_csv(folder / "history.csv", run.history or [_head_row(run)])
        run.recipe.save(folder / "recipe.json")
        result = as_dict(run, start)
        numbers = {path: i for i, path in enumerate(run.data.paths)}
        page = render(result, run.history, rows, lambda path: _picture(run, numbers.get(path)), _augmented(run))
        write_text(folder / "report.html", page)
    result["seconds"] = {"total": time.monotonic() - start} | run.seconds  # the report's too
    write_json(folder / "result.json", result)


def as_dict(run, start: float) -> dict:
    """`result.json`; its keys are a contract with other programs, so `SCHEMA` counts their changes."""
    data, strategy, model = run.data, run.strategy, run.model
    parts = {name: data.part(name) for name in SPLITS}
    named, reason = measures(_totals(data), data.labels.ndim > 1)
    weights = model.origin.weights
    trainable = sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)
    return {
        "schema": SCHEMA,
        "recipe": "finetune",
        "command": command(run.recipe),
        "data": str(data.root.resolve()).encode("utf-8", "backslashreplace").decode(),
        "classes": list(data.classes),
        "counts": {name: len(part) for name, part in parts.items()} | {"left_out": len(data.left_out)},
        "class_counts": {name: data.counts(name) for name, part in parts.items() if len(part)},
        "strategy": {
            "name": strategy.name,
            "reason": strategy.reason,
            "freeze_until": strategy.freeze_until,
            "frozen": [layer.name for layer in model.layers if layer.weights and not layer.trainable],
            "phases": [asdict(phase) for phase in strategy.phases],
            "augment": run.augment,
            "facts": asdict(run.facts),
        },
        "head": run.head and run.head.as_dict() | {"pooling": run.recipe.pooling, "balance": run.recipe.balance},
        "measures": list(named),
        "measures_reason": reason,
        "metrics": {
            name: metrics(data.labels[part], run.probabilities[part], data.classes) for name, part in parts.items() if len(part)
        },
        "metrics_ten_crop": None
        if run.ten_crop is None
        else {
            name: metrics(data.labels[part], run.ten_crop[part], data.classes)
            for name, part in parts.items()
            if len(part) and name != "train"
        },
        "repeats": run.repeats,
        "seconds": {"total": time.monotonic() - start} | run.seconds,
        "model": {
            "name": model.origin.name,
            "variant": model.origin.variant,
            "parameters": model.count_params(),
            "trainable": trainable,
            "weights": weights,
            "weights_sha256": sha256(Path(weights)) if weights else None,
        },
        "input": asdict(data.framing),
        "findings": data.findings,
        "versions": versions(),
        "seed": run.recipe.seed,
    }


def command(recipe: Recipe) -> str:
    """The command line that repeats a run."""
    if recipe.tuned or recipe.strategy == "tuned":  # no flags say what a search has found
        return shlex.join(["zoo", "finetune", "--recipe", shown(recipe.folder.resolve() / "recipe.json")])
    words = ["zoo", "finetune", shown(recipe.data.resolve())]
    for setting in fields(Recipe):
        value = getattr(recipe, setting.name)
        if setting.name not in ("data", "fine_tuning") and value != setting.default:
            value = value.resolve() if setting.name == "labels" else value
            words += [f"--{setting.name.replace('_', '-')}", shown(value)]
    return shlex.join(words)


def summary(folder: Path) -> str:
    """The run's numbers in a few lines, each with its interval."""
    import json

    result = json.loads((folder / "result.json").read_text())
    kinds = {"": result["metrics"], ", mean over crops,": result["metrics_ten_crop"] or {}}
    lines = [
        f"{name}{kind} {_numbers(measured, result['measures'])}, {measured['images']:,} images"
        for kind, scores in kinds.items()
        for name, measured in scores.items()
        if name != "train" or len(result["metrics"]) == 1
    ]
    if "accuracy" != result["measures"][0]:
        lines.append(f"These are reported, because {result['measures_reason']}.")
    if repeats := result["repeats"]:
        means = [
            f"{(MEASURES | LABEL_MEASURES)[name]} {repeats['mean'][name]:.1%} (95 % interval {low:.1%} to {high:.1%})"
            for name in result["measures"]
            for low, high in [repeats["interval"][name]]
        ]
        lines.append(f"{repeats['part']}, mean over {repeats['what']}: {', '.join(means)}")
    lines.append(f"{result['seconds']['total']:.0f} s; report: {shown(folder / 'report.html')}")
    return "\n".join(lines)


def _numbers(measured: dict, names: Sequence[str]) -> str:
    """Measures of a part, each with its interval, where it has one: that of few images."""
    texts = []
    for name in names:
        text, interval = f"{(MEASURES | LABEL_MEASURES)[name]} {measured[name]:.1%}", measured[f"{name}_interval"]
        texts.append(f"{text} (95 % interval {interval[0]:.1%} to {interval[1]:.1%})" if interval else text)
    return ", ".join(texts)


def _totals(data) -> list[int]:
    """Pictures of each class, in all parts."""
    return np.sum([list(data.counts(name).values()) for name in SPLITS], axis=0).tolist()


def _head_row(run) -> dict:
    """History of a run without epochs: its head was solved, not stepped."""
    labels, parts = run.data.labels, {name: run.data.part(name) for name in ("train", "validation")}
    scores = {
        name: metrics(labels[part], run.probabilities[part], run.data.classes) for name, part in parts.items() if len(part)
    }
    validation = scores.get("validation", {})
    return {
        "phase": "head",
        "epoch": 1,
        "learning_rate": None,
        "loss": scores["train"]["loss"],
        "accuracy": scores["train"]["accuracy"],
        "validation_loss": validation.get("loss"),
        "validation_accuracy": validation.get("accuracy"),
        "seconds": run.seconds["head"],
    }


def _file_rows(run) -> Iterator[dict]:
    """A row of files.csv for every file that was found."""
    data = run.data
    for path, label, split, guess in zip(data.paths, data.labels, data.splits, run.probabilities, strict=True):
        chosen = guess > 0.5 if data.labels.ndim > 1 else np.arange(len(guess)) == guess.argmax()
        # Of several labels the probability of the one that is least sure, there or not.
        sure = np.abs(guess - ~chosen).min() if data.labels.ndim > 1 else guess.max()
        yield {
            "path": path,
            "split": str(split),
            "label": _label(label, data.classes),
            "prediction": _label(chosen, data.classes),
            "probability": round(float(sure), 6),
            "reason": "",
        }
    for path, reason in data.left_out:
        yield {"path": path, "split": "", "label": "", "prediction": "", "probability": "", "reason": reason}


def _picture(run, index: int | None) -> np.ndarray | None:
    return None if index is None else center(run.data.pixels[[index]], run.data.framing)[0]


def _augmented(run) -> list[dict]:
    """Some training pictures as evaluation sees them, and with their labels as the training saw them."""
    if run.augmented is None:
        return []
    data, train = run.data, run.data.part("train")
    chosen = np.unique(np.linspace(0, len(train) - 1, AUGMENTED).astype(int))
    drawn = [run.augmented.draw(chosen, np.random.default_rng((run.recipe.seed, i))) for i in range(VERSIONS)]
    return [
        {
            "picture": _picture(run, train[sample]),
            "label": _label(data.labels[train[sample]], data.classes),
            "versions": [
                {"picture": np.rint(pictures[i]).clip(0, 255).astype("uint8"), "label": _mixed(labels[i], data.classes)}
                for pictures, labels in drawn
            ],
        }
        for i, sample in enumerate(chosen)
    ]


def _label(label: np.ndarray, classes: Sequence[str]) -> str:
    """A class by its number, or all those whose place in a row is not 0."""
    return SEPARATOR.join(classes[i] for i in ([label] if not label.ndim else np.flatnonzero(label)))


def _mixed(label: np.ndarray, classes: Sequence[str]) -> str:
    """A label, or the two largest shares of a mixed one."""
    if not label.ndim or set(np.unique(label)) <= {0, 1}:
        return _label(label, classes)
    return ", ".join(f"{classes[i]} {label[i]:.0%}" for i in np.argsort(-label, kind="stable")[:2])


def _check_reload(run, path: Path, stranger: model_file.Stranger) -> None:
    """A model that answers otherwise after loading is worse than none; so is one that does not answer as was reported."""
    data = run.data
    chosen = np.linspace(0, len(data.paths) - 1, min(CHECKED, len(data.paths))).astype(int)
    pixels = center(data.pixels[chosen], data.framing)
    before = keras.ops.convert_to_numpy(run.model(pixels, training=False))  # called, since `predict` would be traced for it
    after, reported = stranger.answers(path, pixels), run.probabilities[chosen]
    for what, one, other, limit in (("saved", before, after, AGREEMENT), ("evaluated", before, reported, ACROSS_BATCHES)):
        difference = float(np.abs(one - other).max())
        if not difference < limit:
            raise UserError(
                f"The {what} model differs from the trained one by {difference:.2g} in its probabilities: not kept."
            )
