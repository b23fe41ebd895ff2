"""What a run says on the screen: its plan, its numbers, and the command that repeats it."""

import json
import shlex
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path

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
    if unused := unused_flags(prepared.recipe, strategy, prepared.augmentation(strategy)):
        why = "sees no augmented pictures" if strategy.phases else "trains the head alone, on features computed once"
        lines.append(f"{', '.join(unused)}: not used, for the training {why}.")
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


def summary(folder: Path) -> str:
    """Say a run's numbers in a few lines, each with its interval."""
    result = json.loads((folder / "result.json").read_text())
    kinds = {"": result["metrics"], ", mean over crops,": result["metrics_ten_crop"] or {}}
    weighted = ", each by its weight" if result["weights"] else ""
    lines = [
        f"{name}{kind} {_numbers(measured, result['measures'])}, {measured['images']:,} images{weighted}"
        for kind, scores in kinds.items()
        for name, measured in scores.items()
        if name != "train" or len(result["metrics"]) == 1
    ]
    if "accuracy" != result["measures"][0]:
        lines.append(f"These are reported, because {result['measures_reason']}.")
    if count := len(result["suspects"] or ()):
        said = f"{count:,} labels are probably wrong: look at them" if count > 1 else "1 label is probably wrong: look at it"
        lines.append(f"{said} in the report.")
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
    """Say measures of a part, each with its interval where it has one; that of many images has none."""
    texts = []
    for name in names:
        text, interval = f"{(MEASURES | LABEL_MEASURES)[name]} {measured[name]:.1%}", measured[f"{name}_interval"]
        texts.append(f"{text} (95 % interval {interval[0]:.1%} to {interval[1]:.1%})" if interval else text)
    return ", ".join(texts)
