"""How foreign a picture is to those that a network was trained on: its distance to the k-th nearest of them, in feature space.

Features are brought to length 1 before (Sun et al. 2022, arXiv:2204.06507). It was chosen among Mahalanobis distances, energy
and others by measurement: docs/confidence.md. Probabilities cannot say it: softmax divides 1 among the classes that it has.
"""

import numpy as np

NEIGHBORS = 3
# So many known pictures tell well enough how foreign known ones are.
MAX_SCORED = 2_000
# So many rows of likenesses are in memory at once.
BLOCK = 1_024


def unit(vectors: np.ndarray) -> np.ndarray:
    """Scale vectors `(pictures, features)` to length 1, float32."""
    return (vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)).astype("float32")


def foreignness(features: np.ndarray, known: np.ndarray) -> np.ndarray:
    """Score pictures, `(pictures,)`: 0 for one that is known, 2 for what points the other way.

    Args:
        features: `(pictures, features)`.
        known: those of training pictures, of length 1 (`unit`), `(known, features)`.
    """
    place = min(NEIGHBORS, len(known))
    found = np.zeros(len(features))
    for start in range(0, len(features), BLOCK):
        likeness = unit(features[start : start + BLOCK]) @ known.T
        found[start : start + BLOCK] = 1 - np.partition(likeness, -place, axis=1)[:, -place]
    return found


def of_known(known: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Score training pictures as if each were new: by the others alone, without those of its group.

    What the scores of pictures that a network has learnt from say of new ones holds where its features were not trained.

    Args:
        known: features of length 1, `(known, features)`.
        groups: `(known,)`, the same for pictures of one origin.

    Returns:
        `(scored,)`, without the pictures that have too few others.
    """
    found, place = [], min(NEIGHBORS, len(known))
    scored = np.random.default_rng(0).permutation(len(known))[:MAX_SCORED]
    for rows in np.split(scored, range(BLOCK, len(scored), BLOCK)):
        likeness = known[rows] @ known.T
        likeness[groups[rows, None] == groups] = -np.inf
        found.append(1 - np.partition(likeness, -place, axis=1)[:, -place].astype(float))
    scores = np.concatenate(found)
    return scores[np.isfinite(scores)]
