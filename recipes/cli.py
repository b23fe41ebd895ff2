"""The command `zoo`. Nothing heavy is imported before a command's settings have been read."""

import dataclasses
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from recipes.errors import UserError

# command: (settings in recipes.settings.finetune, module whose `run` takes them, what it does)
COMMANDS = {
    "finetune": ("Recipe", "recipes.finetune", "from a folder of images to a classifier with a report"),
    "tune": ("Tuning", "recipes.tune", "search over heads on features computed once, or over ways to fine-tune"),
    "rank": ("Ranking", "recipes.rank", "which backbone for a folder of images, from one pass each"),
    "predict": ("Prediction", "recipes.predict", "class names and probabilities of images"),
    "models": ("Models", "recipes.models", "all architectures and their weights"),
    "describe": ("Description", "recipes.describe", "an architecture layer by layer: shapes, costs, receptive fields"),
    "demo": ("Demo", "recipes.demo", "the main recipe on handwritten digits, with and without pretraining"),
    "lenet_mnist": ("LenetMnist", "recipes.lecture.lenet_mnist", "train the LeNet-5 that ships with the zoo"),
    "receptive_fields": ("ReceptiveFields", "recipes.lecture.receptive_fields", "convolutions by hand, and what each stage sees"),
    "inspect_kernels": ("InspectKernels", "recipes.lecture.inspect_kernels", "learned kernels, and feature maps of a picture"),
    "compare_optimizers": ("CompareOptimizers", "recipes.lecture.compare_optimizers", "which optimiser is best on your data"),
    "compare_regularizers": ("CompareRegularizers", "recipes.lecture.compare_regularizers", "what closes the gap to the test"),
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status: 0, 2 after bad input, 130 after Ctrl-C."""
    arguments = list(sys.argv[1:] if arguments is None else arguments)
    if not arguments or arguments[0] in ("-h", "--help"):
        print(_overview())
        return 0
    try:
        return _run(*arguments)
    except UserError as error:
        print(f"zoo: {error}", file=sys.stderr)
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


def _run(command: str, *arguments: str) -> int:
    if command not in COMMANDS:
        raise UserError(f"There is no command {command!r}: choose one of {', '.join(COMMANDS)}.")
    settings = _settings(command, list(arguments))
    from recipes.compute import runtime

    runtime.start(getattr(settings, "seed", 0))
    importlib.import_module(COMMANDS[command][1]).run(settings)
    return 0


def _settings(command: str, arguments: list[str]):
    """The command's settings from its flags, on top of those of `--recipe FILE`."""
    import tyro

    from recipes.settings import finetune

    kind, default = getattr(finetune, COMMANDS[command][0]), None
    if kind is finetune.Recipe and "--recipe" in arguments:
        at = arguments.index("--recipe")
        if at + 1 == len(arguments):
            raise UserError("--recipe needs a file: a recipe.json.")
        default = finetune.Recipe.load(Path(arguments[at + 1]))
        del arguments[at : at + 2]
    if default is None:
        return tyro.cli(kind, prog=f"zoo {command}", args=arguments)
    return tyro.cli(kind, prog=f"zoo {command}", args=arguments, default=dataclasses.replace(default))


def _overview() -> str:
    lines = [f"  {name:<22}{does}" for name, (_, _, does) in COMMANDS.items()]
    return "\n".join(["usage: zoo COMMAND ...", "", *lines, "", "`zoo COMMAND --help` lists a command's flags."])


if __name__ == "__main__":
    sys.exit(main())
