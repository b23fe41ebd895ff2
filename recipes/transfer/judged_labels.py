"""Labels that are probably wrong, for `zoo check` and every report: features, computed once, judged by `suspects`."""

import numpy as np

from recipes.compute import runtime
from recipes.console import percent
from recipes.data.dataset import Dataset, prepare
from recipes.data.findings import Finding
from recipes.data.sources.listing import Listing
from recipes.errors import shown
from recipes.settings.check import Checking
from recipes.settings.finetune import Recipe
from recipes.transfer.backbone import backbone, framing
from recipes.transfer.features import center_features, vector_cut
from recipes.transfer.run import frozen_features
from recipes.transfer.state import Judged, Prepared
from recipes.transfer.strategies import Strategy
from recipes.transfer.suspects import Suspect, suspects

# Each picture is compared with every other: of more a run judges none.
MAX_JUDGED = 20_000


def judge(features: np.ndarray, data: Dataset) -> list[Suspect]:
    """Judge the label of every picture by all others, from features `(images, features)`, the most suspect first.

    Copies of a picture, and those of its group, do not judge it. One that a person wants as it is, is no suspect.
    """
    groups = np.unique(data.groups or data.digests, return_inverse=True)[1]
    found = suspects(features, data.labels, groups)
    return [one for one in found if one.is_confident and data.paths[one.picture] not in data.kept]


def label_findings(settings: Checking, listing: Listing) -> list[Finding]:
    """Judge the labels of a listing as findings of `zoo check`.

    Raises:
        UserError: the weights cannot be had, or a class has too few pictures.
    """
    runtime.start(settings.seed)
    body = backbone(Recipe(settings.data, model=settings.model, weights=settings.weights, seed=settings.seed))
    data = prepare(listing, framing(body), 0.0, 0.0, settings.seed, keep_leaks=True)
    rows = center_features(body, vector_cut(body, "pre_logits"), data, settings.batch_size, settings.engine)[:]

    def finding(one: Suspect) -> Finding:
        likelier, neighbors = data.classes[one.likelier], [data.paths[i] for i in one.neighbors]
        return Finding(
            "label",
            data.paths[one.picture],
            f"is labelled {shown(data.classes[one.label])} ({percent(one.probability, 0)}), and looks like {shown(likelier)} "
            f"({percent(one.likelier_probability, 0)})",
            tuple(neighbors),
            "relabel",
            likelier,
        )

    return [finding(one) for one in judge(rows, data)]


def judged(prepared: Prepared, strategy: Strategy) -> Judged:
    """Judge the labels of a run's pictures by the pretrained features, before they are trained on; or say why not.

    Nothing is chosen by it: pictures of the test part are judged as well.
    """
    data = prepared.data
    if not data.task.one_label:
        return Judged(reason="labels are judged where each picture has one, and these have any number")
    if prepared.model.origin.weights is None:
        return Judged(reason="the network has no pretrained weights, and features of a random one say little about labels")
    if len(data.paths) > MAX_JUDGED:
        return Judged(reason=f"there are more than {MAX_JUDGED:,} pictures; zoo check DATA --model NAME judges any number")
    return Judged(tuple(judge(frozen_features(prepared, strategy)[:], data)))
