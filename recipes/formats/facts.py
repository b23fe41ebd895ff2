"""What a program must know to feed an exported network, and to name what it says."""

import json
import math
from dataclasses import asdict
from pathlib import Path

from recipes.console import percent
from recipes.data.images import Framing
from recipes.runs.assurance import REFUSED
from recipes.runs.folder import recover
from recipes.runs.model_file import Classifier

SCHEMA = 1
OUTSIDE = (
    "Before a picture is the network's: turn it upright by its EXIF orientation, convert its colours to sRGB, put transparent "
    "parts on white, and make it {colors}."
)
FRAMED = (
    "resize its short side to {resize} pixels as Pillow does ({interpolation}, antialiased, rounded to whole numbers), "
    "cut the {size} x {size} pixels of its centre, and give them as float32 from 0 to 255."
)
ANY_SIZE = "give it whole, as uint8: resizing and cropping are in the network. A picture longer than 10:1 loses its ends."
FOREIGN = (
    "One minus the cosine between a picture's features at pre_logits and those of its third nearest training picture: a known "
    "picture exceeds this with a probability of {refused}. The training pictures' features are in reference.npz of the run."
)


def facts(run: Path, classifier: Classifier, any_size: bool) -> dict:
    """Gather the facts of a run, values for JSON; None for what is not known."""
    framing, sure, result = classifier.framing, classifier.confidence, _result(run)
    outside, framed, whole = preparation(framing)
    network = result.get("model") or {}
    threshold = sure.foreign_threshold(REFUSED) if sure and len(sure.foreign) else math.inf
    return {
        "schema": SCHEMA,
        "task": "one class a picture" if classifier.task.one_label else "any number of classes a picture, each over 0.5",
        "classes": list(classifier.classes),
        "framing": asdict(framing),
        "input": f"{outside} Then {whole if any_size else framed}",
        "any_size": any_size,
        "preprocessing": f"{network.get('preprocessing') or 'what the weights ask for'}, inside the network",
        "temperature": sure.temperature if sure else None,
        "temperature_is": "inside the network: probabilities need no other",
        "unknown_threshold": threshold if math.isfinite(threshold) else None,
        "unknown_is": FOREIGN.format(refused=percent(REFUSED, 0)),
        "model": network.get("name"),
        "license": network.get("license"),
        "citations": network.get("citations") or [],
    }


def preparation(framing: Framing) -> tuple[str, str, str]:
    """Say how a picture is prepared: what is never in the network, then what framed pictures, or whole ones, need."""
    return OUTSIDE.format(colors="grey" if framing.channels == 1 else "RGB"), FRAMED.format(**asdict(framing)), ANY_SIZE


def _result(run: Path) -> dict:
    """Read what a run says of itself; {} where it says nothing."""
    try:
        found = json.loads((recover(run) / "result.json").read_text("utf-8"))
        return found if isinstance(found, dict) else {}
    except (OSError, ValueError):
        return {}
