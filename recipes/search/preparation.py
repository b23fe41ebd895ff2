"""What a search knows before its first trial: the pictures and who sees them, the network, and the room on the disk."""

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, fields

import keras
import numpy as np

import zoo
from recipes.compute import replicas
from recipes.console import say
from recipes.data import decoding
from recipes.data.dataset import Dataset, prepare
from recipes.data.division import missing_parts
from recipes.data.sources.listing import Listing
from recipes.data.views import CENTER, View, visible
from recipes.search.best_models import BestModels
from recipes.search.disk import DiskBudget, bytes_of_logs
from recipes.settings.finetune import Recipe
from recipes.settings.shared import TransferCommand, size
from recipes.settings.tune import Tuning
from recipes.transfer import features
from recipes.transfer.backbone import backbone, framing, new_head
from recipes.transfer.features import Cut, Samples, vector_cut
from recipes.transfer.state import Clock
from recipes.transfer.strategies import probed


@dataclass
class Search:
    """What is known before the first trial.

    Args:
        train: indices of the training pictures.
        held_out: places in `train` of those that judge trials.
        cuts: where the features of each stage are taken.
        views: how a trial may see a picture.
    """

    settings: Tuning
    model: keras.Model
    data: Dataset
    train: np.ndarray
    held_out: np.ndarray
    cuts: dict[str, Cut]
    views: list[View]
    disk: DiskBudget

    @property
    def best_models(self) -> BestModels:
        """The models of the best trials."""
        return BestModels(self.disk, self.settings.keep)

    def features(self) -> dict[str, np.ndarray]:
        """Compute the features by stage, `(views, training pictures, features)`, in one pass that takes all pictures along."""
        others = np.flatnonzero(self.data.splits != "train")
        samples = Samples([*((view, self.train) for view in self.views), (CENTER, others)])
        rows = features.extract(
            self.model, list(self.cuts.values()), self.data, samples, self.settings.batch_size, engine=self.settings.engine
        )
        shape = len(self.views), len(self.train), -1
        return {stage: rows[cut][np.arange(shape[0] * shape[1])].reshape(shape) for stage, cut in self.cuts.items()}

    def identity(self) -> dict:
        """Say what the trials see: it must be the same whenever, and wherever, the search goes on."""
        data, held_out = self.data, set(self.train[self.held_out].tolist())
        pictures = sorted(
            (digest, int(label), "held out" if i in held_out else str(part))
            for i, (digest, label, part) in enumerate(zip(data.digests, data.labels, data.splits, strict=True))
        )
        weights = None if data.weights is None else dict(zip(data.digests, data.weights.tolist(), strict=True))
        seen = pictures if weights is None else [pictures, sorted(weights.items())]
        network = zoo.split(self.model, "pre_logits")[0]
        return {
            "weights": features.fingerprint(network, data.framing, features.graph(network))[:12],
            "pictures": f"{len(pictures)} of {hashlib.sha256(repr(seen).encode()).hexdigest()[:12]}",
            "views": [str(view) for view in self.views],
        } | ({"batch size": self.settings.batch_size} if self.settings.scope == "finetune" else {})


def prepare_search(settings: Tuning, found: Listing, clock: Clock) -> Search:
    """Decode the pictures and divide them; nothing is decoded if the disk could not hold it.

    Args:
        clock: counts the steps "building" and "reading".

    Raises:
        UserError: --model, --weights or --disk cannot be used.
    """
    recipe = base_recipe(settings)
    replicas.count(recipe.devices, recipe.batch_size)
    with clock.step("building"):
        body = backbone(recipe)
    frame = framing(body)
    cuts = {stage: vector_cut(body, stage) for stage in probed(zoo.stages(body))}
    views = visible(frame, settings.mirror != "no")
    # A worker's trained model, and two states of a training, of weights and the optimiser's two slots each, that a killed
    # trial goes on from.
    states = 28 * body.count_params() * (settings.workers or 1) if settings.scope == "finetune" else 0
    with clock.step("reading"):  # of the files, for what is cached goes by their digests
        disk = DiskBudget(
            settings.folder,
            size(settings.disk),
            *_to_cache(settings, found, body, list(cuts.values()), views),
            run=6 * body.count_params() + states,
            logs=bytes_of_logs(settings.trials, settings.epochs),
        )
        say(f"disk: at most {settings.disk} (--disk): {disk}; the rest for the {settings.keep} best models.")
        data = prepare(found, frame, settings.validation, settings.test, settings.seed, settings.keep_leaks)
    train, held_out = data.part("train"), data.inner(settings.seed).part("validation")
    with clock.step("building"):
        return Search(settings, new_head(recipe, body, data), data, train, held_out, cuts, views, disk)


def _to_cache(
    settings: Tuning, found: Listing, body: keras.Model, cuts: Sequence[Cut], views: Sequence[View]
) -> tuple[int, int]:
    """Estimate the bytes of pictures and of features that the cache lacks: what is there need not be made room for.

    Which pictures are to be trained on, and are seen in all views, is known once they are read; how many nearly is before.
    """
    frame = framing(body)
    digests = decoding.kept(found, frame)
    given, shares = missing_parts([file.split for file in found.files], settings.validation, settings.test)
    trained = given.count("train") + math.ceil(given.count("") * (1 - sum(shares.values())))
    rows = len(views) * trained + len(given) - trained
    keys = [features.key_of(digest, view) for digest in digests for view in views]
    lacking = (len(found.files) - len(digests)) * decoding.bytes_a_picture(frame)
    return lacking, features.bytes_to_cache(body, cuts, frame, rows, keys, settings.engine)


def base_recipe(settings: Tuning) -> Recipe:
    """Write what is not searched as the recipe of a run in `best/`."""
    shared = {field.name: getattr(settings, field.name) for field in fields(TransferCommand)}
    return Recipe(**shared | {"output": settings.folder / "best"})
