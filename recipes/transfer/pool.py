"""Pictures that wait for a label: what a finished run says of each, with the features by which a head can learn on.

One pass through the network, kept on disk by content as `features` are, so that who goes on labelling waits for nothing.
"""

from dataclasses import dataclass, replace

import keras
import numpy as np

from recipes.data.decoding import Decoded, decode_all
from recipes.data.images import DECODER_VERSION, center
from recipes.data.sources.corrections_file import can_be_named
from recipes.data.sources.listing import File, Listing
from recipes.data.store import Store
from recipes.errors import UserError, shown
from recipes.runs.model_file import Classifier
from recipes.transfer.features import fingerprint
from zoo.files import cache_folder
from zoo.progress import Progress

BATCH_SIZE = 32
# Pictures whose features are kept at once: what a kill may cost.
SHARD = 512


@dataclass(frozen=True)
class Pool:
    """Pictures to label, each once.

    Args:
        files: with their labels, () for none, relative to the root of `listing`.
        digests: of each file's content.
        features: `(pictures, features)`, before the classifier.
        probabilities: `(pictures, classes)`, as the run predicts them.
        left_out: (path, reason) of the others.
    """

    listing: Listing
    files: list[File]
    digests: list[str]
    features: np.ndarray
    probabilities: np.ndarray
    left_out: list[tuple[str, str]]


def pool(listing: Listing, classifier: Classifier) -> Pool:
    """Read pictures, and have the run's network see each that no earlier command has shown to it.

    Raises:
        UserError: none of them can be read, or the cache cannot be written.
    """
    named = [file for file in listing.files if can_be_named(file.path)]
    left_out = [(file.path, "has a name that a table cannot hold") for file in listing.files if not can_be_named(file.path)]
    decoded = decode_all(replace(listing, files=tuple(named)), classifier.framing, has_ranges=True)
    left_out += [(file.path, reason) for file, reason in decoded.problems]
    first: dict[str, File] = {}
    for file, digest in decoded.digests.items():
        if first.setdefault(digest, file) is not file:
            left_out.append((file.path, f"is a copy of {first[digest].path}"))
    if not first:
        raise UserError(f"{shown(listing.root)} holds no picture that can be read: give a folder of pictures.")
    files = list(first.values())
    rows = _seen(classifier, decoded, files)
    features, probabilities = np.split(rows, [rows.shape[1] - len(classifier.classes)], axis=1)
    return Pool(listing, files, list(first), features, probabilities, left_out)


def _seen(classifier: Classifier, decoded: Decoded, files: list[File]) -> np.ndarray:
    """Give features and probabilities side by side, `(pictures, features + classes)`."""
    width = classifier.model.get_layer("pre_logits").output.shape[-1] + len(classifier.classes)
    backend = (keras.backend.backend(), keras.config.floatx())
    place = cache_folder("features") / fingerprint(classifier.model, DECODER_VERSION, classifier.framing, "run", backend)
    store = Store(place, (width,), "float32")
    keys, pixels = [decoded.keys[file] for file in files], decoded.rows(files)
    todo = [i for i, key in enumerate(keys) if key not in store]
    store.require_room(len(todo))
    with Progress("what the run says", len(files), "images") as progress:
        progress.skip(len(files) - len(todo))
        for start in range(0, len(todo), SHARD):
            shard, found = todo[start : start + SHARD], []
            for begin in range(0, len(shard), BATCH_SIZE):
                part = shard[begin : begin + BATCH_SIZE]
                # The last batch is filled up: another size would compile the network again.
                padded = [*part, *[part[0]] * (BATCH_SIZE - len(part))]
                answers = classifier.batch_answers(center(pixels[np.array(padded)], classifier.framing))
                found.append(np.concatenate(answers, axis=1)[: len(part)])
                progress.advance(len(part))
            store.add([keys[i] for i in shard], np.concatenate(found))
    return store.rows(keys)[:]
