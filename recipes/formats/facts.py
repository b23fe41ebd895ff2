"""What a program must know to feed an exported network, and to name what it says."""

import json
import math
from dataclasses import asdict
from pathlib import Path

from recipes.data.images import MAX_ASPECT, Framing
from recipes.evaluation.confidence import ROUNDING
from recipes.formats.network import OUTPUT, SCORE
from recipes.formats.unknown import Known
from recipes.runs.folder import recover
from recipes.runs.model_file import Classifier
from zoo.files import sha256
from zoo.weights import digests

SCHEMA = 1
# That a page offers: `recipes/report/sets.html`.
COVERAGES = ("0.8", "0.9", "0.95", "0.99")
OUTSIDE = (
    "Before a picture is the network's: turn it upright by its EXIF orientation, convert its colours to sRGB, put transparent "
    "parts on white, and make it {colors}."
)
LONG = "A picture longer than {aspect}:1 loses its ends"
FRAMED = (
    "resize its short side to {resize} pixels as Pillow does ({interpolation}, antialiased, rounded to whole numbers), its "
    "long side in proportion, to the nearest whole number; cut the {size} x {size} pixels of its centre, from "
    "(side - {size}) // 2 on, and give them as float32 from 0 to 255. " + LONG + " before that."
)
ANY_SIZE = "give it whole, as uint8: resizing and cropping are in the network. " + LONG + "."


def facts(run: Path, classifier: Classifier, any_size: bool, known: Known | None, unknown_is: str) -> dict:
    """Gather the facts of a run, values for JSON; None for what is not known.

    Args:
        known: by what the network scores how foreign a picture is; None if it does not.
        unknown_is: says what the score is, or why there is none.
    """
    path = recover(run) / "model.keras"
    framing, sure, network = classifier.framing, classifier.confidence, _network(run)
    outside, framed, whole = preparation(framing)
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
        "outputs": [OUTPUT, *([SCORE] if known else [])],
        "unknown_threshold": known.threshold if known else None,
        "unknown_is": unknown_is,
        "model": network.get("name"),
        "model_sha256": digests.noted(path) or sha256(path),
        "license": network.get("license"),
        "citations": network["citations"],
    }


def set_limits(classifier: Classifier) -> dict[str, list[float | None]] | None:
    """Find the score up to which each class is in a set, for each of `COVERAGES`: None for a class that is in every set.

    The score is 1 − probability, in float32. None in place of all where the run does not know how sure it is.
    """
    sure, found = classifier.confidence, {}
    if sure is None or not sure.count:
        return None
    for coverage in COVERAGES:
        limits = sure.thresholds(classifier.task, len(classifier.classes), float(coverage)) + ROUNDING
        found[coverage] = [limit if math.isfinite(limit) else None for limit in limits.tolist()]
    return found


def preparation(framing: Framing) -> tuple[str, str, str]:
    """Say how a picture is prepared: what is never in the network, then what framed pictures, or whole ones, need."""
    outside = OUTSIDE.format(colors="grey" if framing.channels == 1 else "RGB")
    return outside, FRAMED.format(**asdict(framing), aspect=MAX_ASPECT), ANY_SIZE.format(aspect=MAX_ASPECT)


def _network(run: Path) -> dict:
    """Read what a run says of its network: texts by name, and its citations, a list of such; what it does not say is away."""
    try:
        found = json.loads((recover(run) / "result.json").read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        found = None
    said = found.get("model") if isinstance(found, dict) else None
    said = said if isinstance(said, dict) else {}
    citations = said.get("citations")
    texts = {name: value for name, value in said.items() if isinstance(value, str)}
    return texts | {"citations": [one for one in citations if isinstance(one, str)] if isinstance(citations, list) else []}
