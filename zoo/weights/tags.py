"""The words that `weights=` takes beside files: tags of the catalog, and "default" for the best of them."""

import difflib
import enum
import os
from collections.abc import Collection, Mapping

from zoo.arguments import shown
from zoo.weights import catalog
from zoo.weights.formats.tensors import WeightsError

DEFAULT = "default"

# What torchvision calls its files, in its enumerations of weights and as text.
TORCHVISION = {
    "IMAGENET1K_V1": "imagenet_torchvision",
    "IMAGENET1K_V2": "imagenet_torchvision_v2",
    "IMAGENET1K_SWAG_E2E_V1": "imagenet_torchvision_swag",
    "IMAGENET1K_SWAG_LINEAR_V1": "imagenet_torchvision_swag_linear",
    "DEFAULT": DEFAULT,
}

# What is given where None was meant.
NOTHING = ("", "none", "random")


def published(model: str, weights: str, options: Mapping[str, object], variant: str | None) -> catalog.Entry | None:
    """Find the entry that a tag stands for, or "default"; None if it is no tag of the model.

    Raises:
        WeightsError: "default" of a model without published weights for these options and this variant, or whose licences
            all forbid commercial use.
    """
    if weights != DEFAULT:
        return catalog.find(model, weights, options)
    entry = catalog.best(model, options, variant)
    fitting = [e for e in catalog.entries(model) if dict(e.options) == dict(options) and variant in (None, e.variant)]
    if entry is None and fitting:
        raise WeightsError(f"{model}{_chosen(options)} has no default: {must_be_named(fitting)}.")
    if entry is None:
        form = f" for variant {variant!r}" if variant and catalog.best(model, options, None) else ""
        raise WeightsError(
            f"{model}{_chosen(options)} has no published weights{form}: give a file as weights=, or leave it out for random "
            "values."
        )
    return entry


def must_be_named(entries: Collection[catalog.Entry]) -> str:
    """Say why none of these is a default, as the end of a sentence."""
    licenses = ", ".join(dict.fromkeys(entry.license for entry in entries))
    tags = ", ".join(dict.fromkeys(repr(entry.tag) for entry in entries))
    return f"the licence of its weights forbids commercial use ({licenses}): name those that you may use ({tags})"


def check(model: str, weights: object) -> None:
    """Refuse what is neither text nor a path. Raises WeightsError."""
    if isinstance(weights, (str, os.PathLike)):
        return
    meant = _meant(model, weights.name) if isinstance(weights, enum.Enum) else None
    raise WeightsError(
        f'{model}: weights must be a tag of the catalog ({", ".join(_tags(model))}), "{DEFAULT}" for the best of them, a file, '
        f"or None for random values, found {shown(weights)}{_hint(meant)}"
    )


def unknown(model: str, weights: str | os.PathLike, options: Mapping[str, object]) -> WeightsError:
    """Make the sentence about what is neither a tag nor a file."""
    text = os.fspath(weights)
    hint = "; None, without quotes, is for random values." if text.lower() in NOTHING else _hint(_meant(model, text))
    return WeightsError(
        f"{model}{_chosen(options)} has no weights {text!r}: it is no existing file and none of the tags in the catalog "
        f"({', '.join(_tags(model))}){hint}"
    )


def _tags(model: str) -> list[str]:
    return list(dict.fromkeys(entry.tag for entry in catalog.entries(model))) or ["none"]


def _chosen(options: Mapping[str, object]) -> str:
    return "".join(f" with {key}={value}" for key, value in options.items())


def _meant(model: str, text: str) -> str | None:
    """Guess the tag: torchvision's name for it, timm's, or one that is written nearly so."""
    tags = [entry.tag for entry in catalog.entries(model)]
    theirs = TORCHVISION.get(text.rpartition(".")[2].upper())
    same = theirs, f"imagenet_timm_{text.rpartition('.')[2].replace('_in1k', '')}"
    near = [] if theirs else difflib.get_close_matches(text.lower(), [*tags, DEFAULT], n=1, cutoff=0.8)
    return next((tag for tag in [*same, *near] if tag in tags or (tag == DEFAULT and tags)), None)


def _hint(tag: str | None) -> str:
    return f"; did you mean {tag!r}?" if tag else "."
