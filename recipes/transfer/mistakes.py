"""What explains the worst mistakes of a run: where the network saw the wrong class and the right one, and what is like it."""

from collections.abc import Mapping, Sequence

import numpy as np

from recipes.data.images import center
from recipes.evaluation import occlusion
from recipes.report.explained import Explained, HeatMap, Neighbor, likeliest
from recipes.runs.reference import Reference
from recipes.transfer.likeness import Likeness
from recipes.transfer.outputs import Trained
from recipes.transfer.state import Outcome

NEIGHBORS = 4
# Of each of so many mistakes the network is asked again, so many times with a random part hidden.
MAX_CHECKED = 8
MOVES = 3


def explain(outcome: Outcome, network: Trained, reference: Reference, rows: Sequence[Mapping]) -> dict[str, Explained]:
    """Explain mistakes, rows of `files.csv`; gives them by their paths. A network without stages has no maps."""
    if not rows:
        return {}
    data = outcome.prepared.data
    places = np.array([data.places[row["path"]] for row in rows])
    pixels, guesses = center(data.pixels[places], data.framing), outcome.evaluated.probabilities[places]
    truth = data.task.one_hot(data.labels[places], len(data.classes)) > 0
    asked = [_asked(data.task.predicted(guess), right, guess) for guess, right in zip(guesses, truth, strict=True)]
    seen = network.outputs(pixels)
    heat = network.heat(seen, asked)
    checks = _checks(network, pixels, asked, heat)
    nearest = Likeness(reference).nearest(seen.features, [data.digests[i] for i in places], NEIGHBORS)
    found = {}
    for i, row in enumerate(rows):
        neighbors = [
            Neighbor(reference.paths[j], data.task.names(reference.labels[j], data.classes), data.picture(reference.paths[j]))
            for j in nearest[i]
        ]
        maps = [HeatMap(data.classes[label], one) for label, one in zip(asked[i], heat[i], strict=False)]
        found[row["path"]] = Explained(
            row["path"], pixels[i], likeliest(guesses[i], data.classes), tuple(maps), tuple(neighbors), checks.get(i)
        )
    return found


def _asked(predicted: np.ndarray, truth: np.ndarray, guess: np.ndarray) -> list[int]:
    """Choose the classes to look for: the likeliest that was wrongly seen, and the likeliest that was missed, if there are."""
    likely = np.argsort(-guess, kind="stable")
    wrong, missed = ([int(i) for i in likely if some[i]][:1] for some in (predicted & ~truth, truth & ~predicted))
    return wrong + missed


def _checks(
    network: Trained, pixels: np.ndarray, asked: Sequence[list[int]], heat: Sequence[np.ndarray]
) -> dict[int, occlusion.Check]:
    """Check the first maps of the first mistakes, by the places of these."""
    chosen = [i for i, maps in enumerate(heat) if asked[i] and len(maps) and maps[0].max() > 0][:MAX_CHECKED]
    if not chosen:
        return {}
    made = occlusion.check(
        pixels[chosen],
        np.stack([heat[i][0] for i in chosen]),
        np.array([asked[i][0] for i in chosen]),
        network.probabilities,
        MOVES,
    )
    return dict(zip(chosen, made, strict=True))
