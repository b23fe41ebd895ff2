"""How the rooms of this house depend on each other, read off the source with `ast`: nothing is imported.

    python tests/house.py [ROOT]    # the numbers of the tree at ROOT, or of this one

A room is a folder of modules, or a module that lies directly in `zoo`, `callbacks` or `recipes`. An arrow leads from a room to
another one that a module in it imports: at the top, inside a function, or for its types alone.
"""

import ast
import sys
import sysconfig
from collections.abc import Iterable
from functools import cache
from itertools import combinations
from pathlib import Path

ROOT = Path(__file__).parents[1]
# Where the packages are: `make installed` runs the tests in a checkout without them.
SOURCES = ROOT if (ROOT / "zoo").is_dir() else Path(sysconfig.get_path("purelib"))
PACKAGES = ("zoo", "callbacks", "recipes")
Graph = dict[str, set[str]]


def modules(root: Path = SOURCES, packages: Iterable[str] = PACKAGES) -> dict[str, Path]:
    """File of every module, by the module's full name; a package's is its `__init__.py`."""
    found = {}
    for package in packages:
        for path in sorted((root / package).rglob("*.py")):
            parts = path.relative_to(root).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    assert found, f"There are no modules of {', '.join(packages)} in {root}."
    return found


@cache
def parsed(path: Path) -> ast.Module:
    """Syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), path)


def imported(path: Path) -> set[str]:
    """Every name that a file imports, anywhere in it, written in full; `from a import b` counts as a.b."""
    found = set()
    for node in ast.walk(parsed(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno} imports relatively: write the module's name in full."
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def module_graph(known: dict[str, Path]) -> Graph:
    """The known modules that each module imports."""
    graph = {}
    for module, path in known.items():
        targets = {name if name in known else name.rpartition(".")[0] for name in imported(path)}
        graph[module] = (targets & set(known)) - {module}
    return graph


def room(module: str, known: dict[str, Path]) -> str:
    """The room that a module lies in."""
    if known[module].name == "__init__.py" or module.count(".") < 2:
        return module
    return module.rpartition(".")[0]


def room_graph(known: dict[str, Path]) -> Graph:
    """The rooms that each room imports from."""
    graph: Graph = {room(module, known): set() for module in known}
    for module, targets in module_graph(known).items():
        graph[room(module, known)] |= {room(target, known) for target in targets} - {room(module, known)}
    return graph


def reached(graph: Graph, start: str) -> set[str]:
    """Everything that arrows lead to from a start, in one step or more."""
    found, todo = set(), [start]
    while todo:
        new = graph[todo.pop()] - found
        found |= new
        todo += new
    return found


def circles(graph: Graph) -> list[set[str]]:
    """The largest sets of two or more whose members all reach each other."""
    reach = {node: reached(graph, node) for node in graph}
    sets = {frozenset(other for other in reach[node] if node in reach[other]) for node in graph}
    return sorted((set(members) for members in sets if members), key=sorted)


def upward(graph: Graph) -> tuple[tuple[str, str], ...]:
    """The fewest arrows without which there is no circle: in the best order of floors, those that lead up."""
    inside = [(a, b) for members in circles(graph) for a in sorted(members) for b in sorted(graph[a] & members)]
    for count in range(len(inside) + 1):
        for left_out in combinations(inside, count):
            if not circles({a: {b for b in targets if (a, b) not in left_out} for a, targets in graph.items()}):
                return left_out
    raise AssertionError("without any arrow there is no circle")


def floors(graph: Graph) -> int:
    """How many rooms the longest way downward passes through; arrows that lead up are left out."""
    up, height = set(upward(graph)), {}

    def level(node: str) -> int:
        if node not in height:
            height[node] = 1 + max((level(target) for target in graph[node] if (node, target) not in up), default=0)
        return height[node]

    return max(map(level, graph))


def main(root: Path = SOURCES) -> None:
    """Print the numbers of a tree, a line for each package."""
    for package in PACKAGES:
        known = modules(root, [package])
        graph = room_graph(known)
        up = upward(graph)
        print(
            f"{package}: {len(graph)} rooms on {floors(graph)} floors, {sum(map(len, graph.values()))} arrows, "
            f"{len(up)} upward; circles: {len(circles(graph))} of rooms, {len(circles(module_graph(known)))} of modules"
        )
        for importer, target in up:
            print(f"  {importer} imports upward from {target}")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:2]))
