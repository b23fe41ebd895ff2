"""The part of a report that shows the labels that are probably wrong."""

from collections.abc import Callable, Mapping

import numpy as np

from recipes.report.thumbnails import thumbnail

# The others stand in result.json.
MAX_SHOWN = 20
MAX_NEIGHBORS = 4
NEIGHBOR_PIXELS = 64


def suspects(result: Mapping, picture: Callable[[str], np.ndarray | None]) -> list[dict]:
    """Prepare the first suspects of a run for the page, each with its picture and its nearest neighbours.

    Args:
        result: values of a run's `result.json`.
        picture: gives the pixels `(height, width, channels)` of a path, None if there are none.
    """
    return [
        row
        | {
            "thumbnail": thumbnail(picture(row["path"])),
            "neighbors": [
                other | {"thumbnail": thumbnail(picture(other["path"]), NEIGHBOR_PIXELS)}
                for other in row["neighbors"][:MAX_NEIGHBORS]
            ],
        }
        for row in (result.get("suspects") or ())[:MAX_SHOWN]
    ]
