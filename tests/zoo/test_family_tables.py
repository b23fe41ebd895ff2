"""The tables of builders in the families' docstrings say what `facts.json`, the catalog and the built graphs say."""

import fnmatch
import importlib
import math
import pkgutil
import re
from dataclasses import dataclass

import pytest

from zoo import MODELS, analysis, architectures, facts
from zoo.weights import catalog

FAMILIES = [module.name for module in pkgutil.iter_modules(architectures.__path__, "zoo.architectures.")]


@dataclass
class Row:
    """One row of a family's table."""

    builder: str
    variant: str
    parameters: int
    statistics: int
    pixels: int
    patterns: list[str]


def table(family):
    """The rows of the table that ends the family's docstring."""
    (text,) = re.findall(r"^ *builder +variant +parameters .*\n((?: .*\n?)+)", importlib.import_module(family).__doc__, re.M)
    rows = [line.split(maxsplit=5) for line in text.rstrip().splitlines()]
    return [
        Row(builder, variant, *(int(n.replace(",", "")) for n in numbers), [] if weights == "none" else weights.split(", "))
        for builder, variant, *numbers, weights in rows
    ]


ROWS = [row for family in FAMILIES for row in table(family)]


def test_every_family_has_a_row_for_each_variant_of_its_builders():
    for family in FAMILIES:
        rows = table(family)
        builders = [name for name, builder in MODELS.items() if builder.__module__ == family]
        assert {row.builder for row in rows} == set(builders) and builders
        for builder in builders:
            known = list(dict.fromkeys(f.variant for f in facts.read() if f.model == builder))
            assert [row.variant for row in rows if row.builder == builder] == known


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.builder}-{row.variant}")
def test_a_row_says_what_the_facts_and_the_catalog_say(row):
    known = next(f for f in facts.read() if (f.model, f.variant) == (row.builder, row.variant))
    assert (row.parameters, row.pixels) == (known.parameters, known.input_shape[0])
    tags = {entry.tag for entry in catalog.entries(row.builder) if entry.variant == row.variant}
    matching = {pattern: set(fnmatch.filter(tags, pattern)) for pattern in row.patterns}
    assert set().union(*matching.values()) == tags
    assert all(len(found) > 1 if "*" in pattern else found for pattern, found in matching.items())


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.builder}-{row.variant}")
def test_the_statistics_are_what_is_not_trained(row):
    model = analysis.blueprint(MODELS[row.builder], variant=row.variant)
    statistics = [v for v in model.non_trainable_variables if v.name.startswith("moving_")]
    assert sum(math.prod(v.shape) for v in statistics) == row.statistics
    assert model.count_params() == row.parameters


@pytest.mark.parametrize("name", MODELS)
def test_help_tells_variants_weights_and_options(name):
    text = MODELS[name].__doc__
    known = dict.fromkeys(f.variant for f in facts.read() if f.model == name)
    assert f"Variants: {', '.join(known)}. Weights: " in text
    assert set(re.findall(r'"((?:imagenet|lvd142m|lvd1689m|mnist|cifar)\w*)"', text)) == {
        entry.tag for entry in catalog.entries(name)
    }
