"""Labels that are probably wrong, as findings: the features of a network, computed once, judged by `suspects`."""

import numpy as np

from recipes.compute import runtime
from recipes.data.check.findings import Finding
from recipes.data.dataset import prepare
from recipes.data.sources.listing import Listing
from recipes.errors import shown
from recipes.settings.check import Checking
from recipes.settings.finetune import Recipe
from recipes.transfer.backbone import backbone, framing
from recipes.transfer.features import center_features, vector_cut
from recipes.transfer.suspects import Suspect, suspects


def label_findings(settings: Checking, listing: Listing) -> list[Finding]:
    """Judge the label of every picture by all others, the most suspect first.

    Raises:
        UserError: the weights cannot be had, or a class has too few pictures.
    """
    runtime.start(settings.seed)
    body = backbone(Recipe(settings.data, model=settings.model, weights=settings.weights, seed=settings.seed))
    data = prepare(listing, framing(body), 0.0, 0.0, settings.seed, keep_leaks=True)
    rows = center_features(body, vector_cut(body, "pre_logits"), data, settings.batch_size)[:]
    groups = None if data.groups is None else np.unique(data.groups, return_inverse=True)[1]

    def finding(one: Suspect) -> Finding:
        likelier, neighbors = data.classes[one.likelier], [data.paths[i] for i in one.neighbors]
        return Finding(
            "label",
            data.paths[one.picture],
            f"is labelled {shown(data.classes[one.label])} ({one.probability:.0%}), and looks like {shown(likelier)} "
            f"({one.likelier_probability:.0%})",
            tuple(neighbors),
            "relabel",
            likelier,
        )

    return [finding(one) for one in suspects(rows, data.labels, groups) if one.is_confident]
