"""What lets an exported network tell pictures of no known class: features of training pictures, inside the network.

`zoo predict` compares a picture's features with those of all training pictures that the run keeps. These go along as
constants, unless they would outgrow the network: then as many as may, drawn by class, with a threshold of their own. A
hundredth of ImageNet does nearly as well as all of it (Sun et al. 2022, arXiv:2204.06507, figure 3).
"""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recipes.console import percent
from recipes.evaluation import conformal, foreign
from recipes.runs import reference
from recipes.runs.assurance import REFUSED
from recipes.runs.model_file import BYTES_A_WEIGHT, Classifier
from recipes.runs.reference import Reference, balanced

if TYPE_CHECKING:
    import tensorflow as tf

# They add at most this share of the network's own bytes, or so many bytes where that is more.
MAX_SHARE, ALWAYS_BYTES = 0.25, 500_000
NONE = "There is no unknown_score: {reason}."
OLD = "the run has no reference.npz, because it is older or came from a hub"
FEW = "the run has too few known pictures to say how foreign such are"
LARGE = "three pictures of each class, which it takes, would outgrow the network"
SCORE_IS = (
    "unknown_score is 0 for a picture that is known and at most 2: one minus the cosine between its features and those of its "
    "third nearest among {rows:,} of {total:,} training pictures, which are inside the network as features. A known picture "
    "exceeds unknown_threshold with a probability of {refused}; what exceeds it is unknown, whatever its probabilities."
)


@dataclass(frozen=True)
class Known:
    """Features of training pictures, of length 1, `(known, features)`, and the score above which a picture is unknown.

    `words` say what the score is.
    """

    units: np.ndarray
    threshold: float
    words: str

    def scores(self, features: np.ndarray) -> np.ndarray:
        """Score pictures by features `(pictures, features)`, as `zoo predict` does: `(pictures,)`."""
        return foreign.foreignness(features, self.units)

    def traced(self, features: "tf.Tensor") -> "tf.Tensor":
        """Score pictures by features `(batch, features)`, in a graph of TensorFlow's: `(batch,)`."""
        import tensorflow as tf

        length = tf.sqrt(tf.reduce_sum(tf.square(features), axis=1, keepdims=True))
        likeness = tf.matmul(features / tf.maximum(length, 1e-12), tf.constant(self.units), transpose_b=True)
        return 1.0 - tf.math.top_k(likeness, min(foreign.NEIGHBORS, len(self.units))).values[:, -1]


def known(run: Path, classifier: Classifier) -> tuple[Known | None, str]:
    """Choose what goes into an exported network, and say what its score is, or why there is none.

    Raises:
        UserError: the run's reference.npz is damaged.
    """
    found, sure = reference.read(run), classifier.confidence
    if found is None:
        return None, NONE.format(reason=OLD)
    total, width = found.features.shape
    room = max(MAX_SHARE * BYTES_A_WEIGHT * classifier.model.count_params(), ALWAYS_BYTES)
    most = int(room / (BYTES_A_WEIGHT * width))
    if most >= total:
        units, threshold = foreign.unit(found.features), sure.foreign_threshold(REFUSED) if sure else math.inf
    elif most < foreign.NEIGHBORS * len(classifier.classes):
        return None, NONE.format(reason=LARGE)
    else:
        units, threshold = _fewer(found, classifier, most)
    if not math.isfinite(threshold):
        return None, NONE.format(reason=FEW)
    words = SCORE_IS.format(rows=len(units), total=total, refused=percent(REFUSED, 0))
    return Known(units, threshold, words), words


def _fewer(found: Reference, classifier: Classifier, most: int) -> tuple[np.ndarray, float]:
    """Draw at most so many training pictures by class, and learn the threshold anew, as the run did: units, and threshold."""
    chosen = balanced(classifier.task.strata(found.labels), most)
    units = foreign.unit(found.features[chosen])
    if not found.is_trained:
        return units, conformal.threshold(foreign.of_known(units, found.groups[chosen]), 1 - REFUSED)
    return units, conformal.threshold(foreign.foreignness(found.unseen, units), 1 - REFUSED)
