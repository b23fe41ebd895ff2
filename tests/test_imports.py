"""Imports point down, those inside functions and for types included, and what is private stays so: read off the source."""

import ast
import configparser
import re
from pathlib import Path

import house
import pytest
from helpers import ROOT, python

from recipes.cli import COMMANDS

KNOWN = house.modules()
FAMILIES = {name for name in KNOWN if name.startswith("zoo.architectures.")}
FRAMEWORKS = {"tensorflow", "torch", "jax"}

# From the ground up: a package of `recipes` imports from those before it. `cli` names commands without importing them.
FLOORS = (
    "errors",
    "console",
    "settings",
    "compute",
    "evaluation",
    "data",
    "report",
    "runs",
    "tracking",
    "formats",
    "transfer",
    "search",
    "web",
    "cli",
    "lecture",
    "commands",
)
NO_COMMAND = {"__init__", "__main__", "cli", "console", "errors"}


def of(package: str) -> dict[str, Path]:
    """The modules of a package, which are many: no rule holds because there was nothing to look at."""
    found = {name: path for name, path in KNOWN.items() if name == package or name.startswith(f"{package}.")}
    assert len(found) > 5
    return found


def below(name: str, *packages: str) -> bool:
    """Whether a name is a package, or something in it."""
    return any(name == package or name.startswith(f"{package}.") for package in packages)


def floor(module: str) -> str:
    """The floor of a module of `recipes`."""
    part = module.split(".")[1]
    return part if part in FLOORS else "commands"


def upward(graph: house.Graph) -> list[str]:
    """Imports inside `recipes` that lead to a higher floor."""
    return [
        f"{module} imports {target}"
        for module, targets in graph.items()
        for target in sorted(targets)
        if below(module, "recipes") and "recipes" not in (module, target) and below(target, "recipes")
        if FLOORS.index(floor(target)) > FLOORS.index(floor(module))
    ]


def private(path: Path) -> list[str]:
    """Places where a file takes from a module of this project what begins with an underscore."""
    found, ours = [], set()
    nodes = list(ast.walk(house.parsed(path)))
    for node in nodes:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                source = f"{node.module}." if isinstance(node, ast.ImportFrom) else ""
                if below(source + alias.name, *house.PACKAGES):
                    ours.add(alias.asname or alias.name.partition(".")[0])
                    if hidden(alias.name):
                        found.append(f"{path.name}:{node.lineno} imports {source}{alias.name}")
    for node in nodes:
        if isinstance(node, ast.Attribute) and hidden(node.attr) and ast.unparse(node.value).partition(".")[0] in ours:
            found.append(f"{path.name}:{node.lineno} uses {ast.unparse(node)}")
    return found


def hidden(name: str) -> bool:
    """Whether a name is private by convention."""
    return name.startswith("_") and not name.endswith("__")


# Arguments that users write, of the same name as a function beside them.
PUBLIC_PARAMETERS = {"surgery.py stages"}  # zoo.features(model, stages=[...])


def one_name_two_meanings(path: Path) -> list[str]:
    """Parameters and local variables of a file that are called as a module it imports, or as a function or class it defines."""
    tree = house.parsed(path)
    taken = {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    for node in tree.body:
        if isinstance(node, (ast.Import, ast.ImportFrom)):
            for alias in node.names:
                if isinstance(node, ast.Import) or f"{node.module}.{alias.name}" in KNOWN:
                    taken.add(alias.asname or alias.name.partition(".")[0])
    found = []
    for function in ast.walk(tree):
        if isinstance(function, (ast.FunctionDef, ast.Lambda)):
            names = {node.arg for node in ast.walk(function.args) if isinstance(node, ast.arg)}
            names |= {node.id for node in ast.walk(function) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            found += [f"{path.name}:{function.lineno} {name}" for name in sorted(names & taken)]
    return found


def test_zoo_knows_nothing_above_it():
    for module, path in of("zoo").items():
        assert not [name for name in house.imported(path) if below(name, "callbacks", "recipes")], module


def test_callbacks_know_graphs_files_and_keras_private_parts_only():
    for module, path in of("callbacks").items():
        names = [name for name in house.imported(path) if below(name, "zoo", "recipes")]
        assert not [name for name in names if not below(name, "zoo.graph", "zoo.files", "zoo.keras_private")], module


def test_families_do_not_know_each_other():
    assert len(FAMILIES) > 10
    for family in FAMILIES:
        assert not [name for name in house.imported(KNOWN[family]) if below(name, *FAMILIES - {family})], family


@pytest.mark.parametrize("name", ["surgery", "layers", "preprocessing", "builder", "origin", "heads"])
def test_what_works_on_any_network_knows_none(name):
    reached = house.reached(house.module_graph(KNOWN), f"zoo.{name}")
    assert not reached & (FAMILIES | {"zoo", "zoo.api", "zoo.architectures"})


@pytest.mark.parametrize("package", ["zoo", "callbacks"])
def test_keras_is_the_only_framework(package):
    for module, path in of(package).items():
        assert not [name for name in house.imported(path) if below(name, *FRAMEWORKS)], module


def test_imports_inside_recipes_lead_down():
    assert upward(house.module_graph(KNOWN)) == []


def test_every_package_of_recipes_has_a_floor():
    folders = {path.parent.name for path in (house.SOURCES / "recipes").glob("*/__init__.py")}
    assert folders <= set(FLOORS)
    assert set(FLOORS) - folders == {"errors", "console", "cli", "commands"}


def test_the_diagram_shows_the_floors():
    page = (ROOT / "docs" / "contributing.md").read_text(encoding="utf-8")
    (diagram,) = re.findall(r"```\n(commands .*?)```", page, re.S)
    assert tuple(line.split()[0] for line in reversed(diagram.splitlines())) == FLOORS


@pytest.mark.parametrize("package", house.PACKAGES)
def test_no_circles(package):
    assert house.circles(house.room_graph(of(package))) == []
    assert house.circles(house.module_graph(of(package))) == []


def test_drawing_a_receptive_field_loads_neither_training_nor_search():
    reached = house.reached(house.module_graph(KNOWN), "recipes.lecture.receptive_fields")
    engine = ("recipes.transfer.training", "recipes.transfer.head_trainer", "recipes.finetune", "recipes.search", "callbacks")
    assert not [name for name in reached if below(name, *engine)]


def test_a_flat_file_in_recipes_is_a_command():
    flat = {f"recipes.{path.stem}" for path in (house.SOURCES / "recipes").glob("*.py") if path.stem not in NO_COMMAND}
    modules = {command.module for command in COMMANDS.values()}
    assert flat == {module for module in modules if module.count(".") == 1}
    assert all(below(module, "recipes.lecture") for module in modules - flat)


def test_a_command_reads_its_flags_before_its_other_imports():
    for module in {command.module for command in COMMANDS.values()}:
        first = [ast.unparse(node) for node in house.parsed(KNOWN[module]).body[1:3]]
        assert first == ["from recipes.cli import run_as_module", "run_as_module(__name__)"], module


def test_a_package_of_recipes_says_what_it_is_and_runs_nothing():
    for module, path in of("recipes").items():
        if path.name == "__init__.py":
            tree = house.parsed(path)
            assert ast.get_docstring(tree) and len(tree.body) == 1, module


def test_commands_and_settings_load_nothing_heavy(tmp_path):
    light = ["recipes", "recipes.cli", *(name for name in KNOWN if below(name, "recipes.settings"))]
    code = f"import sys, {', '.join(light)}\nprint(sorted({{'keras', 'numpy', 'tensorflow', 'zoo.api'}} & set(sys.modules)))"
    assert python(code, cwd=tmp_path, PYTHONPATH=str(house.SOURCES)) == "[]\n"


@pytest.mark.parametrize("package", [*house.PACKAGES, "benchmarks", "tests"])
def test_nothing_private_is_taken_from_another_module(package):
    paths = sorted(((house.SOURCES if package in house.PACKAGES else ROOT) / package).rglob("*.py"))
    assert len(paths) > 5
    assert [place for path in paths for place in private(path)] == []


@pytest.mark.parametrize("package", house.PACKAGES)
def test_one_name_has_one_meaning_in_a_file(package):
    found = [place for path in of(package).values() for place in one_name_two_meanings(path)]
    assert [place for place in found if re.sub(r":\d+", "", place) not in PUBLIC_PARAMETERS] == []


def test_setup_lists_every_package():
    setup = ROOT / "setup.cfg"
    if not setup.exists():
        pytest.skip("there is no setup.cfg")
    config = configparser.ConfigParser()
    config.read(setup, encoding="utf-8")
    there = {
        ".".join(init.parent.relative_to(house.SOURCES).parts)
        for package in ("zoo", "callbacks", "recipes")
        for init in (house.SOURCES / package).rglob("__init__.py")
    }
    assert set(config["options"]["packages"].split()) == there
