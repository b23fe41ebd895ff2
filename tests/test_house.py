"""The script that counts rooms, arrows and circles, on a small tree where they can be counted by hand."""

import house
import pytest
from helpers import ROOT, python

FILES = {
    "zoo/__init__.py": "",
    "callbacks/__init__.py": "import zoo",
    "recipes/__init__.py": "",
    "recipes/errors.py": "",
    "recipes/data/__init__.py": "",
    "recipes/data/images.py": "import os\nfrom recipes.data import store\nfrom recipes.errors import UserError",
    "recipes/data/store.py": "import recipes.errors",
    "recipes/search/__init__.py": "from zoo import vgg16",
    "recipes/search/study.py": "from recipes.data.images import read",
    "recipes/tune.py": "from recipes.search import study\nfrom recipes import errors",
}
UPWARD = {
    "in a function": "def draw():\n    from recipes.tune import run",
    "for types": "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from recipes import tune",
    "at the top": "import recipes.tune as command",
}


@pytest.fixture
def tree(tmp_path):
    for name, code in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(code)
    return tmp_path


def test_rooms_arrows_and_floors(tree):
    graph = house.room_graph(house.modules(tree, ["recipes"]))
    assert graph == {
        "recipes": set(),
        "recipes.errors": set(),
        "recipes.data": {"recipes.errors"},
        "recipes.search": {"recipes.data"},
        "recipes.tune": {"recipes.search", "recipes.errors"},
    }
    assert house.floors(graph) == 4 and house.upward(graph) == () and house.circles(graph) == []


@pytest.mark.parametrize("code", UPWARD.values(), ids=UPWARD)
def test_an_import_that_leads_up_makes_a_circle(tree, code):
    (tree / "recipes" / "data" / "store.py").write_text(code)
    known = house.modules(tree)
    graph = house.room_graph(known)
    assert house.circles(graph) == [{"recipes.data", "recipes.search", "recipes.tune"}]
    assert len(house.upward(graph)) == 1 and house.floors(graph) >= 3
    modules = {"recipes.data.images", "recipes.data.store", "recipes.search.study", "recipes.tune"}
    assert house.circles(house.module_graph(known)) == [modules]


def test_two_circles_have_two_arrows_too_many(tree):
    (tree / "recipes" / "errors.py").write_text("import recipes.data.images")
    (tree / "recipes" / "search" / "study.py").write_text("import recipes.tune")
    graph = house.room_graph(house.modules(tree))
    assert house.circles(graph) == [{"recipes.data", "recipes.errors"}, {"recipes.search", "recipes.tune"}]
    assert len(house.upward(graph)) == 2


def test_a_relative_import_is_refused(tree):
    (tree / "recipes" / "errors.py").write_text("from . import tune")
    with pytest.raises(AssertionError, match="errors.py:1 imports relatively"):
        house.room_graph(house.modules(tree))


def test_the_command(tree, tmp_path):
    said = python(f"import house, pathlib; house.main(pathlib.Path({str(tree)!r}))", cwd=tmp_path, PYTHONPATH=ROOT / "tests")
    assert said.splitlines() == [
        "zoo: 1 rooms on 1 floors, 0 arrows, 0 upward; circles: 0 of rooms, 0 of modules",
        "callbacks: 1 rooms on 1 floors, 0 arrows, 0 upward; circles: 0 of rooms, 0 of modules",
        "recipes: 5 rooms on 4 floors, 4 arrows, 0 upward; circles: 0 of rooms, 0 of modules",
    ]
