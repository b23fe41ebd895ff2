"""Measure a finished run on any pictures with labels: last month's, another camera's, another hospital's.

    zoo evaluate RUN DATA                                  # what the report has, with intervals
    zoo evaluate RUN DATA --groups '(p\\d+)_'               # patients: the weakest, and intervals that count each once
    zoo evaluate RUN DATA --corruptions all --views mirror,ten_crop
    python -m recipes.evaluate RUN DATA ...

Pictures that the run was trained on are found by their content and left out. Numbers of the run's own test part are those of
its report.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import json
import shlex
import sys
from dataclasses import asdict, fields
from pathlib import Path

import keras

from recipes.compute.versions import versions
from recipes.console import percent, say, table
from recipes.data import measured as pictures
from recipes.data.dataset import Dataset
from recipes.data.sources.chosen import listed
from recipes.data.sources.own import check_output
from recipes.errors import UserError, shown
from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES
from recipes.report.evaluate import render
from recipes.runs import evaluated, measuring, model_file
from recipes.runs.assurance import assurance
from recipes.runs.evaluated import Origin
from recipes.runs.file_rows import FileRows
from recipes.runs.folder import check_default, escaped, writing
from recipes.runs.model_file import Classifier
from recipes.settings.evaluate import Evaluation
from recipes.settings.sources import resolved
from recipes.transfer.state import Clock
from zoo.files import write_csv, write_json, write_text

SCHEMA = 1
SAID_GROUPS = 5


def run(settings: Evaluation) -> Path:
    """Measure, write what was found, and say it; return the folder that holds it.

    Raises:
        UserError: run, data or output cannot be used; the output folder is as it was.
    """
    clock = Clock.of_command()
    check_default(settings)
    _check_run(settings)
    check_output(settings)
    with writing(settings.folder, "evaluate") as folder:
        with clock.step("building"):
            classifier, origin = model_file.read(settings.run), Origin.read(settings.run)
        with clock.step("reading"):
            data = _data(settings, classifier, origin)
        say(_plan(settings, data))
        with clock.step("evaluation"):
            if settings.chosen_views:
                measuring.warm_up(classifier, data)
            found = measuring.plain(classifier, data)
        with clock.step("measures"):
            numbers = evaluated.measured(classifier, data, found, settings)
        with clock.step("confidence"):
            sure, _ = assurance(settings.run, classifier, None, None)
            numbers |= evaluated.confidence(sure, data, found)
        with clock.step("report"):
            result = _as_dict(settings, classifier, origin, data) | numbers
            rows = FileRows(data, found.probabilities)
            write_csv(folder / "files.csv", rows)
            result |= {"seconds": clock.as_dict()}
            write_text(folder / "report.html", render(result, rows, data.picture))
        write_json(folder / "result.json", result | {"seconds": clock.as_dict()})
    _tell(settings.folder, result)
    return settings.folder


def _check_run(settings: Evaluation) -> None:
    """Refuse, with a UserError, to replace the evaluation of another run of the same name, where no --output was given."""
    if settings.output is not None:
        return
    try:
        earlier = json.loads((settings.folder / "result.json").read_text("utf-8"))["run"]
    except (OSError, ValueError, KeyError, TypeError):
        return
    if earlier != escaped(settings.run):
        raise UserError(
            f"{shown(settings.folder)} holds an evaluation of {shown(earlier)}, not of {shown(settings.run)}: give --output."
        )


def _data(settings: Evaluation, classifier: Classifier, origin: Origin) -> Dataset:
    """List, check and decode the pictures. Raises UserError."""
    listing = listed(settings, known=classifier.classes)
    return pictures.prepare(
        listing,
        classifier.classes,
        classifier.task,
        classifier.framing,
        settings.split,
        origin.trained,
        settings.keep_trained,
    )


def _plan(settings: Evaluation, data: Dataset) -> str:
    """Say what is about to be measured."""
    counts = data.counts(str(data.splits[0]))
    there = sum(count > 0 for count in counts.values())
    what = f"{len(data.paths):,} images of {there:,} of the {len(data.classes):,} classes of {shown(settings.run)}"
    left_out = f", {len(data.left_out):,} left out" if data.left_out else ""
    return "\n".join([f"{shown(settings.data)}, {data.splits[0]}: {what}{left_out}.", *map(shown, data.findings)])


def _as_dict(settings: Evaluation, classifier: Classifier, origin: Origin, data: Dataset) -> dict:
    """Make the values of result.json that are not measured; its keys are a contract, so SCHEMA counts their changes."""
    part, trained = str(data.splits[0]), (origin.result.get("class_counts") or {}).get("train")
    counts = data.counts(part)
    measures, reason = data.task.measures([count for count in counts.values() if count])
    return {
        "schema": SCHEMA,
        "recipe": "evaluate",
        "command": _command(settings),
        "run": escaped(settings.run),
        "data": escaped(settings.data),
        "classes": list(data.classes),
        "part": part,
        "counts": {
            part: len(data.paths),
            "left_out": len(data.left_out),
            "trained_on": sum(reason == pictures.TRAINED_ON for _, reason in data.left_out),
        },
        "groups": data.groups and len(set(data.groups)),
        "weights": data.weights if data.weights is None else [float(data.weights.min()), float(data.weights.max())],
        "class_counts": {part: counts} | ({"train": trained} if trained else {}),
        "measures": list(measures),
        "measures_reason": reason,
        "model": origin.result.get("model") or _model(classifier.model),
        "input": asdict(data.framing),
        "findings": data.findings,
        "corrections": data.corrections,
        "versions": versions(),
        "seed": settings.seed,
    }


def _model(model: keras.Model) -> dict:
    """Describe a model of which nothing else is known."""
    return {"name": model.name, "parameters": model.count_params()}


def _command(settings: Evaluation) -> str:
    """Give the command line that repeats an evaluation."""
    words = ["zoo", "evaluate", shown(resolved(settings.run)), shown(resolved(settings.data))]
    for field in fields(settings):
        value = getattr(settings, field.name)
        if field.name not in ("run", "data", "output") and value != field.default:
            value = value.resolve() if isinstance(value, Path) else value
            words += [f"--{field.name.replace('_', '-')}", *([] if value is True else [shown(value)])]
    return shlex.join(words)


def _tell(folder: Path, result: dict) -> None:
    """Say the numbers, each with its interval, and where the page is."""
    scores = result["metrics"][result["part"]]
    names = dict.fromkeys([*result["measures"], "accuracy"])
    rows = [{"": (MEASURES | LABEL_MEASURES)[name]} | _measure(scores, name) for name in names]
    rows += [{"": f"top-{one['k']} accuracy"} | _measure(one, "accuracy") for one in result["top_k"]]
    say(table(rows))
    sections = {
        "Weakest groups": [_row(one["name"], one) for one in (result["by_group"] or ())[:SAID_GROUPS]],
        "Made worse": [_row(f"{one['kind']} {one['severity']}", one) | _points("loss", one) for one in result["robustness"]],
        "Several views": [_row(one["kind"], one) | _points("gain", one) | _costs(one) for one in result["views"]],
    }
    for title, found in sections.items():
        if found:
            say(f"\n{title}:\n{table(found)}")
    if result["drift"] and result["drift"]["is_alarming"]:
        print(f"warning: {result['drift']['sentence']}", file=sys.stderr)
    say(f"{result['seconds']['total']:.0f} s; report: {shown(folder / 'report.html')}")


def _row(name: str, one: dict) -> dict:
    """Make a row of a table on the screen: what was measured, and its accuracy."""
    return {"": shown(name)} | _measure(one, "accuracy")


def _measure(one: dict, name: str) -> dict:
    """Make the cells of a measure and its interval."""
    interval = one[f"{name}_interval"]
    return {"value": percent(one[name]), "95 % interval": interval and f"{percent(interval[0])} to {percent(interval[1])}"}


def _points(name: str, one: dict) -> dict:
    """Make the cell of a change on the same pictures, in points."""
    edges = (one[name], *one[f"{name}_interval"])
    value, low, high = (round(100 * edge, 1) + 0.0 for edge in edges)  # + 0.0: no minus before 0
    return {f"{name} in points": f"{value:+.1f} ({low:+.1f} to {high:+.1f})"}


def _costs(one: dict) -> dict:
    """Make the cell of what several views take against one."""
    return {"seconds": f"{one['seconds']:.1f}, one view {one['seconds_of_one']:.1f}"}
