"""The part of a page that explains an answer: the picture, heat maps over it, what it was taken for, and what is like it."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from recipes.errors import shown
from recipes.evaluation.occlusion import Check
from recipes.evaluation.paired_verdict import points
from recipes.report.overlays import described, overlay
from recipes.report.thumbnails import thumbnail

MAP_PIXELS = 224
NEIGHBOR_PIXELS = 64
TOP = 3
# Smaller differences of a probability say nothing of a map.
TELLING = 0.05


@dataclass(frozen=True)
class HeatMap:
    """Where the network sees a class: its name, and the map `(height, width)`, what is below 0 against it."""

    name: str
    heat: np.ndarray

    @property
    def words(self) -> str:
        """The map in a sentence; of one that is empty, that it says nothing."""
        name = shown(self.name)
        if not self.heat.max() > 0:
            return f"{name}: the map is empty, because nothing in the picture speaks for it at this stage"
        return f"{name}: {described(self.heat)}"


@dataclass(frozen=True)
class Neighbor:
    """A training picture that is like the one that is explained, with its label; `pixels` are None if it cannot be read."""

    path: str
    label: str
    pixels: np.ndarray | None = None


@dataclass(frozen=True)
class Explained:
    """An answer with all that explains it; `pixels` `(height, width, channels)` as the network saw them."""

    path: str
    pixels: np.ndarray
    top: tuple[tuple[str, float], ...]
    maps: tuple[HeatMap, ...] = ()
    neighbors: tuple[Neighbor, ...] = ()
    check: Check | None = None

    def as_dict(self) -> dict:
        """Write the words and numbers as values for JSON."""
        return {
            "path": self.path,
            "top": [{"class": name, "probability": probability} for name, probability in self.top],
            "maps": [{"class": one.name, "words": one.words} for one in self.maps],
            "check": self.check and vars(self.check) | {"verdict": verdict(self.check)},
            "nearest": [{"path": one.path, "label": one.label} for one in self.neighbors],
        }


def likeliest(probabilities: np.ndarray, classes: Sequence[str]) -> tuple[tuple[str, float], ...]:
    """Name the likeliest classes of one picture's probabilities `(classes,)`, with these."""
    order = np.argsort(-probabilities, kind="stable")[:TOP]
    return tuple((classes[i], float(probabilities[i])) for i in order)


def verdict(check: Check) -> str:
    """Say what hiding the hottest fifth says of a map."""
    numbers = (
        f"probability {check.whole:.3f}; {check.without_hottest:.3f} with the hottest fifth hidden, "
        f"{check.without_random:.3f} with a random fifth"
    )
    if check.without_random - check.without_hottest >= TELLING:
        return f"{numbers}: the map is borne out"
    if check.without_hottest - check.without_random >= TELLING:
        return f"{numbers}: the map is not borne out, so do not build on it"
    return f"{numbers}: this speaks neither for nor against the map, because hiding either costs the class about as much"


def summary(checks: Sequence[Check | None]) -> str:
    """Say in a sentence what hiding the hottest fifth costs on average, over several maps; "" without any."""
    made = [check for check in checks if check]
    if not made:
        return ""
    hot, by_chance = (
        float(np.mean([check.whole - getattr(check, f"without_{what}") for check in made])) for what in ("hottest", "random")
    )
    held = "That speaks neither for nor against the maps"
    if abs(hot - by_chance) >= TELLING:
        held = "The maps show what the network looks at" if hot > by_chance else "That does not bear the maps out"
    pictures = "the picture" if len(made) == 1 else f"{len(made):,} pictures"
    return (
        f"Hiding the hottest fifth of {pictures} changes the probability of the class by {points(-hot, '+')} points, hiding a "
        f"random fifth by {points(-by_chance, '+')}. {held}."
    )


def figure(one: Explained) -> dict:
    """Prepare an answer for the template `explained.html`."""
    return {
        "path": one.path,
        "thumbnail": thumbnail(one.pixels, MAP_PIXELS),
        "top": [{"name": name, "probability": probability} for name, probability in one.top],
        "maps": [
            {"name": each.name, "words": each.words, "thumbnail": thumbnail(overlay(one.pixels, each.heat), MAP_PIXELS)}
            for each in one.maps
        ],
        "check": verdict(one.check) if one.check else None,
        "neighbors": [
            {"path": each.path, "label": each.label, "thumbnail": thumbnail(each.pixels, NEIGHBOR_PIXELS)}
            for each in one.neighbors
        ],
    }
