"""Imports point down: zoo knows Keras only, callbacks know zoo.layers, recipes know both; read with `ast`."""

import ast
import configparser
from pathlib import Path

import pytest
from helpers import ROOT

FAMILIES = {"lenet", "vgg", "resnet", "mobilenet"}
FRAMEWORKS = {"tensorflow", "torch", "jax"}


def files(package):
    found = sorted((ROOT / package).rglob("*.py"))
    assert found
    return found


def imported(path: Path) -> set[str]:
    """Every module that the file imports, anywhere in it; `from a import b` counts as a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: imports are written in full here"
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def tops(path):
    return {name.partition(".")[0] for name in imported(path)}


def test_zoo_knows_nothing_above_it():
    assert {str(path): tops(path) & {"callbacks", "recipes"} for path in files("zoo")} == {
        str(path): set() for path in files("zoo")
    }


def test_callbacks_know_zoo_layers_only():
    for path in files("callbacks"):
        assert "recipes" not in tops(path), path
        below = {name for name in imported(path) if name.partition(".")[0] == "zoo"}
        assert {name for name in below if name != "zoo" and not name.startswith("zoo.layers")} == set(), path
        assert "zoo" not in below or "zoo.layers" in below, path


def test_families_do_not_know_each_other():
    for family in FAMILIES:
        others = {f"zoo.{name}" for name in FAMILIES - {family}}
        assert imported(ROOT / "zoo" / f"{family}.py") & others == set()


def test_surgery_knows_no_architecture():
    for name in ("surgery.py", "layers.py", "preprocessing.py", "builder.py"):
        assert imported(ROOT / "zoo" / name) & {f"zoo.{family}" for family in FAMILIES} == set()


@pytest.mark.parametrize("package", ["zoo", "callbacks"])
def test_keras_is_the_only_framework(package):
    for path in files(package):
        assert tops(path) & FRAMEWORKS == set(), path


def test_setup_lists_every_package():
    setup = ROOT / "setup.cfg"
    if not setup.exists():
        pytest.skip("there is no setup.cfg")
    config = configparser.ConfigParser()
    config.read(setup, encoding="utf-8")
    there = {
        ".".join(init.parent.relative_to(ROOT).parts)
        for package in ("zoo", "callbacks", "recipes")
        for init in (ROOT / package).rglob("__init__.py")
    }
    assert set(config["options"]["packages"].split()) == there
