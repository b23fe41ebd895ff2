"""What a run says on the screen: its plan, its numbers, the command that repeats it, and what to type next."""

import shlex
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path

import numpy as np

from recipes.compute import replicas
from recipes.console import percent, with_interval
from recipes.data.dataset import Dataset
from recipes.data.division import SPLITS
from recipes.errors import shown
from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES
from recipes.settings.finetune import PATH_FIELDS, Recipe
from recipes.settings.sources import resolved
from recipes.transfer.backbone import other_sizes
from recipes.transfer.choice import unused_flags
from recipes.transfer.state import Prepared
from recipes.transfer.strategies import Strategy


def plan(prepared: Prepared, strategy: Strategy) -> str:
    """Say what is about to happen, and why."""
    data = prepared.data
    sizes = ", ".join(f"{len(data.part(name)):,} {name}" for name in SPLITS)
    lines = [f"{shown(data.root)}: {len(data.paths):,} images of {len(data.classes):,} classes ({sizes})."]
    lines += [shown(finding) for finding in data.findings]
    frozen = f"frozen up to {strategy.freeze_until}" if strategy.freeze_until else "nothing frozen"
    origin = prepared.model.origin
    lines.append(f"{origin.name}: variant {origin.variant}, preprocessing {origin.preprocessing}.")
    lines += other_sizes(prepared.model)
    lines.append(f"{origin.name}, strategy {strategy.name} ({frozen}), because {strategy.reason}.")
    if strategy.phases and (devices := replicas.count(prepared.recipe.devices, prepared.recipe.batch_size)) > 1:
        share = prepared.recipe.batch_size // devices
        lines.append(f"Trained on {devices} devices, each with {share} pictures of every batch.")
    if unused := unused_flags(prepared.recipe, strategy, prepared.augmentation(strategy)):
        why = "sees no augmented pictures" if strategy.phases else "trains the head alone, on features computed once"
        lines.append(f"{', '.join(unused)}: of no use here, because strategy {strategy.name} {why}.")
    return "\n".join(lines)


def command(recipe: Recipe) -> str:
    """Give the command line that repeats a run."""
    if recipe.tuned or recipe.strategy == "tuned":  # what a search has found has no flags
        return shlex.join(["zoo", "finetune", "--recipe", shown(recipe.folder.resolve() / "recipe.json")])
    words = ["zoo", "finetune", shown(resolved(recipe.data))]
    for setting in fields(Recipe):
        value = getattr(recipe, setting.name)
        if setting.name not in ("data", "fine_tuning") and value != setting.default:
            value = value.resolve() if setting.name in PATH_FIELDS and setting.name != "output" else value
            words += [f"--{setting.name.replace('_', '-')}", *([] if value is True else [shown(value)])]
    return shlex.join(words)


def scores(result: Mapping) -> list[dict]:
    """Give a row for each part of a run's pictures, with its reported measures and their intervals.

    Args:
        result: what result.json holds.
    """
    kinds = {"": result["metrics"], ", mean over crops": result["metrics_ten_crop"] or {}}
    return [
        {"part": f"{name}{kind}", "images": measured["images"]}
        | {f"{title} (95 % interval)": text for title, text in _numbers(measured, result["measures"])}
        for kind, parts in kinds.items()
        for name, measured in parts.items()
    ]


def remarks(result: Mapping, folder: Path) -> str:
    """Say what belongs to a run's numbers: how they were measured, what a person should look at, and where it all lies."""
    lines = ["Each image counts by its weight."] if result["weights"] else []
    if "accuracy" != result["measures"][0]:
        lines.append(f"These are reported, because {result['measures_reason']}.")
    if count := len(result["suspects"] or ()):
        said = f"{count:,} labels are probably wrong: look at them" if count > 1 else "1 label is probably wrong: look at it"
        lines.append(f"{said} in the report.")
    if repeats := result["repeats"]:
        means = [
            f"{(MEASURES | LABEL_MEASURES)[name]} {percent(repeats['mean'][name])} "
            f"(95 % interval {' to '.join(map(percent, repeats['interval'][name]))})"
            for name in result["measures"]
        ]
        lines.append(f"{repeats['part']}, mean over {repeats['what']}: {', '.join(means)}")
    lines.append(f"{result['seconds']['total']:.0f} s; report: {shown(folder / 'report.html')}")
    return "\n".join(lines)


def _numbers(measured: Mapping, names: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Write measures of a part, each with its interval where it has one; that of many images has none."""
    for name in names:
        yield (MEASURES | LABEL_MEASURES)[name], with_interval(measured[name], measured[f"{name}_interval"])


def next_steps(recipe: Recipe, data: Dataset) -> dict[str, list]:
    """Give the commands that a user of a finished run may want, by what they are for.

    Args:
        data: the run's pictures.
    """
    steps = {"classify pictures": predict(recipe.folder, data)}
    if recipe.seeds == 1 and not recipe.folds and np.any(data.splits != "train"):
        again = ["zoo", "finetune", "--recipe", recipe.folder / "recipe.json", "--seeds", "5"]
        steps["see how much of it is chance, by five seeds"] = [*again, "--output", f"{recipe.folder}-5-seeds"]
    if recipe.tensorboard:
        steps["look at the curves"] = ["tensorboard", "--logdir", recipe.folder / "tensorboard"]
    return steps


def predict(run: Path, data: Dataset) -> list:
    """Give the words of the command that classifies a picture, one that was held out if any was; [] if it is no file."""
    latest = max(range(len(data.paths)), key=lambda i: (SPLITS.index(data.splits[i]), -i))
    picture = data.root / data.paths[latest]
    return ["zoo", "predict", run, picture] if picture.is_file() else []
