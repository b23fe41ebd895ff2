"""Training pictures that are like others, in the feature space of the trained network.

Features are brought to their square roots and to length 1 around the mean of the training pictures, as for label suspects, so
that a few large ones do not decide.
"""

import numpy as np

from recipes.runs.reference import Reference
from recipes.transfer.suspects import rooted


class Likeness:
    """Finds the nearest training pictures of others."""

    def __init__(self, reference: Reference):
        self._digests = np.array(reference.digests)
        known = rooted(reference.features)
        self._mean = known.mean(axis=0)
        self._units = self._directions(known)

    def nearest(self, vectors: np.ndarray, digests: list[str], count: int) -> list[list[int]]:
        """Find the places in the reference of the nearest training pictures, the nearest first; a picture is not its own.

        Args:
            vectors: features at "pre_logits", `(batch, features)`.
            digests: of the files that the pictures are.
            count: how many, at most.
        """
        likeness = self._directions(rooted(vectors)) @ self._units.T
        likeness[np.array(digests)[:, None] == self._digests] = -np.inf
        order = np.argsort(-likeness, axis=1, kind="stable")[:, :count]
        return [[int(i) for i in row if np.isfinite(likeness[n, i])] for n, row in enumerate(order)]

    def _directions(self, rows: np.ndarray) -> np.ndarray:
        """Bring rows to length 1 around the mean of the training pictures."""
        centered = rows - self._mean
        return centered / np.maximum(np.linalg.norm(centered, axis=1, keepdims=True), 1e-12)
