"""What a model hub reads of a model: the values at the head of `MODEL_CARD.md`, from those of `result.json`.

The keys are those of Hugging Face's model cards (https://huggingface.co/docs/hub/model-cards, "model-index" as Papers with
Code had it): a hub lists a model by them, and shows its measures.
"""

import re
from collections.abc import Mapping

from recipes.evaluation.metrics import LABEL_MEASURES, MEASURES
from recipes.report.mistakes import SPLITS
from recipes.settings.backbones import SEPARATOR
from recipes.settings.sources import TFDS
from zoo.weights.fetching import LIMITING

TASK = "image-classification"
NAMES = MEASURES | LABEL_MEASURES
# Hub's names of measures, with what tells apart those of one name.
METRICS = {
    "accuracy": ("accuracy", {}),
    "balanced_accuracy": ("balanced_accuracy", {}),
    "macro_f1": ("f1", {"average": "macro"}),
    "micro_f1": ("f1", {"average": "micro"}),
    "mean_average_precision": ("mean_average_precision", {}),
}
# Licences that a hub has a word for; any other is "other", with its name.
KNOWN_LICENSES = {"apache-2.0", "mit", "bsd-2-clause", "bsd-3-clause", "cc-by-4.0", "cc-by-nc-4.0"}
OTHER = "other"
UNNAMED = "pictures"


def front_matter(result: Mapping) -> dict:
    """Make the values of a card's head, ready for YAML.

    Args:
        result: values of `result.json`, without paths of this machine.
    """
    network = result["model"]["name"]
    data, held_out = data_name(result), measured_parts(result)
    values = {
        "library_name": "keras",
        **_license(result["model"].get("license")),
        "pipeline_tag": TASK,
        "datasets": [slug(data)],
        "tags": [TASK, "keras", "transfer-learning", *(slug(name) for name in network.split(SEPARATOR))],
    }
    if not held_out:
        return values
    measures = list(dict.fromkeys(METRICS[name][0] for name in _measures(result)))
    results = [
        {
            "task": {"type": TASK, "name": "Image classification"},
            "dataset": {"type": slug(data), "name": data, "split": part},
            "metrics": _metrics(result, part),
        }
        for part in held_out
    ]
    return values | {"metrics": measures, "model-index": [{"name": slug(f"{network}-{data}"), "results": results}]}


def measured_parts(result: Mapping) -> list[str]:
    """List the parts that were measured and not trained on, the one that counts first."""
    scores = result.get("metrics") or {}
    return [part for part in SPLITS if part in scores and part != "train"]


def data_name(result: Mapping) -> str:
    """Name the pictures, without the folders in which they lie."""
    data = result["data"]
    return (
        data.removeprefix(TFDS).partition("/")[0] if data.startswith(TFDS) else data.rstrip("/").rpartition("/")[2] or UNNAMED
    )


def slug(name: str) -> str:
    """Write a name with the letters that a hub allows."""
    return re.sub(r"([-.])[-.]+", r"\1", re.sub(r"[^A-Za-z0-9._-]+", "-", name)).strip("-.")[:96] or UNNAMED


def licenses(text: str | None) -> list[str]:
    """List the licences that a run's weights carry; several networks may have one each."""
    return [name.strip() for name in text.split(",")] if text else []


def _license(text: str | None) -> dict:
    """Say the licence of the weights that the training began with, in the hub's words; nothing where none is known."""
    if not (names := licenses(text)):
        return {}
    if len(names) == 1 and names[0].lower() in KNOWN_LICENSES:
        return {"license": names[0].lower()}
    links = [LIMITING[name] for name in names if name in LIMITING]
    return {"license": OTHER, "license_name": slug("-and-".join(names)).lower()} | ({"license_link": links[0]} if links else {})


def _measures(result: Mapping) -> list[str]:
    """List the measures that the run reports, the accuracy always among them where it is one label a picture."""
    found = [name for name in result.get("measures") or () if name in METRICS]
    single = all("mean_average_precision" not in scores for scores in result["metrics"].values())
    return list(dict.fromkeys([*found, *(["accuracy"] if single or not found else [])]))


def _metrics(result: Mapping, part: str) -> list[dict]:
    """Write the measures of a part, each with its 95 % interval: in its name, for people, and as values."""
    scores, found = result["metrics"][part], []
    for name in _measures(result):
        value, interval = scores.get(name), scores.get(f"{name}_interval")
        if value is None:
            continue
        (kind, arguments), title = METRICS[name], NAMES[name]
        title = title[0].upper() + title[1:]
        arguments = dict(arguments, images=scores["images"])
        if interval:
            title += f" (95 % interval {interval[0]:.3f} to {interval[1]:.3f})"
            arguments["interval_95"] = [float(end) for end in interval]
        found.append({"type": kind, "value": float(value), "name": title, "args": arguments})
    return found
