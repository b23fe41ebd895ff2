"""The command `zoo`: finds the command that is asked for, reads its settings, and runs it.

Nothing heavy is imported before the settings have been read.
"""

import contextlib
import dataclasses
import difflib
import errno
import importlib
import io
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from recipes.compute import lifetime, signals
from recipes.console import STANDARD_OUTPUT, say
from recipes.errors import UserError, shown
from recipes.settings import help, misread
from zoo import __version__
from zoo.disk import WriteError

# What the system says of a place that cannot be written.
UNWRITABLE = {
    getattr(errno, name)
    for name in ("ENOSPC", "EDQUOT", "EROFS", "EACCES", "EPERM", "EIO", "EFBIG", "ENOTDIR", "EEXIST", "ENAMETOOLONG", "ELOOP")
    if hasattr(errno, name)
}
HELP = {"-h", "--help"}
# The groups of `zoo --help`, in its order.
WORK, LOOK, LECTURE = "work", "look", "lecture"


@dataclass(frozen=True)
class Command:
    """A command of `zoo`: the module whose `run` does it, and the dataclass of its settings in `recipes.settings`."""

    module: str
    settings: str
    summary: str
    group: str = WORK
    keras: bool = True  # whether it needs Keras, which takes seconds to import
    backend: str | None = None  # Keras' backend, for what only one of them can do
    resumes: bool = False  # whether it keeps what it has done, if it is interrupted

    def load_settings(self) -> type:
        """Import the class of the command's settings."""
        module, _, name = self.settings.rpartition(".")
        return getattr(importlib.import_module(f"recipes.settings.{module}"), name)


COMMANDS = {
    "finetune": Command(
        "recipes.finetune", "finetune.Flags", "from a folder of images to a classifier with a report", resumes=True
    ),
    "tune": Command("recipes.tune", "tune.Tuning", "search over heads, or over ways to fine-tune", resumes=True),
    "check": Command(
        "recipes.check", "check.Checking", "what is wrong with the pictures, before they are used", keras=False, resumes=True
    ),
    "rank": Command("recipes.rank", "rank.Ranking", "which backbone for your pictures, from one pass each", resumes=True),
    "features": Command(
        "recipes.features",
        "features.Features",
        "what a frozen network gives, beforehand or by a cluster",
        resumes=True,
    ),
    "predict": Command("recipes.predict", "predict.Prediction", "class names and probabilities of images"),
    "export": Command(
        "recipes.export",
        "export.Exporting",
        "a run's network for other programs, or as a page",
        backend="tensorflow",
    ),
    "evaluate": Command(
        "recipes.evaluate", "evaluate.Evaluation", "how a finished run does on any pictures with labels", resumes=True
    ),
    "serve": Command("recipes.serve", "serve.Serving", "a page and an HTTP interface that predict"),
    "label": Command("recipes.label", "label.Labelling", "a page to label pictures, the least sure first"),
    "explain": Command("recipes.explain", "explain.Explaining", "where a run sees a class in a picture", LOOK),
    "compare": Command("recipes.compare", "compare.Comparison", "which run is better on the same pictures", LOOK, keras=False),
    "models": Command("recipes.models", "models.Models", "all architectures and their weights", LOOK, keras=False),
    "describe": Command(
        "recipes.describe", "describe.Description", "an architecture: its stages, costs and receptive fields", LOOK
    ),
    "push": Command("recipes.push", "hub.Pushing", "a run to a model hub, without its pictures", keras=False),
    "pull": Command("recipes.pull", "hub.Pulling", "a run from a model hub, checked", keras=False),
    "demo": Command("recipes.demo", "demo.Demo", "the main job on digits, with and without pretraining", resumes=True),
    "lenet_mnist": Command(
        "recipes.lecture.lenet_mnist", "lecture.LenetMnist", "train the LeNet-5 that ships with the zoo", LECTURE, resumes=True
    ),
    "receptive_fields": Command(
        "recipes.lecture.receptive_fields", "lecture.ReceptiveFields", "convolutions by hand, and what each stage sees", LECTURE
    ),
    "inspect_kernels": Command(
        "recipes.lecture.inspect_kernels", "lecture.InspectKernels", "learned kernels, and feature maps of a picture", LECTURE
    ),
    "compare_optimizers": Command(
        "recipes.lecture.compare_optimizers",
        "lecture.CompareOptimizers",
        "which optimiser is best on your data",
        LECTURE,
        resumes=True,
    ),
    "compare_regularizers": Command(
        "recipes.lecture.compare_regularizers",
        "lecture.CompareRegularizers",
        "what closes the gap to the test",
        LECTURE,
        resumes=True,
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return the exit status.

    Without arguments it is the one that this process is there for, with the process's own.

    It is 0; 2 after bad input, or where something cannot be written; 130 after Ctrl-C, 143 after SIGTERM, 129 after SIGHUP.
    """
    if arguments is None:
        lifetime.own()
        arguments = sys.argv[1:]
    _open_streams()
    if sys.stdout is None:
        return _refused("The standard output is closed: give it a file, or /dev/null.")
    try:
        with signals.raised():
            return _run(*arguments)
    except UserError as error:
        return _refused(error)
    except BrokenPipeError:  # `zoo models | head`: nobody reads on
        return 0
    except OSError as error:
        return _refused(_unwritten(error))
    except KeyboardInterrupt:
        _say_on_error(f"\nzoo: interrupted; {_left(*arguments)}.")
        return signals.status()
    finally:
        _drain(sys.stdout)
        _drain(sys.stderr)


def _left(name: str = "", *_: str) -> str:
    """Say what a command that was interrupted has left."""
    if name in COMMANDS and COMMANDS[name].resumes:
        return (
            "the output folder is as it was, and what was decoded, computed and trained is kept: the same command goes on from "
            "there"
        )
    return "no file is half written: the same command begins anew"


def _open_streams() -> None:
    """Open the standard streams that whoever started the process has closed: else the next file would be taken for one."""
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
    if sys.stderr is None:
        sys.stderr = open(2, "w", closefd=False)


def _refused(reason: object) -> int:
    """Say why a command has ended, and return its status."""
    _say_on_error(f"zoo: {shown(reason)}")
    return 2


def _say_on_error(line: str) -> None:
    """Print a line on standard error, if that can be written."""
    with contextlib.suppress(OSError):
        print(line, file=sys.stderr, flush=True)


def _unwritten(error: OSError) -> str:
    """Write in a sentence what the system did not let a command do."""
    reason = error.strerror or str(error)
    if error.filename == STANDARD_OUTPUT:
        return f"The standard output cannot be written ({reason}): give it a file on a disk with room, or /dev/null."
    if error.errno is None:
        return shown(error)
    if not isinstance(error, WriteError) and (error.filename is None or error.errno not in UNWRITABLE):
        return f"{shown(error.filename or 'A file')} cannot be used ({reason})."
    return shown(error if isinstance(error, WriteError) else WriteError(error, error.filename))


def _drain(stream: TextIO) -> None:
    """Flush a stream, or turn it away for good if it cannot be written: else Python's last flush of it complains."""
    try:
        stream.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def run_as_module(name: str) -> None:
    """Be the command `zoo NAME`, and exit, if `python -m` runs the module that calls this with its `__name__`.

    A command's module calls it before its other imports, which are heavy: so the flags are read first.
    """
    if name == "__main__":
        module = sys.modules["__main__"].__spec__.name
        command = next(name for name, command in COMMANDS.items() if command.module == module)
        sys.argv.insert(1, command)
        sys.exit(main())


def _run(name: str = "--help", *arguments: str) -> int:
    """Run a command with its flags, and return the exit status. Raises UserError for bad input."""
    if name in HELP:
        say(_overview())
        return 0
    if name == "--version":
        say(f"zoo {__version__}")
        return 0
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, 1)
        hint = f"did you mean {near[0]}?" if near else f"choose one of {', '.join(COMMANDS)}."
        raise UserError(f"There is no command {shown(name)!r}: {hint}")
    if not HELP.isdisjoint(arguments):
        say(help.page(name, COMMANDS[name].load_settings()))
        return 0
    settings = read_settings(name, list(arguments))
    if COMMANDS[name].keras:
        from recipes.compute import runtime

        if backend := COMMANDS[name].backend:
            runtime.take_backend(backend)
        runtime.start(getattr(settings, "seed", 0))
    importlib.import_module(COMMANDS[name].module).run(settings)
    return 0


def read_settings(name: str, arguments: list[str]) -> object:
    """Read the command's settings from its flags, on top of those of `--recipe FILE`.

    Raises:
        UserError: a setting cannot be, or the file is no recipe.
    """
    import tyro

    kind, default = COMMANDS[name].load_settings(), None
    if name == "finetune" and (file := _recipe_file(arguments)):
        from recipes.settings.finetune import Recipe

        default = kind(**vars(Recipe.load(Path(file))) | {"recipe": Path(file)})
    told = io.StringIO()
    try:
        with contextlib.redirect_stderr(told):
            settings = tyro.cli(kind, prog=f"zoo {name}", args=arguments, default=default)
    except SystemExit as error:
        raise UserError(misread.reason(name, kind, arguments, told.getvalue())) from error
    if name != "finetune":
        return settings
    if default and settings.data != default.data and settings.output == default.output:
        settings = dataclasses.replace(settings, output=None)  # the recipe's own run stays where it is
    return settings.as_recipe()


def _recipe_file(arguments: Sequence[str]) -> str | None:
    """Find what --recipe names among the flags; None without it. Raises UserError if it is given twice."""
    files = []
    for word, following in zip(arguments, [*arguments, None][1:], strict=True):
        if word.startswith("--recipe="):
            files.append(word.partition("=")[2])
        elif word == "--recipe":
            files.append(following)
    if not files:
        return None
    if files[1:]:
        raise UserError("--recipe is given twice: give one recipe.json.")
    if not files[0]:
        raise UserError("--recipe needs a file: a recipe.json.")
    return files[0]


def _overview() -> str:
    """Write the usage with a line a command, in groups."""
    lines = ["usage: zoo COMMAND ..."]
    for group in (WORK, LOOK, LECTURE):
        lines += ["", f"{group}:"]
        lines += [f"  {name:<22}{command.summary}" for name, command in COMMANDS.items() if command.group == group]
    return "\n".join([*lines, "", "`zoo COMMAND --help` lists a command's flags, `zoo --version` the version."])


if __name__ == "__main__":
    sys.exit(main())
