"""Send a run to a model hub: its model, its card and its numbers, and no picture unless you say so.

    zoo push RUN USER/NAME --dry-run     # what would go
    zoo push RUN USER/NAME
    python -m recipes.push RUN USER/NAME

What may go is a list in `recipes/runs/shared_files.py`; whatever else lies in the folder stays. It goes in one commit, so that
a hub has the whole run or what it had before.
"""

from recipes.cli import run_as_module

run_as_module(__name__)

from pathlib import Path

from recipes.console import say, show, suggest
from recipes.errors import UserError, shown
from recipes.runs.hub import client, sentences
from recipes.runs.shared_files import REPORT, gather
from recipes.settings.hub import Pushing

AGAIN = "Nothing was changed there but, maybe, that the model was made: the same command tries again."


def run(settings: Pushing) -> list[str]:
    """Send a run, or say what would go; return the names of the files.

    Raises:
        UserError: it is no run, or the hub does not take it.
    """
    files = gather(settings.run, settings.pictures)
    show([{"file": name, "bytes": f"{_size(content):,}"} for name, content in files.items()])
    if settings.dry_run:
        say(f"Nothing was sent: this would go to {settings.repository}.")
        return list(files)
    api = client()
    if not api.token:
        raise UserError("Who sends needs a token of the hub: set HF_TOKEN, or use `hf auth login`. --dry-run needs none.")
    from huggingface_hub import CommitOperationAdd, CommitOperationDelete

    with sentences(api, settings.repository, AGAIN):
        api.create_repo(settings.repository, exist_ok=True)
        steps = [CommitOperationAdd(name, content) for name, content in files.items()]
        if REPORT not in files and REPORT in api.list_repo_files(settings.repository):
            steps.append(CommitOperationDelete(REPORT))  # an earlier run's, with its pictures
        api.create_commit(settings.repository, steps, commit_message="A run of zoo finetune")
    say(f"{shown(settings.run)} is at {api.endpoint}/{settings.repository}")
    suggest({"Where it is wanted": ["zoo", "pull", settings.repository]})
    return list(files)


def _size(content: bytes | Path) -> int:
    """Count the bytes of a file, or of what stands for one."""
    return content.stat().st_size if isinstance(content, Path) else len(content)
