"""What is installed: all files of the packages, and nothing but what was installed is imported where the tree is not."""

import configparser
import fnmatch
from pathlib import Path

import commands
import house
import pytest
from helpers import ROOT

import callbacks
import recipes
import zoo

PLACES = "import zoo, callbacks, recipes; print(*(p.__file__ for p in (zoo, callbacks, recipes)), sep=chr(10))"


def test_all_files_of_the_packages_are_installed():
    config = configparser.ConfigParser()
    config.read(ROOT / "setup.cfg")
    patterns = {name: text.replace(",", " ").split() for name, text in config["options.package_data"].items()}
    for package in (zoo, callbacks, recipes):
        top = Path(package.__file__).parent
        for path in top.rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                folder = next(folder for folder in path.parents if (folder / "__init__.py").exists())
                name = ".".join(folder.relative_to(top.parent).parts)
                inside = path.relative_to(folder).as_posix()
                assert any(fnmatch.fnmatch(inside, pattern) for pattern in patterns[name]), path


def test_the_package_that_is_tested():
    assert [Path(p.__file__).parents[1] for p in (zoo, callbacks, recipes)] == [house.SOURCES] * 3


@pytest.mark.parametrize("is_fresh", [False, pytest.param(True, marks=pytest.mark.slow)], ids=["forked", "fresh"])
def test_commands_run_that_package(is_fresh):
    command = commands.zoo("--help", setup=PLACES, is_fresh=is_fresh)
    assert [Path(line).parents[1] for line in command.stdout.splitlines()[:3]] == [house.SOURCES] * 3


def test_the_requirements_without_tensorflow_are_those_of_the_package():
    settings = configparser.ConfigParser()
    settings.read(ROOT / "setup.cfg")
    required = settings["options"]["install_requires"].split("\n")
    lines = (ROOT / "requirements-without-tensorflow.txt").read_text().splitlines()
    expected = [line for line in required if line and not line.startswith("tensorflow>")]
    assert [line for line in lines if not line.startswith("#")] == expected
    assert "requirements-without-tensorflow.txt" in (ROOT / "README.md").read_text()
    assert any(line.startswith("six") for line in lines)  # KerasTuner imports it and does not declare it
