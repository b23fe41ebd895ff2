"""What a run learns of its network's confidence: a temperature, which goes into the last layer, and scores of known pictures.

Everything is fitted inside the training part, or to a validation part that stands beside a test part: nothing else in a run is
chosen by it. So what the report says of the test is what new pictures of the same kind will see. A network that was trained
itself, without a trial and without two parts that were held out, keeps its temperature, and its scores are those of the one
part: they hold for new pictures, and that part says nothing of them.
"""

from dataclasses import dataclass, replace

import keras
import numpy as np

from recipes.data.dataset import Dataset
from recipes.evaluation import calibration, confidence, foreign
from recipes.evaluation.confidence import Confidence
from recipes.evaluation.promises import described, promises
from recipes.transfer.logistic import OutOfFold
from recipes.transfer.state import Choice, Evaluated, Fitted, Prepared
from zoo.heads import SCALE
from zoo.layers import CLASSIFIER

# Fewer pictures say too little.
MIN_PICTURES = 20
CROSS_VALIDATED = "{count:,} training pictures, each told by a head that was fitted without it (cross-validation)"
VALIDATION = "{count:,} pictures of the validation part, by which nothing else was chosen"
TRIED = "{count:,} training pictures that the trial of the strategy had held out"
REPORTED = "{count:,} pictures of the {part} part itself, the only ones that were held out: what it says of this is no evidence"


@dataclass(frozen=True)
class Known:
    """Pictures with known labels, indices `(n,)`, the answers to them by what had not learnt from them, and where from.

    With `is_reported` they are those that the report is about, of which nothing may be chosen.
    """

    images: np.ndarray
    probabilities: np.ndarray
    source: str
    is_reported: bool = False


def learn(prepared: Prepared, choice: Choice, fitted: Fitted, evaluated: Evaluated) -> tuple[Confidence | None, Evaluated]:
    """Fit the temperature and put it into the network; gives what is known, and the answers as the network gives them now.

    Without pictures that nothing has learnt from, the network stays as it is.
    """
    data = prepared.data
    known = known_pictures(data, choice, fitted, evaluated)
    if known is None:
        return None, evaluated
    labels, weights = data.labels[known.images], data.weights_of(known.images)
    temperature = 1.0 if known.is_reported else calibration.best_temperature(data.task, labels, known.probabilities, weights)
    divide_logits(prepared.model, temperature)

    def at(guess: np.ndarray) -> np.ndarray:
        return calibration.at_temperature(data.task, guess, temperature).astype("float32")

    scores = _foreign(data, fitted, evaluated)
    found = confidence.learn(data.task, labels, at(known.probabilities), temperature, known.source, known.is_reported, scores)
    return found, replace(evaluated, probabilities=at(evaluated.probabilities))


def known_pictures(data: Dataset, choice: Choice, fitted: Fitted, evaluated: Evaluated) -> Known | None:
    """Find pictures with known labels that what answers has not learnt from; None if there are too few."""
    train, validation, test = (data.part(name) for name in ("train", "validation", "test"))
    choices, is_trained = [], bool(fitted.strategy.phases)
    if not is_trained and fitted.head:
        choices.append(_named(train, fitted.head.out_of_fold, CROSS_VALIDATED))
    if len(test):
        choices.append(_named(validation, _own(evaluated, validation), VALIDATION))
    if is_trained and choice.held_out:
        choices.append(_named(train, choice.held_out, TRIED))
    name = "validation" if len(validation) else "test"
    reported = _named(data.part(name), _own(evaluated, data.part(name)), REPORTED.replace("{part}", name))
    choices.append(replace(reported, is_reported=True))
    return next((known for known in choices if len(known.images) >= MIN_PICTURES), None)


def _own(evaluated: Evaluated, part: np.ndarray) -> OutOfFold:
    """Take the network's own answers to a part that it has not learnt from."""
    return OutOfFold(np.arange(len(part)), evaluated.probabilities[part])


def _named(part: np.ndarray, answers: OutOfFold, source: str) -> Known:
    """Say which pictures answers are about."""
    images = part[answers.images]
    return Known(images, answers.probabilities, source.replace("{count:,}", f"{len(set(images.tolist())):,}"))


def _foreign(data: Dataset, fitted: Fitted, evaluated: Evaluated) -> np.ndarray:
    """Score how foreign known pictures are: training pictures by each other, or held-out ones if the network was trained."""
    splits = data.splits[evaluated.referred]
    is_train = splits == "train"
    known = foreign.unit(evaluated.features[is_train])
    if not fitted.strategy.phases:
        kept = evaluated.referred[is_train]
        groups = np.arange(len(kept)) if data.groups is None else data.groups_of(kept)
        return foreign.of_known(known, groups)
    part = "validation" if (splits == "validation").any() else "test"
    return foreign.foreignness(evaluated.features[splits == part], known)


def divide_logits(model: keras.Model, temperature: float) -> None:
    """Divide the logits of a network with one of the zoo's heads: exact, for its last weights are linear in them."""
    names = [layer.name for layer in model.layers]
    layer = model.get_layer(SCALE if SCALE in names else CLASSIFIER)
    layer.set_weights([weights / temperature for weights in layer.get_weights()])


def measured(prepared: Prepared, fitted: Fitted, sure: Confidence, evaluated: Evaluated) -> dict:
    """Measure, on the part that the report is about, what the confidence promises: values for result.json."""
    data = prepared.data
    part = next((name for name in ("test", "validation") if len(data.part(name))), None)
    if part is None:
        return described(sure, None)
    images, splits = data.part(part), data.splits[evaluated.referred]
    known, own = (evaluated.features[splits == name] for name in ("train", part))
    labels, guess, weights = data.labels[images], evaluated.probabilities[images], data.weights_of(images)
    # Where a network was trained, and one part alone was held out, its threshold comes from these very pictures.
    is_evidence = not fitted.strategy.phases or (len(data.part("validation")) and len(data.part("test")))
    scores = foreign.foreignness(own, foreign.unit(known)) if is_evidence else np.zeros(0)
    return described(sure, part) | promises(data.task, labels, guess, weights, sure, scores)
