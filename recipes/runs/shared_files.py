"""What of a run is shared: its model with its digest, its card and its numbers, and of the pictures not even their names."""

import json
import re
import shlex
import zipfile
from pathlib import Path

from recipes.errors import UserError, shown
from recipes.report.card import card, without_folders
from recipes.runs.folder import recover
from recipes.settings.sources import is_tfds
from recipes.settings.values import read_object
from zoo.files import sha256
from zoo.weights import digests
from zoo.weights.formats import archives
from zoo.weights.formats.tensors import WeightsError

MODEL, DIGEST, RESULT, REPORT, CARD = "model.keras", "model.keras.sha256", "result.json", "report.html", "MODEL_CARD.md"
# What a hub calls the page that it shows.
HUB_CARD = "README.md"
# Members of model.keras that other programs want beside it.
MEMBERS = ("classes.json", "framing.json")
# A hub's names, each with the most bytes that are taken; the last is sent with the pictures' consent alone.
ALLOWED = {
    MODEL: 8 << 30,
    DIGEST: 1 << 10,
    RESULT: 64 << 20,
    HUB_CARD: 4 << 20,
    "classes.json": 4 << 20,
    "framing.json": 1 << 16,
    REPORT: 64 << 20,
}
# What names single pictures.
OF_PICTURES = ("suspects", "findings", "corrections")
# A path from a root, of this machine or another, POSIX or Windows.
ROOTED = re.compile(r"(?:/|[A-Za-z]:[\\/]|\\\\)")


def gather(folder: Path, pictures: bool) -> dict[str, bytes | Path]:
    """Gather what a run shares, by the names that the hub gives it: files, or their new content.

    Args:
        pictures: whether the report goes, which shows pictures.

    Raises:
        UserError: it is no run, its model is not what was written, or it has no report to send.
    """
    place = recover(folder)
    result = checked(place, folder)
    shared = json.dumps(scrubbed(result), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    found: dict[str, bytes | Path] = {
        MODEL: place / MODEL,
        DIGEST: place / DIGEST,
        RESULT: shared.encode(),
        HUB_CARD: card(scrubbed(result)).encode(),
    }
    with archives.opened(place / MODEL) as archive:
        found |= {name: archives.content(archive, name) for name in MEMBERS}
    if pictures:
        if not (place / REPORT).is_file():
            raise UserError(f"{shown(folder)} has no {REPORT}, which --pictures would send: leave --pictures out.")
        found[REPORT] = place / REPORT
    return found


def scrubbed(result: dict) -> dict:
    """Copy the values of result.json without folders, of whatever machine, and without names of pictures."""
    kept = {key: value for key, value in result.items() if key not in OF_PICTURES}
    data = Path(result["data"])
    kept["data"] = result["data"] if is_tfds(data) else _last(result["data"])
    kept["command"] = " ".join(map(_word, shlex.split(result["command"])))
    kept["model"] = _weights_named(result["model"])
    return without_folders(kept)


def _weights_named(network: dict) -> dict:
    """Copy what is said of a network, its files of weights by name alone."""
    named = network | {"weights": network.get("weights") and _last(network["weights"])}
    return named | {"backbones": [_weights_named(one) for one in network["backbones"]]} if "backbones" in network else named


def _word(word: str) -> str:
    """Write a word of a command for a shell, a path from a root by its last part."""
    flag, equals, value = word.rpartition("=") if word.startswith("-") else ("", "", word)
    return flag + equals + (f"'…/{shlex.quote(_last(value)).strip(chr(39))}'" if ROOTED.match(value) else shlex.quote(value))


def _last(path: str) -> str:
    """Take the name of a path, POSIX or Windows."""
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1]


def checked(place: Path, folder: Path) -> dict:
    """See that a folder holds a run whose model is what its digest says; return the values of its result.json.

    Args:
        place: where the files lie.
        folder: what the user calls it.

    Raises:
        UserError: it does not.
    """

    def refuse(why: object) -> UserError:
        """Make the error of a folder that is no such run."""
        reason = shown(why).rstrip(".")
        return UserError(
            f"{shown(folder)} is no run that can be shared ({reason}): give what `zoo finetune` wrote, or make it again."
        )

    if absent := [name for name in (RESULT, MODEL, DIGEST) if not (place / name).is_file()]:
        raise refuse(f"it has no {absent[0]}")
    try:
        result, noted = read_object(place / RESULT), digests.noted(place / MODEL)
        if result.get("recipe") != "finetune":
            raise refuse(f"{RESULT} is not of `zoo finetune`")
        if sha256(place / MODEL) != noted:
            raise refuse(f"{MODEL} is not what its digest says")
        with archives.opened(place / MODEL) as archive:
            classes = json.loads(archives.content(archive, "classes.json"))
        if classes != result.get("classes"):
            raise refuse(f"{RESULT} is of other classes than {MODEL}")
        card(result)
    except (WeightsError, ValueError, KeyError, TypeError, AttributeError, OSError, zipfile.BadZipFile) as error:
        raise refuse(error) from error
    return result
