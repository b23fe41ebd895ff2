"""`MODEL_CARD.md`: what a stranger must know of a run's model, for people and, at its head, for a model hub.

The sections are those that Mitchell et al. 2019 ask for ("Model Cards for Model Reporting", arXiv:1810.03993): what it is for,
what it learnt from, how well it does with which certainty, and where it should not be trusted.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence

import yaml

from recipes.errors import shown
from recipes.report.front_matter import METRICS, NAMES, data_name, front_matter, licenses, measured_parts
from recipes.report.sharing import shortener

# Classes beyond these, the least often found first, are left to the report.
MAX_CLASSES = 50
MARKDOWN = re.compile(r"([\\`*_\[\]|~$#])")
CODE_FENCE = "```"
# What needs nothing of this project: tests/recipes/test_finetune.py runs it.
ALONE = """import json
import zipfile
import keras
import numpy as np
from PIL import Image, ImageOps

model = keras.saving.load_model("model.keras")
with zipfile.ZipFile("model.keras") as archive:
    classes, framing = (json.loads(archive.read(name)) for name in ("classes.json", "framing.json"))
resize, size = framing["resize"], framing["size"]
image = ImageOps.exif_transpose(Image.open("new.jpg")).convert("{mode}")
sides = [max(resize, round(side * resize / min(image.size))) for side in image.size]
left, top = ((side - size) // 2 for side in sides)
image = image.resize(sides, Image.Resampling[framing["interpolation"].upper()])
image = image.crop((left, top, left + size, top + size))
pixels = np.atleast_3d(np.float32(image))[None]  # (1, height, width, channels), 0 to 255
probabilities = model.predict(pixels, verbose=0)[0]
print(dict(zip(classes, probabilities.tolist())))
"""


def card(result: Mapping) -> str:
    """Write a run's model card; names of files and classes come from anywhere, and paths of this machine lose their folders.

    Args:
        result: values of `result.json`.
    """
    shared = without_folders(result)
    sections = [
        _opening(shared),
        _use(shared),
        _results(shared),
        _classes(shared),
        _certainty(shared),
        _training(shared),
        _limits(shared),
        _terms(shared),
    ]
    head = yaml.safe_dump(front_matter(shared), sort_keys=False, allow_unicode=True, width=120)
    return f"---\n{head}---\n\n" + "\n\n".join(filter(None, sections)) + "\n"


def without_folders(value: object) -> object:
    """Copy values of JSON in which no text has a path of this machine in full, nor what cannot be seen."""
    return _copied(value, shortener())


def _copied(value: object, shortened: Callable[[str], str]) -> object:
    """Copy values, each text as it may be shared."""
    if isinstance(value, str):
        return shortened(shown(value))
    if isinstance(value, Mapping):
        return {_copied(key, shortened): _copied(one, shortened) for key, one in value.items()}
    return [_copied(one, shortened) for one in value] if isinstance(value, list | tuple) else value


def _text(name: object) -> str:
    """Write a name so that neither Markdown nor HTML takes it for theirs."""
    plain = str(name).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return MARKDOWN.sub(r"\\\1", plain)


def _table(head: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Write a table whose cells are Markdown already."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(map(str, row))} |" for row in lines)


def _share(value: float | None, interval: Sequence[float] | None = None) -> str:
    """Write a share, with its interval if it has one."""
    if value is None:
        return "–"
    return f"{100 * value:.1f} %" + (f" ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})" if interval else "")


def _opening(result: Mapping) -> str:
    """Say what the model is, and how well it does."""
    network, data, classes = result["model"]["name"], _text(data_name(result)), result["classes"]
    trained = "trained further" if result["strategy"]["phases"] else "with a head that was fitted"
    lines = [
        f"# {_text(network)} on {data}",
        f"An image classifier of {len(classes):,} classes: {_text(network)}, {trained} on the pictures of {data}. "
        "All numbers here were measured when `zoo finetune` made it.",
    ]
    for part in measured_parts(result)[:1]:
        scores = result["metrics"][part]
        lines.append(
            f"Of {scores['images']:,} pictures of the {part} part, on which it was not trained, its accuracy is "
            f"**{_share(scores.get('accuracy'), scores.get('accuracy_interval'))}** (in brackets: 95 % interval)."
        )
    return "\n\n".join(lines)


def _use(result: Mapping) -> str:
    """Say how the model is used, and what it takes."""
    frame = result["input"]
    size, channels = frame["size"], "red, green and blue" if frame["channels"] == 3 else "grey"
    task = "The probabilities of one picture sum to 1." if _one_label(result) else "Each class has a probability of its own."
    return "\n\n".join(
        [
            "## Use",
            "From a folder with these files, with the project installed (`zoo pull` makes one):",
            f"{CODE_FENCE}sh\nzoo predict FOLDER PICTURE...\n{CODE_FENCE}",
            "With Keras and Pillow alone; normalisation is in the model, and `model.keras`, a zip file, has the rest:",
            f"{CODE_FENCE}python\n{ALONE.format(mode='RGB' if frame['channels'] == 3 else 'L')}{CODE_FENCE}",
            f"It takes {channels} from 0 to 255. A picture is turned as its EXIF says, its short side is resized to "
            f"{frame['resize']} pixels ({frame['interpolation']}), and the middle {size} x {size} are cut out. {task}",
        ]
    )


def _one_label(result: Mapping) -> bool:
    """Whether a picture is of one class, and not of any number of them."""
    return all("mean_average_precision" not in scores for scores in result["metrics"].values())


def _results(result: Mapping) -> str:
    """Write the measures of the parts that were not trained on."""
    if not (parts := measured_parts(result)):
        return "## Results\n\nMeasured on its training pictures alone: how it does on new ones is unknown."
    there = [name for name in METRICS if any(result["metrics"][part].get(name) is not None for part in parts)]
    rows = [
        [
            part,
            f"{result['metrics'][part]['images']:,}",
            *(_share(result["metrics"][part].get(name), result["metrics"][part].get(f"{name}_interval")) for name in there),
        ]
        for part in parts
    ]
    head = ["part", "pictures", *(NAMES.get(name, name) for name in there)]
    return f"## Results\n\nIn brackets: 95 % intervals, for pictures of the same kind.\n\n{_table(head, rows)}"


def _classes(result: Mapping) -> str:
    """Write how often each class is found, the weakest first."""
    counts = result["class_counts"].get("train") or {}
    if not (parts := measured_parts(result)):
        cells = [[_text(name), f"{counts.get(name, 0):,}"] for name in result["classes"][:MAX_CLASSES]]
        return f"## Classes\n\n{_table(['class', 'training pictures'], cells)}{_rest(len(result['classes']))}"
    rows = result["metrics"][parts[0]]["classes"]
    rows = sorted(rows, key=lambda row: (row["recall"] is None, row["recall"] or 0, row["name"]))
    cells = [
        [
            _text(row["name"]),
            f"{counts.get(row['name'], 0):,}",
            f"{row['images']:,}",
            _share(row["recall"], row.get("recall_interval")),
            _share(row["precision"], row.get("precision_interval")),
        ]
        for row in rows[:MAX_CLASSES]
    ]
    head = ["class", "training pictures", f"{parts[0]} pictures", "found (recall)", "right when said (precision)"]
    return f"## Classes\n\nThe least often found first.\n\n{_table(head, cells)}{_rest(len(rows))}"


def _rest(classes: int) -> str:
    """Say how many classes a table leaves out."""
    return f"\n\nAnd {classes - MAX_CLASSES:,} more." if classes > MAX_CLASSES else ""


def _certainty(result: Mapping) -> str:
    """Say what is known of how sure the model may be."""
    if not (sure := result.get("confidence")):
        return ""
    lines = ["## How sure it is"]
    if sure.get("temperature") is not None:
        lines.append(
            f"Its logits are divided by a temperature of {sure['temperature']:.3f}, learnt on {_text(sure['source'])}."
        )
    rows = [
        [f"{100 * row['asked']:g} %", _share(row["covered"], row["interval"]), f"{row['size']:.2f}"]
        for row in sure.get("sets") or ()
    ]
    if rows:
        lines.append(f"Sets of classes that shall hold the right one, on the {sure['part']} part:")
        lines.append(_table(["asked", "held it", "classes in a set"], rows))
    return "\n\n".join(lines)


def _training(result: Mapping) -> str:
    """Say what the model learnt from, and how."""
    counts, strategy, model = result["counts"], result["strategy"], result["model"]
    parts = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items() if count)
    versions = ", ".join(
        f"{name} {version}" for name, version in (result.get("versions") or {}).items() if isinstance(version, str)
    )
    return "\n\n".join(
        [
            "## Training",
            f"Pictures: {parts}. Strategy `{strategy['name']}`; {model['trainable']:,} of {model['parameters']:,} parameters "
            f"were trained; seed {result.get('seed', '–')}.",
            f"{CODE_FENCE}`sh\n{result['command']}\n{CODE_FENCE}`",
            f"Made with {_text(versions)}." if versions else "",
        ]
    ).strip()


def _limits(result: Mapping) -> str:
    """Say where the model should not be trusted."""
    known = " It answers with one of its classes, whatever the picture shows." if _one_label(result) else ""
    return (
        "## Limits\n\nThe numbers hold for pictures of the same kind as those that were measured; other cameras, places or "
        f"times give other ones.{known} Let nobody be harmed by its mistakes: look at them first, in the run's report."
    )


def _terms(result: Mapping) -> str:
    """Say the licence of the weights, and what to cite."""
    model = result["model"]
    named = " and ".join(map(_text, licenses(model.get("license"))))
    said = f"The weights that the training began with: {named}." if named else "No licence of the weights is known."
    cited = "".join(f"\n- {_text(one)}" for one in model.get("citations") or ())
    return f"## Licence\n\n{said} The pictures have terms of their own." + (f"\n\nTo cite:\n{cited}" if cited else "")
