"""Facts of every architecture, what it costs and what its stages give: `facts.json`, which `python -m zoo.facts` writes.

Run it after adding an architecture or an entry of the catalog, with the names of the models that changed; a test compares
the file with what is built. Reading the facts needs no Keras: what measures them imports it where it is used.
"""

import functools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import astuple, dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoo.analysis import LayerFacts
    from zoo.weights.catalog import Entry

FILE = Path(__file__).with_name("facts.json")


@dataclass(frozen=True)
class Stage:
    """One place where the network can be cut, and what comes out there."""

    name: str
    stride: int | None  # pixels of the input from one unit to the next; None where rows and columns are gone
    channels: int


@dataclass(frozen=True)
class Facts:
    """One architecture as its builder makes it from `variant` and `options`, or for an entry of the catalog."""

    model: str
    variant: str
    options: Mapping[str, object]  # arguments of the builder's own, such as a width
    input_shape: tuple[int, int, int]
    num_classes: int
    parameters: int  # moving statistics included
    multiply_adds: int  # for one picture
    stages: tuple[Stage, ...]


def key(facts: "Facts | Entry") -> tuple:
    """Take what decides all the rest, of facts and of entries of the catalog alike."""
    return facts.model, facts.variant, tuple(sorted(facts.options.items())), facts.input_shape, facts.num_classes


@functools.cache
def read() -> tuple[Facts, ...]:
    """Read all that the file holds: for each model its variants, then what differs from them for its weights."""
    records = json.loads(FILE.read_text())
    return tuple(
        Facts(
            **{
                **record,
                "input_shape": tuple(record["input_shape"]),
                "stages": tuple(Stage(*stage) for stage in record["stages"]),
            }
        )
        for record in records
    )


def of(entry: "Entry") -> Facts | None:
    """Find the facts of what an entry of the catalog is for; None if the file has none, because it is older."""
    return next((facts for facts in read() if facts.model == entry.model and key(facts) == key(entry)), None)


def measure(model: str, variant: str | None = None, options: Mapping[str, object] | None = None, **arguments) -> Facts:
    """Build the model, without values, and measure it."""
    from zoo import MODELS, analysis, surgery

    built = analysis.blueprint(MODELS[model], variant=variant, **(options or {}), **arguments)
    layers = analysis.analyze(built)
    names = surgery.stages(built)
    has_classifier = built.outputs[0] is not built.get_layer("pre_logits").output
    return Facts(
        model,
        built.origin.variant,
        dict(options or {}),
        built.input_shape[1:],
        built.outputs[0].shape[-1] if has_classifier else 0,
        *analysis.total(layers),
        tuple(_stage(layer) for layer in layers if layer.name in names),
    )


def _stage(layer: "LayerFacts") -> Stage:
    field = layer.receptive_field
    return Stage(layer.name, field[0].stride or None if field else None, layer.output_shape[-1])


def everything(model: str) -> Iterator[Facts]:
    """Measure what belongs into the file: every variant of the model, and every entry of the catalog that differs."""
    from zoo import MODELS, analysis
    from zoo.weights import catalog

    seen = set()
    for variant in analysis.blueprint(MODELS[model]).origin.variants:
        facts = measure(model, variant)
        seen.add(key(facts))
        yield facts
    for entry in catalog.entries(model):
        if key(entry) not in seen:
            seen.add(key(entry))
            yield measure(model, entry.variant, entry.options, input_shape=entry.input_shape, num_classes=entry.num_classes)


def update(models: Iterable[str]) -> None:
    """Measure these models, or all if there are none, and keep what the file holds of the others."""
    from zoo import MODELS

    models, known = list(models) or list(MODELS), read()
    write(
        facts
        for model in MODELS
        for facts in (everything(model) if model in models else [facts for facts in known if facts.model == model])
    )


def write(all_facts: Iterable[Facts]) -> None:
    """Write a line for each, so that changes can be read."""
    from zoo.files import write_text

    names = [field.name for field in fields(Facts)]
    lines = (json.dumps(dict(zip(names, astuple(facts), strict=True))) for facts in all_facts)
    write_text(FILE, "[\n" + ",\n".join(lines) + "\n]\n")


if __name__ == "__main__":
    import sys

    update(sys.argv[1:])
