"""Bring a run from a model hub, checked by its digest.

    zoo pull USER/NAME --output RUN
    python -m recipes.pull USER/NAME

Only what `zoo push` sends is taken, by its name and up to a size; the folder is written as a whole or not at all. `zoo predict`
loads the model as it does any: without code from the file.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from recipes.console import say, suggest
from recipes.errors import UserError, shown, some
from recipes.runs.folder import writing
from recipes.runs.hub import client, sentences
from recipes.runs.shared_files import ALLOWED, CARD, DIGEST, HUB_CARD, MEMBERS, MODEL, RESULT, checked
from recipes.settings.hub import Pulling

if TYPE_CHECKING:
    from huggingface_hub import HfApi

AGAIN = "Nothing was written: the same command tries again."
# What a hub adds by itself.
HUBS_OWN = {".gitattributes"}


def run(settings: Pulling) -> Path:
    """Bring a run, and return its folder.

    Raises:
        UserError: the hub does not give it, or what it gives is no run.
    """
    api = client()
    with writing(settings.folder) as folder:
        with sentences(api, settings.repository, AGAIN):
            commit, names = _offered(api, settings.repository)
            for name in names:
                api.hf_hub_download(settings.repository, name, revision=commit, local_dir=folder)
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # the client's notes
        if wrong := [name for name in names if (folder / name).stat().st_size > ALLOWED[name]]:
            raise _too_large(settings.repository, wrong[0])
        checked(folder, Path(settings.repository))
        if (folder / HUB_CARD).exists():
            (folder / HUB_CARD).rename(folder / CARD)
    say(f"{shown(settings.folder)} holds {settings.repository}, whose model is what its digest says.")
    suggest({"What pictures show": ["zoo", "predict", settings.folder, "PICTURE"]})
    return settings.folder


def _offered(api: "HfApi", repository: str) -> tuple[str, list[str]]:
    """List the files to take, as one commit has them. Raises UserError for what is no run, or too large."""
    info = api.model_info(repository, files_metadata=True)
    sizes = {one.rfilename: one.size for one in info.siblings or ()}
    if outside := [name for name in sizes if name.startswith("/") or "\\" in name or ".." in name.split("/")]:
        raise UserError(f"{repository} is refused: it has a file whose name leads out of the folder ({shown(outside[0])}).")
    if absent := [name for name in (RESULT, MODEL, DIGEST) if name not in sizes]:
        raise UserError(f"{repository} is no run that `zoo push` sent: it has no {absent[0]}.")
    if left := sorted(set(sizes) - set(ALLOWED) - HUBS_OWN):
        say(f"Not taken, for they are no files of a run: {some(left, 3)}.")
    # What model.keras holds already is not needed twice.
    names = [name for name in ALLOWED if name in sizes and name not in MEMBERS]
    if large := [name for name in names if sizes[name] is None or sizes[name] > ALLOWED[name]]:
        raise _too_large(repository, large[0])
    return info.sha, names


def _too_large(repository: str, name: str) -> UserError:
    """Make the error of a file that is larger than a run's can be."""
    return UserError(f"{repository} is refused: its {name} is larger than the {ALLOWED[name]:,} bytes that are taken.")
