"""`model.keras`: a network that predicts, with what a program must know to feed it and to name what it says.

Members of the zip that are this project's: `classes.json`, a list in the order of the outputs; `framing.json`, how a picture
becomes the model's input; `confidence.json`, what the model knows of how sure it may be (its temperature is in the weights
already; older files have none); and `origin.json`, the licence of the weights that the training began with, and what to cite.
`keras.models.load_model` does not mind them.
"""

import errno
import json
import tempfile
import zipfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from recipes.data.images import Framing
from recipes.errors import UserError, shown
from recipes.evaluation.confidence import Confidence
from recipes.evaluation.tasks import MULTI_CLASS, MULTI_LABEL, Task, of_activation
from recipes.runs.folder import recover
from recipes.settings.values import from_values
from zoo.disk import require_room, written
from zoo.weights import digests
from zoo.weights.formats import archives, hdf5
from zoo.weights.formats.tensors import WeightsError

if TYPE_CHECKING:
    import keras

BATCH_SIZE = 32
BYTES_A_WEIGHT = 4
BYTES_A_LAYER = 4000  # its settings, and what HDF5 writes around its arrays
# Members of the zip that are read: Keras' own, and this project's.
MEMBERS = ("config.json", "model.weights.h5", "classes.json", "framing.json")
CONFIDENCE = "confidence.json"  # older files have none
ACTIVATIONS = (MULTI_CLASS.activation, MULTI_LABEL.activation)


@dataclass(frozen=True)
class Classifier:
    """A saved network, with what a program must know to feed it and to name what it says.

    `classes` are in the order of the outputs; `framing` says how a picture becomes the model's input. `confidence` is None
    where nothing is known of it, as in files that are older.
    """

    model: "keras.Model"
    classes: tuple[str, ...]
    framing: Framing
    confidence: Confidence | None = None

    @property
    def task(self) -> Task:
        """What the network's outputs mean: one class a picture, or any number of labels."""
        return of_activation(self.model.layers[-1].activation.__name__)

    def probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Predict pictures `(batch, height, width, channels)`, 0 to 255: `(batch, classes)`."""
        return self.model.predict(pixels, batch_size=BATCH_SIZE, verbose=0)

    def answers(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give, in one pass, features `(batch, features)` at "pre_logits" and probabilities `(batch, classes)` of pictures.

        Raises:
            ValueError: the network has no such stage.
        """
        features, guesses = self._with_features.predict(pixels, batch_size=BATCH_SIZE, verbose=0)
        return features, guesses

    def batch_probabilities(self, pixels: np.ndarray) -> np.ndarray:
        """Predict one batch of pictures, as `probabilities` does, without what long lists of pictures need."""
        return np.asarray(self.model.predict_on_batch(pixels))

    def batch_answers(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Give features and probabilities of one batch of pictures, as `answers` does. Raises ValueError as that does."""
        features, guesses = self._with_features.predict_on_batch(pixels)
        return np.asarray(features), np.asarray(guesses)

    @cached_property
    def _with_features(self) -> "keras.Model":
        return with_features(self.model)


def with_features(model: "keras.Model") -> "keras.Model":
    """Give a network its last features, averaged over the pixels where they are a map, as a first output.

    Raises:
        ValueError: it has no stage "pre_logits".
    """
    import keras

    features = model.get_layer("pre_logits").output
    if features.ndim > 2:
        features = keras.ops.mean(features, axis=tuple(range(1, features.ndim - 1)))
    return keras.Model(model.input, [features, model.output])


def save(
    model: "keras.Model", path: Path, classes: Iterable[str], framing: Mapping, confidence: Confidence | None = None
) -> None:
    """Write the network alone, with its classes in the order of the outputs, the fields of its framing, and its confidence.

    How it was trained, the optimiser's state among that, would need this project to be loaded again, and four times the
    room.

    Raises:
        WriteError: it cannot be written.
    """
    import keras

    from zoo import origin as origins
    from zoo.graph import walk

    origin = origins.find(model)
    terms = origin and {"model": origin.name, "license": origin.license, "citations": origin.citations}
    size = BYTES_A_WEIGHT * model.count_params() + BYTES_A_LAYER * sum(1 for _ in walk(model))
    require_room(path, size)  # first: a disk that fills up while Keras writes leaves files that cannot be closed
    with written(path, size):
        keras.Model(model.input, model.output, name=model.name).save(path)
        with zipfile.ZipFile(path, "a") as archive:
            archive.writestr("classes.json", json.dumps(list(classes)))
            archive.writestr("framing.json", json.dumps(dict(framing)))
            if confidence:
                archive.writestr(CONFIDENCE, json.dumps(confidence.as_dict()), zipfile.ZIP_DEFLATED)
            if terms:
                archive.writestr("origin.json", json.dumps(terms))


def read(folder: Path) -> Classifier:
    """Read the classifier of a finished run.

    Raises:
        UserError: there is no run, or its model is damaged, or has been changed into one that cannot predict.
    """
    from zoo import keras_private

    path = recover(folder) / "model.keras"
    if not path.exists():
        inside = folder / "best"
        hint = f"give {shown(inside)}" if (inside / path.name).exists() else "`zoo finetune` writes one"
        raise UserError(f"{shown(folder)} is no finished run: it has no model.keras: {hint}.")
    try:
        with archives.opened(path) as archive:
            _check_members(archive)
            classes, framing = (json.loads(archives.content(archive, name)) for name in ("classes.json", "framing.json"))
            sure = archives.content(archive, CONFIDENCE) if CONFIDENCE in archive.namelist() else None
            hdf5.require_bounded(archive)
        model = keras_private.load_model(path)
        classifier = _fitted_together(model, classes, framing)
        if sure:
            classifier = replace(classifier, confidence=Confidence.from_dict(json.loads(sure), len(classifier.classes)))
        digests.check(path)  # last: what is wrong inside is better known than that something is
    except WeightsError as error:
        raise UserError(f"{shown(path)} {error}") from None
    except Exception as error:  # changed bytes make Keras, and zlib, raise almost anything
        if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):  # Keras unpacks it there
            place = shown(tempfile.gettempdir())
            raise UserError(f"{shown(path)} cannot be unpacked, for {place} is full: make room there, or set TMPDIR.") from None
        reason = shown(str(error) or type(error).__name__)
        raise UserError(f"{shown(path)} is damaged or was not written by `zoo finetune` ({reason}).") from error
    return classifier


def _check_members(archive: zipfile.ZipFile) -> None:
    """See that the zip holds each member once. Raises ValueError with the name of the first that it does not."""
    names = archive.namelist()
    for name in MEMBERS:
        if (count := names.count(name)) != 1:
            raise ValueError(f"it holds {name} {count} times" if count else f"it has no {name}")
    if (count := names.count(CONFIDENCE)) > 1:
        raise ValueError(f"it holds {CONFIDENCE} {count} times")


def _fitted_together(model: "keras.Model", classes: object, framing: object) -> Classifier:
    """Put a model, its classes and the fields of its framing together. Raises ValueError with what does not fit."""
    if not (isinstance(classes, list) and classes and all(isinstance(name, str) for name in classes)):
        raise ValueError("classes.json is no list of names")
    if len(set(classes)) < len(classes):
        raise ValueError("classes.json names a class twice")
    if not isinstance(framing, dict):
        raise ValueError("framing.json is no object of JSON")
    frame = from_values(Framing, framing, "framing.json")
    shapes = [getattr(model, name, None) for name in ("input_shape", "output_shape")]
    expected = [(None, frame.size, frame.size, frame.channels), (None, len(classes))]
    for what, found, fits in zip(("takes", "gives"), shapes, expected, strict=True):
        if found != fits:
            named = "framing.json" if what == "takes" else "classes.json"
            raise ValueError(f"the model {what} {found}, and by {named} it should be {fits}")
    activation = getattr(getattr(model.layers[-1], "activation", None), "__name__", None)
    if activation not in ACTIVATIONS:
        raise ValueError(f"the model ends with {activation or 'no activation'}, not with {' or '.join(ACTIVATIONS)}")
    return Classifier(model, tuple(classes), Framing.saved(framing))
