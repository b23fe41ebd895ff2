"""The command `zoo`: finds the command that is asked for, reads its settings, and runs it.

Nothing heavy is imported before the settings have been read.
"""

import dataclasses
import importlib
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from recipes.errors import UserError, shown


@dataclass(frozen=True)
class Command:
    """A command of `zoo`: the module whose `run` does it, and the dataclass of its settings in `recipes.settings`."""

    module: str
    settings: str
    summary: str

    def load_settings(self) -> type:
        """Import the class of the command's settings."""
        module, _, name = self.settings.rpartition(".")
        return getattr(importlib.import_module(f"recipes.settings.{module}"), name)


COMMANDS = {
    "finetune": Command("recipes.finetune", "finetune.Recipe", "from a folder of images to a classifier with a report"),
    "tune": Command("recipes.tune", "tune.Tuning", "search over heads on features computed once, or over ways to fine-tune"),
    "rank": Command("recipes.rank", "rank.Ranking", "which backbone for a folder of images, from one pass each"),
    "predict": Command("recipes.predict", "predict.Prediction", "class names and probabilities of images"),
    "models": Command("recipes.models", "models.Models", "all architectures and their weights"),
    "describe": Command(
        "recipes.describe", "describe.Description", "an architecture layer by layer: shapes, costs, receptive fields"
    ),
    "demo": Command("recipes.demo", "demo.Demo", "the main recipe on handwritten digits, with and without pretraining"),
    "lenet_mnist": Command("recipes.lecture.lenet_mnist", "lecture.LenetMnist", "train the LeNet-5 that ships with the zoo"),
    "receptive_fields": Command(
        "recipes.lecture.receptive_fields", "lecture.ReceptiveFields", "convolutions by hand, and what each stage sees"
    ),
    "inspect_kernels": Command(
        "recipes.lecture.inspect_kernels", "lecture.InspectKernels", "learned kernels, and feature maps of a picture"
    ),
    "compare_optimizers": Command(
        "recipes.lecture.compare_optimizers", "lecture.CompareOptimizers", "which optimiser is best on your data"
    ),
    "compare_regularizers": Command(
        "recipes.lecture.compare_regularizers", "lecture.CompareRegularizers", "what closes the gap to the test"
    ),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command, and return the exit status: 0, 2 after bad input, 130 after Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    try:
        return _run(*arguments)
    except UserError as error:
        print(f"zoo: {shown(error)}", file=sys.stderr)
        return 2
    except BrokenPipeError:  # `zoo models | head`: nobody reads on; nor may Python's last flush complain
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(
            "\nzoo: interrupted; the output folder is as it was, and what was decoded, computed and trained is kept: "
            "the same command goes on from there.",
            file=sys.stderr,
        )
        return 130


def run_as_module(name: str) -> None:
    """Be the command `zoo NAME`, and exit, if `python -m` runs the module that calls this with its `__name__`.

    A command's module calls it before its other imports, which are heavy: so the flags are read first.
    """
    if name == "__main__":
        module = sys.modules["__main__"].__spec__.name
        command = next(name for name, command in COMMANDS.items() if command.module == module)
        sys.exit(main([command, *sys.argv[1:]]))


def _run(name: str, *arguments: str) -> int:
    """Run a command with its flags, and return the exit status. Raises UserError for bad input."""
    if name not in COMMANDS:
        raise UserError(f"There is no command {name!r}: choose one of {', '.join(COMMANDS)}.")
    settings = read_settings(name, list(arguments))
    from recipes.compute import runtime

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
    if name == "finetune" and "--recipe" in arguments:
        at = arguments.index("--recipe")
        if at + 1 == len(arguments):
            raise UserError("--recipe needs a file: a recipe.json.")
        default = kind.load(Path(arguments[at + 1]))
        del arguments[at : at + 2]
    if default is None:
        return tyro.cli(kind, prog=f"zoo {name}", args=arguments)
    settings = tyro.cli(kind, prog=f"zoo {name}", args=arguments, default=dataclasses.replace(default))
    if settings.data != default.data and settings.output == default.output:  # the recipe's own run stays where it is
        return dataclasses.replace(settings, output=None)
    return settings


def _overview() -> str:
    """Write the usage with a line a command."""
    lines = [f"  {name:<22}{command.summary}" for name, command in COMMANDS.items()]
    return "\n".join(["usage: zoo COMMAND ...", "", *lines, "", "`zoo COMMAND --help` lists a command's flags."])


if __name__ == "__main__":
    sys.exit(main())
